"""Checkpoints: named arrays and one JSON description in a single .npz file, written whole or not at all.

No pickles: loading a checkpoint can never run code. The file's first member, a manifest, says the name, dtype, shape
and SHA-256 digest of all that follows, and so every other byte of the file::

    manifest.json  description.json  a.npy  b.npy ...  the archive's directory  SHA-256 of the manifest, as its comment

Reading believes nothing else. It computes from the manifest what the file must be, compares sizes before memory is
taken, and every byte that is no array's with what writing would have put there. NumPy and unzip can read it too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..arguments import checked
from ..files import whole_file
from ..layers import Array

FORMAT = "minitransformer checkpoint 1"
MANIFEST, DESCRIPTION = "manifest.json", "description.json"
MANIFEST_LIMIT = 1 << 20  # bytes, thousands of arrays: what is read before anything is known must be small
DESCRIPTION_LIMIT = 1 << 21  # bytes, and as many again as the arrays have: a long vocabulary has a large table
NAME_LIMIT = 1000  # characters
LISTS_LIMIT = 50_000  # in the description, and one more for 16 bytes of arrays: lists are what takes time to parse
DTYPE = re.compile(r"[<>|][biufc]\d{1,2}")  # numbers only: an object would be a pickle

Shapes = dict[str, tuple[int, ...]]


class CheckpointError(Exception):
    """A checkpoint that cannot be read or written; the message names the file and the reason."""


@dataclass(frozen=True)
class Member:
    """One member of the archive: its name, what stands before its data, and the data's size and digests."""

    name: str
    header: bytes
    n_bytes: int
    crc: int  # of header and data, as the archive's own directory has it
    sha256: str  # of the data
    dtype: str = ""
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return len(self.header) + self.n_bytes


@checked
def save_checkpoint(path: str | os.PathLike[str], arrays: Mapping[str, Array], description: dict[str, Any]) -> None:
    """Write arrays and description to `path`, exactly as it is given.

    The file is written beside its place under another name, flushed to the disk and renamed: whatever happens,
    `path` holds either what it held before or all of the new checkpoint. The same contents give the same bytes.

    Raises
    ------
    CheckpointError
        If it cannot be written: no such folder, no right to write there, no room.
    TypeError, ValueError
        If an array does not hold numbers, or the description is no JSON.
    """
    try:
        text = json.dumps(description, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError) as error:
        raise type(error)(f"description is no JSON: {error}") from None
    contents = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    if reason := _too_much(text, sum(array.nbytes for array in contents.values())):
        raise CheckpointError(f"{path}: cannot be written: {reason}")
    members = [Member(DESCRIPTION, b"", len(text), zlib.crc32(text), hashlib.sha256(text).hexdigest())]
    for name, array in contents.items():
        _check_name(name)
        if not DTYPE.fullmatch(array.dtype.str):
            raise TypeError(f"arrays[{name!r}] has dtype {array.dtype}: allowed are numbers and booleans")
        header = _array_header(array.dtype.str, array.shape)
        data = _bytes_of(array)
        crc, digest = zlib.crc32(data, zlib.crc32(header)), hashlib.sha256(data).hexdigest()
        members.append(Member(name, header, array.nbytes, crc, digest, array.dtype.str, array.shape))
    manifest = _manifest(members)
    if len(manifest) > MANIFEST_LIMIT:
        raise CheckpointError(f"{path}: cannot be written: {len(arrays)} arrays are too many for one file")
    try:
        with whole_file(path) as file:
            for (header, _), data in zip(_pieces(manifest, members), (b"", text, *map(_bytes_of, contents.values()))):
                file.write(header)
                file.write(data)
            file.write(_directory(manifest, members))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be written: {_reason(error)}") from None


