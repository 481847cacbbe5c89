"""Grouped-query attention: between multi-head and multi-query attention, both of which it can be."""

import numpy as np
import pytest

from minitransformer.layers import DecodingState, Glorot, GroupedQueryAttention, Linear, SelfAttention, causal_mask


def init():
    return Glorot(np.random.default_rng(0), np.float64)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def run(layer, x, dy):
    y, cache = layer.forward(x, causal_mask(x.shape[1]))
    dx = layer.backward(dy, cache)
    return y, dx, [p.grad for p in layer.parameters()]


def test_with_a_key_head_for_every_query_head_it_is_multi_head_attention():
    grouped = GroupedQueryAttention(12, 3, 3, init())
    multi = SelfAttention(12, 3, init(), projection=Linear, output=Linear)
    x, dy = random(2, 5, 7, 12)
    (y, dx, gradients), (wanted, wanted_dx, wanted_gradients) = run(grouped, x, dy), run(multi, x, dy)
    np.testing.assert_allclose(y, wanted, rtol=1e-13)
    np.testing.assert_allclose(dx, wanted_dx, rtol=1e-11, atol=1e-13)
    for got, of_multi in zip(gradients, wanted_gradients):
        np.testing.assert_allclose(got, of_multi, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n_kv_heads", [1, 2, 3])
def test_it_is_multi_head_attention_whose_key_weights_repeat(n_kv_heads):
    grouped = GroupedQueryAttention(12, 6, n_kv_heads, init())
    multi = SelfAttention(12, 6, init(), projection=Linear, output=Linear)
    group = 6 // n_kv_heads
    multi.query.weight.value, multi.output.weight.value = grouped.query.weight.value, grouped.output.weight.value
    for part in ("key", "value"):
        heads = getattr(grouped, part).weight.value.reshape(12, n_kv_heads, 2)
        getattr(multi, part).weight.value = np.repeat(heads, group, axis=1).reshape(12, 12)
    x, dy = random(2, 5, 7, 12)
    (y, dx, _), (wanted, wanted_dx, _) = run(grouped, x, dy), run(multi, x, dy)
    np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dx, wanted_dx, rtol=1e-11, atol=1e-12)
    # The gradient of a shared head is the sum of those of its copies.
    for part in ("key", "value"):
        copies = getattr(multi, part).weight.grad.reshape(12, n_kv_heads, group, 2).sum(axis=2)
        np.testing.assert_allclose(getattr(grouped, part).weight.grad, copies.reshape(12, -1), rtol=1e-10, atol=1e-11)


def test_the_state_keeps_the_shared_heads_only():
    layer, state = GroupedQueryAttention(12, 6, 2, init()), DecodingState()
    layer.forward(random(3, 5, 12), causal_mask(5), state=state)
    layer.forward(random(3, 1, 12), state=state)
    assert state["k"].value.shape == state["v"].value.shape == (3, 2, 6, 2)


def test_the_attention_map_has_all_query_heads():
    _, cache = GroupedQueryAttention(12, 6, 2, init()).forward(random(3, 5, 12), causal_mask(5))
    assert cache["weights"].shape == (3, 6, 5, 5)
    assert np.array_equal(cache["weights"] > 0, np.broadcast_to(np.tri(5, dtype=bool), (3, 6, 5, 5)))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [((12, 5, 5), "n_heads=5"), ((12, 0, 1), "n_heads=0"), ((12, 6, 4), "n_kv_heads=4"), ((12, 6, 0), "n_kv_heads=0")],
)
def test_sizes_that_do_not_divide_are_named(sizes, words):
    with pytest.raises(ValueError, match=words):
        GroupedQueryAttention(*sizes, init())
