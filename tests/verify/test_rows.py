"""What a row of the check says: numbers, places and sentences of each kind of failure, and where a failure begins."""

import numpy as np
import pytest

from minitransformer.layers import Cache, Layer, Parameter
from minitransformer.verify import check, check_directions, check_gradients
from minitransformer.verify.check import _is_same, _near, _wrong_shape
from minitransformer.verify.layer_under_test import (
    LayerUnderTest,
    arrays_in,
    as_list,
    hidden_in,
    is_floating,
    largest,
    random_parameter,
    same,
)

from .test_check import Nan, NotFinite, Scaled, Sign, X


def test_two_gradients_are_near_up_to_rounding_of_the_larger_entries_or_of_a_thousandth():
    one = np.array([1.0, -4.0])
    assert _near(one, one + [0.0, 3.9e-12])
    assert not _near(one, one + [0.0, 4.1e-12])
    assert _near(np.zeros(2), [0.0, 0.9e-15])
    assert not _near(np.zeros(2), [0.0, 1.1e-15])
    assert _near(None, None)
    assert not _near(None, one)
    assert not _near(one, None)
    assert not _near(one, one[:1])
    assert _near([np.nan], [np.nan])


def test_an_attribute_is_the_same_if_it_is_the_object_or_a_plain_equal_value():
    array = np.zeros(2)
    assert _is_same(array, array)
    assert not _is_same(array, array.copy())
    for value in (1000, 2.5, "a b", (1, 2)):
        assert _is_same(value, type(value)(eval(repr(value))))
    assert not _is_same(1, 1.0)
    assert not _is_same(1, True)
    assert not _is_same(1, 2)
    assert not _is_same([1], [1])


@pytest.mark.parametrize(
    ("mine", "sentence"),
    [
        (np.zeros((4, 4)), "its gradient has shape (4, 4)"),
        (np.arange(6.0).reshape(2, 3).T, "its gradient has shape (3, 2): it is the transpose"),
        (np.arange(6.0).reshape(3, 2), "its gradient has shape (3, 2): the numbers are right, a reshape is missing"),
        (np.arange(6.0), "its gradient has shape (6,): the numbers are right, a reshape is missing"),
        (np.arange(6.0)[::-1], "its gradient has shape (6,)"),
        (np.ones((3, 2)), "its gradient has shape (3, 2)"),
        (
            np.arange(6.0).reshape(1, 2, 3),
            "its gradient has shape (1, 2, 3): the numbers are right, a reshape is missing",
        ),
        (
            np.stack([np.arange(6.0).reshape(2, 3)] * 2) / 2,
            "its gradient has shape (2, 2, 3): a sum over axis 0 is missing",
        ),
        (
            np.stack([np.arange(6.0).reshape(2, 3), np.zeros((2, 3))], axis=2),
            "its gradient has shape (2, 3, 2): a sum over axis 2 is missing",
        ),
        (np.ones((2, 3, 2)), "its gradient has shape (2, 3, 2)"),
    ],
)
def test_a_gradient_of_another_shape_says_what_is_missing(mine, sentence):
    assert _wrong_shape(mine, np.arange(6.0).reshape(2, 3)) == sentence


def test_the_first_number_that_is_not_finite_is_shown():
    row = check_gradients(Nan(), X)["x"]
    assert (row.shape, row.index, row.error) == ((3, 5, 7), (1, 2, 3), np.inf)
    assert np.isnan(row.got)
    assert np.isfinite(row.wanted)
    assert row.diagnosis == "1 of 105 entries are not finite, the first at (1, 2, 3)"
    (row,) = check_gradients(NotFinite(), X).rows
    assert (row.name, row.shape, row.index) == ("forward", (3, 5, 7), (0, 1, 2))


@pytest.mark.parametrize(("scale", "of"), [(1.0, "weight"), (1e-9, "layer")])
def test_the_error_is_relative_to_the_tensors_largest_entry_or_a_hundredth_of_the_layers(monkeypatch, scale, of):
    class Off(Layer):
        """y = x + scale * weight, with a mistake in one entry of weight's gradient."""

        def __init__(self):
            self.weight = Parameter(np.ones(7))

        def forward(self, x, rng=None):
            return x + scale * self.weight.value, Cache()

        def backward(self, dy, cache):
            self.weight.grad += scale * dy.sum(axis=(0, 1))
            self.weight.grad[4] += 1e-3 * scale
            return dy

    found = []
    monkeypatch.setattr(check, "diagnose", lambda gradient, thorough: found.append(gradient) or "why")
    row = check_gradients(Off(), X)["weight"]
    x, weight = (np.abs(gradient).max() for gradient in found[0].wanted)
    assert row.index == (4,)
    assert row.got - row.wanted == pytest.approx(1e-3 * scale)
    assert row.error == pytest.approx(1e-3 * scale / (weight if of == "weight" else max(x, weight) / 100))


