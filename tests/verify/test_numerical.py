"""Complex step and central differences against derivatives known on paper."""

import numpy as np
import pytest

from minitransformer.verify import central_difference, complex_step


def polynomial(x):
    return (x**3).sum() + 2.0 * x[0, 0] * x[1, 2]


POINT = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.5]])
# 3 x^2, and 2 times the other of the two that are multiplied
GRADIENT = np.array([[3.0 + 2.0 * -1.5, 12.0, 0.75], [27.0, 0.0, 6.75 + 2.0]])


def test_complex_step_is_exact():
    np.testing.assert_allclose(complex_step(polynomial, POINT), GRADIENT, rtol=1e-15, atol=1e-15)


def test_central_difference_is_close():
    np.testing.assert_allclose(central_difference(polynomial, POINT), GRADIENT, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("derivative", [complex_step, central_difference])
def test_the_array_is_not_changed(derivative):
    x = POINT.copy()
    x.flags.writeable = False
    derivative(polynomial, x)
    assert np.array_equal(x, POINT)


@pytest.mark.parametrize("derivative", [complex_step, central_difference])
def test_a_scalar_has_a_gradient_too(derivative):
    gradient = derivative(lambda x: np.exp(x)[()], np.array(0.0))
    assert gradient.shape == ()
    assert gradient == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("derivative", [complex_step, central_difference])
def test_an_empty_array_has_an_empty_gradient(derivative):
    assert derivative(lambda x: x.sum(), np.zeros((0, 3))).shape == (0, 3)
