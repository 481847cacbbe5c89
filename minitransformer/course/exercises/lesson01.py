"""Exercises of lesson 01: looking up vectors, scattering their gradients, and one table in two roles."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array, Cache, Embedding, Parameter, Unembedding
from ..exercise import Exercise


def embed(ids: Array, table: Array) -> Array:
    """The vector of every id.

    ids (B, T) integers, table (V, D) -> (B, T, D).
    """
    return table[ids]


def embed_backward(dy: Array, ids: Array, n: int) -> Array:
    """The gradient of the table, when y = table[ids].

    dy (B, T, D), ids (B, T) integers in [0, n) -> (n, D).
    """
    d_table = np.zeros((n, dy.shape[-1]), dy.dtype)
    np.add.at(d_table, ids, dy)
    return d_table


def unembed_backward(d_logits: Array, x: Array, table: Array) -> tuple[Array, Array]:
    """The gradients of x and of the table, when logits = x table^T.

    d_logits (B, T, V), x (B, T, D), table (V, D) -> dx (B, T, D), d_table (V, D).
    """
    V, D = table.shape
    dx = d_logits @ table
    d_table = d_logits.reshape(-1, V).T @ x.reshape(-1, D)
    return dx, d_table


def tied_backward(d_embedded: Array, ids: Array, d_logits: Array, x: Array, table: Array) -> Array:
    """The gradient of one table in two roles: embedded = table[ids] at the input, logits = x table^T at the output.

    d_embedded (B, T, D), ids (B, T), d_logits (B, T, V), x (B, T, D), table (V, D) -> (V, D).
    """
    V, D = table.shape
    d_table = d_logits.reshape(-1, V).T @ x.reshape(-1, D)
    np.add.at(d_table, ids, d_embedded)
    return d_table


def sparse_step(table: Array, ids: Array, dx: Array, rate: float) -> Array:
    """One step of gradient descent for the rows that were looked up, when x = table[ids]; the others stay.

    table (V, D), ids (N,) integers, dx (N, D), rate a number -> the new table (V, D).
    """
    new = table.copy()
    np.subtract.at(new, ids, rate * dx)
    return new


# Wrong answers, each of which a check must reject.


def _counted_from_one(ids: Array, table: Array) -> Array:
    """Takes the row before: ids count from 0."""
    return table[ids - 1]


def _one_vector_a_position(ids: Array, table: Array) -> Array:
    """Looks up by position in the sentence, not by id."""
    return table[np.broadcast_to(np.arange(ids.shape[1]) % len(table), ids.shape)]


def _scaled_lookup(ids: Array, table: Array) -> Array:
    """Multiplies by sqrt(D), which is the Transformer's own choice and no part of a lookup."""
    return table[ids] * table.shape[1] ** 0.5


def _sorted_lookup(ids: Array, table: Array) -> Array:
    """Loses the order of the words: looks up the sorted ids."""
    return table[np.sort(ids, axis=-1)]


def _overwrites(dy: Array, ids: Array, n: int) -> Array:
    """Assigns where it must add: of an id that repeats, only the last occurrence is left."""
    d_table = np.zeros((n, dy.shape[-1]), dy.dtype)
    d_table[ids] = dy
    return d_table


def _buffered_add(dy: Array, ids: Array, n: int) -> Array:
    """d_table[ids] += dy: NumPy reads, adds and writes once for all, so an id that repeats is counted once."""
    d_table = np.zeros((n, dy.shape[-1]), dy.dtype)
    d_table[ids] += dy
    return d_table


def _mean_of_occurrences(dy: Array, ids: Array, n: int) -> Array:
    """Divides by how often an id occurs; every occurrence counts in full."""
    counts = np.bincount(ids.ravel(), minlength=n).clip(1)
    return embed_backward(dy, ids, n) / counts[:, None].astype(dy.dtype)


def _scatter_by_batch(dy: Array, ids: Array, n: int) -> Array:
    """Divides by the batch size; the loss has done that already."""
    return embed_backward(dy, ids, n) / len(dy)


def _table_transposed(d_logits: Array, x: Array, table: Array) -> tuple[Array, Array]:
    """x^T d_logits is the gradient of a weight (D, V); this table is (V, D)."""
    V, D = table.shape
    return d_logits @ table, x.reshape(-1, D).T @ d_logits.reshape(-1, V)


