"""Copy, reverse and sort: tasks on lists of symbols that a small model learns in seconds.

copy     3 1 4  ->  3 1 4
reverse  3 1 4  ->  4 1 3
sort     3 1 4  ->  1 3 4
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from ...arguments import checked
from ..vocabulary import SPECIALS, WordVocabulary

RULES: dict[str, Callable[[Sequence[int]], list[int]]] = {
    "copy": list,
    "reverse": lambda source: list(reversed(source)),
    "sort": sorted,
}
SPLITS = ("train", "test")


@checked
class ToyTask:
    """Endless examples of one rule. A tenth of all sources, chosen by a hash of the source, is kept for test.

    Parameters
    ----------
    name : {"copy", "reverse", "sort"}
    n_symbols : int
        Number of different symbols, which are written 0, 1, 2, ...
    min_length, max_length : int
        Smallest and largest number of symbols in a source.

    Attributes
    ----------
    vocabulary : WordVocabulary
        Of both sides; greater symbols have greater ids.
    """

    def __init__(self, name: str, n_symbols: int = 10, min_length: int = 1, max_length: int = 10) -> None:
        if name not in RULES:
            raise ValueError(f"name is {name!r}; allowed are {', '.join(RULES)}")
        if n_symbols < 1:
            raise ValueError(f"n_symbols is {n_symbols}; allowed are whole numbers from 1")
        if not 1 <= min_length <= max_length:
            raise ValueError(
                f"min_length is {min_length}, max_length {max_length}; allowed is 1 <= min_length <= max_length"
            )
        self.name = name
        self.n_symbols = n_symbols
        self.min_length = min_length
        self.max_length = max_length
        self.vocabulary = WordVocabulary(str(symbol) for symbol in range(n_symbols))

    def target(self, source: Sequence[int]) -> list[int]:
        """The right answer to a source, both as ids."""
        return RULES[self.name](source)

    def split_of(self, source: Sequence[int]) -> str:
        """The split, "train" or "test", that a source belongs to, the same in every run."""
        digest = hashlib.blake2b(" ".join(map(str, source)).encode(), digest_size=8).digest()
        return "test" if int.from_bytes(digest, "big") % 10 == 0 else "train"

    def sample(self, rng: np.random.Generator, n: int, split: str = "train") -> list[tuple[list[int], list[int]]]:
        """Draw `n` pairs of ids, lengths and symbols uniformly, from one split.

        Raises
        ------
        ValueError
            If the split is unknown, or so few sources exist that none was found in it.
        """
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; allowed are {', '.join(SPLITS)}")
        pairs: list[tuple[list[int], list[int]]] = []
        first = len(SPECIALS)
        drawn = 0
        while len(pairs) < n:
            if drawn > 10_000 and not pairs:
                raise ValueError(
                    f"split {split!r} has no source among {drawn} drawn; allowed are tasks with more sources "
                    f"(n_symbols is {self.n_symbols}, max_length {self.max_length})"
                )
            missing = n - len(pairs)
            lengths = rng.integers(self.min_length, self.max_length + 1, size=missing)
            symbols = rng.integers(first, first + self.n_symbols, size=(missing, self.max_length))
            drawn += missing
            for length, row in zip(lengths.tolist(), symbols.tolist()):
                source = row[:length]
                if self.split_of(source) == split:
                    pairs.append((source, self.target(source)))
        return pairs
