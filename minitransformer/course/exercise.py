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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

LARGE = 8  # nodes of a syntax tree: a smaller statement gives nothing away
N_WRONG = 3  # the fewest wrong answers that an exercise comes with
TODO = 'raise NotImplementedError("your turn")'


@dataclass(frozen=True)
class Exercise:
    """One function for a student to write.

    Parameters
    ----------
    name : str
        Also the name of the function `solution`.
    lesson : str
        The number of its notebook, such as "04" or "09b".
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
    difficulty, importance : int
        From 1 to 5.
    minutes : int
        What a student needs for it.
    optional : bool
        Whether the planned minutes of its lesson leave it out; no later lesson needs it.
    broken : callable, optional
        Where the exercise is to find a bug: wrong code, which stands in the stub for the student to mend.
    package : tuple of str
        What of the package is the answer, as a lesson names it: `show_source` of it may not stand above the stub.
    """

    name: str
    lesson: str
    solution: Callable[..., Any]
    cases: Callable[[np.random.Generator], list[tuple[Any, ...]]]
    wrong: tuple[Callable[..., Any], ...]
    hints: tuple[str, str, str]
    backward: bool
    title: str = ""
    reference: Callable[..., Any] | None = None
    difficulty: int = field(kw_only=True)
    importance: int = field(kw_only=True)
    minutes: int = field(kw_only=True)
    optional: bool = field(default=False, kw_only=True)
    package: tuple[str, ...] = ()
    broken: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if self.solution.__name__ != self.name:
            raise ValueError(f"solution={self.solution.__name__}: must be a function named {self.name!r}")
        if not self.solution.__doc__:
            raise ValueError(f"exercise {self.name!r}: its solution needs a docstring, which the stub shows")
        if len(self.wrong) < N_WRONG:
            raise ValueError(f"exercise {self.name!r}: {len(self.wrong)} wrong answers, it needs {N_WRONG} or more")
        if len(self.hints) != 3 or not all(self.hints):
            raise ValueError(f"exercise {self.name!r}: it needs three hints")
        for name in ("difficulty", "importance"):
            if getattr(self, name) not in range(1, 6):
                raise ValueError(f"exercise {self.name!r}: {name}={getattr(self, name)!r}, it must be from 1 to 5")
        if self.minutes < 1:
            raise ValueError(f"exercise {self.name!r}: minutes={self.minutes!r}, it must be 1 or more")

    @cached_property
    def source(self) -> str:
        """The solution as it is written, without the types in its first line: what a student reads has shapes."""
        return "\n".join([*self._head, *_body(self.solution)])

    @cached_property
    def stub(self) -> str:
        """The solution's signature and docstring, and in place of its body an error, or that of the broken code."""
        if len(self._tree.body) < 2:
            raise ValueError(f"exercise {self.name!r}: its solution has no body beneath its docstring")
        return "\n".join([*self._head, *([f"    {TODO}"] if self.broken is None else _body(self.broken))])

    @cached_property
    def _head(self) -> list[str]:
        """The lines of signature, without types, and docstring."""
        arguments = copy.deepcopy(self._tree.args)
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            argument.annotation = None
        docstring = self._tree.body[0]
        written = _written(self.solution).splitlines()[docstring.lineno - 1 : docstring.end_lineno]
        return [f"def {self.name}({ast.unparse(arguments)}):", *written]

    @property
    def effort(self) -> str:
        """What stands above the stub."""
        lines = len(_body(self.solution))
        ask = f"{lines} line{'s' if lines > 1 else ''}" if self.broken is None else "a bug to find"
        of_5 = f"difficulty {self.difficulty} of 5, importance {self.importance} of 5"
        return f"# {'Optional. ' if self.optional else ''}About {self.minutes} minutes, {of_5}, {ask}."

    def given_away(self, shown: Iterable[str], code: Iterable[str]) -> str:
        """What of the answer a student can read in a lesson's cells above the stub, or "".

        Parameters
        ----------
        shown : iterable of str
            What `show_source` shows there, as written: a class shows its methods too.
        code : iterable of str
            What is written there.
        """
        for name in shown:
            if any(answer == name or answer.startswith(f"{name}.") for answer in self.package):
                return f"show_source({name})"
        written = set().union(*map(_statements, code)) if code else set()
        if self.broken is not None:  # the stub itself shows nearly all of it
            return ""
        mine = [node for node in self._tree.body if _statement(node)]
        found = [node for node in mine if _statement(node) in written]
        return ast.unparse(found[-1]) if found and 2 * len(found) >= len(mine) else ""

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
    def _tree(self) -> ast.FunctionDef:
        return _tree(self.solution)


def _written(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function)).rstrip()


def _tree(function: Callable[..., Any]) -> ast.FunctionDef:
    tree = ast.parse(_written(function)).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise ValueError(f"exercise {function.__name__!r}: its solution must be a plain function")
    return tree


def _body(function: Callable[..., Any]) -> list[str]:
    """The lines beneath a function's docstring."""
    return _written(function).splitlines()[_tree(function).body[0].end_lineno :]


def _statements(code: str) -> set[str]:
    """The form of every statement and expression in a piece of code; none where it is no Python."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return set()
    return {form for node in ast.walk(tree) if (form := _statement(node))}


def _statement(node: ast.AST) -> str:
    """A statement's form: what it computes, whatever its variables are called; "" for one that is small."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr)):
        return _statement(node.value) if node.value is not None else ""
    if not isinstance(node, (ast.expr, ast.AugAssign, ast.For)) or sum(1 for _ in ast.walk(node)) < LARGE:
        return ""
    names: dict[str, str] = {"np": "np"}
    tree = copy.deepcopy(node)
    for part in ast.walk(tree):
        if isinstance(part, ast.Name):
            part.id = names.setdefault(part.id, f"x{len(names)}")
    return ast.dump(tree)


def _shapes(text: str) -> dict[str, tuple[str, ...]]:
    """What a docstring says of shapes: of "q (B, T, d), k and v (B, S, d)" the letters of q, k and v."""
    found: dict[str, tuple[str, ...]] = {}
    for names, sizes in re.findall(r"((?:\w+(?:, | and ))*\w+) \(([\w ,]+)\)", " ".join(text.split())):
        letters = tuple(size.strip() for size in sizes.split(",") if size.strip())
        found.update(dict.fromkeys((name for name in re.findall(r"\w+", names) if name != "and"), letters))
    return found
