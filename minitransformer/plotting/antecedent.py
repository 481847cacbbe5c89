"""Which noun a pronoun stands for: the row of "it" in one head, drawn over the sentence, and the whole head beneath.

"I got my car straight from the showroom , it was new": French needs *elle*, since "it" is the car (la voiture).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke

from ..arguments import checked
from .grid import MIN_CELL, draw_weights, name_axes
from .style import (
    GREY,
    LABEL_SIZE,
    OKABE_ITO,
    PAGE_WIDTH,
    TICK_SIZE,
    TITLE_SIZE,
    Array,
    as_numbers,
    as_words,
    plain,
    text_width,
    wrapped,
)

RIGHT = OKABE_ITO["blue"]  # the noun that the pronoun stands for
WRONG = OKABE_ITO["vermillion"]  # the noun that it does not
MARGIN = 14.0  # points
ARCS, NUMBERS = 92.0, 13.0  # points: height of the arcs, and of the line of numbers


@checked
def antecedent_figure(
    words: Sequence[Any],
    weights: Array,
    pronoun: int,
    antecedent: int,
    distractor: int,
    head: int | None = None,
    averages: Mapping[str, float] | None = None,
    where: str | None = None,
) -> Figure:
    """From where a pronoun draws, in the self-attention of one head. Returns the Figure.

    Parameters
    ----------
    words : T words
    weights : array (T, T), or (H, T, T) and `head`
    pronoun, antecedent, distractor : int
        Where the pronoun stands, the noun it stands for, and the noun it does not stand for.
    head : int, optional
        Which of (H, T, T); with (T, T) only a name in the caption.
    averages : dict, optional
        The pronoun's weight on "antecedent" and on "distractor", averaged over "sentences" (any of the three).
    where : str, optional
        Which attention this is, for example "encoder block 2, head 3".

    The title says what the numbers say: where the pronoun looks more at the distractor, it says that.
    """
    weights, words = _one_head(weights, words, head)
    T = len(words)
    marks = {"pronoun": pronoun, "antecedent": antecedent, "distractor": distractor}
    for name, index in marks.items():
        if not 0 <= index < T:
            raise ValueError(f"{name}={index}: it must be the position of one of the {T} words, 0 ... {T - 1}")
    if len(set(marks.values())) < 3:
        raise ValueError(f"{marks} must be three different words")
    if where is None:
        where = "one head" if head is None else f"head {head}"

    centres, size, width = _line_up(words)
    row = weights[pronoun]
    title, caption = _words_of_title(words, row, pronoun, antecedent, distractor, where)
    title = wrapped(title, width - 2 * MARGIN, TITLE_SIZE + 2, "bold")
    caption = wrapped(caption, width - 2 * MARGIN, LABEL_SIZE)

    # Everything is placed in points from the top, so that nothing depends on a layout engine.
    bold = max(text_width(word, TICK_SIZE, "bold") for word in words)
    left, right, above = bold + 24 + MARGIN, 52 + MARGIN, bold + 18
    cell = min((width - left - right) / T, 26.0, max(270 / T, MIN_CELL))
    heading = 9 + (TITLE_SIZE + 2) * 1.25 * (title.count("\n") + 1) + LABEL_SIZE * 1.35 * (caption.count("\n") + 1)
    sentence = ARCS + 2.4 * size + NUMBERS + 50
    height = heading + sentence + 24 + above + T * cell + MARGIN

    figure = plt.figure(figsize=(width / 72, height / 72))
    figure.set_layout_engine("none")
    text = {"ha": "left", "va": "top", "parse_math": False}
    top = 1 - 8 / height
    figure.text(MARGIN / width, top, title, fontsize=TITLE_SIZE + 2, fontweight="bold", **text)  # type: ignore[arg-type]
    top -= (TITLE_SIZE + 2) * 1.25 * (title.count("\n") + 1) / height
    figure.text(MARGIN / width, top, caption, fontsize=LABEL_SIZE, color=GREY, **text)  # type: ignore[arg-type]

    ax = figure.add_axes((0.0, (height - heading - sentence) / height, 1.0, sentence / height))
    ax.set(xlim=(0, width), ylim=(0, sentence))
    ax.set_axis_off()
    _draw_sentence(ax, words, row, centres, size, marks, averages or {})

    bottom = MARGIN
    figure.text(
        MARGIN / width,
        (bottom + T * cell + above + 10) / height,
        "The whole head: each row says where one word looks",
        fontsize=TITLE_SIZE,
        va="bottom",
    )
    start = max(left, (width - T * cell - right + left) / 2)
    grid = figure.add_axes((start / width, bottom / height, T * cell / width, T * cell / height))
    image = draw_weights(grid, weights, words, words, cell)
    name_axes(grid, "query: the word that looks", "key: the word looked at", T * cell, T * cell)
    _mark_grid(grid, T, marks)
    scale = figure.add_axes(((start + T * cell + 10) / width, bottom / height, 8 / width, T * cell / height))
    bar = figure.colorbar(image, cax=scale)
    bar.set_label("attention weight", fontsize=LABEL_SIZE)
    plain(bar)
    return figure


def _one_head(weights: Any, words: Any, head: int | None) -> tuple[Array, list[str]]:
    weights = as_numbers("weights", weights)
    if weights.ndim == 3:
        if head is None or not 0 <= head < len(weights):
            raise ValueError(
                f"head={head}: weights has shape {weights.shape}, so choose one of 0 ... {len(weights) - 1}"
            )
        weights = weights[head]
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or 0 in weights.shape:
        raise ValueError(
            f"weights has shape {weights.shape}: self-attention is (words, words), or (heads, words, words) with head="
        )
    return weights, as_words("words", words, len(weights), f"weights of shape {weights.shape}")


def _line_up(words: Sequence[str]) -> tuple[Array, float, float]:
    """The words side by side: the centre of each, the size of type, the width of the figure; in points."""
    page = PAGE_WIDTH * 72 - 2 * MARGIN
    number = text_width("0.00", TICK_SIZE, "bold")
    for size, gap in ((13, 11), (12, 10), (11, 9), (10, 8), (9, 7), (8.5, 6), (8, 5)):
        widths = np.array([max(text_width(word, size, "bold"), number) + gap for word in words])
        if widths.sum() <= page:
            break
    width = max(widths.sum(), page) + 2 * MARGIN
    return (width - widths.sum()) / 2 + np.cumsum(widths) - widths / 2, float(size), float(width)


def _words_of_title(
    words: Sequence[Any], row: Array, pronoun: int, antecedent: int, distractor: int, where: str
) -> tuple[str, str]:
    it, right, wrong = (f"“{words[i]}”" for i in (pronoun, antecedent, distractor))
    if row[antecedent] == row[distractor]:
        title = f"{it} does not tell {right} from {wrong} in this head"
    elif row[antecedent] < row[distractor]:
        title = f"{it} looks more at {wrong} than at {right}: this head does not find the noun"
    elif row[antecedent] >= max(0.2, 4 * row[distractor]):
        title = f"{it} looks at {right}, not at {wrong}"
    else:
        title = f"{it} looks more at {right} than at {wrong}"
    return title, f"Arcs and numbers: the share of {it} that comes from each word ({where})."


def _draw_sentence(
    ax: Axes,
    words: Sequence[Any],
    row: Array,
    centres: Array,
    size: float,
    marks: Mapping[str, int],
    averages: Mapping[str, float],
) -> None:
    """The sentence in one line, arcs from the pronoun above it, numbers and names below."""
    pronoun, antecedent, distractor = marks["pronoun"], marks["antecedent"], marks["distractor"]
    colours = {antecedent: RIGHT, distractor: WRONG}
    baseline = 50 + NUMBERS + 1.2 * size  # the middle of the words
    roof = baseline + size + 1
    reach = max(abs(centres - centres[pronoun]).max(), 1.0)
    for i, start in _side_by_side(row, pronoun, float(centres[pronoun])).items():
        weight = float(row[i])
        distance = abs(centres[i] - centres[pronoun])
        rise = max(14.0, (ARCS - 8) * (distance / reach) ** 0.6) / 0.75  # a cubic curve reaches 3/4 of its handles
        end = start + 14 + _thickness(weight) if i == pronoun else centres[i]
        curve = Path(
            [(start, roof), (start, roof + rise), (end, roof + rise), (end, roof)],
            [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
        )
        arc = PathPatch(
            curve,
            fill=False,
            edgecolor=colours.get(i, GREY),
            linewidth=_thickness(weight),
            alpha=1.0 if i in colours else 0.55,
            linestyle=(0, (2.5, 1.2)) if i == distractor else "-",
            capstyle="butt",
        )
        arc.set_zorder(2 + weight)
        ax.add_patch(arc)
    for i, (word, x) in enumerate(zip(words, centres)):
        marked = i in marks.values()
        if marked:
            half = text_width(word, size, "bold") / 2 + 3
            box = FancyBboxPatch(
                (x - half, baseline - 0.85 * size),
                2 * half,
                1.7 * size,
                boxstyle="round,pad=0,rounding_size=3",
                facecolor="black" if i == pronoun else "white",
                edgecolor=colours.get(i, "black"),
                linestyle="--" if i == distractor else "-",
                linewidth=1.8,
                zorder=5,
            )
            ax.add_patch(box)
        ax.text(
            x,
            baseline,
            word,
            ha="center",
            va="center_baseline",
            fontsize=size,
            fontweight="bold" if marked else "normal",
            color="white" if i == pronoun else colours.get(i, "black"),
            parse_math=False,
            zorder=6,
        )
        ax.text(
            x,
            50 + NUMBERS / 2 - 2,
            f"{row[i]:.2f}",
            ha="center",
            va="center",
            fontsize=TICK_SIZE,
            fontweight="bold" if i in colours else "normal",
            color=colours.get(i, GREY),
        )
    nearer = abs(distractor - pronoun) < abs(antecedent - pronoun)
    notes = {
        antecedent: ["● the noun it stands for"],
        distractor: ["▲ the noun nearer by" if nearer else "▲ the other noun"],
    }
    for name in ("antecedent", "distractor"):
        if name in averages:
            over = f" over {averages['sentences']:,.0f} sentences" if "sentences" in averages else ""
            notes[marks[name]].append(f"on average{over}: {averages[name]:.2f}")
    _write_notes(ax, notes, centres, colours)


def _thickness(weight: float) -> float:
    return 0.6 + 11 * weight


def _side_by_side(row: Array, pronoun: int, centre: float) -> dict[int, float]:
    """Where on the pronoun each arc starts: nested, so that none crosses or covers another.

    From left to right: the words before it from the nearest to the farthest, itself, those after it likewise mirrored.
    """
    drawn = [int(i) for i in np.flatnonzero(row >= 0.015)[::-1]]
    order = sorted(drawn, key=lambda i: (i > pronoun) - (i < pronoun))  # a stable sort: before, itself, after
    widths = np.array([_thickness(float(row[i])) for i in order])
    starts = centre - widths.sum() / 2 + np.cumsum(widths) - widths / 2
    return dict(zip(order, starts.tolist()))


def _write_notes(ax: Axes, notes: Mapping[int, list[str]], centres: Array, colours: Mapping[int, str]) -> None:
    """A name beneath each noun, pushed aside where two would touch, with a line to its number."""
    width = ax.get_xlim()[1]
    first, second = sorted(notes, key=lambda i: centres[i])
    half = {i: max(text_width(line, LABEL_SIZE, "bold") for line in notes[i]) / 2 for i in notes}
    x = {i: float(np.clip(centres[i], MARGIN + half[i], width - MARGIN - half[i])) for i in notes}
    overlap = half[first] + half[second] + 16 - (x[second] - x[first])
    if overlap > 0:
        x[first] = max(x[first] - overlap / 2, MARGIN + half[first])
        x[second] = max(x[second], x[first] + half[first] + half[second] + 16)
        over = x[second] + half[second] - (width - MARGIN)
        if over > 0:
            x[first], x[second] = x[first] - over, x[second] - over
    for i, lines in notes.items():
        ax.plot([centres[i], x[i]], [49, 39], color=colours[i], linewidth=1)
        for n, line in enumerate(lines):
            ax.text(
                x[i],
                30 - 13 * n,
                line,
                ha="center",
                va="center",
                fontsize=LABEL_SIZE,
                fontweight="bold" if n == 0 else "normal",
                color=colours[i],
            )


def _mark_grid(grid: Axes, T: int, marks: Mapping[str, int]) -> None:
    """The pronoun's row framed, and in it the two nouns by shape and colour."""
    t = marks["pronoun"]
    rim = [withStroke(linewidth=3.5, foreground="white")]
    grid.add_patch(
        Rectangle((-0.5, t - 0.5), T, 1, fill=False, edgecolor="black", linewidth=1.4, path_effects=rim, clip_on=False)
    )
    for name, colour, marker in (("antecedent", RIGHT, "o"), ("distractor", WRONG, "^")):
        s = marks[name]
        grid.plot(s, t, marker, color=colour, markersize=7, markeredgecolor="white", markeredgewidth=1.2)
        for label in (grid.get_xticklabels()[s], grid.get_yticklabels()[s]):
            label.set(color=colour, fontweight="bold")
    for label in (grid.get_xticklabels()[t], grid.get_yticklabels()[t]):
        label.set_fontweight("bold")
