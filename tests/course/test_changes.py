"""The one thing that is changed in a solution: for every form of code, each change and its words."""

import ast

import numpy as np
import pytest

from minitransformer.course import causes
from minitransformer.course.attempts import Attempt
from minitransformer.course.causes import _changes, _same_part, registered, same

from .examples import SOFTMAX, batch_mean, no_sum, softmax_backward

TERM, FACTOR = "a term is missing", "a factor is missing"
TURNED = "a factor of a matrix product is transposed, or not transposed, against the rule"
PLACE = "a slice begins or ends one place off"
LOOP = "a loop goes one step too far, or not far enough"
AXIS = "a sum, a mean or the like runs over the wrong axis"
CHANGES = {
    "p + q": [
        ("a sign: a term is subtracted that must be added", "p - q"),
        (TERM, "p"),
        (TERM, "q"),
    ],
    "p - q": [
        ("a sign: a term is added that must be subtracted", "p + q"),
        (TERM, "p"),
        (TERM, "-q"),
        (TERM, "q"),
        ("a difference is the wrong way round", "q - p"),
    ],
    "x + p": [
        ("a sign: a term is subtracted that must be added", "x - p"),
        (TERM, "x"),
        ("a term, x is missing", "p"),
    ],
    "p * q": [
        (FACTOR, "p"),
        (FACTOR, "q"),
        ("it divides where it must multiply", "p / q"),
        ("a factor is there once too often", "p * q * q"),
        ("a factor is there once too often", "p * q * p"),
    ],
    "p / q": [
        ("a division is missing", "p"),
        ("only what it divides by is left of a quotient", "q"),
        ("it multiplies where it must divide", "p * q"),
        ("a quotient is upside down", "q / p"),
    ],
    "p // x": [
        ("a division, x is missing", "p"),
        ("only what it divides by is left of a quotient", "x"),
        ("it multiplies where it must divide", "p * x"),
        ("a quotient is upside down", "x // p"),
    ],
    "p ** 2": [("a power is missing", "p"), ("an exponent has the wrong sign", "p ** (-2)")],
    "p ** 0.5": [
        ("a root is missing", "p"),
        ("an exponent has the wrong sign", "p ** (-0.5)"),
        ("a division by sqrt(n) is one by n", "p ** 0.5 * p ** 0.5"),
    ],
    "p ** -0.5": [
        ("a root is missing", "p"),
        ("an exponent has the wrong sign", "p ** (--0.5)"),
        ("a division by sqrt(n) is one by n", "p ** (-0.5) * p ** (-0.5)"),
    ],
    "p @ q.T": [
        ("the two factors of a matrix product stand in the wrong order", "q.T @ p"),
        ("a matrix product where each entry has its own product", "p * q.T"),
        (TURNED, "p.swapaxes(-1, -2) @ q.T"),
        (TURNED, "p @ q"),
    ],
    "p.swapaxes(0, 1) @ q": [
        ("the two factors of a matrix product stand in the wrong order", "q @ p.swapaxes(0, 1)"),
        ("a matrix product where each entry has its own product", "p.swapaxes(0, 1) * q"),
        (TURNED, "p @ q"),
        (TURNED, "p.swapaxes(0, 1) @ q.swapaxes(-1, -2)"),
    ],
    "-p": [("a sign: a minus is missing", "p")],
    "-0.5": [("a sign: a number must be negative", "0.5")],
    "-1": [],
    "p.T": [
        ("a transpose is missing", "p"),
        ("a reshape where axes must be transposed", "p.reshape(p.T.shape)"),
    ],
    "p.swapaxes(1, 2)": [
        ("a transpose is missing: axes are not swapped", "p"),
        ("a reshape where axes must be swapped", "p.reshape(p.swapaxes(1, 2).shape)"),
    ],
    "p.transpose(1, 0)": [
        ("a transpose is missing: axes are not swapped", "p"),
        ("a reshape where axes must be swapped", "p.reshape(p.transpose(1, 0).shape)"),
    ],
    "p.sum(0)": [
        ("a sum is missing", "p"),
        ("the mean of an axis where its sum is needed", "p.mean(0)"),
    ],
    "p.mean(axis=1)": [
        ("a mean is missing", "p"),
        ("the sum of an axis where its mean is needed", "p.sum(axis=1)"),
    ],
    "p.max()": [("a max is missing", "p")],
    "np.exp(p)": [("exp is missing", "p")],
    "np.sqrt(p)": [("a root is missing", "p")],
    "np.abs(p)": [("abs is missing", "p")],
    "np.sin(p)": [("a cos stands where a sin belongs", "np.cos(p)")],
    "np.cos(p)": [("a sin stands where a cos belongs", "np.sin(p)")],
    "np.where(p, q, r)": [("the two cases of np.where are exchanged", "np.where(p, r, q)")],
    "reversed(p)": [("`reversed` is missing: it goes in the wrong order", "p")],
    "sorted(p, key=len)": [("`sorted` is missing: it goes in the wrong order", "p")],
    "min(p, q)": [("max where it must be min", "max(p, q)")],
    "max(p, q)": [("min where it must be max", "min(p, q)")],
    "p < q": [("the border of a comparison", "p <= q"), ("a comparison is the wrong way round", "p > q")],
    "p <= q": [("the border of a comparison", "p < q"), ("a comparison is the wrong way round", "p >= q")],
    "p > q": [("the border of a comparison", "p >= q"), ("a comparison is the wrong way round", "p < q")],
    "p >= q": [("the border of a comparison", "p > q"), ("a comparison is the wrong way round", "p <= q")],
    "p == q": [("the border of a comparison", "p != q")],
    "p != q": [("the border of a comparison", "p == q")],
    "p is q": [],
    "range(p)": [(LOOP, "range(p + 1)"), (LOOP, "range(p + -1)")],
    "range(1, p)": [
        (LOOP, "range(1 + 1, p)"),
        (LOOP, "range(1 + -1, p)"),
        (LOOP, "range(1, p + 1)"),
        (LOOP, "range(1, p + -1)"),
    ],
    "p[0]": [("an index is one place off", "p[0 + 1]"), ("an index is one place off", "p[0 + -1]")],
    "p[i + 1]": [("an index is one place off", "p[i + 1 + 1]"), ("an index is one place off", "p[i + 1 + -1]")],
    "p[q]": [],
    "(p, q)": [("two results, or two axes, are exchanged", "(q, p)")],
    "(p, q, r)": [],
    "x": [("y stands where x belongs", "y"), ("z stands where x belongs", "z")],
    "p": [],
    "0.5": [("a constant: 0.5 is another number", "1.0")],
    "1.0": [],
    "0.0": [],
    "3": [],
}
STATEMENTS = {
    "p += q": [
        ("it assigns where it must add", "p = q"),
        ("a part is missing that is to be added", "pass"),
        ("a sign: it subtracts where it must add", "p -= q"),
    ],
    "p *= q": [("it assigns where it must add", "p = q"), ("a part is missing that is to be added", "pass")],
    "p.append(q)": [("a part is missing that is to be added or written", "pass")],
}
PARTS = {  # of a subscript, and of a call
    "p[::-1]": [("something is not turned round, or the wrong way round", "::1")],
    "p[1:]": [(PLACE, "1 + 1:"), (PLACE, "1 + -1:")],
    "p[:n]": [(PLACE, ":n + 1"), (PLACE, ":n + -1")],
    "p[1:n:2]": [(PLACE, "1 + 1:n:2"), (PLACE, "1 + -1:n:2"), (PLACE, "1:n + 1:2"), (PLACE, "1:n + -1:2")],
    "f(axis=-1)": [(AXIS, f"axis={axis}") for axis in (-2, 0, 1, 2, None)],
    "f(axis=0)": [(AXIS, f"axis={axis}") for axis in (-1, -2, 1, 2, None)],
    "f(axis=None)": [(AXIS, f"axis={axis}") for axis in (-1, -2, 0, 1, 2)],
    "f(keepdims=True)": [],
}


