"""Stacks: N blocks one after another, each working on the output of the one before.

Encoder   x -> block 1 -> ... -> block N -> norm
Decoder   the same, and every block attends to the *final* output of the encoder
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import Array, Cache, Identity, Layer
from .state import State


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
        self, x: Array, mask: Array | None = None, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        block_caches = []
        for block in self.blocks:
            x, block_cache = block.forward(x, mask, rng=rng)
            block_caches.append(block_cache)
        y, norm_cache = self.norm.forward(x)
        return y, Cache(blocks=block_caches, norm=norm_cache)

    def backward(self, dy: Array, cache: Cache) -> Array:
        dx = self.norm.backward(dy, cache["norm"])
        for block, block_cache in zip(reversed(self.blocks), reversed(cache["blocks"])):
            dx = block.backward(dx, block_cache)
        return dx

    def step(self, x: Array, state: State, *others: Any) -> Array:
        """The new positions of a causal stack, as a decoder-only model has it."""
        for i, block in enumerate(self.blocks):
            x = block.step(x, state["blocks"][i], *others)
        return self.norm.step(x, state["norm"])


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
    ) -> tuple[Array, Cache]:
        block_caches = []
        for block in self.blocks:
            x, block_cache = block.forward(x, memory, mask, memory_mask, rng=rng)
            block_caches.append(block_cache)
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

    def step(self, x: Array, state: State, *others: Any) -> Array:
        memory, memory_mask = others
        for i, block in enumerate(self.blocks):
            x = block.step(x, state["blocks"][i], memory, memory_mask)
        return self.norm.step(x, state["norm"])
