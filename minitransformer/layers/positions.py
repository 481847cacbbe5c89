"""Positions: attention does not see the order of its inputs, so each position's own vector is added to them.

PE[t, 2i]   = sin(t / 10000^(2i/D))          D dimensions are D/2 frequencies,
PE[t, 2i+1] = cos(t / 10000^(2i/D))          each a sine and a cosine
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import checked
from .base import Array, Cache, Layer, Parameter
from .checks import check_features, check_gradient
from .initializers import Init, as_initializer


@checked
@lru_cache(maxsize=64)
def sinusoids(length: int, d_model: int, dtype: DTypeLike = np.float64) -> Array:
    """The sinusoidal encodings of positions 0 ... length - 1, (length, d_model), read-only. PE in the equations.

    Source: Vaswani et al. 2017, section 3.5.
    """
    if length < 0 or d_model < 2 or d_model % 2:
        raise ValueError(f"length={length}, d_model={d_model}: d_model must be even and at least 2, length at least 0")
    frequency = 10000.0 ** (-np.arange(0, d_model, 2) / d_model)  # (D/2,) radians a position
    angle = np.arange(length)[:, None] * frequency  # (T, D/2)
    table = np.empty((length, d_model))
    table[:, 0::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)
    table = table.astype(dtype)
    table.flags.writeable = False
    return table


@checked
class SinusoidalPositions(Layer):
    """y = x + PE. No parameters, no limit on the length.

    Parameters
    ----------
    d_model : int
        Must be even: every frequency needs a sine and a cosine.

    Shapes: x (B, T, D) -> y (B, T, D). `start` is the number of the first position: above 0 while decoding.
    """

    def __init__(self, d_model: int) -> None:
        if d_model < 2 or d_model % 2:
            raise ValueError(f"d_model={d_model}: sinusoids come in pairs, so it must be even and at least 2")
        self.d_model = d_model

    def forward(self, x: Array, rng: np.random.Generator | None = None, start: int = 0) -> tuple[Array, Cache]:
        T, D = check_sequence(x, self.d_model)
        table = sinusoids(table_length(start + T), D, x.real.dtype)
        return x + table[start : start + T], Cache(shape=x.shape)

    def backward(self, dy: Array, cache: Cache) -> Array:
        check_gradient(self, dy, cache["shape"])
        return dy


@checked
class LearnedPositions(Layer):
    """y = x + P: a trainable vector for each position.

    Parameters
    ----------
    max_length : int
        How many positions there are.
    d_model : int
    init : Initializer or np.random.Generator

    Shapes: x (B, T, D) with start + T <= max_length -> y (B, T, D); `weight` (max_length, D).

    Source: Gehring et al. 2017, "Convolutional Sequence to Sequence Learning", section 3.1.
    """

    def __init__(self, max_length: int, d_model: int, init: Init) -> None:
        self.max_length, self.d_model = max_length, d_model
        self.weight = Parameter(as_initializer(init).embedding(max_length, d_model))

    def forward(self, x: Array, rng: np.random.Generator | None = None, start: int = 0) -> tuple[Array, Cache]:
        T, _ = check_sequence(x, self.d_model)
        end = start + T
        if end > self.max_length:
            raise ValueError(f"x ends at position {end}: there are vectors for max_length={self.max_length}")
        return x + self.weight.value[start:end], Cache(start=start, shape=x.shape)

    def backward(self, dy: Array, cache: Cache) -> Array:
        check_gradient(self, dy, cache["shape"])
        _, T, _ = dy.shape
        start = cache["start"]
        self.weight.grad[start : start + T] += dy.sum(axis=0)  # (B, T, D) -> (T, D)
        return dy


def check_sequence(x: Array, d_model: int) -> tuple[int, int]:
    """Raise ValueError unless x is (B, T, d_model); returns (T, d_model)."""
    check_features(x, d_model)
    if x.ndim != 3:
        raise ValueError(f"x has shape {x.shape}: it must be (B, T, d_model={d_model})")
    return x.shape[1:]


def table_length(end: int) -> int:
    """A length of at least `end` for a table of positions: few lengths, so that decoding computes few tables."""
    return max(64, 1 << max(int(end) - 1, 0).bit_length())
