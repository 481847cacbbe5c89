"""Training in parallel: processes and threads that share a batch, ranks of MPI, and the threads of BLAS."""

from .blas import blas_threads, can_set_threads
from .distributed import Drift, NoMPI, Ranks, Sharded, world
from .trainer import ParallelTrainer
from .workers import ForkedWorker, ThreadWorker, WorkerDied, default_workers, replica

__all__ = [
    "Drift",
    "ForkedWorker",
    "NoMPI",
    "ParallelTrainer",
    "Ranks",
    "Sharded",
    "ThreadWorker",
    "WorkerDied",
    "blas_threads",
    "can_set_threads",
    "default_workers",
    "replica",
    "world",
]
