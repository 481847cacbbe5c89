"""Who may look at whom: a mask is boolean and True means *may attend*.

Where it is False the score becomes -inf and so the weight exactly 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D

from ..arguments import checked
from .grid import name_axes, new_grid, title_width, word_axes
from .style import GREY, OKABE_ITO, PALE, TICK_SIZE, Array, as_words, set_title


@checked
def mask_map(
    mask: Array,
    queries: Sequence[Any] | None = None,
    keys: Sequence[Any] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """A mask as a grid: a row for each query, a column for each key, a cross where a query may not look.

    Parameters
    ----------
    mask : boolean array (T, S) or (1, 1, T, S)
        As `causal_mask` and `padding_mask` make them, or several joined by `&`. One row stands for every query.
    queries, keys : T and S words, optional
        None: their positions.
    """
    mask = _check_mask(mask)
    if queries is not None and len(mask) == 1 and not isinstance(queries, str):
        mask = np.broadcast_to(mask, (len(queries), mask.shape[1]))
    if keys is not None and mask.shape[1] == 1 and not isinstance(keys, str):
        mask = np.broadcast_to(mask, (len(mask), len(keys)))
    T, S = mask.shape
    rows = range(T) if queries is None else queries
    columns = range(S) if keys is None else keys
    row_names = as_words("queries", rows, T, f"mask of shape {mask.shape}")
    column_names = as_words("keys", columns, S, f"mask of shape {mask.shape}")
    title = title or _describe(mask)
    ax, cell, aspect = new_grid(ax, row_names, column_names, title, below=26)
    colours = ListedColormap([PALE, OKABE_ITO["sky blue"]])
    ax.imshow(mask, cmap=colours, vmin=0, vmax=1, interpolation="nearest", aspect=aspect)
    word_axes(ax, row_names, column_names, cell)
    for edge in np.arange(1, T):
        ax.axhline(edge - 0.5, color="white", linewidth=1)
    for edge in np.arange(1, S):
        ax.axvline(edge - 0.5, color="white", linewidth=1)
    t, s = np.nonzero(~mask)
    ax.plot(s, t, "x", color=GREY, markersize=min(6.0, 0.35 * cell), markeredgewidth=1.2)
    square = {"marker": "s", "linestyle": "none", "markersize": 9, "markeredgecolor": "none"}
    handles = [
        Line2D([], [], color=OKABE_ITO["sky blue"], label="may attend", **square),  # type: ignore[arg-type]
        Line2D([], [], marker="x", linestyle="none", color=GREY, markersize=6, label="may not: weight 0"),
    ]
    ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        ncols=2,
        frameon=False,
        fontsize=TICK_SIZE,
        borderaxespad=0.4,
        borderpad=0,
        handletextpad=0.3,
        columnspacing=1.2,
    )
    name_axes(
        ax,
        "query position" if queries is None else "query: the word that looks",
        "key position" if keys is None else "key: the word looked at",
        T * cell,
        S * cell,
    )
    set_title(ax, title, title_width(S, cell))
    return ax


def _describe(mask: Array) -> str:
    T, S = mask.shape
    if mask.all():
        return "No mask: every word may look at every word"
    hidden = ~mask.any(axis=0)  # keys that nobody sees, as padding
    if T == S and T > 1:
        causal = np.tri(T, dtype=bool)
        if (mask == causal).all():
            return "Causal mask: each word looks at itself and what came before"
        if (mask == causal & ~hidden).all():
            return "Causal and padding mask: what came before, padding left out"
    if (mask == ~hidden).all():
        return "Padding mask: nobody looks at padding"
    return "Mask: who may look at whom"


def _check_mask(mask: Any) -> Array:
    """The mask as (T, S)."""
    got = f"dtype {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
    if not isinstance(mask, np.ndarray) or mask.dtype.kind != "b":
        raise TypeError(f"mask is of {got}: it must be a boolean array in which True means may attend")
    if mask.ndim < 2 or any(size != 1 for size in mask.shape[:-2]) or 0 in mask.shape:
        raise ValueError(
            f"mask has shape {mask.shape}: one sentence's mask is (queries, keys) or (1, 1, queries, keys)"
        )
    return mask.reshape(mask.shape[-2:])
