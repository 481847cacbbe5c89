"""A folder that appears whole or not at all: its files are written beside its place, and then it is renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ..files import STALE_AFTER, SUFFIX, sync_folder
from .errors import WeightsError


@contextlib.contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty folder to write files to, which takes its place at `path` when the `with` block ends without an error.

    Raises WeightsError where `path` is a file or a folder that holds something, or cannot be made.
    """
    place = Path(os.path.realpath(path))
    try:
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise WeightsError(f"{path}: holds something already: give the name of a new folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        temporary = place.with_name(f".{place.name[:40]}.{secrets.token_hex(8)}{SUFFIX}")
        temporary.mkdir()
        try:
            yield temporary
            for file in temporary.iterdir():
                _sync(file)
            sync_folder(temporary)
            if place.exists():
                place.rmdir()  # it is empty; Windows renames onto nothing that is there
            os.rename(temporary, place)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(place.parent)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be written: {error.strerror or error}") from None


def _sync(file: Path) -> None:
    with open(file, "rb+") as handle:
        os.fsync(handle.fileno())


def _sweep(place: Path) -> None:
    """Remove what writers of this folder left an hour ago or longer, when they were killed."""
    for left in place.parent.iterdir():
        ours = left.name.startswith(f".{place.name[:40]}.") and left.name.endswith(SUFFIX) and left.is_dir()
        if ours and time.time() - left.stat().st_mtime > STALE_AFTER:
            shutil.rmtree(left, ignore_errors=True)
