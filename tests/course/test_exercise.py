"""What is made of an exercise: what stands above its stub, what gives it away, its names and shapes; and its judge."""

import ast
from dataclasses import replace

import numpy as np
import pytest

from minitransformer.course import predict, predicting, predictions, show_source, symptoms
from minitransformer.course.attempts import Attempt, attempt_all
from minitransformer.course.checking import _unknown, judge
from minitransformer.course.exercise import _shapes, _statement, _statements
from minitransformer.layers.softmax import Softmax

from .examples import SOFTMAX, no_sum, softmax_backward


def test_what_stands_above_a_stub():
    assert SOFTMAX.effort == "# About 15 minutes, difficulty 3 of 5, importance 5 of 5, 2 lines."

    def short(x):
        """x (n) -> y (n)."""
        return x

    one = replace(SOFTMAX, name="short", solution=short, optional=True)
    assert one.effort == "# Optional. About 15 minutes, difficulty 3 of 5, importance 5 of 5, 1 line."
    assert one.source == 'def short(x):\n    """x (n) -> y (n)."""\n    return x'


@pytest.mark.parametrize("name", ["difficulty", "importance"])
def test_what_an_exercise_may_be(name):
    for value in (1, 5):
        assert getattr(replace(SOFTMAX, **{name: value}), name) == value
    for value in (0, 6, 2.5):
        with pytest.raises(ValueError, match=f"{name}={value}, it must be from 1 to 5"):
            replace(SOFTMAX, **{name: value})
    assert replace(SOFTMAX, minutes=1).minutes == 1
    assert len(replace(SOFTMAX, wrong=SOFTMAX.wrong[:3]).wrong) == 3
    for hints in (("a", "b"), ("a", "b", "c", "d"), ("a", "", "c")):
        with pytest.raises(ValueError, match="it needs three hints"):
            replace(SOFTMAX, hints=hints)

    def softmax_backward(dy, y):
        return dy

    with pytest.raises(ValueError, match="its solution needs a docstring, which the stub shows"):
        replace(SOFTMAX, solution=softmax_backward)


def test_a_solution_without_a_body_has_no_stub():
    def empty(x):
        """x (n) -> y (n)."""

    with pytest.raises(ValueError, match="its solution has no body beneath its docstring"):
        _ = replace(SOFTMAX, name="empty", solution=empty).stub


def test_outputs_are_named_by_the_last_line_or_behind_the_arrow():
    def named(x, dh):
        """x (n), dh (n) -> dx (n), dh (n)."""
        dx = x
        if x is None:
            return None
        return dx, dh

    def unnamed(x):
        """x (n) -> y (n), z and w (n, m)."""
        return x + 1, x, x

    first = replace(SOFTMAX, name="named", solution=named)
    assert first.outputs(2) == ("dx", "output 2 (dh)")
    assert first.outputs(3) == ("output 1 of 3", "output 2 of 3", "output 3 of 3")
    second = replace(SOFTMAX, name="unnamed", solution=unnamed)
    assert second.outputs(3) == ("y", "z", "w")
    assert second.outputs(1) == ("the output",)
    assert second.letters("x") == ("n",)
    assert second.letters("y") is None
    assert second.arguments == ("x",)


def test_shapes_are_read_from_a_docstring():
    text = "q (B, T, d), k and v (B, S,\n d); x (n); of (N, 1) numbers"
    found = {"q": ("B", "T", "d"), "k": ("B", "S", "d"), "v": ("B", "S", "d"), "x": ("n",), "of": ("N", "1")}
    assert _shapes(text) == found


def test_a_statement_counts_from_eight_nodes_on_whatever_its_variables_are_called():
    def nodes(code):
        return sum(1 for _ in ast.walk(ast.parse(code).body[0].value))

    assert nodes("f(a)") == 5
    assert [nodes(code) for code in ("a + b", "f(a, b)", "-f(a)")] == [6, 7, 7]
    assert _statement(ast.parse("f(a, b)").body[0]) == ""
    assert nodes("f(a, -1)") == 8
    assert _statement(ast.parse("f(a, -1)").body[0]) == _statement(ast.parse("y = g(z, -1)").body[0]) != ""
    assert _statement(ast.parse("np.f(a, -1)").body[0]) != _statement(ast.parse("b.f(a, -1)").body[0])
    assert _statement(ast.parse("f(a, -1)").body[0]) != _statement(ast.parse("f(a, -2)").body[0])
    assert _statements("no Python") == set()


