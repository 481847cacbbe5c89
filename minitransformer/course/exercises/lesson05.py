"""Exercises of lesson 05: features dealt out to heads, collected again, and the weights around them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array, Cache, Chain, Dense, Layer, Linear, Parameter, SelfAttention
from ...layers.attention import merge_heads as package_merge_heads
from ...layers.attention import split_heads as package_split_heads
from ..exercise import Exercise


def split_heads(x: Array, n_heads: int) -> Array:
    """Deal the features out to the heads: head h gets features h d ... (h + 1) d - 1 of every position, d = D / H.

    x (B, T, D) -> (B, H, T, d).
    """
    B, T, D = x.shape
    return x.reshape(B, T, n_heads, D // n_heads).swapaxes(1, 2)


def merge_heads(heads: Array) -> Array:
    """The heads' contexts side by side again: the inverse of split_heads.

    heads (B, H, T, d) -> (B, T, H d).
    """
    B, H, T, d = heads.shape
    return heads.swapaxes(1, 2).reshape(B, T, H * d)


def output_backward(dy: Array, context: Array, w_o: Array) -> tuple[Array, Array]:
    """The gradients of the heads' contexts and of W_o, when y = concat(context_1 ... context_H) W_o.

    dy (B, T, D), context (B, H, T, d), w_o (H d, D) -> d_context (B, H, T, d), d_w_o (H d, D).
    """
    B, H, T, d = context.shape
    merged = context.swapaxes(1, 2).reshape(B * T, H * d)
    rows = dy.reshape(B * T, -1)
    d_w_o = merged.T @ rows
    d_context = (rows @ w_o.T).reshape(B, T, H, d).swapaxes(1, 2)
    return d_context, d_w_o


def projections_backward(
    dq: Array, dk: Array, dv: Array, x: Array, w_q: Array, w_k: Array, w_v: Array
) -> tuple[Array, Array, Array, Array]:
    """The gradients of x and of the three weights, when q, k, v = split_heads(x w_q), split_heads(x w_k), ...

    dq, dk, dv (B, H, T, d), x (B, T, D), each weight (D, H d) -> dx (B, T, D), d_w_q, d_w_k, d_w_v (D, H d) each.
    """
    B, H, T, d = dq.shape
    rows = x.reshape(B * T, -1)
    dq_rows, dk_rows, dv_rows = (z.swapaxes(1, 2).reshape(B * T, H * d) for z in (dq, dk, dv))
    d_w_q, d_w_k, d_w_v = rows.T @ dq_rows, rows.T @ dk_rows, rows.T @ dv_rows
    dx = (dq_rows @ w_q.T + dk_rows @ w_k.T + dv_rows @ w_v.T).reshape(x.shape)
    return dx, d_w_q, d_w_k, d_w_v


def multi_head(q: Array, k: Array, v: Array, n_heads: int) -> Array:
    """Attention in heads: each of them works on its own D / H features of every position; their contexts side by side.

    q, k and v (B, T, D) -> (B, T, D).
    """
    B, T, D = q.shape
    d = D // n_heads
    q, k, v = (z.reshape(B, T, n_heads, d).swapaxes(1, 2) for z in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) * d**-0.5
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    context = weights @ v
    return context.swapaxes(1, 2).reshape(B, T, D)


# Wrong answers, each of which a check must reject.


def _reshaped_only(x: Array, n_heads: int) -> Array:
    """Reshapes to (B, H, T, d) at once: right shape, but a head then gets whole words and not features of all words."""
    B, T, D = x.shape
    return x.reshape(B, n_heads, T, D // n_heads)


def _every_hth_feature(x: Array, n_heads: int) -> Array:
    """Deals like cards: head h gets every H-th feature, not d neighbours."""
    B, T, D = x.shape
    return x.reshape(B, T, D // n_heads, n_heads).transpose(0, 3, 1, 2)


def _heads_reversed(x: Array, n_heads: int) -> Array:
    """The heads come out in reverse order."""
    return split_heads(x, n_heads)[:, ::-1]


def _heads_behind_positions(x: Array, n_heads: int) -> Array:
    """(B, T, H, d): positions and heads are not swapped, so attention would run between heads."""
    B, T, D = x.shape
    return x.reshape(B, T, n_heads, D // n_heads)


def _merged_without_swap(heads: Array) -> Array:
    """Reshapes without swapping heads and positions first: right shape, wrong places."""
    B, H, T, d = heads.shape
    return heads.reshape(B, T, H * d)


def _summed_over_heads(heads: Array) -> Array:
    """Adds the heads; they stand side by side, each with features of its own."""
    return np.tile(heads.sum(axis=1), heads.shape[1])


def _features_before_heads(heads: Array) -> Array:
    """Features and heads in the wrong order: feature 0 of all heads comes first."""
    B, H, T, d = heads.shape
    return heads.transpose(0, 2, 3, 1).reshape(B, T, H * d)


def _mean_of_heads(heads: Array) -> Array:
    """Divides by the number of heads."""
    return merge_heads(heads) / heads.shape[1]


def _output_transposed(dy: Array, context: Array, w_o: Array) -> tuple[Array, Array]:
    """dy^T times the contexts: the transpose of the weight's gradient."""
    d_context, d_w_o = output_backward(dy, context, w_o)
    return d_context, d_w_o.T


