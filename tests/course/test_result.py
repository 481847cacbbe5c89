"""How a result and an attempt look, letter by letter, and how much of a student's text is shown."""

import numpy as np
import pytest

from minitransformer.course import check, hints
from minitransformer.course.attempts import LONGEST, Attempt, _kept, attempt, safe_text, safe_type, unchanged
from minitransformer.course.checking import _brief, as_float32
from minitransformer.course.result import STAGES, Result

from .examples import SOFTMAX, softmax_backward

DETAILS = (("got", "1 < 2\nand more"), ("wanted", ""))
FAILED = Result("f", "value", "First line.\nSecond.", DETAILS, hints=True)


def test_a_result_in_a_terminal():
    assert repr(FAILED) == (
        "NOT YET  f: the numbers\n"
        "  First line.\n"
        "  Second.\n"
        "  got     1 < 2\n"
        "          and more\n"
        "  wanted  \n"
        '  A hint: hint("f")'
    )
    assert repr(Result("f", "pass", "Right.")) == "PASS  f\n  Right."
    assert repr(Result("f", "other", "Words.")) == "NOT YET  f: other\n  Words."


def test_a_result_in_jupyter():
    head = 'style="text-align: left; vertical-align: top"'
    cell = 'style="text-align: left"><code style="white-space: pre-wrap"'
    assert FAILED._repr_html_() == (
        '<div role="status" style="border-left: 6px dashed #D55E00; padding: 0.3em 0.8em">'
        '<div><b style="color: #D55E00">&#8594; NOT YET</b> &nbsp;f: the numbers</div>'
        '<div style="white-space: pre-line">First line.\nSecond.</div>'
        '<table style="margin: 0.4em 0">'
        f'<tr><th scope="row" {head}>got</th><td {cell}>1 &lt; 2\nand more</code></td></tr>'
        f'<tr><th scope="row" {head}>wanted</th><td {cell}></code></td></tr></table>'
        "<div>A hint: <code>hint(&quot;f&quot;)</code></div></div>"
    )
    assert Result("f", "pass", "Right.")._repr_html_() == (
        '<div role="status" style="border-left: 6px solid #0072B2; padding: 0.3em 0.8em">'
        '<div><b style="color: #0072B2">&#10003; PASS</b> &nbsp;f</div>'
        '<div style="white-space: pre-line">Right.</div></div>'
    )


def test_stages_stand_in_the_order_in_which_they_speak():
    order = ["pass", "name", "stub", "exception", "type", "shape", "nan", "value", "mutated", "dtype", "limit"]
    assert list(STAGES) == order
    assert bool(Result("f", "pass", "")) is True
    assert not any(Result("f", stage, "") for stage in order[1:])


# ---- attempts


def test_a_text_is_cut_at_300_characters_and_has_none_that_cannot_be_seen():
    assert LONGEST == 300
    assert safe_text("x" * 300) == "x" * 300
    assert safe_text("x" * 301) == "x" * 297 + "..."
    assert safe_text("a\x1b[1m\nb\t\r") == "a[1m\nb"
    assert safe_text(3) == "3"
    assert safe_text("a", repr) == "'a'"
    assert safe_type(3) == "int"


def test_copies_are_made_of_arrays_four_lists_deep():
    array = np.zeros(2)
    for depth, copied in ((0, True), (1, True), (4, True), (5, False)):
        nested = array
        for i in range(depth):
            nested = [nested] if i % 2 else {"a": nested} if i % 3 else (nested,)
        found = _kept(nested)
        for _ in range(depth):
            found = found["a"] if isinstance(found, dict) else found[0]
        assert (found is not array) == copied, depth


def test_a_very_large_array_is_not_copied(monkeypatch):
    monkeypatch.setattr("minitransformer.course.attempts.MOST_NUMBERS", 2)
    two, three = np.zeros(2), np.zeros(3)
    assert _kept(two) is not two
    assert _kept(three) is three
    assert _kept([1, 2, 3, 4]) == [1, 2]


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (np.ones(2), np.ones(2), True),
        (np.ones(2), np.array([1.0, 2.0]), False),
        (np.ones(2), np.ones((2, 1)), False),
        (np.ones(2), np.ones(2, np.float32), False),
        (np.zeros(1), -np.zeros(1), False),
        (np.array([np.nan]), np.array([np.nan]), True),
        (np.ones(2), [1.0, 1.0], False),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, [1], False),
        ([1, 2], [1, 2], True),
        ([1, 2], (1, 2), False),
        ([1, 2], [1], False),
        ([1, [2]], [1, [3]], False),
        (1, 1, True),
        (1, 2, False),
        ("a", "b", False),
        (float("nan"), 3.0, True),  # NaN is not equal to itself
        (None, 3, True),  # not looked into
    ],
)
def test_an_argument_is_changed_if_its_numbers_or_keys_are(before, after, same):
    assert unchanged(before, after) == same