def test_half_of_the_large_statements_give_an_answer_away():
    def answer(x):
        """x (n) -> y (n)."""
        a = x[0] + x[1] * x[2]
        b = x[3] - x[4] * x[5]
        c = x[6] / x[7] * x[8]
        return a + b + c

    exercise = replace(SOFTMAX, name="answer", solution=answer, package=())
    one, two = "p = q[0] + q[1] * q[2]", "p = q[3] - q[4] * q[5]"
    assert exercise.given_away([], [one]) == ""  # one of four
    assert exercise.given_away([], [one, two]) == "b = x[3] - x[4] * x[5]"
    assert exercise.given_away([], []) == ""
    assert replace(exercise, broken=no_sum).given_away([], [one, two]) == ""


# ---- the judge


def judged(function):
    return judge(SOFTMAX, lambda cases: attempt_all(function, "softmax_backward", cases))


def test_a_pass_says_how_many_inputs_there_were():
    assert judged(softmax_backward).message == "Right on 2 inputs, in float64 and in float32."

    def whole(x):
        """x (n) -> y (n)."""
        return x + 1

    exercise = replace(SOFTMAX, name="whole", solution=whole, cases=lambda rng: [(np.arange(3),)])
    run = lambda cases: attempt_all(whole, "whole", cases)  # noqa: E731
    assert judge(exercise, run).message == "Right on one input."


def test_a_run_that_ended_too_early_has_not_passed():
    result = judge(SOFTMAX, lambda cases: attempt_all(softmax_backward, "softmax_backward", cases)[:3])
    assert (result.stage, result.message, result.hints) == ("exception", "It did not come to an end.", True)


def test_what_is_wider_than_its_input_is_a_remark_and_another_kind_a_problem():
    wide = judged(lambda dy, y: softmax_backward(dy, y).astype(float))
    assert wide.message == (
        "Right on 2 inputs, in float64 and in float32.\n"
        "A remark: for float32 inputs dx is float64. The numbers are right, and training would take twice the memory "
        "and time. np.sqrt(d) of a whole number and np.zeros(n) are float64; d**0.5 and np.zeros(n, x.dtype) are not."
    )
    other = judged(lambda dy, y: softmax_backward(dy, y) if dy.dtype == float else np.ones(dy.shape, np.int64))
    assert (other.stage, other.message) == ("dtype", "dx is int64, wanted float32.")


def test_of_several_problems_the_earliest_stage_speaks_then_the_first_input():
    cases = SOFTMAX.cases(np.random.default_rng(0))
    right = [Attempt(softmax_backward(*case)) for case in cases]
    value, shape = Attempt(right[0].output + 1), Attempt(right[1].output[0])
    assert judge(SOFTMAX, lambda _: [value, shape]).stage == "shape"
    found = judge(SOFTMAX, lambda _: [value, Attempt(right[1].output + 1)])
    assert (found.stage, found.details[-1][0]) == ("value", "input 1 of 2")
    changed = replace(right[0], changed=(0, 1))
    found = judge(SOFTMAX, lambda _: [changed, right[1]])
    said = "It changes its input dy, y. Work on a new array: `x = x + 1`, not `x += 1`."
    assert (found.stage, found.message) == ("mutated", said)


def test_a_misspelt_name_has_up_to_three_neighbours():
    found = _unknown("softmax_bakward")
    assert found.message == "There is no exercise 'softmax_bakward'."
    ((label, names),) = found.details
    assert label == "did you mean"
    assert names.split(", ")[0] == "softmax_backward"
    assert len(names.split(", ")) == 3
    ((label, names),) = _unknown("qqq").details
    assert label == "there are"
    assert len(names.split(", ")) > 50


# ---- what is printed


def test_predictions_are_printed_in_two_columns(capsys, monkeypatch):
    monkeypatch.setattr(predicting, "_predicted", {})
    predict("a", "  x ")
    predictions({"a": "word " * 30})
    assert capsys.readouterr().out == (
        f"kept: x\na\n  you predicted  x\n  it came out    {'word ' * 17}word\n{' ' * 17}{'word ' * 11}word\n"
    )


def test_help_is_numbered_and_of_two_symptoms_at_most(capsys):
    symptoms("nan and a wrong shape, and the loss does not fall")
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[:3] == ["nan or infinity", "  look first:", "    1. Take the largest score of a row away before exp."]
    assert lines[5].startswith("    4. In training")
    assert lines[6] == "an error or a wrong shape"
    assert "the loss does not fall" not in out


def test_help_with_an_exercise_counts_its_mistakes(capsys):
    symptoms("wrong number", "softmax_backward")
    out = capsys.readouterr().out
    assert "  mistakes at softmax_backward that look like that:\n    - " in out
    assert "\nWhere the known mistakes at softmax_backward show: " in out


def test_source_is_shown_with_its_place():
    shown = show_source(Softmax.forward, Softmax)
    first, second = shown.pieces
    assert repr(shown) == f"# {first[0]}\n{first[1]}\n\n# {second[0]}\n{second[1]}"
    assert shown._repr_markdown_().startswith(f"`{first[0]}`\n\n```python\n{first[1]}\n```\n\n`{second[0]}`")
