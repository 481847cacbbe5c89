"""Embeddings look up a vector for every id; the unembedding compares a vector with every one of them.

Embedding        y = s E[ids]                              the same as the product of one-hot rows with E
InputEmbedding   y = drop(s E[ids] + positions)            what the first block reads
Unembedding      logits = s x E^T                          with the very same E: tied
"""

from __future__ import annotations

import numpy as np

from ..arguments import check_finite, checked
from .base import Array, Cache, Layer, Parameter
from .checks import check_features, check_gradient
from .dropout import Dropout
from .initializers import Init, as_initializer
from .reductions import flatten_tokens


@checked
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
        check_finite("scale", scale)
        self.n, self.d_model, self.scale = n, d_model, float(scale)
        self.weight = Parameter(as_initializer(init).embedding(n, d_model)) if weight is None else weight

    def forward(self, ids: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_ids("ids", ids, self.n)
        y = np.take(self.weight.value, ids.astype(np.intp, copy=False), axis=0)  # (...) -> (..., D)
        if self.scale != 1.0:
            y *= self.scale
        return y, Cache(ids=ids)

    def backward(self, dy: Array, cache: Cache) -> None:
        # An id may repeat, and every occurrence adds. `np.add.at` is fast on flat arrays only.
        V, D = self.n, self.d_model
        check_gradient(self, dy, (*cache["ids"].shape, D))
        ids = cache["ids"].astype(np.intp)  # ids of few bits would overflow in the product
        flat_ids = ids.reshape(-1, 1) * D + np.arange(D)  # (...) -> (N, D): where each number belongs
        d_weight = np.zeros(V * D, dy.dtype)
        np.add.at(d_weight, flat_ids.reshape(-1), dy.reshape(-1))
        if self.scale != 1.0:
            d_weight *= self.scale
        self.weight.grad += d_weight.reshape(V, D)


@checked
class InputEmbedding(Layer):
    """y = drop(E[ids] + positions): what the first block of a stack reads.

    Parameters
    ----------
    tokens : Layer
        ids (B, T) -> (B, T, D), such as `Embedding`.
    positions : Layer, optional
        (x, start) -> x, such as `SinusoidalPositions`; none where attention knows the positions by itself.
    dropout : float
        Probability of dropping a number while training.

    Shapes: ids (B, T) -> y (B, T, D). `start` is the number of the first position: above 0 while decoding.

    Source: Vaswani et al. 2017, section 5.4 (dropout of the sum).
    """

    def __init__(self, tokens: Layer, positions: Layer | None = None, dropout: float = 0.0) -> None:
        self.tokens = tokens
        self.positions = positions
        self.dropout = Dropout(dropout)

    def forward(self, ids: Array, rng: np.random.Generator | None = None, start: int = 0) -> tuple[Array, Cache]:
        x, tokens_cache = self.tokens.forward(ids)
        cache = Cache(tokens=tokens_cache)
        if self.positions is not None:
            x, cache["positions"] = self.positions.forward(x, start=start)
        y, cache["dropout"] = self.dropout.forward(x, rng=rng)
        return y, cache

    def backward(self, dy: Array, cache: Cache) -> None:
        dx = self.dropout.backward(dy, cache["dropout"])
        if self.positions is not None:
            dx = self.positions.backward(dx, cache["positions"])
        self.tokens.backward(dx, cache["tokens"])


@checked
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
        check_finite("scale", scale)
        self.weight, self.scale = weight, float(scale)

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        V, D = self.weight.shape
        check_features(x, D)
        if self.scale != 1.0:
            x = x * self.scale
        logits = flatten_tokens(x).dot(self.weight.value.T)  # (N, D) (D, V)
        return logits.reshape(*x.shape[:-1], V), Cache(x=x)

    def backward(self, d_logits: Array, cache: Cache) -> Array:
        x = cache["x"]  # with its scale
        V, D = self.weight.shape
        check_gradient(self, d_logits, (*x.shape[:-1], V))
        d_rows = d_logits.reshape(-1, V)
        self.weight.grad += d_rows.T @ x.reshape(-1, D)
        dx = (d_rows @ self.weight.value).reshape(x.shape)
        return dx * self.scale if self.scale != 1.0 else dx


def check_ids(name: str, ids: Array, n: int) -> None:
    """Raise TypeError unless `ids` are integers, ValueError unless all are in [0, n)."""
    if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu":
        got = f"dtype {ids.dtype}" if isinstance(ids, np.ndarray) else type(ids).__name__
        raise TypeError(f"{name} is of {got}: ids must be an array of integers")
    if ids.size and not (ids.min() >= 0 and ids.max() < n):
        wrong = ids[(ids < 0) | (ids >= n)].flat[0]
        raise ValueError(f"{name} holds {wrong}: ids must be at least 0 and below {n}")
