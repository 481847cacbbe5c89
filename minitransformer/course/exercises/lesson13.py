"""Lesson 13, an appendix on many machines: the shares of a batch, and the ring that sums their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array, CrossEntropy, Softmax
from ..exercise import Exercise

# -- shares_backward ------------------------------------------------------------------------------------------------


def shares_backward(
    logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int
) -> tuple[Array, Array]:
    """A batch was cut into two shares of unequal length. The gradient of each share's logits, so that together they are
    the gradient of the whole batch's loss: the mean cross-entropy of all its tokens that are not padding.

    logits_1 (N, V), targets_1 (N,), logits_2 (M, V), targets_2 (M,), pad an id -> d_logits_1 (N, V), d_logits_2 (M, V)
    """
    n_tokens = int((targets_1 != pad).sum() + (targets_2 != pad).sum())  # of the whole batch
    onehot = np.eye(logits_1.shape[1], dtype=logits_1.dtype)
    d_logits_1 = (Softmax()(logits_1) - onehot[targets_1]) * (targets_1 != pad)[:, None] / n_tokens
    d_logits_2 = (Softmax()(logits_2) - onehot[targets_2]) * (targets_2 != pad)[:, None] / n_tokens
    return d_logits_1, d_logits_2


def _shares_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for N, M, V, pad in ((7, 3, 11, 0), (5, 13, 3, 1), (2, 11, 7, 0)):
        shares = []
        for n in (N, M):
            targets = (pad + rng.integers(1, V, n)) % V
            targets[-(n // 3) - 1 :] = pad
            shares += [rng.standard_normal((n, V)), targets]
        cases.append((*shares, pad))
    return cases


def _shares_reference(
    logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int
) -> tuple[Array, Array]:
    layer = CrossEntropy(pad)
    _, cache = layer.forward(np.concatenate([logits_1, logits_2]), np.concatenate([targets_1, targets_2]))
    d_logits = layer.backward(1.0, cache)
    return d_logits[: len(logits_1)], d_logits[len(logits_1) :]


def _share_gradient(logits: Array, targets: Array, pad: int, n_tokens: int) -> Array:
    return (Softmax()(logits) - np.eye(logits.shape[1])[targets]) * (targets != pad)[:, None] / n_tokens


def _own_tokens(logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int) -> tuple[Array, Array]:
    """Each share is divided by its own tokens: the sum of two means, about twice the gradient."""
    n_1, n_2 = int((targets_1 != pad).sum()), int((targets_2 != pad).sum())
    return _share_gradient(logits_1, targets_1, pad, n_1), _share_gradient(logits_2, targets_2, pad, n_2)


def _mean_of_means(
    logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int
) -> tuple[Array, Array]:
    """The mean of two means: a token of the share with fewer tokens counts more."""
    d_logits_1, d_logits_2 = _own_tokens(logits_1, targets_1, logits_2, targets_2, pad)
    return d_logits_1 / 2, d_logits_2 / 2


def _padding_in_shares(
    logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int
) -> tuple[Array, Array]:
    """Divided by all positions, padding included."""
    n = len(targets_1) + len(targets_2)
    return _share_gradient(logits_1, targets_1, pad, n), _share_gradient(logits_2, targets_2, pad, n)


def _not_divided(logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int) -> tuple[Array, Array]:
    """A sum over tokens, not a mean."""
    return _share_gradient(logits_1, targets_1, pad, 1), _share_gradient(logits_2, targets_2, pad, 1)


# -- ring_turn ------------------------------------------------------------------------------------------------------


def ring_turn(pieces: Array, turn: int) -> Array:
    """One of the first n - 1 turns of a ring of n ranks. Rank r sends its piece number (r - turn) mod n to rank r + 1
    (the last to the first), which adds it to its own piece of that number. All send at once, what they had before.

    pieces (n, n, P): rank, piece, numbers; turn from 0 -> the pieces after the turn (n, n, P)
    """
    n = len(pieces)
    after = pieces.copy()
    for rank in range(n):
        i = (rank - turn) % n
        after[(rank + 1) % n, i] += pieces[rank, i]
    return after


def _ring_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((n, n, P)), turn) for n, P, turn in ((2, 3, 0), (3, 5, 1), (5, 2, 2))]


def _ring_reference(pieces: Array, turn: int) -> Array:
    n = len(pieces)
    receiver, piece = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    arrives = (piece == (receiver - 1 - turn) % n)[..., None]
    return np.where(arrives, pieces + np.roll(pieces, 1, axis=0), pieces)


def _ring_overwrites(pieces: Array, turn: int) -> Array:
    """The piece that arrives replaces the rank's own: that is what the second half of the turns does."""
    n, after = len(pieces), pieces.copy()
    for rank in range(n):
        after[(rank + 1) % n, (rank - turn) % n] = pieces[rank, (rank - turn) % n]
    return after


def _ring_backwards(pieces: Array, turn: int) -> Array:
    """Sent to the rank before instead of the next."""
    n, after = len(pieces), pieces.copy()
    for rank in range(n):
        after[(rank - 1) % n, (rank - turn) % n] += pieces[rank, (rank - turn) % n]
    return after


def _ring_same_piece(pieces: Array, turn: int) -> Array:
    """Every rank sends the piece with its own number, whatever the turn."""
    return ring_turn(pieces, 0) if turn else ring_turn(pieces, 1)


def _ring_empties(pieces: Array, turn: int) -> Array:
    """The piece is moved: the sender keeps nothing. It sends a copy and keeps its own."""
    n, after = len(pieces), ring_turn(pieces, turn)
    rank = np.arange(n)
    after[rank, (rank - turn) % n] = 0.0
    return after


def _ring_pulls(pieces: Array, turn: int) -> Array:
    """Every rank adds the piece of the next rank to its own; it must add its piece to that of the next."""
    n, after = len(pieces), pieces.copy()
    for rank in range(n):
        after[rank, (rank - turn) % n] += pieces[(rank + 1) % n, (rank - turn) % n]
    return after


EXERCISES = [
    Exercise(
        name="shares_backward",
        lesson="13",
        difficulty=3,
        importance=3,
        minutes=10,
        title="Two shares, one gradient",
        solution=shares_backward,
        cases=_shares_cases,
        reference=_shares_reference,
        wrong=(_own_tokens, _mean_of_means, _padding_in_shares, _not_divided),
        hints=(
            "Write the loss of the whole batch as one sum over tokens. By what is it divided?",
            "By the number of tokens of the whole batch, in both shares: then the shares' gradients simply add.",
            "n_tokens = counted tokens of both; each share: (Softmax()(logits) - onehot) * counted / n_tokens.",
        ),
        backward=True,
    ),
    Exercise(
        name="ring_turn",
        lesson="13",
        difficulty=3,
        importance=2,
        minutes=15,
        title="A turn of the ring",
        solution=ring_turn,
        cases=_ring_cases,
        reference=_ring_reference,
        wrong=(_ring_overwrites, _ring_backwards, _ring_same_piece, _ring_empties, _ring_pulls),
        hints=(
            "Draw three ranks with three pieces each. In turn 0 rank 0 sends piece 0, rank 1 piece "
            "1, rank 2 piece 2: to whom?",
            "The receiver is (rank + 1) % n; the piece keeps its number. Read from the old array, write into a copy.",
            "after = pieces.copy(); for each rank: i = (rank - turn) % n; after[(rank + 1) % n, i] += pieces[rank, i]",
        ),
        backward=False,
    ),
]
