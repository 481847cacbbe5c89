"""One call of a student's function: what came back, or what went wrong, without ever raising.

This part runs where the student's code runs, in the notebook or in a grader's worker process; it knows no solution.
"""

from __future__ import annotations

import copy
import inspect
import linecache
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

LONGEST = 300  # characters of anything a student's object says of itself
MOST_NUMBERS = 10_000_000  # in an output that is copied
DEEPEST = 4  # lists within lists


@dataclass(frozen=True)
class Attempt:
    """What one call came to.

    Attributes
    ----------
    output : object
        What it returned.
    stage : str
        "" where it returned, or "stub", "exception", "type".
    message : str
    details : tuple of (str, str)
    changed : tuple of int
        Which arguments are no longer what they were.
    """

    output: Any = None
    stage: str = ""
    message: str = ""
    details: tuple[tuple[str, str], ...] = ()
    changed: tuple[int, ...] = ()


Runner = Callable[[Sequence[tuple[Any, ...]]], list[Attempt]]


def attempt_all(function: Any, name: str, cases: Sequence[tuple[Any, ...]]) -> list[Attempt]:
    """Call `function` on each argument tuple; the list ends with the first that does not return."""
    attempts: list[Attempt] = []
    for arguments in cases:
        attempts.append(attempt(function, name, arguments))
        if attempts[-1].stage:
            break
    return attempts


def attempt(function: Any, name: str, arguments: tuple[Any, ...]) -> Attempt:
    """Call `function` on copies of the arguments. Only KeyboardInterrupt passes through."""
    if not callable(function):
        return Attempt(
            stage="type",
            message=f'{safe_type(function)} is no function: hand over the function itself, check("{name}", {name})',
        )
    if (unfit := _unfit(function, arguments)) is not None:
        return unfit
    given = copy.deepcopy(arguments)
    try:
        # What it prints in warnings (a division by zero) is told by its result.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            output = function(*given)
            output = _kept(output)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _failure(function, name, error)
    changed = tuple(i for i, (a, b) in enumerate(zip(arguments, given)) if not unchanged(a, b))
    return Attempt(output, changed=changed)


def _unfit(function: Any, arguments: tuple[Any, ...]) -> Attempt | None:
    """Where the function cannot even take the arguments: that, in words."""
    try:
        signature = inspect.signature(function)
    except Exception:
        return None
    try:
        signature.bind(*arguments)
    except TypeError as error:
        return Attempt(
            stage="exception",
            message=f"It does not take {len(arguments)} arguments: {error}. Keep the stub's first line as it was.",
            details=(("it takes", str(signature)[:LONGEST]),),
        )
    return None


def _failure(function: Any, name: str, error: BaseException) -> Attempt:
    frames = _frames(error.__traceback__)
    mine = getattr(function, "__globals__", None)
    own = [(frame, line) for frame, line in frames if mine is not None and frame.f_globals is mine]
    where = own or frames
    details: list[tuple[str, str]] = []
    if where:
        frame, line = where[-1]
        code = frame.f_code
        text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
        first = code.co_firstlineno
        details.append((f"line {line - first + 1} of {code.co_name}", safe_text(text) or "(its source is not at hand)"))
    if isinstance(error, NotImplementedError):
        inside = own[-1][0].f_code.co_name if own else name
        if inside not in (name, getattr(function, "__name__", name)):
            return Attempt(stage="stub", message=f"It calls {inside}, which is still a stub.", details=tuple(details))
        return Attempt(stage="stub", message="Write its body in place of the line that raises NotImplementedError.")
    what = safe_text(error, str)
    if isinstance(error, SystemExit):
        message = "It leaves Python (exit, SystemExit): let it return a result."
    elif isinstance(error, RecursionError):
        message = "RecursionError: it calls itself without end."
    elif isinstance(error, MemoryError):
        message = f"MemoryError: it asks for more memory than there is. {what}".strip()
    else:
        message = f"{safe_type(error)}: {what}" if what else safe_type(error)
        if isinstance(error, ValueError) and details:
            message += _about_shapes(details[-1][1])
    return Attempt(stage="exception", message=message, details=tuple(details))


def _about_shapes(line: str) -> str:
    """What in a line of the student's is often the reason why shapes do not fit."""
    if ".T" in line:
        return "\nOf an array with three axes `.T` turns all of them: x.swapaxes(-1, -2) exchanges the last two alone."
    if any(f".{name}(" in line for name in ("sum", "mean", "max")) and "keepdims" not in line:
        return (
            "\nA sum, mean or max drops its axis; with keepdims=True it stays, of size 1, and fits against the whole."
        )
    return ""


def _frames(trace: TracebackType | None) -> list[tuple[Any, int]]:
    frames = list(traceback.walk_tb(trace))
    return [(frame, line) for frame, line in frames if frame.f_globals.get("__name__") != __name__]


def _kept(output: Any, depth: int = 0) -> Any:
    """The output with copies of its arrays, which may be views of what the next call writes into."""
    if isinstance(output, np.ndarray):
        return np.array(output) if output.size <= MOST_NUMBERS else output  # one so large has another shape anyway
    if depth < DEEPEST and type(output) in (tuple, list):
        return type(output)(_kept(part, depth + 1) for part in output[:MOST_NUMBERS])
    if depth < DEEPEST and type(output) is dict:
        return {key: _kept(part, depth + 1) for key, part in output.items()}
    return output


def unchanged(before: Any, after: Any) -> bool:
    """Whether an argument's arrays still hold the same numbers; what is no array, list or dict is not looked into."""
    if isinstance(before, np.ndarray):
        return (
            isinstance(after, np.ndarray)
            and before.shape == after.shape
            and before.dtype == after.dtype
            and before.tobytes() == after.tobytes()
        )
    if isinstance(before, dict):
        same_keys = isinstance(after, dict) and list(before) == list(after)
        return same_keys and all(unchanged(before[key], after[key]) for key in before)
    if isinstance(before, (list, tuple)):
        return type(before) is type(after) and len(before) == len(after) and all(map(unchanged, before, after))
    if isinstance(before, (int, float, str, bool)):
        return before == after or before != before
    return True


def safe_text(value: Any, to_text: Callable[[Any], str] = str) -> str:
    """What an object says of itself, shortened; "" where even asking fails."""
    try:
        text = "".join(c for c in str.__str__(to_text(value)) if c.isprintable() or c == "\n")
    except KeyboardInterrupt:
        raise
    except BaseException:
        return ""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def safe_type(value: Any) -> str:
    """The name of an object's class."""
    return safe_text(type(value), lambda kind: type.__getattribute__(kind, "__name__")) or "object"
