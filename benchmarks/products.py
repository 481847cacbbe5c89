"""The matrix products of a training step alone, replayed: what a step would cost if all else were free."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from minitransformer.layers import Layer
from minitransformer.training.memory import keep_freed_memory

from .process import Contender, resident
from .sizes import Size, new_batch, new_loss, new_model

Product = tuple[np.ndarray, np.ndarray, bool]


class Recorder(np.ndarray):
    """An array that notes every product of matrices that it takes part in, and passes the habit on to what it makes."""

    found: list[Product] | None = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        plain = [bare(x) for x in inputs]
        if out is not None:
            options["out"] = tuple(bare(x) for x in out)
        if ufunc is np.matmul and Recorder.found is not None and all(np.ndim(x) >= 2 for x in plain):
            by_heads = out is not None and not options["out"][0].flags.c_contiguous
            Recorder.found.append((plain[0], plain[1], by_heads))
        result = getattr(ufunc, method)(*plain, **options)
        if out is not None:
            return out[0].view(Recorder)
        return result.view(Recorder) if isinstance(result, np.ndarray) else result

    def dot(self, other: Any) -> Any:  # type: ignore[override]
        return np.matmul(self, other)  # which is noted above; for matrices and vectors the two are the same


def bare(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, Recorder) else x


@contextmanager
def recording(model: Layer) -> Iterator[list[Product]]:
    """Within the `with` block the list grows by every product of the model's forward and backward."""
    parameters = model.parameters()
    found: list[Product] = []
    for parameter in parameters:
        parameter.value, parameter.grad = parameter.value.view(Recorder), parameter.grad.view(Recorder)
    Recorder.found = found
    try:
        yield found
    finally:
        Recorder.found = None
        for parameter in parameters:
            parameter.value, parameter.grad = bare(parameter.value), bare(parameter.grad)


def products_of(size: Size) -> list[Product]:
    """The operands of every product of a step, as they lie in memory. A product with a vector is a sum, not one."""
    model, batch, loss = new_model(size), new_batch(size), new_loss(size)
    with recording(model) as found:
        logits, cache = model.forward(*batch.inputs, rng=np.random.default_rng(0))
        _, loss_cache = loss.forward(bare(logits), batch.targets)
        model.backward(loss.backward(1.0, loss_cache).view(Recorder), cache)
    return found


def flops(products: list[Product]) -> float:
    """Multiplications and additions."""
    return float(
        sum(
            2.0 * np.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])) * a.shape[-2] * a.shape[-1] * b.shape[-1]
            for a, b, _ in products
        )
    )


class Products(Contender):
    """All products of a step, one after another.

    Parameters
    ----------
    processes : int
        Each replays those of its share of the batch; a turn is over when the last one is.
    """

    def __init__(self, size: Size, processes: int = 1) -> None:
        keep_freed_memory()
        self.before = resident()
        share = replace(size, batch=-(-size.batch // processes))
        self.pipes = []
        for _ in range(processes - 1):
            here, there = multiprocessing.Pipe()
            multiprocessing.get_context("spawn").Process(target=follow, args=(there, share), daemon=True).start()
            there.close()
            here.recv()
            self.pipes.append(here)
        self.products = products_of(share)
        self.elsewhere = 0.0

    def step(self) -> None:
        for pipe in self.pipes:
            pipe.send(True)
        replay(self.products)
        for pipe in self.pipes:
            self.elsewhere += pipe.recv()

    def children_seconds(self) -> float:
        return self.elsewhere

    def check(self) -> dict[str, float]:
        return {"products": len(self.products), "flops": (1 + len(self.pipes)) * flops(self.products)}


def replay(products: list[Product]) -> None:
    for a, b, by_heads in products:
        if by_heads:  # as the layers have it: written with the heads side by side
            B, H, T, _ = a.shape
            np.matmul(a, b, out=np.empty((B, T, H, b.shape[-1]), a.dtype).swapaxes(1, 2))
        else:
            np.matmul(a, b)


def follow(pipe: Any, size: Size) -> None:
    """Another process: replay at every call, answer with the processor time that it took."""
    keep_freed_memory()
    products = products_of(size)
    pipe.send(True)
    try:
        while pipe.recv():
            start = time.process_time()
            replay(products)
            pipe.send(time.process_time() - start)
    except EOFError:
        pass
