"""Softmax turns a row of scores into weights that are positive and sum to one.

y_i = exp(x_i) / sum_j exp(x_j)          dx_i = y_i (dy_i - sum_j dy_j y_j)
"""

from __future__ import annotations

import numpy as np

from .base import Array, Cache, Layer
from .checks import check_array, check_gradient
from .reductions import row_max, row_sum

LOWEST = -1e38  # stands for the maximum of a row of nothing but -inf, since -inf - (-inf) would be NaN


class Softmax(Layer):
    """Softmax over the last axis. Any shape.

    A score of -inf gets a weight of exactly 0. A row of nothing but -inf (nothing may be attended to) is exactly 0
    throughout, forward and backward.
    """

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_array(x)
        if not x.ndim or not x.shape[-1]:
            raise ValueError(f"x has shape {x.shape}: its last axis must hold at least one score")
        # The shift cancels, and keeps exp from overflowing. It has no derivative: the maximum of the real part.
        y = np.exp(x - np.maximum(row_max(x.real), LOWEST))
        y /= np.maximum(row_sum(y), 0.5)  # the sum is at least exp(0) = 1, or 0 where the whole row is masked
        return y, Cache(y=y)

    def backward(self, dy: Array, cache: Cache) -> Array:
        y = cache["y"]
        check_gradient(self, dy, y.shape)
        return y * (dy - row_sum(dy * y))
