"""What shape is this here? One forward and one backward of a model, written down layer by layer as they run."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..layers import Array, Layer
from .probe import borrowed

HEADINGS = ("layer", "class", "input", "output", "gradient", "|x|", "|y|", "|dy|", "ms", "ms back", "parameters")
_LEFT = 5  # so many columns hold words and shapes; the others numbers, which stand at the right

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Step:
    """One layer's forward and its backward.

    Attributes
    ----------
    path : str
        Dotted, as in `named_parameters`; "" is the model itself. A wrapper has the path of what it wraps.
    kind : str
        The layer's class.
    depth : int
        How many layers it runs inside of.
    inputs, outputs : tuple of shapes
        Of forward. Masks and options are left out.
    gradients : tuple of shapes
        Of what backward was given: the gradient of the output. Empty where no backward came.
    input_norm, output_norm, gradient_norm : float or None
        Euclidean, over all finite numbers of all arrays (a masked score is -inf); None where there are only ids.
    forward_ms, backward_ms : float or None
        Milliseconds, with all that runs inside.
    parameters : int
        How many, with those of all that is inside; a tied one counts once.
    """

    path: str
    kind: str
    depth: int
    inputs: Shapes
    outputs: Shapes
    gradients: Shapes
    input_norm: float | None
    output_norm: float | None
    gradient_norm: float | None
    forward_ms: float
    backward_ms: float | None
    parameters: int

    def cells(self, parent: str = "") -> tuple[str, ...]:
        """The step's texts, one for each of `HEADINGS`; the path without that of the layer around it."""
        inside = self.path[len(parent) + 1 :] if parent and self.path.startswith(f"{parent}.") else self.path
        name = "" if self.path == parent else inside
        return (
            "  " * self.depth + (name or ("(the model)" if self.depth == 0 else "·")),
            self.kind,
            *(", ".join("()" if s == () else str(s) for s in shapes) for shapes in (self.inputs, self.outputs)),
            ", ".join(str(s) for s in self.gradients),
            *(_short(norm) for norm in (self.input_norm, self.output_norm, self.gradient_norm)),
            *("" if ms is None else f"{ms:.2f}" for ms in (self.forward_ms, self.backward_ms)),
            f"{self.parameters:,}" if self.parameters else "",
        )


@dataclass(frozen=True, repr=False)
class Trace:
    """The steps of one forward and backward, in the order in which the forwards began.

    It prints itself as a table, in a terminal and in Jupyter.

    Attributes
    ----------
    title : str
    steps : list of Step
    """

    title: str
    steps: list[Step] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __getitem__(self, path: str) -> list[Step]:
        """All steps of a path: a wrapper and what it wraps, and every use of a layer that is used several times."""
        if found := [step for step in self.steps if step.path == path]:
            return found
        raise KeyError(f"{path!r}: there are {', '.join(dict.fromkeys(s.path for s in self.steps if s.path))}")

    def to_depth(self, depth: int) -> Trace:
        """Only the steps at most so deep: 0 is the model, 1 its parts, ..."""
        return replace(self, steps=[step for step in self.steps if step.depth <= depth])

    def rows(self) -> list[tuple[str, ...]]:
        """The cells of all steps."""
        around: list[str] = []
        rows = []
        for step in self.steps:
            del around[step.depth :]
            rows.append(step.cells(around[-1] if around else ""))
            around.append(step.path)
        return rows

    def __repr__(self) -> str:
        table = [HEADINGS, *self.rows()]
        widths = [max(len(cells[i]) for cells in table) for i in range(len(HEADINGS))]
        lines = ["  ".join(_align(i, cell, widths[i]) for i, cell in enumerate(cells)).rstrip() for cells in table]
        return "\n".join([self.title, lines[0], "  ".join("-" * width for width in widths), *lines[1:]])

    def _repr_html_(self) -> str:
        head = "".join(_html_heading(i, heading) for i, heading in enumerate(HEADINGS))
        body = "".join(_html_row(step, cells) for step, cells in zip(self.steps, self.rows()))
        caption = f'<caption style="text-align: left">{html.escape(self.title)}</caption>'
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def trace(
    model: Layer,
    *inputs: Any,
    loss_gradient: Callable[[Any], Any] | None = None,
    rng: np.random.Generator | None = None,
) -> Trace:
    """Run one forward and one backward and write down every layer's part in them.

    Parameters
    ----------
    model : Layer
    *inputs
        Of its forward, such as a batch's `source, target`.
    loss_gradient : callable, optional
        output -> gradient of the loss with respect to it. None: normally distributed numbers, the same each time.
    rng : np.random.Generator, optional
        For dropout; None evaluates.

    The model is given back as it was, gradients included.
    """
    uses: list[_Use] = []
    with borrowed(model), _recording(model, uses):
        for parameter in model.parameters():
            parameter.grad = np.zeros_like(parameter.value)  # backward adds; what was there is given back
        options = {} if rng is None else {"rng": rng}
        output, cache = model.forward(*inputs, **options)
        if loss_gradient is None:
            d_output = np.random.default_rng(0).standard_normal(output.shape).astype(output.dtype)
        else:
            d_output = loss_gradient(output)
        model.backward(d_output, cache)
    shapes = ", ".join(str(shape) for shape in _shapes(inputs))
    title = f"{type(model).__name__} of {shapes}: one forward, one backward, {model.n_parameters():,} parameters"
    return Trace(title, [use.step() for use in uses])


