"""Reading what a run has trained, whichever kind it is."""

from __future__ import annotations

import os

from ..arguments import checked
from ..models import LANGUAGE_MODELS
from ..training.sizes import load_run
from .language_model import LanguageModel
from .translator import Translator, checkpoint_path


@checked
def load(run: str | os.PathLike[str]) -> Translator | LanguageModel:
    """Read a translator or a language model from a checkpoint, or from the folder of a run that holds one.

    Raises CheckpointError, which names the file, where there is none or it does not fit together.
    """
    path = checkpoint_path(run)
    arrays, description = load_run(path)
    kind = LanguageModel if description.get("model") in LANGUAGE_MODELS else Translator
    return kind.from_checkpoint(path, arrays, description)
