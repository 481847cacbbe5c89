"""The trainer: forward, loss, backward, clip, step. It knows no model; the rest hangs on callbacks.

Everything random follows from (seed, step): the same seed gives the same run, and a run can go on from any step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ..data import Batch
from ..layers import CrossEntropy, Layer, first_not_finite
from .distributed import RankedWorkers, Ranks, workers_for
from .flat import flatten_values
from .history import History, Record
from .memory import keep_freed_memory
from .optimizers import Adam, Optimizer, clip_by_global_norm
from .schedules import Constant
from .workers import ThreadWorker, Workers, default_workers

CHECKED_EVERY = 100  # steps; ranks then compare a checksum of their weights


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
    """Trains any model whose `forward(*batch.inputs, rng=rng)` gives logits.

    Parameters
    ----------
    model : Layer
        Its parameters become views of one flat vector, `value`.
    optimizer : Optimizer
    schedule : callable
        step (from 1) -> learning rate.
    loss : Layer, optional
        (logits, targets, normalizer) -> scalar; `CrossEntropy()` by default.
    clip : float or None
        Largest norm of the whole gradient.
    seed : int
        Of dropout.
    workers : int, optional
        How many share each batch, processes on Linux and threads elsewhere: by default two where there are two cores.
        The same number gives the same run; another number the same to rounding, but for dropout, which each worker
        draws for itself.
    ranks : Ranks, optional
        Processes that train the same model, each with its share of every batch; one worker each by default. Each must
        be given the same model, data and settings.

    Attributes
    ----------
    step : int
        Steps taken so far.
    history : History
    """

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer | None = None,
        schedule: Callable[[int], float] = Constant(1e-3),  # noqa: B008 (it is frozen)
        loss: Layer | None = None,
        clip: float | None = 1.0,
        seed: int = 0,
        workers: int | None = None,
        ranks: Ranks | None = None,
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
        self.ranks = ranks
        self.workers = self._workers(workers)
        self.step = 0
        self.history = History()

    def _workers(self, n: int | None) -> Workers | RankedWorkers:
        if self.ranks is None:
            return Workers(self.model, self.loss, default_workers() if n is None else n)
        # Threads: some of MPI's networks do not bear that a process forks.
        n = workers_for(self.ranks) if n is None else n
        return RankedWorkers(Workers(self.model, self.loss, n, ThreadWorker), self.ranks)

    def train_step(self, batch: Batch) -> Record:
        """One step on one batch; returns its record of the history."""
        rate = self.schedule(self.step + 1)
        loss = self.workers.gradient(batch, seed=(self.seed, self.step))
        if not np.isfinite(loss):
            raise NotFinite(self._explain(batch, loss))
        grad = self.workers.grad
        norm = clip_by_global_norm(grad, np.inf if self.clip is None else self.clip)
        self.optimizer.step(self.value, grad, rate)
        self.step += 1
        return {
            "step": self.step,
            "loss": loss,
            "learning_rate": rate,
            "tokens": batch.n_tokens,
            "gradient_norm": norm,
        }

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
                if self.ranks is not None and self.step % CHECKED_EVERY == 0:
                    self.ranks.check_same(self.value, self.step)
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
        rng = np.random.default_rng([self.seed, self.step, 1])
        culprit = first_not_finite(self.model, *batch.inputs, rng=rng) or "the loss itself"
        return f"step {self.step + 1}: the loss is {loss}; the first that is not finite is {culprit}"
