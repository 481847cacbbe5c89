"""A translator: a trained model together with the vocabularies that its ids stand for. Text in, text out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Vocabulary, pad_sequences, vocabulary_from_dict
from ..layers import Array, Cache, Layer, Unallocated, as_initializer
from ..models import MODELS, EncoderDecoder, build_model
from ..training.checkpoint import CheckpointError, load_checkpoint
from ..training.sizes import check_sizes
from .greedy import greedy


@dataclass(frozen=True)
class Look:
    """What a model did with one sentence.

    Attributes
    ----------
    source, target : list of str
        Words as they stand on the axes of a picture; the target's are those predicted, `<eos>` last.
    cache : Cache
        Of the forward pass: `cache["decoder"]["blocks"][0]["cross_attention"]["weights"][0]` is (H, T, S).
    """

    source: list[str]
    target: list[str]
    cache: Cache


@dataclass
class Translator:
    """A model and its vocabularies.

    Parameters
    ----------
    name : str
        What MODELS calls the architecture.
    model : EncoderDecoder
    source_vocabulary, target_vocabulary : Vocabulary
    start : int
        The id that the decoder reads first: the target vocabulary's `bos`, or its `eos` as in lecture notes.
    """

    name: str
    model: EncoderDecoder
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    start: int

    def translate(self, texts: Sequence[str], max_new_tokens: int | None = None, batch_size: int = 64) -> list[str]:
        """Translate sentences greedily; an empty one stays empty.

        Parameters
        ----------
        texts : sequence of str
        max_new_tokens : int, optional
            Most tokens of a translation; by default 10 more than twice the source's.
        batch_size : int
            Sentences translated at a time; those of like length together.
        """
        if isinstance(texts, str):
            raise TypeError(f"texts is the string {texts!r}: give a list of sentences")
        sources = [self.source_vocabulary.encode(text) for text in texts]
        return [self.target_vocabulary.decode(ids) for ids in self.translate_ids(sources, max_new_tokens, batch_size)]

    def translate_ids(
        self, sources: Sequence[Sequence[int]], max_new_tokens: int | None = None, batch_size: int = 64
    ) -> list[list[int]]:
        """The same for sentences given as ids, without special tokens, to ids."""
        order = sorted((i for i, ids in enumerate(sources) if len(ids)), key=lambda i: len(sources[i]))
        translations: list[list[int]] = [[] for _ in sources]
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            for i, ids in zip(rows, self._translate_batch([sources[i] for i in rows], max_new_tokens)):
                translations[i] = ids
        return translations

    def _translate_batch(self, sources: Sequence[Sequence[int]], max_new_tokens: int | None) -> list[list[int]]:
        # By default each sentence has its own limit: its translation must not depend on its neighbours in the batch.
        limits = [2 * len(ids) + 10 if max_new_tokens is None else max_new_tokens for ids in sources]
        translations = greedy(
            self.model,
            self._source_batch(sources),
            start=self.start,
            eos=self.target_vocabulary.eos,
            max_new_tokens=max(limits),
        )
        return [ids[:limit] for ids, limit in zip(translations, limits)]

    def look(self, text: str) -> Look:
        """Translate one sentence and return the words with the cache that holds all attention maps."""
        ids = self.source_vocabulary.encode(text)
        if not ids:
            raise ValueError(f"text is {text!r}: there is no word in it to look at")
        return self.look_ids(ids, self.translate_ids([ids])[0])

    def look_ids(self, source: Sequence[int], target: Sequence[int]) -> Look:
        """The forward pass of one pair under teacher forcing, both as ids without special tokens."""
        eos = self.target_vocabulary.eos
        _, cache = self.model.forward(self._source_batch([source]), np.array([[self.start, *target]]))
        return Look(
            self.source_vocabulary.labels([*source, self.source_vocabulary.eos]),
            self.target_vocabulary.labels([*target, eos]),
            cache,
        )

    def _source_batch(self, sources: Sequence[Sequence[int]]) -> Array:
        eos = self.source_vocabulary.eos
        return pad_sequences([[*ids, eos] for ids in sources], self.model.pad)

    def arrays(self) -> dict[str, Array]:
        """The parameters, as a checkpoint keeps them."""
        return {f"model.{name}": parameter.value for name, parameter in self.model.named_parameters()}

    def description(self) -> dict[str, Any]:
        """All but the parameters, as a checkpoint keeps it (JSON)."""
        shared = self.source_vocabulary == self.target_vocabulary
        return {
            "model": self.name,
            "config": self.model.config.to_dict(),  # type: ignore[attr-defined]
            "source_vocabulary": self.source_vocabulary.to_dict(),
            "target_vocabulary": None if shared else self.target_vocabulary.to_dict(),
            "start": self.start,
        }

    @classmethod
    def load(cls, run: str | os.PathLike[str]) -> Translator:
        """Read a translator from a checkpoint, or from the folder of a run that holds one.

        Raises CheckpointError, which names the file, where there is none or it does not fit together.
        """
        path = checkpoint_path(run)
        return cls.from_checkpoint(path, *load_checkpoint(path, check_sizes))

    @classmethod
    def from_checkpoint(cls, path: Path, arrays: dict[str, Array], description: dict[str, Any]) -> Translator:
        try:
            name = description["model"]
            config = MODELS[name][1].from_dict(description["config"])
            source_vocabulary = vocabulary_from_dict(description["source_vocabulary"])
            stored_target = description["target_vocabulary"]
            target_vocabulary = source_vocabulary if stored_target is None else vocabulary_from_dict(stored_target)
            start = int(description["start"])
            check_vocabularies(config.to_dict(), len(source_vocabulary), len(target_vocabulary), start)
            model = build_model(name, config, as_initializer(Unallocated()))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: its description does not fit this program: {error!r}") from None
        fill(path, name, model, arrays)
        return cls(name, model, source_vocabulary, target_vocabulary, start)


def check_vocabularies(config: dict[str, Any], source: int, target: int, start: int) -> None:
    """Raise ValueError unless a model of this configuration has as many ids as the vocabularies."""
    wanted = config.get("source_vocab", config.get("vocab"))
    if (source, target) != (wanted, config.get("target_vocab") or wanted):
        raise ValueError(f"vocabularies of {source} and {target} tokens do not fit a model of {config}")
    if not 0 <= start < target:
        raise ValueError(f"start={start}: must be an id of the target's {target} tokens")


def fill(path: Path, name: str, model: Layer, arrays: dict[str, Array]) -> None:
    """Give a model that was built without memory its parameters from a checkpoint's arrays."""
    for parameter_name, parameter in model.named_parameters():
        stored = arrays.get(f"model.{parameter_name}")
        if stored is None or stored.shape != parameter.shape:
            got = "missing" if stored is None else f"of shape {stored.shape}"
            raise CheckpointError(f"{path}: {parameter_name} is {got}: {name} needs {parameter.shape}")
        parameter.value, parameter.grad = stored, np.zeros_like(stored)


def checkpoint_path(run: str | os.PathLike[str]) -> Path:
    """The checkpoint of a run: `run` itself, or checkpoint.npz in it where it is a folder."""
    path = Path(run)
    return path / "checkpoint.npz" if path.is_dir() else path
