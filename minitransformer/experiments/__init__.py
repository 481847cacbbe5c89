"""Experiments: two architectures compared, published numbers reproduced, and who finds the noun of a pronoun."""

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
