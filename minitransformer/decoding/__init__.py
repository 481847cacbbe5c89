"""Decoding: from a model's next-token probabilities to sentences."""

from .greedy import greedy
from .translator import Look, Translator, checkpoint_path

__all__ = ["Look", "Translator", "checkpoint_path", "greedy"]
