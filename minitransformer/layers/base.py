"""The contract that every layer keeps: forward returns an output and a cache, backward reads them in reverse.

A layer holds parameters and sizes, nothing that a call computes. What backward needs travels in the cache, so
a layer can be used twice, tied, unrolled over time or called again before backward, and its gradient is still right.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from .summary import Summary

Array = np.ndarray


class Parameter:
    """A trainable array and its gradient. Sharing the object *is* tying the weight.

    Attributes
    ----------
    value : array
        The weights.
    grad : array
        Same shape and dtype. A backward *adds* to it; only the trainer sets it to zero.
    """

    __slots__ = ("grad", "value")

    def __init__(self, value: Array) -> None:
        self.value = value
        # An array of zero strides is a promise of a shape without the memory (see `Unallocated`): so is its gradient.
        unallocated = value.size > 1 and not any(value.strides)
        self.grad = value if unallocated else np.zeros_like(value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    def __repr__(self) -> str:
        return f"Parameter({describe(self.value)})"


class Cache(dict):
    """Everything that backward needs, by name, nested as the layers are nested.

    It is a `dict` that prints itself, in a terminal and in Jupyter, as a tree of name, shape and dtype.
    """

    def rows(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Every entry that is not itself a cache, as (dotted path, value), in the order of the forward pass."""
        yield from _rows(self, prefix)

    def __repr__(self) -> str:
        return "\n".join(_tree(self)) or "(nothing: this backward needs no memory of its forward)"

    def _repr_html_(self) -> str:
        if not any(_tree(self)):
            return f"<p>{html.escape(repr(self))}</p>"
        head = "".join(f'<th scope="col" style="text-align: left">{name}</th>' for name in ("name", "shape", "dtype"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(_html_rows(self))}</tbody></table>"


def _entries(node: Any) -> list[tuple[str, Any]] | None:
    """The named parts of a cache or of a list of caches; None for anything else, which is a leaf."""
    if isinstance(node, Cache):
        return [(str(name), value) for name, value in node.items()]
    if isinstance(node, (list, tuple)) and node and all(isinstance(item, Cache) for item in node):
        return [(str(i), item) for i, item in enumerate(node)]
    return None


def _rows(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, value in _entries(node) or []:
        full = f"{path}.{name}" if path else name
        if _entries(value) is None:
            yield full, value
        else:
            yield from _rows(value, full)


def _tree(node: Any, indent: str = "") -> Iterator[str]:
    entries = [(name, value) for name, value in _entries(node) or [] if _entries(value) != []]
    for i, (name, value) in enumerate(entries):
        last = i == len(entries) - 1
        leaf = _entries(value) is None
        yield f"{indent}{'└─ ' if last else '├─ '}{name}" + (f"  {describe(value)}" if leaf else "")
        if not leaf:
            yield from _tree(value, indent + ("   " if last else "│  "))


def _html_rows(node: Any, depth: int = 0) -> Iterator[str]:
    left = 'style="text-align: left"'
    for name, value in _entries(node) or []:
        if _entries(value) == []:
            continue
        leaf = _entries(value) is None
        array = isinstance(value, np.ndarray)
        cells = (str(value.shape), str(value.dtype)) if array else (describe(value) if leaf else "", "")
        start = f'<th scope="row" style="text-align: left; font-weight: normal; padding-left: {1 + 1.5 * depth}em">'
        shown = html.escape(name) if leaf else f"<b>{html.escape(name)}</b>"
        yield f"<tr>{start}{shown}</th>{''.join(f'<td {left}>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        if not leaf:
            yield from _html_rows(value, depth + 1)


def describe(value: Any) -> str:
    """A value in a few words: an array by shape and dtype, anything else by its repr, shortened."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


Method = TypeVar("Method", bound=Callable[..., Any])


def shortcut(step: Method) -> Method:
    """Marks a step that is forward itself, bare of checks, cache and dropout: decoding runs thousands of them.

    In a subclass with a forward of its own it does not count, unless there is a step too.
    """
    step.is_shortcut = True  # type: ignore[attr-defined]
    return step


class Layer:
    """What can be run forward and backward. A subclass is a `forward` and, beneath it, its mirror `backward`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in vars(cls) and "step" not in vars(cls) and hasattr(cls.step, "is_shortcut"):
            cls.step = Layer.step  # type: ignore[method-assign]  # the shortcut is of another forward

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

    def step(self, x: Any, state: Any, *others: Any) -> Any:
        """The output for new positions alone; a `State` holds what the earlier ones left behind.

        As it stands, for layers that treat every position by itself; a layer that looks at others has its own.
        """
        return self.forward(x, *others)[0]

    def children(self) -> Iterator[tuple[str, Layer | Parameter]]:
        """The parameters and layers that are attributes of this one, lists of them included, by name."""
        for name, value in vars(self).items():
            if isinstance(value, (Layer, Parameter)):
                yield name, value
            elif isinstance(value, (list, tuple)):
                parts = ((f"{name}.{i}", item) for i, item in enumerate(value))
                yield from (part for part in parts if isinstance(part[1], (Layer, Parameter)))

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
        """Unique by identity, so that a tied weight is stepped and counted once."""
        return [parameter for _, parameter in self.named_parameters()]

    def n_parameters(self) -> int:
        """How many numbers are trained; a tied weight counts once."""
        return sum(parameter.size for parameter in self.parameters())

    def summary(self) -> Summary:
        """Every weight with its shape and share, and what a token costs: a table, in a terminal and in Jupyter."""
        from .summary import summary  # it knows layers that are made of this one

        return summary(self)

    def zero_grad(self) -> None:
        for parameter in self.parameters():
            parameter.grad[...] = 0


class Identity(Layer):
    """y = x. Stands where a recipe has a part that this model leaves out.

    Parameters
    ----------
    d_in, d_out : int, optional
        So that it can be made in place of a projection; a projection that does nothing cannot change the width.
    init
        As every projection takes it; there is nothing to draw.
    """

    def __init__(self, d_in: int = 0, d_out: int = 0, init: Any = None) -> None:
        if d_in != d_out:
            raise ValueError(f"d_out={d_out}: an identity keeps its width d_in={d_in}")

    def forward(self, x: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        return x, Cache()

    def backward(self, dy: Array, cache: Cache) -> Array:
        return dy

    def step(self, x: Any, state: Any, *others: Any) -> Any:
        return x


class Chain(Layer):
    """y = f_n(... f_2(f_1(x))): layers one after another, each by its name.

    Parameters
    ----------
    **layers : Layer
        In the order in which they run. The names are those of their parameters and of their caches.
    """

    def __init__(self, **layers: Layer) -> None:
        self.names = tuple(layers)
        vars(self).update(layers)

    def forward(self, x: Any, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        cache = Cache()
        for name in self.names:
            x, cache[name] = getattr(self, name).forward(x, rng=rng)
        return x, cache

    def backward(self, dx: Any, cache: Cache) -> Any:
        for name in reversed(self.names):
            dx = getattr(self, name).backward(dx, cache[name])
        return dx

    def step(self, x: Any, state: Any, *others: Any) -> Any:
        for name in self.names:
            x = getattr(self, name).step(x, state[name])
        return x
