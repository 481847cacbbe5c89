"""The reversal task of Joey NMT, pair for pair: the data for which a score of another program is published.

3 1 4  ->  4 1 3          numbers 0 ... 49; lengths 1 ... 25 in training, 1 ... 30 in validation and test
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arguments import checked
from ..vocabulary import SPECIALS, WordVocabulary

Pairs = list[tuple[list[int], list[int]]]

N_SYMBOLS = 50
LONGEST = {"training": 25, "validation": 30, "test": 30}


@dataclass(frozen=True)
class Reversal:
    """Three sets of pairs (source ids, target ids), and the vocabulary of both sides."""

    vocabulary: WordVocabulary
    training: Pairs
    validation: Pairs
    test: Pairs


@checked
def joeynmt_reversal(
    n_training: int = 50_000, n_validation: int = 1000, n_test: int = 1000, seed: int = 42
) -> Reversal:
    """The files that Joey NMT's `scripts/generate_reverse_task.py` writes with its own defaults, as ids.

    It draws with NumPy's generator of before 2019, whose numbers never change. Where n_training is another, all sets
    are others too.

    Source: Kreutzer et al. 2019, "Joey NMT: A Minimalist NMT Toolkit for Novices", and its tutorial.
    """
    for name, n in (("n_training", n_training), ("n_validation", n_validation), ("n_test", n_test)):
        if n < 1:
            raise ValueError(f"{name} is {n}; allowed are whole numbers from 1")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed}: must be at least 0 and below 2^32")
    rng = np.random.RandomState(seed)
    sizes = {"training": n_training, "validation": n_validation, "test": n_test}
    sets = {name: _sample(rng, n, LONGEST[name]) for name, n in sizes.items()}
    return Reversal(WordVocabulary(str(symbol) for symbol in range(N_SYMBOLS)), **sets)


def _sample(rng: np.random.RandomState, n: int, longest: int) -> Pairs:
    pairs = []
    for _ in range(n):
        length = rng.randint(1, longest + 1, dtype=np.int64)
        source = (rng.randint(0, N_SYMBOLS, length, dtype=np.int64) + len(SPECIALS)).tolist()
        pairs.append((source, source[::-1]))
    return pairs
