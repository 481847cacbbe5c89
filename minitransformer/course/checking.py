"""`check(name, function)`: does a student's function do what the exercise asks for, and if not, what is wrong first?"""

from __future__ import annotations

import copy
import difflib
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from . import causes
from .attempts import Attempt, Runner, attempt_all, safe_text, safe_type
from .exercise import Exercise
from .exercises import exercises, find
from .problems import Problem, compare, compare_dtypes, output_leaves
from .result import STAGES, Result

SEED = 0
STRICT = "MINITRANSFORMER_STRICT"
ORDER = list(STAGES)


class CheckFailed(AssertionError):
    """A check that failed while the environment variable MINITRANSFORMER_STRICT is 1."""


def check(name: str, student: Any) -> Result:
    """Compare a student's function with the exercise's solution on several inputs.

    Parameters
    ----------
    name : str
        Of the exercise.
    student : callable
        The function itself.

    Returns
    -------
    Result
        Prints itself, in a terminal and in Jupyter: PASS, or NOT YET and the first thing that is wrong. Nothing that
        the function does makes `check` raise, but for KeyboardInterrupt; strict mode raises `CheckFailed`.
    """
    try:
        exercise = find(name) if isinstance(name, str) else None
        result = _unknown(name) if exercise is None else judge(exercise, partial(attempt_all, student, exercise.name))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an object so hostile that looking at it fails
        reason = f"{safe_type(error)}: {safe_text(error)}"
        result = Result(safe_text(name), "type", f"What it returns cannot be looked at: {reason}")
    if not result and os.environ.get(STRICT) == "1":
        raise CheckFailed(f"\n{result}")
    return result


def judge(exercise: Exercise, run: Runner, seed: int = SEED) -> Result:
    """Compare what `run` returns for the exercise's arguments with what its solution returns.

    Parameters
    ----------
    exercise : Exercise
    run : callable
        argument tuples -> attempts, in this process or in another one.
    seed : int
        Of the cases.
    """
    cases = exercise.cases(np.random.default_rng(seed))
    singles = [as_float32(case) for case in cases]
    singles = singles if any(_has_floats(case) for case in cases) else []
    attempts = run([*cases, *singles])
    problems: list[tuple[Problem, int]] = []
    for i, (case, attempt) in enumerate(zip(cases, attempts)):
        if (problem := _problem(exercise, case, attempt)) is not None:
            problems.append((problem, i))
    if problems:
        problem, i = min(problems, key=lambda found: (ORDER.index(found[0].stage), found[1]))
        problem = _explained(problem, exercise, cases, attempts)
        return _failed(exercise, problem, cases[i], f"{i + 1} of {len(cases)}")
    remark = ""
    for case, attempt in zip(singles, attempts[len(cases) :]):
        if (problem := _float32_problem(exercise, case, attempt)) is not None:
            if problem.stage != "remark":
                return _failed(exercise, problem, case, "in float32")
            remark = remark or f"\nA remark: {problem.message}"
    if len(attempts) < len(cases) + len(singles):
        return Result(exercise.name, "exception", "It did not come to an end.", hints=True)
    count = f"{len(cases)} inputs" if len(cases) > 1 else "one input"
    return Result(
        exercise.name, "pass", f"Right on {count}" + (", in float64 and in float32." if singles else ".") + remark
    )


def wanted_of(exercise: Exercise, case: tuple[Any, ...]) -> Any:
    """What the solution returns for copies of these arguments."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return exercise.solution(*copy.deepcopy(case))


def _explained(problem: Problem, exercise: Exercise, cases: list[tuple[Any, ...]], attempts: list[Attempt]) -> Problem:
    """The problem with its reason: of a known wrong answer, of the numbers, of one change; or at least with a place."""
    known = causes.registered(exercise, cases, attempts)
    lines = [f"{known}."] if known else []
    lines.append(problem.message)
    if known == causes.STILL_BROKEN:  # the line is for the student to find
        pass
    elif why := problem.why or ("" if known else causes.neighbour(exercise, cases, attempts)):
        lines.append(f"It looks like this: {why}{'' if why.endswith('?') else '.'}")
    elif problem.place and not known:
        lines.append(f"What is seen: {problem.place}{'' if problem.place.endswith('?') else '.'}")
    return replace(problem, message="\n".join(lines))


def _problem(exercise: Exercise, case: tuple[Any, ...], attempt: Attempt) -> Problem | None:
    if attempt.stage:
        return Problem(attempt.stage, attempt.message, attempt.details)
    if (problem := compare(exercise, case, attempt.output, wanted_of(exercise, case))) is not None:
        return problem
    if attempt.changed:
        names = ", ".join(exercise.arguments[i] for i in attempt.changed)
        message = f"It changes its input {names}. Work on a new array: `x = x + 1`, not `x += 1`."
        return Problem("mutated", message)
    return None


def _float32_problem(exercise: Exercise, case: tuple[Any, ...], attempt: Attempt) -> Problem | None:
    """Only the dtypes: the numbers were compared in float64. What is right and only wider is worth a remark."""
    if attempt.stage:
        return Problem(attempt.stage, f"With float32 inputs: {attempt.message}", attempt.details)
    wanted = wanted_of(exercise, case)
    for name, mine, right in output_leaves(exercise, attempt.output, wanted):
        if (problem := compare_dtypes(name, mine, right)) is not None:
            if np.asarray(mine).dtype.kind != "f":
                return problem
            message = (
                f"for float32 inputs {name} is {mine.dtype}. The numbers are right, and training would take twice the "
                "memory and time. np.sqrt(d) of a whole number and np.zeros(n) are float64; d**0.5 and "
                "np.zeros(n, x.dtype) are not."
            )
            return Problem("remark", message)
    return None


def _failed(exercise: Exercise, problem: Problem, case: Sequence[Any], which: str) -> Result:
    details = problem.details
    if problem.stage not in ("stub",):
        inputs = ", ".join(f"{name} {_brief(x)}" for name, x in zip(exercise.arguments, case))
        details = (*details, (f"input {which}", inputs))
    return Result(exercise.name, problem.stage, problem.message, details, hints=True)


def _brief(x: Any) -> str:
    return str(x.shape) if isinstance(x, np.ndarray) and x.size > 4 else safe_text(x, repr)[:80]


def as_float32(value: Any) -> Any:
    """The same arguments with every array of floating numbers in float32."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.float32)
    if type(value) in (tuple, list):
        return type(value)(as_float32(part) for part in value)
    if type(value) is dict:
        return {key: as_float32(part) for key, part in value.items()}
    return value


def _has_floats(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f"
    if isinstance(value, (tuple, list)):
        return any(map(_has_floats, value))
    return isinstance(value, dict) and any(map(_has_floats, value.values()))


def _unknown(name: Any) -> Result:
    known = list(exercises())
    near = difflib.get_close_matches(safe_text(name), known, n=3, cutoff=0.4)
    message = f"There is no exercise {safe_text(name, repr)}."
    if near:
        return Result(safe_text(name), "name", message, (("did you mean", ", ".join(near)),))
    return Result(safe_text(name), "name", message, (("there are", ", ".join(known)),))
