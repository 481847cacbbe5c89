"""Pretrained language models, with their tokenizers: from folders of Hugging Face or files of llama2.c."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import checked
from ..decoding import LanguageModel
from ..models import LANGUAGE_MODELS, DecoderOnly
from .errors import WeightsError
from .hf_folder import from_pretrained
from .llama2c import Llama2cTokenizer, read_llama2c
from .tokenizer import PretrainedTokenizer, read_tokenizer


@checked
@dataclass
class PretrainedLanguageModel(LanguageModel):
    """A model and its tokenizer, which knows where a text begins and ends.

    Parameters
    ----------
    name : str
        What LANGUAGE_MODELS calls the architecture.
    model : DecoderOnly
    vocabulary : PretrainedTokenizer or Llama2cTokenizer
    """

    vocabulary: PretrainedTokenizer | Llama2cTokenizer  # type: ignore[assignment]

    def prompt_ids(self, prompt: str) -> list[int]:
        try:
            ids = self.vocabulary.encode(prompt)
        except ValueError as error:
            raise ValueError(f"prompt={prompt!r}: {error}") from None
        if not ids:
            raise ValueError(f"prompt={prompt!r}: give at least one token to go on from")
        check_rows(ids, self.model.config.vocab, self.vocabulary, f"prompt={prompt!r}")  # type: ignore[attr-defined]
        return ids

    def default_prompt(self) -> str:
        """Nothing, where a token stands for the beginning of a text."""
        return "\n" if self.vocabulary.begin is None else ""

    def never(self) -> Iterable[int]:
        rows = self.model.config.vocab  # type: ignore[attr-defined]
        # Tables often have more rows than the tokenizer has ids, and now and then fewer.
        return (*(i for i in self.vocabulary.never if i < rows), *range(len(self.vocabulary), rows))

    def stops(self) -> Collection[int]:
        return self.vocabulary.stops

    def description(self) -> dict[str, Any]:
        raise TypeError("a pretrained language model is saved by `save_pretrained`, not as a checkpoint")


def check_rows(ids: Iterable[int], rows: int, tokenizer: Any, name: str) -> None:
    """Raise ValueError where a text uses an id for which the model has no row."""
    for i in ids:
        if i >= rows:
            token = tokenizer.decode([i]) or tokenizer.labels([i])[0]
            raise ValueError(f"{name}: has the token {token!r}, id {i:,}; the model knows ids below {rows:,}")


@checked
def load_language_model(
    path: str | os.PathLike[str],
    tokenizer: str | os.PathLike[str] | None = None,
    dtype: DTypeLike = np.float32,
    ignore: Collection[str] = (),
) -> LanguageModel:
    """Read a language model of any supported format.

    Parameters
    ----------
    path : path
        Of a run or its checkpoint; of a folder with config.json, as Hugging Face has them; of a .bin file of llama2.c.
    tokenizer : path, optional
        Of llama2.c's tokenizer; by default tok512.bin beside a model of 512 tokens, or else tokenizer.bin.
    dtype
        Of weights that come from elsewhere.
    ignore : collection of str
        Keys of a config.json that do not matter, as in `from_pretrained`.

    Raises
    ------
    CheckpointError, WeightsError
        Which name the file.
    """
    path = Path(path)
    if path.suffix == ".bin" and not path.is_dir():
        return _of_llama2c(path, None if tokenizer is None else Path(tokenizer), dtype)
    if tokenizer is not None:
        raise WeightsError(f"{tokenizer}: {path} has its own tokenizer; one is given to a .bin file of llama2.c alone")
    if is_hugging_face(path):
        return _of_hugging_face(path, dtype, ignore)
    return LanguageModel.load(path)


def is_hugging_face(path: Path) -> bool:
    """Whether it is a folder of theirs, not that of a run."""
    return path.is_dir() and (path / "config.json").exists() and not (path / "checkpoint.npz").exists()


def _of_llama2c(path: Path, tokenizer: Path | None, dtype: DTypeLike) -> LanguageModel:
    model = read_llama2c(path, dtype)
    n = model.config.vocab
    if tokenizer is None:
        tokenizer = path.with_name(f"tok{n}.bin")
        if not tokenizer.exists():
            tokenizer = path.with_name("tokenizer.bin")
    return PretrainedLanguageModel(_name(path, model), model, Llama2cTokenizer.read(tokenizer, n))


def _of_hugging_face(path: Path, dtype: DTypeLike, ignore: Collection[str]) -> LanguageModel:
    tokenizer = read_tokenizer(path)
    model = from_pretrained(path, dtype, ignore)
    return PretrainedLanguageModel(_name(path, model), model, tokenizer)


def _name(path: Path, model: Any) -> str:
    if not isinstance(model, DecoderOnly):
        raise WeightsError(f"{path}: is a {type(model).__name__}, which answers a source: it goes on from no prompt")
    return next(name for name, (model_class, _) in LANGUAGE_MODELS.items() if type(model) is model_class)