class _Use:
    """One call of a forward, to which its backward comes later."""

    def __init__(self, path: str, layer: Layer, depth: int, inputs: tuple[Any, ...]) -> None:
        self.path, self.layer, self.depth = path, layer, depth
        self.inputs, self.input_norm = _shapes(inputs), _norm(inputs)
        self.outputs: Shapes = ()
        self.gradients: Shapes = ()
        self.output_norm: float | None = None
        self.gradient_norm: float | None = None
        self.forward_ms = 0.0
        self.backward_ms: float | None = None
        self.cache: Any = None

    def step(self) -> Step:
        return Step(
            self.path,
            type(self.layer).__name__,
            self.depth,
            self.inputs,
            self.outputs,
            self.gradients,
            self.input_norm,
            self.output_norm,
            self.gradient_norm,
            self.forward_ms,
            self.backward_ms,
            self.layer.n_parameters(),
        )


@contextmanager
def _recording(model: Layer, uses: list[_Use]) -> Iterator[None]:
    """Within, every forward and backward of a layer inside is timed and noted. For use within `borrowed(model)`."""
    depth = [0]
    seen: set[int] = set()
    for path, layer in model.named_layers():
        if id(layer) not in seen:
            seen.add(id(layer))
            forward, backward = layer.forward, layer.backward
            # On the object they hide the class's methods; `borrowed` takes them away again.
            vars(layer)["forward"] = _noting_forward(forward, path, layer, uses, depth)
            vars(layer)["backward"] = _noting_backward(backward, layer, uses)
    yield


def _noting_forward(
    forward: Callable[..., Any], path: str, layer: Layer, uses: list[_Use], depth: list[int]
) -> Callable[..., Any]:
    def noted(*inputs: Any, **options: Any) -> Any:
        use = _Use(path, layer, depth[0], inputs)
        uses.append(use)
        depth[0] += 1
        started = time.perf_counter()
        output, use.cache = forward(*inputs, **options)
        use.forward_ms = 1e3 * (time.perf_counter() - started)
        depth[0] -= 1
        use.outputs, use.output_norm = _shapes((output,)), _norm((output,))
        return output, use.cache

    return noted


def _noting_backward(backward: Callable[..., Any], layer: Layer, uses: list[_Use]) -> Callable[..., Any]:
    def noted(d_output: Any, cache: Any) -> Any:
        waiting = [use for use in uses if use.layer is layer and use.backward_ms is None]
        # A layer that is used several times knows its use by the cache; a wrapper hands on one of its own, and then
        # backward runs in the reverse order of forward.
        mine = [use for use in waiting if use.cache is cache] or waiting
        started = time.perf_counter()
        gradients = backward(d_output, cache)
        if mine:
            use = mine[-1]
            use.backward_ms = 1e3 * (time.perf_counter() - started)
            use.gradients, use.gradient_norm = _shapes((d_output,)), _norm((d_output,))
        return gradients

    return noted


def _shapes(values: tuple[Any, ...]) -> Shapes:
    """Shapes of all arrays that are no masks; of a tuple or list of arrays, those of its members."""
    return tuple(array.shape for array in _arrays(values))


def _norm(values: tuple[Any, ...]) -> float | None:
    floating = [array for array in _arrays(values) if array.dtype.kind in "fc"]
    total = sum(float(np.sum(np.abs(array[np.isfinite(array)], dtype=np.float64) ** 2)) for array in floating)
    return total**0.5 if floating else None


def _arrays(values: Any) -> Iterator[Array]:
    for value in values:
        if isinstance(value, np.ndarray) and value.dtype.kind != "b":
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _arrays(value)


def _short(norm: float | None) -> str:
    return "" if norm is None else f"{norm:.3g}"


def _align(column: int, cell: str, width: int) -> str:
    return cell.ljust(width) if column < _LEFT else cell.rjust(width)


def _style(column: int) -> str:
    return f"text-align: {'left' if column < _LEFT else 'right'}; padding: 1px 6px; white-space: nowrap"


def _html_heading(column: int, heading: str) -> str:
    return f'<th scope="col" style="{_style(column)}">{html.escape(heading)}</th>'


def _html_row(step: Step, cells: tuple[str, ...]) -> str:
    style = f"text-align: left; font-weight: normal; padding: 1px 6px 1px {0.4 + step.depth:g}em"
    name = f'<th scope="row" style="{style}">'
    texts = [f'<td style="{_style(i)}">{html.escape(cell)}</td>' for i, cell in enumerate(cells[1:], start=1)]
    return f"<tr>{name}{html.escape(cells[0].strip())}</th>{''.join(texts)}</tr>"
