"""Training: optimizers, schedules, the trainer and its callbacks, checkpoints."""

from .callbacks import Every, ProgressBar
from .checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from .distributed import Drift, NoMPI, Ranks, Sharded, world
from .evaluation import evaluate
from .flat import flatten_gradients, flatten_values
from .history import History
from .optimizers import SGD, Adam, AdamW, Optimizer, clip_by_global_norm
from .resume import Interrupted, Saving, restore_trainer, trainer_state
from .schedules import Constant, Noam, WarmupCosine
from .sizes import check_sizes
from .trainer import Callback, NotFinite, Trainer
from .workers import ForkedWorker, ThreadWorker, WorkerDied, Workers, default_workers, replica

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Callback",
    "CheckpointError",
    "Constant",
    "Drift",
    "Every",
    "ForkedWorker",
    "History",
    "Interrupted",
    "NoMPI",
    "Noam",
    "NotFinite",
    "Optimizer",
    "ProgressBar",
    "Ranks",
    "Saving",
    "Sharded",
    "ThreadWorker",
    "Trainer",
    "WarmupCosine",
    "WorkerDied",
    "Workers",
    "check_sizes",
    "clip_by_global_norm",
    "default_workers",
    "evaluate",
    "flatten_gradients",
    "flatten_values",
    "load_checkpoint",
    "replica",
    "restore_trainer",
    "save_checkpoint",
    "trainer_state",
    "world",
]
