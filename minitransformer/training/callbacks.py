"""Callbacks for the trainer: a progress bar, validation now and then, checkpoints."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

from ..arguments import checked
from .history import Record
from .trainer import Callback, Trainer


def shown_in_notebooks() -> dict[str, Any]:
    """Options of tqdm: a notebook's output is no terminal, but it is shown as it is written.

    There tqdm's own default holds, which the variable TQDM_DISABLE can change.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return {"file": sys.stdout} if hasattr(shell, "kernel") else {"disable": None}


class Bar(tqdm):
    """A bar that looks at the time at each step, and so needs no second thread of tqdm's, which a browser has not."""

    monitor_interval = 0


@checked
class ProgressBar(Callback):
    """A bar with the loss (a running mean), learning rate, target tokens per second, and the time left.

    Parameters
    ----------
    description : str
        In front of the bar.
    file : text stream, optional
        By default standard error, and in a notebook standard output, which is not shown in red.
    disable : bool, optional
        None: the bar is shown in a terminal and in a notebook, and nowhere else, so that a log stays clean.
    """

    def __init__(self, description: str = "training", file: TextIO | None = None, disable: bool | None = None) -> None:
        self.description = description
        self.shown: dict[str, Any] = shown_in_notebooks() if disable is None else {"disable": disable}
        if file is not None:
            self.shown["file"] = file

    def on_start(self, trainer: Trainer, steps: int) -> None:
        self.loss: float | None = None
        self.tokens = 0
        self.started = time.perf_counter()
        self.bar: Any = Bar(
            miniters=1,
            total=steps,
            initial=trainer.step,
            desc=self.description,
            unit="step",
            **self.shown,
            mininterval=0.25,
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}, {remaining} left{postfix}",
        )

    def on_step(self, trainer: Trainer, record: Record) -> None:
        self.loss = record["loss"] if self.loss is None else 0.95 * self.loss + 0.05 * record["loss"]
        self.tokens += int(record["tokens"])
        speed = self.tokens / (time.perf_counter() - self.started)
        self.bar.set_postfix_str(
            f"loss {self.loss:.3f}, rate {record['learning_rate']:.1e}, {speed:,.0f} tokens/s", refresh=False
        )
        self.bar.update()

    def on_end(self, trainer: Trainer) -> None:
        self.bar.close()


@checked
class Every(Callback):
    """Call `action(trainer)` after every n-th step, and after the last.

    Parameters
    ----------
    n : int
    action : callable
        What it returns, if a dict of numbers, joins the history's validations, with step and seconds.
    """

    def __init__(self, n: int, action: Callable[[Trainer], Record | None]) -> None:
        if n < 1:
            raise ValueError(f"n={n}: must be at least 1")
        self.n, self.action = n, action

    def on_start(self, trainer: Trainer, steps: int) -> None:
        self.last = steps

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if trainer.step % self.n == 0 or trainer.step == self.last:
            measured = self.action(trainer)
            if measured is not None:
                at = {"step": record["step"], "seconds": record["seconds"]}
                trainer.history.validations.append({**at, **measured})
