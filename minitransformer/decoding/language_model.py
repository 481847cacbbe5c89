"""A language model: a trained decoder-only model together with its vocabulary. A prompt in, its continuation out."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import check_type
from ..data import Vocabulary, normalize, vocabulary_from_dict
from ..data.vocabulary import SPECIALS
from ..layers import Array, Unallocated
from ..models import LANGUAGE_MODELS, DecoderOnly, build_model
from ..training.checkpoint import CheckpointError
from ..training.sizes import load_run
from .protocols import DecodingModel, VocabularyLike
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

    def __post_init__(self) -> None:
        check_type("name", self.name, str)
        check_type("model", self.model, DecodingModel)
        check_type("vocabulary", self.vocabulary, VocabularyLike)

    def generate(self, prompt: str, **settings: Any) -> str:
        """The prompt's continuation; settings as in `stream`."""
        return "".join(self.stream(prompt, **settings))

    def stream(self, prompt: str, **settings: Any) -> Iterator[str]:
        """The continuation in pieces of text, as they are drawn; ValueError as `stream_ids`."""
        ids = self.stream_ids(prompt, **settings)
        return pieces_of_text(self.vocabulary.decode, self.prompt_ids(prompt), ids)

    def stream_ids(self, prompt: str, **settings: Any) -> Iterator[int]:
        """The ids of the continuation, as they are drawn, up to one at which a text ends.

        Raises ValueError where the prompt is empty, or has a character that the vocabulary has not.
        """
        tokens = stream(
            self.model,
            np.array(self.prompt_ids(prompt)),
            context=self.model.config.max_length,  # type: ignore[attr-defined]
            suppress_tokens=tuple(self.never()),
            **settings,
        )
        return until(tokens, self.stops())

    def prompt_ids(self, prompt: str) -> list[int]:
        """What the model reads for a prompt."""
        prompt = normalize(prompt, "prompt")
        ids = self.vocabulary.encode(prompt)
        if not ids:
            raise ValueError(f"prompt={prompt!r}: give at least one token to go on from")
        if self.vocabulary.unk in ids:
            unknown = next(c for c in prompt if self.vocabulary.unk in self.vocabulary.encode(c))
            raise ValueError(f"prompt={prompt!r}: the text that the model has read had no {unknown!r}")
        return ids

    def default_prompt(self) -> str:
        """What to go on from where nothing is given: the beginning of a line."""
        return "\n"

    def never(self) -> Iterable[int]:
        """Ids that are not chosen: no text has the special ones, so nothing was learned about them."""
        return range(len(SPECIALS))

    def stops(self) -> Collection[int]:
        """Ids at which a text ends."""
        return ()

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
        return cls.from_checkpoint(path, *load_run(path))

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


def until(tokens: Iterator[int], stops: Collection[int]) -> Iterator[int]:
    """The tokens before the first that is one of `stops`."""
    for token in tokens:
        if token in stops:
            return
        yield token


def pieces_of_text(decode: Callable[[list[int]], str], read: list[int], tokens: Iterable[int]) -> Iterator[str]:
    """The text of tokens that go on from those read, as it becomes known.

    A character may need several tokens, and a token may look otherwise at the beginning of a text than within it. So a
    piece is what is new in the text of the last tokens together.
    """
    ids = list(read)
    shown, seen = decode(ids), len(ids)  # what is known to the reader, and how many tokens that is
    for token in tokens:
        ids.append(token)
        text = decode(ids)
        if text.endswith("\ufffd") and len(ids) - seen < 4:  # perhaps the first bytes of a character: it has up to 4
            continue
        yield text[len(shown) :]
        ids = ids[seen:] or ids  # from where the last piece began
        shown, seen = decode(ids), len(ids)
    yield decode(ids)[len(shown) :]
