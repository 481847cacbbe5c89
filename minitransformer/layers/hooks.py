"""Hooks: a function of yours is called after the forward of every layer inside a model, to look at its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ..arguments import checked
from .base import Cache, Layer


@checked
@contextmanager
def forward_hooks(model: Layer, after: Callable[[str, Layer, Any], None]) -> Iterator[None]:
    """Within the `with` block, `after(path, layer, output)` is called whenever a layer inside has run.

    Inner layers come before those that they are parts of. A layer that stands in two places has its first path.
    """
    hooked: set[int] = set()
    with ExitStack() as changes:
        for path, layer in model.named_layers():
            if id(layer) not in hooked:
                hooked.add(id(layer))
                reporting = _reporting(layer.forward, path, layer, after)
                changes.enter_context(method_replaced(layer, "forward", reporting))
        yield


@contextmanager
def method_replaced(layer: Layer, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Within the `with` block this object has another method; afterwards it has the one that it had."""
    attributes = vars(layer)
    before = attributes.get(name)  # what another such block has put there
    attributes[name] = function  # on the object it hides the class's method; deleting it uncovers the method again
    try:
        yield
    finally:
        del attributes[name]
        if before is not None:
            attributes[name] = before


def _reporting(
    forward: Callable[..., tuple[Any, Cache]], path: str, layer: Layer, after: Callable[[str, Layer, Any], None]
) -> Callable[..., tuple[Any, Cache]]:
    def forward_and_report(*inputs: Any, **options: Any) -> tuple[Any, Cache]:
        output, cache = forward(*inputs, **options)
        after(path, layer, output)
        return output, cache

    return forward_and_report


@checked
def first_nonfinite(model: Layer, *inputs: Any, rng: np.random.Generator | None = None) -> str | None:
    """Name the first parameter, or else the first layer's output, with NaN or infinity; None where all is well."""
    for name, parameter in model.named_parameters():
        if not np.isfinite(parameter.value).all():
            return f"parameter {name}"
    found: list[str] = []

    def inspect(path: str, layer: Layer, output: Any) -> None:
        if not found and not np.isfinite(output).all():
            found.append(f"the output of {path or 'the model'} ({type(layer).__name__})")

    with np.errstate(all="ignore"), forward_hooks(model, inspect):
        model.forward(*inputs, rng=rng)
    return found[0] if found else None
