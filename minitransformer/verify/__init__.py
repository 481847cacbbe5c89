"""What proves the rest right: gradient checks, a case for every layer, and bugs that the checks must catch."""

from . import recurrent_mutants  # noqa: F401 (it registers the cases, properties and bugs of recurrent layers)
from .cases import CASES, Case, case, concrete_layers, layers_without_case, line_to_write
from .check import check_gradients
from .derivatives import central_difference, complex_step
from .directions import check_directions
from .mutants import Mutant, injected, rejected_by, verdict
from .properties import PROPERTIES
from .recipe_mutants import MUTANTS
from .report import GradientCheck, GradientCheckFailed, Row
from .tracing import Step, Trace, trace

__all__ = [
    "CASES",
    "MUTANTS",
    "PROPERTIES",
    "Case",
    "GradientCheck",
    "GradientCheckFailed",
    "Mutant",
    "Row",
    "Step",
    "Trace",
    "case",
    "central_difference",
    "check_directions",
    "check_gradients",
    "complex_step",
    "concrete_layers",
    "injected",
    "layers_without_case",
    "line_to_write",
    "rejected_by",
    "trace",
    "verdict",
]
