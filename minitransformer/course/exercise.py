"""An exercise of the course: its solution, the inputs that it is checked on, its hints and the traps around it.

All of it is written once, in `exercises/lessonNN.py`. The stub that a student fills, the solved notebook and the check
are made from that.
"""

from __future__ import annotations

import ast
import copy
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

N_WRONG = 3  # the fewest wrong answers that an exercise comes with
TODO = 'raise NotImplementedError("your turn")'


@dataclass(frozen=True)
class Exercise:
    """One function for a student to write.

    Parameters
    ----------
    name : str
        Also the name of the function `solution`.
    lesson : int
        The number of its notebook.
    solution : callable
        A plain top-level function. Its signature and docstring (what, shapes) are the stub.
    cases : callable
        rng -> the argument tuples on which solution and answer are compared, in float64.
    wrong : tuple of callable
        Plausible wrong answers, each with the mistake in words as its docstring; the check must reject them.
    hints : tuple of three str
        From a nudge to nearly the answer.
    backward : bool
        Whether it is a backward pass.
    title : str
    reference : callable, optional
        An independent way to the same result, such as the package's layer; the tests hold the solution against it.
    """

    name: str
    lesson: int
    solution: Callable[..., Any]
    cases: Callable[[np.random.Generator], list[tuple[Any, ...]]]
    wrong: tuple[Callable[..., Any], ...]
    hints: tuple[str, str, str]
    backward: bool
    title: str = ""
    reference: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if self.solution.__name__ != self.name:
            raise ValueError(f"solution={self.solution.__name__}: must be a function named {self.name!r}")
        if not self.solution.__doc__:
            raise ValueError(f"exercise {self.name!r}: its solution needs a docstring, which the stub shows")
        if len(self.wrong) < N_WRONG:
            raise ValueError(f"exercise {self.name!r}: {len(self.wrong)} wrong answers, it needs {N_WRONG} or more")
        if len(self.hints) != 3 or not all(self.hints):
            raise ValueError(f"exercise {self.name!r}: it needs three hints")

    @cached_property
    def source(self) -> str:
        """The solution as it is written, without the types in its first line: what a student reads has shapes."""
        arguments = copy.deepcopy(self._tree.args)
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            argument.annotation = None
        body = self._written.splitlines()[self._tree.body[0].lineno - 1 :]
        return "\n".join([f"def {self.name}({ast.unparse(arguments)}):", *body])

    @cached_property
    def stub(self) -> str:
        """The solution's signature and docstring, and an error in place of its body."""
        body = self._tree.body
        if len(body) < 2:
            raise ValueError(f"exercise {self.name!r}: its solution has no body beneath its docstring")
        docstring = (body[0].end_lineno or 0) - body[0].lineno + 1  # lines
        return "\n".join([*self.source.splitlines()[: 1 + docstring], f"    {TODO}"])

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """The names of the solution's arguments."""
        return tuple(inspect.signature(self.solution).parameters)

    def outputs(self, n: int) -> tuple[str, ...]:
        """The names of n outputs, as the solution's last line returns them, or its docstring behind the arrow."""
        returns = [node.value for node in ast.walk(self._tree) if isinstance(node, ast.Return)]
        last = returns[-1] if returns else None
        parts = last.elts if isinstance(last, ast.Tuple) else [last]
        names = [part.id for part in parts if isinstance(part, ast.Name)]
        if len(names) != n:
            names = list(_shapes(self.doc.rpartition("->")[2]))
        if len(names) != n:
            return ("the output",) if n == 1 else tuple(f"output {i + 1} of {n}" for i in range(n))
        # An output that is called as an input is, such as dh after some steps, is told apart by its place.
        return tuple(f"output {i + 1} ({name})" if name in self.arguments else name for i, name in enumerate(names))

    def letters(self, name: str) -> tuple[str, ...] | None:
        """The sizes that the docstring gives to an argument, as ("B", "T", "D") of "x (B, T, D)"; None without."""
        return _shapes(self.doc.rpartition("->")[0] or self.doc).get(name)

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.solution) or ""

    @cached_property
    def _written(self) -> str:
        return textwrap.dedent(inspect.getsource(self.solution)).rstrip()

    @cached_property
    def _tree(self) -> ast.FunctionDef:
        tree = ast.parse(self._written).body[0]
        if not isinstance(tree, ast.FunctionDef):
            raise ValueError(f"exercise {self.name!r}: its solution must be a plain function")
        return tree


def _shapes(text: str) -> dict[str, tuple[str, ...]]:
    """What a docstring says of shapes: of "q (B, T, d), k and v (B, S, d)" the letters of q, k and v."""
    found: dict[str, tuple[str, ...]] = {}
    for names, sizes in re.findall(r"((?:\w+(?:, | and ))*\w+) \(([\w ,]+)\)", " ".join(text.split())):
        letters = tuple(size.strip() for size in sizes.split(",") if size.strip())
        found.update(dict.fromkeys((name for name in re.findall(r"\w+", names) if name != "and"), letters))
    return found
