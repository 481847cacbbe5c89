"""`check`: the first thing wrong, in words; and nothing that a student's object does makes it raise."""

import itertools
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from minitransformer.course import CheckFailed, check
from minitransformer.course.exercise import Exercise
from minitransformer.course.problems import compare, describe

from .examples import SOFTMAX, no_sum, softmax_backward

pytestmark = pytest.mark.usefixtures("example")


def verdict(function):
    result = check("softmax_backward", function)
    assert ("PASS" in repr(result)) == ("PASS" in result._repr_html_()) == bool(result)
    assert ("NOT YET" in repr(result)) == ("NOT YET" in result._repr_html_()) == (not result)
    return result


def test_the_solution_passes():
    assert repr(verdict(softmax_backward)) == (
        "PASS  softmax_backward\n  Right on 2 inputs, in float64 and in float32."
    )


def test_a_stub_is_a_stub():
    def softmax_backward(dy, y):
        raise NotImplementedError("your turn")

    assert verdict(softmax_backward).stage == "stub"


def test_a_stub_that_an_answer_calls_is_named():
    def row_sums(x):
        raise NotImplementedError

    result = verdict(lambda dy, y: y * (dy - row_sums(dy * y)))
    assert result.stage == "stub"
    assert "row_sums" in result.message


def test_an_exception_is_told_with_its_line():
    def answer(dy, y):
        total = (dy * y).sum(axis=-1)
        return y * (dy - total)

    result = verdict(answer)
    assert result.stage == "exception"
    assert "ValueError: operands could not be broadcast" in result.message
    assert ("line 3 of answer", "return y * (dy - total)") in result.details


def test_the_line_is_the_students_own_even_where_numpy_raises():
    def answer(dy, y):
        return np.sum(dy, axis=9)

    assert ("line 2 of answer", "return np.sum(dy, axis=9)") in verdict(answer).details


@pytest.mark.parametrize(
    ("function", "stage", "words"),
    [
        (lambda dy, y: None, "type", "`return`"),
        (lambda dy, y: 3.0, "type", "a float, wanted an array"),
        (lambda dy, y: [1, 2], "type", "np.array(...)"),
        (lambda dy, y: (dy, y), "type", "a tuple, wanted an array"),
        (lambda dy, y: np.array([None]), "type", "Python objects"),
        (lambda dy, y: softmax_backward(dy, y) + 0j, "type", "complex"),
        (lambda dy, y: softmax_backward(dy, y).T, "shape", "looks transposed"),
        (lambda dy, y: softmax_backward(dy, y).swapaxes(0, 1), "shape", "looks transposed"),
        (lambda dy, y: softmax_backward(dy, y)[None], "shape", "axis of size 1 too many"),
        (lambda dy, y: softmax_backward(dy, y).sum(axis=0), "shape", "summed over an axis"),
        (lambda dy, y: softmax_backward(dy, y).sum(axis=1), "shape", "an axis that stays is gone"),
        (lambda dy, y: softmax_backward(dy, y).ravel(), "shape", "a reshape is missing"),
        (lambda dy, y: -softmax_backward(dy, y), "value", "got is -1 times wanted"),
        (lambda dy, y: softmax_backward(dy, y) / len(y), "value", "1/B (= 1/3)"),
        (lambda dy, y: softmax_backward(dy, y) * y.shape[1], "value", "T (= 5)"),
        (lambda dy, y: softmax_backward(dy, y) / y.shape[-1] ** 0.5, "value", "1/sqrt(S) (= 1/sqrt(7))"),
        (lambda dy, y: np.zeros_like(y), "value", "zero everywhere"),
        (lambda dy, y: np.roll(softmax_backward(dy, y), 1, axis=1), "value", "shifted by one along axis 1"),
        (lambda dy, y: dy - (dy * y).sum(-1, keepdims=True), "value", "a factor is missing"),
        (lambda dy, y: softmax_backward(dy, y) - dy, "value", "lacks exactly the upstream gradient"),
        (lambda dy: dy, "exception", "does not take 2 arguments"),
    ],
)
def test_the_first_thing_that_is_wrong_is_named(function, stage, words):
    result = verdict(function)
    assert result.stage == stage, result
    assert words in result.message, result


