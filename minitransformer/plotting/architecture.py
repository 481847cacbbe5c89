"""The architecture drawn from the model object itself: blocks, residual paths, norms, shapes and parameter counts.

It walks `children()`, so what it shows is what runs. A layer that it does not know is a box with its name and its
parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from ..arguments import checked
from .style import GREY, LABEL_SIZE, OKABE_ITO, TICK_SIZE, TITLE_SIZE, Canvas, text_width, wrapped

ARROW, GUTTER, PAD, MARGIN = 13.0, 17.0, 7.0, 8.0  # points: between boxes, beside them, inside a frame, around all
AROUND, MEMORY, FIRST_STATE = OKABE_ITO["blue"], OKABE_ITO["vermillion"], OKABE_ITO["green"]
WAYS = {AROUND: "past a layer", MEMORY: "the encoder's output", FIRST_STATE: "the decoder's first state"}
COLOURS = {  # pale, so that black type on them can be read; each kind has its name on it too
    "embedding": "#FBE3B5",
    "attention": "#C4E1F5",
    "feed-forward": "#BFE6D6",
    "recurrent": "#D9D3EE",
    "norm": "#FAF5BE",
    "head": "#EFD3E2",
    "other": "#E6E6E6",
}


@dataclass
class _Box:
    """One layer: a name, its parameters, a line of detail; `reads` is set where it attends to the memory."""

    name: str
    kind: str
    detail: str = ""
    count: str = ""
    reads: bool = False
    at: tuple[float, float] = (0.0, 0.0)  # where it was drawn: its left edge's middle
    begins: bool = False  # its first state comes from the encoder
    passed: _Box | None = None  # what this one reads has passed that one, too, on a path around it
    fed: _Box | None = None  # what leaves this one enters that one at the next step

    def width(self) -> float:
        first = text_width(self.name, TICK_SIZE, "bold") + (text_width(self.count, TICK_SIZE) + 14 if self.count else 0)
        return max(first, text_width(self.detail, TICK_SIZE)) + 12

    def height(self) -> float:
        return 30.0 if self.detail else 18.0


@dataclass
class _Plus:
    """Parts around which the residual path leads, to where their output is added to it."""

    parts: list[_Box]


@dataclass
class _Frame:
    """Equal blocks, drawn once, or the parts of a recurrent encoder or decoder."""

    name: str
    count: str
    items: list[_Box | _Plus] = field(default_factory=list)


@dataclass
class _Label:
    """Text on the path: what goes in or out, or the shape of what is handed on."""

    text: str
    leaves: bool = False  # the memory's way begins here, and the path goes on
    at: float = 0.0  # at which height it was drawn


_Item = _Box | _Plus | _Frame | _Label


@checked
def draw(model: Any, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The model as lectures draw it, inputs below and logits above: encoder on the left, decoder on the right.

    Parameters
    ----------
    model : Layer
        An encoder-decoder or a decoder-only model, or anything with `children()`.
    title : str, optional
        None: the model's class and how many parameters it has.

    Blocks that are built alike are drawn once, with their number. A count is of the parameters of that one layer;
    what several blocks share is counted in none of them, and named. A line under the
    title says what the coloured ways are.
    """
    if not (hasattr(model, "children") and hasattr(model, "named_parameters")):
        raise TypeError(f"model is of type {type(model).__name__}: give a Layer, such as a Transformer")
    columns = _columns(model)
    title = title or f"{type(model).__name__}: {_number(model.n_parameters())} parameters"
    boxes = [[_width_of(item) for item in items] for items in columns]
    widths = [max(column) for column in boxes]
    gap = 46.0 if len(columns) > 1 else 0.0
    width = sum(widths) + 2 * len(columns) * (GUTTER + PAD) + gap + 2 * MARGIN
    width = max(width, text_width("T" * 34, TICK_SIZE))
    title = wrapped(title, width - 2 * MARGIN)
    tall = max(sum(_height_of(item) for item in items) + ARROW * (len(items) - 1) for items in columns)
    lines = title.count("\n") + 1
    height = tall + 2 * MARGIN + 14 * (lines + 1) + (14 if len(columns) > 1 else 0)
    drawing = _Drawing(ax, width, height)
    drawing.write(MARGIN, height - MARGIN, title, TITLE_SIZE, va="top", ha="left")
    left = MARGIN + max(0.0, (width - 2 * MARGIN - sum(widths) - gap - 2 * len(columns) * (GUTTER + PAD)) / 2)
    tops, centres = [], []
    for n, items in enumerate(columns):
        centre = left + GUTTER + PAD + widths[n] / 2
        side = 1 if n == len(columns) - 1 and n > 0 else -1  # residual paths lie outside, the memory's in between
        tops.append(drawing.column(items, centre, widths[n], MARGIN, side))
        centres.append(centre)
        left += widths[n] + 2 * (GUTTER + PAD) + gap
    if len(columns) > 1:
        readers = [box for box in _boxes(columns[1]) if box.reads]
        beginners = [box for box in _boxes(columns[1]) if box.begins]
        between = centres[0] + widths[0] / 2 + GUTTER + PAD + gap / 2
        memory = next((item for item in columns[0] if isinstance(item, _Label) and item.leaves), None)
        if memory is None:
            drawing.over((centres[0], tops[0]), between, readers, MEMORY)
        else:
            drawing.over((centres[0], tops[0]), between + 6, beginners, FIRST_STATE)
            drawing.across((centres[0] + text_width(memory.text, TICK_SIZE) / 2 + 4, memory.at), between - 6, readers)
    x = MARGIN
    for colour, name in WAYS.items():  # what the coloured ways are, under the title
        if colour in drawing.used:
            drawing.write(x, height - MARGIN - 14 * lines - 2, f"→ {name}", va="top", ha="left", color=colour)
            x += text_width(f"→ {name}", TICK_SIZE) + 12
    return drawing.ax


