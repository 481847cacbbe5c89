"""Lesson 07, the encoder: padding masks, and the way back through a feed-forward layer and a whole stack."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array, Cache, FeedForward, Layer, Linear, Residual, Softmax, Tanh, padding_mask
from ...layers.masks import additive
from ...verify import complex_step
from ..exercise import Exercise

# -- padding_softmax ------------------------------------------------------------------------------------------------


def padding_softmax(scores: Array, ids: Array, pad: int) -> Array:
    """Attention weights that give nothing to padding: minus infinity before softmax, exactly 0 after it.

    scores (B, H, T, S), ids (B, S) of the keys, pad an id -> weights (B, H, T, S)
    """
    may_attend = (ids != pad)[:, None, None, :]  # (B, S) -> (B, 1, 1, S)
    scores = np.where(may_attend, scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=-1, keepdims=True)
    return weights


def _padding_softmax_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for (B, H, T, S), pad in (((2, 3, 5, 7), 0), ((3, 2, 7, 5), 4), ((2, 1, 3, 11), 0)):
        ids = (pad + rng.integers(1, 9, (B, S))) % 11
        ids[0, S - 2 :] = pad
        ids[-1, S // 2 :] = pad
        cases.append((3.0 * rng.standard_normal((B, H, T, S)), ids, pad))
    return cases


def _padding_softmax_reference(scores: Array, ids: Array, pad: int) -> Array:
    return Softmax()(scores + additive(padding_mask(ids, pad), scores.dtype))


def _zeroed_after(scores: Array, ids: Array, pad: int) -> Array:
    """Padding is set to 0 after softmax: the rest of the row then no longer sums to one."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) * (ids != pad)[:, None, None, :]


