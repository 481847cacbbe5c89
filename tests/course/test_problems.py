"""What is said of an output, kind by kind and letter by letter; where right ends and wrong begins."""

from dataclasses import replace

import numpy as np
import pytest

from minitransformer.course import problems
from minitransformer.course.exercise import Exercise
from minitransformer.course.problems import Problem, compare, compare_dtypes, describe, wrong_entries

from .examples import SOFTMAX, no_sum


def returns(wanted):
    """An exercise whose result has this value and is called y, or y and z."""

    def one(x):
        y = wanted
        return y

    def pair(x):
        y, z = wanted
        return y, z

    solution = pair if isinstance(wanted, tuple) and not isinstance(wanted[0], int) else one
    solution.__name__, solution.__doc__ = "one", "Of x (n)."
    effort = {"difficulty": 1, "importance": 1, "minutes": 1}
    return Exercise("one", "01", solution, lambda rng: [(np.ones(3),)], (no_sum,) * 3, ("a", "b", "c"), False, **effort)


def said(got, wanted):
    """(stage, message, got and wanted) of the first problem."""
    problem = compare(returns(wanted), (np.ones(3),), got, wanted)
    return None if problem is None else (problem.stage, problem.message, tuple(text for _, text in problem.details))


A = np.zeros((2, 3))
ARRAY = "array (2, 3) float64"


@pytest.mark.parametrize(
    ("got", "wanted", "stage", "message", "details"),
    [
        (None, A, "type", "It returns None: is the `return` missing?", ("None", ARRAY)),
        ((A, None), (A, A), "type", "z is None.", ("None", ARRAY)),
        (
            A,
            (A, A),
            "type",
            "It returns an array of shape (2, 3), wanted 2 results: y, z.",
            (ARRAY, f"({ARRAY}, {ARRAY})"),
        ),
        ((A,), (A, A), "type", "It returns 1 results, wanted 2: y, z.", (f"({ARRAY})", f"({ARRAY}, {ARRAY})")),
        (3, {"a": 1, "b": 2}, "type", "the output is an int, wanted a dict with keys a, b.", ("3", "{a: 1, b: 2}")),
        ({}, {"a": 1, "b": 2}, "type", "the output has keys none, wanted a, b.", ("{}", "{a: 1, b: 2}")),
        ({"c": 1, "a": 2}, {"a": 1}, "type", "the output has keys a, c, wanted a.", ("{c: 1, a: 2}", "{a: 1}")),
        ({"a": "x"}, {"a": 1}, "type", "a is a str, wanted a number.", ("'x'", "1")),
        (1.0, A, "type", "the output is a float, wanted an array.", ("1.0", ARRAY)),
        ([1], A, "type", "the output is a list, wanted an array. np.array(...) makes one of it.", ("[1]", ARRAY)),
        (A.astype(object), A, "type", "the output is an array of Python objects (object), wanted float64.", None),
        (A + 0j, A, "type", "the output is complex, wanted float64.", None),
        ("a", 1.5, "type", "the output is a str, wanted a number.", ("'a'", "1.5")),
        (np.ones(1), 1.5, "shape", "the output is an array of shape (1,), wanted one number.", None),
        (1, "a", "type", "the output is an int, wanted a string.", ("1", "'a'")),
        ("a", [1], "type", "the output is a str, wanted a list.", ("'a'", "[1]")),
        (np.array(1), [1], "type", "the output is an array of shape (), wanted a list.", None),
        (np.zeros((3, 2)), A, "shape", "y has shape (3, 2), wanted (2, 3): it looks transposed.", None),
        ([1, 2, 3], [1, 2], "shape", "y has 3 entries, wanted 2.", ("[1, 2, 3]", "[1, 2]")),
        (
            np.array([1.0, np.nan, np.nan]),
            np.ones(3),
            "nan",
            "y is NaN at [1], and so are 1 other entries of 3.",
            ("1",),
        ),
        (np.array([1.0, np.inf, 1.0]), np.ones(3), "nan", "y is infinite at [1].", ("1",)),
        (np.array([1.0, -np.inf, np.nan]), np.ones(3), "nan", "y is NaN at [2].", ("1",)),
        (np.nan, 2.5, "nan", "y is NaN.", ("2.5",)),
        ("b", "a", "value", "y is another text.", ("'b'", "'a'")),
        ([1, 5, 3], [1, 2, 4], "value", "y differs first at position 1.", ("[1, 5, 3]", "[1, 2, 4]")),
        ([[1], [2, 3]], [[1], [2]], "value", "y[1] is not right.", ("[2, 3]", "[2]")),
        ([[1], 5], [[1], [2]], "value", "y[1] is not right.", ("5", "[2]")),
        ([[1], [3]], [[1], [2]], "value", "y[1] differs first at position 0.", ("[3]", "[2]")),
        (1.5, 2.5, "value", "y is not right.", ("1.5", "2.5")),
        (
            A + [[0, 1, 0], [0, 3, 0]],
            A,
            "value",
            "y: 2 of 6 entries are not right, the worst is at [1, 1].",
            ("3", "0"),
        ),
        (
            np.array([True, True]),
            np.array([True, False]),
            "value",
            "y: 1 of 2 entries are not right, the worst is at [1].",
            ("True", "False"),
        ),
        (
            np.array(["a", "x"]),
            np.array(["a", "b"]),
            "value",
            "y: 1 of 2 entries are not right, the worst is at [1].",
            ("x", "b"),
        ),
        (np.ones(2, np.int64), np.ones(2), "dtype", "y is int64, wanted float64.", ("int64", "float64")),
        (np.ones(2, np.float32), np.ones(2), "dtype", "y is float32, wanted float64.", ("float32", "float64")),
        (np.ones(2), np.ones(2, np.int64), "dtype", "y is float64, wanted int64.", ("float64", "int64")),
    ],
)
def test_the_first_problem_of_an_output_is_told(got, wanted, stage, message, details):
    found = said(got, wanted)
    assert found[:2] == (stage, message)
    if details is not None:
        assert found[2] == details


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (np.ones(2, np.int32), np.ones(2, np.int64)),
        (np.ones(2, np.uint8), np.ones(2, np.int64)),
        (True, 1),
        (np.array(2), 2),
        ((1, 2, 3), [1, 2, 3]),
        (np.array([1, 2]), [1, 2]),
        ([np.ones(2), 1], (np.ones(2), 1)),
        ((5, 6), (5, 6)),
        (np.array([np.nan, 1.0]), np.array([np.nan, 1.0])),
        (np.array([np.inf, 1.0]), np.array([np.inf, 1.0])),
        (np.float64(1.0), np.array(1.0)),
    ],
)
def test_what_is_right_in_another_form_is_right(got, wanted):
    assert said(got, wanted) is None