def test_where_all_gradients_are_zero_the_error_is_the_difference_itself():
    class Nothing(Layer):
        def forward(self, x, rng=None):
            return np.zeros_like(x), Cache(shape=x.shape)

        def backward(self, dy, cache):
            return np.full(cache["shape"], 0.25)

    row = check_gradients(Nothing(), X)["x"]
    assert (row.error, row.got, row.wanted) == (0.25, 0.25, 0.0)


class ManyWrong(Layer):
    """Five parameters of which every gradient is wrong in one entry."""

    def __init__(self):
        self.parts = [Scaled() for _ in range(5)]

    def forward(self, x, rng=None):
        caches = []
        for part in self.parts:
            x, cache = part.forward(x)
            caches.append(cache)
        return x, Cache(parts=tuple(caches))

    def backward(self, dy, cache):
        for part, c in zip(reversed(self.parts), reversed(cache["parts"])):
            dy = part.backward(dy, c)
            part.weight.grad[0] += 1.0
        return dy


def test_slow_symptoms_are_tried_for_the_first_three_failures(monkeypatch):
    asked = []
    monkeypatch.setattr(check, "diagnose", lambda gradient, thorough: asked.append((gradient.name, thorough)) or "why")
    check_gradients(ManyWrong(), X)
    names = [f"parts.{i}.weight" for i in range(5)]
    assert asked == list(zip(names, [True, True, True, False, False]))


def test_a_tolerance_is_reached_by_the_error_itself():
    class Slightly(Scaled):
        def backward(self, dy, cache):
            return super().backward(dy, cache) * (1 + 1e-9)

    error = check_gradients(Slightly(), X)["x"].error
    assert check_gradients(Slightly(), X, tolerance=error)["x"].passed
    assert not check_gradients(Slightly(), X, tolerance=error * (1 - 1e-9))["x"].passed


def test_titles_say_what_was_checked_and_how():
    assert check_gradients(Scaled(), X).title == "Scaled, complex step, tolerance 1e-12"
    assert check_gradients(Scaled(), X, method="central").title == "Scaled, central differences, tolerance 1e-06"
    assert check_gradients(Scaled(), X, tolerance=0.5).title == "Scaled, complex step, tolerance 0.5"
    assert check_directions(Scaled(), X, n=3).title == "Scaled, 112 numbers at once"


def test_the_row_of_directions():
    (row,) = check_directions(Scaled(), X, n=3).rows
    assert (row.name, row.shape, row.passed, row.diagnosis) == ("3 random directions", (3,), True, "")
    assert abs(row.got - row.wanted) == pytest.approx(row.error * abs(row.wanted), rel=10)
    (row,) = check_directions(Sign(), X, n=1).rows
    assert row.diagnosis == "run check_gradients on a small model of this kind: it says which tensor is wrong"
    # One direction: its typical derivative is its own, and got has the other sign in x's part.
    assert row.error == pytest.approx(abs(row.got - row.wanted) / abs(row.wanted))
    assert row.index == (0,)


# ---- parts of the layer under test


def test_random_parameters_are_of_order_one_and_matrices_smaller():
    rng = np.random.default_rng(3)
    draws = np.random.default_rng(3).standard_normal(8)
    assert np.allclose(random_parameter((8,), rng), draws + 0.2)
    for shape, size in (((2, 5), 1.0), ((8, 50), 0.5), ((50, 8), 0.5), ((1, 9), 1.0)):
        drawn = np.random.default_rng(3).standard_normal(shape)
        assert np.allclose(random_parameter(shape, np.random.default_rng(3)), drawn * size)
    assert random_parameter((0, 3), np.random.default_rng(3)).shape == (0, 3)


def test_an_upstream_gradient_has_a_mean_of_a_tenth():
    tested = LayerUnderTest(Scaled(), [X])
    tested.draw_upstream(np.zeros((2, 3)), np.random.default_rng(1))
    assert np.allclose(tested.upstream, np.random.default_rng(1).standard_normal((2, 3)) + 0.1)


