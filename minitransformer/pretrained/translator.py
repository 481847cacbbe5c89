"""Pretrained sequence-to-sequence models with their tokenizers: T5 and FLAN-T5 from folders of Hugging Face."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import decoding
from ..arguments import checked
from ..decoding import LanguageModel, Translator
from ..models import MODELS, DecoderOnly
from .errors import WeightsError, shown
from .hf_folder import from_pretrained
from .hf_tensors import read_json
from .language_model import check_rows, is_hugging_face, load_language_model
from .tokenizer import GENERATION, SETTINGS, PretrainedTokenizer, read_tokenizer


class PretrainedVocabulary:
    """A tokenizer in the place of a translator's vocabulary: its ids do without the end, which the translator adds.

    Parameters
    ----------
    tokenizer : PretrainedTokenizer
    pad, eos : int
        The ids of padding and of the end.
    rows : int
        Of the model's table of embeddings.
    """

    def __init__(self, tokenizer: PretrainedTokenizer, pad: int, eos: int, rows: int) -> None:
        self.tokenizer, self.pad, self.eos, self.rows = tokenizer, pad, eos, rows

    def encode(self, text: str) -> list[int]:
        """Ids of a text; none of an empty one. ValueError for a token for which the model has no row."""
        ids = self.tokenizer.encode(text) if text.strip() else []
        check_rows(ids, self.rows, self.tokenizer, f"text={text!r:.80}")
        return ids[:-1] if ids and ids[-1] == self.eos else ids

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids up to the end."""
        ids = [int(i) for i in ids]
        return self.tokenizer.decode(ids[: ids.index(self.eos)] if self.eos in ids else ids).strip()

    def labels(self, ids: Iterable[int]) -> list[str]:
        """One printable label for each id."""
        return self.tokenizer.labels(ids)

    def unknown(self, text: str) -> list[str]:
        """What the tokenizer has no piece for, each once."""
        return self.tokenizer.unknown(text)

    def __len__(self) -> int:
        return self.rows


class PretrainedTranslator(Translator):
    """A T5 with its tokenizer. Its task stands before a text, as in `translate English to German: Hello.`."""

    def encode(self, text: str) -> list[int]:
        return self.source_vocabulary.encode(text)  # the tokenizer normalises as it did when the model learned

    def unknown(self, text: str) -> list[str]:
        return self.source_vocabulary.unknown(text)

    def description(self) -> dict[str, Any]:
        raise TypeError("a pretrained translator is saved by `save_pretrained`, not as a checkpoint")


@checked
def load(
    path: str | os.PathLike[str], dtype: DTypeLike = np.float32, ignore: Collection[str] = ()
) -> Translator | LanguageModel:
    """Read a translator or a language model of any supported format; parameters and errors as `load_language_model`."""
    path = Path(path)
    if is_hugging_face(path):
        if read_json(path / "config.json").get("model_type") == "t5":
            return load_translator(path, dtype, ignore)
        return load_language_model(path, dtype=dtype, ignore=ignore)
    return load_language_model(path, dtype=dtype) if path.suffix == ".bin" else decoding.load(path)


@checked
def load_translator(
    path: str | os.PathLike[str], dtype: DTypeLike = np.float32, ignore: Collection[str] = ()
) -> Translator:
    """Read a translator: of a run or its checkpoint, or of a folder with a T5 and its tokenizer.

    The id that decoding starts with is `decoder_start_token_id` of generation_config.json, else of config.json, else
    `bos_token_id` of the same files, else the padding's, which a T5 starts with. The id that ends a text is
    `eos_token_id` of these files, else that of the tokenizer's `eos_token`, else 1, T5's default.

    Parameters
    ----------
    path : path
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
    if not is_hugging_face(path):
        return Translator.load(path)
    tokenizer = read_tokenizer(path)
    model = from_pretrained(path, dtype, ignore)
    if isinstance(model, DecoderOnly):
        name = type(model).__name__
        raise WeightsError(f"{path}: is a {name}, which goes on from a prompt; it does not translate")
    name = next(name for name, (model_class, _) in MODELS.items() if type(model) is model_class)
    files = [read_json(path / file) for file in (GENERATION, "config.json") if (path / file).exists()]
    rows = model.config.vocab
    start = _id(path, files, "decoder_start_token_id", rows)
    if start is None:
        start = _id(path, files, "bos_token_id", rows)
    end = _id(path, files, "eos_token_id", rows)
    if end is None:
        end = _of_tokenizer(path, tokenizer)
    vocabulary: Any = PretrainedVocabulary(tokenizer, model.pad, 1 if end is None else end, rows)
    return PretrainedTranslator(name, model, vocabulary, vocabulary, model.pad if start is None else start)


def _id(path: Path, files: list[dict[str, Any]], key: str, rows: int) -> int | None:
    """The first id that the files give for a key; WeightsError where it is none of the model's."""
    for content in files:
        value = content.get(key)
        if value is None:
            continue
        if isinstance(value, list) and len(value) == 1:
            (value,) = value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < rows:
            raise WeightsError(f"{path}: {key} is {shown(value)}: must be one id below {rows:,}")
        return value
    return None


def _of_tokenizer(path: Path, tokenizer: PretrainedTokenizer) -> int | None:
    """The id of the tokenizer's own end."""
    settings = read_json(path / SETTINGS) if (path / SETTINGS).exists() else {}
    token = settings.get("eos_token")
    token = token.get("content") if isinstance(token, dict) else token
    found = tokenizer.tokenizer.token_to_id(token) if isinstance(token, str) else None
    return None if found is None else int(found)
