"""A trainer that shares every batch among workers of this process's own, and among ranks of MPI.

The loss divides by the tokens of the whole batch, so the shares' losses and gradients simply add.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

from ...data import Batch
from ...layers import Layer
from ..trainer import Trainer
from .blas import blas_threads
from .distributed import Ranks, workers_for
from .workers import THREADS, Kind, ThreadWorker, Worker, compute_share, default_kind, default_workers

CHECKED_EVERY = 100  # steps; ranks then compare a checksum of their weights


class ParallelTrainer(Trainer):
    """A trainer whose gradients are computed by several workers at once.

    Parameters
    ----------
    model, settings, named_settings
        As for `Trainer`.
    workers : int, optional
        How many share each batch: by default two where there are two cores. More than one use a single BLAS thread
        each. The same number gives the same run; another number the same to rounding, but for dropout, which each
        worker draws for itself.
    ranks : Ranks, optional
        Processes that train the same model, each with its share of every batch, divided among its workers: by default
        one each. Every rank must be given the same model, data and settings.
    kind : callable, optional
        What the workers but the first are, `ForkedWorker` or `ThreadWorker`: by default processes on Linux and threads
        elsewhere, and threads where there are ranks.
    """

    def __init__(
        self,
        model: Layer,
        *settings: Any,
        workers: int | None = None,
        ranks: Ranks | None = None,
        kind: Kind | None = None,
        **named_settings: Any,
    ) -> None:
        super().__init__(model, *settings, **named_settings)
        if workers is None:
            workers = default_workers() if ranks is None else workers_for(ranks)
        if workers < 1:
            raise ValueError(f"workers={workers}: must be at least 1")
        # Threads beside ranks: some of MPI's networks do not bear that a process forks.
        kind = kind or (default_kind() if ranks is None else ThreadWorker)
        if workers > 1 and not THREADS:
            warnings.warn(
                f"workers={workers}: a browser has no threads, so they compute one after another", stacklevel=2
            )
        self.n_workers, self.ranks = workers, ranks
        self.others: list[Worker] = [kind(self.model, self.loss) for _ in range(workers - 1)]

    def compute_gradient(self, batch: Batch) -> float:
        """Leave the gradient of the whole batch in `grad`, the same on every rank; return its loss."""
        if self.ranks is None:
            return self._compute_share(batch, batch.n_tokens)
        if self.step % CHECKED_EVERY == 0:
            self.ranks.check_same(self.value, self.step)
        rank, shares, loss = self.ranks.rank, batch.shares(self.ranks.size), 0.0
        if rank < len(shares):
            with blas_threads(1):  # the ranks share the machine
                loss = self._compute_share(shares[rank], batch.n_tokens, rank * self.n_workers)
        else:  # fewer sentences than ranks
            self.grad[...] = 0
        self.ranks.add(self.grad)
        return self.ranks.total(loss)

    def _compute_share(self, batch: Batch, normalizer: int, before: int = 0) -> float:
        """The same for this process's part of a batch; `before` workers have the parts before it."""
        shares = batch.shares(self.n_workers)  # a batch may have fewer sentences than there are workers
        busy = self.others[: len(shares) - 1]
        with blas_threads(1) if self.others else nullcontext():
            for n, (worker, share) in enumerate(zip(busy, shares[1:]), start=1):
                worker.begin(share, normalizer, self.dropout_rng(before + n))
            loss = compute_share(self.model, self.loss, self.grad, shares[0], normalizer, self.dropout_rng(before))
            loss += sum([worker.end() for worker in busy])
        for worker in busy:
            self.grad += worker.grad
        return loss

    def close(self) -> None:
        """End the workers now; otherwise they end with the trainer."""
        for worker in self.others:
            worker.close()
