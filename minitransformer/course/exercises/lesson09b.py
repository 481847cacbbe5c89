"""Lesson 09b, what the model learnt: a weight of attention is taken away."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array
from ...verify import complex_step
from ..exercise import Exercise

# -- take_away ------------------------------------------------------------------------------------------------------


def take_away(weights: Array, head: int, query: Array, key: Array) -> Array:
    """Attention weights without one weight in each sentence: that with which `query` looks at `key`, in one head. The
    other weights stay what they are, so that the row no longer sums to 1.

    weights (B, H, T, S), head a number, query and key (B,) positions -> (B, H, T, S)
    """
    left = weights.copy()
    left[np.arange(len(weights)), head, query, key] = 0
    return left


def _take_away_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for B, H, T, S in ((2, 3, 5, 7), (3, 1, 7, 5), (5, 2, 3, 3)):
        weights = rng.random((B, H, T, S))
        weights /= weights.sum(axis=-1, keepdims=True)
        cases.append((weights, int(rng.integers(H)), rng.integers(0, T, B), rng.integers(0, S, B)))
    return cases


def _take_away_reference(weights: Array, head: int, query: Array, key: Array) -> Array:
    kept = np.ones_like(weights)
    for b in range(len(weights)):
        kept[b, head, query[b], key[b]] = 0.0
    return weights * kept


def _renormalized(weights: Array, head: int, query: Array, key: Array) -> Array:
    """The rest of the row is made to sum to 1 again: the other words then get more weight than before."""
    left = take_away(weights, head, query, key)
    return left / left.sum(axis=-1, keepdims=True)


def _all_heads(weights: Array, head: int, query: Array, key: Array) -> Array:
    """The weight is taken away in all heads."""
    left = weights.copy()
    left[np.arange(len(weights)), :, query, key] = 0
    return left


def _whole_column(weights: Array, head: int, query: Array, key: Array) -> Array:
    """Nobody may look at the key any more, not only the one query."""
    left = weights.copy()
    left[np.arange(len(weights)), head, :, key] = 0
    return left


def _exchanged(weights: Array, head: int, query: Array, key: Array) -> Array:
    """Query and key are exchanged: what is taken away is the key's look at the query."""
    T = min(weights.shape[-2:])
    return take_away(weights, head, key % T, query % T)


# -- choice_gradient ------------------------------------------------------------------------------------------------


def choice_gradient(logits: Array, one: int, other: int, position: Array) -> Array:
    """The gradient of the logits, when the output is a difference in each sentence: the logit of `one` minus that of
    word `other`, at one position. It is where a backward begins that asks what a choice depends on.

    logits (B, T, V), one and other ids, position (B,) -> d_logits (B, T, V)
    """
    d_logits = np.zeros_like(logits)
    rows = np.arange(len(logits))
    d_logits[rows, position, one] = 1
    d_logits[rows, position, other] = -1
    return d_logits


def _choice_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for B, T, V in ((2, 3, 5), (3, 5, 7), (5, 2, 3)):
        one, other = rng.choice(V, 2, replace=False).tolist()
        cases.append((rng.standard_normal((B, T, V)), one, other, rng.integers(0, T, B)))
    return cases


def _choice_reference(logits: Array, one: int, other: int, position: Array) -> Array:
    return complex_step(lambda z: sum(z[b, t, one] - z[b, t, other] for b, t in enumerate(position)), logits)


def _every_position(logits: Array, one: int, other: int, position: Array) -> Array:
    """Every position gets a gradient, not only the one where the choice is made."""
    d_logits = np.zeros_like(logits)
    d_logits[..., one], d_logits[..., other] = 1, -1
    return d_logits


def _one_only(logits: Array, one: int, other: int, position: Array) -> Array:
    """Only the one word's logit: a change that raises both logits would seem to decide."""
    return np.maximum(choice_gradient(logits, one, other, position), 0)


def _of_loss(logits: Array, one: int, other: int, position: Array) -> Array:
    """The gradient of the loss, p - onehot: it asks about all words, not about the two."""
    d_logits = np.zeros_like(logits)
    rows = np.arange(len(logits))
    z = logits[rows, position]
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    d_logits[rows, position] = p / p.sum(axis=-1, keepdims=True)
    d_logits[rows, position, one] -= 1
    return d_logits


def _both_raised(logits: Array, one: int, other: int, position: Array) -> Array:
    """Both words get 1; the output is a difference, so the other word gets -1."""
    return abs(choice_gradient(logits, one, other, position))


EXERCISES = [
    Exercise(
        name="choice_gradient",
        lesson="09b",
        difficulty=2,
        importance=3,
        minutes=10,
        title="Where the question begins",
        solution=choice_gradient,
        cases=_choice_cases,
        reference=_choice_reference,
        wrong=(_every_position, _one_only, _of_loss, _both_raised),
        hints=(
            "The output is a sum of numbers that are read out of the logits, some with a minus. What "
            "is the derivative of a "
            "number with respect to itself?",
            "Zeros everywhere, 1 at (b, position[b], one), -1 at (b, position[b], other).",
            "d_logits[np.arange(B), position, one] = 1, and the same with other and -1.",
        ),
        backward=True,
    ),
    Exercise(
        name="take_away",
        lesson="09b",
        difficulty=1,
        importance=3,
        minutes=8,
        title="A weight is taken away",
        solution=take_away,
        cases=_take_away_cases,
        reference=_take_away_reference,
        wrong=(_renormalized, _all_heads, _whole_column, _exchanged),
        hints=(
            "In each sentence of the batch it is another place: which index arrays pick one number a sentence?",
            "weights[np.arange(B), head, query, key] are the B numbers. Do not write into the array "
            "that you were given.",
            "left = weights.copy(); left[np.arange(B), head, query, key] = 0",
        ),
        backward=False,
    ),
]
