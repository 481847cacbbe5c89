"""Layers made of layers: one that does nothing, and several one after another."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import checked
from .base import Array, Cache, Layer
from .checks import check_gradient


@checked
class Identity(Layer):
    """y = x. It stands where a recipe has no part.

    Parameters
    ----------
    d_in, d_out : int, optional
        So that it can be built in place of a projection. It cannot change the width.
    init
        Not used: there is nothing to draw.
    """

    def __init__(self, d_in: int = 0, d_out: int = 0, init: Any = None) -> None:
        if d_in != d_out:
            raise ValueError(f"d_out={d_out}: an identity keeps its width d_in={d_in}")

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        return x, Cache(shape=np.shape(x))

    def backward(self, dy: Array, cache: Cache) -> Array:
        check_gradient(self, dy, cache["shape"])
        return dy


class Chain(Layer):
    """y = f_n(... f_2(f_1(x))): layers one after another, each by its name.

    Parameters
    ----------
    **layers : Layer
        In the order in which they run. The names are those of their parameters and of their caches.
    """

    def __init__(self, **layers: Layer) -> None:
        self.names = tuple(layers)
        vars(self).update(layers)

    def forward(self, x: Any, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        cache = Cache()
        for name in self.names:
            x, cache[name] = getattr(self, name).forward(x, rng=rng)
        return x, cache

    def backward(self, dx: Any, cache: Cache) -> Any:
        for name in reversed(self.names):
            dx = getattr(self, name).backward(dx, cache[name])
        return dx
