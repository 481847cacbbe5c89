"""What a check says of a wrong answer is the reason, and a right one in any shape has none."""

from functools import partial

import numpy as np
import pytest

from minitransformer.course import check
from minitransformer.course.attempts import attempt_all
from minitransformer.course.causes import same
from minitransformer.course.checking import judge, wanted_of
from minitransformer.course.exercises import exercises

from ..extent import extent
from . import right_answers
from .mutants import mutants

ALL = exercises()
each = pytest.mark.parametrize("name", ALL)


def reason(function):
    return " ".join((function.__doc__ or "").split()).rstrip(".")


def outputs(exercise, function, seed=0):
    return [a.output for a in attempt_all(function, exercise.name, exercise.cases(np.random.default_rng(seed)))]


@each
def test_a_registered_wrong_answer_is_answered_with_its_own_reason(name):
    exercise = ALL[name]
    for wrong in exercise.wrong:
        twins = [w for w in exercise.wrong if all(map(same, outputs(exercise, w), outputs(exercise, wrong)))]
        result = check(name, wrong)
        if wrong is not exercise.broken:
            assert any(result.message.startswith(f"{reason(twin)}.\n") for twin in twins), result


def test_most_registered_wrong_answers_have_outputs_of_their_own():
    pairs = [
        (a, b)
        for exercise in ALL.values()
        for i, a in enumerate(exercise.wrong)
        for b in exercise.wrong[:i]
        if all(map(same, outputs(exercise, a), outputs(exercise, b)))
    ]
    assert len(pairs) <= 1, pairs


def is_wrong(exercise, function):
    """Whether it differs from the solution on inputs that the check has not; a function that raises does."""
    for seed in (11, 12, 13):
        cases = exercise.cases(np.random.default_rng(seed))
        got = attempt_all(function, exercise.name, cases)
        if any(a.stage or not same(a.output, wanted_of(exercise, case)) for case, a in zip(cases, got)):
            return True
    return False


def has_cause(exercise, result):
    """A registered reason, one that was found in the numbers or by one change, or the shape or line that is wrong."""
    known = any(result.message.startswith(reason(wrong)) for wrong in exercise.wrong)
    shape = result.stage == "shape" and ": " in result.message
    return known or shape or "It looks like this" in result.message or result.stage in ("exception", "mutated", "type")


SAMPLED = sorted(ALL)[::8]


@pytest.mark.parametrize("name", extent(SAMPLED, list(ALL)))
def test_automatic_mutants_are_rejected_most_with_a_cause(name):
    exercise = ALL[name]
    results = [(what, check(name, mutant)) for what, mutant in mutants(exercise) if is_wrong(exercise, mutant)]
    passed = [what for what, result in results if result]
    unexplained = [f"{what}\n{result}" for what, result in results if not result and not has_cause(exercise, result)]
    assert len(results) >= 10
    assert len(passed) <= 0.01 * len(results), passed
    assert len(unexplained) <= 0.2 * len(results), "\n\n".join(unexplained)


@each
def test_right_answers_of_another_shape_pass(name):
    answers = right_answers.ANSWERS.get(name, [])
    assert len(answers) >= 3
    for answer in answers:
        for seed in (0, 1, 2):
            result = judge(ALL[name], partial(attempt_all, answer, name), seed)
            assert result, f"{answer.__name__}\n{result}"
