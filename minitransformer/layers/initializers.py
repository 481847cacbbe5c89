"""Where weights come from before training. An initializer is an object that is passed to a layer's constructor.

Each draws from a generator of the caller's; `Unallocated` draws nothing and takes no memory, so that a model of any
size can be built only to be counted.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import check_finite, checked
from .base import Array


@checked
class Initializer:
    """Draws a layer's first weights. Subclasses say how a matrix is drawn.

    Parameters
    ----------
    rng : np.random.Generator
        Advanced by every draw; NumPy's global generator is never touched.
    dtype
        Of every parameter: float32 trains, float64 checks.
    """

    def __init__(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> None:
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng={rng!r}: give a np.random.Generator, such as np.random.default_rng(0)")
        self.rng = rng
        self.dtype = np.dtype(dtype)

    def matrix(self, d_in: int, d_out: int) -> Array:
        """The weight of a linear map from d_in to d_out features, (d_in, d_out)."""
        raise NotImplementedError

    def embedding(self, n: int, d_model: int) -> Array:
        """A table of n vectors, (n, d_model): normal with variance 1 / d_model: its vectors' length is about 1."""
        if n < 1 or d_model < 1:
            raise ValueError(f"n={n}, d_model={d_model}: a table needs at least 1 vector of at least 1 number")
        return self._normal((n, d_model), d_model**-0.5)

    def scaled(self, factor: float) -> Initializer:
        """An initializer whose matrices and tables are those of this one times a factor."""
        return Scaled(self, factor)

    def zeros(self, *shape: int) -> Array:
        return np.zeros(shape, self.dtype)

    def ones(self, *shape: int) -> Array:
        return np.ones(shape, self.dtype)

    def _normal(self, shape: tuple[int, ...], std: float) -> Array:
        return (self.rng.standard_normal(shape) * std).astype(self.dtype)


class Glorot(Initializer):
    """Uniform in +-sqrt(6 / (d_in + d_out)), which keeps the variance of both signals and gradients.

    Source: Glorot and Bengio 2010, eq. 16.
    """

    def matrix(self, d_in: int, d_out: int) -> Array:
        bound = (6.0 / (d_in + d_out)) ** 0.5
        return self.rng.uniform(-bound, bound, (d_in, d_out)).astype(self.dtype)


@checked
class Normal(Initializer):
    """Normal with one standard deviation for matrices and tables alike, as GPT-2 has it (0.02)."""

    def __init__(self, rng: np.random.Generator, dtype: DTypeLike = np.float32, std: float = 0.02) -> None:
        super().__init__(rng, dtype)
        check_finite("std", std, 0.0)
        self.std = std

    def matrix(self, d_in: int, d_out: int) -> Array:
        return self._normal((d_in, d_out), self.std)

    def embedding(self, n: int, d_model: int) -> Array:
        return self._normal((n, d_model), self.std)


class Scaled(Initializer):
    """Draws what another initializer draws, times a factor.

    Parameters
    ----------
    init : Initializer
    factor : float
        On matrices and tables; zeros and ones stay what they are.
    """

    def __init__(self, init: Initializer, factor: float) -> None:
        super().__init__(init.rng, init.dtype)
        self.init, self.factor = init, float(factor)

    def matrix(self, d_in: int, d_out: int) -> Array:
        return self.init.matrix(d_in, d_out) * self.factor

    def embedding(self, n: int, d_model: int) -> Array:
        return self.init.embedding(n, d_model) * self.factor


@checked
class Unallocated(Initializer):
    """Arrays with a shape and no memory (all strides zero, read-only): for counting, never for running."""

    def __init__(self, dtype: DTypeLike = np.float32) -> None:
        self.dtype = np.dtype(dtype)

    def scaled(self, factor: float) -> Initializer:
        return self

    def zeros(self, *shape: int) -> Array:
        if math.prod(shape) * self.dtype.itemsize > sys.maxsize:
            raise ValueError(
                f"shape={shape}: has more than {sys.maxsize:,} bytes, the most that this Python can number"
            )
        return np.broadcast_to(np.zeros((), self.dtype), shape)

    def ones(self, *shape: int) -> Array:
        return self.zeros(*shape)

    def matrix(self, d_in: int, d_out: int) -> Array:
        return self.zeros(d_in, d_out)

    def embedding(self, n: int, d_model: int) -> Array:
        return self.zeros(n, d_model)


Init = Initializer | np.random.Generator


@checked
def as_initializer(init: Init) -> Initializer:
    """An initializer as it is; a bare generator means `Glorot` in float32."""
    return init if isinstance(init, Initializer) else Glorot(init)
