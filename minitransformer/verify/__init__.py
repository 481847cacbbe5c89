"""What a user calls to prove gradients: of any layer and any model, entry by entry, and traced step by step."""

from .check import check_gradients
from .directions import check_directions
from .numerical import central_difference, complex_step
from .report import GradientCheck, GradientCheckFailed, Row
from .trace import LayerCall, Trace, trace

__all__ = [
    "GradientCheck",
    "GradientCheckFailed",
    "LayerCall",
    "Row",
    "Trace",
    "central_difference",
    "check_directions",
    "check_gradients",
    "complex_step",
    "trace",
]