def _mean_over_sentences(d_logits: Array, x: Array, table: Array) -> tuple[Array, Array]:
    """Averages the table's gradient over the batch, where the sentences' gradients add."""
    dx, d_table = unembed_backward(d_logits, x, table)
    return dx, d_table / len(x)


def _last_position_only(d_logits: Array, x: Array, table: Array) -> tuple[Array, Array]:
    """Uses the last position alone for the table: every position was compared with it."""
    return d_logits @ table, d_logits[:, -1].T @ x[:, -1]


def _dx_through_softmax(d_logits: Array, x: Array, table: Array) -> tuple[Array, Array]:
    """Takes the mean of d_logits away, as if a softmax were part of this layer."""
    centred = d_logits - d_logits.mean(axis=-1, keepdims=True)
    return centred @ table, unembed_backward(d_logits, x, table)[1]


def _output_role_only(d_embedded: Array, ids: Array, d_logits: Array, x: Array, table: Array) -> Array:
    """Forgets the lookup at the input."""
    return unembed_backward(d_logits, x, table)[1]


def _input_role_only(d_embedded: Array, ids: Array, d_logits: Array, x: Array, table: Array) -> Array:
    """Forgets the product at the output."""
    return embed_backward(d_embedded, ids, len(table))


def _mean_of_roles(d_embedded: Array, ids: Array, d_logits: Array, x: Array, table: Array) -> Array:
    """Averages the two roles, where their gradients add."""
    return tied_backward(d_embedded, ids, d_logits, x, table) * 0.5


def _tied_buffered(d_embedded: Array, ids: Array, d_logits: Array, x: Array, table: Array) -> Array:
    """d_table[ids] += d_embedded counts an id that repeats only once."""
    d_table = unembed_backward(d_logits, x, table)[1]
    d_table[ids] += d_embedded
    return d_table


def _rows_written_once(table: Array, ids: Array, dx: Array, rate: float) -> Array:
    """new[ids] -= ... reads, subtracts and writes once for all: an id that repeats gets its last gradient only."""
    new = table.copy()
    new[ids] -= rate * dx
    return new


def _rows_climb(table: Array, ids: Array, dx: Array, rate: float) -> Array:
    """Adds the gradient: the loss climbs."""
    return sparse_step(table, ids, dx, -rate)


def _mean_of_a_row(table: Array, ids: Array, dx: Array, rate: float) -> Array:
    """Divides by how often an id occurs; every occurrence counts in full."""
    counts = np.bincount(ids, minlength=len(table))[ids]
    return sparse_step(table, ids, dx / counts[:, None], rate)


# Inputs, and the same gradients from the package's layers.


def _ids(rng: np.random.Generator, B: int, T: int, n: int) -> Array:
    """Ids of which one is left out and another one repeats, within a sentence and across sentences."""
    ids = rng.integers(0, n - 1, (B, T), dtype=np.intp)
    ids[0, 0] = ids[0, -1] = ids[-1, 1] = 1
    return ids


def _lookup_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(_ids(rng, B, T, V), rng.standard_normal((V, D))) for B, T, V, D in ((2, 3, 7, 5), (3, 5, 11, 2))]


def _scatter_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((B, T, D)), _ids(rng, B, T, V), V) for B, T, V, D in ((2, 3, 7, 5), (3, 5, 11, 2))]


def _output_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((B, T, V)), rng.standard_normal((B, T, D)), rng.standard_normal((V, D)))
        for B, T, V, D in ((2, 3, 7, 5), (3, 5, 2, 11))
    ]


def _tied_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    scatter = _scatter_cases(rng)
    cases: list[tuple[Any, ...]] = []
    for d_embedded, ids, V in scatter:
        B, T, D = d_embedded.shape
        shapes = ((B, T, V), (B, T, D), (V, D))
        cases.append((d_embedded, ids, *(rng.standard_normal(shape) for shape in shapes)))
    return cases


def _sparse_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((V, dy.shape[-1])), ids[0], dy[0], 0.5) for dy, ids, V in _scatter_cases(rng)]


def _embedding_layer(table: Array) -> Embedding:
    V, D = table.shape
    return Embedding(V, D, np.random.default_rng(0), weight=Parameter(table.copy()))


def _embed_backward_reference(dy: Array, ids: Array, n: int) -> Array:
    layer = _embedding_layer(np.zeros((n, dy.shape[-1]), dy.dtype))
    layer.backward(dy, layer.forward(ids)[1])
    return layer.weight.grad


