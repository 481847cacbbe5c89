"""Experiments: two architectures compared, and published numbers reproduced."""

from .comparison import Candidate, Comparison, Task, compare, matched
from .conclusions import conclusions, steps_to_reach, table
from .errors import ExperimentError

__all__ = [
    "Candidate",
    "Comparison",
    "ExperimentError",
    "Task",
    "compare",
    "conclusions",
    "matched",
    "steps_to_reach",
    "table",
]
