"""What forward and backward refuse, in one line that names the argument, what came and what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import Layer


def check_gradient(layer: Layer, dy: Any, shape: tuple[int, ...]) -> None:
    """Raise TypeError unless dy is an array of floating numbers, ValueError unless it has the output's shape."""
    if isinstance(dy, (np.ndarray, np.generic)) and dy.shape == shape and dy.dtype.kind in "fc":
        return
    name = f"{type(layer).__name__}.backward: dy"
    if not isinstance(dy, (np.ndarray, np.generic)):
        raise TypeError(f"{name} is of type {type(dy).__name__}: give an array of the output's shape {shape}")
    if dy.dtype.kind not in "fc":
        raise TypeError(f"{name} has dtype {dy.dtype}: give floating numbers")
    raise ValueError(f"{name} has shape {dy.shape}: the output has {shape}")


def check_gradients(layer: Layer, d_output: Any, shapes: Sequence[tuple[int, ...]]) -> None:
    """The same for a layer of several outputs, whose gradients are a tuple."""
    if not isinstance(d_output, tuple) or len(d_output) != len(shapes):
        got = f"{len(d_output)} of them" if isinstance(d_output, tuple) else f"a {type(d_output).__name__}"
        raise TypeError(f"{type(layer).__name__}.backward: dy is {got}: give a tuple of {len(shapes)} arrays")
    for dy, shape in zip(d_output, shapes):
        check_gradient(layer, dy, shape)


def check_array(x: Any) -> None:
    """Raise TypeError unless x is an array of numbers."""
    check_axes("x", x)


def check_axes(name: str, x: Any, axes: str = "") -> None:
    """Raise TypeError unless x is an array of numbers, ValueError unless it has these axes, such as "B T D"."""
    if not isinstance(x, (np.ndarray, np.generic)):
        raise TypeError(f"{name} is of type {type(x).__name__}: give a NumPy array, such as np.array(...)")
    if x.dtype.kind not in "fciub":
        raise TypeError(f"{name} has dtype {x.dtype}: give numbers")
    if axes and x.ndim != len(axes.split()):
        raise ValueError(f"{name} has shape {x.shape}: give ({', '.join(axes.split())})")


def check_features(x: Any, n: int, name: str = "d_model") -> None:
    """Raise TypeError unless x is an array, ValueError unless its last axis holds n features."""
    if isinstance(x, np.ndarray) and x.ndim and x.shape[-1] == n and x.dtype.kind in "fc":
        return
    check_array(x)
    if x.shape[-1:] != (n,):
        raise ValueError(f"x has shape {x.shape}: its last axis must hold {name}={n} features")
