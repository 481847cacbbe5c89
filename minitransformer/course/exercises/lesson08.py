"""Lesson 08, the decoder: the causal mask, and attention to the memory with its gradients to both sides."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array, ScaledDotProductAttention, padding_mask
from ...layers import causal_mask as package_causal_mask
from ...verify import complex_step
from ..exercise import Exercise

# -- causal_mask ----------------------------------------------------------------------------------------------------


def causal_mask(length: int) -> Array:
    """Who may attend to whom in a decoder: row t is the query at position t, column s the key at position s. True means
    may attend: to the position itself and to all before it.

    length T, a number -> mask (T, T) boolean
    """
    return np.tri(length, dtype=bool)


def _causal_mask_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(3,), (2,), (int(rng.integers(4, 40)),)]


def _causal_mask_reference(length: int) -> Array:
    return package_causal_mask(length)[0, 0]


def _upper_triangle(length: int) -> Array:
    """The wrong triangle: every position sees itself and the future."""
    return np.tri(length, dtype=bool).T


def _without_diagonal(length: int) -> Array:
    """The diagonal is closed: position 0 may then attend to nothing. Its own word is already written."""
    return np.tri(length, k=-1, dtype=bool)


def _one_ahead(length: int) -> Array:
    """One diagonal too many: position t sees t + 1, and that is the very word that it must predict."""
    return np.tri(length, k=1, dtype=bool)


def _closed(length: int) -> Array:
    """True where nobody may look: here True means may attend."""
    return ~np.tri(length, dtype=bool)


# -- decoder_mask ---------------------------------------------------------------------------------------------------


def decoder_mask(ids: Array, pad: int) -> Array:
    """The mask of a decoder whose sentences are padded: position t may attend to position s where s is not later and no
    padding.

    ids (B, T), pad an id -> mask (B, 1, T, T) boolean: queries, then keys
    """
    t = np.arange(ids.shape[1])
    not_later = t[:, None] >= t
    is_word = (ids != pad)[:, None, None, :]
    return not_later & is_word


def _decoder_mask_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for (B, T), pad in (((3, 5), 0), ((2, 7), 4)):
        ids = (pad + rng.integers(1, 9, (B, T))) % 11
        ids[0, int(rng.integers(2, T)) :] = pad
        cases.append((ids, pad))
    return cases


def _decoder_mask_reference(ids: Array, pad: int) -> Array:
    return package_causal_mask(ids.shape[1]) & padding_mask(ids, pad)


def _either(ids: Array, pad: int) -> Array:
    """`or` in place of `and`: every word may be attended to, also a later one."""
    t = np.arange(ids.shape[1])
    not_later = t[:, None] >= t
    is_word = (ids != pad)[:, None, None, :]
    return not_later | is_word


def _words_only(ids: Array, pad: int) -> Array:
    """Only padding is closed; the future is open."""
    return np.repeat((ids != pad)[:, None, None, :], ids.shape[1], axis=2)


def _padded_queries(ids: Array, pad: int) -> Array:
    """Padding is closed on the queries, not on the keys."""
    return np.tri(ids.shape[1], dtype=bool) & (ids != pad)[:, None, :, None]


def _padding_open(ids: Array, pad: int) -> Array:
    """Padding is open."""
    return np.broadcast_to(np.tri(ids.shape[1], dtype=bool), (len(ids), 1, ids.shape[1], ids.shape[1]))


# -- causal_mean_backward -------------------------------------------------------------------------------------------


def causal_mean_backward(dy: Array) -> Array:
    """Backward of y[t] = the mean of x[0], ..., x[t]: causal attention whose scores are all equal.

    dy (B, T, D) -> dx (B, T, D)
    """
    T = dy.shape[1]
    share = dy / np.arange(1, T + 1, dtype=dy.dtype)[:, None]  # y[t] gives each of its t + 1 inputs dy[t] / (t + 1)
    dx = np.cumsum(share[:, ::-1], axis=1)[:, ::-1]  # x[s] is in y[s], y[s + 1], ..., y[T - 1]
    return dx


def _causal_mean_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal(shape),) for shape in ((2, 5, 3), (3, 7, 2), (2, 2, 5))]


def _causal_mean_reference(dy: Array) -> Array:
    layer, T = ScaledDotProductAttention(), dy.shape[1]
    nothing = np.zeros_like(dy)[:, None]  # (B, 1, T, D): equal scores
    _, cache = layer.forward(nothing, nothing, nothing, package_causal_mask(T))
    return layer.backward(dy[:, None], cache)[2][:, 0]


def _to_the_future(dy: Array) -> Array:
    """The running sum goes forward in time: the past gets nothing from the future's loss, the future everything."""
    return np.cumsum(dy / np.arange(1, dy.shape[1] + 1)[:, None], axis=1)