@pytest.mark.parametrize(
    ("got", "wanted", "words"),
    [
        ((3, 2), (2, 3), ": it looks transposed."),
        ((2, 4, 3), (2, 3, 4), ": it looks transposed, the axes are in another order."),
        ((2, 3), (2, 1, 3), ": an axis of size 1 is missing, keepdims=True?"),
        ((2, 1, 3), (2, 3), ": an axis of size 1 too many."),
        ((5, 2, 3), (2, 3), ": its first axis is yet to be summed over."),
        ((4, 5, 2, 3), (2, 3), ": its first axes are yet to be summed over."),
        ((3, 4), (2, 3, 4), ": summed over an axis that stays?"),
        ((2, 4), (2, 3, 4), ": an axis that stays is gone."),
        ((2, 3), (2, 3, 4), ": an axis that stays is gone."),
        ((6, 4), (2, 3, 4), ": the right number of entries, a reshape is missing."),
        ((5,), (2, 3), "."),
        ((2, 5), (2, 3), "."),
    ],
)
def test_a_shape_is_told_with_what_it_looks_like(got, wanted, words):
    stage, message, details = said(np.zeros(got), np.zeros(wanted))
    assert (stage, message) == ("shape", f"y has shape {got}, wanted {wanted}{words}")
    assert details == (f"array {got} float64", f"array {wanted} float64")


@pytest.mark.parametrize(
    ("right", "off", "wrong"),
    [
        ([1.0, 4.0], 1.3e-8, False),  # of the entry 1e-8, and of the largest 1e-9: 1e-8 + 4e-9
        ([1.0, 4.0], 1.5e-8, True),
        ([0.0, 4.0], 3.9e-9, False),
        ([0.0, 4.0], 4.1e-9, True),
        ([0.0, 1e6], 0.99e-8, False),  # a tensor's size counts up to 10
        ([0.0, 1e6], 1.01e-8, True),
        ([0.0, 0.0], 0.99e-12, False),  # and from a thousandth
        ([0.0, 0.0], 1.01e-12, True),
        ([0.0, np.inf], 0.99e-12, False),
        ([0.0, np.inf], 1.01e-12, True),
        ([0.0, -4.0], 3.9e-9, False),
    ],
)
def test_an_entry_is_wrong_from_the_ninth_digit_on(right, off, wrong):
    right = np.array(right)
    mine = right + [off, 0.0]
    found, distance = wrong_entries(mine, right)
    assert found.tolist() == [wrong, False]
    assert distance[0] == pytest.approx(off, rel=1e-4)
    assert distance[1] == 0.0


