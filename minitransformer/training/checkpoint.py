"""Checkpoints: named arrays and one JSON description in a single .npz file, written whole or not at all.

No pickles: loading a checkpoint can never run code.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..layers import Array

DESCRIPTION = "description.json"  # the archive's member that holds the JSON text, as bytes


class CheckpointError(Exception):
    """A checkpoint that cannot be read or written; the message names the file and the reason."""


def save_checkpoint(path: str | os.PathLike[str], arrays: dict[str, Array], description: dict[str, Any]) -> None:
    """Write arrays and description to `path`, exactly as it is given.

    The file is written beside its place under another name, flushed to the disk and renamed: whatever happens,
    `path` holds either what it held before or all of the new checkpoint.
    """
    path = Path(path)
    text = json.dumps({**description, "arrays": sorted(arrays)}, ensure_ascii=False, allow_nan=False)
    members = {DESCRIPTION: np.frombuffer(text.encode(), np.uint8), **arrays}
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **members)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read (arrays, description); raises CheckpointError for a file that is missing, cut short or something else."""
    path = Path(path)
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError, AttributeError, NotImplementedError) as error:
        raise CheckpointError(f"{path}: is not a checkpoint, or a damaged one: {error}") from None
    try:
        description = json.loads(members.pop(DESCRIPTION).tobytes())
        expected = description.pop("arrays")
    except (KeyError, ValueError, AttributeError):
        raise CheckpointError(f"{path}: is not a checkpoint: it has no {DESCRIPTION}") from None
    if sorted(members) != expected:
        raise CheckpointError(f"{path}: is damaged: arrays are missing or were added")
    return members, description


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
