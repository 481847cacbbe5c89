"""Linear and Dense on numbers worked by hand."""

import numpy as np
import pytest

from minitransformer.layers import Dense, Glorot, Linear


def linear(layer_class=Linear):
    layer = layer_class(2, 3, Glorot(np.random.default_rng(0), np.float64))
    layer.weight.value[...] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    return layer


X = np.array([[[1.0, -1.0]], [[2.0, 0.5]]])  # (2, 1, 2)
DY = np.array([[[1.0, 0.0, -1.0]], [[2.0, 1.0, 0.0]]])


def test_linear_multiplies_every_position_by_the_matrix():
    assert np.array_equal(linear()(X), [[[-3.0, -3.0, -3.0]], [[4.0, 6.5, 9.0]]])


def test_linear_backward_by_hand():
    layer = linear()
    _, cache = layer.forward(X)
    assert np.array_equal(layer.backward(DY, cache), [[[-2.0, -2.0]], [[4.0, 13.0]]])
    assert np.array_equal(layer.weight.grad, [[5.0, 2.0, -1.0], [0.0, 0.5, 1.0]])


def test_dense_adds_its_bias_and_sums_the_rows_for_its_gradient():
    layer = linear(Dense)
    layer.bias.value[...] = [10.0, 20.0, 30.0]
    y, cache = layer.forward(X)
    assert np.array_equal(y, [[[7.0, 17.0, 27.0]], [[14.0, 26.5, 39.0]]])
    assert np.array_equal(layer.backward(DY, cache), [[[-2.0, -2.0]], [[4.0, 13.0]]])
    assert np.array_equal(layer.bias.grad, [3.0, 1.0, -1.0])


@pytest.mark.parametrize("shape", [(2,), (5, 2), (3, 5, 2), (2, 3, 5, 2)])
def test_any_number_of_leading_axes(shape):
    layer, x = linear(Dense), np.ones(shape)
    y, cache = layer.forward(x)
    assert y.shape == (*shape[:-1], 3)
    assert layer.backward(np.ones(y.shape), cache).shape == shape


def test_a_bias_begins_at_zero():
    assert not Dense(2, 3, np.random.default_rng(0)).bias.value.any()


def test_a_bare_generator_gives_float32():
    assert Linear(2, 3, np.random.default_rng(0)).weight.dtype == np.float32


def test_the_wrong_width_is_named():
    with pytest.raises(ValueError, match=r"x has shape \(4, 3\): its last axis must hold d_in=2 features"):
        linear()(np.ones((4, 3)))


@pytest.mark.parametrize(("d_in", "d_out", "words"), [(0, 3, "d_in=0"), (2, -1, "d_out=-1")])
def test_no_features_are_refused(d_in, d_out, words):
    with pytest.raises(ValueError, match=f"{words}: a linear map needs at least 1 feature"):
        Linear(d_in, d_out, np.random.default_rng(0))
