"""LayerNorm on numbers worked by hand."""

import math

import numpy as np
import pytest

from minitransformer.layers import Glorot, LayerNorm


def norm(D=4, eps=0.0):
    return LayerNorm(D, Glorot(np.random.default_rng(0), np.float64), eps)


def test_values_by_hand():
    layer = norm()
    layer.gain.value[...] = [1.0, 2.0, 3.0, 4.0]
    layer.bias.value[...] = [0.0, 0.0, 10.0, 10.0]
    # mean 2, variance (4 + 4 + 4 + 4) / 4 = 4, so x_hat = -1, 1, -1, 1
    assert np.array_equal(layer(np.array([[0.0, 4.0, 0.0, 4.0]])), [[-1.0, 2.0, 7.0, 14.0]])


def test_backward_by_hand():
    layer = norm()
    layer.gain.value[...] = [1.0, 2.0, 1.0, 2.0]
    _, cache = layer.forward(np.array([[0.0, 4.0, 0.0, 4.0]]))
    dx = layer.backward(np.array([[8.0, 0.0, 0.0, 2.0]]), cache)
    # g dy = 8, 0, 0, 4: mean 3; its mean with x_hat = -1, 1, -1, 1 is -1; dx = (g dy - 3 + x_hat) / 2
    assert np.array_equal(dx, [[2.0, -1.0, -2.0, 1.0]])
    assert np.array_equal(layer.gain.grad, [-8.0, 0.0, 0.0, 2.0])
    assert np.array_equal(layer.bias.grad, [8.0, 0.0, 0.0, 2.0])


def test_gains_begin_at_one_and_shifts_at_zero():
    assert np.array_equal(norm().gain.value, np.ones(4))
    assert np.array_equal(norm().bias.value, np.zeros(4))


def test_eps_is_added_to_the_variance():
    y = norm(2, eps=3.0)(np.array([[-1.0, 1.0]]))  # variance 1, so divided by sqrt(1 + 3)
    assert np.array_equal(y, [[-0.5, 0.5]])


def test_a_constant_vector_gives_the_shift():
    layer = LayerNorm(3, Glorot(np.random.default_rng(0), np.float64))
    layer.bias.value[...] = [1.0, 2.0, 3.0]
    y, cache = layer.forward(np.full((2, 3), 7.0))
    assert np.array_equal(y, [[1.0, 2.0, 3.0]] * 2)
    assert np.isfinite(layer.backward(np.ones((2, 3)), cache)).all()


def test_the_output_has_mean_zero_and_variance_one():
    x = np.random.default_rng(0).standard_normal((3, 5, 7)) * 100.0 + 50.0
    y = norm(7)(x)
    np.testing.assert_allclose(y.sum(axis=-1) / 7, 0.0, atol=1e-13)
    np.testing.assert_allclose((y**2).sum(axis=-1) / 7, 1.0, rtol=1e-13)


def test_a_large_mean_does_not_spoil_float32():
    x = (np.array([[0.0, 1.0, 2.0]]) + 1e4).astype(np.float32)
    y = LayerNorm(3, np.random.default_rng(0))(x)
    np.testing.assert_allclose(y, np.array([[-1.0, 0.0, 1.0]]) * math.sqrt(1.5), atol=2e-3)


def test_the_wrong_width_is_named():
    with pytest.raises(ValueError, match=r"x has shape \(2, 3\): its last axis must hold d_model=4 features"):
        norm()(np.ones((2, 3)))
