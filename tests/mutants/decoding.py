"""The list of bugs in greedy decoding, in the steps of models, and in the translator."""

from __future__ import annotations

from minitransformer.decoding import Translator
from minitransformer.layers import (
    Decoder,
    DecodingState,
    Dense,
    LayerNorm,
    MultiHeadAttention,
    PreNorm,
    Residual,
    ScaledDotProductAttention,
    SelfAttention,
    SinusoidalPositions,
    Softmax,
)
from minitransformer.layers.decoding_state import GrowingBuffer
from minitransformer.models import EncoderDecoder

from ..definitions.decoding import greedy
from .injection import bug

# fmt: off

# ---- greedy decoding

GREEDY = "greedy decoding takes the most probable next token until the end of each sentence"
TRANSLATIONS = "translations come back one for each text, in order, and whole"

bug("the least probable token", greedy, "greedy", "argmax", "argmin", GREEDY)
bug("decoding goes on behind eos", greedy, "greedy",
    "going_on = (chosen != eos)", "going_on = (chosen == chosen)", GREEDY)
bug("eos among the tokens", greedy, "greedy", "if token != eos:", "if True:", GREEDY)
bug("all stop when the first sentence ends", greedy, "greedy",
    "if not len(unfinished):", "if not going_on.all():", GREEDY)
bug("states mixed up after some sentences end", greedy, "greedy",
    "state.select(going_on)", "state.select(np.arange(going_on.sum()))", GREEDY)
bug("states of finished sentences kept", greedy, "greedy",
    "if not going_on.all():", "if going_on.all():", GREEDY)
bug("tokens fed back to the wrong sentences", greedy, "greedy",
    "ids[going_on],", "ids[: going_on.sum()],", GREEDY)
bug("tokens given to the wrong sentences", greedy, "greedy",
    "zip(unfinished, tokens)", "enumerate(tokens)", GREEDY)
bug("one token too many", greedy, "greedy", "limits[unfinished] > t", "limits[unfinished] >= t", GREEDY)
bug("one limit for all sentences", greedy, "greedy", "limits[unfinished] > t", "limits.max() > t", GREEDY)
bug("log-probability of the last token alone", greedy, "greedy",
    "sum(log_probability_of_steps(waiting), so_far)", "log_probability_of_steps(waiting)[-1]", GREEDY)
bug("steps that were weighed are weighed again", greedy, "greedy", "so_far), []", "so_far), waiting", GREEDY)
bug("a sentence that was cut counts as ended", greedy, "greedy",
    "ended[unfinished] = chosen == eos", "ended[unfinished] = True", GREEDY)

# ---- incremental decoding

STEPS = "a step of decoding gives the logits of the whole, from the first ids to the last, for the rows that go on"

bug("decoding starts from padding", EncoderDecoder, "begin",
    "np.full((len(source), 1), start)", "np.zeros((len(source), 1), int)", STEPS)
bug("decoding reads the source's padding", EncoderDecoder, "begin",
    "padding_mask(source, self.pad)", "padding_mask(source, -1)", STEPS)
bug("a step's positions counted from 0", SinusoidalPositions, "step", "start = state.advance(T)", "start = 0", STEPS)
bug("a step's keys not kept", SelfAttention, "step",
    'state.extend("kv", qkv[:, H:])', "qkv[:, H:]", STEPS)
bug("a step of several ids sees the future", SelfAttention, "step", "causal_mask(S, T)", "None", STEPS)
bug("a step attends to the memory without its mask", MultiHeadAttention, "step",
    'state["v"], mask)', 'state["v"], None)', STEPS)
bug("a step's bias forgotten", Dense, "step", "y += self.bias.value", "pass", STEPS)
bug("a step's norm leaves the mean", LayerNorm, "step", "rows - token_mean(rows)", "1.0 * rows", STEPS)
bug("a step's norm without its gain", LayerNorm, "step", "x_hat * self.gain.value", "x_hat", STEPS)
bug("a step's scores not scaled", ScaledDotProductAttention, "step",
    "q * (self.scale or q.shape[-1] ** -0.5)", "q", STEPS)
bug("a step's weights do not sum to one", Softmax, "step", "y /= ", "", STEPS)
bug("a step's residual forgotten", Residual, "step", "x + self.sublayer", "self.sublayer", STEPS)
bug("a step's norm behind the sublayer, not before", PreNorm, "step",
    'self.sublayer.step(self.norm.step(x, state["norm"]), state, *others)',
    "self.norm(self.sublayer.step(x, state, *others))", STEPS)
bug("all blocks of a stack share one state", Decoder, "step", 'state["blocks"][i]', 'state["blocks"][0]', STEPS)
bug("rows chosen by their place, not by their index", DecodingState, "select", "_select(value, rows)",
    "_select(value, np.arange(len(rows)))", STEPS)
bug("a grown buffer without what it held", GrowingBuffer, "extend",
    "longer[:, :, : self.length] = self.value", "longer[...] = 0", STEPS)
bug("new positions written over the last one", GrowingBuffer, "extend",
    "self.buffer[:, :, self.length : end] = new", "self.buffer[:, :, self.length - 1 : end - 1] = new", STEPS)

bug("translations in the order of their lengths", Translator, "search",
    "zip(rows,", "zip(range(begin, len(sources)),", TRANSLATIONS)
bug("every batch translated as the first", Translator, "search",
    "order[begin : begin + batch_size]", "order[:batch_size]", TRANSLATIONS)
bug("translations no longer than the shortest's limit", Translator, "search",
    "2 * len(ids) + 10", "len(ids) - 1", TRANSLATIONS)
bug("translator starts from bos, whatever was trained", Translator, "search",
    "start=self.start", "start=self.target_vocabulary.bos", TRANSLATIONS)
