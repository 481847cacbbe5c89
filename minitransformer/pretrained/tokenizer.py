"""tokenizer.json of Hugging Face, through their library `tokenizers`: text to ids and back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..arguments import checked
from ..data import CharacterVocabulary
from ..data.vocabulary import SPECIALS
from .errors import WeightsError, shown
from .hf_tensors import library, read_json, write_json

FILE, GENERATION, SETTINGS = "tokenizer.json", "generation_config.json", "tokenizer_config.json"


class PretrainedTokenizer:
    """What a tokenizer.json does, and which of its ids begin, end or never occur in a text.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
    begin : int or None
        The id that stands for the beginning, where a model has one.
    stops : iterable of int
        Ids at which a text ends.
    never : iterable of int
        Ids that are not chosen.
    """

    def __init__(
        self, tokenizer: Any, begin: int | None = None, stops: Iterable[int] = (), never: Iterable[int] = ()
    ) -> None:
        self.tokenizer, self.begin = tokenizer, begin
        self.stops, self.never = frozenset(stops), tuple(never)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, with the special tokens that the tokenizer adds; of nothing, the beginning alone.

        The text is not normalised by us: the tokenizer does what was done when the model learned.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"text has {error.object[error.start]!r} at {error.start}: that is no character") from None
        ids = list(self.tokenizer.encode(text).ids)
        return ids if ids or self.begin is None else [self.begin]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids, without special tokens; bytes that are no character yet become U+FFFD."""
        return str(self.tokenizer.decode([int(i) for i in ids], skip_special_tokens=True))

    def labels(self, ids: Iterable[int]) -> list[str]:
        """One printable label for each id."""
        return [self.decode([i]) or self.tokenizer.id_to_token(int(i)) or str(i) for i in ids]

    def unknown(self, text: str) -> list[str]:
        """What the tokenizer has no piece for, each once."""
        unknown = self.tokenizer.token_to_id(getattr(self.tokenizer.model, "unk_token", None) or "<unk>")
        found = self.tokenizer.encode(text)
        return list(dict.fromkeys(text[a:b] for i, (a, b) in zip(found.ids, found.offsets) if i == unknown))

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())


@checked
def read_tokenizer(folder: str | os.PathLike[str]) -> PretrainedTokenizer:
    """The tokenizer of a folder; WeightsError where there is none or it is damaged.

    The ids that begin and end a text are those of generation_config.json, or else of config.json.
    """
    folder = Path(folder)
    settings = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
    if (folder / GENERATION).exists():
        settings |= read_json(folder / GENERATION)
    tokenizer = _open(folder)
    tokenizer.no_truncation()  # settings of its last use, stored with it, would cut a prompt
    tokenizer.no_padding()
    n = tokenizer.get_vocab_size()

    def ids(key: str) -> list[int]:
        value = settings.get(key)
        found = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in found):
            raise WeightsError(f"{folder}: {key} is {shown(value)}: must be an id of the tokenizer")
        return [i for i in found if i < n]  # a default id may be larger than a small model's vocabulary

    begin = ids("bos_token_id")
    return PretrainedTokenizer(tokenizer, begin[0] if begin else None, ids("eos_token_id"), ids("suppress_tokens"))


def _open(folder: Path) -> Any:
    """The tokenizer of a folder: tokenizer.json, or GPT-2's vocab.json with merges.txt."""
    path, vocabulary, merges = folder / FILE, folder / "vocab.json", folder / "merges.txt"
    if not path.is_file():
        if vocabulary.is_file() and merges.is_file():
            path = vocabulary
        else:
            raise WeightsError(f"{path}: {_missing(folder)}")
    tokenizers = library("tokenizers")
    try:
        if path is vocabulary:
            return _of_gpt2(tokenizers, vocabulary, merges)
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower class
        raise WeightsError(f"{path}: is no tokenizer: {str(error)[:200]}") from None


def _missing(folder: Path) -> str:
    """What to say of a folder without a tokenizer that we read."""
    pieces = next((name for name in ("tokenizer.model", "spiece.model") if (folder / name).is_file()), None)
    if pieces is None:
        return "cannot be read: no such file"
    place = repr(str(folder))
    convert = f"from transformers import AutoTokenizer as A; A.from_pretrained({place}).save_pretrained({place})"
    return (
        f"no such file; {pieces} is SentencePiece's, which becomes {FILE} by "
        f'python -c "{convert}" (with pip install transformers sentencepiece)'
    )


def _of_gpt2(tokenizers: Any, vocabulary: Path, merges: Path) -> Any:
    """The byte-level tokenizer that the two files of GPT-2 describe."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(vocabulary), str(merges)))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    end = "<|endoftext|>"
    if tokenizer.token_to_id(end) is not None:
        tokenizer.add_special_tokens([tokenizers.AddedToken(end, normalized=False, special=True)])
    return tokenizer


def write_tokenizer(folder: Path, tokenizer: PretrainedTokenizer) -> dict[str, Any]:
    """Write tokenizer.json and what belongs to it; returns what config.json is to say about it."""
    (folder / FILE).write_text(tokenizer.tokenizer.to_str(pretty=True), encoding="utf-8")
    stops = sorted(tokenizer.stops)
    about: dict[str, Any] = {
        "bos_token_id": tokenizer.begin,
        "eos_token_id": stops[0] if len(stops) == 1 else stops or None,
    }
    never = {"suppress_tokens": list(tokenizer.never)} if tokenizer.never else {}
    write_json(folder / GENERATION, {**about, **never})
    write_json(folder / SETTINGS, {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False})
    return about


def of_characters(vocabulary: CharacterVocabulary) -> PretrainedTokenizer:
    """A tokenizer.json that does what a vocabulary of characters does, with the same ids."""
    every_character = {"Regex": "[\\s\\S]"}  # line breaks too
    content = {
        "added_tokens": _special(dict(zip(SPECIALS, range(len(SPECIALS))))),
        "pre_tokenizer": {"type": "Split", "pattern": every_character, "behavior": "Isolated", "invert": False},
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary.token_id, "unk_token": SPECIALS[vocabulary.unk]},
    }
    return PretrainedTokenizer(_made(content), never=range(len(SPECIALS)))


def of_merges(ids: dict[str, int], merges: list[list[str]], begin: str, end: str) -> PretrainedTokenizer:
    """A tokenizer.json that joins pieces as SentencePiece does: a blank before the text, bytes for what is unknown."""
    beginning = {"SpecialToken": {"id": begin, "type_id": 0}}
    content = {
        "added_tokens": _special({name: ids[name] for name in ("<unk>", begin, end)}),
        "normalizer": {"type": "Prepend", "prepend": " "},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [beginning, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [beginning, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {begin: {"id": begin, "ids": [ids[begin]], "tokens": [begin]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": ids,
            "merges": merges,
        },
    }
    return PretrainedTokenizer(_made(content), ids[begin], (ids[begin], ids[end]))


def _special(ids: dict[str, int]) -> list[dict[str, Any]]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return [{"id": i, "content": token, **plain} for token, i in ids.items()]


def _made(content: dict[str, Any]) -> Any:
    whole = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "pre_tokenizer": None}
    return library("tokenizers").Tokenizer.from_str(json.dumps({**whole, "post_processor": None, **content}))
