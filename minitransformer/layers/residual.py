"""Residual connections: a sublayer's output is added to its input, so the gradient always has a path of slope 1.

Residual   y = x + drop(f(x))
PreNorm    y = x + drop(f(norm(x)))
PostNorm   y = norm(x + drop(f(x)))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arguments import checked
from .base import Array, Cache, Layer, Parameter
from .dropout import Dropout


@checked
class Residual(Layer):
    """y = x + drop(f(x)), f the sublayer.

    A wrapper is transparent: the sublayer's parameters and cache entries stand under their own names, beside those
    of the wrapper.

    Parameters
    ----------
    sublayer : Layer
        Called as f(x, *others); others are a memory, masks. `state` is handed on to it as it is.
    dropout : float
        Probability of dropping a number of the sublayer's output while training.

    Shapes: x (B, T, D) -> y (B, T, D). Backward returns the gradient of x, or, where the sublayer's returns
    several, the tuple of them.

    Source: He et al. 2015, "Deep Residual Learning", eq. 1.
    """

    def __init__(self, sublayer: Layer, dropout: float = 0.0) -> None:
        self.sublayer = sublayer
        self.residual_dropout = Dropout(dropout)
        # The sublayer's names stand beside the wrapper's: were one to be both, each would hide the other's.
        if taken := {name for name, _ in sublayer.children()} & {"residual_dropout", "norm"}:
            raise ValueError(f"sublayer={type(sublayer).__name__} has a {taken.pop()} of its own: wrap it in a Chain")

    def children(self) -> Iterator[tuple[str, Layer | Parameter]]:
        for name, child in super().children():
            yield ("" if child is self.sublayer else name), child

    @staticmethod
    def last_norm(norm: Layer) -> Layer | None:
        """What stands behind the last block of a stack: the norm where nothing has normalized its output, else None."""
        return None

    def forward(
        self, x: Array, *others: Any, rng: np.random.Generator | None = None, **state: Any
    ) -> tuple[Array, Cache]:
        fx, cache = self.sublayer.forward(x, *others, rng=rng, **state)
        dropped, dropout_cache = self.residual_dropout.forward(fx, rng=rng)
        cache["residual_dropout"] = dropout_cache  # beside the sublayer's own entries
        return x + dropped, cache

    def backward(self, dy: Array, cache: Cache) -> Any:
        dfx = self.residual_dropout.backward(dy, cache["residual_dropout"])
        return add_to_first(dy, self.sublayer.backward(dfx, cache))


@checked
class PreNorm(Residual):
    """y = x + drop(f(norm(x))): the path from input to output has no norm on it.

    Parameters
    ----------
    sublayer, dropout
        As for `Residual`.
    norm : Layer
        Such as `LayerNorm`.

    Source: Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture", figure 1(b).
    """

    def __init__(self, sublayer: Layer, norm: Layer, dropout: float = 0.0) -> None:
        super().__init__(sublayer, dropout)
        self.norm = norm

    @staticmethod
    def last_norm(norm: Layer) -> Layer | None:
        return norm

    def forward(
        self, x: Array, *others: Any, rng: np.random.Generator | None = None, **state: Any
    ) -> tuple[Array, Cache]:
        h, norm_cache = self.norm.forward(x)
        fh, cache = self.sublayer.forward(h, *others, rng=rng, **state)
        dropped, dropout_cache = self.residual_dropout.forward(fh, rng=rng)
        cache.update(norm=norm_cache, residual_dropout=dropout_cache)
        return x + dropped, cache

    def backward(self, dy: Array, cache: Cache) -> Any:
        dfh = self.residual_dropout.backward(dy, cache["residual_dropout"])
        dh, *d_others = as_tuple(self.sublayer.backward(dfh, cache))
        dx = dy + self.norm.backward(dh, cache["norm"])
        return (dx, *d_others) if d_others else dx


@checked
class PostNorm(Residual):
    """y = norm(x + drop(f(x))), as the Transformer of 2017 has it.

    Parameters
    ----------
    sublayer, dropout
        As for `Residual`.
    norm : Layer
        Such as `LayerNorm`.

    Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(self, sublayer: Layer, norm: Layer, dropout: float = 0.0) -> None:
        super().__init__(sublayer, dropout)
        self.norm = norm

    def forward(
        self, x: Array, *others: Any, rng: np.random.Generator | None = None, **state: Any
    ) -> tuple[Array, Cache]:
        total, cache = super().forward(x, *others, rng=rng, **state)
        y, norm_cache = self.norm.forward(total)
        cache["norm"] = norm_cache
        return y, cache

    def backward(self, dy: Array, cache: Cache) -> Any:
        d_total = self.norm.backward(dy, cache["norm"])
        return super().backward(d_total, cache)


def as_tuple(gradients: Any) -> tuple[Array, ...]:
    """What a backward returned, as a tuple also where it is one array."""
    return gradients if isinstance(gradients, tuple) else (gradients,)


def add_to_first(dx: Array, gradients: Any) -> Any:
    """Add dx to the first of a backward's gradients, which may be one array or a tuple."""
    first, *others = as_tuple(gradients)
    return (dx + first, *others) if others else dx + first
