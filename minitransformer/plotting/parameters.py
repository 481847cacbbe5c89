"""Where a model's parameters are: embeddings, attention, feed-forward layers, as shares of one bar."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from ..arguments import checked
from .style import (
    CYCLE,
    LABEL_SIZE,
    TICK_SIZE,
    ink_on,
    legend_below,
    new_axes,
    set_title,
    size_in_points,
    text_width,
    tidy,
    widest,
)


@checked
def parameter_shares(models: Mapping[str, Mapping[str, int]], ax: Axes | None = None, title: str | None = None) -> Axes:
    """A bar for each model, divided by what its parameters are for; how many there are stands at its end.

    Parameters
    ----------
    models : dict of name -> dict of part -> count
        For example {"GPT-2": {"embedding": 39_383_808, "attention": 28_348_416, ...}}. A part has one colour
        throughout, in the order in which parts are first named.
    """
    if not models:
        raise ValueError("models is empty: give at least one, as {'GPT-2': {'attention': 28348416}}")
    for name, parts in models.items():
        if not parts or min(parts.values()) < 0 or sum(parts.values()) <= 0:
            raise ValueError(f"models[{name!r}]={dict(parts)}: give at least one part with parameters, none below 0")
    parts_of_all = list(dict.fromkeys(part for parts in models.values() for part in parts))
    ax = new_axes(ax, height=1.15 + 0.42 * len(models))
    totals = {name: sum(parts.values()) for name, parts in models.items()}
    room = size_in_points(ax)[0] - widest(list(models)) - widest([_count(t) for t in totals.values()], LABEL_SIZE) - 30
    for row, (name, parts) in enumerate(models.items()):
        start = 0.0
        for i, part in enumerate(parts_of_all):
            share = parts.get(part, 0) / totals[name]
            if not share:
                continue
            colour = CYCLE[i % len(CYCLE)]
            ax.barh(row, share, left=start, height=0.68, color=colour, edgecolor="white", linewidth=0.8)
            text = f"{share:.0%}"
            if share * room > text_width(text, TICK_SIZE) + 4:
                ink = ink_on(to_rgba(colour))
                ax.text(start + share / 2, row, text, ha="center", va="center", fontsize=TICK_SIZE, color=ink)
            start += share
        ax.text(1.01, row, _count(totals[name]), ha="left", va="center", fontsize=LABEL_SIZE)
    tidy(ax, "share of all parameters", "")
    ax.set_yticks(range(len(models)), list(models), fontsize=TICK_SIZE, parse_math=False)
    ax.set_ylim(len(models) - 0.5, -0.5)
    beyond = widest([_count(t) for t in totals.values()], LABEL_SIZE) + 12
    ax.set_xlim(0, 1 + beyond / max(room, 60))
    ax.set_xticks(np.linspace(0, 1, 5), ["0 %", "25 %", "50 %", "75 %", "100 %"])
    ax.tick_params(axis="y", length=0)
    ax.spines["bottom"].set_bounds(0, 1)
    handles = [ax.barh(0, 0, color=CYCLE[i % len(CYCLE)]) for i in range(len(parts_of_all))]
    legend_below(ax, handles, parts_of_all)
    set_title(ax, title or "What parameters are for: shares of each model, and how many it has")
    return ax


def _count(n: int) -> str:
    """A count that can be read at a glance: 68.98 billion, 124.4 million, 31,744."""
    for size, name in ((10**9, "billion"), (10**6, "million")):
        if n >= size:
            return f"{n / size:.4g} {name}"
    return f"{n:,}"
