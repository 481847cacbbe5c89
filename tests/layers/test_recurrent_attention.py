"""Attention to an encoder's states; values are in verify's properties."""

import numpy as np
import pytest

from minitransformer.layers import AdditiveAttention, DecodingState, DotAttention, Glorot, Linear


def init():
    return Glorot(np.random.default_rng(0), np.float64)


def normal(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("layer", [DotAttention(Linear(7, 5, init())), AdditiveAttention(5, 7, 3, init())])
def test_padding_gets_no_weight_and_a_query_without_keys_gets_zero(layer):
    mask = np.arange(4) < np.array([4, 2, 0])[:, None]
    context, cache = layer.forward(normal(3, 6, 5), normal(3, 4, 7), mask[:, None, None])
    weights = cache["weights"]
    assert weights.shape == (3, 1, 6, 4)
    assert np.array_equal(weights > 0, np.broadcast_to(mask[:, None, None], weights.shape))
    assert not context[2].any()


def test_the_keys_of_a_memory_are_computed_once():
    layer, memory, state = AdditiveAttention(5, 7, 3, init()), normal(2, 4, 7), DecodingState()
    layer.forward(normal(2, 1, 5), memory, state=state)
    keys = state["k"]
    layer.forward(normal(2, 1, 5), memory, state=state)
    assert state["k"] is keys
    assert keys.shape == (2, 4, 3)


@pytest.mark.parametrize(
    ("x", "memory", "mask", "words"),
    [
        (normal(2, 5), normal(2, 4, 5), None, "memory has shape"),
        (normal(2, 3, 5), normal(3, 4, 5), None, "with the B of an x"),
        (normal(2, 3, 5), normal(2, 4, 5), np.ones((2, 4), bool), r"mask has shape \(2, 4\)"),
    ],
)
def test_wrong_shapes_are_named(x, memory, mask, words):
    with pytest.raises(ValueError, match=words):
        DotAttention()(x, memory, mask)
