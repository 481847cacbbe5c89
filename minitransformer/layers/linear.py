"""Linear maps: every position's vector is multiplied by the same matrix, and a dense layer adds a bias.

Linear   y = x W              dW = x^T dy     dx = dy W^T
Dense    y = x W + b          db = sum of the rows of dy
"""

from __future__ import annotations

import numpy as np

from ..arguments import checked
from .base import Array, Cache, Layer, Parameter
from .checks import check_features, check_gradient
from .initializers import Init, as_initializer
from .reductions import column_sum, flatten_tokens


@checked
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
        check_features(x, self.d_in, "d_in")
        y = flatten_tokens(x).dot(self.weight.value)  # (N, d_in) (d_in, d_out), N positions of all sentences
        return y.reshape((*x.shape[:-1], self.d_out)), Cache(x=x)

    def backward(self, dy: Array, cache: Cache) -> Array:
        x = cache["x"]
        check_gradient(self, dy, (*x.shape[:-1], self.d_out))
        d_rows = dy.reshape(-1, self.d_out)  # (..., d_out) -> (N, d_out)
        self.weight.grad += x.reshape(-1, self.d_in).T @ d_rows  # y = x W  =>  dW = x^T dy
        dx = d_rows @ self.weight.value.T  # y = x W  =>  dx = dy W^T
        return dx.reshape(x.shape)


@checked
class Dense(Linear):
    """y = x W + b, the layer that other libraries call linear or dense.

    Shapes: as `Linear`; `bias` (d_out,), zero at first.
    """

    def __init__(self, d_in: int, d_out: int, init: Init) -> None:
        super().__init__(d_in, d_out, init)
        self.bias = Parameter(as_initializer(init).zeros(d_out))

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_features(x, self.d_in, "d_in")
        y = flatten_tokens(x).dot(self.weight.value)
        y += self.bias.value
        return y.reshape((*x.shape[:-1], self.d_out)), Cache(x=x)

    def backward(self, dy: Array, cache: Cache) -> Array:
        dx = super().backward(dy, cache)
        self.bias.grad += column_sum(dy)  # b is added to every row  =>  db = sum of the rows of dy
        return dx
