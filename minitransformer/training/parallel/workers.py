"""Workers: each computes the gradient of its share of a batch, with the same weights and a gradient of its own.

The second worker is a process where the system can fork one, with weights and gradients in memory that both see (1.8
times one worker on two cores), and elsewhere a thread. The numbers are the same. NumPy releases the interpreter's lock
inside its operations, so threads do run side by side (1.6 times), but between two operations they wait for each other,
and where operations are short that eats the whole gain.
"""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import os
import signal
import sys
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np

from ...data import Batch
from ...layers import Array, Layer
from ..flat import flatten_gradients, shared_vector
from .blas import blas_threads, can_set_threads

THREADS = sys.platform != "emscripten"  # a browser's Python has neither threads nor processes
LOOKS_EVERY = 0.2  # seconds; a worker that waits for work looks whether there still is somebody to give it


class WorkerDied(RuntimeError):
    """A worker's process has ended in the middle of a step."""


def compute_share(
    model: Layer, loss: Layer, grad: Array, share: Batch, normalizer: int, rng: np.random.Generator
) -> float:
    """`Trainer.compute_gradient` of a share of a batch: its loss is the sum over its tokens, over `normalizer`."""
    # Floating point errors are a setting of each thread: what is not finite is found in the loss, and named there.
    with np.errstate(all="ignore"):
        grad[...] = 0
        logits, cache = model.forward(*share.inputs, rng=rng)
        value, loss_cache = loss.forward(logits, share.targets, normalizer)
        model.backward(loss.backward(1.0, loss_cache), cache)
    return float(value)


class Worker(Protocol):
    """A worker that computes while its caller goes on: begin, do something else, end."""

    grad: Array

    def begin(self, share: Batch, normalizer: int, rng: np.random.Generator) -> None: ...

    def end(self) -> float:
        """Wait until `grad` is there; return the loss, or raise what was raised."""
        ...

    def close(self) -> None: ...


Kind = Callable[[Layer, Layer], Worker]


class ThreadWorker:
    """A worker that is a thread of this process, on a replica that shares the weights."""

    def __init__(self, model: Layer, loss: Layer) -> None:
        self.model, self.loss = replica(model), loss
        self.grad = flatten_gradients(self.model.parameters())
        self.pool = ThreadPoolExecutor(1, "worker")
        self.running: Future[float] | None = None

    def begin(self, share: Batch, normalizer: int, rng: np.random.Generator) -> None:
        self.running = self.pool.submit(compute_share, self.model, self.loss, self.grad, share, normalizer, rng)

    def end(self) -> float:
        assert self.running is not None
        return self.running.result()

    def close(self) -> None:
        self.pool.shutdown()


class WaitingWorker:
    """A worker in this very thread, where a browser's Python has no other: it computes when it is waited for."""

    def __init__(self, model: Layer, loss: Layer) -> None:
        self.model, self.loss = replica(model), loss
        self.grad = flatten_gradients(self.model.parameters())

    def begin(self, share: Batch, normalizer: int, rng: np.random.Generator) -> None:
        self.share = share, normalizer, rng

    def end(self) -> float:
        return compute_share(self.model, self.loss, self.grad, *self.share)

    def close(self) -> None:
        pass


class ForkedWorker:
    """A worker that is a process, forked at its first share.

    It sees the weights as they are at every step where they lie in a `shared_vector`, as the trainer puts them. What
    else is changed in the model after the first step, it does not see; nor does a thread's replica.
    """

    def __init__(self, model: Layer, loss: Layer) -> None:
        self.model, self.loss = model, loss
        self.grad = shared_vector(sum(p.size for p in model.parameters()), model.parameters()[0].dtype)
        self.process: Any = None
        self.connection: Connection | None = None
        self.waiting = False  # for an answer

    def begin(self, share: Batch, normalizer: int, rng: np.random.Generator) -> None:
        if self.connection is None:
            self._fork()
        if self.waiting:  # the last step was interrupted before it asked for the answer
            self._answer()
        assert self.connection is not None
        try:
            self.connection.send((share, normalizer, rng))
        except OSError:
            raise self._died() from None
        self.waiting = True

    def end(self) -> float:
        answer = self._answer()
        if isinstance(answer, BaseException):
            raise answer
        return float(answer)

    def close(self) -> None:
        if self.connection is not None:
            self._finalizer()
            self.process, self.connection, self.waiting = None, None, False

    def _fork(self) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, self.model, self.loss, self.grad), name="worker", daemon=True
        )
        with warnings.catch_warnings():
            # Python 3.12 warns where there are other threads: the child could wait for a lock that one of them held.
            # It calls nothing but NumPy, whose libraries see to their locks when a process forks.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process.start()
        theirs.close()
        self._finalizer = weakref.finalize(self, _stop, self.connection, self.process, os.getpid())

    def _answer(self) -> Any:
        assert self.connection is not None
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        self.waiting = False
        return answer

    def _died(self) -> WorkerDied:
        process = self.process
        self.close()  # the next step forks a new one
        return WorkerDied(f"a worker's process has ended, with status {process.exitcode}")


def _serve(connection: Connection, model: Layer, loss: Layer, grad: Array) -> None:
    """The life of a forked worker: shares in, losses or errors out, until told to stop or left alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains: it tells this one
    parent = os.getppid()
    flatten_gradients(model.parameters(), grad)
    with blas_threads(1):
        while True:
            while not connection.poll(LOOKS_EVERY):
                if os.getppid() != parent:
                    return
            work = connection.recv()
            if work is None:
                return
            try:
                connection.send(compute_share(model, loss, grad, *work))
            except Exception as error:
                try:
                    connection.send(error)
                except Exception:  # it cannot be pickled
                    connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _stop(connection: Connection, process: Any, owner: int) -> None:
    if os.getpid() != owner:  # a worker that was forked later has a copy of this object, not the child
        return
    with contextlib.suppress(OSError):  # it is gone
        connection.send(None)
    connection.close()
    process.join(5 * LOOKS_EVERY)
    if process.is_alive():  # in the middle of a share that nobody waits for
        process.kill()
        process.join()


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


def default_kind() -> Kind:
    """Processes on Linux; threads elsewhere, and in a process that is itself a pool's and may have none of its own.

    A browser has neither: there workers take turns, which gives the same numbers, and says so in a warning.

    macOS can fork, but not safely behind its own libraries; Windows cannot.
    """
    if not THREADS:
        return WaitingWorker
    forks = sys.platform.startswith("linux") and not multiprocessing.current_process().daemon
    return ForkedWorker if forks else ThreadWorker
