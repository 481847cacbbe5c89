"""LSTM layers: shapes, first states, errors; values and padding are in verify's properties and in the parity tests."""

import numpy as np
import pytest

from minitransformer.layers import LSTM, BidirectionalLSTM, Glorot, LSTMCell, LSTMLayer, RecurrentStack


def init():
    return Glorot(np.random.default_rng(0), np.float64)


def normal(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize(("kind", "width"), [(LSTM, 3), (BidirectionalLSTM, 6)])
def test_a_stack_gives_outputs_and_both_last_states(kind, width):
    (y, h, c), _ = kind(5, 3, init(), n_layers=2).forward(normal(4, 7, 5))
    assert (y.shape, h.shape, c.shape) == ((4, 7, width), (4, 2, width), (4, 2, width))


def test_the_last_h_is_the_last_output_also_of_a_padded_sentence():
    mask = np.arange(7) < np.array([7, 1, 4, 2])[:, None]
    (y, h, _), _ = LSTM(5, 3, init(), 2).forward(normal(4, 7, 5), mask)
    assert np.array_equal(h[:, 1], y[:, -1])
    assert np.array_equal(h[:, 1], y[np.arange(4), mask.sum(axis=1) - 1])


def test_a_sequence_cut_in_two_is_the_whole_sequence():
    layer, x = LSTM(5, 3, init(), 2), normal(4, 7, 5)
    (y, *last), _ = layer.forward(x)
    (first, *state), _ = layer.forward(x[:, :3])
    (second, *last_of_second), _ = layer.forward(x[:, 3:], None, *state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), y, rtol=1e-13)
    np.testing.assert_allclose(last_of_second, last, rtol=1e-13)


def test_a_layer_is_its_cell_step_by_step():
    layer, cell, x = LSTMLayer(5, 3, init()), LSTMCell(5, 3, init()), normal(4, 7, 5)
    (y, *_), _ = layer.forward(x)
    h = c = np.zeros((4, 3))
    for t in range(7):
        h, c = cell(x[:, t], h, c)
        np.testing.assert_allclose(h, y[:, t], rtol=1e-13)


def test_a_sequence_goes_on_from_the_states_of_chosen_rows():
    layer, x, rows = LSTM(5, 3, init(), 2), normal(4, 7, 5), np.array([2, 0, 2])
    (y, *_), _ = layer.forward(x)
    (_, h, c), _ = layer.forward(x[:, :3])
    assert h.shape == c.shape == (4, 2, 3)
    np.testing.assert_allclose(layer(x[rows, 3:], None, h[rows], c[rows])[0], y[rows, 3:], rtol=1e-13)
    np.testing.assert_allclose(layer(x[:, 3:], None, h, c)[0], y[:, 3:], rtol=1e-13)


def test_a_gradient_comes_back_for_the_states_that_were_given_only():
    layer, x, h = LSTM(5, 3, init()), normal(4, 7, 5), np.zeros((4, 1, 3))
    d = (normal(4, 7, 3), h, h)
    _, cache = layer.forward(x)
    dx = layer.backward(d, cache)
    _, cache = layer.forward(x, None, h, h)
    dx_too, dh, dc = layer.backward(d, cache)
    assert np.array_equal(dx, dx_too)
    assert dh.shape == dc.shape == (4, 1, 3)
    assert dh.any()


def test_a_sequence_without_steps_gives_back_its_state():
    h, c = normal(2, 4, 3)
    (y, h_last, c_last), _ = LSTMLayer(5, 3, init()).forward(np.zeros((4, 0, 5)), None, h, c)
    assert y.shape == (4, 0, 3)
    assert np.array_equal(h_last, h)
    assert np.array_equal(c_last, c)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: LSTMLayer(5, 0, init()), ValueError, "d_hidden=0: an LSTM needs at least 1 unit"),
        (lambda: LSTM(5, 3, init(), 0), ValueError, "n_layers=0: there must be at least 1 layer"),
        (lambda: BidirectionalLSTM(5, 3, init(), 0), ValueError, "n_layers=0"),
        (lambda: LSTM(5, 3, init(), dropout=1.0), ValueError, "p=1.0"),
        (lambda: RecurrentStack([]), ValueError, "a stack needs at least 1 layer"),
        (lambda: LSTM(5, 3, init())(normal(7, 5)), ValueError, r"x has shape \(7, 5\): give \(B, T, D\)"),
        (lambda: LSTM(5, 3, init())(normal(4, 7, 6)), ValueError, "must hold d_in=5 features"),
        (lambda: LSTMCell(5, 3, init())(normal(4, 7, 5), None, None), ValueError, r"give \(B, D\), one step"),
        (lambda: LSTM(5, 3, init())(normal(4, 7, 5), np.ones((4, 7))), TypeError, "mask is of dtype float64"),
        (lambda: LSTM(5, 3, init())(normal(4, 7, 5), [True]), TypeError, "mask is of list"),
        (
            lambda: LSTM(5, 3, init())(normal(4, 7, 5), np.ones((7, 4), bool)),
            ValueError,
            r"it must be \(B, T\)=\(4, 7\)",
        ),
        (lambda: LSTM(5, 3, init())(normal(4, 7, 5), None, normal(4, 1, 3)), ValueError, r"give 2 of \(4, 1, 3\)"),
        (lambda: LSTMLayer(5, 3, init())(normal(4, 7, 5), None, normal(4, 3), normal(3, 4)), ValueError, "h, c have"),
    ],
)
def test_wrong_sizes_masks_and_states_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
