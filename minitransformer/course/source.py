"""The code that is the equation, shown in the notebook where the equation stands."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, repr=False)
class Source:
    """Pieces of the package's source; prints itself as text, and in Jupyter as highlighted code.

    Attributes
    ----------
    pieces : tuple of (str, str)
        Where each is, such as "layers/softmax.py: Softmax.backward", and its text.
    """

    pieces: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return "\n\n".join(f"# {where}\n{text}" for where, text in self.pieces)

    def _repr_markdown_(self) -> str:
        return "\n\n".join(f"`{where}`\n\n```python\n{text}\n```" for where, text in self.pieces)


def show_source(*objects: Any) -> Source:
    """The source of classes, methods or functions of the package, in the order given.

    Parameters
    ----------
    *objects
        Such as `Softmax`, or `Softmax.forward, Softmax.backward`.
    """
    if not objects:
        raise ValueError("objects: give at least one class, method or function, such as Softmax.backward")
    return Source(tuple((_where(one), textwrap.dedent(inspect.getsource(one)).rstrip()) for one in objects))


def _where(one: Any) -> str:
    """The file, seen from the package, and the name: no line numbers, which move whenever a file grows."""
    module, name = getattr(one, "__module__", ""), getattr(one, "__qualname__", "")
    if not module or not name:
        raise TypeError(f"show_source takes classes, methods and functions: it was given a {type(one).__name__}")
    path = module.removeprefix("minitransformer.").replace(".", "/")
    return f"{path}.py: {name}"
