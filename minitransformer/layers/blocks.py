"""The blocks of a stack, and N of them one after another.

    EncoderBlock   x -> attention -> feed-forward
    DecoderBlock   x -> masked self-attention -> attention to the memory -> feed-forward

    Encoder        x -> block 1 -> ... -> block N -> norm
    Decoder        the same, and every block attends to the *final* output of the encoder, the memory

Every part is already wrapped in its residual connection by the model that hands it over. While decoding, `state` holds
what the earlier positions left behind; blocks and stacks only hand each part its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arguments import checked
from .base import Array, Cache, Layer
from .containers import Identity
from .decoding_state import DecodingState, substate


@checked
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
        self,
        x: Array,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        h, attention_cache = self.attention.forward(x, mask, rng=rng, state=substate(state, "attention"))
        y, feed_forward_cache = self.feed_forward.forward(h, rng=rng)
        return y, Cache(attention=attention_cache, feed_forward=feed_forward_cache)

    def backward(self, dy: Array, cache: Cache) -> Array:
        dh = self.feed_forward.backward(dy, cache["feed_forward"])
        return self.attention.backward(dh, cache["attention"])


@checked
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
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        h, attention_cache = self.attention.forward(x, mask, rng=rng, state=substate(state, "attention"))
        g, cross_attention_cache = self.cross_attention.forward(
            h, memory, memory_mask, rng=rng, state=substate(state, "cross_attention")
        )
        y, feed_forward_cache = self.feed_forward.forward(g, rng=rng)
        return y, Cache(
            attention=attention_cache, cross_attention=cross_attention_cache, feed_forward=feed_forward_cache
        )

    def backward(self, dy: Array, cache: Cache) -> tuple[Array, Array]:
        dg = self.feed_forward.backward(dy, cache["feed_forward"])
        dh, d_memory = self.cross_attention.backward(dg, cache["cross_attention"])
        dx = self.attention.backward(dh, cache["attention"])
        return dx, d_memory


@checked
class Encoder(Layer):
    """A stack of encoder blocks.

    Parameters
    ----------
    blocks : sequence of Layer
        (x, mask) -> x each.
    norm : Layer, optional
        After the last block: pre-norm stacks need one; by default there is none.

    Shapes: x (B, T, D) -> y (B, T, D).
    """

    def __init__(self, blocks: Sequence[Layer], norm: Layer | None = None) -> None:
        self.blocks = list(blocks)
        self.norm = norm or Identity()

    def forward(
        self,
        x: Array,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        block_caches = []
        for i, block in enumerate(self.blocks):
            x, block_cache = block.forward(x, mask, rng=rng, state=substate(state, i))
            if state is None:
                block_caches.append(block_cache)
            del block_cache  # nobody runs backward through decoding: its memory is free for the next block
        y, norm_cache = self.norm.forward(x)
        return y, Cache(blocks=block_caches, norm=norm_cache)

    def backward(self, dy: Array, cache: Cache) -> Array:
        dx = self.norm.backward(dy, cache["norm"])
        for block, block_cache in zip(reversed(self.blocks), reversed(cache["blocks"])):
            dx = block.backward(dx, block_cache)
        return dx


@checked
class Decoder(Layer):
    """A stack of decoder blocks.

    Parameters
    ----------
    blocks : sequence of Layer
        (x, memory, mask, memory_mask) -> x each.
    norm : Layer, optional
        After the last block: pre-norm stacks need one; by default there is none.

    Shapes: x (B, T, D), memory (B, S, D) -> y (B, T, D). Backward returns the gradients of x and of the memory.
    """

    def __init__(self, blocks: Sequence[Layer], norm: Layer | None = None) -> None:
        self.blocks = list(blocks)
        self.norm = norm or Identity()

    def forward(
        self,
        x: Array,
        memory: Array,
        mask: Array | None = None,
        memory_mask: Array | None = None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        block_caches = []
        for i, block in enumerate(self.blocks):
            x, block_cache = block.forward(x, memory, mask, memory_mask, rng=rng, state=substate(state, i))
            if state is None:
                block_caches.append(block_cache)
            del block_cache  # nobody runs backward through decoding: its memory is free for the next block
        y, norm_cache = self.norm.forward(x)
        # The memory is cached for its shape: a stack without blocks still owes it a gradient.
        return y, Cache(memory=memory, blocks=block_caches, norm=norm_cache)

    def backward(self, dy: Array, cache: Cache) -> tuple[Array, Array]:
        dx = self.norm.backward(dy, cache["norm"])
        d_memory = np.zeros_like(cache["memory"])
        for block, block_cache in zip(reversed(self.blocks), reversed(cache["blocks"])):
            dx, d_memory_of_block = block.backward(dx, block_cache)
            d_memory += d_memory_of_block  # every block read the same memory, so its gradients add
        return dx, d_memory
