"""What incremental decoding keeps: a layer that looks at earlier positions finds what it needs of them in a state.

`forward` reads all positions at once; `step` reads the new ones and the state, and gives the same outputs for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Cache, describe


class State(Cache):
    """Keys and values, hidden states, counts, by name, nested as the layers are nested.

    The caller makes it, empty, and hands it to a model's `step`, which adds to it. Asked for a name that it does not
    have, it makes an empty state under that name. It prints itself as a tree, as every cache does.
    """

    def __missing__(self, name: Any) -> State:
        self[name] = State()
        return self[name]

    def extend(self, name: str, new: Array) -> Array:
        """Append positions (B, H, T, d) to what `name` holds; returns all so far, (B, H, S, d)."""
        if name not in self:
            self[name] = Growing(new)
            return new
        return self[name].extend(new)

    def advance(self, n: int) -> int:
        """Count n more positions; returns how many there were before."""
        before = self.get("positions", 0)
        self["positions"] = before + n
        return before

    def select(self, rows: Array) -> State:
        """A state of its own for the given rows of the batch, by index or boolean; an index may repeat."""
        return State({name: _select(value, rows) for name, value in self.items()})


class Growing:
    """An array (B, H, S, d) that grows along S, in a buffer twice as long whenever it is full.

    So the cost of a step does not grow with the length, but for attention's own.
    """

    __slots__ = ("buffer", "length")

    def __init__(self, first: Array) -> None:
        self.buffer, self.length = first, first.shape[2]

    @property
    def value(self) -> Array:
        return self.buffer[:, :, : self.length]

    def extend(self, new: Array) -> Array:
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


def _select(value: Any, rows: Array) -> Any:
    if isinstance(value, State):
        return value.select(rows)
    if isinstance(value, Growing):
        return Growing(value.value[rows])
    return value[rows] if isinstance(value, np.ndarray) else value
