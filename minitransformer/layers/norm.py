"""Norms: each position's vector is brought to one size, then to a learned scale.

LayerNorm   x_hat = (x - mean(x)) / sqrt(var(x) + eps)      y = gain * x_hat + bias
RMSNorm     x_hat = x / sqrt(mean(x^2) + eps)               y = gain * x_hat

Backward, with d_x_hat = gain * dy and s the divisor: what x_hat has in common with the mean, and with itself, is lost.

LayerNorm   dx = (d_x_hat - mean(d_x_hat) - x_hat * mean(d_x_hat * x_hat)) / s
RMSNorm     dx = (d_x_hat                 - x_hat * mean(d_x_hat * x_hat)) / s
"""

from __future__ import annotations

import numpy as np

from ..arguments import check_finite, checked
from .base import Array, Cache, Layer, Parameter
from .checks import check_features, check_gradient
from .initializers import Init, as_initializer
from .reductions import column_sum, flatten_tokens, token_mean


@checked
class LayerNorm(Layer):
    """Layer normalization over the last axis.

    Parameters
    ----------
    d_model : int
        Length of the vectors.
    init : Initializer or np.random.Generator
        Says the dtype; gains begin at 1 and biases at 0.
    eps : float
        Added to the variance, so that a constant vector gives `bias` and not NaN.

    Shapes: x (..., D) -> y (..., D); `gain` (D,), `bias` (D,). PyTorch calls them weight and bias.

    Source: Ba et al. 2016, "Layer Normalization", section 3.
    """

    def __init__(self, d_model: int, init: Init, eps: float = 1e-5) -> None:
        if d_model < 1:
            raise ValueError(f"d_model={d_model}: must be at least 1")
        init = as_initializer(init)
        check_finite("eps", eps, 0.0)
        self.d_model, self.eps = d_model, eps
        self.gain = Parameter(init.ones(d_model))
        self.bias = Parameter(init.zeros(d_model))

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_features(x, self.d_model)
        rows = flatten_tokens(x)  # (..., D) -> (N, D)
        x_hat = rows - token_mean(rows)
        inv_std = 1.0 / np.sqrt(token_mean(x_hat * x_hat) + self.eps)  # (N, 1)
        x_hat *= inv_std
        y = x_hat * self.gain.value
        y += self.bias.value
        return y.reshape(x.shape), Cache(x_hat=x_hat, inv_std=inv_std, shape=x.shape)

    def backward(self, dy: Array, cache: Cache) -> Array:
        x_hat, inv_std = cache["x_hat"], cache["inv_std"]
        check_gradient(self, dy, cache["shape"])
        d_rows = dy.reshape(x_hat.shape)  # (..., D) -> (N, D)
        self.bias.grad += column_sum(d_rows)
        self.gain.grad += column_sum(d_rows * x_hat)
        d_x_hat = d_rows * self.gain.value
        dx = (d_x_hat - token_mean(d_x_hat) - x_hat * token_mean(d_x_hat * x_hat)) * inv_std
        return dx.reshape(dy.shape)


@checked
class RMSNorm(Layer):
    """Normalization by the root mean square over the last axis: no mean is taken away, and there is no bias.

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
        check_finite("eps", eps, 0.0)
        self.d_model, self.eps = d_model, eps
        self.gain = Parameter(as_initializer(init).ones(d_model))

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_features(x, self.d_model)
        rows = flatten_tokens(x)  # (..., D) -> (N, D)
        inv_rms = 1.0 / np.sqrt(token_mean(rows * rows) + self.eps)  # (N, 1)
        x_hat = rows * inv_rms
        y = x_hat * self.gain.value
        return y.reshape(x.shape), Cache(x_hat=x_hat, inv_rms=inv_rms, shape=x.shape)

    def backward(self, dy: Array, cache: Cache) -> Array:
        x_hat, inv_rms = cache["x_hat"], cache["inv_rms"]
        check_gradient(self, dy, cache["shape"])
        d_rows = dy.reshape(x_hat.shape)  # (..., D) -> (N, D)
        self.gain.grad += column_sum(d_rows * x_hat)
        d_x_hat = d_rows * self.gain.value
        dx = (d_x_hat - x_hat * token_mean(d_x_hat * x_hat)) * inv_rms
        return dx.reshape(dy.shape)