def _not_divided(dy: Array) -> Array:
    """Not divided: that is the backward of a running sum."""
    return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]


def _divided_by_T(dy: Array) -> Array:
    """Divided by T: every output is taken for a mean over all positions."""
    return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1] / dy.shape[1]


def _divided_after(dy: Array) -> Array:
    """Divided by s + 1 after summing, instead of each term by its own t + 1."""
    return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1] / np.arange(1, dy.shape[1] + 1)[:, None]


# -- cross_attention_backward ---------------------------------------------------------------------------------------


def cross_attention_backward(
    dy: Array, x: Array, memory: Array, Wq: Array, Wk: Array, Wv: Array
) -> tuple[Array, Array]:
    """Backward of one head of encoder-decoder attention, to both sides: y = softmax(q k^T / sqrt(d)) v with
    q = x Wq from the decoder, k = memory Wk and v = memory Wv from the encoder.

    dy (B, T, d), x (B, T, D), memory (B, S, D), Wq (D, d), Wk (D, d), Wv (D, d) -> dx (B, T, D), d_memory (B, S, D)
    """
    q, k, v = x @ Wq, memory @ Wk, memory @ Wv
    scale = Wq.shape[1] ** -0.5
    scores = q @ k.swapaxes(1, 2) * scale  # (B, T, d) (B, d, S) -> (B, T, S)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=-1, keepdims=True)

    dv = weights.swapaxes(1, 2) @ dy  # (B, S, T) (B, T, d) -> (B, S, d)
    d_weights = dy @ v.swapaxes(1, 2)
    d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True)) * scale
    dq = d_scores @ k
    dk = d_scores.swapaxes(1, 2) @ q
    dx = dq @ Wq.T
    d_memory = dk @ Wk.T + dv @ Wv.T
    return dx, d_memory


def _cross_attention_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    def arrays(B: int, T: int, S: int, D: int, d: int) -> tuple[Any, ...]:
        shapes = ((B, T, d), (B, T, D), (B, S, D), (D, d), (D, d), (D, d))
        return tuple(rng.standard_normal(shape) * (D**-0.5 if i > 2 else 1.0) for i, shape in enumerate(shapes))

    return [arrays(2, 3, 5, 7, 3), arrays(3, 5, 2, 5, 7), arrays(2, 1, 7, 3, 2)]


def _cross_attention_reference(
    dy: Array, x: Array, memory: Array, Wq: Array, Wk: Array, Wv: Array
) -> tuple[Array, Array]:
    layer = ScaledDotProductAttention()
    _, cache = layer.forward((x @ Wq)[:, None], (memory @ Wk)[:, None], (memory @ Wv)[:, None])
    dq, dk, dv = (gradient[:, 0] for gradient in layer.backward(dy[:, None], cache))
    return dq @ Wq.T, dk @ Wk.T + dv @ Wv.T


def _softmax(scores: Array, axis: int = -1) -> Array:
    e = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _cross_parts(dy: Array, x: Array, memory: Array, Wq: Array, Wk: Array, Wv: Array) -> tuple[Array, ...]:
    q, k, v = x @ Wq, memory @ Wk, memory @ Wv
    weights = _softmax(q @ k.swapaxes(1, 2) * Wq.shape[1] ** -0.5)
    return q, k, v, weights, dy @ v.swapaxes(1, 2), weights.swapaxes(1, 2) @ dy


def _values_only(dy: Array, x: Array, memory: Array, Wq: Array, Wk: Array, Wv: Array) -> tuple[Array, Array]:
    """The memory gets the gradient of the values alone; that of the keys is forgotten."""
    dx, _ = cross_attention_backward(dy, x, memory, Wq, Wk, Wv)
    dv = _cross_parts(dy, x, memory, Wq, Wk, Wv)[-1]
    return dx, dv @ Wv.T


