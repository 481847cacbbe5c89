"""A pure-NumPy Transformer whose every gradient is written by hand and proven right.

The rooms are `layers` (one operation a file), `models`, `data`, `training`, `decoding`, `pretrained`, `plotting`,
`verify` and `experiments`; `interventions` changes one thing inside a model while it runs.
"""

from .decoding import LanguageModel, Translator
from .pretrained import load

__version__ = "0.2.0"

__all__ = [
    "LanguageModel",
    "Translator",
    "__version__",
    "data",
    "decoding",
    "experiments",
    "interventions",
    "layers",
    "load",
    "models",
    "plotting",
    "pretrained",
    "training",
    "verify",
]
