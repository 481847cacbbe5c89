"""How a cache prints itself: a tree of name, shape and dtype, as text and as an HTML table."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

import numpy as np


def describe(value: Any) -> str:
    """A value in a few words: an array by shape and dtype, anything else by its repr, shortened."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def entries(node: Any) -> list[tuple[str, Any]] | None:
    """The named parts of a dict, or of a list of dicts; None for anything else, which is a leaf."""
    if isinstance(node, dict):
        return [(str(name), value) for name, value in node.items()]
    if isinstance(node, (list, tuple)) and node and all(isinstance(item, dict) for item in node):
        return [(str(i), item) for i, item in enumerate(node)]
    return None


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its dotted path, in the order in which the entries were made."""
    for name, value in entries(node) or []:
        full = f"{path}.{name}" if path else name
        if entries(value) is None:
            yield full, value
        else:
            yield from leaves(value, full)


def as_text(node: Any) -> str:
    """The tree as lines of text; branches without a leaf are left out."""
    return "\n".join(_lines(node)) or "(empty: this backward needs nothing from its forward)"


def as_html(node: Any) -> str:
    """The tree as an HTML table, for Jupyter."""
    rows = "".join(_html_rows(node))
    if not rows:
        return f"<p>{html.escape(as_text(node))}</p>"
    head = "".join(f'<th scope="col" style="text-align: left">{name}</th>' for name in ("name", "shape", "dtype"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _visible(node: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in entries(node) or [] if entries(value) != []]


def _lines(node: Any, indent: str = "") -> Iterator[str]:
    visible = _visible(node)
    for i, (name, value) in enumerate(visible):
        last, leaf = i == len(visible) - 1, entries(value) is None
        yield f"{indent}{'└─ ' if last else '├─ '}{name}" + (f"  {describe(value)}" if leaf else "")
        if not leaf:
            yield from _lines(value, indent + ("   " if last else "│  "))


def _html_rows(node: Any, depth: int = 0) -> Iterator[str]:
    left = 'style="text-align: left"'
    for name, value in _visible(node):
        leaf, array = entries(value) is None, isinstance(value, np.ndarray)
        cells = (str(value.shape), str(value.dtype)) if array else (describe(value) if leaf else "", "")
        start = f'<th scope="row" style="text-align: left; font-weight: normal; padding-left: {1 + 1.5 * depth}em">'
        shown = html.escape(name) if leaf else f"<b>{html.escape(name)}</b>"
        yield f"<tr>{start}{shown}</th>{''.join(f'<td {left}>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        if not leaf:
            yield from _html_rows(value, depth + 1)
