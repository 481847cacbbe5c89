"""Going on where a run stopped: a trainer's state as arrays and JSON, and back, so that nothing is different.

All that is random follows from (seed, step), batches too, so the step is the position in the data and the state of
every generator. What is left are the weights, the optimizer's moments and step, and the history.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from ..arguments import checked
from ..layers import Array
from .history import History, Record
from .trainer import Callback, Trainer


class Interrupted(KeyboardInterrupt):
    """Training was interrupted between two steps, and saved."""


@checked
def trainer_state(trainer: Trainer) -> tuple[dict[str, Array], dict[str, Any]]:
    """All of a trainer but its model: arrays `optimizer.*` and `history.*`, and a description (JSON)."""
    state = trainer.optimizer.state()
    arrays = {f"optimizer.{name}": moment for name, moment in state["moments"].items()}
    steps = trainer.history.steps
    for key in steps[0] if steps else ():
        arrays[f"history.{key}"] = np.array([record[key] for record in steps])
    description = {
        "step": trainer.step,
        "optimizer_step": state["t"],
        "validations": trainer.history.validations,
        **settings(trainer),
    }
    return arrays, description


@checked
def restore_trainer(trainer: Trainer, arrays: dict[str, Array], description: dict[str, Any]) -> None:
    """Put a trainer with a model of the same weights where the other one was: the next step is bit for bit the same.

    Raises ValueError where the state is another trainer's: other settings, other sizes, other numbers of steps.
    """
    for name, value in settings(trainer).items():
        if description.get(name) != value:
            raise ValueError(f"{name} is {value}: the run has {description.get(name)}")
    step, t = _count(description, "step"), _count(description, "optimizer_step")
    validations = description.get("validations")
    if not isinstance(validations, list):
        raise ValueError(f"validations is a {type(validations).__name__}: must be a list")
    moments = {name: arrays.get(f"optimizer.{name}") for name in trainer.optimizer.names if step}
    for name, moment in moments.items():
        if moment is None or moment.shape != trainer.value.shape or moment.dtype != trainer.value.dtype:
            got = "missing" if moment is None else f"{moment.dtype} of shape {moment.shape}"
            raise ValueError(f"optimizer.{name} is {got}: must be {trainer.value.dtype} of {trainer.value.shape}")
    columns = {name[len("history.") :]: array for name, array in arrays.items() if name.startswith("history.")}
    if any(column.shape != (step,) for column in columns.values()) or (step and "loss" not in columns):
        raise ValueError(f"history does not have step={step} steps")
    rows = zip(*(column.tolist() for column in columns.values()))
    trainer.step = step
    trainer.optimizer.restore({"t": t, "moments": moments})
    trainer.history = History([dict(zip(columns, row)) for row in rows], list(validations))


def settings(trainer: Trainer) -> dict[str, Any]:
    """What has to be the same for a run to go on as if it had never stopped."""
    # Where its state is kept, on one rank or in parts on many, is no setting: n ranks may go on where m stopped.
    inner = getattr(trainer.optimizer, "inner", trainer.optimizer)
    optimizer = {name: value for name, value in vars(inner).items() if name not in ("t", "moments")}
    schedule: Any = trainer.schedule
    loss = {name: value for name, value in vars(trainer.loss).items() if isinstance(value, (int, float))}
    return {
        "seed": trainer.seed,
        "workers": trainer.n_workers,
        "clip": trainer.clip,
        "optimizer": {"name": type(inner).__name__, **optimizer},
        "schedule": {"name": type(schedule).__name__, **(vars(schedule) if is_dataclass(schedule) else {})},
        "loss": {"name": type(trainer.loss).__name__, **loss},
    }


@checked
class Saving(Callback):
    """Save before the first step, after every n-th and the last; at Ctrl-C, finish the step, save and stop.

    Put it last among the callbacks, so that what the others add to the history is saved with it. A second Ctrl-C
    stops at once; the checkpoint before stays.

    Parameters
    ----------
    n : int
    save : callable
        (trainer) -> anything. The save before the first step finds out early that a disk is full.
    """

    def __init__(self, n: int, save: Callable[[Trainer], Any]) -> None:
        if n < 1:
            raise ValueError(f"n={n}: must be at least 1")
        self.n, self.save = n, save

    def on_start(self, trainer: Trainer, steps: int) -> None:
        self.last, self.asked = steps, False
        self.before: Any = None
        self.save(trainer)
        if threading.current_thread() is threading.main_thread():  # Python allows signals nowhere else
            with contextlib.suppress(ValueError):
                self.before = signal.signal(signal.SIGINT, self._interrupt)

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if self.asked or trainer.step % self.n == 0 or trainer.step == self.last:
            self.save(trainer)
        if self.asked and trainer.step < self.last:
            raise Interrupted(f"stopped after step {trainer.step}")

    def on_end(self, trainer: Trainer) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def _interrupt(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def _count(description: dict[str, Any], name: str) -> int:
    value = description.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name}={value!r}: must be a whole number of at least 0")
    return value
