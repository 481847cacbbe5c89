"""Exercises of lesson 04: self-attention in four lines, and its backward piece by piece."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ...layers import Array, Cache, ScaledDotProductAttention, Softmax
from ...verify import complex_step
from ..exercise import Exercise


def one_query(q: Array, k: Array, v: Array) -> Array:
    """Attention of one query: the scores q . k_s / sqrt(d), softmax, and the average of the values with those weights.

    q (d,), k (S, d), v (S, e) -> context (e,).
    """
    scores = k @ q * q.shape[0] ** -0.5  # (S,)
    powers = np.exp(scores - scores.max())
    weights = powers / powers.sum()
    return weights @ v


def self_attention(x: Array, w_q: Array, w_k: Array, w_v: Array) -> Array:
    """Self-attention with one head: softmax(q k^T / sqrt(d)) v.

    x (B, T, D), each weight (D, d) -> (B, T, d).
    """
    q, k, v = x @ w_q, x @ w_k, x @ w_v  # (B, T, d) each
    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5  # (B, T, T)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return weights @ v


def softmax_jacobian(y: Array) -> Array:
    """The Jacobian of softmax for one row: entry [i, j] is the derivative of y[i] by the score x[j].

    y (S,), the weights -> (S, S).
    """
    return np.diag(y) - y[:, None] * y


def softmax_backward(dy: Array, y: Array) -> Array:
    """The gradient of the scores x, when y = softmax(x) over the last axis.

    dy and y (..., S) -> (..., S).
    """
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


_Twelve = tuple[Array, Array, Array, Array, Array, Array, Array, Array, Array, Array, Array, Array]


def attention_steps_backward(
    d_context: Array, x: Array, q: Array, k: Array, v: Array, weights: Array, w_q: Array, w_k: Array, w_v: Array
) -> _Twelve:
    """Every gradient of self-attention, for one sentence: q = x w_q, k = x w_k, v = x w_v,
    products = q k^T, scores = products / sqrt(d), weights = softmax(scores), context = weights v.

    d_context (T, d), x (T, D), q, k and v (T, d), weights (T, T), w_q, w_k and w_v (D, d)
    -> dv (T, d), d_weights (T, T), d_scores (T, T), d_products (T, T), dq (T, d), dk (T, d),
    dx_q (T, D), dx_k (T, D), dx_v (T, D), d_w_q (D, d), d_w_k (D, d), d_w_v (D, d).
    """
    dv = weights.T @ d_context
    d_weights = d_context @ v.T
    d_scores = weights * (d_weights - (weights * d_weights).sum(axis=-1, keepdims=True))
    d_products = d_scores * q.shape[-1] ** -0.5
    dq = d_products @ k
    dk = d_products.T @ q
    dx_q, dx_k, dx_v = dq @ w_q.T, dk @ w_k.T, dv @ w_v.T
    d_w_q, d_w_k, d_w_v = x.T @ dq, x.T @ dk, x.T @ dv
    return dv, d_weights, d_scores, d_products, dq, dk, dx_q, dx_k, dx_v, d_w_q, d_w_k, d_w_v


def attention_backward(d_context: Array, q: Array, k: Array, v: Array, weights: Array) -> tuple[Array, Array, Array]:
    """The gradients of queries, keys and values, when weights = softmax(q k^T / sqrt(d)) and context = weights v.

    d_context (B, T, d), q (B, T, d), k and v (B, S, d), weights (B, T, S)
    -> dq (B, T, d), dk (B, S, d), dv (B, S, d).
    """
    dv = weights.swapaxes(-1, -2) @ d_context
    d_weights = d_context @ v.swapaxes(-1, -2)
    d_scores = weights * (d_weights - (weights * d_weights).sum(axis=-1, keepdims=True)) * q.shape[-1] ** -0.5
    dq = d_scores @ k
    dk = d_scores.swapaxes(-1, -2) @ q
    return dq, dk, dv


def log_softmax_backward(dy: Array, log_p: Array) -> Array:
    """The gradient of the logits x, when log_p = x - log(sum(exp(x))) over the last axis.

    dy (N, V), log_p (N, V) -> (N, V).
    """
    p = np.exp(log_p)
    dx = dy - p * dy.sum(axis=-1, keepdims=True)
    return dx


# Wrong answers, each of which a check must reject.


def _softmax(scores: Array, axis: int = -1) -> Array:
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _one_query_unscaled(q: Array, k: Array, v: Array) -> Array:
    """The scores are not divided by sqrt(d)."""
    return one_query(q * len(q) ** 0.5, k, v)


def _one_query_by_keys(q: Array, k: Array, v: Array) -> Array:
    """Divides by the root of the number of keys, and not by that of the length of a key."""
    return one_query(q * (len(q) / len(k)) ** 0.5, k, v)


def _one_query_sum(q: Array, k: Array, v: Array) -> Array:
    """The powers are not divided by their sum: the weights do not sum to 1."""
    scores = k @ q * len(q) ** -0.5
    return np.exp(scores - scores.max()) @ v


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


def _diagonal_alone(y: Array) -> Array:
    """The diagonal alone, y (1 - y): every score also moves the other weights of the row."""
    return np.diag(y * (1.0 - y))


def _no_diagonal(y: Array) -> Array:
    """-y_i y_j everywhere: on the diagonal y_i is missing, the score's own power."""
    return -y[:, None] * y


