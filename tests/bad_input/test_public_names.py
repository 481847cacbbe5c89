"""Every public class and function, called with what people give by mistake: right by chance, or refused in one line.

The mistakes follow from the right value of each parameter (`public_names.py`). Where a mistake can have no meaning,
such as a word for a number, the call must be refused. A refusal is a TypeError or ValueError that a line of this
package raises, and names the argument.
"""

from __future__ import annotations

import inspect
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.training import CheckpointError

from .harness import check_reason
from .public_names import LEFT_OUT, NAMED, SPECIAL, everything, public

PUBLIC = public()


class Refuse:
    """A value that has no meaning here: the call must be refused."""

    def __init__(self, value: Any) -> None:
        self.value = value


def mistakes(right: Any, annotation: str) -> Iterator[tuple[str, Any]]:
    """(what it is, what people give in place of the right value); `Refuse(value)` where nothing else will do."""
    anything = annotation in ("Any", "object")
    optional = annotation.endswith("| None")
    word = "words" if isinstance(right, str | os.PathLike) else "a word"
    if not anything:
        yield "an object", Refuse(object())
        yield "None", None if optional else Refuse(None)
    if isinstance(right, bool):
        yield "a word", Refuse("yes")
    elif isinstance(right, int | float):
        yield word, Refuse("4")
        yield "a list", [right] if "Iterable" in annotation or "Sequence" in annotation else Refuse([right])
        yield "a complex number", Refuse(1j + right)
        yield "NaN", Refuse(float("nan"))
        yield "infinity", float("inf")
        yield "a number below zero", -3
        yield "an array", np.array([right, right])
        yield "a broken number", right + 0.5
        yield "True", True
    elif isinstance(right, np.ndarray):
        yield word, Refuse("text")
        yield "a list", right.tolist()
        yield "a scalar", right.flat[0]
        yield "one axis less", right[0]
        yield "one axis more", right[None]
        yield "exchanged axes", np.ascontiguousarray(right.T)
        yield "complex numbers", right.astype(complex)
        yield "whole numbers", right.astype(int)
        yield "booleans", right.astype(bool)
        yield "words", np.full(right.shape, "a")
        yield "no entries", right[:0]
        if right.dtype.kind == "f":
            yield "NaN inside", np.where(np.arange(right.size).reshape(right.shape) == 0, np.nan, right)
    elif isinstance(right, np.random.Generator):
        yield "a seed", Refuse(0)
        yield word, Refuse("text")
        yield "NumPy's old generator", Refuse(np.random.RandomState(0))
        yield "NumPy's module", Refuse(np.random)
    elif isinstance(right, str | os.PathLike):
        yield "a number", Refuse(3.5)
        yield "a list", Refuse(["a"])
        yield "an array", Refuse(np.zeros(3))
        yield "no text", ""
        yield "bytes", b"a"
    elif not anything:
        yield "a number", Refuse(3.5)
        yield word, "text"
        if isinstance(right, list | tuple | dict | range):
            yield "nothing in it", type(right)() if not isinstance(right, range) else range(0)
            yield "None in it", [None]
            yield "numbers in it", [3, 4]
            yield "an array", np.zeros(3)
        else:
            yield "a list", [right] if "Iterable" in annotation else Refuse([right])
            yield "an array", np.zeros(3)


def arguments(name: str) -> dict[str, Callable[[], Any]]:
    """How to make each argument that a right call needs, and those that SPECIAL adds."""
    found = {}
    special = SPECIAL.get(name, {})
    for parameter in inspect.signature(PUBLIC[name]).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        needed = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        make = special.get(parameter.name) or (NAMED.get(parameter.name) if needed else None)
        if make is None and needed:
            raise AssertionError(f"{name}: say in NAMED or SPECIAL of public_names.py what {parameter.name!r} is given")
        if make is not None:
            found[parameter.name] = make
    return found


def call(name: str, given: dict[str, Any]) -> Any:
    """The callable with these arguments; those of *inputs by position, after what stands before them."""
    function = PUBLIC[name]
    starred = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.VAR_POSITIONAL]
    given = dict(given)
    before, rest = [], []
    if starred and starred[0] in given:
        rest = [given.pop(starred[0])]
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.name in given:
                before.append(given.pop(parameter.name))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = function(*before, *rest, **given)
        if inspect.isgenerator(result):
            result = list(result)
        if isinstance(result, AbstractContextManager):
            with result:
                pass
    plt.close("all")
    return result


def wrong_calls(name: str) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """(parameter, what it is given, all arguments, whether it must be refused)."""
    makers = arguments(name)
    for parameter in inspect.signature(PUBLIC[name]).parameters.values():
        if parameter.name in makers:
            right = makers[parameter.name]()
        elif parameter.default is not None and parameter.default is not parameter.empty:
            right = parameter.default
        else:
            continue
        for what, value in mistakes(right, str(parameter.annotation)):
            starred = parameter.kind is parameter.VAR_POSITIONAL  # inputs of a layer, which has its own words for them
            must = isinstance(value, Refuse) and not starred
            given = {other: make() for other, make in makers.items()}
            yield (
                parameter.name,
                what,
                given | {parameter.name: value.value if isinstance(value, Refuse) else value},
                must,
            )
    for one in makers:
        for other in makers:
            if one < other:
                given = {key: make() for key, make in makers.items()}
                given[one], given[other] = given[other], given[one]
                yield f"{one} and {other}", "exchanged", given, False


def names_something(name: str, given: dict[str, Any], message: str) -> bool:
    """Whether a message names an argument of the callable, or of what it called, or a file."""
    parameters = inspect.signature(PUBLIC[name]).parameters
    return (
        any(re.search(rf"\b{parameter}\b", message) for parameter in parameters)
        or re.search(r"\b\w+=|^[\w\[\] ]+ (is|has|holds) ", message) is not None
        or any(isinstance(value, os.PathLike) and str(value) in message for value in given.values())
    )


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Some calls write where they are told to."""
    monkeypatch.chdir(tmp_path)


def problem(name: str, parameter: str, given: dict[str, Any], must: bool) -> str | None:
    """What is wrong with the answer to a mistake; None where it is right."""
    try:
        call(name, given)
    except (TypeError, ValueError, CheckpointError) as error:
        try:
            check_reason(error)
        except AssertionError as raw:
            return str(raw)
        if "\n" in str(error):
            return f"a message of several lines: {error}"
        if not names_something(name, given, str(error)):
            return f"a message that names no argument: {error}"
    except Exception as error:
        return f"raised {error!r}"
    else:
        if must:
            return "was taken without a word"
    return None


@pytest.mark.parametrize("name", PUBLIC)
def test_a_right_call_works_or_finds_no_file(name):
    makers = arguments(name)
    try:
        call(name, {key: make() for key, make in makers.items()})
    except (ValueError, CheckpointError) as error:
        if not re.search("no-such-(file|folder)|is not installed", str(error)):
            raise


@pytest.mark.parametrize("name", PUBLIC)
def test_a_mistake_is_right_by_chance_or_refused_by_a_line_that_names_it(name):
    wrong = []
    for parameter, what, given, must in wrong_calls(name):
        answer = problem(name, parameter, given, must)
        if answer is not None:
            wrong.append(f"{name}({parameter}: {what}): {answer}")
    assert not wrong, "\n".join(wrong)


def test_what_is_left_out_is_public_and_the_rest_is_more_than_2000_calls():
    assert sum(1 for name in PUBLIC for _ in wrong_calls(name)) > 2000
    assert set(LEFT_OUT) | set(SPECIAL) <= set(everything())
