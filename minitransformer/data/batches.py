"""Batches of sentence pairs as padded arrays of ids, found by the number of the training step.

Teacher forcing: the decoder reads the target shifted right and predicts it, one position ahead::

    source     s1 s2 s3 eos        target_in  start t1 t2
                                   targets    t1    t2 eos
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

from ..arguments import checked, shown
from .vocabulary import BOS, EOS, PAD

IdPair = tuple[Sequence[int], Sequence[int]]

WINDOW = 100  # batches whose sentences are sorted by length together
FRESH_WINDOW = 4  # the same for sentences that are made for the step; few, since batches of alike sentences teach less


@checked
@dataclass(frozen=True, eq=False)
class Batch:
    """What a model reads and what it should answer.

    Attributes
    ----------
    inputs : tuple of arrays (B, L)
        Arguments of the model's forward: (source, target_in) for an encoder-decoder. The last one stands beside
        `targets`, position by position.
    targets : array (B, T)
        Ids to predict, `pad` where there is none.
    pad : int
    """

    inputs: tuple[np.ndarray, ...]
    targets: np.ndarray
    pad: int = PAD

    def __post_init__(self) -> None:
        for name, array in [("targets", self.targets), *((f"inputs[{i}]", a) for i, a in enumerate(self.inputs))]:
            if not isinstance(array, np.ndarray):
                raise TypeError(f"{name}={shown(array)}: must be a NumPy array of ids (sentences, length)")
            if array.ndim != 2 or len(array) != len(self.targets):
                raise ValueError(f"{name} has shape {array.shape}; allowed is ({len(self.targets)}, length)")

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.targets)

    @property
    def n_tokens(self) -> int:
        """Number of targets that are not padding."""
        return int(np.count_nonzero(self.targets != self.pad))

    def shares(self, n: int) -> list[Batch]:
        """Cut into `n` runs of sentences (fewer if there are fewer sentences), and drop columns that are all padding.

        Sizes differ by one sentence at most, and the shares' tokens add up to the batch's.
        """
        if n < 1:
            raise ValueError(f"n is {n}; allowed are whole numbers from 1")
        B = len(self)
        n = max(min(n, B), 1)
        cuts = [B * i // n for i in range(n + 1)]
        return [self._rows(slice(start, stop)) for start, stop in pairwise(cuts)]

    def _rows(self, rows: slice) -> Batch:
        inputs = [array[rows] for array in self.inputs]
        targets = self.targets[rows]
        widths = [self._width(array) for array in inputs]
        width = self._width(targets)
        if inputs and inputs[-1].shape == targets.shape:
            widths[-1] = width = max(widths[-1], width)
        trimmed = tuple(array[:, :columns] for array, columns in zip(inputs, widths))
        return Batch(trimmed, targets[:, :width], self.pad)

    def _width(self, array: np.ndarray) -> int:
        used = (array != self.pad).any(axis=0).nonzero()[0]
        return int(used[-1]) + 1 if used.size else min(1, array.shape[1])


def _flat_ids(sequences: Sequence[Sequence[int]]) -> np.ndarray:
    flat = np.array(list(chain.from_iterable(sequences)))
    if flat.size == 0:
        return flat.astype(np.intp)
    if flat.ndim != 1 or flat.dtype.kind not in "iu":
        raise TypeError(
            f"sequences have ids of dtype {flat.dtype} and shape {flat.shape}; allowed are lists of whole numbers"
        )
    if flat.min() < 0:
        raise ValueError(f"sequences contain the id {flat.min()}; allowed are whole numbers from 0")
    return flat


def _filled(sequences: Sequence[Sequence[int]], pad: int, dtype: np.typing.DTypeLike) -> tuple[np.ndarray, np.ndarray]:
    """Padded array (B, T) of sequences, and their lengths (B,)."""
    if len(sequences) == 0:
        raise ValueError("sequences is empty; at least one is needed to make a batch")
    flat = _flat_ids(sequences)
    lengths = np.fromiter(map(len, sequences), np.intp, len(sequences))
    T = int(lengths.max())
    array = np.full((len(sequences), T), pad, dtype)
    array[np.arange(T) < lengths[:, None]] = flat  # row by row, as flat is ordered
    return array, lengths


@checked
def pad_sequences(
    sequences: Sequence[Sequence[int]], pad: int = PAD, dtype: np.typing.DTypeLike = np.intp
) -> np.ndarray:
    """Put lists of ids into one array (B, T_max), filled up with `pad` on the right.

    Raises
    ------
    ValueError, TypeError
        If there are no sequences, or an id is not a whole number from 0.
    """
    return _filled(sequences, pad, dtype)[0]


@checked
def sequence_to_sequence_batch(pairs: Sequence[IdPair], *, pad: int, start: int, eos: int) -> Batch:
    """Batch of pairs (source ids, target ids), which carry no special tokens yet.

    Parameters
    ----------
    pairs : sequence of (list of int, list of int)
    pad, start, eos : int
        `start` is what the decoder reads first: `bos`, or `eos` as in the lecture notes.

    Returns
    -------
    Batch
        inputs: source (B, S) = ids + [eos], target_in (B, T) = [start] + ids; targets (B, T) = ids + [eos].
    """
    if len(pairs) == 0:
        raise ValueError("pairs is empty; at least one is needed to make a batch")
    source, _ = _closed([source for source, _ in pairs], pad, eos)
    targets, ids = _closed([target for _, target in pairs], pad, eos)
    target_in = np.empty_like(targets)
    target_in[:, 0] = start
    target_in[:, 1:] = ids
    return Batch((source, target_in), targets, pad)


def _closed(sequences: Sequence[Sequence[int]], pad: int, eos: int) -> tuple[np.ndarray, np.ndarray]:
    """Padded arrays of the sequences with `eos` behind each, (B, T + 1), and without, (B, T)."""
    ids, lengths = _filled(sequences, pad, np.intp)
    B, T = ids.shape
    if np.count_nonzero(ids == pad) != B * T - lengths.sum():
        raise ValueError(f"pairs contain the id {pad}, which is pad; allowed are all other ids")
    closed = np.full((B, T + 1), pad, np.intp)
    closed[:, :T] = ids
    closed[np.arange(B), lengths] = eos
    return closed, ids


def check_whole(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}; allowed are whole numbers from {least}")
    if value < least:
        raise ValueError(f"{name} is {value}; allowed are whole numbers from {least}")
    return int(value)


@checked
class PairBatches:
    """Batches of a finite set of pairs, each pair once an epoch, in an order that seed and epoch decide.

    Any step can be asked for at any time, so a run that stopped goes on where it was.

    Parameters
    ----------
    pairs : sequence of (list of int, list of int)
    batch_size : int
        Number of sentences in a batch; an epoch has one smaller batch where it must.
    seed : int
    pad, start, eos : int
        As in `sequence_to_sequence_batch`.
    bucket : bool
        Whether sentences of similar length are put together, which saves padding. Pairs are shuffled, sorted by length
        within windows of 100 batches, cut, and the batches shuffled.
    """

    def __init__(
        self,
        pairs: Sequence[IdPair],
        batch_size: int,
        *,
        seed: int,
        pad: int = PAD,
        start: int = BOS,
        eos: int = EOS,
        bucket: bool = True,
    ) -> None:
        if len(pairs) == 0:
            raise ValueError("pairs is empty; at least one pair is needed")
        self.pairs = pairs
        self.batch_size = check_whole("batch_size", batch_size, 1)
        self.seed = check_whole("seed", seed, 0)
        self.pad, self.start, self.eos = pad, start, eos
        self.bucket = bucket
        self.steps_per_epoch = -(-len(pairs) // self.batch_size)
        self._lengths = _lengths(pairs)
        self._epoch: tuple[int, list[np.ndarray]] = (-1, [])

    def batch(self, step: int) -> Batch:
        """The batch of a training step, counted from 0."""
        epoch, position = divmod(check_whole("step", step, 0), self.steps_per_epoch)
        chosen = [self.pairs[i] for i in self._batches(epoch)[position]]
        return sequence_to_sequence_batch(chosen, pad=self.pad, start=self.start, eos=self.eos)

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Indices of the pairs in each batch of an epoch; the latest epoch's are kept."""
        known, batches = self._epoch
        if known != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            order = rng.permutation(len(self.pairs))
            if self.bucket:
                width = WINDOW * self.batch_size
                source, target = self._lengths
                for i in range(0, len(order), width):
                    window = order[i : i + width]
                    order[i : i + width] = window[np.lexsort((source[window], target[window]))]
            cut = _cut(order, self.batch_size)
            batches = [cut[i] for i in rng.permutation(len(cut))] if self.bucket else cut
            self._epoch = (epoch, batches)
        return batches


