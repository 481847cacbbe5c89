"""What every layer keeps, on the case of each: dtypes, caches, mutation, gradients that add."""

import copy

import numpy as np
import pytest

from tests.cases import CASES

EVERY = pytest.mark.parametrize("name", list(CASES))


def built(name, dtype):
    layer, inputs = CASES[name].build()
    for parameter in layer.parameters():
        parameter.value = parameter.value.astype(dtype)
        parameter.grad = np.zeros_like(parameter.value)
    return layer, [cast(x, dtype) for x in inputs]


def cast(x, dtype):
    return x.astype(dtype) if is_floating(x) else x


def is_floating(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def upstream(y, dtype):
    if isinstance(y, tuple):  # several outputs have a gradient each
        return tuple(upstream(part, dtype) for part in y)
    dy = np.random.default_rng(7).standard_normal(np.shape(y)).astype(dtype)
    return dy if np.ndim(y) else dy[()] if isinstance(dy, np.ndarray) else dtype(dy)


def arrays(node):
    if isinstance(node, np.ndarray):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from arrays(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from arrays(value)


def returned(gradients):
    return [] if gradients is None else list(gradients) if isinstance(gradients, tuple) else [gradients]


@EVERY
def test_float32_in_is_float32_out_forward_and_backward_and_in_the_cache(name):
    layer, inputs = built(name, np.float32)
    y, cache = layer.forward(*inputs, rng=np.random.default_rng(1))
    gradients = layer.backward(upstream(y, np.float32), cache)
    assert all(part.dtype == np.float32 for part in returned(y))
    assert all(dx.dtype == np.float32 for dx in returned(gradients))
    assert all(p.grad.dtype == np.float32 for p in layer.parameters())
    assert all(a.dtype == np.float32 for a in arrays(cache) if a.dtype.kind == "f")


@EVERY
def test_float64_in_is_float64_out(name):
    layer, inputs = built(name, np.float64)
    y, cache = layer.forward(*inputs, rng=np.random.default_rng(1))
    gradients = layer.backward(upstream(y, np.float64), cache)
    assert {a.dtype for a in [*returned(y), *returned(gradients)]} == {np.dtype(np.float64)}


@EVERY
def test_complex_numbers_pass_and_their_real_part_is_the_real_output(name):
    layer, inputs = built(name, np.float64)
    y, _ = layer.forward(*inputs, rng=np.random.default_rng(1))
    complex_layer, complex_inputs = built(name, np.complex128)
    z, _ = complex_layer.forward(*complex_inputs, rng=np.random.default_rng(1))
    for a, b in zip(returned(z), returned(y), strict=True):
        assert a.dtype == np.complex128
        np.testing.assert_allclose(a.real, b, rtol=1e-13, atol=1e-13)
        assert not np.imag(a).any()


@EVERY
def test_nothing_that_was_given_is_mutated(name):
    layer, inputs = built(name, np.float64)
    kept = copy.deepcopy(inputs)
    values = [p.value.copy() for p in layer.parameters()]
    y, cache = layer.forward(*inputs, rng=np.random.default_rng(1))
    y_kept, cache_kept, dy = copy.deepcopy(y), copy.deepcopy(cache), upstream(y, np.float64)
    dy_kept = copy.deepcopy(dy)
    layer.backward(dy, cache)
    pairs = [*zip(inputs, kept), *zip((p.value for p in layer.parameters()), values)]
    pairs += [
        *zip(returned(y), returned(y_kept)),
        *zip(returned(dy), returned(dy_kept)),
        *zip(arrays(cache), arrays(cache_kept)),
    ]
    assert all(np.array_equal(a, b) for a, b in pairs if isinstance(a, np.ndarray))


@EVERY
def test_arrays_that_must_not_be_written_to_are_not(name):
    layer, inputs = built(name, np.float64)
    given = [x.copy() if isinstance(x, np.ndarray) else x for x in inputs]
    for x in [*given, *(p.value for p in layer.parameters())]:
        if isinstance(x, np.ndarray):
            x.flags.writeable = False
    y, cache = layer.forward(*given, rng=np.random.default_rng(1))
    dy = upstream(y, np.float64)
    for a in [*arrays(cache), *returned(dy)]:
        if isinstance(a, np.ndarray):
            a.flags.writeable = False
    layer.backward(dy, cache)


@EVERY
def test_backward_twice_adds_twice_and_returns_the_same(name):
    layer, inputs = built(name, np.float64)
    y, cache = layer.forward(*inputs, rng=np.random.default_rng(1))
    dy = upstream(y, np.float64)
    first = copy.deepcopy(returned(layer.backward(dy, cache)))
    once = [p.grad.copy() for p in layer.parameters()]
    second = returned(layer.backward(dy, cache))
    for a, b in zip(first, second):
        assert np.array_equal(a, b)
    for parameter, grad in zip(layer.parameters(), once):
        np.testing.assert_allclose(parameter.grad, 2.0 * grad, rtol=1e-13, atol=1e-13 * np.abs(grad).max())


@EVERY
def test_two_forwards_before_their_backwards_give_each_its_own_gradient(name):
    layer, inputs = built(name, np.float64)
    others = [x * 0.5 if is_floating(x) else x[::-1].copy() if isinstance(x, np.ndarray) else x for x in inputs]
    runs = []
    for given, seed in ((inputs, 1), (others, 2)):
        layer.zero_grad()
        y, cache = layer.forward(*given, rng=np.random.default_rng(seed))
        dx = copy.deepcopy(returned(layer.backward(upstream(y, np.float64), cache)))
        runs.append((dx, [p.grad.copy() for p in layer.parameters()]))
    layer.zero_grad()
    y_a, cache_a = layer.forward(*inputs, rng=np.random.default_rng(1))
    y_b, cache_b = layer.forward(*others, rng=np.random.default_rng(2))
    dx_a = returned(layer.backward(upstream(y_a, np.float64), cache_a))
    for a, b in zip(dx_a, runs[0][0]):
        assert np.array_equal(a, b)
    dx_b = returned(layer.backward(upstream(y_b, np.float64), cache_b))
    for a, b in zip(dx_b, runs[1][0]):
        assert np.array_equal(a, b)
    for parameter, a, b in zip(layer.parameters(), runs[0][1], runs[1][1]):
        scale = np.abs(a).max() + np.abs(b).max()
        np.testing.assert_allclose(parameter.grad, a + b, rtol=1e-13, atol=1e-13 * scale)


@EVERY
def test_without_a_generator_two_forwards_are_equal(name):
    layer, inputs = built(name, np.float64)
    a, b = (returned(layer.forward(*inputs)[0]) for _ in range(2))
    assert all(map(np.array_equal, a, b))


@EVERY
def test_the_same_seed_drops_the_same_numbers(name):
    layer, inputs = built(name, np.float64)
    a, b = (returned(layer.forward(*inputs, rng=np.random.default_rng(5))[0]) for _ in range(2))
    assert all(map(np.array_equal, a, b))
