"""Random directional derivatives: every parameter of a large model is checked at once, by one forward a direction.

Im L(theta + i h v) / h = sum(gradient * v)      for any direction v
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import check_finite, check_seed, checked
from ..layers import Layer
from .check import FLOOR
from .layer_under_test import LayerUnderTest, temporarily
from .numerical import STEP
from .report import GradientCheck, Row


@checked
def check_directions(
    layer: Layer,
    *inputs: Any,
    n: int = 200,
    tolerance: float = 1e-12,
    differentiable: Sequence[str | int] | None = None,
    seed: int = 0,
    dropout_seed: int | None = 1,
    randomize: bool = False,
    **options: Any,
) -> GradientCheck:
    """Compare the derivative along random directions of all parameters and inputs with what backward says it is.

    A wrong number anywhere shows in almost every direction, since each tensor's part of a direction is scaled to
    contribute as much as any other's. It does not show where: that is for `check_gradients` on a small model.

    Parameters
    ----------
    layer, inputs, differentiable, seed, dropout_seed, options
        As for `check_gradients`.
    n : int
        How many directions.
    tolerance : float
        Largest error that passes, relative to the typical derivative along a direction.
    randomize : bool
        As for `check_gradients`; by default the parameters are checked as they are.

    Returns
    -------
    GradientCheck
        With one row.
    """
    if n < 1:
        raise ValueError(f"n={n}: there must be at least 1 direction")
    tested = LayerUnderTest(layer, inputs, options, differentiable, dropout_seed)
    check_seed(seed)
    check_finite("tolerance", tolerance, 0.0)
    rng = np.random.default_rng(seed)
    if randomize:
        tested.randomize(rng)
    name = f"{n} random directions"
    with temporarily(layer):
        try:
            row = _row(name, tested, rng, n, tolerance)
        except Exception as error:
            row = Row(name, False, diagnosis=f"it raised {type(error).__name__}: {error}")
    return GradientCheck(f"{type(layer).__name__}, {sum(p.size for p in tested.points)} numbers at once", [row])


def _row(name: str, tested: LayerUnderTest, rng: np.random.Generator, n: int, tolerance: float) -> Row:
    tested.install(np.float64)
    tested.draw_upstream(tested.forward(tested.inputs)[0], rng)
    gradients = tested.gradients()
    points = tested.points
    for tensor, gradient, point in zip(tested.names, gradients, points):
        if np.shape(gradient) != point.shape:
            return Row(
                name, False, diagnosis=f"the gradient of {tensor} has shape {np.shape(gradient)}, not {point.shape}"
            )
    lengths = [float(np.linalg.norm(gradient)) for gradient in gradients]
    shares = [1.0 / max(length, FLOOR * max(lengths), 1e-300) for length in lengths]
    inputs = tested.install(np.complex128)
    parameters = [parameter for _, parameter in tested.named_parameters]
    got, wanted = np.empty(n), np.empty(n)
    for k in range(n):
        directions = [share * rng.standard_normal(point.shape) for share, point in zip(shares, points)]
        moved = [point + 1j * STEP * v for point, v in zip(points, directions)]
        for slot, z in zip(tested.slots, moved):
            inputs[slot] = z
        for parameter, z in zip(parameters, moved[len(tested.slots) :]):
            parameter.value = z
        wanted[k] = np.imag(tested.loss(inputs)) / STEP
        got[k] = sum(np.sum(gradient * v) for gradient, v in zip(gradients, directions))
    typical = float(np.sqrt(np.mean(wanted**2)))
    errors = abs(got - wanted) / (typical or 1.0)
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    passed = bool(errors[worst] <= tolerance and typical > 0.0)
    advice = "" if passed else "run check_gradients on a small model of this kind: it says which tensor is wrong"
    return Row(name, passed, (n,), (worst,), float(got[worst]), float(wanted[worst]), float(errors[worst]), advice)
