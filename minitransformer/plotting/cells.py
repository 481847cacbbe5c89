"""A rectangle of cells with a word at every row and every column: what attention maps and masks are drawn on.

A new figure is made as large as its words need; given axes are used as they are, and the type adapts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from .style import LABEL_SIZE, PAGE_WIDTH, TICK_SIZE, new_axes, size_in_points, text_width, widest, wrapped

MIN_CELL = 12.0  # points: a line of type of 8 points and a little air
MAX_HEIGHT = 612.0  # points, of the cells alone


class Board(NamedTuple):
    """Axes for the cells, the size of one cell in points, and the aspect that `imshow` should keep."""

    ax: Axes
    cell: float
    aspect: Literal["equal", "auto"]


def board(
    ax: Axes | None, queries: Sequence[str], keys: Sequence[str], title: str, right: float = 8.0, below: float = 8.0
) -> Board:
    """The axes given, or a new figure in which len(queries) x len(keys) cells come out square.

    `right` and `below` are points that a new figure keeps for a colour bar and a legend.
    """
    T, S = len(queries), len(keys)
    if ax is not None:
        width, height = size_in_points(new_axes(ax))
        return Board(ax, 0.85 * min(width / S, height / T), "equal")  # labels and a colour bar will take their part
    left = widest(queries) + 24
    comfortable = max(32.0, min(64.0, widest(keys) + 7))  # wide enough that words can lie flat, if they are few
    cell = max(min((PAGE_WIDTH * 72 - left - right) / S, comfortable, MAX_HEIGHT / T), MIN_CELL)
    lines = wrapped(title, title_width(S, cell)).count("\n") + 1
    above = 12.5 * lines + 30 + (widest(keys) if _upright(keys, cell, TICK_SIZE) else TICK_SIZE)
    size = (left + max(S * cell + right, title_width(S, cell)), above + T * cell + below)
    return Board(new_axes(None, size[0] / 72, size[1] / 72), cell, "auto")


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