def test_what_is_right_and_wider_than_its_inputs_passes_with_a_remark():
    result = verdict(lambda dy, y: softmax_backward(dy, y) * np.ones(1))
    assert result
    assert "A remark: for float32 inputs" in result.message
    assert "float64" in result.message


def test_nan_is_told_with_its_index():
    def answer(dy, y):
        dx = softmax_backward(dy, y)
        dx[1, 2, 0] = np.nan
        return dx

    result = verdict(answer)
    assert result.stage == "nan"
    assert "dx is NaN at [1, 2, 0]" in result.message.replace("the output", "dx")


def test_the_worst_entry_is_told_with_got_and_wanted():
    def answer(dy, y):
        dx = softmax_backward(dy, y)
        dx[0, 1, 2] += 1.0
        dx[0, 0, 0] += 1e-6
        return dx

    result = verdict(answer)
    assert "2 of 105 entries are not right, the worst is at [0, 1, 2]" in result.message
    got, wanted = (float(text) for _, text in result.details[:2])
    assert got - wanted == pytest.approx(1.0)


def test_an_error_in_the_ninth_digit_is_an_error():
    assert verdict(lambda dy, y: softmax_backward(dy, y) * (1 + 1e-7)).stage == "value"
    assert verdict(lambda dy, y: softmax_backward(dy, y) * (1 + 1e-13))


def test_changing_an_input_is_told_even_where_the_result_is_right():
    def answer(dy, y):
        dy -= (dy * y).sum(axis=-1, keepdims=True)
        return y * dy

    result = verdict(answer)
    assert result.stage == "mutated"
    assert "dy" in result.message


def test_the_earlier_stage_speaks_even_where_another_input_fails_later_on():
    def answer(dy, y):
        return no_sum(dy, y) if len(y) == 3 else dy[0]

    result = verdict(answer)
    assert result.stage == "shape"
    assert any(label == "input 2 of 2" for label, _ in result.details)


def test_state_between_calls_does_not_help():
    memory = itertools.cycle([True, False])
    assert verdict(lambda dy, y: softmax_backward(dy, y) if next(memory) else y).stage == "value"


def test_an_output_that_is_overwritten_by_the_next_call_is_compared_as_it_was():
    buffer = np.empty(1000)

    def answer(dy, y):
        out = buffer.astype(dy.dtype)[: dy.size].reshape(dy.shape) if dy.dtype != np.float64 else None
        out = buffer[: dy.size].reshape(dy.shape) if out is None else out
        out[...] = softmax_backward(dy, y)
        return out

    assert verdict(answer)


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name):
        raise SystemExit(name)

    def __repr__(self):
        raise RecursionError

    def __array__(self, *args, **options):
        raise MemoryError

    def __eq__(self, other):
        raise ZeroDivisionError

    __hash__ = None


class HostileArray(np.ndarray):
    def __getattribute__(self, name):
        raise SystemExit


class HostileError(Exception):
    def __str__(self):
        raise SystemExit


def recursive(dy, y):
    return recursive(dy, y)


def in_itself(dy, y):
    endless = []
    endless.append(endless)
    return endless


def raises(error):
    def answer(dy, y):
        raise error

    return answer


