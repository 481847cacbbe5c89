"""A grid of cells with a word at every row and every column: attention maps and masks are drawn on it.

A new figure is made as large as its words need; given axes are used as they are, and the type adapts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Literal, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from .style import (
    LABEL_SIZE,
    OKABE_ITO,
    PAGE_WIDTH,
    TICK_SIZE,
    TITLE_SIZE,
    WEIGHT_MAP,
    Array,
    new_axes,
    plain,
    size_in_points,
    text_width,
    widest,
    wrapped,
)

QUERY, KEY = "query: the word that looks", "key: the word looked at"
MARK = OKABE_ITO["vermillion"]
MIN_CELL = 12.0  # points: a line of type of 8 points and a little air
MAX_HEIGHT = 612.0  # points, of the cells alone


class Grid(NamedTuple):
    """Axes for the cells, the size of one cell in points, and the aspect that `imshow` should keep."""

    ax: Axes
    cell: float
    aspect: Literal["equal", "auto"]


def new_grid(
    ax: Axes | None, queries: Sequence[str], keys: Sequence[str], title: str, right: float = 8.0, below: float = 8.0
) -> Grid:
    """On the axes given, or on a new figure in which len(queries) x len(keys) cells come out square.

    `right` and `below` are points that a new figure keeps for a colour bar and a legend.
    """
    T, S = len(queries), len(keys)
    if ax is not None:
        width, height = size_in_points(new_axes(ax))
        return Grid(ax, 0.85 * min(width / S, height / T), "equal")  # labels and a colour bar will take their part
    left = widest(queries) + 24
    comfortable = max(32.0, min(64.0, widest(keys) + 7))  # wide enough that words can lie flat, if they are few
    cell = max(min((PAGE_WIDTH * 72 - left - right) / S, comfortable, MAX_HEIGHT / T), MIN_CELL)
    lines = wrapped(title, title_width(S, cell)).count("\n") + 1
    above = 12.5 * lines + 30 + (widest(keys) if _upright(keys, cell, TICK_SIZE) else TICK_SIZE)
    size = (left + max(S * cell + right, title_width(S, cell)), above + T * cell + below)
    return Grid(new_axes(None, size[0] / 72, size[1] / 72), cell, "auto")


def title_width(S: int, cell: float) -> float:
    """How wide a title over S columns may be, in points."""
    return max(S * cell, 150.0)


def word_axes(
    ax: Axes, queries: Sequence[str], keys: Sequence[str], cell: float, show: tuple[bool, bool] = (True, True)
) -> None:
    """Queries down the left side, keys along the top: upright only where lying flat they would touch.

    `cell` is the size of a cell in points; type is 8 points, less only on axes that are too small for that.
    `show` leaves out the words of either side, where a neighbour has them.
    """
    size = float(np.clip(cell * 0.8, 4.0, TICK_SIZE))
    rotation = 90 if _upright(keys, cell, size) else 0
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    queries, keys = (words if shown else () for words, shown in zip((queries, keys), show))
    ax.set_xticks(range(len(keys)), keys, fontsize=size, rotation=rotation, parse_math=False)
    ax.set_yticks(range(len(queries)), queries, fontsize=size, parse_math=False)
    ax.tick_params(length=0, pad=3)
    ax.set_anchor("NW")  # what is left over of the axes goes where no words stand
    ax.spines[:].set_visible(False)


def draw_weights(
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


def draw_maps(
    maps: Sequence[Array],
    names: Sequence[str],
    queries: Sequence[str],
    keys: Sequence[str],
    figure: Figure | SubFigure | None,
    title: str,
    vmax: float,
    highlight: int | None = None,
    query_name: str = QUERY,
) -> Array:
    """Several maps (T, S) of the same words on one colour scale, as many in a row as the page has room for.

    Returns the array of their Axes. `figure` is an empty one to draw on, or None: a new one.
    """
    n, (T, S) = len(maps), maps[0].shape
    left, gap, smallest = widest(queries) + 32, 8.0, 10.6  # points; the smallest cell leaves a line of type to a word
    room = PAGE_WIDTH * 72 - left - 10
    columns = int(np.clip((room + gap) / (S * smallest + gap), 1, n))
    columns = ceil(n / ceil(n / columns))  # as many rows, more evenly filled
    rows = ceil(n / columns)
    cell = float(np.clip((room - gap * (columns - 1)) / columns / S, smallest, 28.0))
    if figure is None:
        width = left + columns * S * cell + gap * (columns - 1) + 10
        height = 90 + widest(keys) + rows * (T * cell + 20)
        figure = plt.figure(figsize=(max(width, 290) / 72, height / 72), layout="constrained")
    else:
        wide, high = (size * 72 / figure.dpi for size in figure.bbox.size)
        cell = min(cell, 0.8 * wide / columns / S, 0.65 * high / rows / T)
    axes = [new_axes(figure.add_subplot(rows, columns, i + 1)) for i in range(n)]  # with room for their labels
    for i, ax in enumerate(axes):
        image = draw_weights(ax, maps[i], queries, keys, cell, vmax, show=(i % columns == 0, i < columns))
        ax.set_title(names[i], fontsize=LABEL_SIZE, loc="left")
        if highlight is not None:
            mark_row(ax, highlight, S)
    figure.supylabel(query_name, fontsize=LABEL_SIZE)
    finish_maps(figure, image, axes, title)
    return np.array(axes)


def finish_maps(figure: Figure | SubFigure, image: AxesImage, axes: Sequence[Axes], title: str) -> None:
    """The title of a figure of several maps, and their one colour scale beneath them."""
    title = wrapped(title, figure.bbox.width * 72 / figure.dpi - 24)
    figure.suptitle(title, fontsize=TITLE_SIZE, x=0.02, ha="left", parse_math=False)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.5, aspect=40, fraction=0.03, pad=0.02)
    bar.set_label("attention weight", fontsize=LABEL_SIZE)
    plain(bar)


def mark_row(ax: Axes, row: int, S: int) -> None:
    """A frame around one row of cells, and its word in the frame's colour."""
    ax.add_patch(Rectangle((-0.5, row - 0.5), S, 1, fill=False, edgecolor=MARK, linewidth=1.6, zorder=5, clip_on=False))
    for t, label in enumerate(ax.get_yticklabels()):
        if t == row:
            label.set(color=MARK, fontweight="bold")


def name_axes(ax: Axes, query: str, key: str, height: float, width: float) -> None:
    """What the two sides are; where that does not fit beside the cells, only what stands before the colon."""
    fit = [
        name if text_width(name, LABEL_SIZE) < room else name.split(":")[0]
        for name, room in ((query, height), (key, width))
    ]
    ax.set_ylabel(fit[0], fontsize=LABEL_SIZE)
    ax.set_xlabel(fit[1], fontsize=LABEL_SIZE)


def _upright(keys: Sequence[str], cell: float, size: float) -> bool:
    return widest(keys, size) + 5 > cell
