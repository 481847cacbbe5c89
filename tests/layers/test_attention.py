"""Attention against its definition written as loops over numbers, and its masks."""

import math

import numpy as np
import pytest

from minitransformer.layers import (
    Dense,
    Glorot,
    Identity,
    Linear,
    MultiHeadAttention,
    ScaledDotProductAttention,
    SelfAttention,
    causal_mask,
)

RNG = np.random.default_rng(0)


def init(dtype=np.float64):
    return Glorot(np.random.default_rng(1), dtype)


def one_head(q, k, v, mask):
    """A single head by its definition, number by number: (T, d) (S, d) (S, d) (T, S) -> (T, d), (T, S)."""
    context, weights = np.zeros((len(q), v.shape[1])), np.zeros((len(q), len(k)))
    for t in range(len(q)):
        exponentials = {}
        for s in range(len(k)):
            if mask[t, s]:
                score = sum(float(q[t, i]) * float(k[s, i]) for i in range(q.shape[1])) / math.sqrt(q.shape[1])
                exponentials[s] = math.exp(score)
        for s, e in exponentials.items():
            weights[t, s] = e / sum(exponentials.values())
            for i in range(v.shape[1]):
                context[t, i] += weights[t, s] * v[s, i]
    return context, weights


def test_two_keys_by_hand():
    q = np.array([[[[2.0, 0.0, 0.0, 0.0]]]])  # B = H = T = 1, d = 4, so scores are halved
    k = np.array([[[[math.log(3.0), 0.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.0]]]])
    v = np.array([[[[4.0, 0.0, 0.0, 0.0], [8.0, 4.0, 0.0, 0.0]]]])
    context, cache = ScaledDotProductAttention().forward(q, k, v)
    np.testing.assert_allclose(cache["weights"], [[[[0.75, 0.25]]]], rtol=1e-15)
    np.testing.assert_allclose(context, [[[[5.0, 1.0, 0.0, 0.0]]]], rtol=1e-15)


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_many_heads_are_as_many_separate_computations(heads):
    B, T, S, D = 2, 5, 7, 6
    d = D // heads
    layer = MultiHeadAttention(D, heads, init())
    for parameter in layer.parameters():
        parameter.value = RNG.standard_normal(parameter.shape)
    x, memory = RNG.standard_normal((B, T, D)), RNG.standard_normal((B, S, D))
    mask = RNG.random((B, heads, T, S)) < 0.6
    mask[0, 0, 1] = False
    y, cache = layer.forward(x, memory, mask)
    for b in range(B):
        q = x[b] @ layer.query.weight.value + layer.query.bias.value
        k = memory[b] @ layer.key.weight.value + layer.key.bias.value
        v = memory[b] @ layer.value.weight.value + layer.value.bias.value
        contexts = []
        for h in range(heads):
            part = slice(h * d, (h + 1) * d)
            context, weights = one_head(q[:, part], k[:, part], v[:, part], mask[b, h])
            np.testing.assert_allclose(cache["weights"][b, h], weights, atol=1e-13)
            contexts.append(context)
        wanted = np.concatenate(contexts, axis=1) @ layer.output.weight.value + layer.output.bias.value
        np.testing.assert_allclose(y[b], wanted, rtol=1e-11, atol=1e-12)


def test_self_attention_is_attention_to_itself():
    layer, x = SelfAttention(6, 2, init()), RNG.standard_normal((2, 5, 6))
    cross = MultiHeadAttention(6, 2, init())
    y, cache = layer.forward(x, causal_mask(5))
    z, cross_cache = cross.forward(x, x.copy(), causal_mask(5))
    assert np.array_equal(y, z)
    dy = RNG.standard_normal(y.shape)
    np.testing.assert_allclose(layer.backward(dy, cache), sum(cross.backward(dy, cross_cache)), rtol=1e-13, atol=1e-14)


