"""How caches, layers and parameters print themselves: a tree as text, and in Jupyter as HTML.

Text goes by name, shape and dtype. Blocks that are alike stand on one line; a tied weight names where it stands first.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

Tree = list[tuple[str, "Tree"]]  # type: ignore[misc]
LEFT = 'style="text-align: left"'


class Displayed:
    """What prints itself as `as_text` and, in Jupyter, as `as_html`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def describe(value: Any) -> str:
    """A value in a few words: an array by shape and dtype, anything else by its repr, shortened."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    text = " ".join(repr(value).split())
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
    """A cache as a tree, without branches that have no leaf; a layer as a tree, a parameter in a line."""
    if _is_parameter(node):
        return f"Parameter({describe(node.value)}, values {_range(node.value)}, gradient {_range(node.grad)})"
    if _is_layer(node):
        return "\n".join([_heading(node), *_lines(_layer_tree(node, "", {}))])
    return "\n".join(_lines(_cache_tree(node))) or "(empty: this backward needs nothing from its forward)"


def as_html(node: Any) -> str:
    """A cache as a table, a layer as a tree that opens by click, a parameter as its numbers."""
    if _is_parameter(node):
        return f"<code>{html.escape(as_text(node))}</code>"
    if _is_layer(node):
        inside = "".join(_html_tree(_layer_tree(node, "", {})))
        return f"<details open><summary>{html.escape(_heading(node))}</summary>{inside}</details>"
    rows = "".join(_html_rows(node))
    if not rows:
        return f"<p>{html.escape(as_text(node))}</p>"
    head = "".join(f'<th scope="col" {LEFT}>{name}</th>' for name in ("name", "shape", "dtype"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Texts as an HTML table: the first column at the left, the others, which are numbers, at the right."""

    def line(cells: Sequence[str], tag: str) -> str:
        aligned = (f'<{tag} style="text-align: {"right" if i else "left"}">' for i in range(len(cells)))
        return f"<tr>{''.join(f'{start}{html.escape(cell)}</{tag}>' for start, cell in zip(aligned, cells))}</tr>"

    title = f'<caption style="text-align: left">{html.escape(caption)}</caption>' if caption else ""
    body = "".join(line(cells, "td") for cells in rows)
    return f"<table>{title}<thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"


def _is_layer(node: Any) -> bool:
    return hasattr(node, "named_layers")


def _is_parameter(node: Any) -> bool:
    return hasattr(node, "grad") and hasattr(node, "value")


def _range(array: Any) -> str:
    if array.size > 1 and not any(array.strides):
        return "not in memory"
    if not array.size:
        return "empty"
    low, high = float(array.real.min()), float(array.real.max())
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def _heading(layer: Any) -> str:
    dtypes = ", ".join(sorted({str(parameter.dtype) for parameter in layer.parameters()}))
    return f"{_kind(layer)}: {layer.n_parameters():,} parameters" + (f", {dtypes}" if dtypes else "")


def _kind(layer: Any) -> str:
    """The class; of a wrapper also that of what it wraps, which has no name of its own."""
    wrapped = [child for name, child in layer.children() if not name]
    return f"{type(layer).__name__}({_kind(wrapped[0])})" if wrapped else type(layer).__name__


def _parts(layer: Any) -> Iterator[tuple[str, Any]]:
    for name, child in layer.children():
        if name:
            yield name, child
        else:
            yield from _parts(child)


def _layer_tree(layer: Any, path: str, seen: dict[int, str]) -> Tree:
    tree: list[tuple[list[str], str, Tree]] = []  # the names of those that are alike, what they are, what is inside
    for name, child in _parts(layer):
        full = f"{path}.{name}" if path else name
        inside = _layer_tree(child, full, seen) if _is_layer(child) else []
        called = _kind(child) if _is_layer(child) else _weight(child, full, seen)
        if (p := getattr(child, "p", None)) is not None:
            if p == 0:  # a dropout that drops nothing
                continue
            called = f"{called} {p}"
        if inside and not any(deeper for _, deeper in inside) and all(map(_is_parameter, dict(_parts(child)).values())):
            called, inside = f"{called}: {', '.join(label.replace('  ', ' ') for label, _ in inside)}", []
        numbered = re.fullmatch(r"(.*\.)?\d+", name)
        if numbered and tree and tree[-1][1:] == (called, inside):
            tree[-1][0].append(name)
        else:
            tree.append(([name], called, inside))
    return [
        (f"{names[0]} ... {names[-1]}  {len(names)} x {called}" if len(names) > 1 else f"{names[0]}  {called}", inside)
        for names, called, inside in tree
    ]


def _weight(parameter: Any, path: str, seen: dict[int, str]) -> str:
    """Its shape, or where the same one stands already."""
    first = seen.setdefault(id(parameter), path)
    return str(parameter.shape) if first == path else f"tied to {first}"


def _visible(node: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in entries(node) or [] if entries(value) != []]


def _cache_tree(node: Any) -> Tree:
    return [
        (name, _cache_tree(value)) if entries(value) is not None else (f"{name}  {describe(value)}", [])
        for name, value in _visible(node)
    ]


def _lines(tree: Tree, indent: str = "") -> Iterator[str]:
    for i, (label, inside) in enumerate(tree):
        last = i == len(tree) - 1
        yield f"{indent}{'└─ ' if last else '├─ '}{label}"
        yield from _lines(inside, indent + ("   " if last else "│  "))


def _html_tree(tree: Tree) -> Iterator[str]:
    for label, inside in tree:
        name = html.escape(label)
        if inside:
            inner = "".join(_html_tree(inside))
            yield f'<details style="margin-left: 1.5em"><summary>{name}</summary>{inner}</details>'
        else:
            yield f'<div style="margin-left: 2.6em">{name}</div>'


def _html_rows(node: Any, depth: int = 0) -> Iterator[str]:
    for name, value in _visible(node):
        leaf, array = entries(value) is None, isinstance(value, np.ndarray)
        cells = (str(value.shape), str(value.dtype)) if array else (describe(value) if leaf else "", "")
        start = f'<th scope="row" style="text-align: left; font-weight: normal; padding-left: {1 + 1.5 * depth}em">'
        shown = html.escape(name) if leaf else f"<b>{html.escape(name)}</b>"
        yield f"<tr>{start}{shown}</th>{''.join(f'<td {LEFT}>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        if not leaf:
            yield from _html_rows(value, depth + 1)