def _merged_by_reshape(dy: Array, context: Array, w_o: Array) -> tuple[Array, Array]:
    """Merges the heads for the weight's gradient by a reshape alone."""
    d_context, _ = output_backward(dy, context, w_o)
    B, H, T, d = context.shape
    return d_context, context.reshape(B * T, H * d).T @ dy.reshape(B * T, -1)


def _split_by_reshape(dy: Array, context: Array, w_o: Array) -> tuple[Array, Array]:
    """Splits the gradient into heads by a reshape alone."""
    _, d_w_o = output_backward(dy, context, w_o)
    return (dy @ w_o.T).reshape(context.shape), d_w_o


def _every_head_all(dy: Array, context: Array, w_o: Array) -> tuple[Array, Array]:
    """Averages the weight's gradient over the sentences, where it must add."""
    d_context, d_w_o = output_backward(dy, context, w_o)
    return d_context, d_w_o / len(dy)


def _values_path_only(
    dq: Array, dk: Array, dv: Array, x: Array, w_q: Array, w_k: Array, w_v: Array
) -> tuple[Array, Array, Array, Array]:
    """dx through the values alone; x made queries and keys, too."""
    zero = np.zeros_like(dq)
    return (
        projections_backward(zero, zero, dv, x, w_q, w_k, w_v)[0],
        *projections_backward(dq, dk, dv, x, w_q, w_k, w_v)[1:],
    )


def _paths_averaged(
    dq: Array, dk: Array, dv: Array, x: Array, w_q: Array, w_k: Array, w_v: Array
) -> tuple[Array, Array, Array, Array]:
    """Averages the three paths to x, where they add."""
    dx, *d_weights = projections_backward(dq, dk, dv, x, w_q, w_k, w_v)
    return (dx / 3.0, d_weights[0], d_weights[1], d_weights[2])


def _projections_reshaped(
    dq: Array, dk: Array, dv: Array, x: Array, w_q: Array, w_k: Array, w_v: Array
) -> tuple[Array, Array, Array, Array]:
    """Merges the heads' gradients by a reshape, without swapping heads and positions."""
    B, H, T, d = dq.shape
    scrambled = [z.reshape(B, T, H, d).swapaxes(1, 2) for z in (dq, dk, dv)]
    return projections_backward(scrambled[0], scrambled[1], scrambled[2], x, w_q, w_k, w_v)


def _keys_and_queries_exchanged(
    dq: Array, dk: Array, dv: Array, x: Array, w_q: Array, w_k: Array, w_v: Array
) -> tuple[Array, Array, Array, Array]:
    """The gradient of the queries goes to W_k and that of the keys to W_q."""
    return projections_backward(dk, dq, dv, x, w_q, w_k, w_v)


