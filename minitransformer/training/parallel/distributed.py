"""Data parallelism over MPI: every rank computes the gradient of its share of a batch, and one all-reduce adds them.

The loss divides by the tokens of the whole batch on every rank, so the sum of the ranks' gradients is the gradient of
that batch, however unequal the shares are:

    L = 1/N sum over all tokens = sum over ranks (1/N sum over the rank's tokens)        =>  dL = sum of the ranks' dL

Everything behind it, clipping and the optimizer's step, is done alike on every rank, with the same numbers.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ...layers import Array
from ..optimizers import Optimizer
from .workers import default_workers

# Where launchers say how many ranks they started: Open MPI, then MPICH and Intel MPI, then MVAPICH.
LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


class NoMPI(RuntimeError):
    """Several ranks were started, and mpi4py is not installed."""


class Drift(RuntimeError):
    """The ranks' weights are no longer the same; the message names the step and the ranks."""


class Ranks:
    """The processes that train one model together.

    Parameters
    ----------
    communicator : mpi4py.MPI.Comm

    Attributes
    ----------
    rank, size : int
        Which of them this process is, counted from 0, and how many there are.
    """

    def __init__(self, communicator: Any) -> None:
        self.communicator = communicator
        self.rank: int = communicator.Get_rank()
        self.size: int = communicator.Get_size()

    def add(self, vector: Array) -> None:
        """Put the sum of all ranks' vectors (n,) into each of them; float32 or float64."""
        from mpi4py import MPI

        self.communicator.Allreduce(MPI.IN_PLACE, vector)

    def total(self, value: float) -> float:
        """The sum of a number over all ranks."""
        return float(self.communicator.allreduce(value))

    def share(self, vector: Array) -> None:
        """Give every rank the parts of the vector (n,) that the others own (`part`)."""
        from mpi4py import MPI

        parts = [self.part(len(vector), rank) for rank in range(self.size)]
        counts, starts = [part.stop - part.start for part in parts], [part.start for part in parts]
        kind = MPI.FLOAT if vector.dtype == np.float32 else MPI.DOUBLE
        self.communicator.Allgatherv(MPI.IN_PLACE, [vector, counts, starts, kind])

    def part(self, n: int, rank: int | None = None) -> slice:
        """The run of a vector (n,) that a rank, by default this one, owns; lengths differ by one at most."""
        rank = self.rank if rank is None else rank
        return slice(n * rank // self.size, n * (rank + 1) // self.size)

    def check_same(self, vector: Array, step: int) -> None:
        """Raise Drift, on every rank, unless all of them hold the same vector to the last bit."""
        digests = self.communicator.allgather(zlib.crc32(vector.data))
        others = [rank for rank, digest in enumerate(digests) if digest != digests[0]]
        if others:
            raise Drift(f"step {step}: the weights of rank {', '.join(map(str, others))} are not those of rank 0")

    def abort(self, status: int) -> None:
        """End every rank now: one that waits for another which has failed would wait for ever."""
        self.communicator.Abort(status)


def launched(environment: Mapping[str, str] = os.environ) -> int:
    """How many ranks a launcher such as mpiexec started; 1 where there was none."""
    for name in LAUNCHERS:
        if environment.get(name, "").isdigit():
            return max(int(environment[name]), 1)
    return 1


@lru_cache(maxsize=1)
def world() -> Ranks | None:
    """All ranks that were started together; None for a process by itself, for which nothing is imported.

    Raises NoMPI where there are several and mpi4py is not installed.
    """
    if (n := launched()) == 1:
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise NoMPI(f'{n} ranks were started, but {error}: pip install "minitransformer[mpi]"') from None
    return Ranks(MPI.COMM_WORLD)


def workers_for(ranks: Ranks) -> int:
    """Workers a rank by default: one, or two where every rank of a machine can have two processors."""
    local = int(os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", ranks.size))
    return 2 if default_workers() == 2 and (os.cpu_count() or 1) >= 2 * local else 1


class Sharded(Optimizer):
    """An optimizer of which every rank keeps the moments of its own part of the weights only.

    Each rank steps its part; then all get each other's. Adam's moments take twice the weights' memory: divided by the
    number of ranks here.

    Parameters
    ----------
    inner : Optimizer
    ranks : Ranks

    Source: Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", section
    5.1, the partition of the optimizer's state (stage 1).
    """

    def __init__(self, inner: Optimizer, ranks: Ranks) -> None:
        self.inner, self.ranks = inner, ranks

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.inner.names

    @property
    def t(self) -> int:  # type: ignore[override]
        return self.inner.t

    @property
    def moments(self) -> dict[str, Array]:  # type: ignore[override]
        """This rank's part of each moment."""
        return self.inner.moments

    def step(self, value: Array, grad: Array, rate: float) -> None:
        mine = self.ranks.part(len(value))
        self.inner.step(value[mine], grad[mine], rate)
        self.ranks.share(value)

    def state(self) -> dict[str, Any]:
        """The whole state, as one process would have it. Every rank must ask for it: they send each other parts."""
        whole = {}
        for name, moment in self.inner.moments.items():
            n = int(self.ranks.total(len(moment)))
            whole[name] = np.empty(n, moment.dtype)
            whole[name][self.ranks.part(n)] = moment
            self.ranks.share(whole[name])
        return {"t": self.inner.t, "moments": whole}

    def restore(self, state: dict[str, Any]) -> None:
        """Take this rank's part of a whole state, whoever saved it."""
        moments = state["moments"].items()
        mine = {name: moment[self.ranks.part(len(moment))] for name, moment in moments}
        self.inner.restore({"t": state["t"], "moments": mine})
