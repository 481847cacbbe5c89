"""Residual wrappers by hand, with a sublayer that doubles."""

import numpy as np
import pytest

from minitransformer.layers import (
    Glorot,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    Residual,
    SelfAttention,
)


def init():
    return Glorot(np.random.default_rng(0), np.float64)


def doubling():
    layer = Linear(2, 2, init())
    layer.weight.value[...] = [[2.0, 0.0], [0.0, 2.0]]
    return layer


def norm():
    return LayerNorm(2, init(), eps=0.0)


X = np.array([[[1.0, 5.0]]])  # mean 3, deviation 2: normed it is -1, 1


def test_residual_adds():
    y, cache = Residual(doubling()).forward(X)
    assert np.array_equal(y, [[[3.0, 15.0]]])
    assert np.array_equal(Residual(doubling()).backward(np.ones((1, 1, 2)), cache), [[[3.0, 3.0]]])


def test_pre_norm_norms_the_branch_alone():
    assert np.array_equal(PreNorm(doubling(), norm())(X), [[[-1.0, 7.0]]])


def test_post_norm_norms_the_sum():
    assert np.array_equal(PostNorm(doubling(), norm())(X), [[[-1.0, 1.0]]])


def test_only_the_branch_is_dropped_never_the_path():
    layer, x = Residual(doubling(), dropout=0.5), np.ones((20, 5, 2))
    y, _ = layer.forward(x, rng=np.random.default_rng(0))
    assert set(np.unique(y)) == {1.0, 5.0}


@pytest.mark.parametrize(
    "wrap", [Residual, lambda f: PreNorm(f, LayerNorm(6, init())), lambda f: PostNorm(f, LayerNorm(6, init()))]
)
def test_further_inputs_reach_the_sublayer_and_their_gradients_come_back(wrap):
    layer = wrap(MultiHeadAttention(6, 2, init()))
    mask = np.ones((1, 1, 3, 5), bool)
    y, cache = layer.forward(np.ones((2, 3, 6)), np.ones((2, 5, 6)), mask)
    dx, d_memory = layer.backward(np.ones((2, 3, 6)), cache)
    assert y.shape == dx.shape == (2, 3, 6)
    assert d_memory.shape == (2, 5, 6)


def test_a_wrapper_is_transparent_in_names_and_cache():
    layer = PostNorm(SelfAttention(6, 2, init()), LayerNorm(6, init()))
    names = [name for name, _ in layer.named_parameters()]
    assert names[0] == "query.weight"
    assert names[-2:] == ["norm.gain", "norm.bias"]
    _, cache = layer.forward(np.ones((1, 3, 6)))
    assert cache["weights"].shape == (1, 2, 3, 3)
    assert "x_hat" in cache["norm"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Residual(Residual(Linear(6, 6, init()), 0.5), 0.5),
        lambda: PostNorm(PreNorm(Linear(6, 6, init()), LayerNorm(6, init())), LayerNorm(6, init())),
    ],
)
def test_a_wrapper_in_a_wrapper_of_the_same_names_is_refused_because_one_cache_entry_would_hide_the_other(make):
    with pytest.raises(ValueError, match="sublayer"):
        make()
