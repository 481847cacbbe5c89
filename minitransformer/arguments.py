"""`@checked`: an argument of another type than its annotation says is refused, in one line that names it.

The annotation is the contract; this file is the one place that enforces it. Ranges ("at least 1") are checked where
they belong, in the function itself.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import math
import numbers
import os
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T", bound=Callable[..., Any])


class Expected(NamedTuple):
    """Whether a value is what an annotation says, and the annotation in words: for one value and for several."""

    test: Callable[[Any], bool]
    words: str
    many: str


def checked(thing: T) -> T:
    """The same function, or class, which now raises TypeError for an argument of another type than its annotation.

    An integer is no Boolean. Of a list's elements the first is looked at. A string is a list where a list of strings is
    wanted, and nowhere else.
    """
    if isinstance(thing, type):
        thing.__init__ = checked(thing.__init__)  # type: ignore[misc]
        return thing
    signature = inspect.signature(thing)

    @functools.wraps(thing)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:  # one is missing, or too many: Python's own words say so
            return thing(*args, **kwargs)
        for name, expected in _expectations(thing).items():
            if name in given:
                _check(name, given[name], expected)
        return thing(*args, **kwargs)

    return typing.cast(T, wrapper)


def check_type(name: str, value: Any, hint: Any) -> None:
    """Raise TypeError unless the value is what a type hint says, for an object that annotations cannot describe."""
    expected = _of_type(hint)
    if expected is not None:
        _check(name, value, expected)


def _check(name: str, value: Any, expected: Expected) -> None:
    if not expected.test(value):
        raise TypeError(f"{name}={shown(value)}: must be {expected.words}")


def check_finite(name: str, value: float, least: float = -math.inf) -> None:
    """Raise ValueError unless the number is finite and at least `least`."""
    if not (math.isfinite(value) and value >= least):
        bound = "" if least == -math.inf else f" of at least {least:g}"
        raise ValueError(f"{name}={value}: must be a finite number{bound}")


def check_seed(seed: int) -> None:
    """Raise TypeError or ValueError unless NumPy's generators take it."""
    check_type("seed", seed, int)
    if seed < 0:
        raise ValueError(f"seed={seed}: must be at least 0")


def shown(value: object) -> str:
    """A value in a message: short, whatever it is."""
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape} and dtype {value.dtype}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


@functools.cache
def _expectations(function: Callable[..., Any]) -> dict[str, Expected]:
    """What each argument must be. One whose annotation cannot be tested is left out."""
    found = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.annotation is parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            continue
        expected = _of_annotation(parameter.annotation, function)
        if expected is not None:
            found[parameter.name] = expected
    return found


def _of_annotation(annotation: Any, function: Callable[..., Any]) -> Expected | None:
    if annotation in ("DTypeLike", "np.typing.DTypeLike"):
        return Expected(_is_dtype, "a dtype, such as np.float32", "dtypes")
    if isinstance(annotation, str):
        annotation = eval(annotation, inspect.unwrap(function).__globals__)
    return _of_type(annotation)


def _is_integer(x: Any) -> bool:
    return isinstance(x, numbers.Integral) and not isinstance(x, bool)


def _is_dtype(value: Any) -> bool:
    try:
        return value is not None and np.dtype(value) is not None
    except (TypeError, ValueError, SyntaxError):
        return False


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind in "fciub"


SIMPLE: dict[Any, Expected] = {
    type(None): Expected(lambda x: x is None, "None", "None"),
    bool: Expected(lambda x: isinstance(x, bool | np.bool_), "True or False", "Booleans"),
    int: Expected(_is_integer, "an integer", "integers"),
    float: Expected(lambda x: isinstance(x, numbers.Real) and not isinstance(x, bool), "a number", "numbers"),
    str: Expected(lambda x: isinstance(x, str), "a string", "strings"),
    bytes: Expected(lambda x: isinstance(x, bytes), "bytes", "bytes"),
    np.ndarray: Expected(_is_array, "a NumPy array of numbers, such as np.array(...)", "NumPy arrays of numbers"),
    np.random.Generator: Expected(
        lambda x: isinstance(x, np.random.Generator),
        "a np.random.Generator, such as np.random.default_rng(0)",
        "np.random.Generator objects",
    ),
}
PATH = Expected(lambda x: isinstance(x, str | os.PathLike) and str(x) != "", "the path of a file or folder", "paths")


def _of_type(hint: Any) -> Expected | None:
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    origin = type(None) if origin is None else origin
    if origin in (typing.Union, types.UnionType):
        if str in parts and any(typing.get_origin(part) is os.PathLike for part in parts):
            return _any_of([PATH, *(_of_type(part) for part in parts if part is type(None))])
        return _any_of([_of_type(part) for part in parts])
    if origin in SIMPLE:
        return SIMPLE[origin]
    if origin is typing.TextIO:
        return Expected(lambda x: hasattr(x, "write"), "an open file", "open files")
    if origin is collections.abc.Callable:
        return Expected(callable, "a function", "functions")
    if origin is type and parts and isinstance(parts[0], type):
        name = parts[0].__name__
        return Expected(
            lambda x: isinstance(x, type) and issubclass(x, parts[0]), f"a subclass of {name}", f"subclasses of {name}"
        )
    if not isinstance(origin, type) or origin in (Any, object):
        return None
    if getattr(origin, "_is_protocol", False) and not getattr(origin, "_is_runtime_protocol", False):
        return None
    if issubclass(origin, collections.abc.Iterable) and origin.__module__ in ("builtins", "collections.abc"):
        return _of_container(origin, parts)
    name = origin.__name__.removesuffix("Like")
    article = "an" if name[0] in "AEIO" else "a"
    return Expected(lambda x: isinstance(x, origin), f"{article} {name}", f"{name} objects")


def _of_container(kind: type, parts: tuple[Any, ...]) -> Expected:
    """What can be indexed or gone through, as `kind` says, and its first element; a mapping, whatever it holds."""
    if issubclass(kind, collections.abc.Mapping):
        return Expected(lambda x: isinstance(x, collections.abc.Mapping), "a dictionary", "dictionaries")
    element = _of_type(parts[0]) if parts and not issubclass(kind, tuple) else None  # a tuple's have types of their own
    letters = bool(parts) and parts[0] is str  # a string is a list of its letters where strings are wanted
    kinds: tuple[type, ...] = (kind,)
    if issubclass(kind, collections.abc.Sequence) and kind is not range:
        kinds = (collections.abc.Collection, np.ndarray)  # also the keys of a dictionary, or a column of pandas

    def test(x: Any) -> bool:
        if not isinstance(x, kinds) or (isinstance(x, str | bytes) and not letters):
            return False
        if isinstance(x, np.ndarray) and x.ndim == 0:
            return False
        if element is None or not isinstance(x, collections.abc.Collection) or not len(x):
            return True
        return element.test(next(iter(x)))

    of = "" if element is None else f" of {element.many}"
    return Expected(test, f"a list{of}", f"lists{of}")


def _any_of(options: list[Expected | None]) -> Expected | None:
    known = [option for option in options if option is not None]
    if len(known) < len(options):
        return None
    return Expected(
        lambda x: any(option.test(x) for option in known),
        " or ".join(dict.fromkeys(option.words for option in known)),
        " or ".join(dict.fromkeys(option.many for option in known)),
    )
