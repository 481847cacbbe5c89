"""Help by what is seen: every symptom has help, an exercise's own mistakes are listed, and the museum is README's."""

from pathlib import Path

import pytest

from minitransformer.course import symptoms
from minitransformer.course.symptoms import SYMPTOMS, known_mistakes


@pytest.mark.parametrize(
    ("seen", "first"),
    [
        ("nan", "nan or infinity"),
        ("RuntimeWarning: overflow encountered in exp", "nan or infinity"),
        ("wrong shape", "an error or a wrong shape"),
        ("ValueError: operands could not be broadcast together", "an error or a wrong shape"),
        ("loss does not fall", "the loss does not fall"),
        ("it does not learn", "the loss does not fall"),
        ("98 % accuracy and nonsense", "too good"),
        ("padded sentences differ", "in one test"),
        ("the gradient has the wrong sign", "a gradient or a number"),
        ("it is float64", "an input changes, or the dtype does"),
    ],
)
def test_words_of_a_student_lead_to_help(seen, first, capsys):
    symptoms(seen)
    out = capsys.readouterr().out
    assert first in out.splitlines()[0]
    assert "ValueError" not in seen or "a gradient" not in out
    assert "1. " in out


def test_with_an_exercise_its_own_mistakes_of_that_kind_are_named_and_no_others(capsys):
    symptoms("wrong numbers", "softmax_backward")
    out = capsys.readouterr().out
    found = known_mistakes("softmax_backward")
    assert {stage for stage, _ in found} <= {"value", "shape", "nan", "mutated", "dtype", "type"}
    for stage, reason in found:
        assert (reason in out) == (stage == "value"), reason


def test_what_is_unknown_is_refused_with_what_is_known():
    with pytest.raises(ValueError, match="nan or infinity; "):
        symptoms("hm")
    with pytest.raises(ValueError, match="no such exercise"):
        symptoms("nan", "softmaks")


def test_every_row_of_the_museum_is_in_the_teachers_table():
    readme = (Path(__file__).parents[2] / "notebooks" / "README.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in readme.splitlines() if line.startswith(("| 0", "| 1"))}
    told = [row for symptom in SYMPTOMS for row in symptom.museum]
    assert len({lesson for lesson, _, _ in told}) == len(told)
    for lesson, _, check in told:
        assert check in rows[lesson], lesson
