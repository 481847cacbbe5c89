"""Injected bugs: every mistake, one at a time, that the checks must catch. `python -m tests.mutants` shows them all."""

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
from .injection import MUTANTS, Edit, Mutant, injected, rejected_by, verdict

__all__ = ["MUTANTS", "Edit", "Mutant", "injected", "rejected_by", "verdict"]
