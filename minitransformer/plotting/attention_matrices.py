"""Self-attention as lecturers draw it on the board: the chain of its matrices, with the numbers in their cells.

Q = X W_Q   K = X W_K   V = X W_V        scores = Q K^T / sqrt(d)   weights = softmax(scores)   output = weights V
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import FancyArrowPatch, Rectangle

from ..arguments import checked
from .style import (
    GREY,
    LABEL_SIZE,
    OKABE_ITO,
    PAGE_WIDTH,
    SIGNED_MAP,
    TICK_SIZE,
    TITLE_SIZE,
    WEIGHT_MAP,
    Array,
    Canvas,
    as_words,
    ink_on,
    text_width,
    widest,
    wrapped,
)

ROW, GAP, MARGIN = 16.0, 16.0, 6.0  # points: a cell's height, between two matrices, around all
NUMBER = 7.0  # points: the type in the cells


class _Matrix(NamedTuple):
    name: str
    formula: str
    values: Array
    words: bool  # columns are words, not features
    cell: float
    width: float


@checked
def attention_matrices(
    cache: Mapping[str, Any],
    words: Sequence[Any],
    head: int = 0,
    sentence: int = 0,
    scale: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """X, Q, K, V, scores, weights and output of one head, number by number.

    Frames and arrows show what makes one score (a row of Q and a row of K) and one entry of the output (a row of the
    weights and a column of V), for the last word.

    Parameters
    ----------
    cache : of a `SelfAttention`
        For example `cache["encoder"]["blocks"][0]["attention"]`: its query's input is X, its "attention" holds
        q, k and v, and its "weights" are those of every head.
    words : T words
    head, sentence : int
    scale : float, optional
        Factor on q k^T; None: 1 / sqrt(d). A masked score is minus infinity.

    ValueError where softmax of q k^T times the scale is not what the cache has as weights: then the scores had
    another part, such as a relative bias, and the picture would be wrong.
    """
    try:
        x, weights = np.asarray(cache["query"]["x"]), np.asarray(cache["weights"])
        q, k, v = (np.asarray(cache["attention"][name]) for name in ("q", "k", "v"))
    except (KeyError, TypeError):
        held = ", ".join(map(str, cache)) if isinstance(cache, Mapping) else type(cache).__name__
        raise ValueError(f"cache holds {held}: give that of a self-attention, with query and attention") from None
    B, H, T, S = weights.shape
    for name, value, n in (("sentence", sentence, B), ("head", head, H)):
        if not 0 <= value < n:
            raise ValueError(f"{name}={value}: must be one of 0 ... {n - 1}")
    if T != S:
        raise ValueError(f"weights has shape {weights.shape}: in self-attention there are as many keys as queries")
    words = as_words("words", words, T, f"weights of shape {weights.shape}")
    # Where heads share keys, the queries of a group stand one below the other: (B, H_kv, G T, d) -> (B, H, T, d).
    shared = head * k.shape[1] // H
    x, q, k, v = x[sentence], q[sentence].reshape(H, T, -1)[head], k[sentence, shared], v[sentence, shared]
    weights = weights[sentence, head]
    d = q.shape[-1]
    scale = d**-0.5 if scale is None else scale
    scores = _scores(q @ k.T * scale, weights)
    divided = "/ √d" if abs(scale * d**0.5 - 1) < 1e-6 else "" if scale == 1 else f"· {scale:.3g}"
    turned = ", turned" if "query_rotary" in cache else ""
    matrices = [
        _matrix("X", "a row for each word", x, False),
        _matrix("Q", f"X W_Q{turned}", q, False),
        _matrix("K", f"X W_K{turned}", k, False),
        _matrix("V", "X W_V", v, False),
        _matrix("scores", f"Q Kᵀ {divided}".strip(), scores, True, words),
        _matrix("weights", "softmax of each row", weights, True, words),
        _matrix("output", "weights V", weights @ v, False),
    ]
    title = (
        f"Self-attention of head {head}, number by number: a score is a row of Q times a row of K,"
        " and every word becomes a weighted average of the rows of V"
    )
    return _draw(matrices, words, title, ax)


def _scores(scores: Array, weights: Array) -> Array:
    """The scores with minus infinity where a mask was; ValueError unless their softmax is the weights."""
    masked = np.where(weights > 0, scores, -np.inf)
    with np.errstate(invalid="ignore"):
        powers = np.exp(masked - masked.max(axis=1, keepdims=True))
        again = np.nan_to_num(powers / powers.sum(axis=1, keepdims=True))  # a row in which nothing is seen is 0
    worst = float(np.abs(again - weights).max())
    if not worst < 1e-3:
        raise ValueError(
            f"scale: softmax(scale q k^T) is not the cache's weights (off by {worst:.2g}): give the scale that was"
            " used; where a bias was added to the scores this picture cannot show them"
        )
    return masked


def _matrix(name: str, formula: str, values: Array, words: bool, keys: Sequence[str] = ()) -> _Matrix:
    cell = max(text_width(text, NUMBER) for text in ["−0.00", *map(_text, values.flat)]) + 4.2
    if words:
        cell = max(cell, min(widest(keys) + 6, 1.6 * cell))
    shape = f"{values.shape[0]} × {values.shape[1]}"
    heading = max(text_width(f"{name}  {shape}", LABEL_SIZE, "bold"), text_width(f"= {formula}", TICK_SIZE))
    return _Matrix(name, formula, values, words, cell, max(cell * values.shape[1], heading))


def _draw(matrices: list[_Matrix], words: list[str], title: str, ax: Axes | None) -> Axes:
    """All matrices on one canvas, in lines as a text."""
    left = widest(words) + 6
    page = PAGE_WIDTH * 72 - 2 * MARGIN
    lines: list[list[_Matrix]] = [[]]
    used = left
    for matrix in matrices:  # wherever a line of the page is full, or the scores begin
        full = used + matrix.width > page
        if lines[-1] and (full or matrix.name == "scores"):
            lines.append([])
            used = left
        lines[-1].append(matrix)
        used += matrix.width + GAP
    T = len(words)
    upright = any(widest(words) + 4 > matrix.cell for matrix in matrices if matrix.words)
    heads = [
        34.0 + (0.0 if not any(m.words for m in line) else widest(words) + 6 if upright else 14.0) for line in lines
    ]
    needed = max(left + sum(m.width for m in line) + GAP * (len(line) - 1) for line in lines)
    width = max(needed, 240.0) + 2 * MARGIN
    title = wrapped(title, width - 2 * MARGIN)
    top = 8 + 13 * (title.count("\n") + 1)
    height = top + sum(heads) + len(lines) * (T * ROW + 14)

    canvas = Canvas(ax, width, height)
    canvas.ax.invert_yaxis()

    def write(x: float, y: float, text: str, size: float = TICK_SIZE, **style: Any) -> None:
        canvas.write(x, y, text, size, **{"ha": "center", "va": "center", **style})

    write(MARGIN, 6, title, TITLE_SIZE, ha="left", va="top")
    corners: dict[str, tuple[float, float, float]] = {}
    signed = max(float(np.abs(m.values[np.isfinite(m.values)]).max(initial=0)) for m in matrices if m.name != "weights")
    y = float(top)
    for line, above in zip(lines, heads):
        x, base = MARGIN + left, y + above
        for t, word in enumerate(words):
            write(x - 5, base + (t + 0.5) * ROW, word, ha="right", va="center_baseline")
        for matrix in line:
            rows, columns = matrix.values.shape
            write(x, y + 9, matrix.name, LABEL_SIZE, ha="left", fontweight="bold")
            name = text_width(f"{matrix.name}  ", LABEL_SIZE, "bold")
            write(x + name, y + 9, f"{rows} × {columns}", ha="left", color=GREY)
            label = matrix.formula if matrix.name == "X" else f"= {matrix.formula}"
            write(x, y + 21, label, ha="left", color=GREY)
            if matrix.words:
                for s, word in enumerate(words):
                    at = x + (s + 0.5) * matrix.cell
                    write(at, base - 3, word, va="bottom", rotation=90 if upright else 0)
            _cells(canvas.ax, matrix, x, base, signed, write)
            corners[matrix.name] = (x, base, matrix.cell)
            x += matrix.width + GAP
        y = base + T * ROW + 14
    _explain(canvas.ax, corners, T, matrices[1].values.shape[1])
    return canvas.ax


def _explain(ax: Axes, corners: dict[str, tuple[float, float, float]], T: int, d: int) -> None:
    """Which row and which column make which number: one score, and one entry of the output."""
    last, score, entry = T - 1, OKABE_ITO["vermillion"], OKABE_ITO["blue"]

    def frame(name: str, row: int, column: int, rows: int, columns: int, colour: str) -> tuple[float, float]:
        x, y, cell = corners[name]
        corner = (x + column * cell, y + row * ROW)
        style: dict[str, Any] = {"fill": False, "edgecolor": colour, "linewidth": 1.8, "zorder": 5}
        ax.add_patch(Rectangle(corner, columns * cell, rows * ROW, **style))
        return corner[0] + columns * cell / 2, corner[1] + rows * ROW / 2

    def arrow(start: tuple[float, float], end: tuple[float, float], colour: str, bend: float) -> None:
        style: dict[str, Any] = {
            "arrowstyle": "-|>",
            "mutation_scale": 9,
            "color": colour,
            "linewidth": 1.1,
            "alpha": 0.7,
            "zorder": 2,
        }
        curve = f"arc3,rad={bend}"
        ax.add_patch(FancyArrowPatch(start, end, connectionstyle=curve, shrinkA=9, shrinkB=7, **style))

    target = frame("scores", last, 0, 1, 1, score)
    arrow(frame("Q", last, 0, 1, d, score), target, score, 0.0)
    arrow(frame("K", 0, 0, 1, d, score), target, score, 0.25)
    target = frame("output", last, 0, 1, 1, entry)
    arrow(frame("weights", last, 0, 1, T, entry), target, entry, -0.25)
    arrow(frame("V", 0, 0, T, 1, entry), target, entry, 0.2)


def _cells(ax: Axes, matrix: _Matrix, x: float, y: float, signed: float, write: Any) -> None:
    weights = matrix.name == "weights"
    colours = colormaps[WEIGHT_MAP if weights else SIGNED_MAP]
    level = Normalize(0.0, 1.0) if weights else Normalize(-(signed or 1.0), signed or 1.0)
    for (t, i), value in np.ndenumerate(matrix.values):
        colour = colours(level(value)) if np.isfinite(value) else (0.85, 0.85, 0.85, 1.0)
        corner = (x + i * matrix.cell, y + t * ROW)
        ax.add_patch(Rectangle(corner, matrix.cell, ROW, facecolor=colour, edgecolor="white", linewidth=0.8))
        write(corner[0] + matrix.cell / 2, corner[1] + ROW / 2, _text(value), NUMBER, color=ink_on(colour))


def _text(value: float) -> str:
    """Two decimals with a true minus sign; a masked score as minus infinity."""
    if np.isneginf(value):
        return "−∞"
    text = f"{value:.2f}" if abs(value) < 99.995 else f"{value:.0f}"
    return "0.00" if text == "-0.00" else text.replace("-", "−")