def test_other_inputs_have_the_same_shapes_and_other_numbers():
    ids, mask = np.array([[1, 2], [3, 4]]), np.array([True, False])
    tested = LayerUnderTest(TakesAll(), [X, ids, mask, 3, np.array(7)])
    x, other_ids, other_mask, number, scalar = tested.another(np.random.default_rng(1))
    assert np.allclose(x, X + np.random.default_rng(1).standard_normal(X.shape))
    assert other_ids.tolist() == [[3, 4], [1, 2]]
    assert other_mask.tolist() == [False, True]
    assert (number, scalar) == (3, 7)


class TakesAll(Layer):
    def forward(self, *inputs, rng=None):
        return inputs[0], Cache()


def test_inputs_are_named_by_the_signature():
    assert LayerUnderTest(TakesAll(), [X, X]).input_names == ["inputs.0", "inputs.1"]

    class Named(Layer):
        def forward(self, x, *more, rng=None, **options):
            return x, Cache()

    assert LayerUnderTest(Named(), [X, X, X]).input_names == ["x", "more.0", "more.1"]
    assert LayerUnderTest(Named(), [X]).input_names == ["x"]
    assert LayerUnderTest(Scaled(), [X, X]).input_names == ["x", "input.1"]
    assert LayerUnderTest(Named(), [X]).takes_rng
    assert not LayerUnderTest(NoRng(), [X]).takes_rng


class NoRng(Layer):
    def forward(self, x):
        return x, Cache()


@pytest.mark.parametrize("which", ["y", "ids", 1, -1, 2, 0.0])
def test_only_inputs_of_floating_numbers_are_differentiable(which):
    class Both(Layer):
        def forward(self, x, ids):
            return x, Cache()

    with pytest.raises(ValueError, match="must name an input of floating numbers among"):
        LayerUnderTest(Both(), [X, np.array([1])], differentiable=[which])
    assert LayerUnderTest(Both(), [X, np.array([1])], differentiable=[0]).slots == [0]
    assert LayerUnderTest(Both(), [X, X], differentiable=["ids"]).slots == [1]
    assert LayerUnderTest(Both(), [X, X], differentiable=[1]).slots == [1]


def test_small_helpers():
    assert largest(np.array([-3.0, 2.0])) == 3.0
    assert largest(np.zeros(0)) == 0.0
    assert as_list(None) == []
    assert as_list(X)[0] is X
    assert len(as_list((X, X))) == 2
    assert is_floating(X)
    assert not is_floating(1.0)
    assert not is_floating(np.arange(2))
    assert same([np.nan], [np.nan])
    assert not same([0.0], [0.0, 0.0])
    assert not same([0.0], [1.0])
    paths = [path for path, _ in arrays_in({"a": [X, (X, {"b": X})], 3: X, "c": 1.0}, "")]
    assert paths == ["a.0", "a.1.0", "a.1.1.b", "3"]
    assert [path for path, _ in arrays_in([X], "top")] == ["top.0"]


def test_hidden_weights_are_found_once_with_their_path():
    layer = Scaled()
    layer.one = [np.zeros(2)]
    layer.same = layer.one[0]
    layer.ids, layer.word, layer.dtype = np.arange(3), "w", np.float64
    layer.complex = {"a": np.zeros(2, complex)}
    layer.constant = np.zeros(2)
    layer.constant.flags.writeable = False
    assert [path for path, _ in hidden_in(layer)] == ["one.0", "complex.a"]


def test_the_number_of_tensors_named_of_a_dtype_change_is_four():
    class Wide(Scaled):
        def forward(self, x, rng=None):
            return x * self.weight.value, Cache(x=x, **{f"n{i}": np.zeros(2) for i in range(6)})

    said = check_gradients(Wide(), X)["float32 stays float32"].diagnosis
    assert said == "a dtype change: " + ", ".join(f"cache['n{i}'] is float64" for i in range(4))


def test_names_that_two_parameters_have_are_told():
    class Twice(Scaled):
        def named_parameters(self, *args):
            yield "weight", self.weight
            yield "weight", self.other

        def __init__(self):
            super().__init__()
            self.other = Parameter(np.ones(7))

    row = check_gradients(Twice(), X)["parameter names"]
    assert row.diagnosis == "several parameters are called weight"