def _jacobian_of_positives(y: Array) -> Array:
    """A plus where a minus belongs: when one weight grows the others shrink, since they sum to 1."""
    return np.diag(y) + y[:, None] * y


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


def _rest(dv: Array, d_weights: Array, d_scores: Array, scale: float, *inputs: Array) -> _Twelve:
    """What follows from the gradient of the scores."""
    x, q, k, w_q, w_k, w_v = inputs
    d_products = d_scores * scale
    dq, dk = d_products @ k, d_products.T @ q
    d_w_q, d_w_k, d_w_v = x.T @ dq, x.T @ dk, x.T @ dv
    return dv, d_weights, d_scores, d_products, dq, dk, dq @ w_q.T, dk @ w_k.T, dv @ w_v.T, d_w_q, d_w_k, d_w_v


def _scale_lost(
    d_context: Array, x: Array, q: Array, k: Array, v: Array, weights: Array, w_q: Array, w_k: Array, w_v: Array
) -> _Twelve:
    """Forgets the factor 1 / sqrt(d) between products and scores."""
    dv, d_weights, d_scores = attention_steps_backward(d_context, x, q, k, v, weights, w_q, w_k, w_v)[:3]
    return _rest(dv, d_weights, d_scores, 1.0, x, q, k, w_q, w_k, w_v)


def _scaled_twice(
    d_context: Array, x: Array, q: Array, k: Array, v: Array, weights: Array, w_q: Array, w_k: Array, w_v: Array
) -> _Twelve:
    """Divides by d, that is by sqrt(d) twice."""
    dv, d_weights, d_scores = attention_steps_backward(d_context, x, q, k, v, weights, w_q, w_k, w_v)[:3]
    return _rest(dv, d_weights, d_scores, 1.0 / q.shape[-1], x, q, k, w_q, w_k, w_v)


def _dk_from_untransposed(
    d_context: Array, x: Array, q: Array, k: Array, v: Array, weights: Array, w_q: Array, w_k: Array, w_v: Array
) -> _Twelve:
    """dk with d_products as it is, where it must be transposed: columns are keys."""
    found = list(attention_steps_backward(d_context, x, q, k, v, weights, w_q, w_k, w_v))
    dk = found[3] @ q
    found[5], found[7], found[10] = dk, dk @ w_k.T, x.T @ dk
    return tuple(found)  # type: ignore[return-value]


def _values_from_untransposed(
    d_context: Array, x: Array, q: Array, k: Array, v: Array, weights: Array, w_q: Array, w_k: Array, w_v: Array
) -> _Twelve:
    """dv with the weights as they are, where they must be transposed: a value gets from all queries that read it."""
    found = list(attention_steps_backward(d_context, x, q, k, v, weights, w_q, w_k, w_v))
    dv = weights @ d_context
    found[0], found[8], found[11] = dv, dv @ w_v.T, x.T @ dv
    return tuple(found)  # type: ignore[return-value]


def _scores(d_scores: Array, q: Array, k: Array) -> tuple[Array, Array]:
    """The gradients of queries and keys."""
    scale = q.shape[-1] ** -0.5
    return d_scores @ k * scale, d_scores.swapaxes(-1, -2) @ q * scale


def _softmax_skipped(d_context: Array, q: Array, k: Array, v: Array, weights: Array) -> tuple[Array, Array, Array]:
    """The gradient of the weights goes on as that of the scores: the softmax has been left out."""
    d_scores = d_context @ v.swapaxes(-1, -2)
    return (*_scores(d_scores, q, k), weights.swapaxes(-1, -2) @ d_context)


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
    return (*_scores(d_scores, q, k), weights.swapaxes(-1, -2) @ d_context)


