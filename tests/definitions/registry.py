"""The registry of definitions, and what they all use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minitransformer.layers import Array, Glorot

Property = Callable[[], None]
PROPERTIES: dict[str, Property] = {}


def holds(name: str) -> Callable[[Property], Property]:
    """Register the function beneath as a property; the name is a sentence."""

    def register(function: Property) -> Property:
        PROPERTIES[name] = function
        return function

    return register


def _random(*shape: int, seed: int = 3) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def _equal(got: Any, wanted: Any, what: str, tolerance: float = 1e-12) -> None:
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape, f"{what}: shape {got.shape}, wanted {wanted.shape}"
    worst = np.max(np.abs(got - wanted), initial=0.0)
    assert worst <= tolerance, f"{what}: off by {worst:.2g}"


def _float64(seed: int = 5) -> Glorot:
    return Glorot(np.random.default_rng(seed), np.float64)
