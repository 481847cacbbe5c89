"""Decoding: from a model's next-token probabilities to sentences."""

from .greedy import greedy
from .language_model import LanguageModel
from .sampling import next_word_distribution, stream
from .translator import Look, Translator, checkpoint_path

__all__ = [
    "LanguageModel",
    "Look",
    "Translator",
    "checkpoint_path",
    "greedy",
    "next_word_distribution",
    "stream",
]
