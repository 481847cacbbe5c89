"""Predict before you run: what a student expects is kept, and shown at the end of the lesson beside what came out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from ..arguments import checked

_predicted: dict[str, str] = {}  # by name, of this session


@checked
def predict(name: str, answer: str = "") -> None:
    """Keep what you expect: edit the answer and run the cell. Nothing waits for it; a later answer replaces it.

    Parameters
    ----------
    name : str
        Under which `predictions` shows it.
    answer : str
        "" is no prediction.
    """
    _predicted[name] = text = answer.strip()
    print(f"kept: {text}" if text else "No prediction yet. Write it between the quotes, run this cell, then go on.")


@checked
def predictions(came_out: Mapping[str, str]) -> None:
    """Print every prediction beside what came out.

    Parameters
    ----------
    came_out : mapping of str to str
        For each name, what the lesson found.
    """
    for name, found in came_out.items():
        print(name)
        for label, text in (("you predicted", _predicted.get(name) or "(nothing)"), ("it came out", found)):
            print(textwrap.fill(text, 110, initial_indent=f"  {label:15}", subsequent_indent=" " * 17))
