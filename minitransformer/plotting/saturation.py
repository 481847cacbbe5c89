"""Why scores are divided by sqrt(d): products of longer vectors are larger, and softmax of large scores saturates.

q and k with d independent entries of variance 1: q k^T has variance d, q k^T / sqrt(d) has variance 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ..arguments import checked
from .style import GREY, OKABE_ITO, TICK_SIZE, Array, legend_below, new_axes, set_title, tidy


@checked
def softmax_saturation(
    rng: np.random.Generator,
    dimensions: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    keys: int = 10,
    draws: int = 500,
    ax: Axes | None = None,
) -> Axes:
    """The largest attention weight, and the slope that softmax leaves the gradient, by d: with and without 1/sqrt(d).

    Parameters
    ----------
    rng : np.random.Generator
        Draws queries and keys with independent normal entries of variance 1.
    dimensions : sequence of int
        Values of d.
    keys : int
        How many keys each query is compared with.
    draws : int
        How many queries every point is averaged over.

    The slope is the Frobenius norm of softmax's Jacobian, diag(y) - y y^T; a softmax that has settled on one key has 0.

    Source: Vaswani et al. 2017, section 3.2.1 and footnote 4.
    """
    dimensions = [int(d) for d in dimensions]
    if len(dimensions) < 2 or min(dimensions) < 1:
        raise ValueError(f"dimensions={dimensions}: give at least two, each at least 1")
    for name, value, least in (("keys", keys, 2), ("draws", draws, 1)):
        if value < least:
            raise ValueError(f"{name}={value}: must be at least {least}")
    with_scale, without = [], []
    for d in dimensions:
        q, k = rng.standard_normal((draws, 1, d)), rng.standard_normal((draws, keys, d))
        scores = (q * k).sum(axis=-1)  # (draws, keys)
        with_scale.append(_largest_and_slope(scores * d**-0.5))
        without.append(_largest_and_slope(scores))
    ax = new_axes(ax)
    lines = (("divided by √d", with_scale, OKABE_ITO["blue"]), ("not divided", without, OKABE_ITO["vermillion"]))
    for name, values, colour in lines:
        largest, slope = np.array(values).T
        ax.plot(
            dimensions,
            largest,
            "o-",
            color=colour,
            markersize=4,
            linewidth=1.8,
            label=f"{name}: largest of {keys} weights",
        )
        ax.plot(
            dimensions,
            slope,
            "s--",
            color=colour,
            markersize=4,
            linewidth=1.4,
            label=f"{name}: slope of softmax, |dy/dx|",
        )
    ax.axhline(1 / keys, color=GREY, linewidth=0.8, linestyle=":")
    ax.annotate(
        f"all {keys} alike: {1 / keys:.2g}",
        (dimensions[0], 1 / keys),
        xytext=(0, -3),
        textcoords="offset points",
        va="top",
        fontsize=TICK_SIZE,
        color=GREY,
    )
    tidy(ax, "d, the length of queries and keys", f"average over {draws:,} queries")
    ax.set_xscale("log", base=2)
    ax.set_xticks(dimensions, [f"{d:,}" for d in dimensions])
    ax.minorticks_off()
    ax.set_ylim(0, 1.02)
    legend_below(ax)
    set_title(ax, "Scores that are not divided by √d settle on one key, and the slope vanishes")
    return ax


def _largest_and_slope(scores: Array) -> tuple[float, float]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    y = powers / powers.sum(axis=1, keepdims=True)  # (draws, keys)
    jacobian = y[:, :, None] * np.eye(y.shape[1]) - y[:, :, None] * y[:, None, :]
    return float(y.max(axis=1).mean()), float(np.sqrt((jacobian**2).sum(axis=(1, 2))).mean())
