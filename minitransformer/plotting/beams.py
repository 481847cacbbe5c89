"""Beam search as a tree: every hypothesis that was tried, those that were kept, and the one that won.

A node is one word after its parent's words. On the line to it stands the word's own log-probability; behind the last
word of a branch their sum, that of the whole sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from matplotlib.axes import Axes

from ..arguments import checked
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


@runtime_checkable
class BranchLike(Protocol):
    """What `decoding.Branch` is: one hypothesis in the tree of a beam search."""

    @property
    def word(self) -> str: ...
    @property
    def log_probability(self) -> float: ...
    @property
    def parent(self) -> int | None: ...
    @property
    def kept(self) -> bool: ...
    @property
    def lives(self) -> bool: ...
    @property
    def winner(self) -> bool: ...


@checked
def beam_tree(nodes: Sequence[BranchLike], ax: Axes | None = None, title: str | None = None) -> Axes:
    """The tree of a beam search from left to right, with log-probabilities on its lines.

    The sequence that won is blue, branches of which nothing was left are pale.

    Parameters
    ----------
    nodes : sequence of Branch
        As `Translator.beam_tree` returns them, parents before their children. Siblings are drawn from the most to the
        least probable.
    """
    nodes = list(nodes)
    if not nodes:
        raise ValueError("nodes is empty: give at least one Branch")
    for i, node in enumerate(nodes):
        if node.parent is not None and not 0 <= node.parent < i:
            raise ValueError(f"nodes[{i}].parent={node.parent}: it must be None or that of an earlier node, below {i}")
    depth, height = _layout(nodes)
    columns = max(depth) + 1
    small, step, total = TICK_SIZE - 1, _step_numbers(nodes), _total_numbers(nodes)
    step_widths, widths = [0.0] * columns, [0.0] * columns
    for i, node in enumerate(nodes):
        step_widths[depth[i]] = max(step_widths[depth[i]], text_width(step[i], small) + 5 if step[i] else 0.0)
        behind = text_width(total[i], small) + 5 if total[i] else 0.0
        widths[depth[i]] = max(widths[depth[i]], text_width(node.word, LABEL_SIZE, "bold") + behind + 14)
    lefts = [sum(step_widths[:c]) + sum(widths[:c]) + 26.0 * c for c in range(columns)]
    wide, tall = lefts[-1] + step_widths[-1] + widths[-1] + 4, (max(height) + 1) * LINE + 16
    given = ax is not None
    ax = new_axes(ax, max(wide / 72 + 0.2, PAGE_WIDTH / 2), (tall + 34) / 72)
    shrink = min(1.0, *(have / need for have, need in zip(size_in_points(ax), (wide, tall)))) if given else 1.0
    ax.set(xlim=(0, wide), ylim=(tall - LINE / 2, -LINE))
    ax.set_axis_off()
    words = [lefts[depth[i]] + step_widths[depth[i]] for i in range(len(nodes))]
    ends = [  # where the line to a node's children begins
        x + text_width(node.word, LABEL_SIZE, "bold" if node.winner else "normal") + 4 for x, node in zip(words, nodes)
    ]
    for i, node in enumerate(nodes):
        x, y = lefts[depth[i]], height[i] * LINE
        pale = not (node.kept and node.lives) and not node.winner
        colour = OKABE_ITO["blue"] if node.winner else GREY if pale else "black"
        if node.parent is not None:
            ax.plot(
                [ends[node.parent], lefts[depth[i]] - 20, x - 8, x - 2],
                [height[node.parent] * LINE] * 2 + [y] * 2,
                color=OKABE_ITO["blue"] if node.winner else PALE if pale else GREY,
                linewidth=2.4 if node.winner else 1.0,
                zorder=3 if node.winner else 1 if pale else 2,
            )
        text = {"va": "center_baseline", "ha": "left", "color": colour, "zorder": 4}
        ax.text(
            words[i],
            y,
            node.word,
            fontsize=LABEL_SIZE * shrink,
            fontweight="bold" if node.winner else "normal",
            parse_math=False,
            **text,  # type: ignore[arg-type]
        )
        for at, number in ((x, step[i]), (ends[i] + 1, total[i])):
            if number:
                ax.text(at, y, number, fontsize=small * shrink, **text)  # type: ignore[arg-type]
        if not node.kept and not node.winner:
            cross = ends[i] + (text_width(total[i], small) + 9 if total[i] else 5)
            ax.plot(cross, y, "x", color=GREY, markersize=3.5 * shrink, markeredgewidth=1)
    set_title(
        ax,
        title or "Beam search: blue won, × was dropped; log-probability of each word, and = of the sequence",
        max(wide, 220.0) if not given else None,
    )
    return ax


def _layout(nodes: Sequence[BranchLike]) -> tuple[list[int], list[float]]:
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


def _step_numbers(nodes: Sequence[BranchLike]) -> list[str]:
    """The log-probability of each word after its parent's, as it is written; none for a start."""
    return [
        "" if node.parent is None else _number(node.log_probability - nodes[node.parent].log_probability)
        for node in nodes
    ]


def _total_numbers(nodes: Sequence[BranchLike]) -> list[str]:
    """The log-probability of each sequence, as it is written behind its last word; none where it goes on."""
    parents = {node.parent for node in nodes}
    return ["" if i in parents else f"= {_number(node.log_probability)}" for i, node in enumerate(nodes)]


def _number(log_probability: float) -> str:
    return f"{log_probability:.2f}".replace("-", "−").replace("−0.00", "0.00")