def _heads_of_words(q: Array, k: Array, v: Array, n_heads: int) -> Array:
    """A reshape where axes must be swapped: a head gets a part of the words, cut into pieces."""
    B, T, D = q.shape
    d = D // n_heads
    q, k, v = (z.reshape(B, n_heads, T, d) for z in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) * d**-0.5
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    context = weights @ v
    return context.reshape(B, T, D)


def _root_of_the_width(q: Array, k: Array, v: Array, n_heads: int) -> Array:
    """Divides by sqrt(D), the whole width; a head's keys have the length d = D / H."""
    return multi_head(q * n_heads**-0.5, k, v, n_heads)


def _one_softmax_for_all(q: Array, k: Array, v: Array, n_heads: int) -> Array:
    """One head as wide as all: every head has its own softmax."""
    return multi_head(q, k, v, 1)


class _Rearranged(Layer):
    """What the wrong reshape does to the features of a sentence, or the way back."""

    def __init__(self, n_heads: int, inverse: bool) -> None:
        self.n_heads, self.inverse = n_heads, inverse

    def _move(self, x: Array, inverse: bool) -> Array:
        B, T, D = x.shape
        if inverse:
            return package_split_heads(x, self.n_heads).reshape(B, T, D)
        return package_merge_heads(x.reshape(B, self.n_heads, T, D // self.n_heads))

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        return self._move(x, self.inverse), Cache()

    def backward(self, dy: Array, cache: Cache) -> Array:
        return self._move(dy, not self.inverse)


def found_code(d_model: int, n_heads: int, init: Any) -> SelfAttention:
    """Self-attention with the broken heads of `multi_head`, and the gradients of what that computes."""

    def into(d_in: int, d_out: int, init: Any) -> Layer:
        return Chain(dense=Dense(d_in, d_out, init), rearranged=_Rearranged(n_heads, inverse=False))

    def out(d_in: int, d_out: int, init: Any) -> Layer:
        return Chain(rearranged=_Rearranged(n_heads, inverse=True), dense=Dense(d_in, d_out, init))

    return SelfAttention(d_model, n_heads, init, projection=into, output=out)


# Inputs, and the same gradients from the package's layers or by complex step.

_SIZES = ((2, 3, 5, 7), (3, 2, 7, 5))  # B, H, T, d


def _split_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((B, T, H * d)), H) for B, H, T, d in _SIZES]


def _merge_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((B, H, T, d)),) for B, H, T, d in _SIZES]


def _output_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((B, T, D)), rng.standard_normal((B, H, T, d)), rng.standard_normal((H * d, D)))
        for (B, H, T, d), D in zip(_SIZES, (11, 13))
    ]


def _projection_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (*rng.standard_normal((3, B, H, T, d)), rng.standard_normal((B, T, D)), *rng.standard_normal((3, D, H * d)))
        for B, H, T, d, D in ((2, 5, 7, 11, 13), (3, 2, 7, 5, 11))
    ]


def _multi_head_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(*rng.standard_normal((3, B, T, H * d)), H) for B, H, T, d in ((2, 2, 3, 5), (3, 2, 5, 3))]


def _split_reference(x: Array, n_heads: int) -> Array:
    return package_split_heads(x, n_heads)


def _merge_reference(heads: Array) -> Array:
    return package_merge_heads(heads)


def _linear(weight: Array) -> Linear:
    d_in, d_out = weight.shape
    layer = Linear(d_in, d_out, np.random.default_rng(0))
    layer.weight = Parameter(weight.copy())
    return layer


def _output_reference(dy: Array, context: Array, w_o: Array) -> tuple[Array, Array]:
    layer = _linear(w_o)
    d_merged = layer.backward(dy, layer.forward(package_merge_heads(context))[1])
    return package_split_heads(d_merged, context.shape[1]), layer.weight.grad


def _projections_reference(
    dq: Array, dk: Array, dv: Array, x: Array, w_q: Array, w_k: Array, w_v: Array
) -> tuple[Array, ...]:
    layers = [_linear(w) for w in (w_q, w_k, w_v)]
    paths = [layer.backward(package_merge_heads(d), layer.forward(x)[1]) for layer, d in zip(layers, (dq, dk, dv))]
    return (sum(paths[1:], paths[0]), *(layer.weight.grad for layer in layers))


