"""A layer under test: its parameters are cast and perturbed, it runs forward and backward, and is then restored."""

from __future__ import annotations

import copy
import inspect
import types
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..layers import Array, Layer, Parameter
from .numerical import central_difference, complex_step

try:
    from numpy.exceptions import ComplexWarning
except ImportError:  # NumPy before 1.25
    from numpy import ComplexWarning  # type: ignore[attr-defined, no-redef]


@contextmanager
def temporarily(layer: Layer) -> Iterator[None]:
    """Inside, parameters may be replaced and attributes set; afterwards the layer is what it was, gradients too."""
    parameters = [(p, p.value, p.grad) for p in layer.parameters()]
    attributes = [(part, dict(vars(part))) for _, part in layer.named_layers()]
    try:
        yield
    finally:
        for part, kept in attributes:
            vars(part).clear()
            vars(part).update(kept)
        for parameter, value, grad in parameters:
            parameter.value, parameter.grad = value, grad


class LayerUnderTest:
    """A layer at one point: parameters, inputs, an upstream gradient and a seed for dropout.

    Parameters
    ----------
    layer : Layer
        To be used within `temporarily(layer)`.
    inputs : sequence
        Of forward; arrays of floating numbers become float64.
    options : dict
        Keyword arguments of forward.
    differentiable : sequence of str or int, optional
        Which inputs backward returns gradients of, by name or position; by default those of floating numbers.
    dropout_seed : int or None
        Every forward gets a fresh generator with this seed, so that the same numbers drop; None: no generator.
    """

    def __init__(
        self,
        layer: Layer,
        inputs: Sequence[Any],
        options: dict[str, Any] | None = None,
        differentiable: Sequence[str | int] | None = None,
        dropout_seed: int | None = 1,
    ) -> None:
        self.layer, self.options, self.dropout_seed = layer, dict(options or {}), dropout_seed
        signature = inspect.signature(layer.forward).parameters
        self.takes_rng = "rng" in signature or any(p.kind is p.VAR_KEYWORD for p in signature.values())
        self.input_names = _input_names(signature, len(inputs))
        self.inputs = [x.astype(np.float64) if is_floating(x) else copy.copy(x) for x in inputs]
        self.slots = self._slots(differentiable)
        self.named_parameters = list(layer.named_parameters())
        self.values = [p.value.real.astype(np.float64) for _, p in self.named_parameters]
        self.upstream: Any = None

    def _slots(self, differentiable: Sequence[str | int] | None) -> list[int]:
        if differentiable is None:
            return [i for i, x in enumerate(self.inputs) if is_floating(x)]
        slots = []
        for which in differentiable:
            slot = self.input_names.index(which) if which in self.input_names else which
            if not isinstance(slot, int) or not 0 <= slot < len(self.inputs) or not is_floating(self.inputs[slot]):
                raise ValueError(
                    f"differentiable={which!r}: must name an input of floating numbers among {self.input_names}"
                )
            slots.append(slot)
        return slots

    @property
    def names(self) -> list[str]:
        """Of every tensor with a gradient: the differentiable inputs, then the parameters."""
        return [self.input_names[slot] for slot in self.slots] + [name for name, _ in self.named_parameters]

    @property
    def points(self) -> list[Array]:
        """The tensors themselves, in the order of `names`."""
        return [self.inputs[slot] for slot in self.slots] + self.values

    def randomize(self, rng: np.random.Generator) -> None:
        """Draw every parameter anew, of order one: initial gains of 1 and shifts of 0 hide mistakes."""
        self.values = [random_parameter(value.shape, rng) for value in self.values]

    def with_changes(self, **changes: Any) -> LayerUnderTest:
        """The same test with some attributes changed."""
        other = copy.copy(self)
        vars(other).update(changes)
        return other

    def install(self, dtype: Any) -> list[Any]:
        """Give the layer fresh parameters of this dtype, their gradients zero; return fresh inputs of it."""
        for (_, parameter), value in zip(self.named_parameters, self.values):
            parameter.value = value.astype(dtype)
            parameter.grad = np.zeros(value.shape, dtype)
        return [x.astype(dtype) if is_floating(x) else copy.copy(x) for x in self.inputs]

    def forward(self, inputs: Sequence[Any], dropout_seed: int | None = None) -> tuple[Any, Any]:
        """One forward with the parameters as installed: (output, cache)."""
        seed = self.dropout_seed if dropout_seed is None else dropout_seed
        rng = {"rng": None if seed is None else np.random.default_rng(seed)} if self.takes_rng else {}
        result = self.layer.forward(*inputs, **self.options, **rng)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"forward must return (output, cache): it returned {type(result).__name__}")
        return result

    def draw_upstream(self, output: Any, rng: np.random.Generator) -> None:
        """A random gradient of the output, never all ones: a softmax's gradient would then be exactly zero."""
        self.upstream = _map(lambda y: rng.standard_normal(np.shape(y)) + 0.1, output)

    def upstream_as(self, dtype: Any) -> Any:
        """The upstream gradient as a fresh array; a scalar's is a NumPy scalar."""
        return _map(lambda dy: np.array(dy, dtype)[()], self.upstream)

    def gradients(self) -> list[Any]:
        """What backward finds, in the order of `names`; raises what the layer raises."""
        inputs = self.install(np.float64)
        _, cache = self.forward(inputs)
        return self.collect(self.layer.backward(self.upstream_as(np.float64), cache))

    def collect(self, returned: Any) -> list[Any]:
        """What backward returned for the inputs and added to the parameters; None where it returned too few."""
        d_inputs = as_list(returned)[: len(self.slots)]
        d_inputs += [None] * (len(self.slots) - len(d_inputs))
        return d_inputs + [np.array(parameter.grad) for _, parameter in self.named_parameters]

    def numerical_gradient(self, i: int, method: str) -> Array:
        """The gradient of the i-th tensor of `names`, without any backward."""
        f, point = self.loss_of(i, np.complex128 if method == "complex" else np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ComplexWarning)  # an imaginary part thrown away is a derivative lost
            return complex_step(f, point) if method == "complex" else central_difference(f, point)

    def loss_of(self, i: int, dtype: Any) -> tuple[Any, Array]:
        """L = sum(upstream * output) as a function of the i-th tensor alone, and the tensor."""
        inputs = self.install(dtype)
        if i < len(self.slots):
            slot = self.slots[i]

            def of_input(z: Array) -> Any:
                return self.loss([*inputs[:slot], z, *inputs[slot + 1 :]])

            return of_input, self.inputs[slot]
        parameter = self.named_parameters[i - len(self.slots)][1]

        def of_parameter(z: Array) -> Any:
            parameter.value = z
            return self.loss(inputs)

        return of_parameter, self.values[i - len(self.slots)]

    def loss(self, inputs: Sequence[Any]) -> Any:
        y, _ = self.forward(inputs)
        return sum(np.sum(dy * part) for dy, part in zip(as_list(self.upstream), as_list(y)))

    def another(self, rng: np.random.Generator) -> list[Any]:
        """Other inputs of the same shapes: other numbers; the ids and masks of the batch in reverse order."""
        inputs = []
        for x in self.inputs:
            if is_floating(x):
                inputs.append(x + rng.standard_normal(x.shape))
            else:
                inputs.append(x[::-1].copy() if isinstance(x, np.ndarray) and x.ndim else x)
        return inputs


