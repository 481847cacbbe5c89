"""How training went: what a trainer's history holds, as curves.

A history has `steps` and `validations`, lists of dicts; what a dict does not hold is not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from ..arguments import checked
from .style import CYCLE, GREY, LABEL_SIZE, OKABE_ITO, PAGE_WIDTH, TICK_SIZE, Array, new_axes, set_title, tidy

_ACCURACIES = {  # what a validation measures, in words, and how it is drawn
    "token_accuracy": ("tokens right", OKABE_ITO["sky blue"], "o"),
    "exact_match": ("whole sentence right", OKABE_ITO["blue"], "s"),
    "pronoun_easy": ("pronoun right, easy", OKABE_ITO["orange"], "^"),
    "pronoun_hard": ("pronoun right, hard", OKABE_ITO["vermillion"], "v"),
}


@runtime_checkable
class HistoryLike(Protocol):
    """What `training.History` is: a dict for each step and one for each validation, each with its "step"."""

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def validations(self) -> Sequence[Mapping[str, Any]]: ...


@checked
def loss_curves(history: HistoryLike, ax: Axes | None = None, log: bool | None = None) -> Axes:
    """Training loss, pale as measured and in full colour smoothed, and validation loss as points.

    Parameters
    ----------
    history : with `steps` and `validations`
    log : bool, optional
        A logarithmic axis; None: where the smoothed loss falls to less than a twentieth.
    """
    ax = new_axes(ax)
    step, loss = _series(history.steps, "loss")
    tidy(ax, "step", "loss (cross-entropy per token)")
    if len(step):
        smooth = _smoothed(loss)
        ax.plot(step, loss, color=OKABE_ITO["sky blue"], alpha=0.45, linewidth=0.6, label="training, each step")
        ax.plot(step, smooth, color=OKABE_ITO["blue"], linewidth=1.6, label="training, smoothed")
        positive = smooth[np.isfinite(smooth) & (smooth > 0)]
        if log or (log is None and len(positive) and positive.max() > 20 * positive.min()):
            ax.set_yscale("log")
    at, validation = _series(history.validations, "loss")
    if len(at):
        style = {"color": OKABE_ITO["vermillion"], "markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.5}
        ax.plot(at, validation, "D", zorder=3, label="validation", **style)  # type: ignore[arg-type]
    if ax.get_yscale() == "log":
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    else:
        ax.set_ylim(bottom=0)
    _finish(ax, bool(len(step) or len(at)), "no step was recorded")
    set_title(ax, "Loss while training")
    return ax


@checked
def accuracy_curves(history: HistoryLike, ax: Axes | None = None) -> Axes:
    """What each validation found right, in per cent: tokens, whole sentences, pronouns."""
    ax = new_axes(ax)
    tidy(ax, "step", "right, on sentences held out")
    drawn = False
    for key, (label, colour, marker) in _ACCURACIES.items():
        step, value = _series(history.validations, key)
        if len(step):
            edge = {"markeredgecolor": "white", "markeredgewidth": 0.5}
            ax.plot(step, value, color=colour, marker=marker, markersize=5.5, linewidth=1.2, label=label, **edge)  # type: ignore[arg-type]
            drawn = True
    ax.set_ylim(-0.02, 1.03)
    if drawn:
        ax.set_xlim(left=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _finish(ax, drawn, "no accuracy was measured")
    set_title(ax, "Accuracy while training")
    return ax


@checked
def validation_curves(histories: Mapping[str, Sequence[HistoryLike]], ax: Axes | None = None) -> Axes:
    """Validation loss against minutes of training: a colour for each name, a line for each of its histories.

    Parameters
    ----------
    histories : dict of name -> histories
        Of the same model with other seeds, say. Validations without "loss" or "seconds" are not drawn.
    """
    ax = new_axes(ax)
    tidy(ax, "minutes of training", "loss (cross-entropy per token)")
    losses: list[float] = []
    for i, (name, seeds) in enumerate(histories.items()):
        style: dict[str, Any] = {"color": CYCLE[i % len(CYCLE)], "marker": "os^vD"[i % 5], "label": name}
        for history in seeds:
            seen = [row for row in history.validations if row.get("loss") is not None and "seconds" in row]
            if seen:
                minutes = [row["seconds"] / 60 for row in seen]
                ax.plot(minutes, [row["loss"] for row in seen], linewidth=1.2, markersize=3.5, **style)
                losses += [row["loss"] for row in seen]
                style["label"] = None  # the legend has each name once
    if losses:
        ax.set_xlim(left=0)
    if losses and max(losses) > 20 * min(losses) > 0:
        ax.set_yscale("log")
    _finish(ax, bool(losses), "no loss was measured")
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    set_title(ax, "Loss on what is held out")
    return ax


@checked
def training_figure(history: HistoryLike) -> Figure:
    """Loss and accuracy side by side; the loss alone where no accuracy was measured. Returns the Figure."""
    measured = any(len(_series(history.validations, key)[0]) for key in _ACCURACIES)
    figure = plt.figure(figsize=(PAGE_WIDTH, 3.0), layout="constrained")
    panels = figure.subplots(1, 2 if measured else 1, squeeze=False)[0]
    loss_curves(history, panels[0])
    if measured:
        accuracy_curves(history, panels[1])
        panels[1].set_xlim(panels[0].get_xlim())
    return figure


@checked
def schedule_curve(
    schedules: Mapping[str, Callable[[int], float]], steps: int | Iterable[int], ax: Axes | None = None
) -> Axes:
    """Learning rates over the steps of training, a curve for each schedule by its name.

    Parameters
    ----------
    schedules : dict of name -> callable
        Each takes a step and returns its learning rate.
    steps : int or steps
        How many (they are counted from 1), or which.
    """
    if not schedules:
        raise ValueError("schedules is empty: give at least one, as {'Noam': schedule}")
    at = list(range(1, steps + 1)) if isinstance(steps, (int, np.integer)) else [int(step) for step in steps]
    if not at:
        raise ValueError(f"steps={steps!r}: give at least one")
    ax = new_axes(ax, height=2.8)
    for i, (name, schedule) in enumerate(schedules.items()):
        line = ("-", "--", "-.", ":")[i % 4]
        ax.plot(at, [schedule(step) for step in at], line, color=CYCLE[i % len(CYCLE)], linewidth=1.8, label=name)
    tidy(ax, "step", "learning rate")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.02)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    _finish(ax, True)
    set_title(ax, "Learning rate at each step")
    return ax


def _series(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[Array, Array]:
    """Steps and values of those rows that have this key; a value of None is as if it were not there."""
    pairs = [(row["step"], row[key]) for row in rows if row.get(key) is not None and "step" in row]
    step, value = (np.array([pair[k] for pair in pairs], dtype=float) for k in (0, 1))
    return step, value


def _smoothed(values: Array) -> Array:
    """The mean of each value's neighbourhood, a fortieth of all; what is not finite is left out."""
    window = max(1, len(values) // 40) | 1  # odd, so that it is centred
    finite = np.isfinite(values)
    ones = np.ones(window)
    total = np.convolve(np.where(finite, values, 0.0), ones, "same")
    count = np.convolve(finite.astype(float), ones, "same")
    return np.where(count > 0.5, total / np.maximum(count, 1.0), np.nan)


def _finish(ax: Axes, drawn: bool, otherwise: str = "") -> None:
    """Steps as 1,000, 2,000; a legend, or a sentence where there is nothing to show."""
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    if drawn:
        ax.legend(frameon=False, fontsize=TICK_SIZE, loc="best")
    else:
        ax.set(xticks=[], yticks=[])
        middle = {"ha": "center", "va": "center", "transform": ax.transAxes}
        ax.text(0.5, 0.5, otherwise, color=GREY, fontsize=LABEL_SIZE, **middle)  # type: ignore[arg-type]
