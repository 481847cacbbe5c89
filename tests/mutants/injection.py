"""Injected bugs: wrong versions of the code, each of which a check must reject.

A mutant is a change of a line or two in the source of one function, so that it reads as a diff: the mistakes that
other code was found to have, and those that a student makes. `injected` puts one in place and always takes it out
again; `rejected_by` says which row or property noticed.
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from minitransformer.verify.check import check_gradients

from ..cases import CASES
from ..definitions import PROPERTIES


@dataclass(frozen=True)
class Edit:
    """One change: in the source of `owner.attribute`, `old` (found exactly once) becomes `new`."""

    owner: Any
    attribute: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A mistake and who must notice it.

    Attributes
    ----------
    name : str
        The mistake, in a few words.
    edits : tuple of Edit
    check : str
        The name of a case (its gradient check must fail) or of a property.
    diagnosis : str
        Words that the diagnosis must have; empty where it cannot know the reason.
    """

    name: str
    edits: tuple[Edit, ...]
    check: str
    diagnosis: str = ""

    def where(self) -> str:
        """The functions that it changes: Linear.forward, .backward."""
        places: dict[str, dict[str, None]] = {}
        for edit in self.edits:
            places.setdefault(_name(edit.owner), {})[f".{edit.attribute}"] = None
        return ", ".join(f"{owner}{', '.join(attributes)}" for owner, attributes in places.items())

    def diff(self) -> str:
        """The change as lines with - and +."""
        lines = []
        for edit in self.edits:
            lines += [f"  {_name(edit.owner)}.{edit.attribute}"]
            lines += [f"- {line}" for line in edit.old.splitlines()]
            lines += [f"+ {line}" for line in edit.new.splitlines()]
        return "\n".join(lines)


MUTANTS: list[Mutant] = []


def bug(name: str, owner: Any, attribute: str, old: str, new: str, check: str, diagnosis: str = "") -> None:
    """Register a mutant of one edit."""
    bugs(name, [(owner, attribute, old, new)], check, diagnosis)


def bugs(name: str, edits: list[tuple[Any, str, str, str]], check: str, diagnosis: str = "") -> None:
    """Register a mutant of several edits."""
    MUTANTS.append(Mutant(name, tuple(Edit(*edit) for edit in edits), check, diagnosis))


@contextmanager
def injected(mutant: Mutant) -> Iterator[None]:
    """Inside, the bug is there; afterwards, whatever happened, it is not."""
    kept: list[tuple[Any, str, Any]] = []
    try:
        for edit in mutant.edits:
            original = vars(edit.owner)[edit.attribute]
            replacement = _edited(original, edit)  # may build on an earlier edit of the same function
            kept.append((edit.owner, edit.attribute, original))
            setattr(edit.owner, edit.attribute, replacement)
        yield
    finally:
        for owner, attribute, original in reversed(kept):
            setattr(owner, attribute, original)


def rejected_by(mutant: Mutant, seed: int = 0) -> str:
    """What the check that belongs to a mutant says of it, in a line or two; empty: it was not caught."""
    with injected(mutant):
        return verdict(mutant.check, seed)


def verdict(check: str, seed: int = 0) -> str:
    """What is wrong by a case's gradient check, on numbers of this seed, or by a property; empty if nothing is."""
    if check in CASES:
        layer, inputs = CASES[check].build(seed)
        result = check_gradients(layer, *inputs, seed=seed)
        return "\n".join(f"{row.name}: {row.diagnosis}" for row in result.failures)
    if check not in PROPERTIES:
        raise ValueError(f"check={check!r}: is neither a case nor a property")
    try:
        PROPERTIES[check]()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip()}"
    return ""


def _edited(original: Any, edit: Edit) -> Any:
    function = _function(original)
    source = getattr(function, "mutated_source", None) or textwrap.dedent(inspect.getsource(function))
    first = next((line for line in source.splitlines() if edit.old.splitlines()[0] in line), "")
    newline = "\n" + " " * (len(first) - len(first.lstrip()))  # further lines are indented as the first one is
    old, new = edit.old.replace("\n", newline), edit.new.replace("\n", newline)
    if source.count(old) != 1:
        raise ValueError(f"{_name(edit.owner)}.{edit.attribute} holds {old!r} {source.count(old)} times: must be once")
    source = source.replace(old, new)
    # The function is compiled inside another that has __class__, which is how super() without arguments finds it.
    wrapped = f"def _make(__class__):\n{textwrap.indent(source, '    ')}\n    return {function.__name__}\n"
    code = compile(wrapped, f"<mutant of {edit.attribute}>", "exec", __future__.annotations.compiler_flag)
    scope: dict[str, Any] = {}
    exec(code, function.__globals__, scope)
    mutated = scope["_make"](edit.owner if isinstance(edit.owner, type) else None)
    _function(mutated).mutated_source = source
    return mutated


def _function(attribute: Any) -> Any:
    """The function beneath decorators; a property's source is its getter's, which has the decorator in it."""
    return inspect.unwrap(attribute.fget if isinstance(attribute, property) else attribute)  # type: ignore[arg-type]


def _name(owner: Any) -> str:
    return owner.__name__.rsplit(".", 1)[-1] if isinstance(owner, types.ModuleType) else owner.__name__