def _log_softmax_diagonal(dy: Array, log_p: Array) -> Array:
    """dy (1 - p) is the diagonal of the Jacobian: every logit is in the sum below ALL probabilities of its row."""
    p = np.exp(log_p)
    dx = dy - p * dy
    return dx


def _log_softmax_sum_lost(dy: Array, log_p: Array) -> Array:
    """dy alone: the logarithm of the sum has a gradient too."""
    return dy.copy()


def _log_softmax_of_softmax(dy: Array, log_p: Array) -> Array:
    """The backward of softmax itself, not of its logarithm."""
    return softmax_backward(dy, np.exp(log_p))


# Inputs, and the same gradients from the package's layers or by complex step.


def _self_attention_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((B, T, D)), *rng.standard_normal((3, D, d))) for B, T, D, d in ((2, 3, 5, 7), (3, 5, 7, 2))
    ]


def _softmax_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    shapes = ((3, 5), (2, 3, 7))
    return [(rng.standard_normal(shape), _softmax(rng.standard_normal(shape))) for shape in shapes]


def _one_query_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal(d), rng.standard_normal((S, d)), rng.standard_normal((S, e)))
        for S, d, e in ((3, 2, 5), (5, 7, 3))
    ]


def _jacobian_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(_softmax(rng.standard_normal(S)),) for S in (3, 5)]


def _log_softmax_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal(s), np.log(_softmax(rng.standard_normal(s)))) for s in ((3, 5), (7, 2))]


def _steps_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for T, D, d in ((3, 5, 7), (5, 7, 2)):
        x, w_q, w_k, w_v = rng.standard_normal((T, D)), *rng.standard_normal((3, D, d))
        q, k, v = x @ w_q, x @ w_k, x @ w_v
        weights = _softmax(q @ k.T * d**-0.5 * 0.2)
        cases.append((rng.standard_normal((T, d)), x, q, k, v, weights, w_q, w_k, w_v))
    return cases


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


def _jacobian_reference(y: Array) -> Array:
    def entry(i: int, x: Array) -> Any:
        return np.exp(x[i]) / np.exp(x).sum()

    return np.stack([complex_step(partial(entry, i), np.log(y)) for i in range(len(y))])


def _log_softmax_reference(dy: Array, log_p: Array) -> Array:
    return complex_step(lambda x: (dy * (x - np.log(np.exp(x).sum(axis=-1, keepdims=True)))).sum(), log_p)


def _sum_of_product(d: Array, x: Array, w: Array) -> Any:
    return (d * (x @ w)).sum()


def _steps_reference(
    d_context: Array, x: Array, q: Array, k: Array, v: Array, weights: Array, w_q: Array, w_k: Array, w_v: Array
) -> tuple[Array, ...]:
    """Each by a complex step of what follows it; the scores are any that have these weights."""

    def of_scores(scores: Array) -> Any:
        powers = np.exp(scores)
        return (d_context * (powers / powers.sum(axis=-1, keepdims=True) @ v)).sum()

    root, scores = q.shape[-1] ** 0.5, np.log(weights)
    d_scores = complex_step(of_scores, scores)
    products = scores * root
    d_products = complex_step(lambda z: of_scores(z / root), products)
    dq = complex_step(lambda z: (d_products * (z @ k.T)).sum(), q)
    dk = complex_step(lambda z: (d_products * (q @ z.T)).sum(), k)
    dv = complex_step(lambda z: (d_context * (weights @ z)).sum(), v)
    pairs = ((dq, w_q), (dk, w_k), (dv, w_v))
    dx = [complex_step(partial(_sum_of_product, d, w=w), x) for d, w in pairs]
    d_w = [complex_step(partial(_sum_of_product, d, x), w) for d, w in pairs]
    d_weights = complex_step(lambda z: (d_context * (z @ v)).sum(), weights)
    return (dv, d_weights, d_scores, d_products, dq, dk, *dx, *d_w)


def _attention_reference(d_context: Array, q: Array, k: Array, v: Array, weights: Array) -> tuple[Array, ...]:
    layer = ScaledDotProductAttention()
    _, cache = layer.forward(q[:, None], k[:, None], v[:, None])  # one head
    return tuple(gradient[:, 0] for gradient in layer.backward(d_context[:, None], cache))


