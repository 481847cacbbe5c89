"""The feed-forward layer works on each position by itself: project up, apply an activation, project down.

FeedForward        y = f(x W_up + b_up) W_down + b_down
GatedFeedForward   y = (f(x W_gate) * x W_up) W_down          the activated gate scales the other projection
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arguments import checked
from .activations import ReLU, SiLU
from .base import Array, Cache, Layer
from .dropout import Dropout
from .initializers import Init, as_initializer
from .linear import Dense, Linear


@checked
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
        `ReLU()`, the default, or `GELU()`.
    projection : layer class
        `Dense`, or `Linear` for a bias-free one.
    output : layer class, optional
        Of the projection down, where it differs from `projection`.

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
        self.up_proj = projection(d_model, d_ff, init)
        self.activation = activation or ReLU()
        self.dropout = Dropout(dropout)
        self.down_proj = (output or projection)(d_ff, d_model, init)

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        hidden, up_cache = self.up_proj.forward(x)
        activated, activation_cache = self.activation.forward(hidden)
        dropped, dropout_cache = self.dropout.forward(activated, rng=rng)
        y, down_cache = self.down_proj.forward(dropped)
        return y, Cache(up_proj=up_cache, activation=activation_cache, dropout=dropout_cache, down_proj=down_cache)

    def backward(self, dy: Array, cache: Cache) -> Array:
        d_dropped = self.down_proj.backward(dy, cache["down_proj"])
        d_activated = self.dropout.backward(d_dropped, cache["dropout"])
        d_hidden = self.activation.backward(d_activated, cache["activation"])
        return self.up_proj.backward(d_hidden, cache["up_proj"])


@checked
class GatedFeedForward(Layer):
    """Two projections side by side, one of them through the activation; their product is projected down.

    Parameters
    ----------
    d_model, d_ff : int
        Width outside and inside.
    init : Initializer or np.random.Generator
        Draws the projections.
    dropout : float
        Probability of dropping a number of the product while training.
    activation : Layer
        Of the gate: `SiLU()`, the default, makes SwiGLU (Llama), `GELU()` GEGLU (T5 v1.1).
    projection : layer class
        `Linear`, or `Dense` for one with biases.
    output : layer class, optional
        Of the projection down, where it differs from `projection`.

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
        self.gate_proj = projection(d_model, d_ff, init)
        self.activation = activation or SiLU()
        self.up_proj = projection(d_model, d_ff, init)
        self.dropout = Dropout(dropout)
        self.down_proj = (output or projection)(d_ff, d_model, init)

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        gate, gate_cache = self.gate_proj.forward(x)
        activated, activation_cache = self.activation.forward(gate)
        up, up_cache = self.up_proj.forward(x)
        dropped, dropout_cache = self.dropout.forward(activated * up, rng=rng)
        y, down_cache = self.down_proj.forward(dropped)
        return y, Cache(
            gate_proj=gate_cache,
            activation=activation_cache,
            up_proj=up_cache,
            activated=activated,
            up=up,
            dropout=dropout_cache,
            down_proj=down_cache,
        )

    def backward(self, dy: Array, cache: Cache) -> Array:
        d_dropped = self.down_proj.backward(dy, cache["down_proj"])
        d_product = self.dropout.backward(d_dropped, cache["dropout"])
        d_up = d_product * cache["activated"]
        d_activated = d_product * cache["up"]
        dx = self.up_proj.backward(d_up, cache["up_proj"])
        d_gate = self.activation.backward(d_activated, cache["activation"])
        return dx + self.gate_proj.backward(d_gate, cache["gate_proj"])  # x was used twice: its gradients add