def changes(node):
    return [(words, ast.unparse(ast.fix_missing_locations(new))) for words, new in _changes(node, ("x", "y", "z"))]


@pytest.mark.parametrize("code", CHANGES)
def test_an_expression_is_changed_in_one_place(code):
    assert changes(ast.parse(code).body[0].value) == CHANGES[code]


@pytest.mark.parametrize("code", STATEMENTS)
def test_a_statement_is_changed_in_one_place(code):
    assert changes(ast.parse(code).body[0]) == STATEMENTS[code]


@pytest.mark.parametrize("code", PARTS)
def test_a_slice_or_an_axis_is_changed_in_one_place(code):
    node = ast.parse(code).body[0].value
    assert changes(node.slice if isinstance(node, ast.Subscript) else node.keywords[0]) == PARTS[code]


# ---- which of the candidates it is


def attempts(function, n=2):
    cases = SOFTMAX.cases(np.random.default_rng(0))
    return cases, [Attempt(function(*case)) for case in cases[:n]]


def test_a_registered_answer_is_known_by_all_of_its_outputs():
    assert registered(SOFTMAX, *attempts(no_sum)) == "Forgets that the entries of a row share their sum"
    assert registered(SOFTMAX, *attempts(batch_mean)) == "Divides by the batch"
    assert registered(SOFTMAX, *attempts(softmax_backward)) == ""
    assert registered(SOFTMAX, *attempts(no_sum, n=1)) == ""  # it did not return for all
    cases, both = attempts(no_sum)
    assert registered(SOFTMAX, cases, [both[0], Attempt(batch_mean(*cases[1]))]) == ""
    assert registered(SOFTMAX, cases, [both[0], Attempt(None, "exception")]) == ""


