"""Every exercise of the course: its solution is right, its check accepts it and rejects each of the wrong answers."""

import pickle
import sys
from collections import Counter

import numpy as np
import pytest

from minitransformer.course import check
from minitransformer.course.checking import judge, wanted_of
from minitransformer.course.exercises import exercises, find, lessons
from minitransformer.course.problems import output_leaves

ALL = exercises()
each = pytest.mark.parametrize("name", ALL)


def run_source(exercise, source):
    """What a notebook's cell defines, where its lesson's imports have run but its helpers are not at hand."""
    lesson = vars(sys.modules[exercise.solution.__module__])
    imported = {k: v for k, v in lesson.items() if getattr(v, "__module__", None) != lesson["__name__"]}
    namespace = {**imported, "__name__": "__main__"}
    exec(compile(source, "<notebook>", "exec"), namespace)
    return namespace


def test_there_are_at_least_36_exercises_24_of_them_backward():
    assert len(ALL) >= 36
    assert sum(exercise.backward for exercise in ALL.values()) >= 24


def test_every_lesson_has_two_exercises_or_more():
    per_lesson = Counter(exercise.lesson for exercise in ALL.values())
    assert all(2 <= n <= 8 for n in per_lesson.values()), per_lesson


def test_an_exercise_is_in_the_module_of_its_lesson():
    assert all(exercise.solution.__module__.endswith(f"lesson{exercise.lesson}") for exercise in ALL.values())
    assert lessons() == sorted({f"lesson{exercise.lesson}" for exercise in ALL.values()})


@each
def test_a_solution_passes_its_check(name):
    result = check(name, ALL[name].solution)
    assert result, result


@each
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_solution_passes_on_other_inputs_and_its_wrong_answers_do_not(name, seed):
    from functools import partial

    from minitransformer.course.attempts import attempt_all

    exercise = ALL[name]
    assert judge(exercise, partial(attempt_all, exercise.solution, name), seed)
    for wrong in exercise.wrong:
        assert not judge(exercise, partial(attempt_all, wrong, name), seed), wrong.__doc__


@each
def test_wrong_answers_are_rejected_for_their_numbers_not_because_they_crash(name):
    wrong = ALL[name].wrong
    assert len(wrong) >= 3
    for function in wrong:
        result = check(name, function)
        assert result.stage in ("shape", "value", "nan", "mutated", "dtype", "type"), f"{function.__doc__}\n{result}"
        assert (function.__doc__ or "").strip(), f"{function.__name__} does not say what its mistake is"


@each
def test_the_stub_is_not_yet_and_the_written_solution_passes(name):
    exercise = ALL[name]
    handed_out = check(name, run_source(exercise, exercise.stub)[name])
    assert handed_out.stage == ("stub" if exercise.broken is None else handed_out.stage)
    assert not handed_out
    assert check(name, run_source(exercise, exercise.source)[name])


@each
def test_a_solution_leaves_its_inputs_alone_and_keeps_float32(name):
    exercise = ALL[name]
    for case in exercise.cases(np.random.default_rng(7)):
        before = pickle.dumps(case)  # a grader sends them to another process
        exercise.solution(*case)
        assert pickle.dumps(case) == before


@each
def test_cases_are_the_same_for_the_same_seed_and_others_for_another(name):
    draw = ALL[name].cases
    first, again = (pickle.dumps(draw(np.random.default_rng(5))) for _ in range(2))
    assert first == again
    outputs = [repr([wanted_of(ALL[name], case) for case in draw(np.random.default_rng(seed))]) for seed in range(6)]
    assert len(set(outputs)) > 1, "whoever returns what the check wants for one seed passes for all"


@each
def test_a_solution_agrees_with_an_independent_way_to_the_same(name):
    exercise = ALL[name]
    if exercise.reference is None:
        assert not exercise.backward, "a backward exercise needs a reference"
        return
    for seed in range(3):
        for case in exercise.cases(np.random.default_rng(seed)):
            got, wanted = exercise.solution(*case), exercise.reference(*case)
            for part, mine, right in output_leaves(exercise, got, wanted):
                mine, right = np.asarray(mine) * 1, np.asarray(right) * 1  # what is True becomes 1
                assert mine.shape == right.shape, part
                finite = np.isfinite(right)
                np.testing.assert_array_equal(np.where(finite, 0, mine), np.where(finite, 0, right))
                error = np.max(abs(mine - right), initial=0.0, where=finite)
                assert error <= 1e-12 * max(1.0, np.max(abs(right), initial=0.0, where=finite)), part


@each
def test_hints_are_three_and_different(name):
    assert len({text.strip() for text in ALL[name].hints}) == 3


def test_an_unknown_name_is_nothing():
    assert find("no_such_exercise") is None


def test_ids_that_repeat_are_no_reason_for_a_wrong_forward():
    right = ALL["encoder_weights"].solution
    result = check(
        "encoder_weights",
        lambda scores, ids, pad: right(scores * (1.0 + 9.0 * (ids == ids[:, :1])[:, None, :, None]), ids, pad),
    )
    assert result.stage == "value"
    assert "G[ids]" not in result.message