@checked
def load_checkpoint(
    path: str | os.PathLike[str], check: Callable[[Path, Shapes, dict[str, Any]], None] | None = None
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read (arrays, description), each array and each byte of them verified.

    Parameters
    ----------
    path : path
    check : callable, optional
        Called with the path, the arrays' shapes and the description before memory for any array is taken; it raises
        CheckpointError where they do not fit together.

    Raises
    ------
    CheckpointError
        For a file that is missing, cut short, changed in a single bit, made by an older version, or something else.
    """
    path = Path(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path}: cannot be read: {'is a folder' if path.is_dir() else 'is not a file'}")
        with open(path, "rb") as file:
            return _load(path, file, os.fstat(file.fileno()).st_size, check)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {_reason(error)}") from None
    except MemoryError:
        raise CheckpointError(f"{path}: cannot be read: its arrays do not fit into memory") from None


def _load(
    path: Path, file: BinaryIO, size: int, check: Callable[[Path, Shapes, dict[str, Any]], None] | None
) -> tuple[dict[str, Array], dict[str, Any]]:
    manifest = _read_manifest(path, file, size)
    members = _members(path, manifest)
    # All sizes first: nothing that the manifest claims is allocated unless the file is long enough to hold it.
    directory = _directory(manifest, members)
    wanted = sum(len(header) + n_bytes for header, n_bytes in _pieces(manifest, members)) + len(directory)
    if size != wanted:
        raise _damaged(path, f"it has {size:,} bytes, and its manifest {wanted:,}")
    data_bytes = sum(member.n_bytes for member in members[1:])
    if members[0].n_bytes > DESCRIPTION_LIMIT + data_bytes:
        raise _damaged(path, _too_long(members[0].n_bytes, data_bytes))

    pieces = _pieces(manifest, members)
    _expect(path, file, next(pieces)[0], MANIFEST)
    header, n_bytes = next(pieces)
    _expect(path, file, header, DESCRIPTION)
    text = _filled(file, bytearray(n_bytes))
    _verify(path, members[0], text)
    if reason := _too_much(text, data_bytes):
        raise _damaged(path, reason)
    description = _description(path, text)
    if check is not None:
        check(path, {member.name: member.shape for member in members[1:]}, description)

    arrays: dict[str, Array] = {}
    for member, (header, _) in zip(members[1:], pieces):
        _expect(path, file, header, member.name)
        try:
            array = np.empty(member.shape, member.dtype)
        except ValueError as error:  # shapes such as (0, 2^62)
            raise _damaged(path, f"{_shown(member.name)} has shape {member.shape}: {error}") from None
        _verify(path, member, _filled(file, _bytes_of(array)))
        arrays[member.name] = array
    _expect(path, file, directory, "the archive's directory")
    return arrays, description


def _read_manifest(path: Path, file: BinaryIO, size: int) -> bytes:
    """The manifest's bytes, of which no more is known than that their digest is the one at the end of the file."""
    start = file.read(len(_local_header(MANIFEST, 0, 0)))
    known = LOCAL.size + len(MANIFEST)
    if start[:4] != LOCAL_SIGNATURE or len(start) < known:
        raise CheckpointError(f"{path}: is not a checkpoint, or a damaged one")
    if start[LOCAL.size : known] != MANIFEST.encode():
        raise CheckpointError(
            f"{path}: is not a checkpoint: it has no {MANIFEST}, as files of older versions have none; train again"
        )
    n_bytes = int.from_bytes(start[-8:], "little")  # the last field of the header
    if n_bytes > MANIFEST_LIMIT or n_bytes > size:
        raise _damaged(path, f"{MANIFEST} claims {n_bytes:,} bytes")
    manifest = file.read(n_bytes)
    file.seek(max(size - 64, 0))
    comment = file.read(64)
    file.seek(0)
    if comment != hashlib.sha256(manifest).hexdigest().encode():
        raise _damaged(path, f"{MANIFEST} is not what was written")
    return manifest


def _members(path: Path, manifest: bytes) -> list[Member]:
    """What the manifest says, every word of which is checked."""
    try:
        if _lists(manifest) > 3 + len(manifest) // 32:  # every array has two, and 64 digits beside them
            raise ValueError("it is not written as it should be")
        content = json.loads(manifest)
        n_bytes, crc, digest = content["description"]
        members = [Member(DESCRIPTION, b"", _whole(n_bytes), _whole(crc, 32), str(digest))]
        for name, dtype, sizes, crc, digest in content["arrays"]:
            shape = tuple(_whole(n) for n in sizes)
            if not isinstance(name, str) or not isinstance(dtype, str) or not DTYPE.fullmatch(dtype):
                raise ValueError(f"{_shown(name)} has dtype {_shown(dtype)}")
            if len(shape) > 32 or np.dtype(dtype).str != dtype:
                raise ValueError(f"{_shown(name)} has dtype {dtype} and {len(shape)} axes")
            n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
            if n_bytes >= 1 << 63:
                raise ValueError(f"{_shown(name)} claims {n_bytes:.3g} bytes")
            _check_name(name)
            members.append(
                Member(name, _array_header(dtype, shape), n_bytes, _whole(crc, 32), str(digest), dtype, shape)
            )
        if sum(member.n_bytes for member in members) >= 1 << 62:
            raise ValueError("all arrays together claim more bytes than a file can have")
        if len({member.name for member in members[1:]}) != len(members) - 1:
            raise ValueError("a name stands there twice")
        if _manifest(members) != manifest:
            raise ValueError("it is not written as it should be")
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _damaged(path, f"{MANIFEST} is wrong: {str(error)[:200]}") from None
    return members


def _manifest(members: list[Member]) -> bytes:
    description = members[0]
    content = {
        "format": FORMAT,
        "description": [description.n_bytes, description.crc, description.sha256],
        "arrays": [[m.name, m.dtype, list(m.shape), m.crc, m.sha256] for m in members[1:]],
    }
    return json.dumps(content, separators=(",", ":")).encode()


def _description(path: Path, text: bytearray) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    try:
        description = json.loads(text.decode("utf-8", "surrogatepass"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"{DESCRIPTION} is no JSON: {str(error)[:200]}") from None
    if not isinstance(description, dict):
        raise _damaged(path, f"{DESCRIPTION} is no JSON object")
    return description


def _expect(path: Path, file: BinaryIO, wanted: bytes, name: str) -> None:
    if file.read(len(wanted)) != wanted:
        raise _damaged(path, f"what belongs to {_shown(name)} is not what was written")


def _verify(path: Path, member: Member, data: Any) -> None:
    if hashlib.sha256(data).hexdigest() != member.sha256:
        raise _damaged(path, f"{_shown(member.name)} is not what was written")


def _filled(file: BinaryIO, buffer: Any) -> Any:
    """The buffer, full of what the file has next; short reads are found by the digest."""
    file.readinto(buffer)  # type: ignore[attr-defined]
    return buffer


def _bytes_of(array: Array) -> Any:
    """The memory of a contiguous array, as bytes that are not copied."""
    return array.reshape(-1).view(np.uint8).data if array.size else bytearray()


def _too_much(text: bytes | bytearray, data_bytes: int) -> str:
    """Why a description is more than so many bytes of arrays can need, so that parsing it would be work for nothing."""
    if len(text) > DESCRIPTION_LIMIT + data_bytes:
        return _too_long(len(text), data_bytes)
    if _lists(text) > LISTS_LIMIT + data_bytes // 16:
        return f"{DESCRIPTION} has {_lists(text):,} lists; allowed are {LISTS_LIMIT + data_bytes // 16:,}"
    return ""


def _too_long(n_bytes: int, data_bytes: int) -> str:
    return f"{DESCRIPTION} has {n_bytes:,} bytes; allowed are {DESCRIPTION_LIMIT + data_bytes:,}"


def _lists(text: bytes | bytearray) -> int:
    return text.count(b"[") + text.count(b"{")


def _whole(value: Any, bits: int = 63) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise ValueError(f"{_shown(value)} is no size")
    return value


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_LIMIT or "\0" in name:
        raise ValueError(f"the name {_shown(name)} has {len(name)} characters: allowed are 1 to {NAME_LIMIT}, no NUL")


def _shown(value: Any) -> str:
    """A value from a file, fit for a message: short, and without characters that would move a terminal's cursor."""
    text = ascii(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path}: is damaged: {reason}")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


# The container: a zip archive of stored members, of which every byte follows from the manifest. All sizes are written
# in their 64-bit form, so that one form serves every size (APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3; NEP 1 for .npy).

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
LOCAL_SIGNATURE, CENTRAL_SIGNATURE = b"PK\x03\x04", b"PK\x01\x02"
VERSION, UTF8, STORED, MIDNIGHT, NEW_YEAR_1980 = 45, 1 << 11, 0, 0, (1 << 5) | 1
IN_EXTRA = 0xFFFFFFFF


def _array_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _local_header(name: str, crc: int, size: int) -> bytes:
    written = name.encode("utf-8", "surrogatepass")
    fixed = (VERSION, UTF8, STORED, MIDNIGHT, NEW_YEAR_1980, crc, IN_EXTRA, IN_EXTRA, len(written), 20)
    return LOCAL.pack(LOCAL_SIGNATURE, *fixed) + written + struct.pack("<2H2Q", 1, 16, size, size)


def _central_header(name: str, crc: int, size: int, offset: int) -> bytes:
    written = name.encode("utf-8", "surrogatepass")
    fixed = (VERSION, VERSION, UTF8, STORED, MIDNIGHT, NEW_YEAR_1980, crc, IN_EXTRA, IN_EXTRA, len(written), 28)
    where = struct.pack("<2H3Q", 1, 24, size, size, offset)
    return CENTRAL.pack(CENTRAL_SIGNATURE, *fixed, 0, 0, 0, 0, IN_EXTRA) + written + where


def _entries(manifest: bytes, members: list[Member]) -> Iterator[tuple[str, int, int, bytes]]:
    """(file name, checksum, size, what stands before the data) of every member; of the manifest, that is all of it."""
    yield MANIFEST, zlib.crc32(manifest), len(manifest), manifest
    for i, member in enumerate(members):
        yield member.name + ".npy" if i else member.name, member.crc, member.size, member.header


def _pieces(manifest: bytes, members: list[Member]) -> Iterator[tuple[bytes, int]]:
    """For every member what stands before its data, and how many bytes of data follow."""
    for name, crc, size, before in _entries(manifest, members):
        yield _local_header(name, crc, size) + before, size - len(before)


def _directory(manifest: bytes, members: list[Member]) -> bytes:
    """All that stands behind the last member."""
    entries, offset = [], 0
    for name, crc, size, _ in _entries(manifest, members):
        entries.append(_central_header(name, crc, size, offset))
        offset += len(_local_header(name, crc, size)) + size
    directory = b"".join(entries)
    n, comment = len(entries), hashlib.sha256(manifest).hexdigest().encode()
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, VERSION, VERSION, 0, 0, n, n, len(directory), offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, IN_EXTRA, IN_EXTRA, len(comment))
    return directory + end64 + locator + end + comment