def test_the_first_output_that_is_wrong_has_to_be_as_wrong():
    a, b, c = np.zeros(2), np.ones(2), np.full(2, 2.0)
    assert _same_part(SOFTMAX, (a, c), (a, c), (a, b))
    assert _same_part(SOFTMAX, [c, a], (c, b), (a, b))
    assert not _same_part(SOFTMAX, (a, c), (a, b), (a, b))
    assert not _same_part(SOFTMAX, (a, b), (a, b), (a, b))
    assert not _same_part(SOFTMAX, (a,), (a, c), (a, b))
    assert not _same_part(SOFTMAX, (a, c), (a, c, c), (a, b))
    assert not _same_part(SOFTMAX, c, c, b)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1.0, 1.0 + 1e-12, True),
        (1.0, 1.0 + 1e-6, False),
        (np.ones(2), np.ones((2, 1)), False),
        ({"a": 1.0}, {"a": 1.0}, True),
        ({"a": 1.0}, {"b": 1.0}, False),
        ({"a": 1.0}, {"a": 2.0}, False),
        ([1.0, 2.0], (1.0, 2.0), True),
        ([1.0], [1.0, 1.0], False),
        ("a", "a", True),
        ("a", "b", False),
        ("1", 1, False),
        (None, None, True),
        (None, 0, False),
        (np.array(["a"]), np.array(["a"]), True),
        (np.array(["a"]), np.array(["b"]), False),
        (np.array([1]), np.array(["1"]), False),
        ([[1], [1, 2]], np.ones(2), False),
    ],
)
def test_outputs_are_the_same_in_form_and_to_rounding(a, b, equal):
    assert same(a, b) == equal
    assert same(b, a) == equal


def test_a_changed_solution_is_a_function_that_runs():
    found = causes._neighbours(SOFTMAX)
    words = [words for words, _ in found]
    assert "a sign: a term is added that must be subtracted" in words
    case = SOFTMAX.cases(np.random.default_rng(0))[0]
    sign = found[words.index("a sign: a term is added that must be subtracted")][1]
    dy, y = case
    assert np.allclose(sign(dy, y), y * (dy + (dy * y).sum(axis=-1, keepdims=True)))
    assert np.allclose(SOFTMAX.solution(dy, y), y * (dy - (dy * y).sum(axis=-1, keepdims=True)))
