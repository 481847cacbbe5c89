"""A language model of a text from its first step to its last, ours and PyTorch's turn by turn: seconds against loss.

What is trained, and how, is `minitransformer lm train` with its defaults: nanoGPT's settings for a computer without a
graphics card. Both sides see the same windows in the same order and are validated on the same ones. PyTorch begins once
with the first weights that nanoGPT draws, and once with ours.
"""

from __future__ import annotations

import time
from typing import Any

from minitransformer.cli import parser
from minitransformer.commands.lm import model_from, text_of
from minitransformer.commands.options import schedule_from, trainer_from
from minitransformer.data import TextBatches, text_windows
from minitransformer.training import evaluate

from .measure import HAS_TORCH, Specification, running
from .ours import worker_processes
from .process import Contender, processor_seconds
from .rounds import Watch
from .table import LABELS

SAME = "eager with our first weights"
PUBLISHED = 1.88  # validation loss that nanoGPT's README gives for these settings and tiny Shakespeare
LOOKS = 20  # validations on the way, evenly spread, outside of the time that is measured
SHORT = ("--context=8", "--d-model=16", "--n-heads=2", "--blocks=1", "--batch-size=3", "--validation=0.01")


class Text(Contender):
    """What both sides have in common: the text, its windows, the learning rate.

    Parameters
    ----------
    words : sequence of str
        What would follow `minitransformer lm train`.
    """

    def __init__(self, words: tuple[str, ...]) -> None:
        self.options = options = parser().parse_args(["lm", "train", *words])
        _, vocabulary, seen, unseen = text_of(options)
        self.batches = TextBatches(seen, options.context, options.batch_size, seed=options.seed)
        self.windows = list(text_windows(unseen, options.context, 64))
        self.schedule = schedule_from(options)
        self.model = model_from(options, len(vocabulary))

    def train(self, steps: int) -> None:
        """Go on for so many steps."""
        raise NotImplementedError

    def turn(self, steps: int) -> dict[str, Any]:
        """So many steps; every one counts, for every one is of the training. Their seconds together."""
        cpu, start = time.process_time() + self.children_seconds(), time.perf_counter()
        self.train(steps)
        return {
            "seconds": [time.perf_counter() - start],
            "cpu": time.process_time() + self.children_seconds() - cpu,
        }


class OurText(Text):
    """Our side: the trainer that the command makes."""

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__(words)
        self.trainer = trainer_from(self.options, self.model)

    def train(self, steps: int) -> None:
        self.trainer.fit(self.batches, self.trainer.step + steps)

    def children_seconds(self) -> float:
        return sum(processor_seconds(process) for process in worker_processes(self.trainer))

    def validate(self) -> float:
        """Nats a character, on all windows that are held out."""
        return float(evaluate(self.model, self.windows, pad=self.windows[0].pad)["loss"])


def measure_text(path: str | None, threads: int, goal: float | None, short: bool = False) -> dict[str, Any]:
    """Train everybody to the end, in turns. For each: seconds and loss at every look, and when the goal was reached."""
    words = (*((path,) if path else ()), f"--workers={threads}", *((*SHORT, "--steps=40") if short else ()))
    options = parser().parse_args(["lm", "train", *words])
    who: dict[str, Specification] = {"ours": ("benchmarks.text", "OurText", (words,), threads)}
    if HAS_TORCH:
        who["eager"] = ("benchmarks.theirs", "TheirText", (words, "nanoGPT's"), threads)
        who[SAME] = ("benchmarks.theirs", "TheirText", (words, "ours"), threads)
    watch, each = Watch(), max(options.steps // LOOKS, 1)
    seconds = {name: [0.0] for name in who}
    with running(who) as processes:
        losses = {name: [process.call("validate")] for name, process in processes.items()}
        verify_first(losses)
        for _ in range(each, options.steps + 1, each):
            for name, process in processes.items():
                seconds[name].append(seconds[name][-1] + watch.turn(process, each)[0])
                losses[name].append(process.call("validate"))
    steps = [each * i for i in range(len(seconds["ours"]))]
    return {
        "text": path or "Python's documentation",
        "threads": threads,
        "goal": goal,
        "steps": steps,
        "verdict": watch.verdict(),
        "contenders": {
            name: {
                "seconds": seconds[name],
                "losses": losses[name],
                "reached": next((i for i, loss in enumerate(losses[name]) if goal is not None and loss <= goal), None),
            }
            for name in who
        },
    }


def verify_first(losses: dict[str, list[float]]) -> None:
    """RuntimeError unless the same first weights have the same loss: else the sides measure different things."""
    (ours,), theirs = losses["ours"], losses.get(SAME)
    if theirs is not None and not abs(ours - theirs[0]) <= 1e-4:  # in float32
        raise RuntimeError(f"before any step the loss is {ours:.6f} here and {theirs[0]:.6f} there")


def draw(result: dict[str, Any], path: str) -> str:
    """Loss on what is held out against seconds of training: a line and a point at every look."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from minitransformer.plotting.style import LABEL_SIZE, OKABE_ITO, PALE, TICK_SIZE, save, set_title, tidy

    styles = {
        "ours": ("blue", "o", "minitransformer"),
        "eager": ("vermillion", "s", "PyTorch, nanoGPT's first weights"),
        SAME: ("orange", "^", "PyTorch, our first weights"),
    }
    figure, ax = plt.subplots(figsize=(7.0, 3.0), layout="constrained")
    for name, row in result["contenders"].items():
        colour, marker, label = styles[name]
        ax.plot(
            row["seconds"][1:], row["losses"][1:], marker=marker, markersize=3, color=OKABE_ITO[colour], label=label
        )
    goal = result["goal"]
    if goal is not None:
        ax.axhline(goal, color=PALE, zorder=0)
        whose = ", nanoGPT's published loss with these settings" if goal == PUBLISHED else ", the loss to reach"
        ax.annotate(f"{goal:g}{whose}", (0, goal), xytext=(2, 2), textcoords="offset points", fontsize=TICK_SIZE)
        rows = {styles[name][2]: row for name, row in result["contenders"].items() if row["reached"] is not None}
        after = "; ".join(f"{label} after {row['seconds'][row['reached']]:.0f} s" for label, row in rows.items())
        set_title(ax, f"At {goal:g} nats: {after}" if after else f"Nobody is at {goal:g} nats in the end")
    ax.set_xlim(left=0)
    tidy(ax, f"seconds of training, {result['threads']} workers or threads", "loss, nats a character")
    ax.legend(fontsize=LABEL_SIZE - 1, frameon=False)
    return str(save(figure, path))


def text_table(result: dict[str, Any]) -> str:
    """A line for each contender: all of its training, and how far it had to go to the goal."""
    goal, steps = result["goal"], result["steps"]
    lines = [
        f"{result['text']}: {steps[-1]:,} steps of `lm train`, {result['threads']} workers or threads",
        f"  {'':44s} {'seconds':>8s} {'loss':>7s}" + (f"   at most {goal}" if goal is not None else ""),
    ]
    for name, row in result["contenders"].items():
        base, _, rest = name.partition(" ")
        line = f"  {f'{LABELS[base]} {rest}'.strip():44s} {row['seconds'][-1]:8.1f} {row['losses'][-1]:7.4f}"
        if goal is not None:
            i = row["reached"]
            line += "   not reached" if i is None else f"   after {row['seconds'][i]:.1f} s, step {steps[i]:,}"
        lines.append(line)
    return "\n".join([*lines, f"  {result['verdict']}"])
