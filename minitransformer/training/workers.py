"""Workers: threads that each compute the gradient of their share of a batch, on replicas that share the weights.

The loss divides by the tokens of the whole batch, so the shares' losses and gradients simply add. NumPy releases
the interpreter's lock inside its operations, so that the threads of one process do run side by side (1.4 to 1.8
times one worker on two cores).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..data import Batch
from ..layers import Array, Layer
from .blas import blas_threads, can_set_threads
from .flat import flatten_gradients


class Worker:
    """A model, a loss and a gradient vector of its own.

    Parameters
    ----------
    model : Layer
        `forward(*batch.inputs, rng=rng)` gives logits.
    loss : Layer
        Such as `CrossEntropy`.
    """

    def __init__(self, model: Layer, loss: Layer) -> None:
        self.model, self.loss = model, loss
        self.grad = flatten_gradients(model.parameters())

    def gradient(self, batch: Batch, normalizer: int, rng: np.random.Generator) -> float:
        """Leave the gradient of the batch's loss in `grad`; return the loss, a sum over tokens / `normalizer`."""
        self.grad[...] = 0
        logits, cache = self.model.forward(*batch.inputs, rng=rng)
        loss, loss_cache = self.loss.forward(logits, batch.targets, normalizer)
        self.model.backward(self.loss.backward(1.0, loss_cache), cache)
        return float(loss)


class Workers:
    """The gradient of a batch, computed by several workers at once.

    Parameters
    ----------
    model, loss : Layer
        The first worker's own; the others get replicas.
    n : int
        How many. More than one use a single BLAS thread each.
    """

    def __init__(self, model: Layer, loss: Layer, n: int) -> None:
        if n < 1:
            raise ValueError(f"workers={n}: must be at least 1")
        self.all = [Worker(model if i == 0 else replica(model), loss) for i in range(n)]
        self.grad = self.all[0].grad
        self.pool = ThreadPoolExecutor(n - 1, "worker") if n > 1 else None

    def gradient(self, batch: Batch, seed: Sequence[int], normalizer: int | None = None, first: int = 0) -> float:
        """Leave the gradient of the whole batch in `grad`; return its loss.

        Where the batch is itself a share, `normalizer` is what the loss of all shares is divided by, and `first` the
        number of workers that have the shares before it.
        """
        shares = batch.shares(len(self.all))
        normalizer = batch.n_tokens if normalizer is None else normalizer
        # Counted from 1: trailing zeros do not change a seed, so [seed, step, 0] would be the data's [seed, step].
        seeds = [[*seed, 1 + first + i] for i in range(len(shares))]
        if self.pool is None:
            return _gradient(self.all[0], shares[0], normalizer, seeds[0])
        with blas_threads(1):
            others = [
                self.pool.submit(_gradient, worker, share, normalizer, own_seed)
                for worker, share, own_seed in zip(self.all[1:], shares[1:], seeds[1:])
            ]
            loss = _gradient(self.all[0], shares[0], normalizer, seeds[0])
            loss += sum(other.result() for other in others)
        for worker, _ in zip(self.all[1:], shares[1:]):
            self.grad += worker.grad
        return loss

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()


def _gradient(worker: Worker, share: Batch, normalizer: int, seed: list[int]) -> float:
    # Floating point errors are a setting of each thread: what is not finite is found in the loss, and named there.
    with np.errstate(all="ignore"):
        return worker.gradient(share, normalizer, np.random.default_rng(seed))


def replica(model: Layer) -> Layer:
    """A copy of the model that shares every parameter's `value` and owns its `grad`."""
    shared: dict[int, Array] = {id(parameter.value): parameter.value for parameter in model.parameters()}
    return copy.deepcopy(model, shared)  # a deep copy takes what is in its memo as it is


def default_workers() -> int:
    """Two where there are two processors for this process and BLAS can be told to use one of them; else one."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        available = os.cpu_count() or 1
    return 2 if available >= 2 and can_set_threads() else 1