def largest(x: Any) -> float:
    """The largest absolute value; 0 where there is none."""
    return float(np.max(np.abs(x), initial=0.0))


def is_floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def as_list(value: Any) -> list[Any]:
    """What a forward or backward returned as a list: None is nothing, an array is one."""
    if value is None:
        return []
    return list(value) if isinstance(value, tuple) else [value]


def random_parameter(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Numbers of order one; matrices with many rows and columns smaller, so that their products are of order one."""
    narrow = min(shape, default=1) if len(shape) > 1 else 1
    return rng.standard_normal(shape) * min(1.0, (2.0 / max(narrow, 1)) ** 0.5) + (0.2 if len(shape) < 2 else 0.0)


def arrays_in(node: Any, path: str) -> Iterator[tuple[str, Array]]:
    """Every array in nested dicts, lists and tuples, with its dotted path."""
    if isinstance(node, np.ndarray):
        yield path, node
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from arrays_in(value, f"{path}.{name}" if path else str(name))
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from arrays_in(value, f"{path}.{i}" if path else str(i))


def hidden_in(part: Layer) -> Iterator[tuple[str, Any]]:
    """Weights that a layer has and does not show, by path: float arrays, and parameters where nobody looks for them.

    Looked at are its attributes, what its forward and backward were closed over, and objects in either. A read-only
    array is a constant.
    """
    shown = {id(child) for _, child in part.children()}
    seen: set[int] = set()
    for name, value in vars(part).items():
        yield from _hidden(value, name, shown, seen)
    for method in ("forward", "backward"):
        function = getattr(getattr(part, method), "__func__", getattr(part, method))
        closed = zip(getattr(getattr(function, "__code__", None), "co_freevars", ()), function.__closure__ or ())
        for name, cell in closed:
            if name != "__class__":
                yield from _hidden(cell.cell_contents, f"{method}'s own {name}", shown, seen)


def _hidden(value: Any, path: str, shown: set[int], seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(value) in seen or id(value) in shown:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "fc" and value.flags.writeable:
            yield path, value
    elif isinstance(value, (Layer, Parameter)):
        yield path, value
    elif isinstance(value, (dict, list, tuple, set, frozenset)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            yield from _hidden(item, f"{path}.{name}", shown, seen)
    elif hasattr(value, "__dict__") and not isinstance(value, (type, types.ModuleType, types.FunctionType)):
        for name, item in vars(value).items():
            yield from _hidden(item, f"{path}.{name}", shown, seen)


def same(a: Any, b: Any) -> bool:
    """Two arrays bit for bit, NaN being NaN."""
    return bool(np.shape(a) == np.shape(b) and np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc"))


def uses(layer: Layer, parameter: Parameter) -> list[tuple[str, Layer, Parameter]]:
    """(path of its owner, the layer untied, the parameter there) for every use of a parameter, if there are several.

    In the untied copy every use has a parameter of its own, whose gradient is what that use contributes.
    """
    untied = _untie(layer)
    before, after = list(layer.named_layers()), list(untied.named_layers())
    found = []
    for (path, part), (_, part_untied) in zip(before, after):
        for (_, child), (_, child_untied) in zip(part.children(), part_untied.children()):
            if child is parameter and isinstance(child_untied, Parameter):
                found.append((path, untied, child_untied))
    return found if len(found) > 1 else []


def _untie(layer: Layer) -> Layer:
    """A copy in which nothing is shared: neither a parameter nor a layer that stands in two places."""
    twin = copy.copy(layer)
    for name, value in vars(layer).items():
        vars(twin)[name] = _untie_value(value)
    return twin


def _untie_value(value: Any) -> Any:
    if isinstance(value, Parameter):
        return Parameter(value.value.copy())
    if isinstance(value, Layer):
        return _untie(value)
    if isinstance(value, dict):
        return {name: _untie_value(item) for name, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a NamedTuple
        return type(value)(*map(_untie_value, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(_untie_value, value))
    return value


def _input_names(signature: Any, count: int) -> list[str]:
    names: list[str] = []
    for name, parameter in signature.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{name}.{i}" for i in range(max(0, count - len(names)))]
        elif parameter.kind is not parameter.VAR_KEYWORD and name != "rng":
            names.append(name)
    names += [f"input.{i}" for i in range(len(names), count)]
    return names[:count]


def _map(f: Any, value: Any) -> Any:
    return tuple(f(part) for part in value) if isinstance(value, tuple) else f(value)