def _keys_only(dy: Array, x: Array, memory: Array, Wq: Array, Wk: Array, Wv: Array) -> tuple[Array, Array]:
    """The memory gets the gradient of the keys alone; that of the values is forgotten."""
    dx, d_memory = cross_attention_backward(dy, x, memory, Wq, Wk, Wv)
    dv = _cross_parts(dy, x, memory, Wq, Wk, Wv)[-1]
    return dx, d_memory - dv @ Wv.T


def _scale_once(dy: Array, x: Array, memory: Array, Wq: Array, Wk: Array, Wv: Array) -> tuple[Array, Array]:
    """1 / sqrt(d) is in the forward but forgotten in the backward."""
    q, k, _, weights, d_weights, dv = _cross_parts(dy, x, memory, Wq, Wk, Wv)
    d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True))
    return d_scores @ k @ Wq.T, d_scores.swapaxes(1, 2) @ q @ Wk.T + dv @ Wv.T


def _no_projection_term(dy: Array, x: Array, memory: Array, Wq: Array, Wk: Array, Wv: Array) -> tuple[Array, Array]:
    """Softmax's backward without its sum: weights * d_weights, as if each weight stood alone."""
    q, k, _, weights, d_weights, dv = _cross_parts(dy, x, memory, Wq, Wk, Wv)
    d_scores = weights * d_weights * Wq.shape[1] ** -0.5
    return d_scores @ k @ Wq.T, d_scores.swapaxes(1, 2) @ q @ Wk.T + dv @ Wv.T


def _keys_and_values_exchanged(
    dy: Array, x: Array, memory: Array, Wq: Array, Wk: Array, Wv: Array
) -> tuple[Array, Array]:
    """The gradients of keys and values go back through each other's matrices."""
    q, k, _, weights, d_weights, dv = _cross_parts(dy, x, memory, Wq, Wk, Wv)
    d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True)) * Wq.shape[1] ** -0.5
    return d_scores @ k @ Wq.T, d_scores.swapaxes(1, 2) @ q @ Wv.T + dv @ Wk.T


# -- memory_backward ------------------------------------------------------------------------------------------------


def memory_backward(dk: Array, dv: Array, Wk: Array, Wv: Array) -> Array:
    """The gradient of the memory, which all N decoder blocks read: k_n = memory Wk_n and v_n = memory Wv_n.

    dk (N, B, S, d), dv (N, B, S, d), Wk (N, D, d), Wv (N, D, d) -> d_memory (B, S, D)
    """
    N, B, S, _ = dk.shape
    d_memory = np.zeros((B, S, Wk.shape[1]), dk.dtype)
    for n in range(N):
        d_memory += dk[n] @ Wk[n].T + dv[n] @ Wv[n].T  # the same memory was read N times, so its gradients add
    return d_memory


def _memory_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    def arrays(N: int, B: int, S: int, D: int, d: int) -> tuple[Any, ...]:
        shapes = ((N, B, S, d), (N, B, S, d), (N, D, d), (N, D, d))
        return tuple(rng.standard_normal(shape) for shape in shapes)

    return [arrays(3, 2, 5, 7, 3), arrays(2, 3, 3, 2, 5), arrays(5, 2, 2, 3, 3)]


def _memory_reference(dk: Array, dv: Array, Wk: Array, Wv: Array) -> Array:
    _, B, S, _ = dk.shape

    def upstream_times_outputs(memory: Array) -> complex:
        return sum((dk[n] * (memory @ Wk[n])).sum() + (dv[n] * (memory @ Wv[n])).sum() for n in range(len(Wk)))

    return complex_step(upstream_times_outputs, np.ones((B, S, Wk.shape[1])))


def _last_block(dk: Array, dv: Array, Wk: Array, Wv: Array) -> Array:
    """Only the last block's gradient is kept: each overwrites the one before."""
    return dk[-1] @ Wk[-1].T + dv[-1] @ Wv[-1].T


def _mean_of_blocks(dk: Array, dv: Array, Wk: Array, Wv: Array) -> Array:
    """The mean over the blocks instead of their sum."""
    return memory_backward(dk, dv, Wk, Wv) / len(dk)


def _first_matrices(dk: Array, dv: Array, Wk: Array, Wv: Array) -> Array:
    """Every block's gradient goes back through the first block's matrices."""
    return memory_backward(dk, dv, np.broadcast_to(Wk[:1], Wk.shape), np.broadcast_to(Wv[:1], Wv.shape))


