"""The contract that every layer keeps: `forward` returns an output and a cache, `backward` reads the cache.

A layer holds parameters and sizes, and nothing that a call computes. What backward needs is in the cache. So a layer
can be used twice, tied, unrolled over time, or called again before its backward, and its gradient is still right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arguments import checked
from .display import Displayed, leaves

Array = np.ndarray


@checked
class Parameter(Displayed):
    """A trainable array and its gradient. Sharing the object *is* tying the weight.

    Attributes
    ----------
    value : array
        The weights. To set them, use `assign`.
    grad : array
        Same shape and dtype. A backward *adds* to it; only the trainer sets it to zero.
    """

    __slots__ = ("grad", "value")

    def __init__(self, value: Array) -> None:
        self.value = value
        # Zero strides: a shape without memory, for counting (see `Unallocated`). Its gradient needs none either.
        unallocated = value.size > 1 and not any(value.strides)
        self.grad = value if unallocated else np.zeros_like(value)

    def assign(self, array: Any) -> None:
        """Set the weights to the numbers of an array, converted to this parameter's dtype.

        Raises TypeError unless the array holds real numbers, ValueError unless it has this parameter's shape. A square
        matrix that is transposed cannot be noticed here: PyTorch's `nn.Linear` keeps (out, in), `Linear` (in, out).
        """
        new = np.asarray(array)
        if new.dtype.kind not in "fiu" and new.dtype != self.dtype:
            raise TypeError(f"array has dtype {new.dtype}: give real numbers, which become {self.dtype}")
        if new.shape != self.shape:
            hint = "; its transpose fits: PyTorch keeps (out, in), here it is (in, out)"
            hint = hint if new.ndim == 2 and new.T.shape == self.shape else ""
            raise ValueError(f"array has shape {new.shape}: must be {self.shape}{hint}")
        self.value[...] = new

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype


class Cache(Displayed, dict):
    """All that backward needs, by name, nested as the layers are nested. It prints itself as a tree.

    Raises ValueError for a name that it does not hold: then it was made by another layer's forward.
    """

    def __missing__(self, name: Any) -> Any:
        has = ", ".join(map(str, self)) or "nothing"
        raise ValueError(f"the cache has no {name!r}, but {has}: give the cache that this layer's own forward returned")

    def rows(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Every entry that is not itself a cache, as (dotted path, value), in the order of the forward pass."""
        yield from leaves(self, prefix)


class Layer(Displayed):
    """What can be run forward and backward. A subclass is a `forward` and, beneath it, its mirror `backward`."""

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Cache]:
        """Return (output, cache). Takes `rng=`: None evaluates, a `np.random.Generator` trains (dropout)."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, *args: Any, **options: Any) -> Any:
        """backward(d_output, cache) adds to every parameter's `grad`; returns the gradient of the inputs.

        One differentiable input: one array. Several: a tuple, in forward's order. None: None.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *inputs: Any) -> Any:
        """The output alone, for inference."""
        return self.forward(*inputs)[0]

    def children(self) -> Iterator[tuple[str, Layer | Parameter]]:
        """The parameters and layers that are attributes of this one, by name; lists, tuples and dicts are searched."""
        yield from _parts_in(vars(self), "")

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Every layer inside this one, itself first, with its dotted path; one that is used twice comes twice."""
        yield prefix, self
        for name, child in self.children():
            if isinstance(child, Layer):
                yield from child.named_layers(".".join(filter(None, (prefix, name))))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """("encoder.blocks.0.attention.query.weight", Parameter), ...; a tied one once, under its first name."""
        seen: set[int] = set()
        for path, layer in self.named_layers():
            for name, child in layer.children():
                if isinstance(child, Parameter) and id(child) not in seen:
                    seen.add(id(child))
                    yield ".".join(filter(None, (path, name))), child

    def parameters(self) -> list[Parameter]:
        """Unique by identity: a tied weight is stepped and counted once."""
        return [parameter for _, parameter in self.named_parameters()]

    def n_parameters(self) -> int:
        """How many numbers are trained; a tied weight counts once."""
        return sum(parameter.size for parameter in self.parameters())

    def zero_grad(self) -> None:
        """Set every parameter's gradient to zero."""
        for parameter in self.parameters():
            parameter.grad[...] = 0


def _parts_in(container: Any, path: str) -> Iterator[tuple[str, Layer | Parameter]]:
    """The parameters and layers in nested dicts, lists and tuples, by their dotted path."""
    for name, value in container.items() if isinstance(container, dict) else enumerate(container):
        full = f"{path}.{name}" if path else str(name)
        if isinstance(value, (Layer, Parameter)):
            yield full, value
        elif isinstance(value, (dict, list, tuple)):
            yield from _parts_in(value, full)
