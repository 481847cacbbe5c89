"""A debugger session that is typed for you, so that a notebook can show one and still runs from top to bottom."""

from __future__ import annotations

import io
import pdb
import re
from collections.abc import Callable
from typing import Any

# In a notebook `pdb.Pdb` is IPython's, in colours; beneath it is Python's own.
_Pdb: Any = next(kind for kind in pdb.Pdb.__mro__ if kind.__module__ == "pdb")


class _Typed(io.StringIO):
    """Commands that show themselves as they are read."""

    def __init__(self, commands: str, screen: io.StringIO) -> None:
        super().__init__(commands)
        self.screen = screen

    def readline(self, *size: Any) -> str:  # type: ignore[override]
        line = super().readline(*size)
        self.screen.write(line)
        return line


def debug_session(commands: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Stop at the first line of `function(*arguments)`, type these commands, print the session, return the result.

    Parameters
    ----------
    commands : str
        One a line: n (next line), s (step into), p name (print), a (arguments), c (go on). Behind the last the
        function goes on to its end.
    function : callable
        Such as `layer.backward`; arguments are its own.
    """
    screen = io.StringIO()
    typed = "\n".join(line.strip() for line in commands.strip().splitlines())
    debugger = _Pdb(stdin=_Typed(f"{typed}\nc\n", screen), stdout=screen, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    try:
        return debugger.runcall(function, *arguments)
    finally:
        short = re.sub(r"> \S*?([\w.-]+/[\w.-]+\.py)", r"> \1", screen.getvalue())  # the file, not its whole path
        print(short.rstrip())
