"""A pure-NumPy Transformer whose every gradient is written by hand and proven right."""

from .decoding import LanguageModel, Translator, load

__version__ = "0.2.0"

__all__ = ["LanguageModel", "Translator", "__version__", "load"]
