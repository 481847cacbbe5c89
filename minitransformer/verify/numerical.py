"""Derivatives that do not come from a backward: what the hand-written gradients are compared with.

Complex step         f'(x) = Im f(x + ih) / h                       exact to rounding: nothing is subtracted
Central difference   f'(x) = (f(x + h) - f(x - h)) / 2h + O(h^2)    an independent witness, good to 8 digits or so
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arguments import check_finite, checked
from ..layers import Array

STEP = 1e-30


@checked
def complex_step(f: Callable[[Array], complex], array: Array) -> Array:
    """The gradient of f at an array, entry by entry, by complex step.

    Parameters
    ----------
    f : callable
        Takes a complex array of this shape, returns a scalar. It must let complex numbers through: `abs`, `sign`,
        `var`, `std`, `linalg.norm` and `.conj()` are silently wrong.
    array : array
        Where; it is not changed.

    Source: Squire and Trapp 1998, "Using Complex Variables to Estimate Derivatives of Real Functions".
    """
    point = np.array(array, np.complex128)
    gradient = np.empty(point.shape)
    for index in np.ndindex(point.shape):
        kept = point[index]
        point[index] = kept + 1j * STEP
        gradient[index] = np.imag(f(point)) / STEP
        point[index] = kept
    return gradient


@checked
def central_difference(f: Callable[[Array], float], array: Array, step: float = 6e-6) -> Array:
    """The gradient of f at an array, entry by entry, by central difference.

    Parameters
    ----------
    f : callable
        Takes a float64 array of this shape, returns a scalar.
    array : array
        Where; it is not changed.
    step : float
        h, times max(1, |x|). The default, the cube root of the rounding error, balances rounding against the
        curvature that the formula leaves out.
    """
    check_finite("step", step, 1e-12)
    point = np.array(array, np.float64)
    gradient = np.empty(point.shape)
    for index in np.ndindex(point.shape):
        kept = point[index]
        h = step * max(1.0, float(abs(kept)))
        point[index] = kept + h
        above = f(point)
        point[index] = kept - h
        below = f(point)
        point[index] = kept
        gradient[index] = (above - below) / (2.0 * h)
    return gradient
