"""What a model is made of: every weight with its shape and its share, and what a token costs.

A model that was built with `Unallocated` is counted like any other, in milliseconds and without its memory.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..arguments import checked
from ..layers import (
    DecoderBlock,
    GroupedQueryAttention,
    Layer,
    Linear,
    LuongDecoder,
    MultiHeadAttention,
    Parameter,
    SelfAttention,
    Unembedding,
)
from ..layers.display import html_table


@dataclass(frozen=True)
class Row:
    """One weight, or the same weight of several blocks.

    Attributes
    ----------
    name : str
        With `*` for the number of the block where there are several.
    shape : tuple of int
    count : int
        In how many blocks it stands.
    tied : tuple of str
        The other names of the same weight, which are not counted again.
    """

    name: str
    shape: tuple[int, ...]
    count: int
    tied: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        size = self.count
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True)
class Summary:
    """What `summary` found; prints itself as a table, in a terminal and in Jupyter.

    Attributes
    ----------
    rows : tuple of Row
    multiply_adds : int
        Of the linear maps, for one token of every input: each of their weights is used once. Attention's own products
        come to that: two of d for every head and every position that it looks at.
    kept_per_token : int
        Numbers that decoding keeps for every token that it reads or writes: keys and values of all blocks.
    kept_per_source_token : int
        The same for every token of the source, which attention to the memory needs: for a recurrent decoder the
        memory itself, and its keys where they are mapped. The decoder's own state, h and c, is the same at any length.
    """

    rows: tuple[Row, ...]
    multiply_adds: int
    kept_per_token: int
    kept_per_source_token: int

    @property
    def parameters(self) -> int:
        """How many numbers are trained; a tied weight counts once."""
        return sum(row.parameters for row in self.rows)

    def table(self) -> list[tuple[str, str, str, str]]:
        """Name, shape, parameters and share of every row, as text."""
        total = self.parameters
        return [
            (
                row.name,
                f"{f'{row.count} x ' if row.count > 1 else ''}{' x '.join(f'{n:,}' for n in row.shape)}",
                f"{row.parameters:,}",
                f"{100 * row.parameters / total:.2f} %",
            )
            for row in self.rows
        ]

    def facts(self) -> list[tuple[str, str]]:
        """What a token costs, and which weights are tied, as text."""
        facts = [("multiply-adds a token, in linear maps", f"{self.multiply_adds:,}")]
        for where, kept in (("a token", self.kept_per_token), ("a source token", self.kept_per_source_token)):
            if kept:
                facts.append((f"keys and values {where}", f"{2 * kept:,} bytes in 16 bits, {4 * kept:,} in 32"))
        return facts + [(f"tied to {row.name}", ", ".join(row.tied)) for row in self.rows if row.tied]

    def __str__(self) -> str:
        rows = [("weight", "shape", "parameters", "share"), *self.table(), ("", "total", f"{self.parameters:,}", "")]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            f"{a:{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in rows
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*lines, "", *(f"{label}: {text}" for label, text in self.facts())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [*self.table(), ("", "total", f"{self.parameters:,}", "")]
        facts = "".join(f"<li>{html.escape(label)}: {html.escape(text)}</li>" for label, text in self.facts())
        return f"{html_table(('weight', 'shape', 'parameters', 'share'), rows)}<ul>{facts}</ul>"


@checked
def summary(model: Layer) -> Summary:
    """Count a model's weights and what a token costs it; the same weight of many blocks is one row."""
    names: dict[int, list[str]] = {}
    weights: dict[int, Parameter] = {}
    for path, layer in model.named_layers():
        for name, child in layer.children():
            if isinstance(child, Parameter):
                known = names.setdefault(id(child), [])
                full = ".".join(filter(None, (path, name)))
                weights[id(child)] = child
                if full not in known:
                    known.append(full)
    groups: dict[tuple[str, tuple[int, ...]], list[list[str]]] = {}
    for key, paths in names.items():
        pattern = re.sub(r"\bblocks\.\d+\.", "blocks.*.", paths[0])
        groups.setdefault((pattern, weights[key].shape), []).append(paths)
    rows = (
        Row(pattern if len(members) > 1 else members[0][0], shape, len(members), _folded(members[0][1:]))
        for (pattern, shape), members in groups.items()
    )
    target, source = _kept(model)
    return Summary(tuple(rows), _multiply_adds(model), target, source)


def _folded(paths: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.sub(r"\bblocks\.\d+\.", "blocks.*.", path) for path in paths))


def _multiply_adds(model: Layer) -> int:
    layers = (layer for _, layer in model.named_layers())
    return sum(layer.weight.size for layer in layers if isinstance(layer, (Linear, Unembedding)))


def _kept(model: Layer) -> tuple[int, int]:
    """Keys and values that decoding keeps for a token, and for a token of the source."""
    decoder_blocks: list[Layer] = [layer for _, layer in model.named_layers() if isinstance(layer, DecoderBlock)]
    target = source = 0
    for root in decoder_blocks or [model]:  # an encoder beside them decodes nothing
        for attention in _attentions(root):
            heads = attention.n_kv_heads if isinstance(attention, GroupedQueryAttention) else attention.n_heads
            numbers = 2 * heads * attention.d_head
            if isinstance(attention, (SelfAttention, GroupedQueryAttention)):
                target += numbers
            else:
                source += numbers
    for _, decoder in model.named_layers():
        if isinstance(decoder, LuongDecoder):
            key = decoder.cross_attention.key
            source += decoder.combine.d_context  # type: ignore[attr-defined]
            source += key.d_out if isinstance(key, Linear) else 0  # else the memory is its own key
    return target, source


def _attentions(root: Layer) -> Iterator[MultiHeadAttention | GroupedQueryAttention]:
    for _, layer in root.named_layers():
        if isinstance(layer, (MultiHeadAttention, GroupedQueryAttention)):
            yield layer
