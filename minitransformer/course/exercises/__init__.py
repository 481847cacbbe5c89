"""All exercises, one module a lesson; each module has a list `EXERCISES`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from ..exercise import Exercise


@cache
def lesson(name: str) -> tuple[Exercise, ...]:
    """The exercises of one module, such as "lesson04"."""
    return tuple(importlib.import_module(f"{__name__}.{name}").EXERCISES)


def lessons() -> list[str]:
    """The names of the modules there are, in order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name.startswith("lesson"))


def exercises() -> dict[str, Exercise]:
    """Every exercise by its name, in the order of the lessons."""
    found: dict[str, Exercise] = {}
    for name in lessons():
        for exercise in lesson(name):
            if exercise.name in found:
                raise ValueError(f"exercise {exercise.name!r} is in lessons {found[exercise.name].lesson} and {name}")
            found[exercise.name] = exercise
    return found


def find(name: str) -> Exercise | None:
    """The exercise of this name, or None; later lessons are not even imported."""
    return next((exercise for module in lessons() for exercise in lesson(module) if exercise.name == name), None)
