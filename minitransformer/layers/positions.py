"""Positions: attention does not see the order of its inputs, so each position's own vector is added to them.

PE[t, 2i]   = sin(t / 10000^(2i/D))          D dimensions are D/2 frequencies,
PE[t, 2i+1] = cos(t / 10000^(2i/D))          each a sine and a cosine
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .base import Array, Cache, Layer, Parameter
from .initializers import Init, as_initializer
from .state import State


@lru_cache(maxsize=64)
def sinusoids(length: int, d_model: int, dtype: DTypeLike = np.float64) -> Array:
    """The sinusoidal encodings of positions 0 ... length - 1, (length, d_model), read-only.

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


class SinusoidalPositions(Layer):
    """y = x + PE. No parameters, no limit on the length.

    Parameters
    ----------
    d_model : int
        Must be even: every frequency needs a sine and a cosine.

    Shapes: x (B, T, D) -> y (B, T, D).
    """

    def __init__(self, d_model: int) -> None:
        if d_model < 2 or d_model % 2:
            raise ValueError(f"d_model={d_model}: sinusoids come in pairs, so it must be even and at least 2")
        self.d_model = d_model

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        if x.ndim != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"x has shape {x.shape}: it must be (B, T, d_model={self.d_model})")
        _, T, D = x.shape
        return x + sinusoids(T, D, x.real.dtype), Cache()

    def backward(self, dy: Array, cache: Cache) -> Array:
        return dy

    def step(self, x: Array, state: State, *others: Any) -> Array:
        _, T, D = x.shape
        start = state.advance(T)
        # Tables of a few lengths, each computed once: a longer one begins with the same rows.
        table = sinusoids(max(64, 1 << (start + T - 1).bit_length()), D, x.real.dtype)
        return x + table[start : start + T]


class LearnedPositions(Layer):
    """y = x + P: a trainable vector for each position.

    Parameters
    ----------
    max_length : int
        How many positions there are.
    d_model : int
    init : Initializer or np.random.Generator

    Shapes: x (B, T, D) with T <= max_length -> y (B, T, D); `weight` (max_length, D).

    Source: Gehring et al. 2017, "Convolutional Sequence to Sequence Learning", section 3.1.
    """

    def __init__(self, max_length: int, d_model: int, init: Init) -> None:
        self.max_length, self.d_model = max_length, d_model
        self.weight = Parameter(as_initializer(init).embedding(max_length, d_model))

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        if x.ndim != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"x has shape {x.shape}: it must be (B, T, d_model={self.d_model})")
        _, T, _ = x.shape
        if len(self.weight.value) < T:
            raise ValueError(f"x has {T} positions: there are vectors for max_length={self.max_length}")
        return x + self.weight.value[:T], Cache()

    def backward(self, dy: Array, cache: Cache) -> Array:
        _, T, _ = dy.shape
        self.weight.grad[:T] += dy.sum(axis=0)  # (B, T, D) -> (T, D)
        return dy

    def step(self, x: Array, state: State, *others: Any) -> Array:
        _, T, _ = x.shape
        start = state.advance(T)
        if start + T > self.max_length:
            raise ValueError(f"x ends at position {start + T}: there are vectors for max_length={self.max_length}")
        return x + self.weight.value[start : start + T]