@checked
class FreshBatches:
    """Batches of new examples at every step, drawn by a generator that seed and step decide.

    Four batches are drawn at a time and their sentences put together by length, which saves padding.

    Parameters
    ----------
    sample : callable
        Called with a `numpy.random.Generator` and the number of examples wanted; returns pairs of lists of ids.
    batch_size : int
    seed : int
    pad, start, eos : int
        As in `sequence_to_sequence_batch`.
    """

    def __init__(
        self,
        sample: Callable[[np.random.Generator, int], Sequence[IdPair]],
        batch_size: int,
        *,
        seed: int,
        pad: int = PAD,
        start: int = BOS,
        eos: int = EOS,
    ) -> None:
        self.sample = sample
        self.batch_size = check_whole("batch_size", batch_size, 1)
        self.seed = check_whole("seed", seed, 0)
        self.pad, self.start, self.eos = pad, start, eos
        self._window: tuple[int, list[list[IdPair]]] = (-1, [])

    def batch(self, step: int) -> Batch:
        """The batch of a training step, counted from 0."""
        window, position = divmod(check_whole("step", step, 0), FRESH_WINDOW)
        pairs = self._batches(window)[position]
        return sequence_to_sequence_batch(pairs, pad=self.pad, start=self.start, eos=self.eos)

    def _batches(self, window: int) -> list[list[IdPair]]:
        """The pairs of each batch of a window; the latest window's are kept."""
        known, batches = self._window
        if known != window:
            rng = np.random.default_rng([self.seed, window])
            n = FRESH_WINDOW * self.batch_size
            pairs = self.sample(rng, n)
            if len(pairs) != n:
                raise ValueError(f"sample returned {len(pairs)} pairs; {n} were asked for")
            source, target = _lengths(pairs)
            cut = _cut(np.lexsort((source, target)), self.batch_size)
            batches = [[pairs[i] for i in cut[j]] for j in rng.permutation(FRESH_WINDOW)]
            self._window = (window, batches)
        return batches


@checked
def evaluation_batches(
    pairs: Sequence[IdPair], batch_size: int, *, pad: int = PAD, start: int = BOS, eos: int = EOS
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Batches of every pair once, the shortest first, each with the indices of its pairs in `pairs`."""
    batch_size = check_whole("batch_size", batch_size, 1)
    source, target = _lengths(pairs)
    for indices in _cut(np.lexsort((source, target)), batch_size):
        chosen = [pairs[i] for i in indices]
        yield indices, sequence_to_sequence_batch(chosen, pad=pad, start=start, eos=eos)


def _lengths(pairs: Sequence[IdPair]) -> tuple[np.ndarray, np.ndarray]:
    source = np.fromiter((len(source) for source, _ in pairs), np.intp, len(pairs))
    target = np.fromiter((len(target) for _, target in pairs), np.intp, len(pairs))
    return source, target


def _cut(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[i : i + size] for i in range(0, len(order), size)]
