"""Embeddings look up a vector for every id; the unembedding compares a vector with every one of them.

Embedding     y = s E[ids]           the same as the product of one-hot rows with E
Unembedding   logits = s x E^T       with the very same E: tied
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Cache, Layer, Parameter, shortcut
from .initializers import Init, as_initializer
from .sums import as_rows


class Embedding(Layer):
    """A table of vectors, one for each id.

    Parameters
    ----------
    n : int
        How many ids there are (V, the size of the vocabulary).
    d_model : int
        Length of a vector.
    init : Initializer or np.random.Generator
        Draws the table.
    scale : float
        Factor on what is looked up; sqrt(d_model) in the Transformer of 2017.
    weight : Parameter, optional
        A table to share with another layer, in place of a new one.

    Shapes: ids (...) integers in [0, n) -> y (..., D).

    Source: Vaswani et al. 2017, section 3.4.
    """

    def __init__(self, n: int, d_model: int, init: Init, scale: float = 1.0, weight: Parameter | None = None) -> None:
        if weight is not None and weight.shape != (n, d_model):
            raise ValueError(f"weight has shape {weight.shape}: to be shared it must be (n, d_model)={(n, d_model)}")
        self.n, self.d_model, self.scale = n, d_model, float(scale)
        self.weight = weight or Parameter(as_initializer(init).embedding(n, d_model))

    def forward(self, ids: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_ids("ids", ids, self.n)
        y = np.take(self.weight.value, ids.astype(np.intp, copy=False), axis=0)  # (...) -> (..., D)
        if self.scale != 1.0:
            y *= self.scale
        return y, Cache(ids=ids)

    def backward(self, dy: Array, cache: Cache) -> None:
        # An id may repeat, and every occurrence adds. `np.add.at` is fast on flat arrays only.
        V, D = self.n, self.d_model
        ids = cache["ids"].astype(np.intp)  # ids of few bits would overflow in the product
        flat_ids = ids.reshape(-1, 1) * D + np.arange(D)  # (...) -> (N, D): where each number belongs
        d_weight = np.zeros(V * D, dy.dtype)
        np.add.at(d_weight, flat_ids.reshape(-1), dy.reshape(-1))
        if self.scale != 1.0:
            d_weight *= self.scale
        self.weight.grad += d_weight.reshape(V, D)

    @shortcut
    def step(self, x: Array, state: Any, *others: Any) -> Array:
        check_ids("ids", x, self.n)
        y = self.weight.value[x]
        if self.scale != 1.0:
            y *= self.scale
        return y


class Unembedding(Layer):
    """logits = s x E^T: how well a vector agrees with that of each id. E belongs to an embedding, which it ties.

    Parameters
    ----------
    weight : Parameter
        The embedding's table (V, D); sharing the object ties the two.
    scale : float
        Factor on the logits.

    Shapes: x (..., D) -> logits (..., V).

    Source: Press and Wolf 2017, "Using the Output Embedding to Improve Language Models".
    """

    def __init__(self, weight: Parameter, scale: float = 1.0) -> None:
        self.weight, self.scale = weight, float(scale)

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        V, D = self.weight.shape
        if x.shape[-1:] != (D,):
            raise ValueError(f"x has shape {x.shape}: its last axis must hold {D} features, as the table has")
        if self.scale != 1.0:
            x = x * self.scale
        logits = x.reshape(-1, D) @ self.weight.value.T
        return logits.reshape(*x.shape[:-1], V), Cache(x=x)

    def backward(self, d_logits: Array, cache: Cache) -> Array:
        x = cache["x"]  # with its scale
        V, D = self.weight.shape
        d_rows = d_logits.reshape(-1, V)
        self.weight.grad += d_rows.T @ x.reshape(-1, D)
        dx = (d_rows @ self.weight.value).reshape(x.shape)
        return dx * self.scale if self.scale != 1.0 else dx

    @shortcut
    def step(self, x: Array, state: Any, *others: Any) -> Array:
        V, _ = self.weight.shape
        if self.scale != 1.0:
            x = x * self.scale
        return as_rows(x).dot(self.weight.value.T).reshape(*x.shape[:-1], V)


def check_ids(name: str, ids: Array, n: int) -> None:
    """Raise TypeError unless `ids` are integers, ValueError unless all are in [0, n)."""
    if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu":
        got = f"dtype {ids.dtype}" if isinstance(ids, np.ndarray) else type(ids).__name__
        raise TypeError(f"{name} is of {got}: ids must be an array of integers")
    if ids.size == 1 and 0 <= ids.item() < n:  # as in decoding: a tenth of the time of the two reductions
        return
    if ids.size and not (ids.min() >= 0 and ids.max() < n):
        wrong = ids[(ids < 0) | (ids >= n)].flat[0]
        raise ValueError(f"{name} holds {wrong}: ids must be at least 0 and below {n}")
