"""Rotary positions: queries and keys are turned by an angle that grows with the position, pair of features by pair.

y[2i]   = x[2i] cos(t w_i) - x[2i+1] sin(t w_i)          w_i = base^(-2i/d)
y[2i+1] = x[2i] sin(t w_i) + x[2i+1] cos(t w_i)

The product of a query and a key then depends on the distance of their positions alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import check_finite, checked
from .base import Array, Cache, Layer
from .checks import check_features, check_gradient
from .positions import table_length


@lru_cache(maxsize=64)
def rotations(length: int, d_head: int, base: float = 10000.0, dtype: DTypeLike = np.float64) -> tuple[Array, Array]:
    """Cosines and sines of positions 0 ... length - 1, (length, d/2) each, read-only."""
    frequency = base ** (-np.arange(0, d_head, 2) / d_head)  # (d/2,) radians a position
    angle = np.arange(length)[:, None] * frequency  # (T, d/2)
    cos, sin = np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)
    cos.flags.writeable = sin.flags.writeable = False
    return cos, sin


@checked
class Rotary(Layer):
    """Turns every pair of *neighbouring* features (0, 1), (2, 3), ... by its position's angle. No parameters.

    That is the convention of the paper, of Meta's Llama weights and of llama2.c. Hugging Face pairs feature i with
    i + d/2 instead: `pairs_from_halves` brings the weights of its queries and keys into this order.

    Parameters
    ----------
    d_head : int
        Features of a head; must be even.
    base : float
        The slowest pair turns once in about 2 pi base positions.

    Shapes: x (B, H, T, d) -> y (B, H, T, d). `start` is the number of the first position: above 0 while decoding.

    Source: Su et al. 2021, "RoFormer", eq. 15 and 34.
    """

    def __init__(self, d_head: int, base: float = 10000.0) -> None:
        check_finite("base", base, 1.0)
        if d_head < 2 or d_head % 2:
            raise ValueError(f"d_head={d_head}: features are turned in pairs, so it must be even and at least 2")
        self.d_head, self.base = d_head, float(base)

    def forward(self, x: Array, rng: np.random.Generator | None = None, start: int = 0) -> tuple[Array, Cache]:
        check_features(x, self.d_head, "d_head")
        end = start + x.shape[-2]
        cos, sin = rotations(table_length(end), self.d_head, self.base, x.real.dtype)
        cos, sin = cos[start:end], sin[start:end]
        return rotate(x, cos, sin), Cache(cos=cos, sin=sin, shape=x.shape)

    def backward(self, dy: Array, cache: Cache) -> Array:
        check_gradient(self, dy, cache["shape"])
        return rotate(dy, cache["cos"], -cache["sin"])  # a rotation's transpose turns back


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Turn every pair of neighbouring features: x (..., T, d), cos and sin (T, d/2) -> (..., T, d)."""
    even, odd = x[..., 0::2], x[..., 1::2]  # (..., T, d/2)
    y = np.empty_like(x)
    y[..., 0::2] = even * cos - odd * sin
    y[..., 1::2] = even * sin + odd * cos
    return y


@checked
def pairs_from_halves(weight: Array, d_head: int) -> Array:
    """A weight (..., H d) of queries or keys that pairs feature i with i + d/2, as one that pairs 2i with 2i + 1.

    With the queries' and the keys' weights reordered alike, every score stays what it was.
    """
    *rest, d_heads = _of_whole_heads(weight, d_head)
    halves = weight.reshape(*rest, d_heads // d_head, 2, d_head // 2)  # (..., H d) -> (..., H, 2, d/2)
    return np.ascontiguousarray(halves.swapaxes(-1, -2).reshape(weight.shape))


@checked
def halves_from_pairs(weight: Array, d_head: int) -> Array:
    """The inverse of `pairs_from_halves`."""
    *rest, d_heads = _of_whole_heads(weight, d_head)
    pairs = weight.reshape(*rest, d_heads // d_head, d_head // 2, 2)  # (..., H d) -> (..., H, d/2, 2)
    return np.ascontiguousarray(pairs.swapaxes(-1, -2).reshape(weight.shape))


def _of_whole_heads(weight: Array, d_head: int) -> tuple[int, ...]:
    """The weight's shape (..., H d); ValueError where d is odd, or the last axis is not of whole heads."""
    if d_head < 2 or d_head % 2:
        raise ValueError(f"d_head={d_head}: must be even and at least 2")
    if not weight.ndim or weight.shape[-1] % d_head:
        raise ValueError(f"weight has shape {weight.shape}: its last axis must be a multiple of d_head={d_head}")
    return weight.shape