EXERCISES = [
    Exercise(
        name="split_heads",
        lesson="05",
        difficulty=2,
        importance=5,
        minutes=5,
        package=("split_heads", "package_split_heads"),
        title="Deal features out to heads",
        solution=split_heads,
        cases=_split_cases,
        wrong=(_reshaped_only, _every_hth_feature, _heads_reversed, _heads_behind_positions),
        hints=(
            "Two steps: a reshape that cuts the LAST axis in two, then a swap of two axes. A reshape alone cannot do "
            "it.",
            "(B, T, D) -> (B, T, H, d) -> (B, H, T, d).",
            "x.reshape(B, T, n_heads, D // n_heads), then .swapaxes(1, 2).",
        ),
        backward=False,
        reference=_split_reference,
    ),
    Exercise(
        name="merge_heads",
        lesson="05",
        difficulty=2,
        importance=4,
        minutes=5,
        package=("merge_heads", "package_merge_heads", "MultiHeadAttention.backward"),
        title="Merge the heads",
        solution=merge_heads,
        cases=_merge_cases,
        wrong=(_merged_without_swap, _summed_over_heads, _features_before_heads, _mean_of_heads),
        hints=(
            "It is the inverse of what you have written: undo the last step first.",
            "(B, H, T, d) -> (B, T, H, d) -> (B, T, H d): the swap first, then the reshape.",
            "heads.swapaxes(1, 2).reshape(B, T, H * d).",
        ),
        backward=False,
        reference=_merge_reference,
    ),
    Exercise(
        name="output_backward",
        lesson="05",
        difficulty=3,
        importance=4,
        minutes=10,
        package=("MultiHeadAttention.backward",),
        title="Back through the output projection",
        solution=output_backward,
        cases=_output_cases,
        wrong=(_output_transposed, _merged_by_reshape, _split_by_reshape, _every_head_all),
        hints=(
            "y = m W_o with m the merged contexts (B, T, H d): a linear layer. Find dm and dW_o, then split dm into "
            "heads.",
            "Over all B*T rows: dW_o = m^T dy, dm = dy W_o^T. Merging is swapaxes(1, 2) and a reshape; splitting is a "
            "reshape and swapaxes(1, 2).",
            "merged = context.swapaxes(1, 2).reshape(B * T, H * d); d_w_o = merged.T @ dy.reshape(B * T, -1); then "
            "(dy @ w_o.T).reshape(B, T, H, d).swapaxes(1, 2).",
        ),
        backward=True,
        reference=_output_reference,
    ),
    Exercise(
        name="projections_backward",
        lesson="05",
        difficulty=3,
        importance=4,
        minutes=15,
        package=("MultiHeadAttention.backward", "SelfAttention.backward"),
        title="Three paths back to x",
        solution=projections_backward,
        cases=_projection_cases,
        wrong=(_values_path_only, _paths_averaged, _projections_reshaped, _keys_and_queries_exchanged),
        hints=(
            "x is read three times, so dx is a sum of three gradients. Each path: merge the heads, then back through a "
            "linear layer.",
            "For queries, with dq merged to rows (B*T, H d): dx += dq_rows W_q^T and dW_q = x_rows^T dq_rows. The "
            "same for keys and values.",
            "rows = x.reshape(B * T, -1); d_rows = dq.swapaxes(1, 2).reshape(B * T, H * d); in the end give dx the "
            "shape of x.",
        ),
        backward=True,
        reference=_projections_reference,
    ),
    Exercise(
        name="multi_head",
        lesson="05",
        difficulty=2,
        importance=5,
        minutes=8,
        title="Find the bug",
        solution=multi_head,
        cases=_multi_head_cases,
        wrong=(_heads_of_words, _root_of_the_width, _one_softmax_for_all),
        broken=_heads_of_words,
        hints=(
            "Let n_heads be 1: it is right. Let it be 2, and print q of head 0 for the numbers from 0 to 11.",
            "Which words does a head see?",
            "A reshape cannot do what a swap of two axes does. There are two places.",
        ),
        backward=False,
    ),
]
