"""Layers as other people write them: the check sees their weights, or says what it cannot see. It never just passes."""

import types
from typing import NamedTuple

import numpy as np
import pytest

from minitransformer.layers import Cache, Dropout, Layer, Linear, Parameter
from minitransformer.verify import check_gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 5))


def weight(*shape):
    return Parameter(RNG.standard_normal(shape or (5,)))


class Scale(Layer):
    """y = w * x, with w wherever `w` of a subclass says. Its backward forgets dw unless `right`."""

    right = True

    def w(self):
        raise NotImplementedError

    def forward(self, x, rng=None):
        return x * self.w().value, Cache(x=x)

    def backward(self, dy, cache):
        if self.right:
            self.w().grad += (dy * cache["x"]).sum(axis=0)
        return dy * self.w().value


class InAListOfLists(Scale):
    def __init__(self):
        self.weights = [[weight()]]

    def w(self):
        return self.weights[0][0]


class InADict(Scale):
    def __init__(self):
        self.weights = {"scale": {"inner": weight()}}

    def w(self):
        return self.weights["scale"]["inner"]


class Pair(NamedTuple):
    first: Parameter
    second: int


class InANamedTuple(Scale):
    def __init__(self):
        self.pair = Pair(weight(), 2)

    def w(self):
        return self.pair.first


class SetLate(Scale):
    def __init__(self):
        pass

    def w(self):
        return self.late


class InAnObject(Scale):
    def __init__(self):
        self.box = types.SimpleNamespace(weight=weight())

    def w(self):
        return self.box.weight


class InASet(Scale):
    def __init__(self):
        self.weights = {weight()}

    def w(self):
        return next(iter(self.weights))


class LayerInAnObject(Scale):
    def __init__(self):
        self.box = types.SimpleNamespace(inner=InADict())

    def w(self):
        return self.box.inner.w()


def late():
    layer = SetLate()
    layer.late = weight()
    return layer


SEEN = {"a list of lists": InAListOfLists, "a dict of dicts": InADict, "a NamedTuple": InANamedTuple, "set late": late}


@pytest.mark.parametrize("build", SEEN.values(), ids=SEEN)
def test_parameters_in_containers_of_any_depth_are_checked(build):
    layer = build()
    result = check_gradients(layer, X)
    assert result.passed, result
    assert sum(row.shape == (5,) for row in result.rows) == 1
    layer.right = False
    wrong = check_gradients(layer, X)
    assert "adds" in wrong.failures[0].diagnosis


@pytest.mark.parametrize(
    ("build", "where"),
    [
        (InAnObject, "box.weight is a Parameter"),
        (InASet, "weights.0 is a Parameter"),
        (LayerInAnObject, "box.inner is a"),
    ],
)
def test_parameters_where_nobody_looks_are_named(build, where):
    (row,) = check_gradients(build(), X).failures
    assert row.diagnosis.startswith(where)
    assert "that the layer does not show: keep it in an attribute" in row.diagnosis


class PlainArray(Layer):
    """The weight is a plain array: backward has nowhere to put its gradient."""

    def __init__(self, writeable=True):
        self.scale = RNG.standard_normal(5).astype(np.float32)
        self.scale.flags.writeable = writeable

    def forward(self, x, rng=None):
        return x * self.scale, Cache()

    def backward(self, dy, cache):
        return dy * self.scale


def test_a_float_array_on_the_layer_is_named_with_what_to_do():
    (row,) = check_gradients(PlainArray(), X).failures
    assert row.diagnosis == (
        "scale is a float array: make it a Parameter, or, if it is a constant, read-only "
        "(array.flags.writeable = False)"
    )


def test_a_read_only_array_is_a_constant():
    assert check_gradients(PlainArray(writeable=False), X).passed


def test_a_float_array_in_a_list_in_a_dict_is_named_too():
    layer = PlainArray(writeable=False)
    layer.tables = {"a": [1, np.ones(3)]}
    assert check_gradients(layer, X).failures[0].diagnosis.startswith("tables.a.1 is a float array")


def closed_over():
    w = RNG.standard_normal(5)

    class Closed(Layer):
        def forward(self, x, rng=None):
            return x * w, Cache()

        def backward(self, dy, cache):
            return dy * w

    return Closed()


def test_weights_that_forward_was_closed_over_are_named():
    assert check_gradients(closed_over(), X).failures[0].diagnosis.startswith("forward's own w is a float array")


