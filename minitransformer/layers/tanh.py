"""The hyperbolic tangent, applied to every number by itself: it keeps what recurs in (-1, 1).

y = tanh(x)          dx = dy (1 - y^2)
"""

from __future__ import annotations

import numpy as np

from .base import Array, Cache, Layer


class Tanh(Layer):
    """y = tanh(x). Any shape."""

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        y = np.tanh(x)
        return y, Cache(y=y)

    def backward(self, dy: Array, cache: Cache) -> Array:
        y = cache["y"]
        return dy * (1.0 - y * y)


def sigmoid_in_place(x: Array) -> None:
    """1 / (1 + exp(-x)), written over x; by a tanh, so that no exponential overflows."""
    x *= 0.5
    np.tanh(x, out=x)
    x += 1.0
    x *= 0.5
