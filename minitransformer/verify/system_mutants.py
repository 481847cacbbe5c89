"""The list of bugs in models, optimizers, schedules, trainer, data and decoding that the checks must catch.

Importing this module adds them to `MUTANTS`, and the properties that must reject them to `PROPERTIES`.
"""

from __future__ import annotations

from ..data import Batch, FreshBatches, PairBatches, Vocabulary, batches, pairs
from ..decoding import Translator
from ..layers import (
    Decoder,
    Dense,
    Encoder,
    Layer,
    LayerNorm,
    MultiHeadAttention,
    PreNorm,
    Residual,
    ScaledDotProductAttention,
    SelfAttention,
    SinusoidalPositions,
    Softmax,
    State,
)
from ..layers.linear import Joint
from ..layers.state import Growing
from ..models import EncoderDecoder, MinimalTransformer, PreNormTransformer, Transformer, transformer
from ..training import (
    SGD,
    Adam,
    AdamW,
    Noam,
    Optimizer,
    Trainer,
    WarmupCosine,
    Workers,
    evaluation,
    optimizers,
    workers,
)
from ..training.workers import Worker
from . import (  # noqa: F401 (they register those of other models, and of decoders)
    system_decoding,
    system_recipes,
    system_recurrent,
)
from .layer_mutants import MUTANTS, bug, bugs
from .system_properties import greedy

__all__ = ["MUTANTS"]

# fmt: off

# ---- models

MINIMAL = "the minimal Transformer is what its diagram says, sentence by sentence"
OF_2017 = "the Transformer of 2017 is what its paper says, sentence by sentence"
PRE_NORM = "the pre-norm Transformer is what its paper says, sentence by sentence"
GRADIENTS = "the gradient of a whole model is its derivative"
TIED_ONCE = "a tied table is one matrix, counted once"

bug("source padding seen by the encoder", EncoderDecoder, "encode",
    "padding_mask(source, self.pad)", "None", MINIMAL)
bug("source padding seen by the decoder", EncoderDecoder, "forward",
    "padding_mask(source, self.pad)", "padding_mask(source, -1)", MINIMAL)
bug("decoder sees the tokens that it is to predict", EncoderDecoder, "decode",
    "causal_mask(target.shape[1])", "None", MINIMAL)
bug("attention to the source's embeddings, not to the encoder's output", EncoderDecoder, "forward",
    "self.decode(target, memory,", "self.decode(target, self.source_embedding(source),", MINIMAL)
bug("decoder embeds its input with the source's table", EncoderDecoder, "decode",
    "self.target_embedding.forward(target, rng=rng)", "self.source_embedding.forward(target % 7, rng=rng)", MINIMAL)
bug("memory of the sentence before", EncoderDecoder, "decode",
    "self.decoder.forward(x, memory,", "self.decoder.forward(x, np.roll(memory, 1, axis=0),", OF_2017)
bug("encoder gets no gradient", EncoderDecoder, "backward",
    "self.backward_encode(d_memory, cache)", "pass", GRADIENTS)
bug("target's embedding gets no gradient from the decoder", EncoderDecoder, "backward_decode",
    'self.target_embedding.backward(dx, cache["target_embedding"])', "pass", GRADIENTS)
bug("source's embedding gets no gradient", EncoderDecoder, "backward_encode",
    'self.source_embedding.backward(dx, cache["source_embedding"])', "pass", GRADIENTS)
bug("positions forgotten", MinimalTransformer, "__init__",
    "positions=SinusoidalPositions(D)", "positions=Identity()", MINIMAL)
bug("embeddings not scaled by sqrt(D)", MinimalTransformer, "__init__",
    "scale=D**0.5", "scale=1.0", MINIMAL)
bug("one head in place of many", MinimalTransformer, "__init__",
    "MultiHeadAttention(D, c.n_heads,", "MultiHeadAttention(D, 1,", MINIMAL)
bug("one decoder block in place of many", MinimalTransformer, "__init__",
    "range(c.n_decoder_blocks)", "range(1)", MINIMAL)
bug("embeddings not scaled by sqrt(D), with a shared table", transformer, "token_embeddings",
    "config.d_model**0.5", "1.0", OF_2017)
bug("positions forgotten, with a shared table", transformer, "with_positions",
    "positions=SinusoidalPositions(config.d_model), ", "", OF_2017)
bug("pre-norm where post-norm is said", Transformer, "__init__",
    "PostNorm(sublayer", "PreNorm(sublayer", OF_2017)
bug("post-norm where pre-norm is said", PreNormTransformer, "__init__",
    "PreNorm(sublayer", "PostNorm(sublayer", PRE_NORM)
