"""Positions: the sinusoids by Python's own math, learned vectors by hand."""

import math

import numpy as np
import pytest

from minitransformer.layers import Glorot, LearnedPositions, SinusoidalPositions, sinusoids


@pytest.mark.parametrize(("length", "d_model"), [(1, 2), (7, 6), (50, 16)])
def test_sinusoids_are_their_formula(length, d_model):
    table = sinusoids(length, d_model)
    assert table.shape == (length, d_model)
    for t in range(length):
        for i in range(d_model // 2):
            angle = t / 10000 ** (2 * i / d_model)
            assert table[t, 2 * i] == pytest.approx(math.sin(angle), abs=1e-14)
            assert table[t, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-14)


def test_n_dimensions_are_half_as_many_frequencies():
    table = sinusoids(30, 8)
    np.testing.assert_allclose(table[:, 0::2] ** 2 + table[:, 1::2] ** 2, 1.0, rtol=1e-14)


def test_the_table_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        sinusoids(3, 4)[0, 0] = 1.0


def test_positions_are_added_and_the_gradient_passes():
    x = np.ones((2, 3, 4))
    layer = SinusoidalPositions(4)
    y, cache = layer.forward(x)
    np.testing.assert_allclose(
        y[1, 2], [1 + math.sin(2), 1 + math.cos(2), 1 + math.sin(0.02), 1 + math.cos(0.02)], rtol=1e-14
    )
    assert np.array_equal(layer.backward(x, cache), x)


@pytest.mark.parametrize("d_model", [0, 1, 7, -2])
def test_an_odd_width_is_refused(d_model):
    with pytest.raises(ValueError, match=f"d_model={d_model}: sinusoids come in pairs"):
        SinusoidalPositions(d_model)


def test_the_wrong_width_is_named():
    with pytest.raises(ValueError, match=r"x has shape \(2, 3, 6\): .*d_model=4"):
        SinusoidalPositions(4)(np.ones((2, 3, 6)))
    with pytest.raises(ValueError, match=r"x has shape \(2, 3, 6\): .*d_model=2"):
        learned()(np.ones((2, 3, 6)))


def learned():
    layer = LearnedPositions(3, 2, Glorot(np.random.default_rng(0), np.float64))
    layer.weight.value[...] = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    return layer


def test_learned_positions_by_hand():
    layer = learned()
    y, cache = layer.forward(np.zeros((2, 2, 2)))
    assert np.array_equal(y, [[[1.0, 2.0], [3.0, 4.0]]] * 2)
    dy = np.array([[[1.0, 0.0], [0.0, 1.0]], [[10.0, 0.0], [0.0, 20.0]]])
    assert np.array_equal(layer.backward(dy, cache), dy)
    assert np.array_equal(layer.weight.grad, [[11.0, 0.0], [0.0, 21.0], [0.0, 0.0]])


def test_a_sequence_that_is_too_long_is_named():
    with pytest.raises(ValueError, match="x ends at position 4: there are vectors for max_length=3"):
        learned()(np.zeros((1, 4, 2)))
