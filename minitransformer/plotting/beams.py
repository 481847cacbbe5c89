"""Beam search as a tree: every hypothesis that was tried, those that were kept, and the one that won.

A node is one word after its parent's words, with the log-probability of the whole sequence up to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from .style import (
    GREY,
    LABEL_SIZE,
    OKABE_ITO,
    PAGE_WIDTH,
    PALE,
    TICK_SIZE,
    new_axes,
    set_title,
    size_in_points,
    text_width,
)

LINE = 14.0  # points from one hypothesis to the next


@dataclass(frozen=True)
class BeamNode:
    """One hypothesis of a beam search.

    Attributes
    ----------
    word : str
        The last word of it.
    log_probability : float
        Of all its words together.
    parent : int or None
        Where in the list the hypothesis stands that this one continues; None: the start.
    kept : bool
        It was among the best of its step.
    winner : bool
        It is part of the sequence that was returned.
    """

    word: str
    log_probability: float
    parent: int | None = None
    kept: bool = True
    winner: bool = False


def beam_tree(nodes: Sequence[BeamNode], ax: Axes | None = None, title: str | None = None) -> Axes:
    """The tree of a beam search from left to right, with the log-probability beneath each word.

    Parameters
    ----------
    nodes : sequence of BeamNode
        Parents before their children. Siblings are drawn from the most to the least probable.
    """
    nodes = list(nodes)
    if not nodes:
        raise ValueError("nodes is empty: give at least one BeamNode")
    for i, node in enumerate(nodes):
        if node.parent is not None and not 0 <= node.parent < i:
            raise ValueError(f"nodes[{i}].parent={node.parent}: it must be None or that of an earlier node, below {i}")
    depth, height = _layout(nodes)
    columns = max(depth) + 1
    widths = [0.0] * columns
    for i, node in enumerate(nodes):
        number = text_width(_number(node), TICK_SIZE - 1)
        widths[depth[i]] = max(widths[depth[i]], text_width(node.word, LABEL_SIZE, "bold") + number + 20)
    lefts = [sum(widths[:c]) + 26.0 * c for c in range(columns)]
    wide, tall = lefts[-1] + widths[-1] + 4, (max(height) + 1) * LINE + 16
    given = ax is not None
    ax = new_axes(ax, max(wide / 72 + 0.2, PAGE_WIDTH / 2), (tall + 34) / 72)
    shrink = min(1.0, *(have / need for have, need in zip(size_in_points(ax), (wide, tall)))) if given else 1.0
    ax.set(xlim=(0, wide), ylim=(tall - LINE / 2, -LINE))
    ax.set_axis_off()
    ends = [  # where the line to a node's children begins
        lefts[depth[i]] + text_width(node.word, LABEL_SIZE, "bold") + text_width(_number(node), TICK_SIZE - 1) + 9
        for i, node in enumerate(nodes)
    ]
    for i, node in enumerate(nodes):
        x, y = lefts[depth[i]], height[i] * LINE
        colour = OKABE_ITO["blue"] if node.winner else "black" if node.kept else GREY
        if node.parent is not None:
            ax.plot(
                [ends[node.parent], lefts[depth[i]] - 20, x - 8, x - 2],
                [height[node.parent] * LINE] * 2 + [y] * 2,
                color=OKABE_ITO["blue"] if node.winner else GREY if node.kept else PALE,
                linewidth=2.4 if node.winner else 1.0,
                zorder=3 if node.winner else 2 if node.kept else 1,
            )
        word_width = text_width(node.word, LABEL_SIZE, "bold")
        text = {"va": "center_baseline", "ha": "left", "color": colour, "zorder": 4}
        ax.text(
            x,
            y,
            node.word,
            fontsize=LABEL_SIZE * shrink,
            fontweight="bold" if node.winner else "normal",
            parse_math=False,
            **text,  # type: ignore[arg-type]
        )
        ax.text(x + word_width + 5, y, _number(node), fontsize=(TICK_SIZE - 1) * shrink, **text)  # type: ignore[arg-type]
        if not node.kept and not node.winner:
            ax.plot(ends[i] + 2, y, "x", color=GREY, markersize=3.5 * shrink, markeredgewidth=1)
    set_title(
        ax,
        title or "Beam search: blue is the sequence that won, × what was dropped; numbers are log-probabilities",
        max(wide, 220.0) if not given else None,
    )
    return ax


def _layout(nodes: Sequence[BeamNode]) -> tuple[list[int], list[float]]:
    """Of each node its depth and its height, in lines: leaves one beneath the other, a parent amid its children."""
    depth: list[int] = []
    for node in nodes:
        depth.append(0 if node.parent is None else depth[node.parent] + 1)
    children: dict[int | None, list[int]] = {}
    for i, node in enumerate(nodes):
        children.setdefault(node.parent, []).append(i)
    for siblings in children.values():
        siblings.sort(key=lambda i: -nodes[i].log_probability)
    height = [0.0] * len(nodes)
    lines = 0
    order: list[tuple[int, bool]] = [(i, False) for i in reversed(children[None])]
    while order:  # depth first, without recursion: a sequence may be long
        i, done = order.pop()
        below = children.get(i, [])
        if done:
            height[i] = (height[below[0]] + height[below[-1]]) / 2
        elif below:
            order.append((i, True))
            order += [(child, False) for child in reversed(below)]
        else:
            height[i] = lines
            lines += 1
    return depth, height


def _number(node: BeamNode) -> str:
    return f"{node.log_probability:.2f}".replace("-", "−")
