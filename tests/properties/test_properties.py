"""What holds for all inputs: causality, padding, batches, permutations, masks, extreme logits, dtypes.

Each property is tried on some thousand random models and inputs, all small. A model is drawn by its seed; widths,
heads, lengths and masks vary.
"""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitransformer.layers import (
    CrossEntropy,
    Encoder,
    EncoderBlock,
    FeedForward,
    Glorot,
    LayerNorm,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    Residual,
    ScaledDotProductAttention,
    SelfAttention,
    Softmax,
)
from minitransformer.models import (
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    Transformer,
    TransformerConfig,
)
from tests.cases import CASES
from tests.extent import extent

V, U = 7, 5  # source and target ids


thousand = settings(
    max_examples=extent(100, 1000), derandomize=True, deadline=None, database=None
)  # the same ones in every run


@functools.cache
def model_of(name, heads, blocks, seed, dtype):
    """A model of one block or two; gains and shifts are random."""
    init = Glorot(np.random.default_rng(seed), dtype)
    if name == "minimal":
        model = MinimalTransformer(MinimalConfig(V, U, 4, heads, blocks, blocks), init)
    else:
        recipe = Transformer if name == "2017" else PreNormTransformer
        model = recipe(TransformerConfig(V, U, 4, heads, 3, blocks, blocks, dropout=0.0), init)
    rng = np.random.default_rng([seed, 1])
    for parameter in model.parameters():
        parameter.value = parameter.value + (0.3 * rng.standard_normal(parameter.shape)).astype(dtype)
    return model


SEEDS = st.integers(0, 2**32 - 1)
LENGTHS = st.integers(1, 6)
DTYPES = st.sampled_from([np.float64, np.float32])
NAMES = ("minimal", "2017", "pre-norm")
# Twice as many of one block as of two.
DRAWN = st.sampled_from(list(itertools.product(NAMES, (1, 2), (1, 1, 2), range(4), (np.float64, np.float32))))


def tolerance(dtype):
    return 1e-13 if dtype == np.float64 else 1e-5


def close(got, wanted, dtype):
    """Equal to rounding, in the scale of what is wanted."""
    return np.abs(got - wanted).max() <= tolerance(dtype) * max(np.abs(wanted).max(), 1.0)


def padded(rng, B, length, n):
    """Ids (B, length) below n, each row padded on the right with 0 from a random length on, and the lengths."""
    ids, lengths = rng.integers(1, n, (B, length)), rng.integers(1, length + 1, B)
    ids[np.arange(length) >= lengths[:, None]] = 0
    return ids, lengths


@thousand
@given(DRAWN, SEEDS, st.integers(1, 3), LENGTHS, st.integers(2, 6))
def test_a_later_token_never_changes_an_earlier_output_bit_for_bit(drawn, seed, B, S, T):
    rng, model = np.random.default_rng(seed), model_of(*drawn)
    source, _ = padded(rng, B, S, V)
    target, t = rng.integers(1, U, (B, T)), rng.integers(1, T)
    other = target.copy()
    other[:, t:] = rng.integers(0, U, (B, T - t))
    assert np.array_equal(model(source, other)[:, :t], model(source, target)[:, :t])


@thousand
@given(DRAWN, SEEDS, st.integers(1, 3), LENGTHS, LENGTHS, st.integers(0, 4), st.integers(0, 4))
def test_content_and_amount_of_padding_never_change_what_is_not_padding(drawn, seed, B, S, T, more_source, more_target):
    rng, model = np.random.default_rng(seed), model_of(*drawn)
    source, _ = padded(rng, B, S, V)
    target, lengths = padded(rng, B, T, U)
    logits = model(source, target)
    # At a padded position of the source there may be any vector, behind the end of a target any ids.
    behind = np.arange(T + more_target) >= lengths[:, None]
    target = np.where(behind, rng.integers(0, U, behind.shape), np.pad(target, ((0, 0), (0, more_target))))
    table = model.source_embedding.tokens.weight
    kept = table.value
    try:
        table.value = kept.copy()
        table.value[0] += 3.0
        other = model(np.pad(source, ((0, 0), (0, more_source))), target)
    finally:
        table.value = kept
    counted = ~behind[:, :T]
    assert close(other[:, :T][counted], logits[counted], logits.dtype)


