"""Our side under MPI: a training step that several processes share, one BLAS thread each."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

from minitransformer.training.parallel import ParallelTrainer, Ranks, world

from .ours import OurStep
from .process import Contender
from .sizes import Size

QUIETLY = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",  # as in a container
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def mpiexec() -> str | None:
    """The launcher beside this Python, or any that is found; None where it or mpi4py is missing."""
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return found if importlib.util.find_spec("mpi4py") is not None else None


class OurRanks(Contender):
    """A training step of `Trainer` on several ranks.

    Between two turns the ranks wait for a message outside of MPI, which would wait by looking again and again.

    Parameters
    ----------
    n : int
        How many.
    """

    def __init__(self, size: Size, n: int) -> None:
        launcher = mpiexec()
        if launcher is None:
            raise RuntimeError("ranks need mpi4py and mpiexec: pip install 'minitransformer[mpi]'")
        with tempfile.TemporaryDirectory() as folder:
            address = str(Path(folder) / "socket")
            with Listener(address, "AF_UNIX", backlog=n) as listener:
                command = [launcher, "-n", str(n), sys.executable, "-m", "benchmarks.ranks", address]
                self.job = subprocess.Popen(
                    command, env={**os.environ, **QUIETLY}, cwd=Path(__file__).parents[1], stdin=subprocess.DEVNULL
                )
                self.pipes = [listener.accept() for _ in range(n)]
        for pipe in self.pipes:
            pipe.send(size)

    def all(self, method: str, *arguments: Any) -> list[Any]:
        """What every rank answers."""
        for pipe in self.pipes:
            pipe.send((method, arguments))
        return [pipe.recv() for pipe in self.pipes]

    def turn(self, steps: int) -> dict[str, Any]:
        answers = self.all("turn", steps)
        return {"seconds": answers[0]["seconds"], "cpu": sum(answer["cpu"] for answer in answers)}

    def warm(self) -> float:
        return float(self.all("warm")[0])

    def memory(self) -> float:
        return float(sum(self.all("memory")))

    def check(self) -> dict[str, float]:
        return dict(self.all("check")[0])


class Rank(OurStep):
    """One of the ranks."""

    def __init__(self, size: Size, ranks: Ranks | None) -> None:
        super().__init__(size, 1)
        given = self.trainer
        self.trainer = ParallelTrainer(given.model, given.optimizer, loss=given.loss, clip=None, workers=1, ranks=ranks)


def main(address: str) -> None:
    ranks = world()
    with Client(address, "AF_UNIX") as pipe:
        contender = Rank(pipe.recv(), ranks)
        try:
            while True:
                method, arguments = pipe.recv()
                pipe.send(getattr(contender, method)(*arguments))
        except EOFError:  # whoever asked has ended
            pass


if __name__ == "__main__":
    main(sys.argv[1])