bug("pre-norm's last norms left out", Encoder, "__init__",
    "norm or Identity()", "Identity()", PRE_NORM)
bug("shared table copied", transformer, "token_embeddings",
    "weight=source.weight", "weight=type(source.weight)(source.weight.value.copy())", TIED_ONCE)
bug("head's tied table copied", Transformer, "__init__",
    "Unembedding(target_tokens.weight)",
    "Unembedding(type(target_tokens.weight)(target_tokens.weight.value.copy()))", TIED_ONCE)
bug("head's tied table copied before pre-norm", PreNormTransformer, "__init__",
    "Unembedding(target_tokens.weight)",
    "Unembedding(type(target_tokens.weight)(target_tokens.weight.value.copy()))", TIED_ONCE)
bug("tied parameter listed once for every use", Layer, "named_parameters",
    "and id(child) not in seen", "and True", TIED_ONCE)

# ---- optimizers

SGD_FORMULA = "SGD is what its formula says, number by number"
ADAM = "Adam is what its algorithm says, number by number"
ADAMW = "AdamW is what its algorithm says, number by number"
RESTORED = "an optimizer that is restored goes on where it was"

bug("momentum with the wrong sign", SGD, "update", "v *= self.momentum", "v *= -self.momentum", SGD_FORMULA)
bug("momentum forgotten", SGD, "update", "v *= self.momentum", "v *= 0.0", SGD_FORMULA)
bug("velocity averaged, not summed", SGD, "update", "v += g", "v += (1.0 - self.momentum) * g", SGD_FORMULA)
bug("gradient ascent", SGD, "update", "w -= rate * v", "w += rate * v", SGD_FORMULA)
bug("step along the gradient, not the velocity", SGD, "update", "w -= rate * v", "w -= rate * g", SGD_FORMULA)
bug("learning rate ignored", SGD, "update", "w -= rate * v", "w -= v", SGD_FORMULA)
bug("step counter advanced once a chunk", Optimizer, "step",
    "self.update(value[part], grad[part], rate, **moments)",
    "self.update(value[part], grad[part], rate, **moments)\nself.t += 1", ADAM)
bug("step counter never advanced", Optimizer, "step", "self.t += 1", "self.t = 1", ADAM)
bug("moments thrown away after each step", Optimizer, "step", "if not self.moments:", "if True:", ADAM)
bug("first chunk alone updated", Optimizer, "step", "chunks(len(value))", "[slice(0, CHUNK)]", ADAM)
bug("mean's bias not corrected", Adam, "update", "rate / (1.0 - self.beta1**self.t)", "rate", ADAM)
bug("mean square's bias not corrected", Adam, "update", "(1.0 - self.beta2**self.t) ** -0.5", "1.0", ADAM)
bug("mean square's bias corrected outside the root", Adam, "update",
    "(1.0 - self.beta2**self.t) ** -0.5", "(1.0 - self.beta2**self.t) ** -1.0", ADAM)
bugs("eps inside the root",
     [(Adam, "update", "np.sqrt(v)", "np.sqrt(v + self.eps)"), (Adam, "update", "root += self.eps", "pass")], ADAM)
bug("eps forgotten", Adam, "update", "root += self.eps", "pass", ADAM)
bug("mean assigned, not averaged", Adam, "update", "m *= self.beta1", "m *= 0.0", ADAM)
bug("mean square assigned, not averaged", Adam, "update", "v *= self.beta2", "v *= 0.0", ADAM)
bug("betas exchanged", Adam, "update", "m *= self.beta1", "m *= self.beta2", ADAM)
bug("mean summed, not averaged", Adam, "update", "(1.0 - self.beta1) * g", "g", ADAM)
bug("mean square of the absolute value", Adam, "update", "(g * g)", "abs(g)", ADAM)
bug("Adam's step with the wrong sign", Adam, "update", "w -= root", "w += root", ADAM)
bug("weight decay added to the gradient", AdamW, "update",
    "w *= 1.0 - rate * self.weight_decay", "g = g + self.weight_decay * w", ADAMW)
bug("weight decay with the wrong sign", AdamW, "update", "1.0 - rate", "1.0 + rate", ADAMW)
bug("weight decay not scaled by the rate", AdamW, "update",
    "rate * self.weight_decay", "self.weight_decay", ADAMW)
bugs("weight decay after the step",
     [(AdamW, "update", "super().update(w, g, rate, m, v)",
       "super().update(w, g, rate, m, v)\nw *= 1.0 - rate * self.weight_decay + 0.0"),
      (AdamW, "update", "w *= 1.0 - rate * self.weight_decay\n", "\n")], ADAMW)
