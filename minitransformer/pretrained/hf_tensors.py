"""Tensors in one safetensors file, or in several with an index. All files are checked before any tensor is read.

8 bytes: length of the header | header (JSON): name -> dtype, shape, place | the numbers, little-endian
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..layers import Array
from .errors import WeightsError, listed, shown
from .hf_names import Entry

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
JSON_LIMIT = 1 << 26  # bytes
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class Stored:
    """One tensor where it lies in a file: dtype as the file calls it, shape, first byte and last."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    def read(self, dtype: DTypeLike) -> Array:
        """The numbers as `dtype`; 16 bits become 32 or 64 without loss."""
        stored = np.memmap(self.path, np.uint8, "r")[self.start : self.stop] if self.stop > self.start else b""
        numbers: Array = np.frombuffer(stored, DTYPES[self.dtype]).reshape(self.shape)
        if self.dtype == "BF16":  # the upper half of a float32
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        return numbers.astype(dtype)


def open_tensors(folder: Path) -> dict[str, Stored]:
    """All tensors of a folder by name; WeightsError where files are missing, cut short or contradict the index."""
    if (folder / SINGLE).exists():
        return open_file(folder / SINGLE)
    path = folder / INDEX
    if not path.exists():
        pickle = next(
            (name for name in ("pytorch_model.bin", "pytorch_model.bin.index.json") if (folder / name).exists()), None
        )
        why = f"; {pickle} is a pickle, which can run code: save it as safetensors" if pickle else ""
        raise WeightsError(f"{folder}: has neither {SINGLE} nor {INDEX}{why}")
    where = read_json(path).get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(file, str) for file in where.values()):
        raise WeightsError(f"{path}: weight_map is {shown(where)}: must say for every tensor its file")
    tensors: dict[str, Stored] = {}
    for file in sorted(set(where.values())):
        if Path(file).name != file or file in ("", ".", ".."):
            raise WeightsError(f"{path}: weight_map names {shown(file)}: must be a file beside it")
        found = open_file(folder / file)
        wanted = {name for name, its_file in where.items() if its_file == file}
        if missing := sorted(wanted - set(found)):
            raise WeightsError(f"{folder / file}: lacks {listed(missing)}, which {INDEX} has there")
        if extra := sorted(set(found) - wanted):
            raise WeightsError(f"{folder / file}: has {listed(extra)}, which {INDEX} does not have there")
        tensors |= found
    return tensors


def open_file(path: Path) -> dict[str, Stored]:
    """The tensors of one file. The library checks that header and numbers fill it, neither too short nor too long."""
    safetensors = library("safetensors")
    try:
        with safetensors.safe_open(str(path), framework="np") as file:
            names = list(file.keys())
        with open(path, "rb") as plain:
            length = int.from_bytes(plain.read(8), "little")
            header = json.loads(plain.read(length))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (safetensors.SafetensorError, ValueError) as error:
        raise WeightsError(f"{path}: is no whole safetensors file: {str(error)[:200]}") from None
    tensors = {}
    for name in names:
        dtype, shape, (start, stop) = header[name]["dtype"], header[name]["shape"], header[name]["data_offsets"]
        if dtype not in DTYPES:
            raise WeightsError(f"{path}: {listed([name])} has dtype {dtype}: must be one of {', '.join(DTYPES)}")
        tensors[name] = Stored(path, dtype, tuple(shape), 8 + length + start, 8 + length + stop)
    return tensors


def write_tensors(folder: Path, entries: Sequence[Entry], shard_bytes: int) -> None:
    """Write tensors into one file, or, where that has more than `shard_bytes`, into several with an index."""
    errors = library("safetensors").SafetensorError
    save_file = library("safetensors.numpy").save_file
    shards = list(_shards(entries, shard_bytes))
    where: dict[str, str] = {}
    for i, shard in enumerate(shards, start=1):
        file = SINGLE if len(shards) == 1 else f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        # transformers refuses a file without this metadata. One shard at a time, because these arrays are copies.
        try:
            save_file({entry.name: entry.theirs() for entry in shard}, str(folder / file), metadata={"format": "pt"})
        except errors as error:  # a full disk is one
            raise WeightsError(f"{folder / file}: cannot be written: {str(error)[:200]}") from None
        where |= {entry.name: file for entry in shard}
    if len(shards) > 1:
        total = sum(entry.n_bytes for entry in entries)
        write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": where})


def _shards(entries: Sequence[Entry], shard_bytes: int) -> Iterator[list[Entry]]:
    shard: list[Entry] = []
    used = 0
    for entry in entries:
        if shard and used + entry.n_bytes > shard_bytes:
            yield shard
            shard, used = [], 0
        shard.append(entry)
        used += entry.n_bytes
    yield shard


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; WeightsError where there is none."""
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise WeightsError(f"{path}: has {path.stat().st_size:,} bytes; allowed are {JSON_LIMIT:,}")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: is no JSON: {str(error)[:200]}") from None
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: holds {shown(content)}: must be a JSON object")
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def library(name: str) -> Any:
    """A library of the extra `huggingface`; WeightsError, which says what to install, where it is missing."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise WeightsError(
            f"{package} is not installed, which files of Hugging Face need: pip install 'minitransformer[huggingface]'"
        ) from None


def check_dtype(dtype: DTypeLike) -> np.dtype:
    """float32 or float64; ValueError for another."""
    wanted = np.dtype(dtype)
    if wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype={wanted}: must be float32 or float64")
    return wanted
