"""The trainer: zero, forward, loss, backward, clip, step. It knows no model; the rest hangs on callbacks.

Everything random follows from (seed, step): the same seed gives the same run, and a run can go on from any step.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from ..arguments import check_seed, checked
from ..data import Batch
from ..layers import CrossEntropy, Layer, first_nonfinite
from .flat import flatten_gradients, flatten_values
from .history import History, Record
from .memory import keep_freed_memory
from .optimizers import Optimizer, as_optimizer, clip_by_global_norm
from .schedules import as_schedule

BLOWN_UP = 20.0  # a loss of so many times the first one, or of the first nat, is no training any more


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
    """The loss or the gradient is NaN or infinite; the message names the first layer or parameter that is."""


class BlownUp(ArithmeticError):
    """The loss is far above where it began; the message says what to try."""


@checked
class Trainer:
    """Trains any model whose `forward(*batch.inputs, rng=rng)` gives logits, in this process alone.

    `training.parallel.ParallelTrainer` shares every batch among processes, threads or ranks of MPI.

    Parameters
    ----------
    model : Layer
        Its parameters become views of one flat vector, `value`, and their gradients of another, `grad`.
    optimizer : Optimizer, class or str
        `Adam()` by default; "sgd", "adam" and "adamw" and their classes mean one with its defaults.
    schedule : callable or float
        step (from 1) -> learning rate, or one rate for all steps.
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
        optimizer: Optimizer | type[Optimizer] | str | None = None,
        schedule: Callable[[int], float] | float = 1e-3,
        loss: Layer | None = None,
        clip: float | None = 1.0,
        seed: int = 0,
    ) -> None:
        if clip is not None and not clip > 0.0:
            raise ValueError(f"clip={clip}: must be above 0, or None for no limit")
        check_seed(seed)
        keep_freed_memory()
        self.model = model
        self.optimizer = as_optimizer(optimizer)
        self.schedule = as_schedule(schedule)
        self.loss = loss or CrossEntropy()
        self.clip = clip
        self.seed = seed
        self.value = flatten_values(model.parameters())
        self.grad = flatten_gradients(model.parameters())
        self.step = 0
        self.history = History()

    def train_step(self, batch: Batch) -> Record:
        """One step on one batch; returns its record of the history."""
        if not batch.n_tokens:
            raise ValueError(f"step {self.step + 1}: the batch's targets hold nothing but padding (pad={batch.pad})")
        with np.errstate(all="ignore"):  # what is not finite shows in the loss or the norm, and is named
            loss = self.compute_gradient(batch)
            self._check_loss(batch, loss)
            norm = clip_by_global_norm(self.grad, np.inf if self.clip is None else self.clip)
        if not np.isfinite(norm):
            named = self.model.named_parameters()
            culprit = next((name for name, p in named if not np.isfinite(p.grad).all()), "all of them together")
            raise NotFinite(f"step {self.step + 1}: the gradient is not finite, first that of {culprit}")
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

    def fit(
        self, data: Batches | Iterable[Batch | tuple[Any, ...]], steps: int, callbacks: Sequence[Callback] = ()
    ) -> History:
        """Train until `steps` steps have been taken in all; a trainer that has taken some goes on from there.

        Parameters
        ----------
        data : Batches or iterable
            What gives a batch for every step; or a list of batches, gone through again and again; or any other
            iterable, until it ends, which is said in a warning. A batch may be a tuple of arrays (input, ..., targets).
        steps : int
        callbacks : sequence of Callback

        Raises NotFinite where the loss or the gradient is NaN or infinite, BlownUp where the loss is far above where it
        began; the weights are then those of the step before.
        """
        if not isinstance(steps, (int, np.integer)) or steps < 1:
            raise ValueError(f"steps={steps!r}: must be a whole number of at least 1")
        batch_of = self._source(data)
        started = time.perf_counter() - self.history.seconds
        for callback in callbacks:
            callback.on_start(self, steps)
        try:
            while self.step < steps:
                batch = batch_of(self.step)
                if batch is None:
                    warnings.warn(f"the data ended after step {self.step:,} of {steps:,}", stacklevel=2)
                    break
                record = self.train_step(batch)
                record["seconds"] = time.perf_counter() - started
                self.history.steps.append(record)
                for callback in callbacks:
                    callback.on_step(self, record)
        finally:
            for callback in callbacks:
                callback.on_end(self)
        return self.history

    def _source(self, data: Any) -> Callable[[int], Batch | None]:
        """The number of a step -> its batch, or None where there are no more."""
        if hasattr(data, "batch"):
            return data.batch
        if isinstance(data, (str, bytes, dict, Batch, np.ndarray)) or not isinstance(data, Iterable):
            raise TypeError(f"data is of type {type(data).__name__}: give a source of batches, or a list of them")
        if not isinstance(data, Sequence):
            iterator = iter(data)
            return lambda step: self._as_batch(next(iterator, None))
        if not data:
            raise ValueError("data is empty: give at least one batch")
        return lambda step: self._as_batch(data[step % len(data)])

    def _as_batch(self, given: Any) -> Batch | None:
        if given is None or isinstance(given, Batch):
            return given
        if isinstance(given, (tuple, list)) and len(given) > 1 and all(isinstance(part, np.ndarray) for part in given):
            return Batch(tuple(given[:-1]), given[-1], getattr(self.loss, "pad", 0))
        raise TypeError(
            f"a batch is of type {type(given).__name__}: give a Batch, or a tuple of arrays (input, ..., targets)"
        )

    def _check_loss(self, batch: Batch, loss: float) -> None:
        """Raise NotFinite or BlownUp where a step with this loss would make the model worse."""
        step = f"step {self.step + 1}: the loss is {loss:.6g}"
        if not np.isfinite(loss):
            culprit = first_nonfinite(self.model, *batch.inputs, rng=self.dropout_rng()) or "the loss itself"
            raise NotFinite(f"{step}; the first that is not finite is {culprit}")
        first = self.history.steps[0]["loss"] if self.history.steps else loss
        if loss > BLOWN_UP * max(first, 1.0):
            raise BlownUp(
                f"{step}, and was {first:.3g} at step 1: training has blown up. Try a learning rate below "
                f"{self.schedule(self.step + 1):.3g}, a longer warm-up, or a smaller clip (it is {self.clip})"
            )