@checked
def parameter_parts(model: Any) -> dict[str, int]:
    """How many parameters serve what: embeddings, attention, feed-forward, norms, head, other; a tied one counts once.

    Parts without parameters are left out. `parameter_shares({"GPT": parameter_parts(model)})` draws them.
    """
    counts = dict.fromkeys(("embeddings", "attention", "feed-forward", "norms", "head", "other"), 0)
    plural = {"embedding": "embeddings", "norm": "norms"}
    seen: set[int] = set()

    def walk(layer: Any, kind: str) -> None:
        for name, child in layer.children():
            if _is_layer(child):
                known = _kind(child)
                if kind in ("attention", "feed-forward") and known == "other":
                    known = kind  # a projection belongs to what it is a part of
                if name == "head" and known == "other":
                    known = "head"
                walk(child, known)
            elif id(child) not in seen:
                seen.add(id(child))
                counts[plural.get(kind, kind)] += child.size

    walk(model, _kind(model))
    return {part: n for part, n in counts.items() if n}


def _columns(model: Any) -> list[list[_Item]]:
    """What is drawn, each column from the bottom up. Up to the encoder it is the left one."""
    parts = list(_layers_of(model))
    names = [name for name, _ in parts]
    D = _find(model, "d_model")
    logits = _Label(f"logits {_shape('T', _vocabulary(model))}")
    if "encoder" in names and "decoder" in names:
        split = names.index("encoder") + 1
        left: list[_Item] = [_Label("source ids (B, S)"), *_path(parts[:split], model, _shape("S", D))]
        right: list[_Item] = [_Label("target ids (B, T)"), *_path(parts[split:], model, _shape("T", D))]
        readers = [box for box in _boxes(right) if box.reads]
        if not readers:  # an attention that is no cross_attention by name, or whatever stands in the decoder first
            attentions = [box for box in _boxes(right) if box.kind == "attention"]
            decoder = [item for item in right if isinstance(item, _Frame)]
            for box in attentions[:1] or [box for frame in decoder[:1] for box in _boxes([frame])][:1]:
                box.reads = True
        if hasattr(model.encoder, "bridge_h"):
            return [[*left, *_bridge(model.encoder)], [*right, logits]]
        return [[*left, _Label(f"memory {_shape('S', D)}")], [*right, logits]]
    if {"embedding", "decoder", "head"} <= set(names):
        return [[_Label("ids (B, T)"), *_path(parts, model, _shape("T", D)), logits]]
    return [[_Label("x"), *_path([("", model)], model, ""), _Label("y")]]


