"""Vectors of words on a plane: the two directions in which they differ most, by singular value decomposition.

X - mean = U S V^T          coordinates = the first two columns of U S
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..arguments import checked
from .style import (
    CYCLE,
    GREY,
    PAGE_WIDTH,
    PALE,
    TICK_SIZE,
    TITLE_SIZE,
    Array,
    as_numbers,
    as_words,
    new_axes,
    set_title,
    size_in_points,
    text_width,
    tidy,
    wrapped,
)

_MARKERS = "os^DvPX"
FARTHER = ((2, 15), (10, 12), (18, 6), (2, 24), (18, 20), (28, 10), (10, 32), (36, 20))  # points


@checked
def embedding_map(
    vectors: Array,
    words: Sequence[Any],
    groups: Mapping[str, Sequence[str]] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    legend: bool = True,
) -> Axes:
    """Words where their vectors lie on the first two principal components.

    Parameters
    ----------
    vectors : array (n, D)
        One for each word, for example `embedding.weight.value[ids]`.
    words : n words
    groups : dict of name -> words, optional
        Words of one colour and mark; those in no group are grey.
    legend : bool
        Name the groups.

    The axes say what share of all variance each component holds: where that is small, nearness on the plane means
    little. Directions are signed so that the word farthest out is on the positive side.
    """
    points, shares, words = _components(vectors, words)
    group_of = {word: i for i, members in enumerate((groups or {}).values()) for word in members}
    ax = new_axes(ax, width=4.6, height=4.0)
    for i, name in [*enumerate(groups or {}), (-1, "other")]:
        rows = [n for n, word in enumerate(words) if group_of.get(word, -1) == i]
        if rows:
            colour, marker = (GREY, ".") if i < 0 else (CYCLE[i % len(CYCLE)], _MARKERS[i % len(_MARKERS)])
            ax.plot(*points[rows].T, marker, color=colour, markersize=4.5, label=name, zorder=3)
    ax.margins(0.12)
    ax.locator_params(nbins=6)
    ax.axhline(0, color=PALE, linewidth=0.6, zorder=0)
    ax.axvline(0, color=PALE, linewidth=0.6, zorder=0)
    tidy(ax, f"component 1 ({shares[0]:.0%} of the variance)", f"component 2 ({shares[1]:.0%} of the variance)")
    if legend and groups:
        ax.legend(fontsize=TICK_SIZE, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=3)
    set_title(ax, title or "Words by their vectors: the plane on which they differ most")
    _label(ax, points, words)
    return ax


@checked
def embeddings_before_after(
    before: Array,
    after: Array,
    words: Sequence[Any],
    groups: Mapping[str, Sequence[str]] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Array:
    """The same words' vectors before and after training, side by side. Returns the array of the two Axes.

    Parameters
    ----------
    before, after : arrays (n, D)
    words, groups
        As for `embedding_map`.
    figure : Figure or SubFigure, optional
        An empty one to draw on; None: a new one.
    """
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape:
        raise ValueError(f"after has shape {after.shape}: it must have that of before, {before.shape}")
    _components(before, words)  # complains before anything is drawn
    if figure is None:
        figure = plt.figure(figsize=(PAGE_WIDTH, 4.4), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, vectors, title in zip(axes, (before, after), ("before training", "after training")):
        embedding_map(vectors, words, groups, ax=ax, title=title, legend=False)
    if groups:
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=5, frameon=False, fontsize=TICK_SIZE)
    title = wrapped(
        "Words by their vectors: what training has moved together", figure.bbox.width * 72 / figure.dpi - 24
    )
    figure.suptitle(title, fontsize=TITLE_SIZE, x=0.02, ha="left")
    return axes


def _components(vectors: Any, words: Any) -> tuple[Array, Array, list[str]]:
    """Coordinates (n, 2), the share of variance of each component, and the words."""
    vectors = as_numbers("vectors", vectors, finite=True).astype(np.float64)
    if vectors.ndim != 2 or min(vectors.shape) < 2:
        raise ValueError(f"vectors has shape {vectors.shape}: give (words, features), at least two of each")
    words = as_words("words", words, len(vectors), f"vectors of shape {vectors.shape}")
    u, s, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    points = u[:, :2] * s[:2]  # (n, 2)
    farthest = np.take_along_axis(points, np.abs(points).argmax(axis=0)[None], axis=0)
    points = points * np.where(farthest < 0, -1.0, 1.0)  # a singular vector's sign means nothing: always the same one
    return points, s[:2] ** 2 / ((s**2).sum() or 1.0), words


def _label(ax: Axes, points: Array, words: Sequence[str]) -> None:
    """Each word beside its mark, or farther off with a line to it, touching no other word and no mark; else none."""
    width, height = (0.8 * size for size in size_in_points(ax))  # axis labels will take a part
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    at = (points - (left, bottom)) / (right - left, top - bottom) * (width, height)
    marks = np.hstack([at - 2.5, at + 2.5])
    taken = list(marks)
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
    for n in np.argsort(-np.hypot(*(at - at.mean(axis=0)).T)):  # those far out first: they have room and matter
        half, tall = text_width(words[n], TICK_SIZE) / 2, 4.5
        beside = [(half + 5, 0), (-half - 5, 0), (0, 8), (0, -8)]
        beside += [(side * (half + 3), up) for up in (7, -7) for side in (1, -1)]
        farther = [(side * (half + x), up * y) for x, y in FARTHER for up in (1, -1) for side in (1, -1)]
        for dx, dy in beside + farther:
            x, y = at[n] + (dx, dy)
            box = np.array([x - half - 1, y - tall, x + half + 1, y + tall])
            inside = box[0] > 0 and box[2] < width and box[1] > 0 and box[3] < height
            others = [other for other in taken if other is not taken[n]]
            way = at[n] + np.linspace(0, 0.7, 8)[:, None] * (dx, dy) if (dx, dy) in farther else at[n][None]
            drawn = np.hstack([way, way])  # of the line to a word farther off
            if inside and not any(_touch(part, other) for other in others for part in (box, *drawn)):
                taken.append(box)
                ax.annotate(
                    words[n],
                    points[n],
                    xytext=(dx, dy),
                    textcoords="offset points",
                    ha="center",
                    va="center",
                    fontsize=TICK_SIZE,
                    parse_math=False,
                    arrowprops=None if (dx, dy) in beside else line,
                )
                break


def _touch(a: Array, b: Array) -> bool:
    return bool(min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1]))
