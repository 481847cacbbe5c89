"""A layer class under the package's contract: the solution of the capstone's gate 6."""

import numpy as np

from minitransformer.layers import Array, Cache, Layer, Parameter


class GatedLinear(Layer):
    """y = (x weight) * sigmoid(x gate), number by number (Dauphin et al. 2017, without biases)."""

    def __init__(self, in_features: int, out_features: int, rng: np.random.Generator):
        """Two parameters, weight and gate, both (in_features, out_features), drawn from rng."""
        size = (in_features, out_features)
        self.weight = Parameter(rng.standard_normal(size) * in_features**-0.5)
        self.gate = Parameter(rng.standard_normal(size) * in_features**-0.5)

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        """x (..., in_features) -> y (..., out_features), and what backward needs."""
        linear = x @ self.weight.value
        opened = 1 / (1 + np.exp(-(x @ self.gate.value)))
        return linear * opened, Cache(x=x, linear=linear, opened=opened)

    def backward(self, dy: Array, cache: Cache) -> Array:
        """dy (..., out_features), and the cache of the forward -> dx (..., in_features)."""
        x, linear, opened = cache["x"], cache["linear"], cache["opened"]
        d_linear = dy * opened
        d_gate = dy * linear * opened * (1 - opened)  # before the sigmoid
        rows = x.reshape(-1, x.shape[-1])  # (..., in) -> (N, in)
        self.weight.grad += rows.T @ d_linear.reshape(-1, d_linear.shape[-1])
        self.gate.grad += rows.T @ d_gate.reshape(-1, d_gate.shape[-1])
        return d_linear @ self.weight.value.T + d_gate @ self.gate.value.T
