"""A pure-NumPy Transformer whose every gradient is written by hand and proven right."""

from .decoding import Translator

__version__ = "0.1.0"

load = Translator.load

__all__ = ["Translator", "__version__", "load"]
