"""The error that unusable weights raise."""

from __future__ import annotations

from collections.abc import Iterable

from ..data import DataError


class WeightsError(DataError):
    """Weights, or what belongs to them, cannot be read or written; the message names the file and the reason."""


def listed(names: Iterable[str], most: int = 4) -> str:
    """The first names, and how many there are where not all are shown; control characters are escaped."""
    shown = [repr(str(name))[1:-1][:100] for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most:,} more" if len(shown) > most else "")


def shown(value: object) -> str:
    """A value from a file, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
