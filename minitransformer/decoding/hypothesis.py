"""What decoders find: sequences, how probable the model holds them to be, and the score by which they were ranked.

log P(y | x) = sum over t of log softmax(logits_t)[y_t], of all new tokens and, where the sequence ended, of eos
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..layers import Array


@dataclass(frozen=True)
class Hypothesis:
    """One sequence that a decoder found.

    Attributes
    ----------
    ids : list of int
        Its new tokens, without start, prompt and eos.
    log_probability : float
        Natural logarithm of the model's own probability of these tokens, and of eos where it ended.
    finished : bool
        It ended with eos; if not, it was cut at `max_new_tokens`.
    score : float
        What it was ranked by. Greedy decoding and sampling rank nothing: theirs is the log-probability.
    """

    ids: list[int]
    log_probability: float
    finished: bool
    score: float

    @property
    def length(self) -> int:
        """New tokens, eos counted where it is there, the prompt not."""
        return len(self.ids) + self.finished


def log_probability_of(logits: Array, tokens: Array, rows: Array | None = None) -> Array:
    """Log-probabilities (C,), float64, of tokens (C,) in rows (C,) of logits (R, V); without `rows`, one in each."""
    rows = np.arange(len(logits)) if rows is None else rows
    highest = logits.max(axis=-1)
    total = np.exp(logits - highest[:, None]).sum(axis=-1, dtype=np.float64)
    return (logits[rows, tokens] - highest[rows]).astype(np.float64) - np.log(total)[rows]


def log_probability_of_steps(steps: Sequence[tuple[Array, Array]]) -> Array:
    """Log-probabilities (steps, B), float64, of the tokens (B,) that each step chose by its logits (B, V)."""
    logits, tokens = steps[0] if len(steps) == 1 else map(np.concatenate, zip(*steps))
    return log_probability_of(logits, tokens).reshape(len(steps), -1)


def as_limits(max_new_tokens: int | Array, n: int) -> Array:
    """The most new tokens of each of n sentences: one number for all, or one for each."""
    limits = np.asarray(max_new_tokens)
    if limits.dtype.kind not in "iu" or limits.shape not in ((), (n,)):
        raise ValueError(f"max_new_tokens={max_new_tokens!r}: give one whole number, or one for each of {n} sentences")
    if limits.size and limits.min() < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens}: must be at least 1")
    return np.broadcast_to(limits, (n,))
