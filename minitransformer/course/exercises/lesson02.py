"""Exercises of lesson 02: the table of sines and cosines, its shift, and two backward passes of positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array, LearnedPositions, sinusoids
from ...layers.rotary import rotate
from ...verify import complex_step
from ..exercise import Exercise


def position_table(length: int, d_model: int) -> Array:
    """The sinusoidal encodings of positions 0 ... length - 1.

    length and an even d_model -> (length, d_model): sines in the even columns, cosines in the odd ones.
    """
    pair = np.arange(d_model // 2)
    angle = np.arange(length)[:, None] / 10000.0 ** (2 * pair / d_model)  # (T, D/2)
    table = np.empty((length, d_model))
    table[:, 0::2] = np.sin(angle)
    table[:, 1::2] = np.cos(angle)
    return table


def shift_matrix(distance: int, d_model: int) -> Array:
    """The matrix M that moves every position on by `distance`: PE[t + distance] = PE[t] @ M, whatever t is.

    distance a number, d_model even
    -> (d_model, d_model), a 2 x 2 rotation for each pair of columns on the diagonal, zero elsewhere.
    """
    M = np.zeros((d_model, d_model))
    for i in range(0, d_model, 2):
        b = distance / 10000.0 ** (i / d_model)
        M[i : i + 2, i : i + 2] = [[np.cos(b), -np.sin(b)], [np.sin(b), np.cos(b)]]
    return M


def learned_positions_backward(dy: Array, max_length: int) -> Array:
    """The gradient of the table of positions, when y = x + table[:T].

    dy (B, T, D), max_length a number, T or more -> (max_length, D).
    """
    _, T, D = dy.shape
    d_table = np.zeros((max_length, D), dy.dtype)
    d_table[:T] = dy.sum(axis=0)
    return d_table


def rotate_backward(dy: Array, angle: Array) -> Array:
    """The gradient of x, when every pair of neighbouring features is turned by the angle of its position:

    y[2i] = x[2i] cos - x[2i+1] sin,  y[2i+1] = x[2i] sin + x[2i+1] cos.

    dy (B, T, D), angle (T, D/2) -> (B, T, D).
    """
    cos, sin = np.cos(angle), np.sin(angle)
    dx = np.empty_like(dy)
    dx[..., 0::2] = dy[..., 0::2] * cos + dy[..., 1::2] * sin
    dx[..., 1::2] = dy[..., 1::2] * cos - dy[..., 0::2] * sin
    return dx


def input_backward(dy: Array, ids: Array, n: int) -> Array:
    """The gradient of the table E, when y = sqrt(D) E[ids] + PE, with PE the constant table of positions.

    dy (B, T, D), ids (B, T) integers in [0, n) -> (n, D).
    """
    D = dy.shape[-1]
    d_scaled = dy
    d_table = np.zeros((n, D), dy.dtype)
    np.add.at(d_table, ids, d_scaled * D**0.5)
    return d_table


# Wrong answers, each of which a check must reject.


def _halves(length: int, d_model: int) -> Array:
    """All sines first, then all cosines: here they alternate."""
    table = position_table(length, d_model)
    return np.concatenate([table[:, 0::2], table[:, 1::2]], axis=1)


def _a_frequency_a_column(length: int, d_model: int) -> Array:
    """Every column has a frequency of its own; a sine and its cosine must share one."""
    angle = np.arange(length)[:, None] / 10000.0 ** (np.arange(d_model) / d_model)
    table = np.empty((length, d_model))
    table[:, 0::2], table[:, 1::2] = np.sin(angle[:, 0::2]), np.cos(angle[:, 1::2])
    return table


def _exponent_halved(length: int, d_model: int) -> Array:
    """The exponent is i / D where it must be 2i / D."""
    angle = np.arange(length)[:, None] / 10000.0 ** (np.arange(d_model // 2) / d_model)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, d_model)


def _positions_from_one(length: int, d_model: int) -> Array:
    """Counts positions from 1."""
    return position_table(length + 1, d_model)[1:]


def _turns_back(distance: int, d_model: int) -> Array:
    """The transpose: it moves to the position before, not to the one behind."""
    return shift_matrix(distance, d_model).T


def _one_angle(distance: int, d_model: int) -> Array:
    """Turns all pairs by the angle of the first; each has its own frequency."""
    return np.kron(np.eye(d_model // 2), shift_matrix(distance, 2))


def _without_mixing(distance: int, d_model: int) -> Array:
    """Cosines on the diagonal alone: sine and cosine of a pair must mix."""
    return shift_matrix(distance, d_model) * np.eye(d_model)


def _position_mean(dy: Array, max_length: int) -> Array:
    """Averages over the sentences, where their gradients add."""
    return learned_positions_backward(dy, max_length) / len(dy)


def _only_used_rows(dy: Array, max_length: int) -> Array:
    """Returns the T rows that were used; the gradient has the table's shape."""
    return dy.sum(axis=0)