STUDENTS = {  # made in the test: pytest itself would look at them
    "no function": lambda: Hostile(),
    "a class": lambda: Hostile,
    "nothing": lambda: None,
    "a number": lambda: 3,
    "a name": lambda: "softmax_backward",
    "without end": lambda: recursive,
    "a list in itself": lambda: in_itself,
    "print": lambda: print,
    "a ufunc": lambda: np.matmul,
    "hostile result": lambda: lambda *a: Hostile(),
    "hostile array": lambda: lambda *a: np.zeros(3).view(HostileArray),
    "hostile right array": lambda: lambda dy, y: softmax_backward(dy, y).view(HostileArray),
    "hostile dict": lambda: lambda *a: {Hostile: 1},
    "huge array": lambda: lambda *a: np.broadcast_to(0.0, (10**6, 10**6)),
    "huge text": lambda: lambda *a: "x" * 10**7,
    "exit": lambda: lambda *a: sys.exit(1),
    "endless iterator": lambda: lambda *a: iter(int, 1),
    "hostile error": lambda: raises(HostileError()),
    "GeneratorExit": lambda: raises(GeneratorExit()),
    "BaseException": lambda: raises(BaseException("all of them")),
    "MemoryError": lambda: raises(MemoryError()),
    "long message": lambda: raises(ValueError("x" * 10**6)),
}


@pytest.mark.parametrize("student", STUDENTS)
def test_hostile_objects_are_not_yet_and_nothing_raises(student):
    result = check("softmax_backward", STUDENTS[student]())
    assert not result
    assert len(repr(result)) < 5000
    assert len(result._repr_html_()) < 10000


def test_the_keyboard_still_interrupts():
    with pytest.raises(KeyboardInterrupt):
        check("softmax_backward", raises(KeyboardInterrupt()))


def test_an_unknown_exercise_is_told_with_the_names_that_there_are():
    result = check("sofmax_backward", softmax_backward)
    assert not result
    assert result.stage == "name"
    assert not check(Hostile(), softmax_backward)


def test_strict_mode_raises(monkeypatch):
    monkeypatch.setenv("MINITRANSFORMER_STRICT", "1")
    check("softmax_backward", softmax_backward)
    with pytest.raises(CheckFailed, match="NOT YET"):
        check("softmax_backward", no_sum)


def test_html_is_escaped_and_tells_by_words_not_by_colour_alone():
    page = check("softmax_backward", raises(ValueError("<script>")))._repr_html_()
    assert "<script>" not in page
    assert "NOT YET" in re.sub(r"<[^>]*>", "", page)


def one(solution):
    solution.__name__ = "one"
    solution.__doc__ = "x (n) -> y"
    effort = {"difficulty": 1, "importance": 1, "minutes": 1}
    draw = lambda rng: [(rng.standard_normal(3),)]  # noqa: E731
    return Exercise("one", "01", solution, draw, (no_sum,) * 3, ("a", "b", "c"), False, **effort)


@pytest.mark.parametrize(
    ("wanted", "right", "wrong"),
    [
        (2.5, np.float64(2.5), 2.6),
        (2.5, np.array(2.5), "2.5"),
        (4, np.int64(4), 5),
        (True, np.True_, False),
        ("cat", "cat", "dog"),
        ([1, 2, 3], (1, 2, 3), [1, 2, 4]),
        ([1, 2, 3], np.array([1, 2, 3]), [1, 2]),
        ((5, 7), [5, 7], (7, 5)),
        ([[1, 2], [3]], [[1, 2], [3]], [[1, 2], [4]]),
        (["a", "b"], ["a", "b"], ["a", 1]),
        ([0.1, 0.2], [0.1, 0.2], [0.1, 0.3]),
        ({"a": np.ones(2), "b": 1.0}, {"b": 1.0, "a": np.ones(2)}, {"a": np.ones(2)}),
        ({"a": np.ones(2)}, {"a": np.ones(2)}, {"a": np.zeros(2)}),
        ((np.ones(2), 1.0), (np.ones(2), 1.0), (np.ones(2), 2.0)),
        ((np.ones(2), 1.0), [np.ones(2), 1.0], np.ones(2)),
        (np.array([0.0, -np.inf]), np.array([0.0, -np.inf]), np.array([0.0, np.inf])),
        (np.array([0.0, -np.inf]), np.array([0.0, -np.inf]), np.array([0.0, -1e9])),
        (np.array([True, False]), np.array([True, False]), np.array([1, 0])),
        (np.array([1, 2]), np.array([1, 2], np.int32), np.array([1.0, 2.0])),
        (np.array(["a", "b"]), np.array(["a", "b"]), np.array(["a", "c"])),
        (np.array([1e9, 1.0]), np.array([1e9, 1.0]), np.array([1e9, 1.0001])),
    ],
)
def test_outputs_of_every_kind_are_compared(wanted, right, wrong):
    def solution(x):
        return wanted

    exercise, x = one(solution), (np.ones(3),)
    assert compare(exercise, x, right, wanted) is None
    assert compare(exercise, x, wanted, wanted) is None
    problem = compare(exercise, x, wrong, wanted)
    assert problem is not None
    assert problem.message


