"""One kind of picture for all lessons: boxes with numbers, and arrows with what goes forward and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..arguments import checked

FORWARD, BACKWARD = "#0072B2", "#D55E00"  # blue and vermillion of Okabe and Ito


@checked
def diagram(
    boxes: Mapping[str, tuple[float, float, str]],
    arrows: Sequence[tuple[str, str, str, str]],
    title: str = "",
    size: tuple[float, float] = (9.0, 3.2),
    ax: Any = None,
) -> Any:
    """Draw boxes and the arrows between them; returns the Axes.

    Parameters
    ----------
    boxes : dict
        name -> (x, y, text).
    arrows : list of (from, to, above, below)
        `above` is what goes forward, in blue; `below`, what comes back, in vermillion. An arrow without `above` is one
        of the backward pass.
    """
    import matplotlib.pyplot as plt

    if len(size) != 2 or not all(isinstance(n, (int, float)) and 0 < n < 100 for n in size):
        raise ValueError(f"size={size!r}: must be a width and a height in inches")
    for i, (start, end, *_) in enumerate(arrows):
        if unknown := {start, end} - set(boxes):
            raise ValueError(f"arrows[{i}]: there is no box {min(unknown)!r}, there are {', '.join(boxes)}")
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    made = {
        name: ax.text(
            x, y, text, ha="center", va="center", fontsize=10, linespacing=1.5,
            bbox={"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": "0.4"}, zorder=3,
        )
        for name, (x, y, text) in boxes.items()
    }  # fmt: skip
    for start, end, above, below in arrows:
        (x0, y0, _), (x1, y1, _) = boxes[start], boxes[end]
        colour = FORWARD if above else BACKWARD
        ax.annotate(
            "", (x1, y1), (x0, y0), zorder=1,
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.4, "patchA": made[start].get_bbox_patch(),
                        "patchB": made[end].get_bbox_patch(), "shrinkA": 2, "shrinkB": 2},
        )  # fmt: skip
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        style = {"textcoords": "offset points", "ha": "center", "fontsize": 9, "zorder": 4}
        plain = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        ax.annotate(above, middle, (0, 6), color=FORWARD, va="bottom", bbox=plain if above else None, **style)
        ax.annotate(below, middle, (0, -6), color=BACKWARD, va="top", bbox=plain if below else None, **style)
    xs, ys = [x for x, _, _ in boxes.values()], [y for _, y, _ in boxes.values()]
    ax.set_xlim(min(xs) - 0.6, max(xs) + 0.6)
    ax.set_ylim(min(ys) - 0.6, max(ys) + 0.6)
    ax.set_title(title, fontsize=11, loc="left")
    ax.axis("off")
    return ax
