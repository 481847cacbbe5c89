"""Grouped-query attention: G query heads share one key and value head, so what decoding keeps is G times smaller.

context_h = softmax(q_h k_(h // G)^T / sqrt(d) + mask) v_(h // G)          h = 0 ... H - 1,  G = H / H_kv
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .attention import ScaledDotProductAttention, merge_heads, split_heads
from .base import Array, Cache, Identity, Layer
from .initializers import Init, as_initializer
from .linear import Linear
from .masks import causal_mask
from .state import State


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
        (B, H, T, d) -> (B, H, T, d), what tells queries and keys their positions, such as `Rotary(d)`.
    d_head : int, optional
        d where it is not D / H.

    Shapes: x (B, T, D), mask broadcast to (B, H, T, T) -> y (B, T, D). The attention map is `cache["weights"]`,
    (B, H, T, T).

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
        if n_heads < 1 or (d_head is None and d_model % n_heads):
            raise ValueError(
                f"n_heads={n_heads}: must divide d_model={d_model}, so that every head gets d_model / n_heads"
            )
        if n_kv_heads < 1 or n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads}: must divide n_heads={n_heads}, so that all groups are equal")
        init = as_initializer(init)
        d = d_head or d_model // n_heads
        self.d_model, self.n_heads, self.n_kv_heads, self.d_head = d_model, n_heads, n_kv_heads, d
        self.query = projection(d_model, n_heads * d, init)
        self.key = projection(d_model, n_kv_heads * d, init)
        self.value = projection(d_model, n_kv_heads * d, init)
        self.rotary = rotary or Identity()
        self.attention = ScaledDotProductAttention(dropout)
        self.output = output(n_heads * d, d_model, init)

    def forward(
        self, x: Array, mask: Array | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        H, G = self.n_heads, self.n_heads // self.n_kv_heads
        q, query_cache = self.query.forward(x)
        k, key_cache = self.key.forward(x)
        v, value_cache = self.value.forward(x)
        q, query_rotary_cache = self.rotary.forward(split_heads(q, H))
        k, key_rotary_cache = self.rotary.forward(split_heads(k, H // G))
        v = split_heads(v, H // G)
        k, v = np.repeat(k, G, axis=1), np.repeat(v, G, axis=1)  # (B, H_kv, T, d) -> (B, H, T, d)
        context, attention_cache = self.attention.forward(q, k, v, mask, rng=rng)
        y, output_cache = self.output.forward(merge_heads(context))
        return y, Cache(
            query=query_cache,
            key=key_cache,
            value=value_cache,
            query_rotary=query_rotary_cache,
            key_rotary=key_rotary_cache,
            attention=attention_cache,
            weights=attention_cache["weights"],  # the attention map, where plots look for it
            output=output_cache,
        )

    def backward(self, dy: Array, cache: Cache) -> Array:
        H, G = self.n_heads, self.n_heads // self.n_kv_heads
        d_context = split_heads(self.output.backward(dy, cache["output"]), H)
        dq, dk, dv = self.attention.backward(d_context, cache["attention"])
        dk, dv = sum_groups(dk, G), sum_groups(dv, G)  # G heads read the same key, so their gradients add
        dk = self.rotary.backward(dk, cache["key_rotary"])
        dq = self.rotary.backward(dq, cache["query_rotary"])
        dx = self.value.backward(merge_heads(dv), cache["value"])
        dx = dx + self.key.backward(merge_heads(dk), cache["key"])
        return dx + self.query.backward(merge_heads(dq), cache["query"])

    def step(self, x: Array, state: State, *others: Any) -> Array:
        """Causal: every new position attends to itself and to all before it.

        The queries of a group stand one below the other before their one key head, so that the keys kept in the state
        are never repeated.
        """
        B, T, _ = x.shape
        H, H_kv, d = self.n_heads, self.n_kv_heads, self.d_head
        G = H // H_kv
        q = self.rotary.step(split_heads(self.query.step(x, state["query"]), H), state["query_rotary"])
        k = self.rotary.step(split_heads(self.key.step(x, state["key"]), H_kv), state["key_rotary"])
        k = state.extend("k", k)
        v = state.extend("v", split_heads(self.value.step(x, state["value"]), H_kv))
        mask = np.tile(causal_mask(k.shape[2], T), (1, 1, G, 1)) if T > 1 else None  # (1, 1, T, S) -> (1, 1, G T, S)
        q = q.reshape(B, H_kv, G * T, d)  # (B, H, T, d) -> (B, H_kv, G T, d)
        context = self.attention.step(q, state["attention"], k, v, mask)
        return self.output.step(merge_heads(context.reshape(B, H, T, d)), state["output"])


def sum_groups(dx: Array, group: int) -> Array:
    """The gradient of `np.repeat(x, group, axis=1)`: (B, H, T, d) -> (B, H / group, T, d)."""
    B, H, T, d = dx.shape
    return dx.reshape(B, H // group, group, T, d).sum(axis=2)