bug("weight decay forgotten", AdamW, "update", "w *= 1.0 - rate * self.weight_decay", "pass", ADAMW)
bug("step counter not restored", Optimizer, "restore", 'int(state["t"])', "0", RESTORED)
bug("moments not restored", Optimizer, "restore", "np.array(moment)", "np.zeros_like(moment)", RESTORED)

# ---- clipping

CLIPPING = "clipping scales the whole gradient to the largest norm, and only a longer one"
TRAINING = "three training steps are what gradient descent says, token by token"

bug("clipping scales a copy", optimizers, "clip_by_global_norm",
    "grad *= max_norm / norm", "grad = grad * (max_norm / norm)", CLIPPING)
bug("clipping scales short gradients up", optimizers, "clip_by_global_norm",
    "if norm > max_norm:", "if True:", CLIPPING)
bug("clipping number by number", optimizers, "clip_by_global_norm",
    "grad *= max_norm / norm", "np.clip(grad, -max_norm, max_norm, out=grad)", CLIPPING)
bug("clipping by the squared norm", optimizers, "clip_by_global_norm", "** 0.5", "** 1.0", CLIPPING)
bug("clipping by the root mean square", optimizers, "clip_by_global_norm",
    "np.dot(grad, grad)", "np.dot(grad, grad) / len(grad)", CLIPPING)
bug("clipping to a norm of one, whatever was asked", optimizers, "clip_by_global_norm",
    "grad *= max_norm / norm", "grad *= 1.0 / norm", CLIPPING)
bug("each tensor clipped by itself", Trainer, "train_step",
    "clip_by_global_norm(grad, np.inf if self.clip is None else self.clip)",
    "sum(clip_by_global_norm(p.grad.reshape(-1), self.clip) for p in self.model.parameters())", TRAINING)
bug("gradient clipped after the step", Trainer, "train_step",
    "norm = clip_by_global_norm(grad, np.inf if self.clip is None else self.clip)\n"
    "self.optimizer.step(self.value, grad, rate)",
    "self.optimizer.step(self.value, grad, rate)\nnorm = clip_by_global_norm(grad, self.clip)", TRAINING)
bug("gradient not clipped", Trainer, "train_step",
    "np.inf if self.clip is None else self.clip", "np.inf", TRAINING)

# ---- schedules

SCHEDULES = "schedules are what their formulas say, step by step"

bug("Noam falls with the step, not its root", Noam, "__call__", "step**-0.5", "step**-1.0", SCHEDULES)
bug("Noam's warm-up with the wrong exponent", Noam, "__call__", "self.warmup**-1.5", "self.warmup**-0.5", SCHEDULES)
bug("Noam's maximum in place of its minimum", Noam, "__call__", "min(", "max(", SCHEDULES)
bug("Noam grows with the width", Noam, "__call__", "self.d_model**-0.5", "self.d_model**0.5", SCHEDULES)
bug("Noam counts steps from zero", Noam, "__call__", "return self.factor", "step -= 1\nreturn self.factor", SCHEDULES)
bug("warm-up counts steps from zero", WarmupCosine, "__call__", "self.rate * step", "self.rate * (step - 1)", SCHEDULES)
bug("warm-up one step too long", WarmupCosine, "__call__", "step / self.warmup", "step / (self.warmup + 1)", SCHEDULES)
bug("cosine never reaches its final rate", WarmupCosine, "__call__",
    "max(self.steps - self.warmup, 1)", "self.steps", SCHEDULES)
bug("cosine rises again after its end", WarmupCosine, "__call__",
    "min((step - self.warmup) / max(self.steps - self.warmup, 1), 1.0)",
    "(step - self.warmup) / max(self.steps - self.warmup, 1)", SCHEDULES)
bug("cosine falls to zero, not to its final rate", WarmupCosine, "__call__",
    "(self.rate - self.final) * 0.5", "self.rate * 0.5", SCHEDULES)
bug("quarter of a cosine in place of half", WarmupCosine, "__call__",
    "math.pi * progress", "0.5 * math.pi * progress", SCHEDULES)

# ---- trainer and workers

WORKERS = "two workers take the steps that one takes"

bug("gradient not zeroed", Worker, "gradient", "self.grad[...] = 0", "pass", TRAINING)
bug("the batch of the step before", Trainer, "fit",
    "data.batch(self.step)", "data.batch(max(self.step - 1, 0))", TRAINING)
