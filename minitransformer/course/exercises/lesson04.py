"""Exercises of lesson 04: self-attention in four lines, and its backward piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array, Cache, ScaledDotProductAttention, Softmax
from ...verify import complex_step
from ..exercise import Exercise


def self_attention(x: Array, w_q: Array, w_k: Array, w_v: Array) -> Array:
    """Self-attention with one head: softmax(q k^T / sqrt(d)) v.

    x (B, T, D), each weight (D, d) -> (B, T, d).
    """
    q, k, v = x @ w_q, x @ w_k, x @ w_v  # (B, T, d) each
    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5  # (B, T, T)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return weights @ v


def softmax_backward(dy: Array, y: Array) -> Array:
    """The gradient of the scores x, when y = softmax(x) over the last axis.

    dy and y (..., S) -> (..., S).
    """
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def scores_backward(d_scores: Array, q: Array, k: Array) -> tuple[Array, Array]:
    """The gradients of queries and keys, when scores = q k^T / sqrt(d).

    d_scores (B, T, S), q (B, T, d), k (B, S, d) -> dq (B, T, d), dk (B, S, d).
    """
    scale = q.shape[-1] ** -0.5
    dq = d_scores @ k * scale
    dk = d_scores.swapaxes(-1, -2) @ q * scale
    return dq, dk


def attention_backward(d_context: Array, q: Array, k: Array, v: Array, weights: Array) -> tuple[Array, Array, Array]:
    """The gradients of queries, keys and values, when weights = softmax(q k^T / sqrt(d)) and context = weights v.

    d_context (B, T, d), q (B, T, d), k and v (B, S, d), weights (B, T, S)
    -> dq (B, T, d), dk (B, S, d), dv (B, S, d).
    """
    dv = weights.swapaxes(-1, -2) @ d_context
    d_weights = d_context @ v.swapaxes(-1, -2)
    d_scores = weights * (d_weights - (weights * d_weights).sum(axis=-1, keepdims=True))
    scale = q.shape[-1] ** -0.5
    dq = d_scores @ k * scale
    dk = d_scores.swapaxes(-1, -2) @ q * scale
    return dq, dk, dv


# Wrong answers, each of which a check must reject.


def _softmax(scores: Array, axis: int = -1) -> Array:
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _unscaled(x: Array, w_q: Array, w_k: Array, w_v: Array) -> Array:
    """The scores are not divided by sqrt(d)."""
    return self_attention(x, w_q * w_q.shape[1] ** 0.5, w_k, w_v)


def _scaled_by_width(x: Array, w_q: Array, w_k: Array, w_v: Array) -> Array:
    """Divides by sqrt(D), the width of x, instead of sqrt(d), the length of queries and keys."""
    D, d = w_q.shape
    return self_attention(x, w_q * (d / D) ** 0.5, w_k, w_v)


def _columns_sum_to_one(x: Array, w_q: Array, w_k: Array, w_v: Array) -> Array:
    """The softmax runs over the queries: columns sum to 1, and not rows."""
    q, k, v = x @ w_q, x @ w_k, x @ w_v
    return _softmax(q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5, axis=-2) @ v


def _keys_ask(x: Array, w_q: Array, w_k: Array, w_v: Array) -> Array:
    """Queries and keys have changed places."""
    return self_attention(x, w_k, w_q, w_v)


def _sigmoid_slope(dy: Array, y: Array) -> Array:
    """dy y (1 - y), the diagonal of the Jacobian alone: every score moves every weight of its row."""
    return dy * y * (1.0 - y)


def _no_projection(dy: Array, y: Array) -> Array:
    """dy y: the weights sum to 1, so what all of them would gain in common must be taken away."""
    return dy * y


def _sum_over_all(dy: Array, y: Array) -> Array:
    """One sum for the whole array; each row is a softmax of its own."""
    return y * (dy - (dy * y).sum())


def _plain_mean(dy: Array, y: Array) -> Array:
    """Takes the plain mean of dy away, where it must be the mean weighted by y."""
    return y * (dy - dy.mean(axis=-1, keepdims=True))


def _scale_lost(d_scores: Array, q: Array, k: Array) -> tuple[Array, Array]:
    """Forgets the factor 1 / sqrt(d)."""
    return d_scores @ k, d_scores.swapaxes(-1, -2) @ q


def _scaled_twice(d_scores: Array, q: Array, k: Array) -> tuple[Array, Array]:
    """Divides by d, that is by sqrt(d) twice."""
    dq, dk = scores_backward(d_scores, q, k)
    return dq * q.shape[-1] ** -0.5, dk * q.shape[-1] ** -0.5


def _dk_reshaped(d_scores: Array, q: Array, k: Array) -> tuple[Array, Array]:
    """q^T d_scores, reshaped to the shape of k where it must be transposed."""
    dq, _ = scores_backward(d_scores, q, k)
    return dq, (q.swapaxes(-1, -2) @ d_scores * q.shape[-1] ** -0.5).reshape(k.shape)


def _scale_on_queries_alone(d_scores: Array, q: Array, k: Array) -> tuple[Array, Array]:
    """The factor belongs to the product, so to both gradients; here dk has none."""
    return d_scores @ k * q.shape[-1] ** -0.5, d_scores.swapaxes(-1, -2) @ q


def _softmax_skipped(d_context: Array, q: Array, k: Array, v: Array, weights: Array) -> tuple[Array, Array, Array]:
    """The gradient of the weights goes on as that of the scores: the softmax has been left out."""
    d_scores = d_context @ v.swapaxes(-1, -2)
    return (*scores_backward(d_scores, q, k), weights.swapaxes(-1, -2) @ d_context)


def _weights_not_transposed(
    d_context: Array, q: Array, k: Array, v: Array, weights: Array
) -> tuple[Array, Array, Array]:
    """dv as if the queries were averaged: weights v^T is transposed by shape, not by meaning."""
    dq, dk, _ = attention_backward(d_context, q, k, v, weights)
    B, T, S = weights.shape
    return dq, dk, weights.reshape(B, S, T) @ d_context


def _whole_scale_lost(d_context: Array, q: Array, k: Array, v: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Forgets the factor 1 / sqrt(d) on the way back to queries and keys."""
    dq, dk, dv = attention_backward(d_context, q, k, v, weights)
    return dq * q.shape[-1] ** 0.5, dk * q.shape[-1] ** 0.5, dv