def test_what_is_not_finite_is_equal_or_infinitely_far():
    mine = np.array([np.inf, np.inf, np.nan, np.nan, 1.0])
    wrong, distance = wrong_entries(mine, np.array([np.inf, -np.inf, np.nan, 1.0, np.nan]))
    assert wrong.tolist() == [False, True, False, True, True]
    assert distance.tolist() == [0.0, np.inf, 0.0, np.inf, np.inf]
    wrong, distance = wrong_entries(np.array([1, 2]), np.array([1, 5]))
    assert (wrong.tolist(), distance.tolist()) == ([False, True], [0.0, 1.0])


def test_values_are_described_in_a_few_words():
    assert describe(A) == ARRAY
    assert describe((1,) * 6) == "(1, 1, 1, 1, 1, 1)"
    assert describe((A,) * 6) == f"({', '.join([ARRAY] * 6)})"
    assert describe((1, A) * 4).startswith("(1, array([[")
    assert describe(dict.fromkeys(range(8), A)).count(ARRAY) == 8
    assert describe(dict.fromkeys(range(9), A)).count(ARRAY) == 0
    assert describe("a") == "'a'"
    assert problems._a(3) == "an int"
    assert problems._a(1.5) == "a float"
    assert problems._a(A) == "an array of shape (2, 3)"


def test_dtypes_are_compared_of_arrays_alone_and_by_kind():
    f4, f8, i4, u8, b = (np.ones(1, kind) for kind in ("f4", "f8", "i4", "u8", "b1"))
    for got, wanted, wrong in (
        *((f4, f8, True), (f8, f4, True), (f8, f8, False), (i4, u8, False), (u8, i4, False), (i4, f8, True)),
        *((b, i4, True), (i4, b, True), (b, b, False), (1.0, f8, False), (f8, 1.0, False)),
    ):
        assert (compare_dtypes("y", got, wanted) is not None) == wrong, (got, wanted)


# ---- reasons and places


def explained(function, exercise=SOFTMAX):
    (case, *_) = exercise.cases(np.random.default_rng(0))
    wanted = exercise.solution(*case)
    problem = compare(exercise, case, function(wanted, *case), wanted)
    return problem.why, problem.place


def test_reasons_and_places_come_from_the_numbers():
    gold = {
        "it is zero everywhere": lambda dx, dy, y: dx * 0,
        "the sign: got is -1 times wanted in every entry": lambda dx, dy, y: -dx,
        "got / wanted is 0.333333 in every entry, which is 1/B (= 1/3)": lambda dx, dy, y: dx / 3,
        "got / wanted is 2.64575 in every entry, which is sqrt(S) (= sqrt(7))": lambda dx, dy, y: dx * 7**0.5,
        "a factor is missing: got times y is what was wanted": lambda dx, dy, y: dx / y,
        "a factor too many: got is what was wanted times y": lambda dx, dy, y: dx * y,
        "a factor too many: got is what was wanted times dy": lambda dx, dy, y: dx * dy,
        "got has the upstream gradient once too often": lambda dx, dy, y: dx + dy,
        "shifted by one along axis 2": lambda dx, dy, y: np.roll(dx, 1, axis=2),
    }
    for words, function in gold.items():
        assert explained(function)[0] == words
    assert explained(lambda dx, dy, y: dx + [[[1.0]], [[0.0]], [[0.0]]]) == ("", PLACE_OF_A_ROW)
    assert explained(lambda dx, dy, y: dx[:, :, ::-1])[1].startswith("the right numbers in the wrong order")


PLACE_OF_A_ROW = "off by the same amount all along axis 1: a mean or a sum over it is missing"


def test_one_number_has_no_constant_factor():
    assert compare(returns(2.0), (np.ones(3),), 6.2468, 2.0).why == ""
    assert compare(returns(2.0), (np.ones(3),), -2.0, 2.0).why.startswith("the sign")


def test_the_upstream_gradient_is_the_argument_of_its_name_and_shape():
    case = SOFTMAX.cases(np.random.default_rng(0))[0]
    output = np.ones((3, 5, 7))
    assert problems._Arguments(SOFTMAX, case, ["dx"], output).upstream is case[0]
    assert np.isnan(problems._Arguments(SOFTMAX, case, ["dx"], output[:2]).upstream).all()


def test_a_problem_is_a_record_with_empty_defaults():
    problem = Problem("value", "words")
    assert (problem.details, problem.why, problem.place) == ((), "", "")
    assert replace(problem, why="a") != problem
