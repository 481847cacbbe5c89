"""Positional encodings seen: n dimensions are n/2 frequencies, each a sine and a cosine.

PE[t, 2i] = sin(t / 10000^(2i/D))        PE[t, 2i+1] = cos(t / 10000^(2i/D))        wavelength 2 pi 10000^(2i/D)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..arguments import checked
from .style import (
    CYCLE,
    GREY,
    LABEL_SIZE,
    OKABE_ITO,
    PALE,
    SIGNED_MAP,
    TICK_SIZE,
    Array,
    as_numbers,
    as_words,
    colorbar,
    new_axes,
    set_title,
    size_in_points,
    text_width,
    tidy,
    widest,
)


@checked
def encoding_heatmap(table: Array, ax: Axes | None = None) -> Axes:
    """Positions down, dimensions across: sines and cosines alternate, quick ones left, slow ones right.

    Parameters
    ----------
    table : array (T, D)
        As `sinusoids(T, D)` makes it; a table of learned positions is drawn without wavelengths.
    """
    table = _check_table(table)
    D = table.shape[1]
    ax = new_axes(ax, height=3.8)
    limit = max(1.0, float(np.abs(table).max())) if _is_sinusoidal(table) else float(np.abs(table).max()) or 1.0
    image = ax.imshow(table, cmap=SIGNED_MAP, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    ax.xaxis.set_major_locator(MaxNLocator(9, integer=True, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(9, integer=True, steps=[1, 2, 5, 10]))
    if not _is_sinusoidal(table):
        tidy(ax, "dimension", "position")
        set_title(ax, "Position vectors: one row is added to the word at that position")
    else:
        tidy(ax, "dimension (even: sine, odd: cosine)", "position")
        if D <= 16:
            ax.set_xticks(range(D), [f"{i}\n{'cos' if i % 2 else 'sin'}" for i in range(D)])
            ax.set_xlabel("dimension", fontsize=LABEL_SIZE)
        _wavelength_axis(ax, D)
        set_title(ax, "Sinusoidal positions: each pair of dimensions is one wavelength")
    ax.spines[:].set_visible(False)
    colorbar(ax, image, "value")
    return ax


@checked
def encoding_curves(
    table: Array,
    dimensions: Sequence[int] | None = None,
    ax: Axes | None = None,
    position: int | None = None,
    words: Sequence[Any] | None = None,
) -> Axes:
    """Each dimension a curve over the positions, and the vector of one position read off them.

    Parameters
    ----------
    table : array (T, D)
        As `sinusoids(T, D)` makes it. Its numbers are the points; the formula between them is drawn pale behind.
    dimensions : sequence of int, optional
        Which to draw; None: at most eight, in pairs, from the quickest to those slow beside T.
    position : int, optional
        Where the vector is read off; None: at a third.
    words : T words, optional
        Written along the positions.
    """
    table = _check_table(table)
    T, D = table.shape
    sinusoidal = _is_sinusoidal(table)
    chosen = _default_dimensions(T, D) if dimensions is None else [int(i) for i in dimensions]
    if not chosen or not all(0 <= i < D for i in chosen):
        raise ValueError(f"dimensions={chosen}: give at least one, each of 0 ... {D - 1}")
    position = T // 3 if position is None else position
    if not 0 <= position < T:
        raise ValueError(f"position={position}: the table has positions 0 ... {T - 1}")
    names = None if words is None else as_words("words", words, T, f"table of shape {table.shape}")

    ax = new_axes(ax, height=0.9 + 0.52 * len(chosen))
    fine, coarse = np.linspace(0, T - 1, 20 * T), np.arange(T)
    pairs = list(dict.fromkeys(i // 2 for i in chosen))
    accent = OKABE_ITO["vermillion"]
    # Strip n is centred at height -n; the largest number of the table reaches 0.4 up or down.
    unit = 0.4 / (1.0 if sinusoidal else float(np.abs(table[:, chosen]).max()) or 1.0)
    ax.axvspan(position - 0.3, position + 0.3, color=accent, alpha=0.15, linewidth=0)
    for n, i in enumerate(chosen):
        colour = _CURVES[pairs.index(i // 2) % len(_CURVES)]
        ax.plot([0, T - 1], [-n, -n], color=PALE, linewidth=0.6, zorder=1)
        if sinusoidal:
            ax.plot(fine, -n + unit * _formula(fine, i, D), color=colour, alpha=0.35, linewidth=1.4, zorder=2)
        ax.plot(
            coarse,
            -n + unit * table[:, i],
            "o" if sinusoidal else "o-",
            color=colour,
            markersize=3.2 if T <= 60 else 1.8,
            linewidth=0.8,
            zorder=3,
        )
        ax.plot(position, -n + unit * table[position, i], "o", color=accent, markersize=6.5, zorder=4)

    # The vector stands in a column of its own, right of the last position.
    width = size_in_points(ax)[0]
    column = max(text_width("its vector", LABEL_SIZE), text_width("−0.00", LABEL_SIZE)) + 16
    span = max(T - 1, 1) + 0.6
    right = T - 0.7 + span * column / max(width * 0.85 - column, 30)
    centre = (T - 0.7 + right) / 2
    for n, i in enumerate(chosen):
        value = f"{table[position, i]:.2f}".replace("-", "−")
        ax.text(centre, -n, value, ha="center", va="center", color=accent, fontsize=LABEL_SIZE, fontweight="bold")
    ax.text(centre, 0.72, "its vector", ha="center", va="center", color=accent, fontsize=LABEL_SIZE)
    here = f"position {position}" if names is None else f"“{names[position]}”"
    ax.text(position, 0.72, here, ha="center", va="center", color=accent, fontsize=LABEL_SIZE, parse_math=False)

    tidy(ax, "position", "")
    ax.set_xlim(-0.6, right)
    ax.set_ylim(-len(chosen) + 0.4, 1.0)
    strip = 0.75 * size_in_points(ax)[1] / (len(chosen) + 0.6)  # points, less what labels take
    size = float(np.clip(strip * 0.8, 4.0, TICK_SIZE))
    labels = [_name(i, D, sinusoidal, strip > 2.6 * size) for i in chosen]
    ax.set_yticks([-n for n in range(len(chosen))], labels, fontsize=size)
    ax.tick_params(axis="y", length=0)
    if names is None:
        ax.set_xticks(
            [t for t in MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]).tick_values(0, T - 1) if 0 <= t <= T - 1]
        )
    else:
        upright = widest(names) + 5 > 0.7 * width / span
        ax.set_xticks(coarse, names, rotation=90 if upright else 0, fontsize=TICK_SIZE, parse_math=False)
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_bounds(0, T - 1)
    which = f"All {D} dimensions" if len(chosen) == D else f"{len(chosen)} of {D} dimensions"
    set_title(ax, f"{which}, each a curve: the vector of position {position} is read off them")
    return ax


@checked
def encoding_similarity(table: Array, ax: Axes | None = None) -> Axes:
    """The dot product of two positions' vectors against their distance; a band where it is not the same everywhere.

    Parameters
    ----------
    table : array (T, D)
        For sinusoids the dot product is sum_i cos(distance / 10000^(2i/D)), whatever the two positions are.
    """
    table = _check_table(table)
    T, D = table.shape
    products = table @ table.T  # (T, T)
    diagonals = [np.diagonal(products, distance) for distance in range(T)]
    low, mean, high = (np.array([f(d) for d in diagonals]) for f in (np.min, np.mean, np.max))
    ax = new_axes(ax)
    same = bool(np.max(high - low) <= 1e-4 * max(1.0, float(np.abs(mean).max())))
    if not same:
        ax.fill_between(
            np.arange(T), low, high, color=OKABE_ITO["sky blue"], alpha=0.35, linewidth=0, label="all pairs"
        )
    ax.plot(mean, "o-", color=OKABE_ITO["blue"], markersize=3 if T <= 60 else 0, linewidth=1.2, label="mean")
    ax.axhline(0, color=PALE, linewidth=0.8, zorder=0)
    tidy(ax, "distance between the two positions", "dot product")
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=[1, 2, 5, 10]))
    if same:
        set_title(ax, "The dot product of two encodings depends only on how far apart they are")
        if _is_sinusoidal(table):
            ax.annotate(
                f"with itself: D/2 = {D // 2}",
                (0, mean[0]),
                xytext=(12, 3),
                textcoords="offset points",
                va="center",
                fontsize=TICK_SIZE,
                color=GREY,
            )
    else:
        set_title(ax, "The dot product of two position vectors, by how far apart they are")
        ax.legend(frameon=False, fontsize=TICK_SIZE)
    return ax


_CURVES = tuple(colour for colour in CYCLE if colour != OKABE_ITO["vermillion"])  # that one marks the vector


def _formula(t: Array, i: int, D: int) -> Array:
    """Dimension i of the sinusoidal encoding at positions t, whole or not."""
    angle = t * 2 * np.pi / _wavelength(i, D)
    return np.cos(angle) if i % 2 else np.sin(angle)


def _wavelength(i: int, D: int) -> float:
    return float(2 * np.pi * 10000.0 ** ((i - i % 2) / D))


def _is_sinusoidal(table: Array) -> bool:
    T, D = table.shape
    formula = np.stack([_formula(np.arange(T), i, D) for i in range(D)], axis=1)
    return bool(np.allclose(table, formula, atol=1e-3))


def _default_dimensions(T: int, D: int) -> list[int]:
    """All of at most eight; else four pairs, evenly from the quickest to a wavelength of four times T."""
    if D <= 8:
        return list(range(D))
    slowest = max(3, sum(_wavelength(2 * pair, D) <= 4 * T for pair in range(D // 2)) - 1)
    return [2 * int(pair) + k for pair in np.linspace(0, min(slowest, D // 2 - 1), 4).round() for k in (0, 1)]


def _name(i: int, D: int, sinusoidal: bool, two_lines: bool) -> str:
    if not sinusoidal:
        return f"dimension {i}"
    kind, wavelength = "cos" if i % 2 else "sin", _short(_wavelength(i, D))
    return f"dimension {i}: {kind}\nwavelength {wavelength}" if two_lines else f"{i}: {kind}, wavelength {wavelength}"


def _wavelength_axis(ax: Axes, D: int) -> None:
    pairs = np.unique(
        np.linspace(0, D // 2 - 1, min(D // 2, int(np.clip(size_in_points(ax)[0] / 56, 2, 8)))).round().astype(int)
    )
    top = ax.secondary_xaxis("top")
    top.set_xticks(2 * pairs + 0.5, [_short(_wavelength(2 * int(pair), D)) for pair in pairs])
    top.set_xlabel("wavelength of the pair, in positions", fontsize=LABEL_SIZE)
    top.tick_params(labelsize=TICK_SIZE, length=3)
    top.spines[:].set_visible(False)


def _short(number: float) -> str:
    return f"{number:.1f}" if number < 10 else f"{number:,.0f}"


def _check_table(table: Any) -> Array:
    table = as_numbers("table", table)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"table has shape {table.shape}: encodings are (positions, dimensions), at least one of each")
    return table
