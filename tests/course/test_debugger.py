"""A debugger session from a text: it stops where it should, shows what was typed, and returns the result."""

import numpy as np
import pytest

from minitransformer.course import debug_session
from minitransformer.layers import Softmax


def test_it_steps_through_a_backward_and_returns_its_gradient(capsys):
    y, cache = Softmax().forward(np.array([[0.0, 1.0]]))
    dx = debug_session("n\nn\n p dy.shape\n", Softmax().backward, np.ones((1, 2)), cache)
    screen = capsys.readouterr().out
    np.testing.assert_array_equal(dx, Softmax().backward(np.ones((1, 2)), cache))
    assert y.shape == (1, 2)
    assert '-> y = cache["y"]' in screen
    assert "(Pdb) p dy.shape\n(1, 2)\n" in screen
    assert screen.rstrip().endswith("(Pdb) c")


def test_the_screen_names_the_file_and_not_the_place_of_the_package(capsys):
    _, cache = Softmax().forward(np.array([[0.0, 1.0]]))
    debug_session("n", Softmax().backward, np.ones((1, 2)), cache)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("> layers/softmax.py(")


def test_an_error_in_the_function_shows_the_session_and_is_raised(capsys):
    with pytest.raises((KeyError, ValueError)):
        debug_session("n", Softmax().backward, np.ones((1, 2)), {})
    assert "softmax.py" in capsys.readouterr().out
