"""The blocks of a stack: attention to mix positions, then a feed-forward layer to work on each.

    EncoderBlock   x -> attention -> feed-forward
    DecoderBlock   x -> masked self-attention -> attention to the memory -> feed-forward

Every part is already wrapped in its residual connection by the model that hands it over.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Cache, Layer
from .state import State


class EncoderBlock(Layer):
    """Self-attention, then feed-forward. With a causal mask it is the block of a decoder-only model.

    Parameters
    ----------
    attention : Layer
        (x, mask) -> x, with its residual connection.
    feed_forward : Layer
        x -> x, with its residual connection; `Identity()` where a recipe has none.

    Shapes: x (B, T, D), mask broadcast to (B, H, T, T) -> y (B, T, D).

    Source: Vaswani et al. 2017, figure 1, left.
    """

    def __init__(self, attention: Layer, feed_forward: Layer) -> None:
        self.attention = attention
        self.feed_forward = feed_forward

    def forward(
        self, x: Array, mask: Array | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        h, attention_cache = self.attention.forward(x, mask, rng=rng)
        y, feed_forward_cache = self.feed_forward.forward(h, rng=rng)
        return y, Cache(attention=attention_cache, feed_forward=feed_forward_cache)

    def backward(self, dy: Array, cache: Cache) -> Array:
        dh = self.feed_forward.backward(dy, cache["feed_forward"])
        return self.attention.backward(dh, cache["attention"])

    def step(self, x: Array, state: State, *others: Any) -> Array:
        h = self.attention.step(x, state["attention"])
        return self.feed_forward.step(h, state["feed_forward"])


class DecoderBlock(Layer):
    """Masked self-attention, attention to the encoder's output, feed-forward.

    Parameters
    ----------
    attention : Layer
        (x, mask) -> x, with its residual connection.
    cross_attention : Layer
        (x, memory, memory_mask) -> x, with its residual connection.
    feed_forward : Layer
        x -> x, with its residual connection; `Identity()` where a recipe has none.

    Shapes: x (B, T, D), memory (B, S, D), mask broadcast to (B, H, T, T), memory_mask to (B, H, T, S)
    -> y (B, T, D). Backward returns the gradients of x and of the memory.

    Source: Vaswani et al. 2017, figure 1, right.
    """

    def __init__(self, attention: Layer, cross_attention: Layer, feed_forward: Layer) -> None:
        self.attention = attention
        self.cross_attention = cross_attention
        self.feed_forward = feed_forward

    def forward(
        self,
        x: Array,
        memory: Array,
        mask: Array | None = None,
        memory_mask: Array | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Array, Cache]:
        h, attention_cache = self.attention.forward(x, mask, rng=rng)
        g, cross_attention_cache = self.cross_attention.forward(h, memory, memory_mask, rng=rng)
        y, feed_forward_cache = self.feed_forward.forward(g, rng=rng)
        return y, Cache(
            attention=attention_cache, cross_attention=cross_attention_cache, feed_forward=feed_forward_cache
        )

    def backward(self, dy: Array, cache: Cache) -> tuple[Array, Array]:
        dg = self.feed_forward.backward(dy, cache["feed_forward"])
        dh, d_memory = self.cross_attention.backward(dg, cache["cross_attention"])
        dx = self.attention.backward(dh, cache["attention"])
        return dx, d_memory

    def step(self, x: Array, state: State, *others: Any) -> Array:
        memory, memory_mask = others
        h = self.attention.step(x, state["attention"])
        g = self.cross_attention.step(h, state["cross_attention"], memory, memory_mask)
        return self.feed_forward.step(g, state["feed_forward"])