def test_an_attempt_says_what_went_wrong():
    assert attempt(3, "f", ()).message == 'int is no function: hand over the function itself, check("f", f)'

    def takes(a, b=1):
        raise ValueError

    found = attempt(takes, "takes", (1, 2, 3))
    assert found.stage == "exception"
    assert found.message.startswith("It does not take 3 arguments: too many positional arguments. Keep the stub's")
    assert found.details == (("it takes", "(a, b=1)"),)
    found = attempt(takes, "takes", (1,))
    assert (found.message, found.details) == ("ValueError", (("line 2 of takes", "raise ValueError"),))
    assert Attempt() == Attempt(None, "", "", (), ())


def failing(error):
    def f():
        raise error

    return attempt(f, "f", ())


@pytest.mark.parametrize(
    ("error", "stage", "message"),
    [
        (KeyError("a"), "exception", "KeyError: 'a'"),
        (SystemExit(1), "exception", "It leaves Python (exit, SystemExit): let it return a result."),
        (RecursionError("deep"), "exception", "RecursionError: it calls itself without end."),
        (MemoryError("20 GB"), "exception", "MemoryError: it asks for more memory than there is. 20 GB"),
        (MemoryError(), "exception", "MemoryError: it asks for more memory than there is."),
        (NotImplementedError("x"), "stub", "Write its body in place of the line that raises NotImplementedError."),
    ],
)
def test_an_error_is_told_in_words(error, stage, message):
    found = failing(error)
    assert (found.stage, found.message) == (stage, message)


def test_a_warning_of_the_students_does_not_show_and_a_changed_argument_does():
    def f(x, y, z):
        y += 1
        z["a"] = 3
        return np.log(x)

    found = attempt(f, "f", (np.zeros(1), np.zeros(2), {"a": 2}))
    assert found.output.tolist() == [-np.inf]
    assert found.changed == (1, 2)


# ---- what a check shows of its inputs


def test_inputs_are_shown_by_value_up_to_four_numbers():
    assert _brief(np.zeros(4)) == "array([0., 0., 0., 0.])"
    assert _brief(np.zeros(5)) == "(5,)"
    assert _brief("x" * 90) == "'" + "x" * 79


def test_single_precision_is_of_arrays_in_tuples_lists_and_dicts():
    made = as_float32((np.ones(2), [np.ones(1)], {"a": np.ones(1)}, np.arange(2), 1.0, np.ones(1) > 0))
    assert type(made) is tuple
    assert [made[0].dtype, made[1][0].dtype, made[2]["a"].dtype] == [np.float32] * 3
    assert (made[3].dtype.kind, made[4], made[5].dtype) == ("i", 1.0, np.bool_)


@pytest.mark.usefixtures("example")
def test_a_failed_check_shows_which_input_it_was():
    result = check("softmax_backward", lambda dy, y: softmax_backward(dy, y)[:, :, :1])
    assert result.details[-1] == ("input 1 of 2", "dy (3, 5, 7), y (3, 5, 7)")
    result = check("softmax_backward", lambda dy, y: softmax_backward(dy, y) if len(dy) == 3 else dy)
    assert result.details[-1] == ("input 2 of 2", "dy (2, 3, 5), y (2, 3, 5)")
    single = check("softmax_backward", lambda dy, y: softmax_backward(dy, y) if dy.dtype == float else 1 / 0)
    assert single.message.startswith("With float32 inputs: ZeroDivisionError")
    assert single.details[-1][0] == "input in float32"
    stub = check("softmax_backward", SOFTMAX.broken or (lambda dy, y: (_ for _ in ()).throw(NotImplementedError)))
    assert not any(label.startswith("input") for label, _ in stub.details)


@pytest.mark.usefixtures("example")
def test_hints_are_counted_and_can_be_asked_for_by_number():
    hints._given.clear()
    assert [hints.hint("softmax_backward").number for _ in range(4)] == [1, 2, 3, 3]
    hints._given.clear()
    second = hints.hint("softmax_backward", 2)
    assert repr(second) == "Hint 2 of 3 for softmax_backward: second"
    assert second._repr_html_() == "<div><b>Hint 2 of 3</b> for <code>softmax_backward</code>: second</div>"
    assert hints.hint("softmax_backward").number == 3
    assert hints.hint("softmax_backward", 1).text == "first"
    assert hints.hint("softmax_backward").number == 3
    for number in (0, 4, -1):
        with pytest.raises(ValueError, match=f"number={number}: must be 1, 2 or 3"):
            hints.hint("softmax_backward", number)
    hints._given.clear()
