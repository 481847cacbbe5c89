"""What the notebooks import: checked exercises, their hints and their solutions.

from minitransformer.course import check, hint, show_solution
"""

from .checking import CheckFailed, check
from .debugger import debug_session
from .hints import hint, show_solution, versions
from .pictures import diagram
from .predicting import predict, predictions
from .result import Result
from .source import Source, show_source
from .symptoms import symptoms

__all__ = [
    "CheckFailed",
    "Result",
    "Source",
    "check",
    "debug_session",
    "diagram",
    "hint",
    "predict",
    "predictions",
    "show_solution",
    "show_source",
    "symptoms",
    "versions",
]
