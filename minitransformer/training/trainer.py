"""The trainer: zero, forward, loss, backward, clip, step. It knows no model; the rest hangs on callbacks.

Everything random follows from (seed, step): the same seed gives the same run, and a run can go on from any step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ..data import Batch
from ..layers import CrossEntropy, Layer, first_nonfinite
from .flat import flatten_gradients, flatten_values
from .history import History, Record
from .memory import keep_freed_memory
from .optimizers import Adam, Optimizer, clip_by_global_norm
from .schedules import Constant


class Batches(Protocol):
    """Training data: a batch for every step, the same one whenever it is asked for."""

    def batch(self, step: int) -> Batch: ...


class Callback:
    """Something that looks on. Every method may be left out."""

    def on_start(self, trainer: Trainer, steps: int) -> None:
        """Before the first step; `steps` is the number at which training ends."""

    def on_step(self, trainer: Trainer, record: Record) -> None:
        """After each step, with its record of the history."""

    def on_end(self, trainer: Trainer) -> None:
        """After the last step, also where training was stopped by an error."""


class NotFinite(ArithmeticError):
    """The loss is NaN or infinite; the message names the first layer whose output is not finite."""


class Trainer:
    """Trains any model whose `forward(*batch.inputs, rng=rng)` gives logits, in this process alone.

    `training.parallel.ParallelTrainer` shares every batch among processes, threads or ranks of MPI.

    Parameters
    ----------
    model : Layer
        Its parameters become views of one flat vector, `value`, and their gradients of another, `grad`.
    optimizer : Optimizer
    schedule : callable
        step (from 1) -> learning rate.
    loss : Layer, optional
        (logits, targets, normalizer) -> scalar; `CrossEntropy()` by default.
    clip : float or None
        Largest norm of the whole gradient.
    seed : int
        Of dropout.

    Attributes
    ----------
    step : int
        Steps taken so far.
    history : History
    """

    n_workers = 1  # that share a batch: a run goes on only with as many

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer | None = None,
        schedule: Callable[[int], float] = Constant(1e-3),  # noqa: B008 (it is frozen)
        loss: Layer | None = None,
        clip: float | None = 1.0,
        seed: int = 0,
    ) -> None:
        if clip is not None and not clip > 0.0:
            raise ValueError(f"clip={clip}: must be above 0, or None for no limit")
        keep_freed_memory()
        self.model = model
        self.optimizer = optimizer or Adam()
        self.schedule = schedule
        self.loss = loss or CrossEntropy()
        self.clip = clip
        self.seed = seed
        self.value = flatten_values(model.parameters())
        self.grad = flatten_gradients(model.parameters())
        self.step = 0
        self.history = History()

    def train_step(self, batch: Batch) -> Record:
        """One step on one batch; returns its record of the history."""
        with np.errstate(all="ignore"):  # what is not finite shows in the loss, and is named below
            loss = self.compute_gradient(batch)
        if not np.isfinite(loss):
            raise NotFinite(self._explain(batch, loss))
        norm = clip_by_global_norm(self.grad, np.inf if self.clip is None else self.clip)
        rate = self.schedule(self.step + 1)
        self.optimizer.step(self.value, self.grad, rate)
        self.step += 1
        return {
            "step": self.step,
            "loss": loss,
            "learning_rate": rate,
            "tokens": batch.n_tokens,
            "gradient_norm": norm,
        }

    def compute_gradient(self, batch: Batch) -> float:
        """Leave the gradient of the batch's loss in `grad`; return the loss, the mean over the batch's tokens."""
        self.grad[...] = 0  # every parameter's gradient is a view of it
        logits, cache = self.model.forward(*batch.inputs, rng=self.dropout_rng())
        loss, loss_cache = self.loss.forward(logits, batch.targets, batch.n_tokens)
        self.model.backward(self.loss.backward(1.0, loss_cache), cache)
        return float(loss)

    def dropout_rng(self, worker: int = 0) -> np.random.Generator:
        """The generator of this step's dropout, by the number of the worker that computes."""
        # Counted from 1: trailing zeros do not change a seed, so [seed, step, 0] would be the data's [seed, step].
        return np.random.default_rng([self.seed, self.step, 1 + worker])

    def fit(self, data: Batches, steps: int, callbacks: Sequence[Callback] = ()) -> History:
        """Train until `steps` steps have been taken in all; a trainer that has taken some goes on from there.

        Raises NotFinite where the loss is NaN or infinite; the weights are then those of the step before.
        """
        if steps < 1:
            raise ValueError(f"steps={steps}: must be at least 1")
        started = time.perf_counter() - self.history.seconds
        for callback in callbacks:
            callback.on_start(self, steps)
        try:
            while self.step < steps:
                record = self.train_step(data.batch(self.step))
                record["seconds"] = time.perf_counter() - started
                self.history.steps.append(record)
                for callback in callbacks:
                    callback.on_step(self, record)
        finally:
            for callback in callbacks:
                callback.on_end(self)
        return self.history

    def _explain(self, batch: Batch, loss: float) -> str:
        culprit = first_nonfinite(self.model, *batch.inputs, rng=self.dropout_rng()) or "the loss itself"
        return f"step {self.step + 1}: the loss is {loss}; the first that is not finite is {culprit}"
