"""Attention: every query takes a weighted average of the values, by how well it agrees with each one's key.

    weights = softmax(q k^T / sqrt(d) + mask)          context = weights v

and multi-head attention does it H times side by side, each head on its own D/H features:

    q, k, v = x W_q, memory W_k, memory W_v            y = concat(context_1 ... context_H) W_o
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arguments import checked
from .base import Array, Cache, Layer
from .checks import check_gradient
from .decoding_state import DecodingState
from .dropout import Dropout
from .initializers import Init, as_initializer
from .linear import Dense
from .masks import additive, check_mask
from .softmax import Softmax


@checked
class ScaledDotProductAttention(Layer):
    """context = softmax(q k^T / sqrt(d) + mask) v.

    Parameters
    ----------
    dropout : float
        Probability of dropping an attention weight while training.
    scale : float, optional
        Factor on q k^T; by default 1 / sqrt(d). T5 does not scale: 1.
    bias : Layer, optional
        (T, S) -> (1, H, T, S), added to the scores of the last T of S positions: how T5 and ALiBi tell the order.

    Shapes: q (B, H, T, d), k and v (B, H, S, d), mask boolean, broadcast to (B, H, T, S), True = may attend
    -> context (B, H, T, d). A query that may attend to nothing gets a context of exactly 0.

    Source: Vaswani et al. 2017, section 3.2.1, eq. 1.
    """

    def __init__(self, dropout: float = 0.0, scale: float | None = None, bias: Layer | None = None) -> None:
        self.scale, self.bias = scale, bias
        self.softmax = Softmax()
        self.dropout = Dropout(dropout)

    def forward(
        self, q: Array, k: Array, v: Array, mask: Array | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        check_heads(q, k, v)
        scores = np.matmul(q * self.scale_for(q), k.swapaxes(-1, -2))  # (B, H, T, d) (B, H, d, S) -> (B, H, T, S)
        bias_cache = None
        if self.bias is not None:
            bias, bias_cache = self.bias.forward(*scores.shape[2:])
            scores += bias  # (B, H, T, S) + (1, H, T, S)
        if mask is not None:
            check_mask(mask, scores.shape)
            scores += additive(mask, scores.real.dtype)  # (B, H, T, S) + (B or 1, 1, T or 1, S)
        weights, softmax_cache = self.softmax.forward(scores)
        dropped, dropout_cache = self.dropout.forward(weights, rng=rng)
        context = matmul_heads(dropped, v)  # (B, H, T, S) (B, H, S, d) -> (B, H, T, d)
        return context, Cache(
            q=q,
            k=k,
            v=v,
            bias=bias_cache,
            softmax=softmax_cache,
            weights=weights,
            dropout=dropout_cache,
            dropped=dropped,
        )

    def backward(self, d_context: Array, cache: Cache) -> tuple[Array, Array, Array]:
        q, k, v = cache["q"], cache["k"], cache["v"]
        check_gradient(self, d_context, (*q.shape[:-1], v.shape[-1]))
        scale = self.scale_for(q)
        dv = matmul_heads(cache["dropped"].swapaxes(-1, -2), d_context)
        d_dropped = np.matmul(d_context, v.swapaxes(-1, -2))
        d_weights = self.dropout.backward(d_dropped, cache["dropout"])
        d_scores = self.softmax.backward(d_weights, cache["softmax"])  # where masked, the weight and so this is 0
        if self.bias is not None:
            self.bias.backward(d_scores.sum(axis=0, keepdims=True), cache["bias"])  # every sentence had the same bias
        dk = matmul_heads(d_scores.swapaxes(-1, -2), q * scale)
        dq = matmul_heads(d_scores, k) * scale
        return dq, dk, dv

    def scale_for(self, q: Array) -> float:
        """The factor on q k^T: the given one, or 1 / sqrt(d). A Python float, which leaves float32 what it is."""
        return q.shape[-1] ** -0.5 if self.scale is None else self.scale


@checked
class MultiHeadAttention(Layer):
    """y = concat(context_1 ... context_H) W_o: queries from x, keys and values from the memory.

    In encoder-decoder attention the memory is the encoder's output; `SelfAttention` gives x itself. While decoding, the
    state keeps the memory's keys and values, which are computed once.

    Parameters
    ----------
    d_model : int
        D, width of x, of the memory and of the output.
    n_heads : int
        H; each head works on d = D / H features, so H heads cost what one costs.
    init : Initializer or np.random.Generator
        Draws the projections.
    dropout : float
        Probability of dropping an attention weight while training.
    projection, output : layer class
        What maps x to queries, keys and values, and the heads' contexts to the output. With `Dense` there are
        4 D^2 weights and 4 D biases; `Linear` and `Identity` make the 3 D^2 of lecture notes.
    attention : Layer, optional
        (q, k, v, mask) -> context, in place of `ScaledDotProductAttention(dropout)`.
    d_head : int, optional
        d where it is not D / H.

    Shapes: x (B, T, D), memory (B, S, D), mask broadcast to (B, H, T, S) -> y (B, T, D). The attention map is
    `cache["weights"]`, (B, H, T, S).

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        init: Init,
        dropout: float = 0.0,
        projection: Callable[[int, int, Init], Layer] = Dense,
        output: Callable[[int, int, Init], Layer] = Dense,
        attention: Layer | None = None,
        d_head: int | None = None,
    ) -> None:
        init = as_initializer(init)
        self.d_model, self.n_heads = d_model, n_heads
        self.d_head = head_width(d_model, n_heads, d_head)
        d_heads = n_heads * self.d_head
        self.query = projection(d_model, d_heads, init)
        self.key = projection(d_model, d_heads, init)
        self.value = projection(d_model, d_heads, init)
        self.attention = attention or ScaledDotProductAttention(dropout)
        self.output = output(d_heads, d_model, init)

    def forward(
        self,
        x: Array,
        memory: Array,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        if np.ndim(x) != 3 or np.ndim(memory) != 3 or len(x) != len(memory):
            shape, needed = np.shape(memory), np.shape(x)
            raise ValueError(f"memory has shape {shape}: give (B, S, D) with the B of an x of shape {needed}")
        if state is None:
            k, v, cache = self.keys_and_values(memory)
        else:
            if "k" not in state:  # the memory stays the same, so its keys and values do too
                state["k"], state["v"], _ = self.keys_and_values(memory)
            k, v, cache = state["k"], state["v"], Cache()
        return self.attend(x, k, v, cache, mask, rng)

    def keys_and_values(self, memory: Array) -> tuple[Array, Array, Cache]:
        """memory (B, S, D) -> k and v (B, H, S, d), and the caches of their projections."""
        k, key_cache = self.key.forward(memory)
        v, value_cache = self.value.forward(memory)
        return split_heads(k, self.n_heads), split_heads(v, self.n_heads), Cache(key=key_cache, value=value_cache)

    def attend(
        self, x: Array, k: Array, v: Array, cache: Cache, mask: Array | None, rng: np.random.Generator | None
    ) -> tuple[Array, Cache]:
        """The queries' half: x (B, T, D), k and v (B, H, S, d) -> y (B, T, D)."""
        q, query_cache = self.query.forward(x)
        context, attention_cache = self.attention.forward(split_heads(q, self.n_heads), k, v, mask, rng=rng)
        y, output_cache = self.output.forward(merge_heads(context))
        cache.update(
            query=query_cache,
            attention=attention_cache,
            weights=attention_cache["weights"],  # the attention map, where plots look for it
            output=output_cache,
        )
        return y, cache

    def backward(self, dy: Array, cache: Cache) -> tuple[Array, Array]:
        d_context = split_heads(self.output.backward(dy, cache["output"]), self.n_heads)
        dq, dk, dv = self.attention.backward(d_context, cache["attention"])
        d_memory = self.value.backward(merge_heads(dv), cache["value"])
        d_memory = d_memory + self.key.backward(merge_heads(dk), cache["key"])
        dx = self.query.backward(merge_heads(dq), cache["query"])
        return dx, d_memory


class SelfAttention(MultiHeadAttention):
    """Multi-head attention of a sequence to itself: queries, keys and values all come from x.

    While decoding, x holds the new positions alone; the state keeps the keys and values of all positions before them.

    Shapes: x (B, T, D), mask broadcast to (B, H, T, S) -> y (B, T, D). S is T, or with a state all positions so far.
    """

    def forward(  # type: ignore[override]
        self,
        x: Array,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        if np.ndim(x) != 3:
            raise ValueError(f"x has shape {np.shape(x)}: give (B, T, D)")
        k, v, cache = self.keys_and_values(x)
        if state is not None:
            k, v = state.append("k", k), state.append("v", v)
        return self.attend(x, k, v, cache, mask, rng)

    def backward(self, dy: Array, cache: Cache) -> Array:  # type: ignore[override]
        dx, d_memory = super().backward(dy, cache)
        return dx + d_memory  # x was used twice, so its two gradients add


def check_heads(q: Array, k: Array, v: Array) -> None:
    """Raise TypeError unless all are arrays, ValueError unless q is (B, H, T, d), and k and v (B, H, S, d)."""
    if not (isinstance(q, np.ndarray) and isinstance(k, np.ndarray) and isinstance(v, np.ndarray)):
        raise TypeError(f"q, k, v are {', '.join(type(x).__name__ for x in (q, k, v))}: give NumPy arrays")
    fit = q.ndim == k.ndim == v.ndim == 4 and q.shape[:2] == k.shape[:2] and k.shape[:3] == v.shape[:3]
    if any(x.dtype.kind not in "fc" for x in (q, k, v)):
        raise TypeError(f"q, k, v have dtypes {q.dtype}, {k.dtype}, {v.dtype}: give floating numbers")
    if not (fit and q.shape[3] == k.shape[3] > 0):
        shapes = f"{q.shape}, {k.shape}, {v.shape}"
        raise ValueError(f"q, k, v have shapes {shapes}: give (B, H, T, d), then (B, H, S, d) twice")


def head_width(d_model: int, n_heads: int, d_head: int | None) -> int:
    """d, the features of a head: D / H unless it is given; ValueError where H does not divide D."""
    if n_heads < 1 or (d_head is None and d_model % n_heads):
        raise ValueError(f"n_heads={n_heads}: must divide d_model={d_model}, so that every head gets d_model / n_heads")
    return d_model // n_heads if d_head is None else d_head


def split_heads(x: Array, n_heads: int) -> Array:
    """(B, T, D) -> (B, H, T, d), a view where x allows it."""
    B, T, D = x.shape
    if T == 1:
        return x.reshape(B, n_heads, 1, D // n_heads)
    return x.reshape(B, T, n_heads, D // n_heads).swapaxes(1, 2)


def merge_heads(x: Array) -> Array:
    """(B, H, T, d) -> (B, T, D), the inverse of `split_heads`."""
    B, H, T, d = x.shape
    return x.reshape(B, T, H * d) if T == 1 else x.swapaxes(1, 2).reshape(B, T, H * d)


def matmul_heads(a: Array, b: Array) -> Array:
    """a @ b, (B, H, T, S) (B, H, S, d) -> (B, H, T, d), laid out in memory as (B, T, H, d).

    Merging the heads is then a view and not a copy (up to 1.1 times faster on a training step).
    """
    B, H, T, _ = a.shape
    if T == 1:
        return np.matmul(a, b)
    out = np.empty((B, T, H, b.shape[-1]), np.result_type(a, b)).swapaxes(1, 2)
    return np.matmul(a, b, out=out)