def _all_positions_alike(dy: Array, max_length: int) -> Array:
    """Sums over positions too, as the gradient of a bias would."""
    d_table = np.zeros((max_length, dy.shape[-1]), dy.dtype)
    d_table[: dy.shape[1]] = dy.sum(axis=(0, 1))
    return d_table


def _last_rows(dy: Array, max_length: int) -> Array:
    """Writes into the last T rows; a sentence begins at position 0."""
    d_table = np.zeros((max_length, dy.shape[-1]), dy.dtype)
    d_table[max_length - dy.shape[1] :] = dy.sum(axis=0)
    return d_table


def _turns_again(dy: Array, angle: Array) -> Array:
    """Turns once more in the same direction, where the gradient turns back."""
    return rotate_backward(dy, -angle)


def _sign_lost(dy: Array, angle: Array) -> Array:
    """Both sines with a plus: that is no rotation."""
    dx = rotate_backward(dy, angle)
    dx[..., 1::2] = dy[..., 1::2] * np.cos(angle) + dy[..., 0::2] * np.sin(angle)
    return dx


def _cosines_only(dy: Array, angle: Array) -> Array:
    """Keeps each feature's own path and forgets the one that crosses to its neighbour."""
    return dy * np.repeat(np.cos(angle), 2, axis=-1)


def _pairs_of_halves(dy: Array, angle: Array) -> Array:
    """Pairs feature i with i + D/2 instead of 2i with 2i + 1."""
    d = dy.shape[-1] // 2
    first, second = dy[..., :d], dy[..., d:]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([first * cos + second * sin, second * cos - first * sin], axis=-1)


def _constant_stops_all(dy: Array, ids: Array, n: int) -> Array:
    """PE is constant, but what it is added to is not: a sum hands its gradient on to every term."""
    D = dy.shape[-1]
    d_positions = np.zeros_like(dy)
    d_scaled = d_positions
    d_table = np.zeros((n, D), dy.dtype)
    np.add.at(d_table, ids, d_scaled * D**0.5)
    return d_table


def _scale_of_words_lost(dy: Array, ids: Array, n: int) -> Array:
    """The factor sqrt(D) is missing on the way back."""
    return input_backward(dy, ids, n) * dy.shape[-1] ** -0.5


def _words_assigned(dy: Array, ids: Array, n: int) -> Array:
    """Assigns where it must add: of an id that repeats, only the last occurrence is left."""
    d_table = np.zeros((n, dy.shape[-1]), dy.dtype)
    d_table[ids] = dy * dy.shape[-1] ** 0.5
    return d_table


# Inputs, and the same gradients from the package's layers or by complex step.


def _table_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(7, 6), (13, 10), (int(rng.integers(3, 30)), 2)]


def _shift_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(3, 6), (-5, 10), (int(rng.integers(1, 30)), 14)]


def _learned_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((B, T, D)), n) for B, T, D, n in ((2, 3, 5, 7), (3, 5, 2, 11), (2, 7, 3, 7))]


def _rotate_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((B, T, D)), rng.standard_normal((T, D // 2))) for B, T, D in ((2, 3, 10), (3, 5, 6))]


def _input_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((B, T, D)), rng.integers(0, 4, (B, T)), n) for B, T, D, n in ((2, 3, 6, 5), (3, 5, 2, 7))
    ]


def _input_reference(dy: Array, ids: Array, n: int) -> Array:
    D = dy.shape[-1]
    positions = sinusoids(dy.shape[1], D)
    return complex_step(lambda table: (dy * (D**0.5 * table[ids] + positions)).sum(), np.zeros((n, D)))


def _learned_reference(dy: Array, max_length: int) -> Array:
    layer = LearnedPositions(max_length, dy.shape[-1], np.random.default_rng(0))
    layer.weight.value = layer.weight.value.astype(dy.dtype)
    layer.weight.grad = np.zeros_like(layer.weight.value)
    layer.backward(dy, layer.forward(np.zeros_like(dy))[1])
    return layer.weight.grad


