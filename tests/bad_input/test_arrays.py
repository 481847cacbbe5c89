"""Arrays of every kind, wrong ranks, ids out of range, NaN, read-only, strided: taken, or refused with a reason."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minitransformer.data import Batch, PairBatches, evaluation_batches, pad_sequences, sequence_to_sequence_batch
from minitransformer.decoding import greedy
from minitransformer.layers import (
    CrossEntropy,
    Dense,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    ReLU,
    ScaledDotProductAttention,
    SelfAttention,
    SinusoidalPositions,
    Softmax,
    Unembedding,
    causal_mask,
    padding_mask,
    sinusoids,
)
from minitransformer.models import (
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    Transformer,
    TransformerConfig,
)
from minitransformer.training import SGD, Adam, AdamW, clip_by_global_norm, evaluate
from minitransformer.training.parallel import ParallelTrainer

from .harness import SIZES, WHOLE, floats, generated, holds, ids, masks

RNG = np.random.default_rng(0)
B, T, S, D, H, V = 2, 3, 5, 4, 2, 7
EMBEDDING = Embedding(V, D, RNG)
LAYERS = (
    Linear(D, 3, RNG),
    Dense(D, 3, RNG),
    LayerNorm(D, RNG),
    FeedForward(D, 6, RNG),
    ReLU(),
    Softmax(),
    Dropout(0.5),
    SinusoidalPositions(D),
    LearnedPositions(T, D, RNG),
    Unembedding(EMBEDDING.weight),
    SelfAttention(D, H, RNG),
)
CONFIG = TransformerConfig(V, 11, D, H, 6, 1, 1, 0.1)
MODELS = (
    Transformer(CONFIG, RNG),
    PreNormTransformer(CONFIG, RNG),
    MinimalTransformer(MinimalConfig(V, 11, D, H), RNG),
)


@given(st.sampled_from(LAYERS), floats(B, T, D), st.booleans())
@generated(8)
def test_layers(layer, x, training):
    rng = np.random.default_rng(0) if training else None
    result = holds(lambda x: layer.forward(x, rng=rng), x)
    if result is None:
        return
    y, cache = result
    if x.ndim:  # NumPy 1 widens a single number
        assert y.dtype == np.result_type(x.dtype, np.float32)
    dy = np.ones_like(y)
    dy.flags.writeable = False
    if x.dtype != np.complex128:  # forward takes complex numbers for the derivative by complex step; backward need not
        holds(lambda x, dy: layer.backward(dy, cache), x, dy)


@given(floats(B, T, D), floats(B, S, D), masks(B, H, T, S))
@generated(4)
def test_attention(x, memory, mask):
    holds(lambda *given: MultiHeadAttention(D, H, np.random.default_rng(0)).forward(*given), x, memory, mask)


@given(floats(B, H, T, 2), floats(B, H, S, 2), floats(B, H, S, 3), masks(B, H, T, S))
@generated(4)
def test_scaled_dot_products(q, k, v, mask):
    holds(lambda *given: ScaledDotProductAttention().forward(*given), q, k, v, mask)


@given(ids(B, T))
@generated(4)
def test_embeddings(tokens):
    result = holds(EMBEDDING.forward, tokens)
    if result is not None:
        y, cache = result
        holds(lambda ids: EMBEDDING.backward(np.ones_like(y), cache), tokens)


@given(floats(B, T, V), ids(B, T), st.one_of(st.none(), WHOLE), WHOLE)
@generated(4)
def test_losses(logits, targets, normalizer, pad):
    result = holds(lambda logits, targets: CrossEntropy(pad).forward(logits, targets, normalizer), logits, targets)
    if result is not None:
        d_logits = holds(lambda logits: CrossEntropy(pad).backward(1.0, result[1]), logits)
        assert d_logits.shape == logits.shape


@given(st.integers(-2, 8), st.integers(-2, 8), st.sampled_from(["f4", "f8", "i8", "O"]))
@generated(2)
def test_sinusoids(length, d_model, dtype):
    holds(lambda: sinusoids(length, d_model, dtype))


@given(ids(B, T), st.integers(-3, 8), st.one_of(st.none(), st.integers(-3, 8)))
@generated(2)
def test_masks(tokens, length, new):
    holds(lambda tokens: padding_mask(tokens, 0), tokens)
    holds(lambda: causal_mask(length, new))


@given(st.sampled_from(MODELS), ids(B, S), ids(B, T, n=11))
@generated(6)
def test_models(model, source, target):
    result = holds(model.forward, source, target)
    if result is not None:
        logits, cache = result
        assert np.isfinite(logits).all()
        holds(lambda source, target: model.backward(np.ones_like(logits), cache), source, target)


@given(st.sampled_from(MODELS), ids(B, S), WHOLE, st.integers(-3, 20), st.integers(-2, 4))
@generated(4)
def test_greedy_decoding(model, source, start, eos, n):
    holds(lambda source: greedy(model, source, start=start, eos=eos, max_new_tokens=n), source)


SENTENCES = st.lists(st.lists(st.one_of(st.integers(-2, 9), st.just(1.5)), max_size=4), max_size=4)


@given(SENTENCES, SENTENCES, st.integers(-2, 5), st.integers(-2, 5), st.one_of(st.integers(-2, 5), st.just(2.5)))
@generated(4)
def test_batches(first, second, pad, size, step):
    pairs = list(zip(first, second))
    holds(lambda sentences: pad_sequences(sentences, pad), first)
    holds(lambda pairs: sequence_to_sequence_batch(pairs, pad=pad, start=1, eos=2), pairs)
    holds(lambda pairs: PairBatches(pairs, size, seed=0, pad=pad).batch(step), pairs)
    holds(lambda pairs: list(evaluation_batches(pairs, size, pad=pad)), pairs)


@given(ids(B, S), ids(B, T), st.integers(-2, 5))
@generated(4)
def test_batches_of_arrays(source, targets, n):
    batch = holds(lambda source, targets: Batch((source, targets), targets), source, targets)
    if batch is None:
        return
    shares = holds(lambda source, targets: batch.shares(n), source, targets)
    if shares is not None:
        assert sum(share.n_tokens for share in shares) == batch.n_tokens


@given(ids(B, S), ids(B, T), ids(B, T), st.sampled_from([SGD, Adam, AdamW]), st.integers(1, 3))
@generated(2)
def test_training_steps(source, target, targets, optimizer, workers):
    batch = holds(lambda *given: Batch(given[:2], given[2]), source, target, targets)
    if batch is None:
        return
    model = MinimalTransformer(MinimalConfig(V, V, D, H), np.random.default_rng(0))
    trainer = ParallelTrainer(model, optimizer(), workers=workers)
    before = trainer.value.copy()
    if holds(lambda *given: trainer.train_step(batch), source, target, targets) is None:
        np.testing.assert_array_equal(trainer.value, before)  # a refused step is no step
        assert trainer.step == trainer.optimizer.t == 0
    holds(lambda *given: evaluate(model, [batch]), source, target, targets)
    trainer.close()


@given(floats(4, kinds=("<f4", "<f8")), st.one_of(st.floats(-1, 2), st.just(float("nan"))))
@generated()
def test_clipping(gradient, limit):
    holds(lambda: clip_by_global_norm(np.array(gradient), limit))


@given(SIZES, SIZES, st.integers(-2, 7), st.integers(-2, 5))
@generated(2)
def test_sizes_of_layers(n, d_in, d_out, heads):
    for build in (
        lambda: Linear(d_in, d_out, RNG),
        lambda: Dense(d_in, d_out, RNG),
        lambda: Embedding(n, d_out, RNG),
        lambda: LayerNorm(d_out, RNG),
        lambda: MultiHeadAttention(d_out, heads, RNG),
        lambda: FeedForward(d_in, d_out, RNG),
        lambda: SinusoidalPositions(d_out),
        lambda: LearnedPositions(n, d_out, RNG),
    ):
        holds(build)
