"""The feed-forward layer works on each position by itself: widen, bend, narrow.

FeedForward        y = f(x W_1 + b_1) W_2 + b_2
GatedFeedForward   y = (f(x W_g) * x W_1) W_2          what is bent opens or shuts what is not
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .activations import ReLU, SiLU
from .base import Array, Cache, Layer, shortcut
from .dropout import Dropout
from .initializers import Init, as_initializer
from .linear import Dense, Linear
from .sums import as_rows


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
    output : layer class, optional
        What narrows, where it is not made as what widens is.

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
        output: Callable[[int, int, Init], Layer] | None = None,
    ) -> None:
        init = as_initializer(init)
        self.widen = projection(d_model, d_ff, init)
        self.activation = activation or ReLU()
        self.dropout = Dropout(dropout)
        self.narrow = (output or projection)(d_ff, d_model, init)

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

    @shortcut
    def step(self, x: Array, state: Any, *others: Any) -> Array:
        hidden = self.widen.step(as_rows(x), state["widen"])
        bent = self.activation.step(hidden, state["activation"])
        return self.narrow.step(bent, state["narrow"]).reshape(x.shape)


class GatedFeedForward(Layer):
    """Two projections side by side, one of them bent: their product is narrowed. SwiGLU by default.

    Parameters
    ----------
    d_model, d_ff : int
        Width outside and inside.
    init : Initializer or np.random.Generator
        Draws the projections.
    dropout : float
        Probability of dropping a number of the product while training.
    activation : Layer
        What bends the gate: `SiLU()` makes SwiGLU (Llama), `GELU()` GEGLU (T5 v1.1).
    projection : layer class
        `Linear`, or `Dense` for one with biases.
    output : layer class, optional
        What narrows, where it is not made as what widens is.

    Shapes: x (..., D) -> y (..., D).

    Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 6.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        init: Init,
        dropout: float = 0.0,
        activation: Layer | None = None,
        projection: Callable[[int, int, Init], Layer] = Linear,
        output: Callable[[int, int, Init], Layer] | None = None,
    ) -> None:
        init = as_initializer(init)
        self.gate = projection(d_model, d_ff, init)
        self.activation = activation or SiLU()
        self.widen = projection(d_model, d_ff, init)
        self.dropout = Dropout(dropout)
        self.narrow = (output or projection)(d_ff, d_model, init)

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        gate, gate_cache = self.gate.forward(x)
        bent, activation_cache = self.activation.forward(gate)
        wide, widen_cache = self.widen.forward(x)
        dropped, dropout_cache = self.dropout.forward(bent * wide, rng=rng)
        y, narrow_cache = self.narrow.forward(dropped)
        return y, Cache(
            gate=gate_cache,
            activation=activation_cache,
            widen=widen_cache,
            bent=bent,
            wide=wide,
            dropout=dropout_cache,
            narrow=narrow_cache,
        )

    def backward(self, dy: Array, cache: Cache) -> Array:
        d_dropped = self.narrow.backward(dy, cache["narrow"])
        d_product = self.dropout.backward(d_dropped, cache["dropout"])
        d_wide = d_product * cache["bent"]
        d_bent = d_product * cache["wide"]
        dx = self.widen.backward(d_wide, cache["widen"])
        d_gate = self.activation.backward(d_bent, cache["activation"])
        return dx + self.gate.backward(d_gate, cache["gate"])  # x was used twice, so its two gradients add

    @shortcut
    def step(self, x: Array, state: Any, *others: Any) -> Array:
        rows = as_rows(x)
        bent = self.activation.step(self.gate.step(rows, state["gate"]), state["activation"])
        wide = self.widen.step(rows, state["widen"])
        return self.narrow.step(bent * wide, state["narrow"]).reshape(x.shape)