def _rotate_reference(dy: Array, angle: Array) -> Array:
    cos, sin = np.cos(angle), np.sin(angle)
    return complex_step(lambda x: (dy * rotate(x, cos, sin)).sum(), np.zeros_like(dy))


def _table_reference(length: int, d_model: int) -> Array:
    return sinusoids(length, d_model)


EXERCISES = [
    Exercise(
        name="position_table",
        lesson="02",
        difficulty=2,
        importance=4,
        minutes=10,
        package=("sinusoids",),
        title="The table of sines and cosines",
        solution=position_table,
        cases=_table_cases,
        wrong=(_halves, _a_frequency_a_column, _exponent_halved, _positions_from_one),
        hints=(
            "There are D/2 frequencies, not D: pair i is the columns 2i and 2i+1, a sine and a cosine of ONE angle.",
            "The angle of position t in pair i is t / 10000^(2i/D). Make an array of angles (T, D/2) from a column of "
            "positions and a row of frequencies.",
            "table[:, 0::2] = np.sin(angle) fills the even columns; table[:, 1::2] the odd ones.",
        ),
        backward=False,
        reference=_table_reference,
    ),
    Exercise(
        name="shift_matrix",
        lesson="02",
        difficulty=3,
        importance=2,
        minutes=12,
        title="A shift is a rotation",
        solution=shift_matrix,
        cases=_shift_cases,
        wrong=(_turns_back, _one_angle, _without_mixing),
        hints=(
            "Look at one pair: from sin(a), cos(a) you want sin(a + b), cos(a + b). The addition theorems do it, and b "
            "depends on the distance and on the pair, not on t.",
            "sin(a + b) = sin a cos b + cos a sin b and cos(a + b) = cos a cos b - sin a sin b. A row vector "
            "[sin a, cos a] is multiplied from the right: the first COLUMN of the 2 x 2 matrix makes the new sine.",
            "The block is [[cos b, -sin b], [sin b, cos b]], with b = distance / 10000^(i/D) for the columns i, i + 1.",
        ),
        backward=False,
        reference=None,
    ),
    Exercise(
        name="learned_positions_backward",
        lesson="02",
        difficulty=2,
        importance=2,
        minutes=5,
        package=("LearnedPositions.backward",),
        title="Back to a learned table",
        solution=learned_positions_backward,
        cases=_learned_cases,
        wrong=(_position_mean, _only_used_rows, _all_positions_alike, _last_rows),
        hints=(
            "Row t of the table was added to position t of every sentence: what is used B times gets a sum of B "
            "gradients.",
            "Sum dy over the batch, which leaves (T, D). The table has max_length rows: those that no sentence "
            "reached have a gradient of zero.",
            "Zeros of shape (max_length, D), then d_table[:T] = dy.sum(axis=0).",
        ),
        backward=True,
        reference=_learned_reference,
    ),
    Exercise(
        name="rotate_backward",
        lesson="02",
        difficulty=3,
        importance=4,
        minutes=10,
        package=("Rotary.backward",),
        title="Back through a rotation",
        solution=rotate_backward,
        cases=_rotate_cases,
        wrong=(_turns_again, _sign_lost, _cosines_only, _pairs_of_halves),
        hints=(
            "x[2i] reaches the loss by two paths: through y[2i], times cos, and through y[2i+1], times sin. Add them; "
            "do the same for x[2i+1].",
            "The backward of y = R x is dx = R^T dy, and the transpose of a rotation turns back by the same angle.",
            "dx[..., 0::2] = dy[..., 0::2] * cos + dy[..., 1::2] * sin; in the odd features one sine has a minus.",
        ),
        backward=True,
        reference=_rotate_reference,
    ),
    Exercise(
        name="input_backward",
        lesson="02",
        difficulty=1,
        importance=4,
        minutes=5,
        title="Find the bug",
        solution=input_backward,
        cases=_input_cases,
        wrong=(_constant_stops_all, _scale_of_words_lost, _words_assigned),
        broken=_constant_stops_all,
        hints=(
            "Print what it returns.",
            "y is a sum of two terms, of which one is constant. What does a sum hand on, and to whom?",
            "The gradient of sqrt(D) E[ids] is dy itself.",
        ),
        backward=True,
        reference=_input_reference,
    ),
]