def test_the_attention_map_is_in_the_cache_and_its_rows_sum_to_one():
    layer = MultiHeadAttention(6, 2, init())
    _, cache = layer.forward(RNG.standard_normal((3, 5, 6)), RNG.standard_normal((3, 7, 6)))
    assert cache["weights"] is cache["attention"]["weights"]
    assert cache["weights"].shape == (3, 2, 5, 7)
    np.testing.assert_allclose(cache["weights"].sum(axis=-1), 1.0, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_may_attend_to_nothing_is_exactly_zero_forward_and_backward_without_a_warning(dtype):
    layer = MultiHeadAttention(6, 2, init(dtype), projection=Linear, output=Identity)
    x, memory = (RNG.standard_normal((3, length, 6)).astype(dtype) for length in (5, 7))
    mask = np.ones((3, 1, 5, 7), bool)
    mask[1] = False
    mask[0, 0, 4] = False
    with np.errstate(all="warn", under="ignore"):  # a warning is an error here, but OpenBLAS's false one
        y, cache = layer.forward(x, memory, mask)
        dx, d_memory = layer.backward(RNG.standard_normal(y.shape).astype(dtype), cache)
    assert not y[1].any()
    assert not y[0, 4].any()
    assert not cache["weights"][1].any()
    assert not dx[1].any()
    assert not dx[0, 4].any()
    assert not d_memory[1].any()
    assert y[2].all()
    assert np.isfinite(dx).all()


def test_what_nobody_may_attend_to_gets_exactly_no_gradient():
    layer = MultiHeadAttention(6, 2, init())
    mask = np.ones((1, 1, 1, 7), bool)
    mask[..., 5:] = False
    y, cache = layer.forward(RNG.standard_normal((3, 5, 6)), RNG.standard_normal((3, 7, 6)), mask)
    _, d_memory = layer.backward(RNG.standard_normal(y.shape), cache)
    assert not d_memory[:, 5:].any()
    assert d_memory[:, :5].all()


@pytest.mark.parametrize("shape", [(1, 1, 1, 7), (3, 1, 1, 7), (1, 1, 5, 7), (3, 2, 5, 7), (5, 7)])
def test_a_mask_broadcasts(shape):
    layer, x, memory = MultiHeadAttention(6, 2, init()), RNG.standard_normal((3, 5, 6)), RNG.standard_normal((3, 7, 6))
    mask = np.random.default_rng(5).random(shape) < 0.7
    full = np.broadcast_to(mask, (3, 2, 5, 7))
    assert np.array_equal(layer(x, memory, mask), layer(x, memory, full))


def test_scores_of_ten_thousand_in_float32_stay_finite():
    q = np.full((1, 1, 2, 4), 100.0, np.float32)
    q[..., 1, :] = -100.0
    k = np.full((1, 1, 3, 4), 50.0, np.float32)
    k[..., 1, :] = -50.0
    context, cache = ScaledDotProductAttention().forward(q, k, q[:, :, [0, 1, 0]])
    gradients = ScaledDotProductAttention().backward(context, cache)
    assert all(np.isfinite(a).all() for a in (context, *gradients))


def test_dropped_weights_are_scaled_up_and_the_map_in_the_cache_is_the_undropped_one():
    layer = ScaledDotProductAttention(0.5)
    q, k = RNG.standard_normal((1, 1, 40, 3)), RNG.standard_normal((1, 1, 50, 3))
    _, cache = layer.forward(q, k, k, rng=np.random.default_rng(0))
    ratio = cache["dropped"] / cache["weights"]
    assert set(np.unique(ratio.round(12))) == {0.0, 2.0}
    np.testing.assert_allclose(cache["weights"].sum(axis=-1), 1.0, rtol=1e-14)


def test_a_memory_of_another_number_of_sentences_is_named():
    layer = MultiHeadAttention(6, 2, init())
    with pytest.raises(ValueError, match=r"memory has shape \(1, 7, 6\): .* x of shape \(3, 5, 6\)"):
        layer(np.ones((3, 5, 6)), np.ones((1, 7, 6)))


@pytest.mark.parametrize("heads", [0, -2, 4, 7])
def test_heads_that_do_not_divide_the_width_are_refused(heads):
    with pytest.raises(ValueError, match=f"n_heads={heads}: must divide d_model=6"):
        MultiHeadAttention(6, heads, init())


@pytest.mark.parametrize(("mask", "words"), [(np.ones((5, 7)), "dtype float64"), ([[True]], "list")])
def test_a_mask_that_is_not_boolean_is_refused(mask, words):
    layer = MultiHeadAttention(6, 2, init())
    with pytest.raises(TypeError, match=f"mask is of {words}: it must be a boolean array"):
        layer(np.ones((3, 5, 6)), np.ones((3, 7, 6)), mask)


@pytest.mark.parametrize("shape", [(7,), (2, 5, 7), (3, 7), (2, 1, 1, 7), (3, 1, 1, 5), (1, 3, 1, 1, 7)])
def test_a_mask_of_the_wrong_shape_is_named(shape):
    layer = MultiHeadAttention(6, 2, init())
    with pytest.raises(
        ValueError, match=r"mask has shape .*: give \(T, S\), or 4 axes that broadcast to \(B, H, T, S\)=\(3, 2, 5, 7\)"
    ):
        layer(np.ones((3, 5, 6)), np.ones((3, 7, 6)), np.ones(shape, bool))


@pytest.mark.parametrize(
    ("projection", "output", "count"),
    [(Dense, Dense, 4 * 36 + 4 * 6), (Linear, Identity, 3 * 36), (Linear, Linear, 4 * 36)],
)
def test_parameters_are_counted_by_hand(projection, output, count):
    assert MultiHeadAttention(6, 2, init(), projection=projection, output=output).n_parameters() == count
