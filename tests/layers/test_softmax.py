"""Softmax: values by hand, extreme scores, rows that are wholly masked."""

import math

import numpy as np
import pytest

from minitransformer.layers import Softmax

LOG2 = math.log(2.0)


def test_values_by_hand():
    y = Softmax()(np.array([[0.0, LOG2, 0.0], [LOG2, LOG2, LOG2]]))
    np.testing.assert_allclose(y, [[0.25, 0.5, 0.25], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-15)


def test_backward_by_hand():
    _, cache = Softmax().forward(np.array([0.0, LOG2, 0.0]))
    # dy . y = 0.25 * 4 + 0.5 * 0 + 0.25 * 8 = 3;   dx = y (dy - 3)
    dx = Softmax().backward(np.array([4.0, 0.0, 8.0]), cache)
    np.testing.assert_allclose(dx, [0.25, -1.5, 1.25], rtol=1e-14)


def test_a_gradient_of_all_ones_gives_exactly_nothing():
    _, cache = Softmax().forward(np.array([[0.0, LOG2, 0.0]]))
    np.testing.assert_allclose(Softmax().backward(np.ones((1, 3)), cache), 0.0, atol=1e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_ten_thousand_stay_finite(dtype):
    x = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4 + 1.0]], dtype)
    y, cache = Softmax().forward(x)
    assert np.array_equal(y[0], [1.0, 0.0, 0.0])
    np.testing.assert_allclose(y[1], np.array([1.0, 1.0, math.e]) / (2.0 + math.e), rtol=1e-6)
    assert np.isfinite(Softmax().backward(np.array([[1, 2, 3]] * 2, dtype), cache)).all()


def test_minus_infinity_is_a_weight_of_exactly_zero():
    y = Softmax()(np.array([0.0, -np.inf, 0.0]))
    assert np.array_equal(y, [0.5, 0.0, 0.5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_of_minus_infinity_is_exactly_zero_forward_and_backward(dtype):
    x = np.array([[-np.inf, -np.inf], [0.0, 0.0]], dtype)
    with np.errstate(all="warn"):  # a warning is an error here, but OpenBLAS's false one
        y, cache = Softmax().forward(x)
        dx = Softmax().backward(np.array([[1.0, 2.0], [3.0, 4.0]], dtype), cache)
    assert np.array_equal(y, [[0.0, 0.0], [0.5, 0.5]])
    assert np.array_equal(dx, [[0.0, 0.0], [-0.25, 0.25]])


def test_rows_do_not_know_one_another():
    x = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    other = x.copy()
    other[1:] += 50.0
    assert np.array_equal(Softmax()(x)[0], Softmax()(other)[0])