def functional():
    """forward and backward are functions that were set on the object."""
    w = weight()
    layer = Layer()
    layer.forward = lambda x, rng=None: (x * w.value, Cache(x=x))
    layer.backward = lambda dy, cache: dy * w.value
    return layer


def test_a_layer_of_functions_with_a_parameter_of_their_own_does_not_pass():
    (row,) = check_gradients(functional(), X).failures
    assert "forward's own w is a Parameter that the layer does not show" in row.diagnosis


class Twice(Scale):
    """One weight under two names."""

    def __init__(self):
        self.a = self.b = weight()

    def w(self):
        return self.b


def test_a_weight_that_two_attributes_share_is_one_tensor():
    result = check_gradients(Twice(), X)
    assert result.passed
    assert [row.name for row in result.rows if row.shape == (5,)] == ["a"]


class Lazy(Scale):
    def w(self):
        if not hasattr(self, "lazy"):
            self.lazy = weight()
        return self.lazy


def test_parameters_of_the_first_forward_are_named():
    (row,) = check_gradients(Lazy(), X).failures
    assert row.diagnosis == "forward created lazy: a layer's parameters are created in __init__"


@pytest.mark.parametrize("dtype", [complex, int, bool], ids=lambda dtype: dtype.__name__)
def test_weights_that_are_no_floating_numbers_are_refused(dtype):
    layer = Twice()
    layer.a = layer.b = Parameter(np.ones(5, dtype))
    (row,) = check_gradients(layer, X).failures
    assert "weights are real floating numbers" in row.diagnosis


class Frozen(Scale):
    right = False

    def __init__(self):
        self.fixed = weight()

    def w(self):
        return self.fixed


def test_a_frozen_parameter_passes_when_it_is_said_to_be_one_and_is_shown_as_that():
    assert not check_gradients(Frozen(), X).passed
    result = check_gradients(Frozen(), X, frozen=["fixed"])
    assert result.passed
    assert result["fixed"].diagnosis == "frozen: its gradient stays zero"
    trained = Frozen()
    trained.right = True
    assert "backward gave it a gradient" in check_gradients(trained, X, frozen=["fixed"])["fixed"].diagnosis
    with pytest.raises(ValueError, match="frozen='w': the layer has fixed"):
        check_gradients(Frozen(), X, frozen=["w"])


class Ignores(Layer):
    """The output does not depend on the second input."""

    def forward(self, x, z, rng=None):
        return 2.0 * x, Cache(like=np.zeros_like(z))

    def backward(self, dy, cache):
        return 2.0 * dy, cache["like"].copy()


def test_an_input_that_the_output_ignores_passes_with_a_note():
    result = check_gradients(Ignores(), X, RNG.standard_normal((2, 2)))
    assert result.passed
    assert result["z"].diagnosis.startswith("note: the output does not depend on it")
    assert "note:" in repr(result)
    assert not result["x"].diagnosis


def test_an_input_without_entries_does_not_pass():
    result = check_gradients(Ignores(), X, np.zeros((0, 2)))
    assert "it has no entries" in result["z"].diagnosis
    assert not result.passed


def test_an_output_without_entries_does_not_pass():
    (row,) = check_gradients(Linear(5, 2, RNG), np.zeros((0, 5))).failures
    assert row.diagnosis == "the output has no entries: there is nothing to check"


class OwnDice(Layer):
    def forward(self, x, rng=None):
        keep = np.random.default_rng().random(x.shape) < 0.5
        return x * keep, Cache(keep=keep)

    def backward(self, dy, cache):
        return dy * cache["keep"]


def test_random_numbers_from_elsewhere_are_diagnosed_as_that():
    (row,) = check_gradients(OwnDice(), X).failures
    assert row.diagnosis.startswith("two calls with the same rng differ")
    assert check_gradients(Dropout(0.5), X).passed


class Counter(Layer):
    """State that is kept on the layer, which is no randomness."""

    def __init__(self):
        self.calls = 0

    def forward(self, x, rng=None):
        self.calls += 1
        return x * self.calls, Cache(n=self.calls)

    def backward(self, dy, cache):
        return dy * cache["n"]


def test_state_on_the_layer_is_not_taken_for_randomness():
    result = check_gradients(Counter(), X)
    assert not result.passed
    assert any("a call wrote to self (calls)" in row.diagnosis for row in result.failures)
    assert not any("rng" in row.diagnosis for row in result.failures)
