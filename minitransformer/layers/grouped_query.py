"""Grouped-query attention: G query heads share one key and value head, so what decoding keeps is G times smaller.

context_h = softmax(q_h k_(h // G)^T / sqrt(d) + mask) v_(h // G)          h = 0 ... H - 1,  G = H / H_kv
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arguments import checked
from .attention import ScaledDotProductAttention, head_width, merge_heads, split_heads
from .base import Array, Cache, Layer
from .checks import check_axes
from .decoding_state import DecodingState
from .initializers import Init, as_initializer
from .linear import Linear


@checked
class GroupedQueryAttention(Layer):
    """Self-attention with H query heads and H_kv key and value heads: H is multi-head, 1 is multi-query attention.

    Parameters
    ----------
    d_model : int
        D, width of the input and of the output.
    n_heads, n_kv_heads : int
        H and H_kv, which must divide H.
    init : Initializer or np.random.Generator
        Draws the projections.
    dropout : float
        Probability of dropping an attention weight while training.
    projection, output : layer class
        What maps x to queries, keys and values, and the heads' contexts to the output.
    rotary : Layer, optional
        (x, start) -> x of (B, H, T, d): it turns queries and keys by their positions. Such as `Rotary(d)`.
    d_head : int, optional
        d where it is not D / H.

    Shapes: x (B, T, D), mask broadcast to (B, 1, T, S) -> y (B, T, D). The attention map is `cache["weights"]`,
    (B, H, T, S). While decoding, x holds the new positions alone, and the state the keys and values of those before.

    Source: Ainslie et al. 2023, "GQA", section 2.2.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int,
        init: Init,
        dropout: float = 0.0,
        projection: Callable[[int, int, Init], Layer] = Linear,
        output: Callable[[int, int, Init], Layer] = Linear,
        rotary: Layer | None = None,
        d_head: int | None = None,
    ) -> None:
        d = head_width(d_model, n_heads, d_head)
        if n_kv_heads < 1 or n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads}: must divide n_heads={n_heads}, so that all groups are equal")
        init = as_initializer(init)
        self.d_model, self.n_heads, self.n_kv_heads, self.d_head = d_model, n_heads, n_kv_heads, d
        self.query = projection(d_model, n_heads * d, init)
        self.key = projection(d_model, n_kv_heads * d, init)
        self.value = projection(d_model, n_kv_heads * d, init)
        self.rotary = rotary
        self.attention = ScaledDotProductAttention(dropout)
        self.output = output(n_heads * d, d_model, init)

    def forward(
        self,
        x: Array,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        check_axes("x", x, "B T D")
        B, T, _ = x.shape
        H, H_kv, d = self.n_heads, self.n_kv_heads, self.d_head
        G = H // H_kv
        start = 0 if state is None else state.advance(T)
        q, query_cache = self.query.forward(x)
        k, key_cache = self.key.forward(x)
        v, value_cache = self.value.forward(x)
        q, k, v = split_heads(q, H), split_heads(k, H_kv), split_heads(v, H_kv)
        q, query_rotary_cache = self.rotate(q, start)
        k, key_rotary_cache = self.rotate(k, start)
        if state is not None:
            k, v = state.append("k", k), state.append("v", v)
        # The queries of a group stand one below the other, before the one key head that they share.
        q = q.reshape(B, H_kv, G * T, d)  # (B, H, T, d) -> (B, H_kv, G T, d)
        context, attention_cache = self.attention.forward(q, k, v, mask_of_groups(mask, G), rng=rng)
        y, output_cache = self.output.forward(merge_heads(context.reshape(B, H, T, d)))
        return y, Cache(
            query=query_cache,
            key=key_cache,
            value=value_cache,
            query_rotary=query_rotary_cache,
            key_rotary=key_rotary_cache,
            attention=attention_cache,
            weights=attention_cache["weights"].reshape(B, H, T, -1),  # the attention map, where plots look for it
            output=output_cache,
        )

    def backward(self, dy: Array, cache: Cache) -> Array:
        B, _, T, _ = cache["weights"].shape
        H, H_kv, d = self.n_heads, self.n_kv_heads, self.d_head
        d_context = split_heads(self.output.backward(dy, cache["output"]), H).reshape(B, H_kv, -1, d)
        dq, dk, dv = self.attention.backward(d_context, cache["attention"])
        dk = self.rotate_backward(dk, cache["key_rotary"])
        dq = self.rotate_backward(dq.reshape(B, H, T, d), cache["query_rotary"])
        dx = self.value.backward(merge_heads(dv), cache["value"])
        dx = dx + self.key.backward(merge_heads(dk), cache["key"])  # x was used three times: its gradients add
        return dx + self.query.backward(merge_heads(dq), cache["query"])

    def rotate(self, x: Array, start: int) -> tuple[Array, Cache]:
        return (x, Cache()) if self.rotary is None else self.rotary.forward(x, start=start)

    def rotate_backward(self, dy: Array, cache: Cache) -> Array:
        return dy if self.rotary is None else self.rotary.backward(dy, cache)


def mask_of_groups(mask: Array | None, G: int) -> Array | None:
    """The mask of G queries that stand one below the other: (..., 1, T, S) -> (..., 1, G T, S).

    Raises ValueError for a mask that differs from head to head.
    """
    if mask is None or not isinstance(mask, np.ndarray) or mask.ndim < 2 or mask.shape[-2] == 1:
        return mask
    if mask.ndim > 2 and mask.shape[-3] != 1:
        raise ValueError(f"mask has shape {mask.shape}: all heads must have the same, (B, 1, T, S)")
    return np.concatenate([mask] * G, axis=-2)