def _zero_score(scores: Array, ids: Array, pad: int) -> Array:
    """The score of padding is set to 0, which is an ordinary score and gets an ordinary weight."""
    scores = scores * (ids != pad)[:, None, None, :]
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _inverted(scores: Array, ids: Array, pad: int) -> Array:
    """The mask is inside out: only padding may be attended to."""
    scores = np.where((ids == pad)[:, None, None, :], scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _first_sentence(scores: Array, ids: Array, pad: int) -> Array:
    """Every sentence gets the padding mask of the first one."""
    scores = np.where((ids != pad)[:1, None, None, :], scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# -- masked_mean_backward -------------------------------------------------------------------------------------------


def masked_mean_backward(dy: Array, is_word: Array) -> Array:
    """Backward of y[b] = the mean of x[b, s] over the positions s that are words, not padding: one vector a sentence.

    dy (B, D), is_word (B, S) boolean -> dx (B, S, D)
    """
    counted = is_word.astype(dy.dtype)  # (B, S)
    share = counted / counted.sum(axis=1, keepdims=True)
    dx = share[:, :, None] * dy[:, None, :]  # (B, S, 1) (B, 1, D) -> (B, S, D)
    return dx


def _masked_mean_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for B, S, D in ((2, 5, 3), (3, 7, 5), (5, 3, 2)):
        lengths = rng.integers(1, S, B)
        lengths[0], lengths[-1] = S, 1
        cases.append((rng.standard_normal((B, D)), np.arange(S) < lengths[:, None]))
    return cases


def _masked_mean_reference(dy: Array, is_word: Array) -> Array:
    def upstream_times_outputs(x: Array) -> complex:
        return sum((dy[b] * x[b, : is_word[b].sum()].mean(axis=0)).sum() for b in range(len(x)))

    return complex_step(upstream_times_outputs, np.ones((*is_word.shape, dy.shape[1])))


def _padding_in_the_denominator(dy: Array, is_word: Array) -> Array:
    """Divided by S, padding included."""
    return is_word[:, :, None] * dy[:, None, :] / is_word.shape[1]


def _padding_gets_gradient(dy: Array, is_word: Array) -> Array:
    """Padding gets a share of the gradient, though its vectors were never read."""
    return np.repeat(dy[:, None, :], is_word.shape[1], axis=1) / is_word.sum(axis=1)[:, None, None]


def _sum_not_mean(dy: Array, is_word: Array) -> Array:
    """Not divided at all: that is the backward of a sum."""
    return is_word[:, :, None] * dy[:, None, :]


def _all_sentences_counted(dy: Array, is_word: Array) -> Array:
    """Divided by the words of the whole batch instead of each sentence's own."""
    return is_word[:, :, None] * dy[:, None, :] / is_word.sum()


# -- feed_forward_backward ------------------------------------------------------------------------------------------


def feed_forward_backward(dy: Array, x: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, ...]:
    """Backward of y = max(x W1 + b1, 0) W2 + b2, the feed-forward layer of the encoder's block.

    dy (B, T, D), x (B, T, D), W1 (D, F), b1 (F,), W2 (F, D), b2 (D,) -> dx, dW1, db1, dW2, db2, shaped alike
    """
    D = x.shape[-1]
    rows, d_rows = x.reshape(-1, D), dy.reshape(-1, D)  # (B, T, D) -> (B T, D): every position is a row
    hidden = np.maximum(rows @ W1 + b1, 0)
    dW2 = hidden.T @ d_rows
    db2 = d_rows.sum(axis=0)
    d_hidden = (d_rows @ W2.T) * (hidden > 0)
    dW1 = rows.T @ d_hidden
    db1 = d_hidden.sum(axis=0)
    dx = (d_hidden @ W1.T).reshape(x.shape)
    return dx, dW1, db1, dW2, db2


def _feed_forward_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    def arrays(B: int, T: int, D: int, F: int) -> tuple[Any, ...]:
        shapes = ((B, T, D), (B, T, D), (D, F), (F,), (F, D), (D,))
        return tuple(rng.standard_normal(shape) for shape in shapes)

    return [arrays(2, 3, 5, 7), arrays(3, 5, 2, 11), arrays(5, 1, 7, 3)]


def _feed_forward_reference(dy: Array, x: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, ...]:
    D, F = W1.shape
    layer = FeedForward(D, F, np.random.default_rng(0))
    for parameter, value in zip(layer.parameters(), (W1, b1, W2, b2)):
        parameter.value, parameter.grad = value, np.zeros_like(value)
    _, cache = layer.forward(x)
    return (layer.backward(dy, cache), *(parameter.grad for parameter in layer.parameters()))


def _backward_parts(dy: Array, x: Array, W1: Array, b1: Array, W2: Array) -> tuple[Array, ...]:
    rows, d_rows = x.reshape(-1, len(W1)), dy.reshape(-1, len(W1))
    before = rows @ W1 + b1
    return rows, d_rows, before, np.maximum(before, 0)


def _no_relu(dy: Array, x: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, ...]:
    """The gradient passes ReLU as if it were not there."""
    rows, d_rows, _, hidden = _backward_parts(dy, x, W1, b1, W2)
    d_hidden = d_rows @ W2.T
    dx = (d_hidden @ W1.T).reshape(x.shape)
    return dx, rows.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_rows, d_rows.sum(axis=0)


def _before_relu(dy: Array, x: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, ...]:
    """dW2 is taken with what entered ReLU instead of what left it."""
    rows, d_rows, before, hidden = _backward_parts(dy, x, W1, b1, W2)
    d_hidden = (d_rows @ W2.T) * (hidden > 0)
    dx = (d_hidden @ W1.T).reshape(x.shape)
    return dx, rows.T @ d_hidden, d_hidden.sum(axis=0), before.T @ d_rows, d_rows.sum(axis=0)


def _bias_mean(dy: Array, x: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, ...]:
    """The biases' gradients are averaged over the positions instead of summed."""
    rows, d_rows, _, hidden = _backward_parts(dy, x, W1, b1, W2)
    d_hidden = (d_rows @ W2.T) * (hidden > 0)
    dx = (d_hidden @ W1.T).reshape(x.shape)
    return dx, rows.T @ d_hidden, d_hidden.mean(axis=0), hidden.T @ d_rows, d_rows.mean(axis=0)


def _forgot_b1(dy: Array, x: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, ...]:
    """The bias is forgotten where it is decided which hidden numbers were positive."""
    return feed_forward_backward(dy, x, W1, 0 * b1, W2, b2)


# -- stack_backward -------------------------------------------------------------------------------------------------


def stack_backward(dy: Array, xs: Array, W: Array) -> tuple[Array, Array]:
    """Backward of N residual blocks, one after another: x_(n+1) = x_n + tanh(x_n W_n).

    dy (M, D), xs (N, M, D) the inputs of the blocks, W (N, D, D) -> dx (M, D) of the first block's input, dW (N, D, D)
    """
    dx = dy
    dW = np.zeros_like(W)
    for n in reversed(range(len(W))):
        fx = np.tanh(xs[n] @ W[n])
        d_before = dx * (1.0 - fx**2)
        dW[n] = xs[n].T @ d_before
        dx = dx + d_before @ W[n].T  # the residual path has slope one
    return dx, dW


def _stack_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for N, M, D in ((2, 3, 5), (3, 5, 2), (5, 2, 3)):
        W = rng.standard_normal((N, D, D)) * D**-0.5
        xs = [rng.standard_normal((M, D))]
        for n in range(N - 1):
            xs.append(xs[n] + np.tanh(xs[n] @ W[n]))
        cases.append((rng.standard_normal((M, D)), np.array(xs), W))
    return cases


class _LinearTanh(Layer):
    def __init__(self, weight: Array) -> None:
        D = len(weight)
        self.linear, self.tanh = Linear(D, D, np.random.default_rng(0)), Tanh()
        self.linear.weight.value, self.linear.weight.grad = weight, np.zeros_like(weight)

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        h, linear_cache = self.linear.forward(x)
        y, tanh_cache = self.tanh.forward(h)
        return y, Cache(linear=linear_cache, tanh=tanh_cache)

    def backward(self, dy: Array, cache: Cache) -> Array:
        return self.linear.backward(self.tanh.backward(dy, cache["tanh"]), cache["linear"])


def _stack_reference(dy: Array, xs: Array, W: Array) -> tuple[Array, Array]:
    blocks = [Residual(_LinearTanh(weight)) for weight in W]
    x, caches = xs[0], []
    for block in blocks:
        x, cache = block.forward(x)
        caches.append(cache)
    for block, cache in zip(reversed(blocks), reversed(caches)):
        dy = block.backward(dy, cache)
    return dy, np.array([block.parameters()[0].grad for block in blocks])


def _forward_order(dy: Array, xs: Array, W: Array) -> tuple[Array, Array]:
    """The blocks are walked from the first to the last, as in forward."""
    dx, dW = dy, np.zeros_like(W)
    for n in range(len(W)):
        d_before = dx * (1.0 - np.tanh(xs[n] @ W[n]) ** 2)
        dW[n] = xs[n].T @ d_before
        dx = dx + d_before @ W[n].T
    return dx, dW


def _no_residual(dy: Array, xs: Array, W: Array) -> tuple[Array, Array]:
    """The residual path is left out: only the branch's gradient goes on."""
    dx, dW = dy, np.zeros_like(W)
    for n in reversed(range(len(W))):
        d_before = dx * (1.0 - np.tanh(xs[n] @ W[n]) ** 2)
        dW[n] = xs[n].T @ d_before
        dx = d_before @ W[n].T
    return dx, dW


def _same_dy(dy: Array, xs: Array, W: Array) -> tuple[Array, Array]:
    """Every block is given the gradient of the last output instead of that of its own."""
    dx, dW = dy, np.zeros_like(W)
    for n in reversed(range(len(W))):
        d_before = dy * (1.0 - np.tanh(xs[n] @ W[n]) ** 2)
        dW[n] = xs[n].T @ d_before
        dx = dx + d_before @ W[n].T
    return dx, dW


def _not_transposed(dy: Array, xs: Array, W: Array) -> tuple[Array, Array]:
    """W where its transpose belongs: the shapes fit, since W is square."""
    dx, dW = dy, np.zeros_like(W)
    for n in reversed(range(len(W))):
        d_before = dx * (1.0 - np.tanh(xs[n] @ W[n]) ** 2)
        dW[n] = xs[n].T @ d_before
        dx = dx + d_before @ W[n]
    return dx, dW


# -- encoder_weights ------------------------------------------------------------------------------------------------


def encoder_weights(scores: Array, ids: Array, pad: int) -> Array:
    """Attention weights of an encoder, in which a sentence attends to itself: nobody looks at padding.

    scores (B, H, T, T): queries, then keys; ids (B, T), pad an id -> weights (B, H, T, T)
    """
    is_word = (ids != pad)[:, None, None, :]
    scores = np.where(is_word, scores, -1e4)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _encoder_weights_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for (B, H, T), pad in (((2, 3, 5), 0), ((3, 2, 7), 4)):
        ids = (pad + rng.integers(1, 9, (B, T))) % 11
        ids[0, T - 2 :] = pad
        ids[-1, T // 2 :] = pad
        cases.append((3.0 * rng.standard_normal((B, H, T, T)), ids, pad))
    return cases


def _mask_on_queries(scores: Array, ids: Array, pad: int) -> Array:
    """The mask lies on the queries: words look at padding, and padding looks at everything alike."""
    is_word = (ids != pad)[:, None, :, None]
    scores = np.where(is_word, scores, -1e4)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _mask_on_both(scores: Array, ids: Array, pad: int) -> Array:
    """The mask lies on queries and keys: the rows of padding are uniform over everything, padding included."""
    is_word = ids != pad
    return _softmax_rows(np.where(is_word[:, None, None, :] & is_word[:, None, :, None], scores, -1e4))


def _small_number(scores: Array, ids: Array, pad: int) -> Array:
    """-4 instead of something like minus infinity: padding still gets weight."""
    return _softmax_rows(np.where((ids != pad)[:, None, None, :], scores, -4.0))


def _softmax_rows(scores: Array) -> Array:
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


EXERCISES = [
    Exercise(
        name="padding_softmax",
        lesson="07",
        difficulty=3,
        importance=4,
        minutes=10,
        title="Nothing for padding",
        solution=padding_softmax,
        cases=_padding_softmax_cases,
        reference=_padding_softmax_reference,
        wrong=(_zeroed_after, _zero_score, _inverted, _first_sentence),
        hints=(
            "Which axis of the scores are the keys? The mask (B, S) must be given the two axes that it lacks.",
            "exp(-inf) is exactly 0, so put -inf into the scores and let softmax do the rest: "
            "the other weights then sum to one by themselves.",
            "scores = np.where((ids != pad)[:, None, None, :], scores, -np.inf), then softmax over the last axis, "
            "shifted by each row's maximum.",
        ),
        backward=False,
    ),
    Exercise(
        name="masked_mean_backward",
        lesson="07",
        difficulty=3,
        importance=3,
        minutes=10,
        optional=True,
        title="The mean of a sentence, backward",
        solution=masked_mean_backward,
        cases=_masked_mean_cases,
        reference=_masked_mean_reference,
        wrong=(_padding_in_the_denominator, _padding_gets_gradient, _sum_not_mean, _all_sentences_counted),
        hints=(
            "Write the mean as a weighted sum: y[b] = sum over s of share[b, s] x[b, s]. What is the share of padding?",
            "y is linear in x with the factors share[b, s]; the gradient has the same factors: "
            "dx[b, s] = share[b, s] dy[b].",
            "counted = is_word as numbers; share = counted / counted.sum(axis=1, keepdims=True); "
            "then (B, S, 1) times (B, 1, D).",
        ),
        backward=True,
    ),
    Exercise(
        name="feed_forward_backward",
        lesson="07",
        difficulty=3,
        importance=4,
        minutes=15,
        package=("FeedForward.backward",),
        title="The feed-forward layer, backward",
        solution=feed_forward_backward,
        cases=_feed_forward_cases,
        reference=_feed_forward_reference,
        wrong=(_no_relu, _before_relu, _bias_mean, _forgot_b1),
        hints=(
            "Every position is treated alike: make (B, T, D) into B T rows, and forget about sentences until the end.",
            "Walk back: last product, ReLU, first product. For y = h W: dW = h^T dy and dh = dy W^T; a bias was "
            "added to every row, so its gradient is the sum of the rows.",
            "hidden = max(rows W1 + b1, 0); d_hidden = (d_rows W2^T) * (hidden > 0); the rest are two linear layers.",
        ),
        backward=True,
    ),
    Exercise(
        name="stack_backward",
        lesson="07",
        difficulty=3,
        importance=4,
        minutes=15,
        optional=True,
        package=("Encoder.backward",),
        title="A stack, backward",
        solution=stack_backward,
        cases=_stack_cases,
        reference=_stack_reference,
        wrong=(_forward_order, _no_residual, _same_dy, _not_transposed),
        hints=(
            "The last block's output is where dy arrives. Which block must come first on the way back?",
            "One block is y = x + f(x). Its input was used twice, so two gradients add: dy itself and what comes "
            "through f.",
            "for n in reversed(range(N)): d_before = dx * (1 - tanh(x_n W_n)^2); dW[n] = x_n^T d_before; "
            "dx = dx + d_before W_n^T.",
        ),
        backward=True,
    ),
    Exercise(
        name="encoder_weights",
        lesson="07",
        difficulty=2,
        importance=4,
        minutes=10,
        title="Find the bug: who may not look at whom",
        solution=encoder_weights,
        broken=_mask_on_queries,
        cases=_encoder_weights_cases,
        reference=_padding_softmax_reference,
        wrong=(_mask_on_queries, _mask_on_both, _small_number),
        hints=(
            "The scores are (B, H, queries, keys). On which of the two last axes does the mask lie?",
            "Write down the mask of a sentence with two words and one place of padding: a 3 x 3 table. Which column is "
            "closed?",
            "(ids != pad)[:, None, None, :] closes the columns of padding, for every query.",
        ),
        backward=False,
    ),
]
