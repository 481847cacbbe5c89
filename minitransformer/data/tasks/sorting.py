"""Sorting for a decoder-only model: it reads digits and goes on with the same digits, sorted.

2 0 1 0 -> 0 0 1 2        inputs    2 0 1 0 0 0 1
                          targets   - - - 0 0 1 2        (-: not to be predicted)
"""

from __future__ import annotations

import hashlib
from itertools import product

import numpy as np

from ...arguments import checked
from ..batches import Batch, check_whole

PAD = 0  # the target of positions that are not predicted; digits have ids from 1


@checked
class SortingTask:
    """Batches of sorted digits, drawn from a generator seeded with seed and step; a quarter of all inputs is held out.

    Half of the inputs with many different digits are drawn anew, so that repeated digits are seen often enough.

    Parameters
    ----------
    length : int
        Digits of an input.
    n_symbols : int
        How many different digits there are.
    batch_size : int
    seed : int

    Source: minGPT's demo (github.com/karpathy/minGPT, demo.ipynb).
    """

    def __init__(self, length: int = 6, n_symbols: int = 3, batch_size: int = 64, *, seed: int) -> None:
        self.length = check_whole("length", length, 1)
        self.n_symbols = check_whole("n_symbols", n_symbols, 2)
        self.batch_size = check_whole("batch_size", batch_size, 1)
        self.seed = check_whole("seed", seed, 0)
        self.vocab = n_symbols + 1
        self.context = 2 * length - 1

    def inputs(self) -> np.ndarray:
        """All possible inputs, (n_symbols^length, length)."""
        return np.array(list(product(range(1, self.vocab), repeat=self.length)))

    def held_out(self, rows: np.ndarray) -> np.ndarray:
        """Which inputs (N, length) are never trained on, (N,) boolean: the same in every run."""
        digests = (hashlib.blake2b(bytes(row), digest_size=1).digest()[0] for row in rows.tolist())
        return np.fromiter((digest % 4 == 0 for digest in digests), bool, len(rows))

    def batch(self, step: int) -> Batch:
        """The batch of a training step, counted from 0."""
        rng = np.random.default_rng([self.seed, check_whole("step", step, 0)])
        rows = np.empty((0, self.length), np.intp)
        while len(rows) < self.batch_size:
            drawn = rng.integers(1, self.vocab, (2 * self.batch_size, self.length))
            many = np.array([len(set(row)) > self.length // 2 for row in drawn.tolist()])
            kept = ~(many & (rng.random(len(drawn)) < 0.5)) & ~self.held_out(drawn)
            rows = np.concatenate([rows, drawn[kept]])
        return self.pairs(rows[: self.batch_size])

    def pairs(self, rows: np.ndarray) -> Batch:
        """Inputs (B, length) with their answers, as a batch (B, 2 length - 1)."""
        ids = np.concatenate([rows, np.sort(rows, axis=1)], axis=1)
        targets = ids[:, 1:].copy()
        targets[:, : self.length - 1] = PAD
        return Batch((ids[:, :-1],), targets, PAD)
