"""Files of sentence pairs, and their split into parts for training, validation and test.

Two formats are read: one table of pairs, as Anki and Tatoeba export them, and two files of which line n of the one
translates line n of the other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from ..arguments import checked
from .errors import DataError
from .reading import Path, read_lines
from .tables import read_table

Pair = tuple[str, str]


@checked
def read_pairs(path: Path, columns: Sequence[str | int] | None = None) -> list[Pair]:
    """Sentence pairs of a table: a pair a line, its columns separated by tabs.

    Further columns (the attributions of Anki's exports) and blank lines are passed over; white space around a sentence
    is dropped. A first line of column names is known by its words. Files that end in .csv are read as CSV, those in
    .jsonl, .ndjson or .json as JSON, and text that Anki exports as its first lines (`#separator:tab`, `#html:true`)
    say.

    Parameters
    ----------
    path : path
    columns : (str, str), optional
        Source's and target's columns: numbers from 1, or names that the first line, or a JSON object, has. By default
        the first two; of JSON objects the two values that are text.

    Raises
    ------
    DataError
        If the file cannot be read, a line lacks a column or has an empty sentence, one of the first two columns
        holds numbers while others hold text, or there are no pairs.
    """
    table = read_table(path, columns)
    chosen = table.choose(columns)
    wanted = table.wanted(columns)
    pairs = []
    for number, row in table.rows:
        if len(row) <= max(chosen):
            one = "one column" if len(row) == 1 else f"{len(row)} columns"
            raise DataError(
                f"{path}:{number}: {one}; allowed is {wanted}{_conversion(row[0]) if len(row) == 1 else ''}"
            )
        source, target = (row[i] for i in chosen)
        for name, sentence in (("source", source), ("target", target)):
            if not sentence:
                raise DataError(f"{path}:{number}: the {name} is empty; allowed is {wanted}")
        pairs.append((source, target))
    if not pairs:
        raise DataError(f"{path}: no sentence pairs; at least one line with {wanted} is needed")
    return pairs


def _conversion(line: str) -> str:
    """How a line of another format becomes a line with a tab."""
    if line.startswith(("<?xml", "<tmx")):
        return "; the file is XML: export it as text with tabs, or as CSV"
    if " ||| " in line:
        return r"; write tabs in place of |||, as with: sed 's/ ||| /\t/' FILE"
    if re.search(r"\S {2,}\S", line):
        return r"; write tabs in place of several spaces, as with: sed -E 's/ {2,}/\t/' FILE"
    return ""


@checked
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


@checked
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
            f"pairs has {len(groups)} different sources, fractions ({', '.join(f'{share:g}' for share in shares)}); "
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
