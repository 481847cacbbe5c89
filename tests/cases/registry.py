"""The registry of cases: small layers and inputs that the gradient checks, the tests and the injected bugs run on."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minitransformer.layers import Layer

Build = Callable[[np.random.Generator], tuple[Any, ...]]


@dataclass(frozen=True)
class Case:
    """A layer and inputs that show every part of it.

    Attributes
    ----------
    layer_class : type
        Whose case this is.
    name : str
        The class's name, and what is special about the case.
    function : callable
        A generator -> (layer, input, input, ...).
    """

    layer_class: type[Layer]
    name: str
    function: Build

    def build(self, seed: int = 0) -> tuple[Layer, tuple[Any, ...]]:
        """A fresh layer and its inputs."""
        layer, *inputs = self.function(np.random.default_rng(seed))
        return layer, tuple(inputs)


CASES: dict[str, Case] = {}


def case(layer_class: type[Layer], what: str = "") -> Callable[[Build], Build]:
    """Register the function beneath as a case of a layer; `what` tells several cases of one class apart."""

    def register(function: Build) -> Build:
        name = f"{layer_class.__name__} {what}".strip()
        if name in CASES and CASES[name].function.__qualname__ != function.__qualname__:
            raise ValueError(f"what={what!r}: {layer_class.__name__} has a case of this name already")
        CASES[name] = Case(layer_class, name, function)
        return function

    return register


def concrete_layers(package: str = "minitransformer.layers") -> list[type[Layer]]:
    """Every class under a package that can run forward, found by importing all its modules."""
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        importlib.import_module(module.name)
    found = [
        cls
        for cls in _subclasses(Layer)
        if cls.forward is not Layer.forward and (cls.__module__ == package or cls.__module__.startswith(f"{package}."))
    ]
    return sorted(set(found), key=lambda cls: (cls.__module__, cls.__qualname__))


def layers_without_case(package: str = "minitransformer.layers") -> list[type[Layer]]:
    """The concrete layers of a package that nobody has written a case for."""
    covered = {case.layer_class for case in CASES.values()}
    return [cls for cls in concrete_layers(package) if cls not in covered]


def line_to_write(layer_class: type[Layer]) -> str:
    """What to add, and where, so that a layer is checked."""
    file = f"tests/cases/{'models' if '.models.' in layer_class.__module__ else 'layers'}.py"
    return (
        f"{layer_class.__module__}.{layer_class.__qualname__} has no case. Add one to {file} in the shape of\n\n"
        f"@case({layer_class.__name__})\n"
        f"def _(rng):\n"
        f"    return {layer_class.__name__}(..., float64(rng)), rng.standard_normal((B, T, D))\n"
    )


def _subclasses(cls: type[Layer]) -> list[type[Layer]]:
    return [sub for direct in cls.__subclasses__() for sub in (direct, *_subclasses(direct))]
