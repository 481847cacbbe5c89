"""Masks say who may attend to whom: boolean, True means *may attend*, broadcast to (B, H, T, S).

In the scores, what may not be attended to becomes -inf, and so a weight of exactly 0: for causality that is
the upper triangle of the T x T scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import checked
from .base import Array


@checked
def causal_mask(length: int, new: int | None = None) -> Array:
    """Position t may attend to positions 0 ... t: (1, 1, T, T), True on and below the diagonal.

    With `new`, the rows of the last so many positions only: (1, 1, new, T).
    """
    new = length if new is None else new
    if not 0 <= new <= length:
        raise ValueError(f"length={length}, new={new}: must be at least 0, and new at most length")
    return np.tri(new, length, length - new, dtype=bool)[None, None]


@checked
def padding_mask(ids: Array, pad: int) -> Array:
    """Everybody may attend to what is not padding: ids (B, S) -> (B, 1, 1, S)."""
    if np.ndim(ids) != 2:
        raise ValueError(f"ids have shape {np.shape(ids)}: give (sentences, tokens)")
    return (ids != pad)[:, None, None, :]


def additive(mask: Array, dtype: DTypeLike) -> Array:
    """What is added to the scores: 0 where a query may attend, -inf where it may not."""
    zero, minus_infinity = np.array([0, -np.inf], dtype)
    return np.where(mask, zero, minus_infinity)


def check_mask(mask: Array, shape: tuple[int, ...]) -> None:
    """Raise TypeError unless `mask` is boolean, ValueError unless it is (T, S) or broadcasts to the scores' 4 axes."""
    if not isinstance(mask, np.ndarray) or mask.dtype.kind != "b":
        got = f"dtype {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"mask is of {got}: it must be a boolean array in which True means may attend")
    # One axis would be keys for every query, three would be heads: too often meant otherwise to be let through.
    fits = mask.ndim in (2, len(shape)) and all(m in (1, n) for m, n in zip(mask.shape[::-1], shape[::-1]))
    if not fits:
        raise ValueError(f"mask has shape {mask.shape}: give (T, S), or 4 axes that broadcast to (B, H, T, S)={shape}")
