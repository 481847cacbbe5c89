"""What shape is this here? One forward and one backward of a model, written down layer by layer as they run."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..arguments import checked
from ..layers import Array, Layer
from .layer_under_test import temporarily

HEADINGS = ("layer", "class", "input", "output", "gradient", "|x|", "|y|", "|dy|", "ms", "ms back", "parameters")
_LEFT = 5  # so many columns hold words and shapes; the others numbers, which stand at the right

Shapes = tuple[tuple[int, ...], ...]


@dataclass
class LayerCall:
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
    parameters: int
    inputs: Shapes
    input_norm: float | None
    outputs: Shapes = ()
    gradients: Shapes = ()
    output_norm: float | None = None
    gradient_norm: float | None = None
    forward_ms: float = 0.0
    backward_ms: float | None = None

    def cells(self, parent: str = "") -> tuple[str, ...]:
        """The call's texts, one for each of `HEADINGS`; the path without that of the layer around it."""
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
    steps : list of LayerCall
    """

    title: str
    steps: list[LayerCall] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[LayerCall]:
        return iter(self.steps)

    def __getitem__(self, path: str) -> list[LayerCall]:
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


@checked
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
    if any(np.iscomplexobj(x) for x in inputs):
        raise TypeError("inputs are complex: give real numbers; a gradient by complex step is `check_gradients`")
    with temporarily(model):
        recorder = _Recorder(model)
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
    return Trace(title, recorder.calls)


class _Recorder:
    """Notes every forward and backward of the layers inside a model. For use within `temporarily(model)`."""

    def __init__(self, model: Layer) -> None:
        self.calls: list[LayerCall] = []
        self.waiting: list[tuple[Layer, Any, LayerCall]] = []  # layer and cache of a forward without its backward
        self.depth = 0
        for path, layer in {id(layer): (path, layer) for path, layer in reversed([*model.named_layers()])}.values():
            # On the object they hide the class's methods; `temporarily` takes them away again.
            vars(layer)["forward"] = self._noting_forward(layer.forward, path, layer)
            vars(layer)["backward"] = self._noting_backward(layer.backward, layer)

    def _noting_forward(self, forward: Callable[..., Any], path: str, layer: Layer) -> Callable[..., Any]:
        def noted(*inputs: Any, **options: Any) -> Any:
            kind, size = type(layer).__name__, layer.n_parameters()
            call = LayerCall(path, kind, self.depth, size, _shapes(inputs), _norm(inputs))
            self.calls.append(call)
            self.depth += 1
            started = time.perf_counter()
            output, cache = forward(*inputs, **options)
            call.forward_ms = 1e3 * (time.perf_counter() - started)
            self.depth -= 1
            call.outputs, call.output_norm = _shapes((output,)), _norm((output,))
            self.waiting.append((layer, cache, call))
            return output, cache

        return noted

    def _noting_backward(self, backward: Callable[..., Any], layer: Layer) -> Callable[..., Any]:
        def noted(d_output: Any, cache: Any) -> Any:
            of_layer = [waiting for waiting in self.waiting if waiting[0] is layer]
            # A layer that is used several times knows its call by the cache; a wrapper hands on a cache of its own,
            # and then backward runs in the reverse order of forward.
            mine = [waiting for waiting in of_layer if waiting[1] is cache] or of_layer
            started = time.perf_counter()
            gradients = backward(d_output, cache)
            if mine:
                self.waiting = [waiting for waiting in self.waiting if waiting is not mine[-1]]
                call = mine[-1][2]
                call.backward_ms = 1e3 * (time.perf_counter() - started)
                call.gradients, call.gradient_norm = _shapes((d_output,)), _norm((d_output,))
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


def _html_row(step: LayerCall, cells: tuple[str, ...]) -> str:
    style = f"text-align: left; font-weight: normal; padding: 1px 6px 1px {0.4 + step.depth:g}em"
    name = f'<th scope="row" style="{style}">'
    texts = [f'<td style="{_style(i)}">{html.escape(cell)}</td>' for i, cell in enumerate(cells[1:], start=1)]
    return f"<tr>{name}{html.escape(cells[0].strip())}</th>{''.join(texts)}</tr>"
