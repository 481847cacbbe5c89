"""Many attention maps at once: all heads of all layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure, SubFigure

from ..arguments import checked
from .grid import finish_maps
from .style import (
    GREY,
    LABEL_SIZE,
    PAGE_WIDTH,
    TICK_SIZE,
    WEIGHT_MAP,
    Array,
    as_words,
    new_axes,
    text_width,
    widest,
    wrapped,
)

ROW = 9.0  # points: a line of small type for every query


@checked
def attention_layers(
    weights: Sequence[Array],
    queries: Sequence[Any],
    keys: Sequence[Any],
    figure: Figure | SubFigure | None = None,
    title: str | None = None,
    layer: str = "block",
) -> Array:
    """Every head of every layer on one colour scale: a row for each layer. Returns the array (layers, heads) of Axes.

    Parameters
    ----------
    weights : sequence of arrays (H, T, S)
        One for each layer, for example `[block["attention"]["weights"][0] for block in cache["encoder"]["blocks"]]`.
    queries, keys : T and S words
    figure : Figure or SubFigure, optional
        An empty one to draw on; None: a new one of page width.
    layer : str
        What a row is called.

    Cells are as wide as the page allows; where upright words do not fit above them, the keys stand in the caption.
    """
    layers = [np.asarray(w) for w in weights]
    if not layers or any(w.ndim != 3 or w.shape != layers[0].shape or 0 in w.shape for w in layers):
        shapes = ", ".join(str(w.shape) for w in layers) or "no array"
        raise ValueError(f"weights has {shapes}: give for every layer the same (heads, queries, keys)")
    H, T, S = layers[0].shape
    queries = as_words("queries", queries, T, f"weights of shape {layers[0].shape}")
    keys = as_words("keys", keys, S, f"weights of shape {layers[0].shape}")
    size = TICK_SIZE - 0.5
    left = widest(queries, size) + 40
    cell = (PAGE_WIDTH * 72 - left - 14) / H / S - 8 / S
    words_fit = cell >= size + 1
    above = widest(keys, size) + 6 if words_fit else 0.0
    title = title or "Every head of every layer: each row of a map sums to 1"
    caption = "" if words_fit else f"keys, from left to right: {'  '.join(keys)}"
    caption = wrapped(caption, PAGE_WIDTH * 72 - 30, TICK_SIZE)
    if figure is None:
        row = T * max(ROW, min(cell, 16.0))
        height = 92 + above + 12 * caption.count("\n") + len(layers) * (row + 8)
        figure = plt.figure(figsize=(PAGE_WIDTH, height / 72), layout="constrained")
    axes = figure.subplots(len(layers), H, squeeze=False)
    vmax = float(max(np.nanmax(w) for w in layers))
    for n, row_of_axes in enumerate(axes):
        for head, ax in enumerate(row_of_axes):
            new_axes(ax)  # makes room for its labels
            image = ax.imshow(
                layers[n][head], cmap=WEIGHT_MAP, vmin=0, vmax=vmax or 1.0, aspect="auto", interpolation="nearest"
            )
            ax.set_yticks(range(T) if head == 0 else [], queries if head == 0 else [], fontsize=size, parse_math=False)
            shown = n == 0 and words_fit
            ax.xaxis.tick_top()
            ax.set_xticks(
                range(S) if shown else [], keys if shown else [], fontsize=size, rotation=90, parse_math=False
            )
            ax.tick_params(length=0, pad=2)
            ax.spines[:].set_visible(False)
            if n == 0:
                ax.set_title(
                    f"head {head}" if text_width(f"head {head}", LABEL_SIZE) < S * cell else str(head),
                    fontsize=LABEL_SIZE,
                )
            if head == 0:
                ax.set_ylabel(f"{layer} {n}", fontsize=LABEL_SIZE)
    finish_maps(figure, image, list(axes.flat), title)
    if caption:
        figure.supxlabel(caption, fontsize=TICK_SIZE, color=GREY, parse_math=False)
    return axes