def _diagonal_softmax(d_context: Array, q: Array, k: Array, v: Array, weights: Array) -> tuple[Array, Array, Array]:
    """weights (1 - weights) as the slope of softmax: the diagonal of its Jacobian alone."""
    d_scores = d_context @ v.swapaxes(-1, -2) * weights * (1.0 - weights)
    return (*scores_backward(d_scores, q, k), weights.swapaxes(-1, -2) @ d_context)


# Inputs, and the same gradients from the package's layers or by complex step.


def _self_attention_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((B, T, D)), *rng.standard_normal((3, D, d))) for B, T, D, d in ((2, 3, 5, 7), (3, 5, 7, 2))
    ]


def _softmax_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    shapes = ((3, 5), (2, 3, 7))
    return [(rng.standard_normal(shape), _softmax(rng.standard_normal(shape))) for shape in shapes]


def _scores_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((B, T, S)), rng.standard_normal((B, T, d)), rng.standard_normal((B, S, d)))
        for B, T, S, d in ((2, 3, 5, 7), (3, 5, 2, 3))
    ]


def _attention_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for scores, q, k in _scores_cases(rng):
        weights = _softmax(q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5)
        assert weights.shape == scores.shape
        cases.append((rng.standard_normal(q.shape), q, k, rng.standard_normal(k.shape), weights))
    return cases


def _softmax_reference(dy: Array, y: Array) -> Array:
    return Softmax().backward(dy, Cache(y=y))


def _scores_reference(d_scores: Array, q: Array, k: Array) -> tuple[Array, Array]:
    def loss(q: Array, k: Array) -> Any:
        return (d_scores * (q @ k.swapaxes(-1, -2))).sum() / np.sqrt(q.shape[-1])

    return complex_step(lambda z: loss(z, k), q), complex_step(lambda z: loss(q, z), k)


