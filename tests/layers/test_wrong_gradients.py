"""Backward refuses what is not the gradient of its output, and a cache that another layer made, in one line."""

import traceback

import numpy as np
import pytest

from minitransformer.layers import Cache, CrossEntropy, Dense, Glorot, LayerNorm

from ..cases.registry import CASES

# Their output is a number, or they have no backward of their own.
WITHOUT = ("CrossEntropy", "ALiBi")
NAMES = [name for name in CASES if not name.startswith(WITHOUT)]


def run(name):
    """A layer of the list of cases, what its forward gave, and its cache."""
    layer, inputs = CASES[name].build(0)
    output, cache = layer.forward(*inputs, rng=np.random.default_rng(0))
    return layer, output, cache


def refused(call):
    """The error of a call: TypeError or ValueError, raised within the package."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert "minitransformer" in last.filename, f"{last.filename}:{last.lineno}: {caught.value}"
    assert "\n" not in str(caught.value)
    return str(caught.value)


WRONG = {
    "transposed": lambda y: np.ascontiguousarray(y.T) if y.T.shape != y.shape else y[..., :-1],
    "without its first axis": lambda y: y[0],
    "with one axis more": lambda y: y[None],
    "a scalar": lambda y: np.float64(1.0),
    "a list": lambda y: y.tolist(),
    "integers": lambda y: np.ones(y.shape, int),
    "booleans": lambda y: np.ones(y.shape, bool),
    "None": lambda y: None,
}


@pytest.mark.parametrize("mistake", WRONG)
@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_that_does_not_fit_the_output_is_refused(name, mistake):
    layer, output, cache = run(name)
    several = isinstance(output, tuple)
    first = output[0] if several else output
    wrong = WRONG[mistake](np.ones_like(first))
    dy = (wrong, *(np.ones_like(y) for y in output[1:])) if several else wrong
    message = refused(lambda: layer.backward(dy, cache))
    assert ".backward: dy " in message
    assert all(not parameter.grad.any() for parameter in layer.parameters())  # nothing was added before it was refused


@pytest.mark.parametrize("name", NAMES)
def test_a_cache_of_another_layer_is_refused(name):
    layer, output, _ = run(name)
    dy = tuple(map(np.ones_like, output)) if isinstance(output, tuple) else np.ones_like(output)
    assert "the cache has no " in refused(lambda: layer.backward(dy, Cache(another=np.ones(3))))


def test_the_message_says_what_came_and_what_the_output_was():
    layer = Dense(3, 5, Glorot(np.random.default_rng(0)))
    y, cache = layer.forward(np.ones((2, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"^Dense\.backward: dy has shape \(5, 4, 2\): the output has \(2, 4, 5\)$"):
        layer.backward(y.T, cache)
    with pytest.raises(TypeError, match=r"^Dense\.backward: dy is of type list: give an array of the output's shape"):
        layer.backward(y.tolist(), cache)
    with pytest.raises(ValueError, match=r"^the cache has no 'x_hat', but x: give the cache that this layer's own"):
        LayerNorm(3, np.random.default_rng(0)).backward(y, cache)


@pytest.mark.parametrize("wrong", [np.ones(3), [1.0], None, "1"], ids=repr)
def test_the_loss_is_told_its_gradient_by_a_number(wrong):
    loss = CrossEntropy()
    _, cache = loss.forward(np.zeros((2, 5)), np.array([1, 2]))
    with pytest.raises(TypeError, match=r"CrossEntropy\.backward: d_loss is of type"):
        loss.backward(wrong, cache)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_of_another_float_type_gives_the_wider_of_the_two(name):
    """One rule: the inputs' gradients have the wider of dy's dtype and the layer's, `grad` keeps its own."""
    layer, output, cache = run(name)  # in float64
    dy = tuple(np.ones_like(y, np.float32) for y in output) if isinstance(output, tuple) else np.ones_like(output, "f")
    returned = layer.backward(dy, cache)
    for gradient in returned if isinstance(returned, tuple) else (returned,):
        assert gradient is None or gradient.dtype in (np.float64, np.float32)
    assert all(parameter.grad.dtype == np.float64 for parameter in layer.parameters())