bug("the same batch at every step", Trainer, "fit", "data.batch(self.step)", "data.batch(0)", TRAINING)
bug("the rate of the step before", Trainer, "train_step", "self.schedule(self.step + 1)", "self.schedule(self.step)",
    TRAINING)
bug("steps counted twice", Trainer, "train_step", "self.step += 1", "self.step += 2", TRAINING)
bug("the optimizer moves a copy of the weights", Trainer, "train_step",
    "self.optimizer.step(self.value,", "self.optimizer.step(self.value.copy(),", TRAINING)
bug("loss's gradient scaled by the number of tokens", Worker, "gradient",
    "self.loss.backward(1.0,", "self.loss.backward(float(normalizer),", TRAINING)
bug("padding among the tokens of a batch", Batch, "n_tokens",
    "self.targets != self.pad", "self.targets == self.targets", TRAINING)
bug("sentences averaged, not tokens", Batch, "n_tokens",
    "np.count_nonzero(self.targets != self.pad)", "len(self.targets)", TRAINING)
bug("each worker divides by its own tokens", Worker, "gradient",
    "self.loss.forward(logits, batch.targets, normalizer)", "self.loss.forward(logits, batch.targets)", WORKERS)
bug("workers' gradients averaged, not added", Workers, "gradient",
    "self.grad += worker.grad", "self.grad[...] = (self.grad + worker.grad) / 2", WORKERS)
bug("other workers' gradients forgotten", Workers, "gradient", "self.grad += worker.grad", "pass", WORKERS)
bug("other workers' losses forgotten", Workers, "gradient",
    "loss += sum([worker.end() for worker in busy])", "[worker.end() for worker in busy]", WORKERS)
bug("every worker computes the first share", Workers, "gradient",
    "worker.begin(share, normalizer", "worker.begin(shares[0], normalizer", WORKERS)
bug("replicas keep the first weights", workers, "replica",
    "copy.deepcopy(model, shared)", "copy.deepcopy(model)", WORKERS)
bug("the sentences that do not divide evenly dropped", Batch, "shares",
    "B * i // n for i", "B // n * i for i", WORKERS)

# ---- data

FORCING = "the decoder reads the start and the target, and predicts the target and eos"
EPOCHS = "every pair comes exactly once an epoch, whole, and in another order each epoch"
FRESH = "fresh batches differ from step to step, and a step's is the same whenever it is asked for"
SPLITS = "no source sentence stands in two parts of a split, and no pair is lost"
TEXT = "ids become the text that they were, every letter of it, up to the end of the sentence"

bug("decoder's input not shifted", batches, "sequence_to_sequence_batch",
    "target_in[:, 0] = start\ntarget_in[:, 1:] = ids", "target_in[...] = targets", FORCING)
bug("decoder's input shifted twice", batches, "sequence_to_sequence_batch",
    "target_in[:, 1:] = ids", "target_in[:, 1] = start\ntarget_in[:, 2:] = ids[:, :-1]", FORCING)
bug("decoder starts with eos, whatever was asked", batches, "sequence_to_sequence_batch",
    "target_in[:, 0] = start", "target_in[:, 0] = eos", FORCING)
bug("no eos", batches, "_closed", "closed[np.arange(B), lengths] = eos", "pass", FORCING)
bug("eos behind the padding", batches, "_closed", "closed[np.arange(B), lengths] = eos", "closed[:, -1] = eos", FORCING)
bug("padding on the left", batches, "_filled",
    "np.arange(T) < lengths[:, None]", "np.arange(T) >= T - lengths[:, None]", FORCING)
bug("source and target exchanged", batches, "sequence_to_sequence_batch",
    "Batch((source, target_in), targets, pad)", "Batch((target_in, source), targets, pad)", FORCING)
bug("the last batch of an epoch dropped", batches, "_cut",
    "range(0, len(order), size)", "range(0, len(order) - size + 1, size)", EPOCHS)
bug("a pair lost between two batches", batches, "_cut",
    "order[i : i + size]", "order[i : i + size - 1]", EPOCHS)
bug("a target from the pair before", PairBatches, "batch",
    "self.pairs[i] for i", "(self.pairs[i][0], self.pairs[i - 1][1]) for i", EPOCHS)
