"""Our side: the public classes, as any user has them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import minitransformer.training.trainer as trainer_module
from minitransformer.decoding import greedy
from minitransformer.training import Adam
from minitransformer.training.memory import keep_freed_memory
from minitransformer.training.parallel import ForkedWorker, ParallelTrainer, ThreadWorker, blas_threads

from .process import Contender, forget_peak, processor_seconds, resident, status
from .sizes import Size, new_batch, new_loss, new_model


class OurStep(Contender):
    """A training step of `Trainer`.

    Parameters
    ----------
    workers : int
    mallopt : bool
        False: without the setting that makes the C library keep freed memory, which the trainer otherwise makes.
    threads : bool
        Workers that are threads also where they could be processes.
    """

    def __init__(self, size: Size, workers: int, mallopt: bool = True, threads: bool = False) -> None:
        if not mallopt:
            trainer_module.keep_freed_memory = lambda: False  # type: ignore[assignment]
        self.size, self.before = size, resident()
        self.batch = new_batch(size)
        kind = ThreadWorker if threads else None
        model, loss = new_model(size), new_loss(size)
        self.trainer = ParallelTrainer(model, Adam(), loss=loss, clip=None, workers=workers, kind=kind)

    def step(self) -> None:
        self.trainer.train_step(self.batch)

    def processes(self) -> list[int]:
        """The workers that are processes of their own, by number."""
        return worker_processes(self.trainer)

    def children_seconds(self) -> float:
        return sum(processor_seconds(process) for process in self.processes())

    def warm(self) -> float:
        seconds = super().warm()
        for process in self.processes():
            forget_peak(process)
        return seconds

    def memory(self) -> float:
        others = (status("VmHWM", process) - self.before for process in self.processes())
        return super().memory() + sum(max(memory, 0.0) for memory in others)

    def check(self) -> dict[str, float]:
        """The loss without dropout, and how far the shares' gradient is from the whole batch's, in float64."""
        batch, loss_layer = self.batch, new_loss(self.size)
        model = new_model(self.size, dtype=np.float64)
        logits, cache = model.forward(*batch.inputs)
        loss, loss_cache = loss_layer.forward(logits, batch.targets)
        model.backward(loss_layer.backward(1.0, loss_cache), cache)
        shares = batch.shares(self.trainer.n_workers)
        replicas = new_model(self.size, dtype=np.float64)
        for share in shares:
            logits, cache = replicas.forward(*share.inputs)
            _, loss_cache = loss_layer.forward(logits, share.targets, batch.n_tokens)
            replicas.backward(loss_layer.backward(1.0, loss_cache), cache)
        pairs = zip(model.parameters(), replicas.parameters())
        return {"loss": float(loss), "gradient_error": max(error(b.grad, a.grad) for a, b in pairs)}


def worker_processes(trainer: ParallelTrainer) -> list[int]:
    """The workers of a trainer that are processes of their own, by number."""
    return [worker.process.pid for worker in trainer.others if isinstance(worker, ForkedWorker) and worker.process]


class OurDecoding(Contender):
    """`greedy` with its key/value state, a sentence or `batch` of them.

    Parameters
    ----------
    tokens : int
        To be decoded; nothing ends before.
    threads : int
        Of BLAS.
    """

    def __init__(self, size: Size, batch: int, tokens: int, threads: int) -> None:
        keep_freed_memory()
        self.size, self.before, self.threads = size, resident(), threads
        self.tokens = tokens
        self.model = new_model(size, max_length=max(tokens, size.length) + 1)
        self.prompt, self.start = prompt(size, batch)

    def step(self) -> None:
        self.decode()

    def decode(self) -> list[list[int]]:
        with blas_threads(self.threads):
            found = greedy(self.model, self.prompt, start=self.start, eos=-1, max_new_tokens=self.tokens)
        return [hypothesis.ids for hypothesis in found]

    def check(self) -> dict[str, Any]:
        return {"ids": self.decode()}


class OurTraining(Contender):
    """Training from nothing until nearly all held-out examples of a task are right.

    Parameters
    ----------
    task : {"reverse", "copy", "sort"}
    workers : int
    goal : float
        Share of the held-out sequences that must be decoded exactly.
    """

    def __init__(self, size: Size, workers: int, task: str = "reverse", goal: float = 0.99, steps: int = 6000) -> None:
        self.size, self.before, self.workers, self.task, self.goal, self.steps = (
            size,
            resident(),
            workers,
            task,
            goal,
            steps,
        )

    def run(self, seed: int = 0) -> dict[str, float]:
        """Seconds of training (and with the tests between), steps, and the share that was right in the end."""
        from dataclasses import replace

        from minitransformer.data import BOS, EOS, FreshBatches, ToyTask
        from minitransformer.training import WarmupCosine

        toy = ToyTask(self.task)
        size = replace(self.size, vocab=len(toy.vocabulary))
        model = new_model(size, seed)
        batches = FreshBatches(toy.sample, size.batch, seed=seed)
        schedule = WarmupCosine(4e-3, 1500, 200, 1e-4)
        trainer = ParallelTrainer(model, Adam(0.9, 0.98, 1e-9), schedule, seed=seed, workers=self.workers)
        held_out = toy.sample(np.random.default_rng([seed, 0, 1]), 500, split="test")
        started, trained, right, every = time.perf_counter(), 0.0, 0.0, 100
        while right < self.goal and trainer.step < self.steps:
            before = time.perf_counter()
            trainer.fit(batches, trainer.step + every)
            trained += time.perf_counter() - before
            right = exact(model, held_out, BOS, EOS)
        return {
            "seconds": trained,
            "seconds_with_tests": time.perf_counter() - started,
            "steps": trainer.step,
            "right": right,
        }


def exact(model: Any, pairs: list[tuple[list[int], list[int]]], start: int, eos: int) -> float:
    """Share of the pairs whose source is decoded to exactly their target."""
    from minitransformer.data import evaluation_batches

    right = 0
    for indices, batch in evaluation_batches(pairs, 250):
        longest = batch.targets.shape[1]
        answers = greedy(model, batch.inputs[0], start=start, eos=eos, max_new_tokens=longest)
        right += sum(list(pairs[i][1]) == answer.ids for i, answer in zip(indices, answers))
    return right / len(pairs)


def prompt(size: Size, batch: int) -> tuple[np.ndarray, int | None]:
    """What decoding begins with: sources and a start, or for a GPT one token of each text."""
    rng = np.random.default_rng(2)
    if size.kind == "gpt":
        return rng.integers(0, size.vocab, (batch, 1)), None
    return rng.integers(1, size.vocab, (batch, size.length)), 1


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference, relative to the largest number; a key's bias, whose gradient is 0, counts against 1e-3."""
    return float(np.abs(got - wanted).max() / max(np.abs(wanted).max(), 1e-3))
