"""Models in folders of Hugging Face's format: config.json, safetensors, tokenizer.json."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import checked
from ..data import CharacterVocabulary
from ..files import whole_folder
from ..layers import Layer, Unallocated
from .errors import WeightsError, listed
from .hf_config import BUFFERS, T5_FAMILY, canonical, read_config, write_config
from .hf_names import Entry, names_of
from .hf_tensors import DTYPES, Stored, check_dtype, open_tensors, read_json, write_json, write_tensors
from .llama2c import Llama2cTokenizer
from .tokenizer import PretrainedTokenizer, of_characters, write_tokenizer

COPIES_OF_T5 = r"(encoder|decoder)\.embed_tokens\.weight"
COPIES = rf"lm_head\.weight|{COPIES_OF_T5}"
SHARD_BYTES = 5_000_000_000
Tokenizer = PretrainedTokenizer | Llama2cTokenizer | CharacterVocabulary


@checked
def from_pretrained(folder: str | os.PathLike[str], dtype: DTypeLike = np.float32, ignore: Collection[str] = ()) -> Any:
    """The T5, GPT-2 or Llama in a folder that Hugging Face's transformers wrote, or `save_pretrained`.

    Parameters
    ----------
    folder : path
        With config.json and model.safetensors, or several such files and their index. Nothing is downloaded.
    dtype
        float32 or float64, whatever the files hold; 16 bits, of either kind, become that without loss.
    ignore : collection of str
        Keys of config.json that this program does not know, and on which the numbers do not depend.

    Returns
    -------
    T5, T5v11, GPT, Llama or TiedLlama, with the sizes, the head and the weights of the folder.

    Raises
    ------
    WeightsError
        Which names the file, for a tensor that is missing, too many or misshapen, a file that is cut short or no
        safetensors file, and a key or value of config.json that our layers have no counterpart of.
    """
    wanted = check_dtype(dtype)
    path = Path(folder)
    if not path.is_dir():
        raise WeightsError(f"{path}: is no folder; give one that holds config.json and model.safetensors")
    description = read_config(path / "config.json", read_json(path / "config.json"), ignore)
    stored: dict[str, Stored] = {}
    for name, tensor in open_tensors(path).items():
        ours = canonical(description.family, name)
        if BUFFERS.fullmatch(ours) or re.fullmatch(description.family.dropped, ours):
            continue
        if tensor.dtype not in DTYPES:
            allowed = ", ".join(DTYPES)
            raise WeightsError(f"{tensor.path}: {listed([name])} has dtype {tensor.dtype}: must be one of {allowed}")
        if ours in stored:
            raise WeightsError(f"{path}: has both {listed([name])} and {listed([ours])}")
        stored[ours] = tensor
    if description.family is T5_FAMILY and description.head_scale == 1.0 and has_own_head(stored):
        description = replace(description, tied=False)  # transformers 5 calls every head tied
    if description.n_blocks() > len(stored):  # before so many blocks are built
        raise WeightsError(
            f"{path / 'config.json'}: describes {description.n_blocks():,} blocks; {path} has {len(stored):,} tensors"
        )
    try:
        model = description.build(Unallocated())
    except (ValueError, OverflowError, MemoryError) as error:  # sizes that no array can have
        raise WeightsError(f"{path / 'config.json'}: describes no model: {error}") from None
    entries = names_of(model)
    table = entries[0].name  # of the embedding, which a file may have under the name of what is tied to it
    if table not in stored:
        copies = (name for name in stored if re.fullmatch(COPIES if description.tied else COPIES_OF_T5, name))
        if (copy := next(copies, None)) is not None:
            stored[table] = stored[copy]
    check_tensors(path, entries, stored)
    for entry in entries:
        entry.fill(stored[entry.name].read(wanted))
    return model


def has_own_head(stored: dict[str, Stored]) -> bool:
    """Whether there is a head that is not a copy of a T5's embedding table."""
    head, table = stored.get("lm_head.weight"), stored.get("shared.weight")
    return head is not None and table is not None and not same(head, table)


def same(a: Stored, b: Stored) -> bool:
    return a.shape == b.shape and np.array_equal(a.read(np.float64), b.read(np.float64))


def check_tensors(path: Path, entries: list[Entry], stored: dict[str, Stored]) -> None:
    """WeightsError unless the tensors are those of the model, and each of its shape."""
    names = {entry.name for entry in entries}
    if missing := [entry.name for entry in entries if entry.name not in stored]:
        raise WeightsError(f"{path}: lacks {listed(missing)}")
    extra = [name for name in stored if name not in names]
    table = entries[0]  # of the embedding
    for name in extra[:]:
        if re.fullmatch(COPIES, name):  # as old files repeat it
            if not same(stored[name], stored[table.name]):
                raise WeightsError(f"{path}: {name} is not {table.name}, though config.json says that they are tied")
            extra.remove(name)
    if extra:
        raise WeightsError(f"{path}: has {listed(extra)}, which the model of its config.json has not")
    wrong = [entry for entry in entries if stored[entry.name].shape != entry.shape]
    if wrong:
        first = wrong[0]
        others = f"; likewise {listed(entry.name for entry in wrong[1:])}" if wrong[1:] else ""
        raise WeightsError(
            f"{path}: {first.name} has shape {stored[first.name].shape}: must be {first.shape} by config.json{others}"
        )


@checked
def save_pretrained(
    model: Layer,
    folder: str | os.PathLike[str],
    tokenizer: Tokenizer | None = None,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Write a T5, a GPT or a Llama as a folder that Hugging Face's transformers loads, with the same logits.

    Parameters
    ----------
    model : T5, T5v11, GPT, Llama or TiedLlama
    folder : path
        New, or empty. It appears whole or not at all.
    tokenizer : PretrainedTokenizer, Llama2cTokenizer or CharacterVocabulary, optional
        Becomes tokenizer.json.
    shard_bytes : int
        Where the weights have more bytes, they are written as several files with an index.

    Returns
    -------
    Path
        The folder's.

    Raises
    ------
    TypeError
        For another model.
    WeightsError
        Where the folder holds something, cannot be written, or a tokenizer has more ids than the model.
    """
    entries = names_of(model)
    config = write_config(model)
    if shard_bytes < 1:
        raise ValueError(f"shard_bytes={shard_bytes}: must be at least 1")
    if isinstance(tokenizer, CharacterVocabulary):
        tokenizer = of_characters(tokenizer)
    elif isinstance(tokenizer, Llama2cTokenizer):
        tokenizer = tokenizer.to_pretrained()
    elif tokenizer is not None and not isinstance(tokenizer, PretrainedTokenizer):
        raise TypeError(f"tokenizer is a {type(tokenizer).__name__}: no tokenizer.json can be made of it")
    if tokenizer is not None and len(tokenizer) > config["vocab_size"]:
        raise WeightsError(f"{folder}: the tokenizer has {len(tokenizer):,} ids, the model {config['vocab_size']:,}")
    try:
        with whole_folder(folder) as place:
            if tokenizer is not None:
                config |= write_tokenizer(place, tokenizer)
            write_tensors(place, entries, shard_bytes)
            write_json(place / "config.json", config)
    except OSError as error:
        raise WeightsError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return Path(folder)
