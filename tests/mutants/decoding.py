"""The list of bugs in greedy decoding, in the steps of models, and in the translator."""

from __future__ import annotations

from minitransformer.decoding import Translator
from minitransformer.layers import (
    Decoder,
    DecoderBlock,
    DecodingState,
    InputEmbedding,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    Residual,
    SelfAttention,
    decoding_state,
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

STEPS = "decoding with a state gives the logits of the whole, from the first ids to the last, for the rows that go on"

bug("decoding starts from padding", EncoderDecoder, "start_decoding",
    "np.full((len(source), 1), start)", "np.zeros((len(source), 1), int)", STEPS)
bug("decoding reads the source's padding", EncoderDecoder, "start_decoding",
    "padding_mask(source, self.pad)", "padding_mask(source, -1)", STEPS)
bug("the memory's mask kept only where there is no padding", EncoderDecoder, "start_decoding",
    "None if mask.all()", "None if mask.any()", STEPS)
bug("decoding reads the source's embeddings", EncoderDecoder, "start_decoding",
    "memory, _ = self.encode(source)", "memory = self.source_embedding(source)", STEPS)
bug("positions counted from 0 at every call", EncoderDecoder, "decode",
    "rng=rng, start=start)", "rng=rng, start=0)", STEPS)
bug("new positions counted from where they end", DecodingState, "advance",
    "return before", 'return self["positions"]', STEPS)
bug("an embedding does not tell its positions where to begin", InputEmbedding, "forward",
    "(x, start=start)", "(x)", STEPS)
bug("keys not kept", SelfAttention, "forward", 'state.append("k", k)', "k", STEPS)
bug("values kept among the keys", SelfAttention, "forward", 'state.append("v", v)', 'state.append("k", v)', STEPS)
bug("several ids at a time see the future", EncoderDecoder, "decode", "if T > 1 else None", "if T > 99 else None", STEPS)
bug("several ids at a time see the first positions alone", EncoderDecoder, "decode",
    "causal_mask(start + T, T)", "np.tri(T, start + T, dtype=bool)[None, None]", STEPS)
bug("the mask of several ids without the positions before them", EncoderDecoder, "decode",
    "causal_mask(start + T, T)", "causal_mask(T, T)", STEPS)
bug("decoding attends to the memory without its mask", EncoderDecoder, "next_logits",
    'state["memory_mask"]', "None", STEPS)
bug("the memory's keys of the sentence before", MultiHeadAttention, "forward",
    'state["k"], state["v"], Cache()', 'state["k"][::-1], state["v"], Cache()', STEPS)
bug("the memory's values kept as its keys", MultiHeadAttention, "forward",
    'state["k"], state["v"], _ =', 'state["v"], state["k"], _ =', STEPS)
bug("all blocks of a stack share one state", Decoder, "forward", "substate(state, i)", "substate(state, 0)", STEPS)
bug("both attentions of a block share one state", DecoderBlock, "forward",
    'substate(state, "cross_attention")', 'substate(state, "attention")', STEPS)
bug("the state is not handed to the block's attention", DecoderBlock, "forward",
    'state=substate(state, "attention")', "state=None", STEPS)
bug("pre-norm does not hand on the state", PreNorm, "forward", "rng=rng, **state)", "rng=rng)", STEPS)
bug("post-norm does not hand on the state", PostNorm, "forward", "rng=rng, **state)", "rng=rng)", STEPS)
bug("a residual connection does not hand on the state", Residual, "forward", "rng=rng, **state)", "rng=rng)", STEPS)
bug("rows chosen by their place, not by their index", DecodingState, "select", "_select(value, rows)",
    "_select(value, np.arange(len(rows)))", STEPS)
bug("chosen rows take the place of all rows", decoding_state, "_select",
    "return GrowingBuffer(value.value[rows])", "value.buffer = value.value[rows]\nreturn value", STEPS)
bug("chosen rows count a buffer's empty places", decoding_state, "_select",
    "value.value[rows]", "value.buffer[rows]", STEPS)
bug("the memory kept whole when rows are chosen", decoding_state, "_select",
    "value[rows] if isinstance(value, np.ndarray) else value", "value", STEPS)
bug("the count of positions lost when rows are chosen", decoding_state, "_select",
    "if isinstance(value, np.ndarray) else value", "if isinstance(value, np.ndarray) else 0", STEPS)
bug("a grown buffer without what it held", GrowingBuffer, "append",
    "longer[:, :, : self.length] = self.value", "longer[...] = 0", STEPS)
bug("a buffer gives back the new positions alone", GrowingBuffer, "append", "return self.value", "return new", STEPS)
bug("new positions written over the last one", GrowingBuffer, "append",
    "self.buffer[:, :, self.length : end] = new", "self.buffer[:, :, self.length - 1 : end - 1] = new", STEPS)

bug("translations in the order of their lengths", Translator, "search",
    "zip(rows,", "zip(range(begin, len(sources)),", TRANSLATIONS)
bug("every batch translated as the first", Translator, "search",
    "order[begin : begin + batch_size]", "order[:batch_size]", TRANSLATIONS)
bug("translations no longer than the shortest's limit", Translator, "search",
    "2 * len(ids) + 10", "len(ids) - 1", TRANSLATIONS)
bug("translator starts from bos, whatever was trained", Translator, "search",
    "start=self.start", "start=self.target_vocabulary.bos", TRANSLATIONS)
