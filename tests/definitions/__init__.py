"""What must hold besides right gradients: every value is wanted by definition, written as loops over numbers."""

from . import (  # noqa: F401 (they fill the registry)
    data,
    decoding,
    layers,
    lstm_models,
    models,
    recurrent,
    search,
    t5_gpt_llama,
    training,
    variants,
)
from .registry import PROPERTIES

__all__ = ["PROPERTIES"]
