"""Softmax turns a row of scores into weights that are positive and sum to one.

y_i = exp(x_i) / sum_j exp(x_j)          dx = y * (dy - sum_j dy_j y_j)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Cache, Layer, shortcut
from .sums import row_max, row_sum


class Softmax(Layer):
    """Softmax over the last axis. Any shape.

    A score of -inf gets a weight of exactly 0; a row of nothing but -inf (nothing may be attended to) is exactly 0
    throughout, forward and backward.
    """

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        if not x.ndim or not x.shape[-1]:
            raise ValueError(f"x has shape {x.shape}: its last axis must hold at least one score")
        highest = row_max(x.real)  # of the real part: the shift cancels, it has no derivative
        np.copyto(highest, 0, where=highest == -np.inf)  # a wholly masked row: -inf - (-inf) would be NaN
        y = x - highest
        np.exp(y, out=y)
        total = row_sum(y)
        y *= 1.0 / (total + (total.real == 0))  # a wholly masked row: 0 / 1, not 0 / 0
        return y, Cache(y=y)

    def backward(self, dy: Array, cache: Cache) -> Array:
        y = cache["y"]
        dx = dy * y
        dx -= y * row_sum(dx)
        return dx

    @shortcut
    def step(self, x: Array, state: Any, *others: Any) -> Array:
        """Without regard to wholly masked rows, which would be NaN."""
        y = x - row_max(x.real)
        np.exp(y, out=y)
        y /= np.add.reduce(y, axis=-1, keepdims=True)
        return y
