"""Decoding: from a model's next-token probabilities to sentences."""

from .bayes_risk import expected_utilities, minimum_bayes_risk
from .beam import BeamStep, Branch, beam_search, search_tree
from .greedy import greedy
from .hypothesis import Hypothesis
from .inside import look_inside, outcomes
from .language_model import LanguageModel
from .loading import load
from .metrics import METRICS, chrf, exact_match, sentence_bleu
from .sampling import next_word_distribution, sample, stream
from .strategies import Beam, Greedy, MinimumBayesRisk, Sampling, Strategy, Translation
from .translator import DecodingTrace, Translator, checkpoint_path

__all__ = [
    "METRICS",
    "Beam",
    "BeamStep",
    "Branch",
    "DecodingTrace",
    "Greedy",
    "Hypothesis",
    "LanguageModel",
    "MinimumBayesRisk",
    "Sampling",
    "Strategy",
    "Translation",
    "Translator",
    "beam_search",
    "checkpoint_path",
    "chrf",
    "exact_match",
    "expected_utilities",
    "greedy",
    "load",
    "look_inside",
    "minimum_bayes_risk",
    "next_word_distribution",
    "outcomes",
    "sample",
    "search_tree",
    "sentence_bleu",
    "stream",
]
