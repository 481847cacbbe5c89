"""Files of sentence pairs, and their split into parts for training, validation and test.

Two formats are read: one file of tab-separated pairs, as Anki and Tatoeba export them, and two files of which
line n of the one translates line n of the other.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Sequence

from .errors import DataError

Pair = tuple[str, str]
Path = str | os.PathLike[str]


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text file, NFC normalised, without line ends or a byte-order mark.

    Raises
    ------
    DataError
        If the file cannot be opened, or is no UTF-8 text.
    """
    content = check_encoding(read_content(path), f"{path}:1")
    # Not str.splitlines, which also cuts at characters that may stand inside a sentence.
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [decode_line(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def read_content(path: Path) -> bytes:
    """The bytes of a text file, unpacked where it is compressed: gzip, bzip2, xz, or zip with one file in it.

    Raises DataError where it cannot be opened or unpacked.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; allowed is a UTF-8 text file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a directory; allowed is a UTF-8 text file") from None
    except PermissionError:
        what = "is a directory" if os.path.isdir(path) else "may not be read (permission denied)"
        raise DataError(f"{path}: {what}; allowed is a UTF-8 text file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path!r}: cannot be read ({error}); allowed is a UTF-8 text file") from None
    try:
        return unpacked(path, content)
    except (OSError, EOFError, ValueError, RuntimeError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is compressed, and damaged or locked ({error}); unpack it by hand") from None


def unpacked(path: Path, content: bytes) -> bytes:
    """The text within a compressed file, told by its first bytes; what is not compressed as it is."""
    for start, module in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ\0", lzma)):
        if content.startswith(start):
            return module.decompress(content)  # type: ignore[attr-defined]
    if not content.startswith((b"PK\x03\x04", b"PK\x05\x06")):  # the second is an empty archive
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("_")]
        if len(names) != 1:
            raise DataError(f"{path}: holds {len(names)} files; allowed is one: unpack it (unzip) and name the file")
        return archive.read(names[0])


def check_encoding(content: bytes, where: str) -> bytes:
    """The content without a byte-order mark; DataError for that of UTF-16."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{where}: the text is UTF-16; allowed is UTF-8: save the text in that encoding")
    return content.removeprefix(b"\xef\xbb\xbf")


def normalize(text: str) -> str:
    """A text as training and translation see it: letters and their accents composed (Unicode NFC)."""
    return unicodedata.normalize("NFC", text)


def decode_line(line: bytes, where: str) -> str:
    """One line of UTF-8 as NFC normalised text."""
    if b"\0" in line:
        raise DataError(f"{where}: byte {line.index(0) + 1} is NUL, so the file is binary; allowed is UTF-8 text")
    try:
        return normalize(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        wrong = line[error.start]
        raise DataError(
            f"{where}: byte {error.start + 1} (0x{wrong:02x}) is not UTF-8; allowed is UTF-8 text"
        ) from None


def read_pairs(path: Path) -> list[Pair]:
    """Sentence pairs of a file with source, tab, target on each line.

    Further columns (the attributions of newer Anki exports) and blank lines are passed over; white space around a
    sentence is dropped.

    Raises
    ------
    DataError
        If the file cannot be read, a line has one column or an empty sentence, or there are no pairs.
    """
    pairs = []
    for number, line in enumerate(read_lines(path), 1):
        if "\t" not in line:
            if not line.strip():
                continue
            raise DataError(f"{path}:{number}: one column; allowed is source, a tab, target")
        source, target = (column.strip() for column in line.split("\t")[:2])
        for name, sentence in (("source", source), ("target", target)):
            if not sentence:
                raise DataError(f"{path}:{number}: the {name} is empty; allowed is source, a tab, target")
        pairs.append((source, target))
    if not pairs:
        raise DataError(f"{path}: no sentence pairs; at least one line with source, a tab, target is needed")
    return pairs


def read_aligned(source_path: Path, target_path: Path) -> list[Pair]:
    """Sentence pairs of two files, line by line; lines blank in both are passed over.

    Raises
    ------
    DataError
        If a file cannot be read, the numbers of lines differ, a line is blank in one file only, or there are no
        pairs.
    """
    sources, targets = read_lines(source_path), read_lines(target_path)
    if len(sources) != len(targets):
        raise DataError(
            f"{source_path}: {len(sources)} lines, but {target_path} has {len(targets)}; "
            "each line needs its translation on the same line of the other file"
        )
    pairs = []
    for number, (source, target) in enumerate(zip(sources, targets), 1):
        source, target = source.strip(), target.strip()
        if bool(source) != bool(target):
            blank, other = (target_path, source_path) if source else (source_path, target_path)
            raise DataError(
                f"{blank}:{number}: the line is blank, but not in {other}; allowed is a sentence in both or none"
            )
        if source:
            pairs.append((source, target))
    if not pairs:
        raise DataError(f"{source_path}: no sentence pairs; at least one line that is not blank is needed")
    return pairs


def split_by_source(
    pairs: Iterable[Pair], fractions: Sequence[float] = (0.9, 0.05, 0.05), seed: int = 0
) -> tuple[list[Pair], ...]:
    """Divide pairs into parts so that no source sentence occurs in two of them.

    Sources that differ only in case or white space count as one. They are put in the order of a hash of their text,
    so the parts (and the order inside them) depend on the seed and the set of pairs, not on their order.

    Parameters
    ----------
    pairs : iterable of (str, str)
    fractions : sequence of float
        Share of the pairs for each part. Parts come within one source of it, but a share that is not zero
        gets at least one source.
    seed : int

    Returns
    -------
    tuple of list
        As many parts as fractions.
    """
    shares = [float(share) for share in fractions]
    if not shares or not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"fractions is {tuple(fractions)}; allowed are numbers from 0 to 1 whose sum is 1")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed is {seed!r}; allowed are whole numbers")
    groups: dict[str, list[Pair]] = {}
    for source, target in pairs:
        groups.setdefault(" ".join(source.casefold().split()), []).append((source, target))
    needed = sum(share > 0 for share in shares)
    if len(groups) < needed:
        raise DataError(
            f"pairs has {len(groups)} different sources, fractions {tuple(fractions)}; "
            f"at least {needed} sources are needed, one for each part"
        )
    key = hashlib.blake2b(str(seed).encode()).digest()

    def digest(source: str) -> bytes:
        return hashlib.blake2b(source.encode("utf-8", "surrogatepass"), key=key, digest_size=16).digest()

    ordered = [sorted(groups[source]) for source in sorted(groups, key=lambda source: (digest(source), source))]
    total = sum(map(len, ordered))
    parts: list[list[Pair]] = []
    taken, start, share_so_far = 0, 0, 0.0
    for i, share in enumerate(shares):
        share_so_far += share
        later = sum(s > 0 for s in shares[i + 1 :])  # parts that still need a source of their own
        part: list[Pair] = []
        while share > 0 and start < len(ordered) - later:
            group = ordered[start]
            if part and later and taken + len(group) / 2 > share_so_far * total:
                break
            part += group
            taken += len(group)
            start += 1
        parts.append(part)
    return tuple(parts)
