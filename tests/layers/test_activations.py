"""ReLU and GELU on numbers from their formulas."""

import math

import numpy as np
import pytest

from minitransformer.layers import GELU, ReLU


def test_relu_by_hand():
    y, cache = ReLU().forward(np.array([-2.0, 0.0, 3.0]))
    assert np.array_equal(y, [0.0, 0.0, 3.0])
    assert np.array_equal(ReLU().backward(np.array([5.0, 5.0, 5.0]), cache), [0.0, 0.0, 5.0])


@pytest.mark.parametrize("x", [-4.0, -1.0, -0.1, 0.0, 0.7, 2.0])
def test_gelu_is_its_formula(x):
    wanted = x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert GELU()(np.array([x]))[0] == pytest.approx(wanted, rel=1e-15)


def test_gelus_slope_at_zero_is_one_half():
    _, cache = GELU().forward(np.array([0.0]))
    assert GELU().backward(np.array([1.0]), cache)[0] == 0.5


@pytest.mark.parametrize("layer", [ReLU(), GELU()])
def test_far_from_zero_both_are_the_identity_or_zero(layer):
    x = np.array([1e4, -1e4], np.float32)
    y, cache = layer.forward(x)
    assert np.array_equal(y, [1e4, 0.0])
    assert np.array_equal(layer.backward(np.ones(2, np.float32), cache), [1.0, 0.0])