bug("every epoch in the same order", PairBatches, "_batches", "[self.seed, epoch]", "[self.seed, 0]", EPOCHS)
bug("every seed the same order", PairBatches, "_batches", "[self.seed, epoch]", "[0, epoch]", EPOCHS)
bug("the first epoch's batches for ever", PairBatches, "_batches", "if known != epoch:", "if known < 0:", EPOCHS)
bug("the same fresh examples again and again", FreshBatches, "_batches", "[self.seed, window]", "[self.seed, 0]", FRESH)
bug("every seed the same examples", FreshBatches, "_batches", "[self.seed, window]", "[0, window]", FRESH)
bug("the first examples kept for ever", FreshBatches, "_batches", "if known != window:", "if known < 0:", FRESH)
bug("split by pair, not by source", pairs, "split_by_source",
    "groups.setdefault(\" \".join(source.casefold().split()), [])",
    "groups.setdefault(source + \"\\t\" + target, [])", SPLITS)
bug("split by the letters, capital or not", pairs, "split_by_source",
    "source.casefold().split()", "source.split()", SPLITS)
bug("pairs of one source lost but the first", pairs, "split_by_source",
    "part += group", "part += group[:1]", SPLITS)
bug("a source taken twice", pairs, "split_by_source",
    "start += 1", "start += 0 if len(part) == 8 else 1", SPLITS)
bug("text stripped of '<s>', and so of every s", Vocabulary, "decode",
    "self.join(pieces)", "self.join(pieces).strip(\"<s>\")", TEXT)
bug("text stripped of its spaces", Vocabulary, "decode", "self.join(pieces)", "self.join(pieces).strip()", TEXT)
bug("text goes on behind eos", Vocabulary, "decode", "break", "continue", TEXT)
bug("bos in the text", Vocabulary, "decode", "(PAD, BOS)", "(PAD,)", TEXT)
bug("unknown pieces become padding", Vocabulary, "encode_tokens", "UNK", "PAD", TEXT)

# ---- decoding, evaluation

GREEDY = "greedy decoding takes the most probable next token until the end of each sentence"
TRANSLATIONS = "translations come back one for each text, in order, and whole"
EVALUATION = "loss, token accuracy and exact match are those counted by hand"

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
bug("a step's biases of queries, keys and values forgotten", Joint, "__call__", "y += self.bias", "pass", STEPS)
bug("a step's norm leaves the mean", LayerNorm, "step", "rows - mean_of_rows(rows)", "1.0 * rows", STEPS)
bug("a step's norm without its gain", LayerNorm, "step", "x_hat * self.gain.value", "x_hat", STEPS)
bug("a step's scores not scaled", ScaledDotProductAttention, "step",
    "q * (self.scale or q.shape[-1] ** -0.5)", "q", STEPS)
bug("a step's weights do not sum to one", Softmax, "step", "y /= ", "", STEPS)
bug("a step's residual forgotten", Residual, "step", "x + self.sublayer", "self.sublayer", STEPS)
bug("a step's norm behind the sublayer, not before", PreNorm, "step",
    'self.sublayer.step(self.norm.step(x, state["norm"]), state, *others)',
    "self.norm(self.sublayer.step(x, state, *others))", STEPS)
bug("all blocks of a stack share one state", Decoder, "step", 'state["blocks"][i]', 'state["blocks"][0]', STEPS)
bug("rows chosen by their place, not by their index", State, "select", "_select(value, rows)",
    "_select(value, np.arange(len(rows)))", STEPS)
bug("a grown buffer without what it held", Growing, "extend",
    "longer[:, :, : self.length] = self.value", "longer[...] = 0", STEPS)
bug("new positions written over the last one", Growing, "extend",
    "self.buffer[:, :, self.length : end] = new", "self.buffer[:, :, self.length - 1 : end - 1] = new", STEPS)

bug("translations in the order of their lengths", Translator, "search",
    "zip(rows,", "zip(range(begin, len(sources)),", TRANSLATIONS)
bug("every batch translated as the first", Translator, "search",
    "order[begin : begin + batch_size]", "order[:batch_size]", TRANSLATIONS)
bug("translations no longer than the shortest's limit", Translator, "search",
    "2 * len(ids) + 10", "len(ids) - 1", TRANSLATIONS)
bug("translator starts from bos, whatever was trained", Translator, "search",
    "start=self.start", "start=self.target_vocabulary.bos", TRANSLATIONS)
bug("padding counted as right or wrong", evaluation, "evaluate",
    "counted = batch.targets != pad", "counted = batch.targets == batch.targets", EVALUATION)
bug("exact match where any token is right", evaluation, "evaluate", ".all(axis=1)", ".any(axis=1)", EVALUATION)
bug("loss averaged over batches, not tokens", evaluation, "evaluate", "* batch.n_tokens", "* len(batch)", EVALUATION)
bug("second best taken for best", evaluation, "evaluate",
    "logits.argmax(axis=-1)", "logits.argsort(axis=-1)[..., -2]", EVALUATION)
