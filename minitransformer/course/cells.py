"""The code of a notebook: its cells as Python, as IPython reads them."""

from __future__ import annotations

import ast
import contextlib
import json
from functools import cache
from pathlib import Path
from typing import Any

RUN_PYTHON = ("time", "timeit", "capture", "prun", "python", "python3", "memit", "lprun", "snakeviz")


def code_cells(path: Path) -> list[str]:
    """The sources of a notebook's code cells as Python, as IPython reads them. Formats 3 and 4.

    ValueError where the file is no notebook, OSError where it cannot be read.
    """
    try:
        book = json.loads(path.read_text(encoding="utf-8-sig"))
        sheets = [book] if "cells" in book else book["worksheets"]
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        found = [cell["source"] if "source" in cell else cell["input"] for cell in cells]
        sources = [source if isinstance(source, str) else "".join(source) for source in found]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("this is no notebook") from None
    return [_plain(source) for source in sources]


def _plain(source: str) -> str:
    """A cell as Python: what IPython makes of it. Magics that run Python give their Python; others become nothing."""
    try:
        code = _ipython().transform_cell(source)
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source  # whoever runs it says what is wrong
    match tree.body:
        case [
            ast.Expr(ast.Call(ast.Attribute(attr="run_cell_magic"), [ast.Constant(name), _, ast.Constant(str(body))]))
        ]:
            return _plain(body) if name in RUN_PYTHON else ""
    return ast.unparse(_Timed().visit(tree)) if "run_line_magic('time'" in code else code


class _Timed(ast.NodeTransformer):
    """`%time y = 1` is the statement that it times."""

    def visit_Expr(self, node: ast.Expr) -> Any:
        match node.value:
            case ast.Call(ast.Attribute(attr="run_line_magic"), [ast.Constant("time"), ast.Constant(str(code))]):
                with contextlib.suppress(SyntaxError, ValueError):
                    return ast.parse(code).body or ast.Pass()
        return node


@cache
def _ipython() -> Any:
    """IPython's own reader of cells."""
    try:
        from IPython.core.inputtransformer2 import TransformerManager
    except ImportError:
        raise ValueError('IPython is missing, which reads cells: pip install "minitransformer[notebooks]"') from None
    return TransformerManager()