def _one_query_by_d(q: Array, k: Array, v: Array) -> Array:
    """Divides by d, and not by its root."""
    return one_query(q * q.shape[-1] ** -0.5, k, v)


def _softmax_rule(dy: Array, log_p: Array) -> Array:
    """p times the whole difference, as in the rule of softmax; of the logarithm only the sum gets the factor p."""
    return np.exp(log_p) * (dy - dy.sum(axis=-1, keepdims=True))


EXERCISES = [
    Exercise(
        name="one_query",
        lesson="04",
        difficulty=1,
        importance=4,
        minutes=5,
        package=("ScaledDotProductAttention.forward",),
        title="One query",
        solution=one_query,
        cases=_one_query_cases,
        wrong=(_one_query_unscaled, _one_query_by_keys, _one_query_sum, _one_query_by_d),
        hints=(
            "Three lines: a score for each key, softmax, the average of the values.",
            "k @ q has one entry for each key. Divide by the root of d, the length of q.",
            "weights = powers / powers.sum(), and weights @ v is the average.",
        ),
        backward=False,
    ),
    Exercise(
        name="self_attention",
        lesson="04",
        difficulty=2,
        importance=5,
        minutes=8,
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
        name="softmax_jacobian",
        lesson="04",
        difficulty=2,
        importance=3,
        minutes=6,
        package=("Softmax.backward",),
        title="Softmax's Jacobian",
        solution=softmax_jacobian,
        cases=_jacobian_cases,
        wrong=(_diagonal_alone, _no_diagonal, _jacobian_of_positives),
        hints=(
            "Differentiate y_i = e^(x_i) / sum by x_j: once for j = i, once for another j.",
            "For j = i it is y_i (1 - y_i), for another j it is -y_i y_j.",
            "np.diag(y) puts y on the diagonal; y[:, None] * y has the entries y_i y_j.",
        ),
        backward=True,
        reference=_jacobian_reference,
    ),
    Exercise(
        name="softmax_backward",
        lesson="04",
        difficulty=3,
        importance=5,
        minutes=8,
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
        name="attention_steps_backward",
        lesson="04",
        difficulty=4,
        importance=5,
        minutes=15,
        package=("ScaledDotProductAttention.backward",),
        title="Self-attention, step by step",
        solution=attention_steps_backward,
        cases=_steps_cases,
        wrong=(_scale_lost, _scaled_twice, _dk_from_untransposed, _values_from_untransposed),
        hints=(
            "From the end: context = weights v is a product of matrices, so dv and d_weights come first. Then softmax.",
            "products = q k^T gives dq = d_products k and dk = d_products^T q. The scale is a constant factor.",
            "q = x w_q gives dx_q = dq w_q^T and d_w_q = x^T dq, and the same for keys and values.",
        ),
        backward=True,
        reference=_steps_reference,
    ),
    Exercise(
        name="attention_backward",
        lesson="04",
        difficulty=3,
        importance=5,
        minutes=8,
        package=("ScaledDotProductAttention.backward",),
        title="Attention, the whole way back",
        solution=attention_backward,
        cases=_attention_cases,
        wrong=(_softmax_skipped, _weights_not_transposed, _whole_scale_lost, _diagonal_softmax),
        hints=(
            "It is the first half of what you wrote step by step, now for a batch: @ works on the last two axes.",
            "context = weights v gives dv = weights^T d_context and d_weights = d_context v^T. In a batch a transpose "
            "is swapaxes(-1, -2), never .T.",
            "dv = weights.swapaxes(-1, -2) @ d_context; d_weights = d_context @ v.swapaxes(-1, -2); then softmax, the "
            "scale, dq = d_scores @ k and dk = d_scores.swapaxes(-1, -2) @ q.",
        ),
        backward=True,
        reference=_attention_reference,
    ),
    Exercise(
        name="log_softmax_backward",
        lesson="04",
        difficulty=3,
        importance=3,
        minutes=6,
        title="Find the bug",
        solution=log_softmax_backward,
        cases=_log_softmax_cases,
        wrong=(_log_softmax_diagonal, _log_softmax_sum_lost, _log_softmax_of_softmax, _softmax_rule),
        broken=_log_softmax_diagonal,
        hints=(
            "Write down the derivative of log p_i by x_j, for j = i and for another j.",
            "It is delta_ij - p_j. Multiply by dy_i and sum over ALL i.",
            "The sum over i of dy_i p_j is p_j times the sum of dy over the row.",
        ),
        backward=True,
        reference=_log_softmax_reference,
    ),
]
