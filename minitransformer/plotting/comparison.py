"""Two architectures side by side: quality, speed, how far gradients reach, longer sentences, alignment.

A comparison has two `candidates`, as `experiments.compare` returns them. Each keeps its colour in all panels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from .grid import draw_weights
from .style import (
    GREY,
    LABEL_SIZE,
    OKABE_ITO,
    PAGE_WIDTH,
    TICK_SIZE,
    TITLE_SIZE,
    as_words,
    new_axes,
    set_title,
    tidy,
    wrapped,
)

STYLES = ((OKABE_ITO["vermillion"], "s"), (OKABE_ITO["blue"], "o"))
MEASURES = {"exact_match": "sentences right, held out", "token_accuracy": "tokens right, held out"}
WAYS = {
    "encoder_reach": ("Through the encoder", "tokens before the last", "gradient, to the last token's"),
    "answer_reach": ("From answer to source", "tokens in the sentence", "gradient, to all tokens'"),
}


@runtime_checkable
class ComparisonLike(Protocol):
    """What `experiments.compare` returns."""

    @property
    def candidates(self) -> Any: ...
    @property
    def steps(self) -> int: ...
    @property
    def longest(self) -> int: ...
    @property
    def measure(self) -> str: ...


def quality_curves(comparison: ComparisonLike, ax: Axes | None = None, against: str = "step") -> Axes:
    """Quality on sentences held out against `step`, or against `seconds` of training."""
    if against not in ("step", "seconds"):
        raise ValueError(f"against={against!r}: must be 'step' or 'seconds'")
    ax = new_axes(ax)
    for candidate, (colour, marker) in zip(comparison.candidates, STYLES):
        looks = candidate.history.validations
        x, y = ([look[key] for look in looks] for key in (against, comparison.measure))
        ax.plot(x, y, color=colour, marker=marker, markersize=3.5, linewidth=1.4, label=candidate.name)
    tidy(ax, "step" if against == "step" else "seconds of training", MEASURES[comparison.measure])
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlim(left=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.legend(frameon=False, fontsize=TICK_SIZE, loc="best")
    set_title(ax, "Quality against steps" if against == "step" else "Quality against time")
    return ax


def step_times(comparison: ComparisonLike, ax: Axes | None = None) -> Axes:
    """Seconds of forward, loss and backward of a batch, as its sentences grow."""
    ax = new_axes(ax)
    for candidate, (colour, marker) in zip(comparison.candidates, STYLES):
        _curve(ax, candidate.seconds_per_step, colour, marker, candidate.name)
    tidy(ax, "tokens in a sentence", "seconds a step")
    ax.set_yscale("log")
    _powers(ax, [n for candidate in comparison.candidates for n in candidate.seconds_per_step])
    ax.legend(frameon=False, fontsize=TICK_SIZE, loc="best")
    set_title(ax, "Time of a step")
    return ax


def length_curves(comparison: ComparisonLike, ax: Axes | None = None) -> Axes:
    """Exact match against length; right of the line are lengths that were in no training batch."""
    ax = new_axes(ax)
    for candidate, (colour, marker) in zip(comparison.candidates, STYLES):
        _curve(ax, candidate.exact_match, colour, marker, candidate.name)
    tidy(ax, "tokens in a sentence", "sentences right")
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.axvline(comparison.longest + 0.5, color=GREY, linewidth=1, linestyle=":")
    style: dict[str, Any] = {"fontsize": TICK_SIZE, "color": GREY, "ha": "right", "va": "center"}
    ax.text(0.99, 0.5, "right of the line:\nlonger than in training", transform=ax.transAxes, **style)
    ax.legend(frameon=False, fontsize=TICK_SIZE, loc="upper right")
    set_title(ax, "Longer than in training")
    return ax


def reach_curves(comparison: ComparisonLike, ax: Axes | None = None, way: str = "encoder_reach") -> Axes:
    """What of the gradient arrives at a token, as the way to it grows: before training (dashed) and after it.

    Parameters
    ----------
    way : {"encoder_reach", "answer_reach"}
        As `experiments.comparison` defines them.
    """
    if way not in WAYS:
        raise ValueError(f"way={way!r}: must be one of {', '.join(WAYS)}")
    title, xlabel, ylabel = WAYS[way]
    ax = new_axes(ax)
    values: list[float] = []
    at: list[int] = []
    for candidate, (colour, marker) in zip(comparison.candidates, STYLES):
        for when, line in (("untrained", "--"), ("trained", "-")):
            reach: Mapping[int, float] = getattr(candidate, way)[when]
            _curve(ax, reach, colour, marker, f"{candidate.name}, {when}", line)
            values += reach.values()
            at += reach
    tidy(ax, xlabel, ylabel)
    ax.set_yscale("log")
    positive = [value for value in values if value > 0]
    if positive and max(positive) < 20 * min(positive):  # two powers of ten at least, or the axis has no numbers
        ax.set_ylim(min(min(positive) / 2, 0.09), max(2 * max(positive), 1.1))
    ax.yaxis.set_minor_locator(NullLocator())
    _powers(ax, at)
    ax.legend(frameon=False, fontsize=TICK_SIZE - 0.5, loc="lower left", handlelength=2.6)
    set_title(ax, title)
    return ax


def comparison_figures(comparison: ComparisonLike, queries: Sequence[str], keys: Sequence[str]) -> dict[str, Figure]:
    """What was measured as three figures, each with one statement: "learning", "length" and "reach".

    Parameters
    ----------
    queries, keys : T and S words
        Of the sentence whose alignments are kept.

    What a comparison has no numbers for is left out.
    """
    candidates = comparison.candidates
    learning = [partial(quality_curves, comparison), partial(quality_curves, comparison, against="seconds")]
    length: list[Callable[..., Any]] = [partial(step_times, comparison)]
    if candidates[0].exact_match:
        length.append(partial(length_curves, comparison))
    reach: list[Callable[..., Any]] = [partial(reach_curves, comparison)]
    if candidates[0].answer_reach:
        reach.append(partial(reach_curves, comparison, way="answer_reach"))
    maps = [partial(_alignment, candidate, queries, keys) for candidate in candidates]
    tall = 3.3 * min(1.0, 0.35 + len(queries) / 20)
    return {
        "learning": _panels(_about_learning(comparison), [learning], [2.5]),
        "length": _panels(_about_length(comparison), [length], [2.5]),
        "reach": _panels(_about_reach(comparison), [reach, maps], [2.5, tall]),
    }


def _panels(title: str, rows: Sequence[Sequence[Callable[..., Any]]], heights: Sequence[float]) -> Figure:
    """Rows of at most two panels under one title."""
    title = wrapped(title, PAGE_WIDTH * 72 - 16)
    above = 0.2 * (title.count("\n") + 1) + 0.1
    figure = plt.figure(figsize=(PAGE_WIDTH, sum(heights) + above), layout="constrained")
    grid = figure.subplots(len(rows), 2, height_ratios=heights, squeeze=False)
    for panels, axes in zip(rows, grid):
        for panel, ax in zip(panels, axes):
            panel(ax=ax)
        for ax in axes[len(panels) :]:
            ax.remove()
    figure.suptitle(title, fontsize=TITLE_SIZE, x=0.012, ha="left", parse_math=False)
    return figure


def _about_learning(comparison: ComparisonLike) -> str:
    """After how many steps each has 90 % right."""
    said = []
    for candidate in comparison.candidates:
        looks = [look for look in candidate.history.validations if look[comparison.measure] >= 0.9]
        when = f"after {int(looks[0]['step']):,} steps" if looks else f"not within {comparison.steps:,} steps"
        said.append(f"{candidate.name}: {when}")
    return f"90 % right, {'; '.join(said)}"


def _about_length(comparison: ComparisonLike) -> str:
    """How much longer a step of the slower one takes at the greatest length."""
    longest = max(comparison.candidates[0].seconds_per_step)
    slow, fast = sorted(comparison.candidates, key=lambda c: -c.seconds_per_step[longest])
    times = slow.seconds_per_step[longest] / fast.seconds_per_step[longest]
    return f"At {longest} tokens a step of the {slow.name} takes {times:.1f} times as long as one of the {fast.name}"


def _about_reach(comparison: ComparisonLike) -> str:
    """What arrives over the greatest distance, trained."""
    farthest = max(comparison.candidates[0].encoder_reach["trained"])
    said = [f"{c.encoder_reach['trained'][farthest]:.0e} in the {c.name}" for c in comparison.candidates]
    return f"What is left of a gradient {farthest} tokens before the last, after training: {', '.join(said)}"


def _alignment(candidate: Any, queries: Sequence[str], keys: Sequence[str], ax: Axes) -> None:
    T, S = candidate.alignment.shape
    queries = as_words("queries", queries, T, f"the alignment of shape {(T, S)}")
    keys = as_words("keys", keys, S, f"the alignment of shape {(T, S)}")
    cell = min(PAGE_WIDTH * 72 / 2.6 / S, 170 / T)
    draw_weights(ax, candidate.alignment, queries, keys, cell, 1.0)
    where = f", {candidate.where}" if candidate.where else ""
    ax.set_title(f"{candidate.name}{where}", fontsize=TITLE_SIZE, loc="left", parse_math=False)
    ax.set_ylabel("token that is written", fontsize=LABEL_SIZE)


def _curve(ax: Axes, values: Mapping[int, float], colour: str, marker: str, label: str, line: str = "-") -> None:
    at = sorted(values)
    shown = [values[n] if values[n] > 0 or ax.get_yscale() != "log" else np.nan for n in at]
    open_ = {"markerfacecolor": "white"} if line != "-" else {}
    ax.plot(at, shown, line, color=colour, marker=marker, markersize=3.8, linewidth=1.4, label=label, **open_)  # type: ignore[arg-type]


def _powers(ax: Axes, at: Sequence[int]) -> None:
    """An axis of doublings, with the numbers that were measured."""
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(sorted(set(at))))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