def _path(parts: Sequence[tuple[str, Any]], model: Any, shape: str) -> list[_Item]:
    """The items for layers that run one after another, with the shape before and behind every stack."""
    items: list[_Item] = []
    for name, layer in parts:
        if name == "head":
            items.append(_box(layer, "head", model))
        elif hasattr(layer, "lstm"):
            items += [_Label(shape)] * bool(shape) + [_recurrent(layer, name)]
        elif hasattr(layer, "blocks"):
            if shape:
                items.append(_Label(shape))
            items += _stack(layer, model)
        elif _is(layer, "Identity", "Dropout"):
            continue
        elif _is(layer, "Chain", "InputEmbedding"):
            items += _path(list(_layers_of(layer)), model, "")
        elif _kind(layer) == "other" and len(list(_layers_of(layer))) > 1:
            frame = _Frame(_words(name or type(layer).__name__), _number(_count(layer)))
            frame.items += [_box(child, child_name, model) for child_name, child in _layers_of(layer)]
            items.append(frame)
        else:
            items.append(_box(layer, name, model))
    return items


def _recurrent(layer: Any, name: str) -> _Frame:
    """The layers of an encoder's or decoder's LSTM; above a decoder's, attention and what is made of it."""
    if not hasattr(layer, "cross_attention"):
        return _Frame(_words(name), _number(_count(layer.lstm)), [*_recurrent_layers(layer.lstm)])
    boxes = _recurrent_layers(layer.lstm)
    for box in boxes:
        box.begins = True
    attention, mix = layer.cross_attention, layer.combine.mix
    score = "v · tanh(q + k)" if _is(attention.score, "AdditiveScore") else "q · k"
    width = f", {attention.key.d_in} → {attention.key.d_out}" if hasattr(attention.key, "d_in") else ""
    look = _Box("attention to the memory", "attention", f"score {score}{width}", _number(_count(attention)), True)
    both = _Box("attentional state", "feed-forward", f"tanh of [context; h], {mix.d_in} → {mix.d_out}")
    both.count, both.passed = _number(_count(layer.combine)), look
    if not _is(layer, "InputFeedingDecoder"):
        return _Frame(_words(name), _number(_count(layer)), [*boxes, look, both])
    boxes[0].detail = f"[x; state before], {boxes[0].detail}"
    both.fed = boxes[0]
    return _Frame(f"{_words(name)}, step by step", _number(_count(layer)), [*boxes, look, both])


def _recurrent_layers(stack: Any) -> list[_Box]:
    """A box for each run of layers that are built alike."""
    boxes = []
    for run in _runs(stack.layers):
        one = getattr(run[0], "forward_layer", run[0])
        kind = _words(type(one).__name__.removesuffix("Layer"))
        both = one is not run[0]
        title = f"{'bidirectional ' if both else ''}{kind}{f' × {len(run)}' if len(run) > 1 else ''}"
        detail = f"{one.d_in} → {'2 × ' if both else ''}{one.d_hidden}"
        boxes.append(_Box(title, "recurrent", detail, _number(sum(_count(layer) for layer in run))))
    return boxes


def _bridge(encoder: Any) -> list[_Item]:
    """Above a recurrent encoder: the memory, which leaves here, and how its last state becomes the decoder's first."""
    H, N, D = encoder.lstm.d_hidden, encoder.n_layers, encoder.d_hidden
    count = _number(_count(encoder.bridge_h) + _count(encoder.bridge_c))
    box = _Box("bridge of h and c", "other", f"tanh, {H} → {f'{N} × ' if N > 1 else ''}{D} of each", count)
    return [_Label(f"memory {_shape('S', H)}", leaves=True), box, _Label(f"first h and c (B, {N}, {D})")]


def _stack(stack: Any, model: Any) -> list[_Item]:
    """A frame for each run of blocks that are built alike, then the last norm."""
    items: list[_Item] = []
    for run in _runs(stack.blocks):
        parameters = {id(p): p.size for block in run for p in block.parameters()}
        together = f"= {_number(sum(parameters.values()))}"  # of all of them
        frame = _Frame(f"× {len(run)}", together if len(run) > 1 else together[2:])
        causal = _is(run[0], "DecoderBlock") or _is(model, "DecoderOnly")
        others = [p for other in stack.blocks if other is not run[0] for p in other.parameters()]
        shared = {id(p) for p in others}
        for name, part in _layers_of(run[0]):
            frame.items += _part(name, part, model, causal, shared)
        items.append(frame)
    norm = getattr(stack, "norm", None)
    return items + (_path([("norm", norm)], model, "") if norm is not None else [])


