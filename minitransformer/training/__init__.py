"""Training: optimizers, schedules, the trainer and its callbacks, checkpoints. `parallel` is a package of its own."""

from .callbacks import Every, ProgressBar
from .checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from .evaluation import evaluate
from .flat import flatten_gradients, flatten_values
from .history import History
from .optimizers import SGD, Adam, AdamW, Optimizer, clip_by_global_norm
from .resume import Interrupted, Saving, restore_trainer, trainer_state
from .schedules import Constant, Noam, WarmupCosine
from .sizes import check_sizes
from .trainer import BlownUp, Callback, NotFinite, Trainer

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BlownUp",
    "Callback",
    "CheckpointError",
    "Constant",
    "Every",
    "History",
    "Interrupted",
    "Noam",
    "NotFinite",
    "Optimizer",
    "ProgressBar",
    "Saving",
    "Trainer",
    "WarmupCosine",
    "check_sizes",
    "clip_by_global_norm",
    "evaluate",
    "flatten_gradients",
    "flatten_values",
    "load_checkpoint",
    "restore_trainer",
    "save_checkpoint",
    "trainer_state",
]
