"""Decoding: from a model's next-token probabilities to sentences."""

from .bayes_risk import expected_utilities, minimum_bayes_risk
from .beam import BeamStep, Branch, beam_search, search_tree
from .decoders import Beam, Decoder, Greedy, MinimumBayesRisk, Sampling, Translation
from .greedy import greedy
from .hypothesis import Hypothesis
from .language_model import LanguageModel
from .sampling import next_word_distribution, sample, stream
from .translator import Look, Translator, checkpoint_path
from .utilities import UTILITIES, chrf, exact_match, sentence_bleu

__all__ = [
    "UTILITIES",
    "Beam",
    "BeamStep",
    "Branch",
    "Decoder",
    "Greedy",
    "Hypothesis",
    "LanguageModel",
    "Look",
    "MinimumBayesRisk",
    "Sampling",
    "Translation",
    "Translator",
    "beam_search",
    "checkpoint_path",
    "chrf",
    "exact_match",
    "expected_utilities",
    "greedy",
    "minimum_bayes_risk",
    "next_word_distribution",
    "sample",
    "search_tree",
    "sentence_bleu",
    "stream",
]
