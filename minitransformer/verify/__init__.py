"""What a user calls to prove gradients: of any layer and any model, entry by entry, and traced step by step."""

from .check import check_gradients
from .derivatives import central_difference, complex_step
from .directions import check_directions
from .report import GradientCheck, GradientCheckFailed, Row
from .tracing import Step, Trace, trace

__all__ = [
    "GradientCheck",
    "GradientCheckFailed",
    "Row",
    "Step",
    "Trace",
    "central_difference",
    "check_directions",
    "check_gradients",
    "complex_step",
    "trace",
]
