"""A translator: a trained model together with the vocabularies that its ids stand for. Text in, text out."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import check_type, checked
from ..data import Vocabulary, normalize, pad_sequences, vocabulary_from_dict
from ..layers import Array, Cache, Layer, Unallocated, as_initializer
from ..layers.display import as_html, as_text
from ..models import MODELS, EncoderDecoder, build_model
from ..training.checkpoint import CheckpointError
from ..training.sizes import load_run
from .beam import Branch, search_tree
from .hypothesis import Hypothesis
from .protocols import DecodingModel, VocabularyLike
from .strategies import Beam, Greedy, Strategy, Translation


@dataclass(frozen=True, repr=False)
class DecodingTrace:
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

    def __repr__(self) -> str:
        return f"{' '.join(self.source)}\n-> {' '.join(self.target)}\n{as_text(self.cache)}"

    def _repr_html_(self) -> str:
        words = f"{html.escape(' '.join(self.source))}<br>&rarr; {html.escape(' '.join(self.target))}"
        return f"<p>{words}</p><details><summary>cache</summary>{as_html(self.cache)}</details>"


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

    def __post_init__(self) -> None:
        check_type("name", self.name, str)
        check_type("model", self.model, DecodingModel)
        check_type("source_vocabulary", self.source_vocabulary, VocabularyLike)
        check_type("target_vocabulary", self.target_vocabulary, VocabularyLike)
        check_type("start", self.start, int)

    def translate(
        self,
        texts: Sequence[str],
        max_new_tokens: int | None = None,
        batch_size: int = 64,
        strategy: Strategy | None = None,
    ) -> list[str]:
        """Translate sentences; an empty one stays empty.

        Parameters
        ----------
        texts : sequence of str
        max_new_tokens : int, optional
            Most tokens of a translation; by default 10 more than twice the source's.
        batch_size : int
            Sentences translated at a time; those of like length together.
        strategy : Strategy, optional
            How the output is chosen: Greedy(), the default, Beam(), Sampling(seed) or MinimumBayesRisk().
        """
        return [found[0].text for found in self.decode(texts, strategy or Greedy(), max_new_tokens, batch_size)]

    def decode(
        self,
        texts: Sequence[str],
        strategy: Strategy,
        max_new_tokens: int | None = None,
        batch_size: int = 64,
        first: int = 0,
    ) -> list[list[Translation]]:
        """The translations of each sentence that the strategy finds, with their scores, the best first.

        Parameters as in `translate`, and `first`, the number of the first sentence where others were decoded before: a
        sentence's draws depend on the seed and on its number.
        """
        if isinstance(texts, str):
            raise TypeError(f"texts is the string {texts!r}: give a list of sentences")
        sources = [self.encode(text) for text in texts]
        return [
            strategy.rank([Translation(self.target_vocabulary.decode(h.ids), **vars(h)) for h in found])
            for found in self.search(sources, strategy, max_new_tokens, batch_size, first)
        ]

    def encode(self, text: str) -> list[int]:
        """Ids of a sentence to translate, normalised as the sentences were that the model learned from."""
        return self.source_vocabulary.encode(sentence(text))

    def unknown(self, text: str) -> list[str]:
        """The pieces of a sentence that the source vocabulary lacks, each once."""
        return self.source_vocabulary.unknown(sentence(text))

    def translate_ids(
        self, sources: Sequence[Sequence[int]], max_new_tokens: int | None = None, batch_size: int = 64
    ) -> list[list[int]]:
        """Greedy translations of sentences given as ids, without special tokens, to ids."""
        return [found[0].ids for found in self.search(sources, Greedy(), max_new_tokens, batch_size)]

    def search(
        self,
        sources: Sequence[Sequence[int]],
        strategy: Strategy,
        max_new_tokens: int | None = None,
        batch_size: int = 64,
        first: int = 0,
    ) -> list[list[Hypothesis]]:
        """The hypotheses that the strategy finds for sentences given as ids, without special tokens."""
        order = sorted((i for i, ids in enumerate(sources) if len(ids)), key=lambda i: len(sources[i]))
        found = [[Hypothesis([], 0.0, True, 0.0)] for _ in sources]
        for begin in range(0, len(order), batch_size):
            rows = order[begin : begin + batch_size]
            batch = [sources[i] for i in rows]
            # By default each has its own limit: a translation must not depend on its neighbours in the batch.
            limits = [2 * len(ids) + 10 if max_new_tokens is None else max_new_tokens for ids in batch]
            hypotheses = strategy.search(
                self.model,
                self._source_batch(batch),
                [first + i for i in rows],
                start=self.start,
                eos=self.target_vocabulary.eos,
                max_new_tokens=np.array(limits),
            )
            for i, of_sentence in zip(rows, hypotheses):
                found[i] = of_sentence
        return found

    def beam_tree(self, text: str, strategy: Beam, max_new_tokens: int | None = None, dropped: int = 2) -> list[Branch]:
        """What a beam search of one sentence weighed, as the tree that `plotting.beam_tree` draws.

        Parameters
        ----------
        text : str
        strategy : Beam
        max_new_tokens : int, optional
            As in `translate`.
        dropped : int
            How many candidates that got no slot are in the tree, of each step the most probable.
        """
        source = self._ids_to_look_at(text)
        vocabulary = self.target_vocabulary
        found, steps = strategy.search_with_steps(
            self.model,
            self._source_batch([source]),
            start=self.start,
            eos=vocabulary.eos,
            max_new_tokens=2 * len(source) + 10 if max_new_tokens is None else max_new_tokens,
        )
        best = found[0][0]
        return search_tree(
            steps,
            [*best.ids, *([vocabulary.eos] if best.finished else [])],
            lambda token: vocabulary.labels([token])[0],
            root=vocabulary.labels([self.start])[0],
            dropped=dropped,
        )

    def next_word(self, text: str, after: str = "") -> tuple[Array, list[str]]:
        """What may come next: the logits (V,) and the words that they stand for, as `plotting.next_word` draws them.

        Parameters
        ----------
        text : str
            The sentence to translate.
        after : str
            How its translation begins; empty: the first word is asked for.
        """
        source, target = self._ids_to_look_at(text), self.target_vocabulary.encode(normalize(after, "after"))
        logits = self.model(self._source_batch([source]), np.array([[self.start, *target]]))
        return logits[0, -1], self.target_vocabulary.labels(range(len(self.target_vocabulary)))

    def look(self, text: str) -> DecodingTrace:
        """Translate one sentence and return the words with the cache that holds all attention maps."""
        ids = self._ids_to_look_at(text)
        return self.look_ids(ids, self.translate_ids([ids])[0])

    def look_ids(self, source: Sequence[int], target: Sequence[int]) -> DecodingTrace:
        """The forward pass of one pair under teacher forcing, both as ids without special tokens."""
        eos = self.target_vocabulary.eos
        _, cache = self.model.forward(self._source_batch([source]), np.array([[self.start, *target]]))
        return DecodingTrace(
            self.source_vocabulary.labels([*source, self.source_vocabulary.eos]),
            self.target_vocabulary.labels([*target, eos]),
            cache,
        )

    def _ids_to_look_at(self, text: str) -> list[int]:
        ids = self.encode(text)
        if not ids:
            raise ValueError(f"text is {text!r}: there is no word in it to look at")
        return ids

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
        return cls.from_checkpoint(path, *load_run(path))

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


def sentence(text: str) -> str:
    """A sentence as files have it: normalised, on one line, without white space around it."""
    return normalize(text).replace("\n", " ").strip()


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


@checked
def checkpoint_path(run: str | os.PathLike[str]) -> Path:
    """The checkpoint of a run: `run` itself, or checkpoint.npz in it where it is a folder."""
    path = Path(run)
    return path / "checkpoint.npz" if path.is_dir() else path
