"""What incremental decoding keeps between calls: keys and values, hidden states, the number of positions so far.

The literature calls it the KV cache. Here it is the decoding *state*, because a *cache* is what backward reads. A layer
that looks at earlier positions takes `state=None`: without a state it sees all positions at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Cache
from .display import describe


class DecodingState(Cache):
    """Arrays by name, nested as the layers are nested.

    A model's `start_decoding` makes it, and every `next_logits` adds to it. A name that is not there yet is an empty
    state. It prints itself as a tree, as every cache does.
    """

    def __missing__(self, name: Any) -> DecodingState:
        self[name] = DecodingState()
        return self[name]

    def append(self, name: str, new: Array) -> Array:
        """Add positions (B, H, T, d) to those kept under `name`; returns all so far, (B, H, S, d)."""
        if name not in self:
            self[name] = GrowingBuffer(new)
            return new
        return self[name].append(new)

    def advance(self, n: int) -> int:
        """Count n more positions; returns how many there were before."""
        before = self.get("positions", 0)
        self["positions"] = before + n
        return before

    def select(self, rows: Array) -> DecodingState:
        """A new state with the given rows of the batch, by index or boolean; an index may repeat."""
        return DecodingState({name: _select(value, rows) for name, value in self.items()})


class GrowingBuffer:
    """An array (B, H, S, d) that grows along S. Its buffer doubles when it is full, so that a step's cost is even."""

    __slots__ = ("buffer", "length")

    def __init__(self, first: Array) -> None:
        self.buffer, self.length = first, first.shape[2]

    @property
    def value(self) -> Array:
        return self.buffer[:, :, : self.length]

    def append(self, new: Array) -> Array:
        B, H, T, d = new.shape
        end = self.length + T
        if end > self.buffer.shape[2]:
            longer = np.empty((B, H, max(2 * end, 16), d), np.result_type(self.buffer, new))
            longer[:, :, : self.length] = self.value
            self.buffer = longer
        self.buffer[:, :, self.length : end] = new
        self.length = end
        return self.value

    def __repr__(self) -> str:
        return describe(self.value)


def substate(state: DecodingState | None, name: Any) -> DecodingState | None:
    """The part of the state that belongs to the layer `name`; None where there is no state."""
    return None if state is None else state[name]


def _select(value: Any, rows: Array) -> Any:
    if isinstance(value, DecodingState):
        return value.select(rows)
    if isinstance(value, GrowingBuffer):
        return GrowingBuffer(value.value[rows])
    if isinstance(value, tuple):  # a recurrent encoder's memory, h and c
        return tuple(_select(item, rows) for item in value)
    return value[rows] if isinstance(value, np.ndarray) else value
