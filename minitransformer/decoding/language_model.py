"""A language model: a trained decoder-only model together with its vocabulary. A prompt in, its continuation out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Vocabulary, vocabulary_from_dict
from ..data.vocabulary import SPECIALS
from ..layers import Array, Unallocated
from ..models import LANGUAGE_MODELS, DecoderOnly, build_model
from ..training.checkpoint import CheckpointError, load_checkpoint
from ..training.sizes import check_sizes
from .sampling import stream
from .translator import checkpoint_path, fill


@dataclass
class LanguageModel:
    """A model and its vocabulary.

    Parameters
    ----------
    name : str
        What LANGUAGE_MODELS calls the architecture.
    model : DecoderOnly
    vocabulary : Vocabulary
    """

    name: str
    model: DecoderOnly
    vocabulary: Vocabulary

    def generate(self, prompt: str, **settings: Any) -> str:
        """The prompt's continuation; settings as in `stream`."""
        return self.vocabulary.decode(list(self.stream_ids(prompt, **settings)))

    def stream_ids(self, prompt: str, **settings: Any) -> Iterator[int]:
        """The ids of the continuation, as they are drawn.

        Raises ValueError where the prompt is empty, or has a character that the vocabulary has not.
        """
        ids = self.vocabulary.encode(prompt)
        if not ids:
            raise ValueError(f"prompt={prompt!r}: give at least one token to go on from")
        if self.vocabulary.unk in ids:
            unknown = next(c for c in prompt if self.vocabulary.unk in self.vocabulary.encode(c))
            raise ValueError(f"prompt={prompt!r}: the text that the model has read had no {unknown!r}")
        return stream(
            self.model,
            np.array(ids),
            context=self.model.config.max_length,  # type: ignore[attr-defined]
            suppress_tokens=range(len(SPECIALS)),  # no text has them, so nothing was learned about them
            **settings,
        )

    def arrays(self) -> dict[str, Array]:
        """The parameters, as a checkpoint keeps them."""
        return {f"model.{name}": parameter.value for name, parameter in self.model.named_parameters()}

    def description(self) -> dict[str, Any]:
        """All but the parameters, as a checkpoint keeps it (JSON)."""
        config = self.model.config.to_dict()  # type: ignore[attr-defined]
        return {"model": self.name, "config": config, "vocabulary": self.vocabulary.to_dict()}

    @classmethod
    def load(cls, run: str | os.PathLike[str]) -> LanguageModel:
        """Read a language model from a checkpoint, or from the folder of a run that holds one.

        Raises CheckpointError, which names the file, where there is none or it does not fit together.
        """
        path = checkpoint_path(run)
        return cls.from_checkpoint(path, *load_checkpoint(path, check_sizes))

    @classmethod
    def from_checkpoint(cls, path: Path, arrays: dict[str, Array], description: dict[str, Any]) -> LanguageModel:
        try:
            name = description["model"]
            config = LANGUAGE_MODELS[name][1].from_dict(description["config"])
            vocabulary = vocabulary_from_dict(description["vocabulary"])
            model = build_model(name, config, Unallocated())
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: is not that of a language model of this program: {error!r}") from None
        fill(path, name, model, arrays)
        return cls(name, model, vocabulary)