def _unembed_backward_reference(d_logits: Array, x: Array, table: Array) -> tuple[Array, Array]:
    layer = Unembedding(Parameter(table.copy()))
    dx = layer.backward(d_logits, layer.forward(x)[1])
    return dx, layer.weight.grad


def _tied_backward_reference(d_embedded: Array, ids: Array, d_logits: Array, x: Array, table: Array) -> Array:
    first = _embedding_layer(table)
    last = Unembedding(first.weight)
    last.backward(d_logits, last.forward(x)[1])
    first.backward(d_embedded, Cache(ids=ids))
    return first.weight.grad


EXERCISES = [
    Exercise(
        name="embed",
        lesson="01",
        difficulty=1,
        importance=4,
        minutes=5,
        package=("Embedding.forward",),
        title="Look up vectors",
        solution=embed,
        cases=_lookup_cases,
        wrong=(_counted_from_one, _one_vector_a_position, _scaled_lookup, _sorted_lookup),
        hints=(
            "You need no one-hot array and no loop: NumPy takes rows of an array by an array of indices.",
            "An index array of shape (B, T) gives a result of shape (B, T, D): one row of the table for each id.",
            "return table[...], with the ids between the brackets.",
        ),
        backward=False,
        reference=None,
    ),
    Exercise(
        name="embed_backward",
        lesson="01",
        difficulty=2,
        importance=5,
        minutes=10,
        package=("Embedding.backward",),
        title="Scatter-add",
        solution=embed_backward,
        cases=_scatter_cases,
        wrong=(_overwrites, _buffered_add, _mean_of_occurrences, _scatter_by_batch),
        hints=(
            "y = onehot(ids) @ table, so d_table = onehot(ids)^T @ dy: row v is the sum of dy over all places where "
            "ids == v. An id that never occurs has a gradient of zero.",
            "Start with zeros of shape (n, D). Then every dy[b, t] is ADDED to row ids[b, t]. Try it on ids that "
            "repeat: d_table[ids] += dy adds only one of them.",
            "np.add.at(d_table, ids, dy) adds every occurrence.",
        ),
        backward=True,
        reference=_embed_backward_reference,
    ),
    Exercise(
        name="unembed_backward",
        lesson="01",
        difficulty=2,
        importance=5,
        minutes=10,
        package=("Unembedding.backward",),
        title="Back through the output layer",
        solution=unembed_backward,
        cases=_output_cases,
        wrong=(_table_transposed, _mean_over_sentences, _last_position_only, _dx_through_softmax),
        hints=(
            "It is a matrix product, so there are two rules: Y = A B gives dA = dY B^T and dB = A^T dY. Here B is "
            "table^T.",
            "dx (B, T, D) needs d_logits (B, T, V) times a (V, D). d_table sums over all B*T positions: bring both "
            "arrays to rows first, with reshape(-1, V) and reshape(-1, D).",
            "dx = d_logits @ table; d_table = (rows of d_logits).T @ (rows of x), of shape (V, D).",
        ),
        backward=True,
        reference=_unembed_backward_reference,
    ),
    Exercise(
        name="tied_backward",
        lesson="01",
        difficulty=2,
        importance=4,
        minutes=10,
        title="One table, two roles",
        solution=tied_backward,
        cases=_tied_cases,
        wrong=(_output_role_only, _input_role_only, _mean_of_roles, _tied_buffered),
        hints=(
            "The table is used twice. What is used twice gets the sum of both gradients.",
            "The output's part is a matrix product, the input's part is scatter-added: you have written both above.",
            "Compute the output's part as d_table, then np.add.at(d_table, ids, d_embedded).",
        ),
        backward=True,
        reference=_tied_backward_reference,
    ),
    Exercise(
        name="sparse_step",
        lesson="01",
        difficulty=2,
        importance=4,
        minutes=5,
        title="Find the bug",
        solution=sparse_step,
        cases=_sparse_cases,
        wrong=(_rows_written_once, _rows_climb, _mean_of_a_row),
        broken=_rows_written_once,
        hints=(
            "Run it on a table of zeros, with ids in which one number stands twice.",
            "NumPy evaluates new[ids] once, for all ids, and writes once.",
            "You have met the function that adds every occurrence; there is one that subtracts, np.subtract.at.",
        ),
        backward=False,
    ),
]
