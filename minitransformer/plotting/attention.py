"""Who looks at whom: attention weights with the words on them.

weights[t, s] is how much of query t's new vector comes from key s; every row sums to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from ..arguments import checked
from .grid import KEY, MARK, QUERY, draw_maps, draw_weights, mark_row, name_axes, new_grid, title_width
from .looks import heads_of, one_head
from .style import (
    GREY,
    LABEL_SIZE,
    OKABE_ITO,
    TICK_SIZE,
    Array,
    as_numbers,
    as_words,
    colorbar,
    ink_on,
    new_axes,
    set_title,
    size_in_points,
    text_width,
    widest,
)


@checked
def attention_map(
    weights: Any,
    queries: Sequence[Any] | None = None,
    keys: Sequence[Any] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    annotate: bool | None = None,
    vmax: float | None = None,
    highlight: int | None = None,
    query_name: str = QUERY,
    where: str | None = None,
    head: int | None = None,
) -> Axes:
    """One head: a row for each query, a column for each key, bright where the weight is large.

    Parameters
    ----------
    weights : array (T, S), cache, or look
        An array is for example `cache["decoder"]["blocks"][0]["cross_attention"]["weights"][sentence, head]`; a look is
        what `translator.look(text)` returns. Of a cache its first sentence is drawn.
    queries, keys : T and S words, optional
        None: the look's own words, or numbers.
    annotate : bool, optional
        Write the weights into the cells. None: where the map has at most 150 cells and they are large enough.
        Cells below 0.005 stay empty.
    vmax : float, optional
        The weight of the brightest colour; None: the largest weight.
    highlight : int, optional
        The query whose row is framed.
    query_name : str
        What a row stands for, such as "the word that is written next" in a decoder.
    where : str, optional
        Of a cache or look: the dotted path of the attention, such as "encoder.blocks.0.attention". None: the last
        attention to the source, or the last of all.
    head : int, optional
        Of a cache or look; None: the mean of all heads.
    """
    weights, queries, keys = one_head(weights, queries, keys, where, head)
    weights, queries, keys = _check_weights(weights, queries, keys)
    _one_of("highlight", highlight, queries)
    title = title or "Where each word looks: every row sums to 1"
    ax, cell, aspect = new_grid(ax, queries, keys, title, right=62)
    image = draw_weights(ax, weights, queries, keys, cell, vmax, aspect)
    if annotate or (annotate is None and weights.size <= 150 and cell > text_width("0.00") + 3):
        _write_values(ax, image, weights)
    height, width = len(queries) * cell, len(keys) * cell
    name_axes(ax, query_name, KEY, height, width)
    if highlight is not None:
        mark_row(ax, highlight, len(keys))
    set_title(ax, title, title_width(len(keys), cell))
    colorbar(ax, image, "attention weight", height)
    return ax


@checked
def attention_grid(
    weights: Any,
    queries: Sequence[Any] | None = None,
    keys: Sequence[Any] | None = None,
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    highlight: int | None = None,
    query_name: str = QUERY,
    where: str | None = None,
) -> Array:
    """All heads of a layer on one colour scale. Returns the array of their H Axes.

    Parameters
    ----------
    weights : array (H, T, S), cache, or look
    queries, keys : T and S words, optional
    figure : Figure or SubFigure, optional
        An empty one to draw on; None: a new one.
    highlight, query_name, where
        As in `attention_map`.
    """
    weights, queries, keys = heads_of(weights, queries, keys, where)
    if weights.ndim != 3 or 0 in weights.shape:
        raise ValueError(
            f"weights has shape {weights.shape}: a grid of heads is (heads, queries, keys); of a batch, give weights[0]"
        )
    H, T, S = weights.shape
    queries = as_words("queries", range(T) if queries is None else queries, T, f"weights of shape {weights.shape}")
    keys = as_words("keys", range(S) if keys is None else keys, S, f"weights of shape {weights.shape}")
    title = title or "Where each word looks, head by head: every row sums to 1"
    names = [f"head {head}" for head in range(H)]
    _one_of("highlight", highlight, queries)
    vmax = float(np.nanmax(weights))
    return draw_maps(list(weights), names, queries, keys, figure, title, vmax, highlight, query_name)


@checked
def alignment_over_training(
    snapshots: Mapping[int, Array],
    queries: Sequence[Any],
    keys: Sequence[Any],
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
) -> Array:
    """One attention map after several steps of training, side by side. Returns the array of their Axes.

    Parameters
    ----------
    snapshots : dict of step -> array (T, S)
        The same head for the same pair of sentences, as a callback kept it.
    queries, keys : T and S words
        Of the pair of sentences that all the maps are of.
    """
    if not snapshots:
        raise ValueError("snapshots is empty: give at least one, as {step: weights}")
    steps = sorted(snapshots)
    maps = [np.asarray(snapshots[step]) for step in steps]
    if any(m.ndim != 2 or m.shape != maps[0].shape or 0 in m.shape for m in maps):
        shapes = ", ".join(str(m.shape) for m in maps)
        raise ValueError(f"snapshots has {shapes}: give the same (queries, keys) at every step")
    T, S = maps[0].shape
    queries = as_words("queries", queries, T, f"maps of shape {maps[0].shape}")
    keys = as_words("keys", keys, S, f"maps of shape {maps[0].shape}")
    title = title or "One head while it learns: where each word looks"
    return draw_maps(maps, [f"step {step:,}" for step in steps], queries, keys, figure, title, 1.0)


@checked
def attention_lines(
    weights: Any,
    left_words: Sequence[Any] | None = None,
    right_words: Sequence[Any] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    highlight: int | None = None,
    where: str | None = None,
    head: int | None = None,
) -> Axes:
    """Two columns of words, joined by lines as thick, and as dark, as the weights.

    Parameters
    ----------
    weights : array (T, S), cache, or look
    left_words, right_words : T queries and S keys, optional
    highlight : int, optional
        The query whose lines stand out; all others turn pale.
    where, head
        As in `attention_map`.
    """
    weights, left_words, right_words = one_head(weights, left_words, right_words, where, head)
    as_numbers("weights", weights, finite=True)
    weights, left_words, right_words = _check_weights(weights, left_words, right_words, "left_words", "right_words")
    T, S = weights.shape
    _one_of("highlight", highlight, left_words)
    left, right = widest(left_words, LABEL_SIZE) / 72, widest(right_words, LABEL_SIZE) / 72
    rows = max(T, S)
    ax = new_axes(ax, width=max(3.4, left + right + 3.2), height=0.27 * rows + 0.9)
    width, height = size_in_points(ax)
    size = float(np.clip(0.8 * height / rows * 0.85, 4.0, LABEL_SIZE))
    margin_left, margin_right = widest(left_words, size) + 8, widest(right_words, size) + 8
    scale = max(width - margin_left - margin_right, 20.0)  # points between the two columns: x runs from 0 to 1
    y_left, y_right = _spread(T, rows), _spread(S, rows)
    for t in range(T):
        colour = MARK if highlight == t else OKABE_ITO["blue"] if highlight is None else GREY
        for s in np.argsort(weights[t]):
            weight = float(weights[t, s])
            if weight < 0.01:
                continue
            faint = 0.3 * weight if highlight not in (None, t) else 0.25 + 0.65 * weight
            curve = Path(
                [(0, y_left[t]), (0.4, y_left[t]), (0.6, y_right[s]), (1, y_right[s])],
                [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
            )
            line = PathPatch(curve, fill=False, edgecolor=colour, linewidth=0.3 + 6 * weight, alpha=faint)
            line.set_zorder(2 + weight + (highlight == t))
            ax.add_patch(line)
    for words, heights, x, align in ((left_words, y_left, -6, "right"), (right_words, y_right, 6, "left")):
        for i, (word, y) in enumerate(zip(words, heights)):
            marked = align == "right" and i == highlight
            ax.annotate(
                word,
                (0 if align == "right" else 1, y),
                xytext=(x, 0),
                textcoords="offset points",
                ha=align,
                va="center_baseline",
                fontsize=size,
                fontweight="bold" if marked else "normal",
                color=MARK if marked else "black",
                parse_math=False,
            )
    ax.set_xlim(-margin_left / scale, 1 + margin_right / scale)
    ax.set_ylim(rows - 0.5, -1.6)
    ax.annotate("query", (0, -1.1), xytext=(-6, 0), textcoords="offset points", ha="right", color=GREY, fontsize=8)
    ax.annotate("key", (1, -1.1), xytext=(6, 0), textcoords="offset points", ha="left", color=GREY, fontsize=8)
    ax.set_axis_off()
    set_title(ax, title or "Where each word on the left looks: the thicker the line, the larger the weight")
    return ax


def _one_of(name: str, query: int | None, words: Sequence[str]) -> None:
    """Raise ValueError where there is no such query."""
    if query is not None and not 0 <= query < len(words):
        raise ValueError(f"{name}={query}: must be one of the {len(words)} queries, 0 ... {len(words) - 1}")


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
    weights = as_numbers("weights", weights)
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(
            f"weights has shape {weights.shape}: one head is (queries, keys);"
            " of (sentences, heads, queries, keys), give weights[0, 2] for sentence 0, head 2"
        )
    T, S = weights.shape
    return (
        weights,
        as_words(query_name, range(T) if queries is None else queries, T, f"weights of shape {weights.shape}"),
        as_words(key_name, range(S) if keys is None else keys, S, f"weights of shape {weights.shape}"),
    )
