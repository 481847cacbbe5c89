"""The feed-forward layer works on each position by itself: widen, bend, narrow.

y = f(x W_1 + b_1) W_2 + b_2
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .activations import ReLU
from .base import Array, Cache, Layer
from .dropout import Dropout
from .initializers import Init, as_initializer
from .linear import Dense


class FeedForward(Layer):
    """Two projections with an activation between them.

    Parameters
    ----------
    d_model, d_ff : int
        Width outside and inside.
    init : Initializer or np.random.Generator
        Draws the projections.
    dropout : float
        Probability of dropping an activation while training.
    activation : Layer
        What bends: `ReLU()` or `GELU()`.
    projection : layer class
        `Dense`, or `Linear` for a bias-free one.

    Shapes: x (..., D) -> y (..., D).

    Source: Vaswani et al. 2017, section 3.3, eq. 2.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        init: Init,
        dropout: float = 0.0,
        activation: Layer | None = None,
        projection: Callable[[int, int, Init], Layer] = Dense,
    ) -> None:
        init = as_initializer(init)
        self.widen = projection(d_model, d_ff, init)
        self.activation = activation or ReLU()
        self.dropout = Dropout(dropout)
        self.narrow = projection(d_ff, d_model, init)

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        hidden, widen_cache = self.widen.forward(x)
        bent, activation_cache = self.activation.forward(hidden)
        dropped, dropout_cache = self.dropout.forward(bent, rng=rng)
        y, narrow_cache = self.narrow.forward(dropped)
        return y, Cache(widen=widen_cache, activation=activation_cache, dropout=dropout_cache, narrow=narrow_cache)

    def backward(self, dy: Array, cache: Cache) -> Array:
        d_dropped = self.narrow.backward(dy, cache["narrow"])
        d_bent = self.dropout.backward(d_dropped, cache["dropout"])
        d_hidden = self.activation.backward(d_bent, cache["activation"])
        return self.widen.backward(d_hidden, cache["widen"])
