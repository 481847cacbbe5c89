"""Who looks at whom: attention weights with the words on them.

weights[t, s] is how much of query t's new vector comes from key s; every row sums to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from .cells import board, name_axes, title_width, word_axes
from .style import (
    CYCLE,
    GREY,
    LABEL_SIZE,
    PAGE_WIDTH,
    TICK_SIZE,
    TITLE_SIZE,
    WEIGHT_MAP,
    as_words,
    colorbar,
    ink_on,
    new_axes,
    plain,
    set_title,
    size_in_points,
    text_width,
    widest,
    wrapped,
)

Array = np.ndarray


def attention_map(
    weights: Array,
    queries: Sequence[str],
    keys: Sequence[str],
    ax: Axes | None = None,
    title: str | None = None,
    annotate: bool | None = None,
    vmax: float | None = None,
) -> Axes:
    """One head: a row for each query, a column for each key, bright where the weight is large.

    Parameters
    ----------
    weights : array (T, S)
        For example `cache["decoder"]["blocks"][0]["cross_attention"]["weights"][sentence, head]`.
    queries, keys : T and S words
    annotate : bool, optional
        Write the weights into the cells. None: where the map has at most 150 cells and they are large enough.
        Cells below 0.005 stay empty.
    vmax : float, optional
        The weight of the brightest colour; None: the largest weight.
    """
    weights, queries, keys = _check_weights(weights, queries, keys)
    title = title or "Where each word looks: every row sums to 1"
    ax, cell, aspect = board(ax, queries, keys, title, right=62)
    image = draw_cells(ax, weights, queries, keys, cell, vmax, aspect)
    if annotate or (annotate is None and weights.size <= 150 and cell > text_width("0.00") + 3):
        _write_values(ax, image, weights)
    height, width = len(queries) * cell, len(keys) * cell
    name_axes(ax, "query: the word that looks", "key: the word looked at", height, width)
    set_title(ax, title, title_width(len(keys), cell))
    colorbar(ax, image, "attention weight", height)
    return ax


def attention_grid(
    weights: Array,
    queries: Sequence[str],
    keys: Sequence[str],
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
) -> Array:
    """All heads of a layer on one colour scale. Returns the array of their H Axes.

    Parameters
    ----------
    weights : array (H, T, S)
    queries, keys : T and S words
    figure : Figure or SubFigure, optional
        An empty one to draw on; None: a new one.
    """
    weights = np.asarray(weights)
    if weights.ndim != 3 or 0 in weights.shape:
        raise ValueError(
            f"weights has shape {weights.shape}: a grid of heads is (heads, queries, keys); of a batch, give weights[0]"
        )
    H, T, S = weights.shape
    queries = as_words("queries", queries, T, f"weights of shape {weights.shape}")
    keys = as_words("keys", keys, S, f"weights of shape {weights.shape}")
    # As many heads side by side as leave a line of type to every word.
    left, right, gap, smallest = widest(queries) / 72 + 0.4, 0.1, 0.08, 0.147  # inches
    room = PAGE_WIDTH - left - right
    columns = int(np.clip((room + gap) / (S * smallest + gap), 1, H))
    columns = ceil(H / ceil(H / columns))  # as many rows, more evenly filled
    rows = ceil(H / columns)
    cell = float(np.clip((room - gap * (columns - 1)) / columns / S, smallest, 0.4))
    if figure is None:
        width = left + columns * S * cell + (columns - 1) * gap + right
        height = 1.02 + widest(keys) / 72 + rows * (T * cell + 0.25)
        figure = plt.figure(figsize=(max(width, 3.6), height), layout="constrained")
    else:
        inches_wide, inches_high = figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi
        cell = min(cell, 0.8 * inches_wide / columns / S, 0.65 * inches_high / rows / T)
    axes = [figure.add_subplot(rows, columns, head + 1) for head in range(H)]
    for ax in axes:
        new_axes(ax)  # makes room for its labels
    vmax = float(np.nanmax(weights))
    for head, ax in enumerate(axes):
        show = (head % columns == 0, head < columns)
        image = draw_cells(ax, weights[head], queries, keys, cell * 72, vmax, show=show)
        ax.set_title(f"head {head}", fontsize=LABEL_SIZE, loc="left")
    figure.supylabel("query: the word that looks", fontsize=LABEL_SIZE)
    words = title or "Where each word looks, head by head: every row sums to 1"
    words = wrapped(words, figure.bbox.width * 72 / figure.dpi - 24)
    figure.suptitle(words, fontsize=TITLE_SIZE, x=0.02, ha="left", parse_math=False)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.5, aspect=40, fraction=0.03, pad=0.02)
    bar.set_label("attention weight", fontsize=LABEL_SIZE)
    plain(bar)
    return np.array(axes)


def attention_lines(
    weights: Array,
    left_words: Sequence[str],
    right_words: Sequence[str],
    ax: Axes | None = None,
    title: str | None = None,
    highlight: int | None = None,
) -> Axes:
    """Two columns of words, joined by lines as thick as the weights.

    Parameters
    ----------
    weights : array (T, S)
    left_words, right_words : T queries and S keys
    highlight : int, optional
        The query whose lines stand out; all others turn pale.
    """
    weights, left_words, right_words = _check_weights(weights, left_words, right_words, "left_words", "right_words")
    T, S = weights.shape
    if highlight is not None and not 0 <= highlight < T:
        raise ValueError(f"highlight={highlight}: it must be one of the {T} words on the left, 0 ... {T - 1}")
    left, right = widest(left_words, LABEL_SIZE) / 72, widest(right_words, LABEL_SIZE) / 72
    rows = max(T, S)
    ax = new_axes(ax, width=max(3.4, left + right + 3.2), height=0.27 * rows + 0.9)
    width, height = size_in_points(ax)
    size = float(np.clip(0.8 * height / rows * 0.85, 4.0, LABEL_SIZE))
    margin_left, margin_right = widest(left_words, size) + 8, widest(right_words, size) + 8
    scale = max(width - margin_left - margin_right, 20.0)  # points between the two columns: x runs from 0 to 1
    y_left, y_right = _spread(T, rows), _spread(S, rows)
    for t in range(T):
        colour = CYCLE[t % len(CYCLE)] if highlight in (None, t) else GREY
        for s in np.argsort(weights[t]):
            weight = float(weights[t, s])
            if weight < 0.01:
                continue
            faint = 0.12 if highlight not in (None, t) else 0.25 + 0.65 * weight
            curve = Path(
                [(0, y_left[t]), (0.4, y_left[t]), (0.6, y_right[s]), (1, y_right[s])],
                [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
            )
            line = PathPatch(curve, fill=False, edgecolor=colour, linewidth=0.3 + 6 * weight, alpha=faint)
            line.set_zorder(2 + weight)
            ax.add_patch(line)
    for words, heights, x, align in ((left_words, y_left, -6, "right"), (right_words, y_right, 6, "left")):
        for i, (word, y) in enumerate(zip(words, heights)):
            bold = "bold" if align == "right" and i == highlight else "normal"
            ax.annotate(
                word,
                (0 if align == "right" else 1, y),
                xytext=(x, 0),
                textcoords="offset points",
                ha=align,
                va="center_baseline",
                fontsize=size,
                fontweight=bold,
                parse_math=False,
            )
    ax.set_xlim(-margin_left / scale, 1 + margin_right / scale)
    ax.set_ylim(rows - 0.5, -1.6)
    ax.annotate("query", (0, -1.1), xytext=(-6, 0), textcoords="offset points", ha="right", color=GREY, fontsize=8)
    ax.annotate("key", (1, -1.1), xytext=(6, 0), textcoords="offset points", ha="left", color=GREY, fontsize=8)
    ax.set_axis_off()
    set_title(ax, title or "Where each word on the left looks: the thicker the line, the larger the weight")
    return ax


def draw_cells(
    ax: Axes,
    weights: Array,
    queries: Sequence[str],
    keys: Sequence[str],
    cell: float,
    vmax: float | None = None,
    aspect: Literal["equal", "auto"] = "equal",
    show: tuple[bool, bool] = (True, True),
) -> AxesImage:
    """The bare map: coloured cells and the words on both sides; `cell` is the size of one in points."""
    vmax = float(np.nanmax(weights)) if vmax is None else vmax
    image = ax.imshow(weights, cmap=WEIGHT_MAP, vmin=0.0, vmax=vmax or 1.0, interpolation="nearest", aspect=aspect)
    word_axes(ax, queries, keys, cell, show)
    return image


def _write_values(ax: Axes, image: AxesImage, weights: Array) -> None:
    for (t, s), weight in np.ndenumerate(weights):
        if weight >= 0.005:
            ink = ink_on(image.to_rgba(weight))
            ax.text(s, t, f"{weight:.2f}", ha="center", va="center", fontsize=TICK_SIZE, color=ink)


def _spread(n: int, rows: int) -> Array:
    """n heights, centred among as many rows as the longer column has."""
    return np.arange(n) + (rows - n) / 2


def _check_weights(
    weights: Any, queries: Any, keys: Any, query_name: str = "queries", key_name: str = "keys"
) -> tuple[Array, list[str], list[str]]:
    """One head's weights (T, S) and as many words; ValueError where they do not fit."""
    weights = np.asarray(weights)
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(
            f"weights has shape {weights.shape}: one head is (queries, keys);"
            " of (sentences, heads, queries, keys), give weights[0, 2] for sentence 0, head 2"
        )
    T, S = weights.shape
    return (
        weights,
        as_words(query_name, queries, T, f"weights of shape {weights.shape}"),
        as_words(key_name, keys, S, f"weights of shape {weights.shape}"),
    )