def _keys_forgotten(dk: Array, dv: Array, Wk: Array, Wv: Array) -> Array:
    """The keys are forgotten: the memory is read through them too."""
    return memory_backward(0 * dk, dv, Wk, Wv)


def _mask_to_add(length: int) -> Array:
    """The mask in the form that is added to scores, 0 and minus infinity; here it is boolean, True means may attend."""
    return np.where(np.tri(length, dtype=bool), 0.0, -np.inf)


EXERCISES = [
    Exercise(
        name="causal_mask",
        lesson="08",
        difficulty=1,
        importance=5,
        minutes=8,
        package=("causal_mask", "the_mask"),
        title="Who may look at whom",
        solution=causal_mask,
        cases=_causal_mask_cases,
        reference=_causal_mask_reference,
        wrong=(_upper_triangle, _without_diagonal, _one_ahead, _closed, _mask_to_add),
        hints=(
            "Write the 3 x 3 table down: a row for each query, a 1 where it may look. Row 0 has one 1, row 2 three.",
            "Entry (t, s) is True where s <= t: on the diagonal and below.",
            "np.tri(length, dtype=bool), or t[:, None] >= t with t = np.arange(length).",
        ),
        backward=False,
    ),
    Exercise(
        name="decoder_mask",
        lesson="08",
        difficulty=2,
        importance=4,
        minutes=10,
        title="Find the bug: too good to be true",
        solution=decoder_mask,
        broken=_either,
        cases=_decoder_mask_cases,
        reference=_decoder_mask_reference,
        wrong=(_either, _words_only, _padded_queries, _padding_open),
        hints=(
            "Print the mask of one sentence of three words and one place of padding. Which entries are True that must "
            "not be?",
            "Two conditions must hold at once.",
            "`&` is and, `|` is or.",
        ),
        backward=False,
    ),
    Exercise(
        name="causal_mean_backward",
        lesson="08",
        difficulty=3,
        importance=3,
        minutes=10,
        optional=True,
        title="Gradients flow to the past",
        solution=causal_mean_backward,
        cases=_causal_mean_cases,
        reference=_causal_mean_reference,
        wrong=(_to_the_future, _not_divided, _divided_by_T, _divided_after),
        hints=(
            "In which outputs does x[s] appear, and with which factor in each of them?",
            "x[s] is in y[t] for every t >= s, with the factor 1/(t + 1): dx[s] = sum over t >= s of dy[t] / (t + 1).",
            "share = dy / np.arange(1, T + 1, dtype=dy.dtype)[:, None]; then a running sum from the end: reverse, "
            "cumsum, reverse.",
        ),
        backward=True,
    ),
    Exercise(
        name="cross_attention_backward",
        lesson="08",
        difficulty=4,
        importance=4,
        minutes=15,
        package=("MultiHeadAttention.backward",),
        title="Encoder-decoder attention, backward to both sides",
        solution=cross_attention_backward,
        cases=_cross_attention_cases,
        reference=_cross_attention_reference,
        wrong=(_values_only, _keys_only, _scale_once, _no_projection_term, _keys_and_values_exchanged),
        hints=(
            "Run the forward first and keep q, k, v and the weights; then go back line by line. How often was the "
            "memory used?",
            "y = weights v: dv = weights^T dy, d_weights = dy v^T. Softmax, row by row: w * (dw - sum(dw * w)). The "
            "memory made both k and v, so two gradients add.",
            "d_scores times scale once; dq = d_scores k; dk = d_scores^T q; dx = dq Wq^T; "
            "d_memory = dk Wk^T + dv Wv^T.",
        ),
        backward=True,
    ),
    Exercise(
        name="memory_backward",
        lesson="08",
        difficulty=3,
        importance=3,
        minutes=10,
        optional=True,
        package=("Decoder.backward",),
        title="One memory for all blocks",
        solution=memory_backward,
        cases=_memory_cases,
        reference=_memory_reference,
        wrong=(_last_block, _mean_of_blocks, _first_matrices, _keys_forgotten),
        hints=(
            "The memory is an input of every decoder block. What happens to the gradient of something that was used N "
            "times?",
            "For one block k = memory Wk gives d_memory = dk Wk^T, and the values give dv Wv^T. Add over the blocks.",
            "d_memory = zeros (B, S, D); for n in range(N): d_memory += dk[n] @ Wk[n].T + dv[n] @ Wv[n].T",
        ),
        backward=True,
    ),
]