@thousand
@given(DRAWN, SEEDS, st.integers(2, 4), LENGTHS, LENGTHS, st.integers(1, 4))
def test_order_and_company_in_a_batch_change_nothing_beyond_rounding(drawn, seed, B, S, T, chosen):
    rng, model = np.random.default_rng(seed), model_of(*drawn)
    source, target = padded(rng, B, S, V)[0], padded(rng, B, T, U)[0]
    rows = rng.permutation(B)[:chosen]
    logits = model(source, target)
    assert close(model(source[rows], target[rows]), logits[rows], logits.dtype)


@functools.cache
def encoder_of(kind, heads, blocks, seed):
    init = Glorot(np.random.default_rng(seed), np.float64)

    def around(sublayer):
        return Residual(sublayer) if kind is Residual else kind(sublayer, LayerNorm(4, init))

    return Encoder(
        [EncoderBlock(around(SelfAttention(4, heads, init)), around(FeedForward(4, 3, init))) for _ in range(blocks)]
    )


ENCODERS = st.sampled_from(list(itertools.product((Residual, PreNorm, PostNorm), (1, 2), (1, 1, 2), range(4))))


@thousand
@given(ENCODERS, SEEDS, st.integers(1, 3), st.integers(1, 7), st.booleans())
def test_without_positions_an_encoder_is_permutation_equivariant(drawn, seed, B, T, masked):
    rng, encoder = np.random.default_rng(seed), encoder_of(*drawn)
    x, order = rng.standard_normal((B, T, 4)), rng.permutation(T)
    mask = rng.random((B, 1, T, T)) < 0.7 if masked else np.ones((B, 1, T, T), bool)
    y = encoder(x, mask)
    # A norm of a vector that happens to be near constant magnifies rounding.
    assert np.abs(encoder(x[:, order], mask[:, :, order][..., order]) - y[:, order]).max() <= 1e-11 * np.abs(y).max()


@thousand
@given(SEEDS, DTYPES, st.integers(1, 3), st.integers(1, 2), LENGTHS, LENGTHS, st.floats(0.0, 1.0), st.floats(0.1, 1e4))
def test_attention_rows_sum_to_one_or_are_masked_and_exactly_zero(seed, dtype, B, H, T, S, share, size):
    rng = np.random.default_rng(seed)
    q, k, v = ((rng.standard_normal((B, H, n, 3))).astype(dtype) for n in (T, S, S))
    q *= dtype(size)
    mask = rng.random((B, 1, T, S)) < share
    layer = ScaledDotProductAttention()
    with np.errstate(all="warn", under="ignore"):  # a warning is an error here, but OpenBLAS's false one
        context, cache = layer.forward(q, k, v, mask)
        dq, dk, dv = layer.backward(rng.standard_normal(context.shape).astype(dtype), cache)
    weights, allowed = cache["weights"], np.broadcast_to(mask, cache["weights"].shape)
    nothing = ~allowed.any(axis=-1)
    assert not weights[~allowed].any()
    assert not context[nothing].any()
    assert not dq[nothing].any()
    assert np.abs(weights.sum(axis=-1)[~nothing] - 1.0).max(initial=0.0) <= (1e-14 if dtype == np.float64 else 1e-6)
    unseen = ~allowed.any(axis=-2)  # keys that no query may see
    assert not dk[unseen].any()
    assert not dv[unseen].any()
    assert all(np.isfinite(a).all() for a in (context, dq, dk, dv))


