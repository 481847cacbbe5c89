"""Norms: each position's vector is brought to one size, then to a learned scale.

LayerNorm   x_hat = (x - mean(x)) / sqrt(var(x) + eps)      y = gain * x_hat + shift
RMSNorm     x_hat = x / sqrt(mean(x^2) + eps)               y = gain * x_hat
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Cache, Layer, Parameter, shortcut
from .initializers import Init, as_initializer
from .sums import as_rows, column_sum, mean_of_rows, row_mean


class LayerNorm(Layer):
    """Layer normalization over the last axis.

    Parameters
    ----------
    d_model : int
        Length of the vectors.
    init : Initializer or np.random.Generator
        Says the dtype; gains begin at 1 and shifts at 0.
    eps : float
        Added to the variance, so that a constant vector gives `shift` and not NaN.

    Shapes: x (..., D) -> y (..., D); `gain` (D,), `shift` (D,).

    Source: Ba et al. 2016, "Layer Normalization", section 3.
    """

    def __init__(self, d_model: int, init: Init, eps: float = 1e-5) -> None:
        if d_model < 1:
            raise ValueError(f"d_model={d_model}: must be at least 1")
        init = as_initializer(init)
        self.d_model, self.eps = d_model, eps
        self.gain = Parameter(init.ones(d_model))
        self.shift = Parameter(init.zeros(d_model))

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        if x.shape[-1:] != (self.d_model,):
            raise ValueError(f"x has shape {x.shape}: its last axis must hold d_model={self.d_model} features")
        x_hat = x - row_mean(x)
        inv_std = 1.0 / np.sqrt(row_mean(x_hat * x_hat) + self.eps)  # (..., 1)
        x_hat *= inv_std
        y = x_hat * self.gain.value
        y += self.shift.value
        return y, Cache(x_hat=x_hat, inv_std=inv_std)

    def backward(self, dy: Array, cache: Cache) -> Array:
        x_hat, inv_std = cache["x_hat"], cache["inv_std"]
        dy_x_hat = dy * x_hat
        self.shift.grad += column_sum(dy)
        self.gain.grad += column_sum(dy_x_hat)
        d_x_hat = dy * self.gain.value
        # The mean and the variance depend on x too: two projections are taken away.
        dy_x_hat *= self.gain.value
        dx = d_x_hat - row_mean(d_x_hat)
        dx -= x_hat * row_mean(dy_x_hat)
        dx *= inv_std
        return dx

    @shortcut
    def step(self, x: Array, state: Any, *others: Any) -> Array:
        rows = as_rows(x)
        x_hat = rows - mean_of_rows(rows)
        x_hat *= (mean_of_rows(x_hat * x_hat) + self.eps) ** -0.5
        y = x_hat * self.gain.value
        y += self.shift.value
        return y.reshape(x.shape)


class RMSNorm(Layer):
    """Normalization by the root mean square over the last axis: nothing is shifted, neither before nor after.

    Parameters
    ----------
    d_model : int
        Length of the vectors.
    init : Initializer or np.random.Generator
        Says the dtype; gains begin at 1.
    eps : float
        Added to the mean square, so that a zero vector gives 0 and not NaN.

    Shapes: x (..., D) -> y (..., D); `gain` (D,).

    Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4.
    """

    def __init__(self, d_model: int, init: Init, eps: float = 1e-6) -> None:
        if d_model < 1:
            raise ValueError(f"d_model={d_model}: must be at least 1")
        self.d_model, self.eps = d_model, eps
        self.gain = Parameter(as_initializer(init).ones(d_model))

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        if x.shape[-1:] != (self.d_model,):
            raise ValueError(f"x has shape {x.shape}: its last axis must hold d_model={self.d_model} features")
        inv_rms = 1.0 / np.sqrt(row_mean(x * x) + self.eps)  # (..., 1)
        x_hat = x * inv_rms
        return x_hat * self.gain.value, Cache(x_hat=x_hat, inv_rms=inv_rms)

    def backward(self, dy: Array, cache: Cache) -> Array:
        x_hat, inv_rms = cache["x_hat"], cache["inv_rms"]
        dy_x_hat = dy * x_hat
        self.gain.grad += column_sum(dy_x_hat)
        # The mean square depends on x too: the projection onto x_hat is taken away.
        dy_x_hat *= self.gain.value
        dx = dy * self.gain.value
        dx -= x_hat * row_mean(dy_x_hat)
        dx *= inv_rms
        return dx

    @shortcut
    def step(self, x: Array, state: Any, *others: Any) -> Array:
        rows = as_rows(x)
        x_hat = rows * (mean_of_rows(rows * rows) + self.eps) ** -0.5
        return (x_hat * self.gain.value).reshape(x.shape)
