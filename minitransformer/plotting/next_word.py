"""The distribution of the next word, and what temperature, top-k and top-p make of it before a word is drawn.

p = softmax(logits / temperature), then 0 for all but the k likeliest, or but the fewest that hold p of it, then / sum
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ..arguments import checked
from .style import (
    GREY,
    OKABE_ITO,
    PALE,
    TICK_SIZE,
    Array,
    as_numbers,
    as_words,
    legend_below,
    new_axes,
    set_title,
    tidy,
)


@checked
def next_word(
    logits: Array,
    words: Sequence[Any],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    shown: int = 12,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """How probable the likeliest words are: as the model says (outline) and as they are drawn from (bars).

    Parameters
    ----------
    logits : array (V,)
        Of one position.
    words : V words
    temperature : float
        Above 1 flattens, below 1 sharpens; applied first.
    top_k : int, optional
        Only the k likeliest words may be drawn.
    top_p : float, optional
        Only the fewest likeliest words that hold at least this much probability (Holtzman et al. 2020, the nucleus).
    shown : int
        How many of the likeliest words have a bar; the last bar is all others together.
    """
    logits = as_numbers("logits", logits)
    if np.isnan(logits).any():
        raise ValueError("logits holds NaN: give numbers")
    if logits.ndim != 1 or not logits.size:
        raise ValueError(f"logits has shape {logits.shape}: give those of one position, (V,)")
    words = as_words("words", words, len(logits), f"logits of shape {logits.shape}")
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}: must be above 0")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k}: must be at least 1")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p}: must be above 0 and at most 1")
    if shown < 1:
        raise ValueError(f"shown={shown}: must be at least 1")
    order = np.argsort(-logits, kind="stable")
    model = _softmax(logits.astype(np.float64))[order]
    drawn = _softmax(logits.astype(np.float64) / temperature)[order]
    allowed = np.ones(len(drawn), dtype=bool)
    if top_k is not None:
        allowed[top_k:] = False
    if top_p is not None:
        kept = np.where(allowed, drawn, 0.0)
        before = np.cumsum(kept) - kept  # what the likelier words hold: a word is needed while that is less than p
        allowed &= before < top_p * kept.sum()
    drawn = np.where(allowed, drawn, 0.0)
    drawn = drawn / drawn.sum()

    names = [words[i] for i in order[:shown]]
    outline, bars, live = model[:shown], drawn[:shown], allowed[:shown]
    if len(order) > shown:
        names.append(f"{len(order) - shown:,} others")
        outline = np.append(outline, model[shown:].sum())
        bars = np.append(bars, drawn[shown:].sum())
        live = np.append(live, allowed[shown:].any())
    ax = new_axes(ax, width=4.4, height=0.75 + 0.19 * len(names))
    rows = np.arange(len(names))
    ax.barh(rows, bars, height=0.62, color=OKABE_ITO["sky blue"], label="drawn from")
    ax.barh(rows, outline, height=0.78, fill=False, edgecolor="black", linewidth=0.8, label="as the model says")
    reach = float(max(bars.max(), outline.max()))
    for row in rows:
        text = f"{bars[row]:.1%}" if live[row] else "× never"
        at = max(bars[row], outline[row]) + 0.015 * reach
        ax.text(at, float(row), text, va="center", fontsize=TICK_SIZE, color="black" if live[row] else GREY)
    tidy(ax, "probability", "")
    ax.set_yticks(rows, names, fontsize=TICK_SIZE, parse_math=False)
    for label, kept in zip(ax.get_yticklabels(), live):
        label.set_color("black" if kept else GREY)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(0, 1.28 * reach)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.locator_params(axis="x", nbins=5)
    ax.axvline(0, color=PALE, linewidth=0.6, zorder=0)
    legend_below(ax)
    set_title(ax, title or _describe(temperature, top_k, top_p))
    return ax


def _describe(temperature: float, top_k: int | None, top_p: float | None) -> str:
    what = [] if temperature == 1 else [f"temperature {temperature:g}"]
    what += [] if top_k is None else [f"top-k {top_k}"]
    what += [] if top_p is None else [f"top-p {top_p:g}"]
    return f"The next word: {', '.join(what) or 'as the model has it'}"


def _softmax(x: Any) -> Array:
    powers = np.exp(x - x.max())
    return powers / powers.sum()