def _attention_reference(d_context: Array, q: Array, k: Array, v: Array, weights: Array) -> tuple[Array, ...]:
    layer = ScaledDotProductAttention()
    _, cache = layer.forward(q[:, None], k[:, None], v[:, None])  # one head
    return tuple(gradient[:, 0] for gradient in layer.backward(d_context[:, None], cache))


EXERCISES = [
    Exercise(
        name="self_attention",
        lesson="04",
        difficulty=2,
        importance=5,
        minutes=10,
        package=("ScaledDotProductAttention.forward",),
        title="Self-attention in four lines",
        solution=self_attention,
        cases=_self_attention_cases,
        wrong=(_unscaled, _scaled_by_width, _columns_sum_to_one, _keys_ask),
        hints=(
            "Queries, keys and values are three different products of the same x. Then: scores, softmax, average.",
            "scores (B, T, T) = q times k with its last two axes swapped, divided by the root of d, the LAST axis of "
            "q. The softmax runs over the last axis, so that each row sums to 1.",
            "k.swapaxes(-1, -2) transposes inside the batch; subtract scores.max(axis=-1, keepdims=True) before "
            "np.exp; return weights @ v.",
        ),
        backward=False,
        reference=None,
    ),
    Exercise(
        name="softmax_backward",
        lesson="04",
        difficulty=3,
        importance=5,
        minutes=15,
        package=("Softmax.backward",),
        title="Back through softmax",
        solution=softmax_backward,
        cases=_softmax_cases,
        wrong=(_sigmoid_slope, _no_projection, _sum_over_all, _plain_mean),
        hints=(
            "The Jacobian is dy_i/dx_j = y_i (delta_ij - y_j). Multiply it by dy, and do not build it: write the sum "
            "over i on paper first.",
            "dx_j = y_j (dy_j - sum_i dy_i y_i). The sum runs over the row that was normalized.",
            "(dy * y).sum(axis=-1, keepdims=True) keeps an axis of length 1, so that it can be subtracted from dy.",
        ),
        backward=True,
        reference=_softmax_reference,
    ),
    Exercise(
        name="scores_backward",
        lesson="04",
        difficulty=2,
        importance=5,
        minutes=10,
        package=("ScaledDotProductAttention.backward",),
        title="Back to queries and keys",
        solution=scores_backward,
        cases=_scores_cases,
        wrong=(_scale_lost, _scaled_twice, _dk_reshaped, _scale_on_queries_alone),
        hints=(
            "Y = A B gives dA = dY B^T and dB = A^T dY. Here A = q and B = k^T, so you get dk^T first.",
            "dq (B, T, d) = d_scores (B, T, S) times k (B, S, d). dk (B, S, d) needs d_scores with its last two axes "
            "swapped. Both carry the factor 1 / sqrt(d).",
            "dk = d_scores.swapaxes(-1, -2) @ q * scale. Never reshape where you mean to transpose.",
        ),
        backward=True,
        reference=_scores_reference,
    ),
    Exercise(
        name="attention_backward",
        lesson="04",
        difficulty=3,
        importance=5,
        minutes=15,
        package=("ScaledDotProductAttention.backward",),
        title="Attention, the whole way back",
        solution=attention_backward,
        cases=_attention_cases,
        wrong=(_softmax_skipped, _weights_not_transposed, _whole_scale_lost, _diagonal_softmax),
        hints=(
            "Three steps, from the end: context = weights v, weights = softmax(scores), scores = q k^T / sqrt(d). You "
            "have written the last two.",
            "context = weights v gives dv = weights^T d_context and d_weights = d_context v^T.",
            "dv = weights.swapaxes(-1, -2) @ d_context; d_weights = d_context @ v.swapaxes(-1, -2); then "
            "softmax_backward(d_weights, weights) and scores_backward.",
        ),
        backward=True,
        reference=_attention_reference,
    ),
]
