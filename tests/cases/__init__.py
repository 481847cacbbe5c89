"""A small case, or several, for every layer and every model: what the gradient checks and the injected bugs run on."""

from . import layers, models, recurrent  # noqa: F401 (they fill the registry)
from .registry import CASES, Case, case, concrete_layers, layers_without_case, line_to_write

__all__ = ["CASES", "Case", "case", "concrete_layers", "layers_without_case", "line_to_write"]