def _part(name: str, part: Any, model: Any, causal: bool, shared: set[int]) -> list[_Box | _Plus]:
    if _is(part, "Identity", "Dropout"):
        return []
    if not _is(part, "Residual"):
        return [_box(part, name, model, causal, shared)]
    inner = [_box(part.sublayer, name, model, causal, shared)]
    norm = [_box(part.norm, "norm", model)] if hasattr(part, "norm") else []
    if _is(part, "PreNorm"):
        return [_Plus([*norm, *inner])]
    return [_Plus(inner), *norm]


def _box(layer: Any, name: str, model: Any, causal: bool = False, shared: set[int] | None = None) -> _Box:
    """What stands in a layer's box. Parameters that other blocks have too are named, not counted."""
    kind = _kind(layer)
    own = {id(p): p.size for p in layer.parameters()}
    common = sum(size for i, size in own.items() if i in (shared or ()))
    n = sum(own.values()) - common
    reads = "cross" in name or "memory" in name
    title, details = _words(type(layer).__name__), []
    if kind == "attention":
        title = "attention to the memory" if reads else "masked self-attention" if causal else "self-attention"
        heads, kv = getattr(layer, "n_heads", None), getattr(layer, "n_kv_heads", None)
        d = getattr(layer, "d_head", None)
        if heads:
            width = f" of {d}" if d else ""
            plural = "s" if heads > 1 else ""
            few = kv and kv != heads
            details.append(f"{heads} query heads{width}, {kv} of keys" if few else f"{heads} head{plural}{width}")
        if _is(getattr(layer, "rotary", None), "Rotary"):
            details.append("rotary")
        bias = getattr(getattr(layer, "attention", None), "bias", None)
        if bias is not None:
            details.append("bias by distance" if not common else f"bias by distance ({_number(common)})")
    elif kind == "feed-forward":
        title = "gated feed-forward" if hasattr(layer, "gate_proj") else "feed-forward"
        sizes = [getattr(getattr(layer, part, None), "d_out", None) for part in ("up_proj", "down_proj")]
        if all(sizes):
            details.append(f"{sizes[1]} → {sizes[0]} → {sizes[1]}")
        if hasattr(layer, "activation"):
            details.append(type(layer.activation).__name__)
    elif _is(layer, "Embedding") and hasattr(layer, "n"):
        details.append(f"{_number(layer.n)} × {layer.d_model}" + _scale(layer))
    elif _is(layer, "Unembedding"):
        V, D = layer.weight.shape
        details.append(f"{D} → {_number(V)}, tied{_scale(layer)}")
    elif hasattr(layer, "d_in") and hasattr(layer, "d_out"):
        details.append(f"{layer.d_in} → {_number(layer.d_out)}")
    if name == "head":
        kind = "head"
    elif kind == "other" and name and not details:
        title = f"{_words(name)}: {title}" if not name.isdigit() else title
    tied = _is(layer, "Unembedding") or (name == "head" and _tied_before(model, layer))
    count = "" if not n else "shared" if tied else _number(n)
    if _is(layer, "Embedding") and _tied_before(model, layer):
        count = "shared"
    return _Box(title, kind, ", ".join(details), count, reads)


def _tied_before(model: Any, layer: Any) -> bool:
    """All parameters of this layer belong to an earlier layer of the model, too."""
    mine = {id(p) for p in layer.parameters()}
    earlier: set[int] = set()
    for _, other in model.named_layers():
        if other is layer:
            return bool(mine) and mine <= earlier
        earlier |= {id(child) for _, child in other.children() if not _is_layer(child)}
    return False