@thousand
@given(SEEDS, st.integers(1, 4), st.integers(1, 7), st.sampled_from([0.0, 0.1]), st.booleans())
def test_logits_of_ten_thousand_stay_finite_in_float32(seed, rows, n, smoothing, all_extreme):
    rng = np.random.default_rng(seed)
    x = rng.choice(np.array([-1e4, 1e4] if all_extreme else [-1e4, -1.0, 0.0, 1e4], np.float32), (rows, n))
    dy, targets = rng.standard_normal((rows, n)).astype(np.float32), rng.integers(0, n, rows)
    loss_layer = CrossEntropy(pad=-1, label_smoothing=smoothing)
    with np.errstate(all="warn", under="ignore"):  # a warning is an error here, but OpenBLAS's false one
        y, cache = Softmax().forward(x)
        dx = Softmax().backward(dy, cache)
        loss, loss_cache = loss_layer.forward(x, targets)
        d_logits = loss_layer.backward(1.0, loss_cache)
    for a in (y, dx, loss, d_logits):
        assert a.dtype == np.float32
        assert np.isfinite(a).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1.0, rtol=1e-6)


@thousand
@given(SEEDS, st.integers(1, 3), LENGTHS, LENGTHS, st.floats(0.0, 1.0))
def test_attention_with_scores_of_ten_thousand_stays_finite_in_float32(seed, B, T, S, share):
    rng = np.random.default_rng(seed)
    layer = MultiHeadAttention(4, 2, Glorot(np.random.default_rng(seed % 5)), dropout=0.2)
    x, memory = (rng.choice(np.array([-100, 100], np.float32), (B, n, 4)) for n in (T, S))
    mask = rng.random((B, 1, T, S)) < share
    with np.errstate(all="warn", under="ignore"):  # a warning is an error here, but OpenBLAS's false one
        y, cache = layer.forward(x, memory, mask, rng=rng)
        gradients = layer.backward(rng.standard_normal(y.shape).astype(np.float32), cache)
    for a in (y, *gradients, *(p.grad for p in layer.parameters())):
        assert a.dtype == np.float32
        assert np.isfinite(a).all()


# ---- float32 in gives float32 out


@functools.cache
def built_case(name, seed):
    layer, inputs = CASES[name].build(seed)
    for parameter in layer.parameters():
        parameter.value = parameter.value.astype(np.float32)
        parameter.grad = np.zeros_like(parameter.value)
    return layer, [x.astype(np.float32) if np.asarray(x).dtype.kind == "f" else x for x in inputs]


@thousand
@given(st.sampled_from(list(CASES)), st.integers(0, 2), SEEDS, st.booleans())
def test_float32_in_is_float32_out_forward_and_backward_for_every_layer(name, built, seed, training):
    layer, inputs = built_case(name, built)
    rng = np.random.default_rng(seed)
    # Other numbers each time, and now and then a factor that a layer might be tempted to treat apart.
    factor = np.float32(rng.choice([0.0, 1e-3, 1.0, 30.0]))
    inputs = [x * factor if np.asarray(x).dtype.kind == "f" else x for x in inputs]
    y, cache = layer.forward(*inputs, rng=rng if training else None)
    ys = y if isinstance(y, tuple) else (y,)
    dys = tuple(rng.standard_normal(a.shape).astype(np.float32) if np.ndim(a) else np.float32(1.5) for a in ys)
    returned = layer.backward(dys if isinstance(y, tuple) else dys[0], cache)
    gradients = [] if returned is None else list(returned) if isinstance(returned, tuple) else [returned]
    assert all(a.dtype == np.float32 for a in [*ys, *gradients, *(p.grad for p in layer.parameters())])


@pytest.mark.parametrize("name", list(CASES))
def test_every_case_was_cast(name):
    layer, inputs = built_case(name, 0)
    assert not any(np.asarray(x).dtype == np.float64 for x in [*inputs, *(p.value for p in layer.parameters())])
