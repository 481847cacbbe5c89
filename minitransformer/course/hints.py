"""Help, in steps: three hints, and then the solution itself."""

from __future__ import annotations

import difflib
import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..arguments import checked
from .exercise import Exercise
from .exercises import exercises, find

_given: dict[str, int] = {}  # hints that this session has asked for


@dataclass(frozen=True)
class Hint:
    """One of an exercise's three hints."""

    name: str
    number: int
    text: str

    def __repr__(self) -> str:
        return f"Hint {self.number} of 3 for {self.name}: {self.text}"

    def _repr_html_(self) -> str:
        text = html.escape(self.text).replace("\n", "<br>")
        return f"<div><b>Hint {self.number} of 3</b> for <code>{html.escape(self.name)}</code>: {text}</div>"


@checked
def hint(name: str, number: int | None = None) -> Hint:
    """The next hint of an exercise, from a nudge to nearly the answer; or the one with this number, 1 to 3."""
    exercise = find_exercise(name)
    if number is None:
        number = min(_given.get(name, 0) + 1, 3)
    if number not in (1, 2, 3):
        raise ValueError(f"number={number!r}: must be 1, 2 or 3")
    _given[name] = max(number, _given.get(name, 0))
    return Hint(name, number, exercise.hints[number - 1])


@checked
def show_solution(name: str) -> None:
    """Print an exercise's solution."""
    print(find_exercise(name).source)


def find_exercise(name: str) -> Exercise:
    exercise = find(name)
    if exercise is None:
        known = exercises()
        near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4) or list(known)
        raise ValueError(f"name={name!r}: there is no such exercise; did you mean {', '.join(near)}?")
    return exercise


@checked
def versions(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Of an exercise that is a bug to find: the broken function and the right one, so that a lesson can run both."""
    exercise = find_exercise(name)
    if exercise.broken is None:
        raise ValueError(f"name={name!r}: this exercise is no bug to find")
    return exercise.broken, exercise.solution