class _Drawing(Canvas):
    """Boxes, frames and the paths between them. `used` has the colours of the paths."""

    def __init__(self, ax: Axes | None, width: float, height: float) -> None:
        super().__init__(ax, width, height)
        self.used: set[str] = set()

    def write(self, x: float, y: float, text: str, size: float = TICK_SIZE, **style: Any) -> None:
        super().write(x, y, text, size, **{"va": "center_baseline", "zorder": 6, **style})

    def line(self, xs: Sequence[float], ys: Sequence[float], arrow: bool = True, colour: str = "black") -> None:
        self.used.add(colour)
        if arrow:
            head = FancyArrowPatch(
                (xs[-2], ys[-2]),
                (xs[-1], ys[-1]),
                arrowstyle="-|>",
                mutation_scale=8 * self.shrink,
                shrinkA=0,
                shrinkB=0,
                color=colour,
                linewidth=0.9 * self.shrink,
                zorder=3,
            )
            self.ax.add_patch(head)
            xs, ys = xs[:-1], ys[:-1]
        if len(xs) > 1:
            self.ax.plot(xs, ys, color=colour, linewidth=0.9 * self.shrink, zorder=3, solid_joinstyle="round")

    def column(self, items: Sequence[_Item], centre: float, width: float, y: float, side: int) -> float:
        """Draw from y upwards; the height at which the last item ends."""
        for n, item in enumerate(items):
            if n:
                self.line([centre, centre], [y, y + ARROW])
                y += ARROW
            y = self.item(item, centre, width, y, side)
        return y

    def item(self, item: _Item, centre: float, width: float, y: float, side: int) -> float:
        height = _height_of(item)
        if isinstance(item, _Label):
            item.at = y + height / 2
            self.write(centre, item.at, item.text, ha="center")
        elif isinstance(item, _Box):
            self.box(item, centre, width, y)
        elif isinstance(item, _Plus):
            first = y - ARROW * 0.65  # the path parts from the line that comes from below
            top = y + sum(box.height() for box in item.parts) + ARROW * len(item.parts)
            around = centre + side * (width / 2 + GUTTER * 0.62)
            self.column(item.parts, centre, width, y, side)
            self.line([centre, centre], [top - ARROW, top])
            self.line([centre, around, around, centre + side * 5.5], [first, first, top + 5, top + 5], colour=AROUND)
            style = {"facecolor": "white", "edgecolor": "black", "linewidth": 0.9 * self.shrink, "zorder": 4}
            self.ax.add_patch(Circle((centre, top + 5), 5, **style))
            self.line([centre - 3, centre + 3], [top + 5, top + 5], arrow=False)
            self.line([centre, centre], [top + 2, top + 8], arrow=False)
            for line in self.ax.lines[-2:]:
                line.set_zorder(5)
        else:
            wide = width + 2 * GUTTER
            corner = (centre - wide / 2, y)
            frame = FancyBboxPatch(
                corner,
                wide,
                height,
                boxstyle="round,pad=0,rounding_size=6",
                facecolor="#F7F7F7",
                edgecolor=GREY,
                linewidth=0.9 * self.shrink,
                zorder=1,
            )
            self.ax.add_patch(frame)
            # Left and right of the path, which leaves through the middle.
            self.write(corner[0] + 7, y + height - 10, item.name, LABEL_SIZE, fontweight="bold", ha="left")
            self.write(corner[0] + wide - 7, y + height - 10, item.count, LABEL_SIZE, ha="right")
            self.line([centre, centre], [y, y + PAD + 6])
            top = self.column(item.items, centre, width, y + PAD + 6, side)
            self.line([centre, centre], [top, y + height], arrow=False)
            for box in _boxes(item.items):
                self.around(box, centre, width, side)
        return y + height

    def around(self, box: _Box, centre: float, width: float, side: int) -> None:
        """The ways outside the boxes: past another one into this one, and from this one back to another."""
        edge = centre + side * width / 2
        if box.passed is not None:
            below = box.passed.at[1] - box.passed.height() / 2 - ARROW * 0.65
            near, y = edge + side * GUTTER * 0.4, box.at[1]
            self.line([centre, near, near, edge], [below, below, y, y], colour=AROUND)
        if box.fed is not None:
            above = box.at[1] + box.height() / 2 + ARROW * 0.5
            far, y = edge + side * GUTTER * 0.75, box.fed.at[1]
            self.line([centre, far, far, edge], [above, above, y, y], colour=AROUND)

    def box(self, box: _Box, centre: float, width: float, y: float) -> None:
        height = box.height()
        left = centre - width / 2
        box.at = (left, y + height / 2)
        patch = FancyBboxPatch(
            (left, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=3",
            facecolor=COLOURS[box.kind],
            edgecolor="black",
            linewidth=0.8 * self.shrink,
            zorder=4,
        )
        self.ax.add_patch(patch)
        first = y + height - 10 if box.detail else y + height / 2 - 1
        self.write(left + 6, first, box.name, ha="left", fontweight="bold")
        self.write(left + width - 6, first, box.count, ha="right")
        if box.detail:
            self.write(left + 6, y + 8, box.detail, ha="left", color="#333333")

    def over(self, start: tuple[float, float], between: float, readers: Sequence[_Box], colour: str) -> None:
        """From the encoder's end over to every box that reads what ends there."""
        if not readers:
            return
        x, y = start
        self.line([x, x, between, between], [y, y + 8, y + 8, readers[0].at[1]], arrow=False, colour=colour)
        for box in readers:
            self.line([between, between, box.at[0]], [readers[0].at[1], box.at[1], box.at[1]], colour=colour)

    def across(self, start: tuple[float, float], between: float, readers: Sequence[_Box]) -> None:
        """From beside the memory's name to every box that reads it, where the encoder's path goes on above."""
        x, y = start
        for box in readers:
            self.line([x, between, between, box.at[0]], [y, y, box.at[1], box.at[1]], colour=MEMORY)


def _width_of(item: _Item) -> float:
    if isinstance(item, _Label):
        return text_width(item.text, TICK_SIZE)
    if isinstance(item, _Box):
        return item.width()
    if isinstance(item, _Plus):
        return max(box.width() for box in item.parts)
    label = max(text_width(item.name, LABEL_SIZE, "bold"), text_width(item.count, LABEL_SIZE)) + 13 - GUTTER
    return max([2 * label, *(_width_of(inner) for inner in item.items)])


def _height_of(item: _Item) -> float:
    if isinstance(item, _Label):
        return 12.0
    if isinstance(item, _Box):
        return item.height()
    if isinstance(item, _Plus):  # its boxes, an arrow behind each, and the circle
        return sum(box.height() + ARROW for box in item.parts) + 10
    inside = sum(_height_of(inner) for inner in item.items) + ARROW * (len(item.items) - 1)
    return inside + 2 * PAD + 6 + 20


def _boxes(items: Sequence[_Item]) -> Iterator[_Box]:
    for item in items:
        if isinstance(item, _Box):
            yield item
        elif isinstance(item, _Plus):
            yield from item.parts
        elif isinstance(item, _Frame):
            yield from _boxes(item.items)


def _is(layer: Any, *names: str) -> bool:
    """Is it of a class, or of one derived from it, with one of these names? This room imports no layers."""
    return any(kind.__name__ in names for kind in type(layer).__mro__)


def _is_layer(child: Any) -> bool:
    return hasattr(child, "children")


def _layers_of(layer: Any) -> Iterator[tuple[str, Any]]:
    return ((name, child) for name, child in layer.children() if _is_layer(child))


def _kind(layer: Any) -> str:
    name = type(layer).__name__
    if _is(layer, "Embedding", "Unembedding") or "Positions" in name or "PositionBias" in name:
        return "attention" if "PositionBias" in name else "embedding"
    if "Attention" in name:
        return "attention"
    if "FeedForward" in name:
        return "feed-forward"
    if name.endswith("Norm") and not _is(layer, "Residual"):
        return "norm"
    return "other"


def _structure(layer: Any) -> tuple[Any, ...]:
    """Classes and shapes of all that is in a layer: equal for blocks that are built alike."""
    inner = tuple((path, type(part).__name__) for path, part in layer.named_layers())
    shapes = tuple((path, tuple(parameter.shape)) for path, parameter in layer.named_parameters())
    return inner, shapes


def _runs(layers: Sequence[Any]) -> Iterator[list[Any]]:
    """Neighbours that are built alike."""
    return (list(run) for _, run in groupby(layers, _structure))


def _find(model: Any, attribute: str) -> int | None:
    """The first number of this name in the model's layers."""
    for _, layer in model.named_layers():
        value = getattr(layer, attribute, None)
        if isinstance(value, int):
            return value
    return None


def _vocabulary(model: Any) -> int | None:
    """How many logits the head gives."""
    head = getattr(model, "head", None)
    if hasattr(head, "d_out"):
        return head.d_out  # type: ignore[union-attr]
    weight = getattr(head, "weight", None)
    return weight.shape[0] if weight is not None else None


def _shape(length: str, size: int | None) -> str:
    return f"(B, {length}, {size if size else 'D'})"


def _scale(layer: Any) -> str:
    scale = getattr(layer, "scale", 1.0)
    return "" if scale == 1.0 else f", times {scale:.3g}"


def _count(layer: Any) -> int:
    return sum(p.size for p in layer.parameters())


def _number(n: int) -> str:
    return f"{n:,}"


def _words(name: str) -> str:
    """MultiHeadAttention as "multi head attention", an acronym as it is."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name.replace("_", " "))
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in spaced.split())
