"""Schedules: the learning rate as a function of the step, which counts from 1.

Constant       rate
Noam           factor D^-0.5 min(step^-0.5, step warmup^-1.5)
WarmupCosine   linear from 0 to rate in `warmup` steps, then half a cosine down to `final`
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..arguments import checked


@checked
@dataclass(frozen=True)
class Constant:
    """The same rate at every step."""

    rate: float

    def __post_init__(self) -> None:
        check_positive(rate=self.rate)

    def __call__(self, step: int) -> float:
        return self.rate


@checked
@dataclass(frozen=True)
class Noam:
    """Linear warm-up, then decay with the root of the step.

    Parameters
    ----------
    d_model : int
        Width of the model.
    warmup : int
        The step with the highest rate, factor (D warmup)^-0.5.
    factor : float

    Source: Vaswani et al. 2017, section 5.3, eq. 3.
    """

    d_model: int
    warmup: int = 4000
    factor: float = 1.0

    def __post_init__(self) -> None:
        check_positive(d_model=self.d_model, warmup=self.warmup, factor=self.factor)

    def __call__(self, step: int) -> float:
        return self.factor * self.d_model**-0.5 * min(step**-0.5, step * self.warmup**-1.5)


@checked
@dataclass(frozen=True)
class WarmupCosine:
    """Linear warm-up to `rate`, then half a cosine down to `final` at step `steps`, and `final` ever after.

    Source: Loshchilov and Hutter 2017, "SGDR", eq. 5, without restarts.
    """

    rate: float
    steps: int
    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        check_positive(rate=self.rate, steps=self.steps)
        if not 0 <= self.warmup <= self.steps:
            raise ValueError(f"warmup={self.warmup}: must be at least 0 and at most steps={self.steps}")
        if not 0.0 <= self.final <= self.rate:
            raise ValueError(f"final={self.final}: must be at least 0 and at most rate={self.rate}")

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.rate * step / self.warmup
        progress = min((step - self.warmup) / max(self.steps - self.warmup, 1), 1.0)
        return self.final + (self.rate - self.final) * 0.5 * (1.0 + math.cos(math.pi * progress))


def as_schedule(schedule: Callable[[int], float] | float) -> Callable[[int], float]:
    """A schedule as it is; a number means that rate at every step."""
    return schedule if callable(schedule) else Constant(float(schedule))


def check_positive(**values: float) -> None:
    """Raise ValueError unless every value is a finite number above 0."""
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name}={value}: must be a finite number above 0")
