"""A tiny model of every architecture, drawn anew for each seed, and what it says by its definition.

V = 5 ids, of which 0 is padding and 2 ends a sentence: so the tree of all sequences can be walked to its leaves.
"""

import numpy as np

from minitransformer.layers import Glorot
from minitransformer.models import (
    GPT,
    T5,
    BahdanauLSTM,
    GPTConfig,
    InputFeedingLSTM,
    Llama,
    LlamaConfig,
    LSTMConfig,
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    Seq2SeqLSTM,
    T5Config,
    T5v11,
    TiedLlama,
    Transformer,
    TransformerConfig,
)

V, EOS, START = 5, 2, 1
TRANSFORMER = TransformerConfig(V, None, 4, 2, 3, 1, 1)
T5_SIZES = T5Config(V, 4, 2, 2, 3, 1, 1, n_buckets=4, max_distance=3)
LSTM_SIZES = LSTMConfig(V, None, 3, 2)
RECIPES = {
    "minimal": lambda init: MinimalTransformer(MinimalConfig(V, V, 4, 2), init),
    "2017": lambda init: Transformer(TRANSFORMER, init),
    "pre-norm": lambda init: PreNormTransformer(TRANSFORMER, init),
    "t5": lambda init: T5(T5_SIZES, init),
    "t5-v1.1": lambda init: T5v11(T5_SIZES, init),
    "lstm": lambda init: Seq2SeqLSTM(LSTM_SIZES, init),
    "lstm-bahdanau": lambda init: BahdanauLSTM(LSTM_SIZES, init),
    "lstm-input-feeding": lambda init: InputFeedingLSTM(LSTM_SIZES, init),
    "gpt": lambda init: GPT(GPTConfig(V, 12, 4, 2, 1, 3), init),
    "llama": lambda init: Llama(LlamaConfig(V, 12, 4, 2, 1, 3, 1, base=10.0), init),
    "llama-tied": lambda init: TiedLlama(LlamaConfig(V, 12, 4, 2, None, 3, 1), init),
}
LANGUAGE_MODELS = ("gpt", "llama", "llama-tied")
MODELS = {name: recipe(Glorot(np.random.default_rng(0), np.float64)) for name, recipe in RECIPES.items()}


def case(seed, sentences=2, scale=1.0):
    """A model with weights of this seed and scale, padded sources or prompts, and what decoding starts with."""
    rng = np.random.default_rng(seed)
    name = list(MODELS)[seed % len(MODELS)]
    model = MODELS[name]
    for parameter in model.parameters():
        parameter.value = scale * rng.standard_normal(parameter.shape)
    source = rng.integers(1, V, (sentences, 3))
    if name in LANGUAGE_MODELS:
        return model, source, None
    source[1:, 2:] = 0
    return model, source, START


def log_p(model, source, start, prefixes):
    """Log-probabilities (N, t + 1, V) of what follows each beginning of N prefixes (N, t), by the whole model at once.

    One source (S,) or prompt, without a state.
    """
    N = len(prefixes)
    sources, prefixes = np.tile(source, (N, 1)), np.asarray(prefixes, int).reshape(N, -1)
    if start is None:
        logits = model(np.concatenate([sources, prefixes], axis=1))[:, len(source) - 1 :]
    else:
        logits = model(sources, np.concatenate([np.full((N, 1), start), prefixes], axis=1))
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def log_probability(model, source, start, hypothesis):
    """The model's own log-probability of one sequence, under teacher forcing."""
    tokens = [*hypothesis.ids, EOS] if hypothesis.finished else hypothesis.ids
    rows = log_p(model, source, start, [tokens[:-1]])[0]
    return sum(float(row[token]) for row, token in zip(rows, tokens))
