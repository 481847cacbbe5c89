"""What is left of the gradient in every layer: residual connections and the place of the norm, seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..arguments import checked
from .style import CYCLE, TICK_SIZE, new_axes, set_title, tidy


@checked
def gradient_norms(
    norms: Mapping[str, Sequence[float]],
    ax: Axes | None = None,
    title: str | None = None,
    xlabel: str = "block, from the input (left) to the loss (right)",
    ylabel: str = "norm of the gradient",
) -> Axes:
    """The norm of the gradient in every layer, a curve for each model by its name, on a logarithmic axis.

    Parameters
    ----------
    norms : dict of name -> norms
        From the layer nearest the input to the one nearest the loss. Layers are counted from 0, as in a cache.
    title : str, optional
    """
    if not norms or not all(len(values) for values in norms.values()):
        raise ValueError("norms: give at least one model with at least one layer, as {'post-norm': [0.1, 0.4]}")
    series = {name: np.asarray(values, dtype=float) for name, values in norms.items()}
    for name, values in series.items():
        if values.ndim != 1 or not (values >= 0).all():
            raise ValueError(f"norms[{name!r}]={values}: norms are finite numbers of at least 0")
    ax = new_axes(ax)
    most = max(len(values) for values in series.values())
    for i, (name, values) in enumerate(series.items()):
        style = ("o-", "s--", "^-.", "D:")[i % 4]
        drawn = np.where(values > 0, values, np.nan)  # an axis of powers has no zero
        ax.plot(drawn, style, color=CYCLE[i % len(CYCLE)], markersize=4.5, linewidth=1.6, label=name)
    tidy(ax, xlabel, ylabel)
    ax.set_yscale("log")
    finite = np.concatenate([values[values > 0] for values in series.values()])
    if finite.size and finite.max() < 20 * finite.min():  # two whole powers of ten at least, or the axis has no numbers
        middle = float(np.sqrt(finite.max() * finite.min()))
        ax.set_ylim(middle / 12, middle * 12)
    low, high = np.log10(ax.get_ylim())
    if high - low > 30:  # round powers, since not every one can have its number
        ax.set_yticks(10.0 ** np.arange(np.ceil(low / 10) * 10, high, 10))
    ax.xaxis.set_major_locator(MaxNLocator(min(most, 12), integer=True))
    ax.set_xlim(-0.6, most - 0.4)
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=TICK_SIZE, loc="best")
    set_title(ax, title or "How much gradient arrives in each block")
    return ax