def test_values_are_described_in_a_few_words():
    assert describe((np.zeros((2, 3)), 1)) == "(array (2, 3) float64, 1)"


def test_an_exercise_refuses_what_it_cannot_be_made_of():
    for words, change in (
        ("must be a function named 'other'", {"name": "other"}),
        ("it needs 3 or more", {"wrong": SOFTMAX.wrong[:2]}),
        ("three hints", {"hints": ("a", "b")}),
        ("difficulty=6, it must be from 1 to 5", {"difficulty": 6}),
        ("minutes=0, it must be 1 or more", {"minutes": 0}),
    ):
        with pytest.raises(ValueError, match=words):
            replace(SOFTMAX, **change)


def test_the_stub_of_a_bug_to_find_is_the_broken_code():
    bug = replace(SOFTMAX, broken=no_sum)
    assert bug.stub == SOFTMAX.stub.replace('raise NotImplementedError("your turn")', "return y * dy")
    assert bug.source == SOFTMAX.source
    assert bug.effort == "# About 15 minutes, difficulty 3 of 5, importance 5 of 5, a bug to find."


@pytest.mark.parametrize(
    ("shown", "code", "answer"),
    [
        (["Softmax.backward"], [], "show_source(Softmax.backward)"),
        (["Softmax"], [], "show_source(Softmax)"),
        (["Softmax.forward"], [], ""),
        ([], ["def f(g, p):\n    return p * (g - (g * p).sum(axis=-1, keepdims=True))"], "dx = y"),
        ([], ["dx = z + y * (dy - (dy * y).sum(axis=-1, keepdims=True))"], "dx = y"),
        ([], ["y * dy", "no Python", "(dy * y).sum(axis=-1)"], ""),
    ],
)
def test_what_gives_an_answer_away_is_found(shown, code, answer):
    found = SOFTMAX.given_away(shown, code)
    assert found.startswith(answer)
    assert bool(found) == bool(answer)


def test_the_stub_keeps_signature_and_docstring_only():
    assert SOFTMAX.stub == (
        "def softmax_backward(dy, y, scale=1.0):\n"
        '    """The gradient of the scores x, when y = softmax(x) over the last axis.\n'
        "\n"
        "    dy (B, T, S), y (B, T, S) -> dx (B, T, S).\n"
        '    """\n'
        '    raise NotImplementedError("your turn")'
    )
    assert SOFTMAX.source.endswith("return dx * scale")
    assert SOFTMAX.letters("y") == ("B", "T", "S")
    assert SOFTMAX.outputs(1) == ("dx",)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("dy * (dy - (dy * y).sum(axis=-1))", "with keepdims=True it stays"),
        ("dy.swapaxes(-1, -2) @ y.T", "turns all of them"),
        ("dy @ y", ""),
    ],
)
def test_shapes_that_do_not_fit_are_told_what_in_the_line_is_often_the_reason(body, says, example, tmp_path):
    path = tmp_path / "answer.py"
    path.write_text(f"def softmax_backward(dy, y):\n    return {body}\n", encoding="utf-8")
    namespace = {}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), namespace)
    result = check("softmax_backward", namespace["softmax_backward"])
    assert result.stage == "exception"
    told = result.message.partition("\n")[2]
    assert (says in told) if says else not told
