"""How cost grows with the length T, the width D and the vocabulary V: measured, and what a count of work explains.

A GPT's step does 2 * 3 operations (forward, and two products backward) for every token and weight of its linear maps,
and for every pair of positions in attention:

    operations = 6 B T (12 N D^2 + 2 N T D + V D)

and writes arrays whose size, not arithmetic, is their cost: D features a token, T scores a token and head, V logits a
token. A curve is a sum of these counts, each times its cost; the costs are fitted once to all points of a side. Memory
has the trained numbers in place of the operations. Attention that is computed in tiles, as PyTorch's is where nothing
is dropped, keeps no scores: its memory does not grow with the square of T.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .measure import HAS_TORCH, Specification, running
from .rounds import Watch
from .sizes import SIZES, Size

BASE = replace(SIZES["G"], batch=4, length=128, vocab=1000, n_blocks=2)
SWEEPS: dict[str, tuple[int, ...]] = {
    "length": (32, 64, 128, 256, 512, 1024),
    "d_model": (32, 64, 128, 256, 512),
    "vocab": (100, 1000, 4000, 16000, 32000),
}
SHORT_SWEEPS: dict[str, tuple[int, ...]] = {"length": (8, 16), "d_model": (16, 32), "vocab": (10, 50)}


def sized(name: str, value: int) -> Size:
    """The base size with one number changed; the feed-forward layer stays four times as wide as the model."""
    size = replace(BASE, **{name: value})
    return replace(size, d_ff=4 * size.d_model)


def operations(s: Size) -> float:
    """Multiplications and additions of a step's products."""
    D, T, N = s.d_model, s.length, s.n_blocks
    return 6.0 * s.batch * T * (N * (4 * D * D + 2 * D * s.d_ff) + 2 * N * T * D + s.vocab * D)


def numbers(s: Size) -> tuple[float, float, float]:
    """Numbers that a step writes: features of each token, D and d_ff of them a few times; scores; logits."""
    tokens = float(s.batch * s.length)
    return (
        tokens * s.n_blocks * (14 * s.d_model + 4 * s.d_ff),
        tokens * s.n_blocks * s.n_heads * s.length,
        tokens * s.vocab,
    )


def weights(s: Size) -> float:
    """Numbers trained, each with its gradient and Adam's two averages."""
    D = s.d_model
    return 4.0 * (s.n_blocks * (4 * D * D + 2 * D * s.d_ff) + (s.vocab + s.length) * D)


def measure_growth(short: bool = False, threads: int = 1) -> list[dict[str, Any]]:
    """Seconds and megabytes of a step, ours and PyTorch's, for every point of every sweep."""
    return list(_points(SHORT_SWEEPS if short else SWEEPS, 1 if short else 5, threads))


def _points(sweeps: dict[str, tuple[int, ...]], rounds: int, threads: int) -> Iterator[dict[str, Any]]:
    for name, values in sweeps.items():
        for value in values:
            size, watch = sized(name, value), Watch()
            who: dict[str, Specification] = {"ours": ("benchmarks.ours", "OurStep", (size, threads), threads)}
            if HAS_TORCH:
                who["eager"] = ("benchmarks.theirs", "TheirStep", (size, "eager", threads), threads)
            with running(who) as processes:
                for process in processes.values():
                    process.call("warm")
                steps: dict[str, list[float]] = {side: [] for side in processes}
                for _ in range(rounds):
                    for side, process in processes.items():
                        steps[side] += watch.turn(process, 1)
                memory = {side: process.call("memory") / 1e6 for side, process in processes.items()}
            # The best of a few short turns: a curve is about what the work costs, not about the neighbours.
            for side in processes:
                yield {
                    "sweep": name,
                    "value": value,
                    "side": side,
                    "seconds": min(steps[side]),
                    "megabytes": memory[side],
                    "others": watch.share,
                }


def work(size: Size, target: str) -> list[float]:
    """What a step's seconds, or its megabytes, are made of; the last is what every step costs."""
    return [operations(size) if target == "seconds" else weights(size), *numbers(size), 1.0]


def fit(points: list[dict[str, Any]], target: str) -> np.ndarray:
    """What each part of the work costs, none below 0, by relative error: one fit for all points of a side."""
    table = np.array([work(sized(point["sweep"], point["value"]), target) for point in points])
    wanted = np.array([max(point[target], 1e-9) for point in points])
    free = list(range(table.shape[1]))
    while True:  # least squares without negative costs: what would be negative is left out
        scale = table[:, free].max(axis=0)
        found = np.linalg.lstsq(table[:, free] / scale / wanted[:, None], np.ones(len(wanted)), rcond=None)[0] / scale
        if (found >= 0).all() or len(free) == 1:
            break
        free.pop(int(np.argmin(found * scale)))
    costs = np.zeros(table.shape[1])
    costs[free] = np.maximum(found, 0.0)
    return costs


def draw(points: list[dict[str, Any]], path: str) -> str:
    """Time above, memory below, a column for each sweep: points as measured, lines as counted."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    from minitransformer.plotting.style import LABEL_SIZE, OKABE_ITO, TICK_SIZE, save, set_title, tidy

    sides = {"ours": ("minitransformer", OKABE_ITO["blue"], "o"), "eager": ("PyTorch", OKABE_ITO["vermillion"], "s")}
    titles = {"length": "tokens T", "d_model": "width D", "vocab": "vocabulary V"}
    scales = {"seconds": (1e3, "ms a step"), "megabytes": (1.0, "peak memory, MB")}
    figure, grid = plt.subplots(2, 3, figsize=(7.0, 4.6), layout="constrained", sharey="row", sharex="col")
    for row, (target, (scale, label)) in zip(grid, scales.items()):
        for ax, (sweep, title) in zip(row, titles.items()):
            for side, (name, colour, marker) in sides.items():
                mine = [p for p in points if p["side"] == side and p[target] > 0]
                here = [p for p in mine if p["sweep"] == sweep]
                if not here:
                    continue
                costs = fit(mine, target)
                values = np.array([p["value"] for p in here])
                ax.plot(
                    values,
                    [scale * p[target] for p in here],
                    marker,
                    color=colour,
                    markersize=4,
                    label=f"{name}: measured",
                )
                between = np.geomspace(values.min(), values.max(), 40).astype(int)
                between = np.unique(between // BASE.n_heads * BASE.n_heads if sweep == "d_model" else between)
                curve = [scale * float(np.dot(costs, work(sized(sweep, int(v)), target))) for v in between]
                ax.plot(between, curve, color=colour, linewidth=1.2, label=f"{name}: counted work")
            ax.set_xscale("log", base=2 if sweep != "vocab" else 10)
            ax.set_yscale("log")
            ax.yaxis.set_minor_formatter(NullFormatter())
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
            tidy(ax, title if target == "megabytes" else "", label if sweep == "length" else "")
            if target == "seconds":
                says = {
                    "length": "Longer texts: time grows as T, then as T squared",
                    "d_model": "Wider models: it grows almost as D squared",
                    "vocab": "More words: it grows as V where V is large",
                }
                set_title(ax, says[sweep])
    grid[0, 0].legend(fontsize=TICK_SIZE - 1, frameon=False)
    base = f"GPT, {BASE.n_blocks} blocks, batch {BASE.batch}; where not varied T {BASE.length}, D {BASE.d_model}"
    base += f", V {BASE.vocab:,}"
    figure.supxlabel(f"{base}; float32, one thread", fontsize=LABEL_SIZE)
    return str(save(figure, path))