class Only64(Scaled):
    """Right in float64 and in complex numbers; it raises in float32, in forward or in backward."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def forward(self, x, rng=None):
        if x.dtype == np.float32 and self.where == "forward":
            raise ValueError("no")
        return super().forward(x)

    def backward(self, dy, cache):
        if dy.dtype == np.float32 and self.where == "backward":
            raise ValueError("no")
        return super().backward(dy, cache)


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_layer_that_raises_in_float32_fails(where):
    result = check_gradients(Only64(where), X)
    (row,) = result.failures
    assert (row.name, row.diagnosis) == ("float32 stays float32", "in float32 it raised ValueError: no")


class SecondTime(Scaled):
    """Its second backward does something else."""

    def __init__(self, do):
        super().__init__()
        self.do = do

    def forward(self, x, rng=None):
        y, cache = super().forward(x)
        return y, Cache(x=cache["x"], seen=[0])

    def backward(self, dy, cache):
        cache["seen"][0] += 1
        dx = super().backward(dy, cache)
        return self.do(dx) if cache["seen"][0] == 2 else dx


def fail(dx):
    raise ValueError("once is enough")


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (fail, "the second backward raised ValueError: once is enough"),
        (lambda dx: 2 * dx, "the second backward returned another gradient of x"),
    ],
)
def test_a_second_backward_that_differs_is_told(do, said):
    row = check_gradients(SecondTime(do), X)["backward twice"]
    assert (row.passed, row.diagnosis) == (False, said)


def test_other_inputs_that_do_not_suit_a_layer_are_replaced_by_its_own():
    class Picky(Scaled):
        def forward(self, x, rng=None):
            if not np.array_equal(x.real, X):
                raise ValueError("only this")
            return super().forward(x)

    row = check_gradients(Picky(), X)["used twice"]
    assert (row.passed, row.diagnosis) == (True, "")


def test_a_layer_that_cannot_run_twice_before_its_backward_is_told(monkeypatch):
    run = check.Run(LayerUnderTest(Scaled(), [X]), np.random.default_rng(0))
    forward, calls = Scaled.forward, []

    def once(self, x, rng=None):
        calls.append(x)
        if len(calls) > 1:
            raise ValueError("still waiting")
        return forward(self, x)

    monkeypatch.setattr(Scaled, "forward", once)
    row = run._forward_in_between(np.random.default_rng(0))
    said = "another forward before the backward, and it raised ValueError: still waiting"
    assert (row.name, row.passed, row.diagnosis) == ("used twice", False, said)
    assert len(calls) == 3  # other inputs, then its own


class Several(Layer):
    """y = a + b, whose backward returns what it is told to."""

    def __init__(self, returned):
        self.returned = returned

    def forward(self, a, b):
        return a + b, Cache()

    def backward(self, dy, cache):
        return self.returned(dy)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda dy: (dy, dy), ""),
        (lambda dy: (dy, dy, dy), "3 gradients: it must return 2, for a, b"),
        (lambda dy: (dy,), "1 gradients: it must return 2, for a, b"),
        (lambda dy: dy, "a ndarray: it must return a tuple of 2, for a, b"),
        (lambda dy: [dy, dy], "a list: it must return a tuple of 2, for a, b"),
    ],
)
def test_several_inputs_get_a_tuple(returned, said):
    row = check_gradients(Several(returned), X, X)["what backward returns"]
    assert (row.passed, row.diagnosis) == (not said, said)


def test_no_input_gets_nothing():
    class OfIds(Layer):
        def __init__(self, returned):
            self.table, self.returned = Parameter(np.ones((4, 2))), returned

        def forward(self, ids):
            return self.table.value[ids], Cache(ids=ids)

        def backward(self, dy, cache):
            np.add.at(self.table.grad, cache["ids"], dy)
            return self.returned

    ids = np.array([[1, 2], [3, 1]])
    assert check_gradients(OfIds(None), ids).passed
    row = check_gradients(OfIds(ids), ids)["what backward returns"]
    assert row.diagnosis == "there is no input to differentiate, so it must return None"


def test_a_gradient_of_whole_numbers_is_told():
    class Whole(Scaled):
        def backward(self, dy, cache):
            super().backward(dy, cache)
            return np.ones(dy.shape, np.int64)

    assert check_gradients(Whole(), X)["x"].diagnosis == "its gradient is of dtype int64"


def test_directions_name_a_gradient_of_another_shape():
    class Cut(Scaled):
        def backward(self, dy, cache):
            return super().backward(dy, cache)[0]

    (row,) = check_directions(Cut(), X, n=2).rows
    assert (row.name, row.passed) == ("2 random directions", False)
    assert row.diagnosis == "the gradient of x has shape (5, 7), not (3, 5, 7)"
