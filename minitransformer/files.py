"""Files that appear whole or not at all: whatever happens, a path holds what it held before or all that is new.

write beside the place -> flush -> fsync -> rename -> fsync of the folder
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
if not hasattr(fcntl, "flock"):  # a browser
    fcntl = None

SUFFIX = ".partial"
HEX = frozenset("0123456789abcdef")
STALE_AFTER = 3600.0  # seconds; where nothing but its age tells whether somebody still writes a file


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write bytes to, which takes its place at `path` when the `with` block ends without an error.

    The path is used exactly as given, its folder is made where there is none, a link stays a link, and a file that
    is replaced passes its mode on. What earlier writers of this path left when they were killed is removed first.

    Raises OSError, whatever the system's reason is; `path` then holds what it held before.
    """
    place = Path(os.path.realpath(path))  # through a link: the rename must not replace the link itself
    mode = _mode_of(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    sweep(place)
    file, temporary = _open_beside(place)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:
                _take_place(temporary, place, mode)  # still open, so still locked: nobody sweeps it away
        if fcntl is None:
            _take_place(temporary, place, mode)  # Windows renames no open file
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(place.parent)


def sweep(path: str | os.PathLike[str]) -> list[Path]:
    """Remove what killed writers of `path` left beside it; returns what was removed.

    A writer holds a lock on its file, which the system takes back when it dies: a file that can be locked is nobody's.
    Without such locks, a file is left alone for an hour.
    """
    path = Path(path)
    removed = []
    prefix = _prefix(path)
    for name in os.listdir(path.parent):
        middle = name[len(prefix) : -len(SUFFIX)]
        ours = name.startswith(prefix) and name.endswith(SUFFIX) and len(middle) == 16 and set(middle) <= HEX
        if ours and _removed(path.parent / name):
            removed.append(path.parent / name)
    return removed


@contextlib.contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty folder to write files to, which takes its place at `path` when the `with` block ends without an error.

    Raises OSError: FileExistsError where `path` is a file or a folder that holds something, else the system's reason.
    """
    place = Path(os.path.realpath(path))
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise FileExistsError(errno.EEXIST, "holds something already: give the name of a new folder", str(path))
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep_folders(place)
    temporary = place.with_name(f"{_prefix(place)}{secrets.token_hex(8)}{SUFFIX}")
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            with open(file, "rb+") as handle:
                os.fsync(handle.fileno())
        sync_folder(temporary)
        if place.exists():
            place.rmdir()  # it is empty; Windows renames onto nothing that is there
        os.rename(temporary, place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(place.parent)


def _sweep_folders(place: Path) -> None:
    """Remove what killed writers of this folder left an hour ago or longer: folders have no locks."""
    for left in place.parent.iterdir():
        ours = left.name.startswith(_prefix(place)) and left.name.endswith(SUFFIX) and left.is_dir()
        if ours and time.time() - left.stat().st_mtime > STALE_AFTER:
            shutil.rmtree(left, ignore_errors=True)


def sync_folder(folder: str | os.PathLike[str]) -> bool:
    """Flush a folder to the disk, so that a rename in it survives a power cut; False where there is no such thing."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return False
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        os.fsync(handle)
    except OSError:  # some network file systems
        return False
    finally:
        os.close(handle)
    return True


def _prefix(path: Path) -> str:
    return f".{path.name[:40]}."  # cut: the temporary name must not be too long where the path's own is not


def _mode_of(place: Path) -> int | None:
    """The mode to keep; None where there is no file yet."""
    try:
        status = os.stat(place)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is a device or a pipe, not a file", str(place))
    return stat.S_IMODE(status.st_mode) & 0o777


def _open_beside(place: Path) -> tuple[BinaryIO, Path]:
    """A new file beside `place`, locked where there are locks."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    while True:
        temporary = place.with_name(f"{_prefix(place)}{secrets.token_hex(8)}{SUFFIX}")
        file = os.fdopen(os.open(temporary, flags, 0o666), "wb")  # the system takes the umask off
        if fcntl is None:
            return file, temporary
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        if temporary.exists():
            return file, temporary
        file.close()  # swept between its making and its locking


def _removed(stale: Path) -> bool:
    """Remove a temporary file if nobody writes it any more; whether that was so."""
    try:
        if fcntl is None:
            old = time.time() - stale.stat().st_mtime > STALE_AFTER
            if old:
                os.unlink(stale)  # Windows refuses where somebody has it open
            return old
        handle = os.open(stale, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            if time.time() - os.fstat(handle).st_mtime <= STALE_AFTER:
                return False
        os.unlink(stale)  # before the lock is given back: its writer looks whether it is still there
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def _take_place(temporary: Path, place: Path, mode: int | None) -> None:
    if mode is not None and stat.S_IMODE(os.stat(temporary).st_mode) != mode:
        os.chmod(temporary, mode)
    os.replace(temporary, place)
