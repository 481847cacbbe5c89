"""A run: the folder in which a command leaves a trained model, with what is needed to go on or to look back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..decoding import Translator
from ..training import Trainer, save_checkpoint
from .errors import CommandError


def new_run(folder: str, overwrite: bool = False) -> Path:
    """Make the folder before hours are spent on what it is to hold; CommandError where that cannot be."""
    path = Path(folder)
    if (path / "checkpoint.npz").exists() and not overwrite:
        raise CommandError(f"{path}: holds a run already: give another --out, or --overwrite to replace it")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{path}: cannot be made: {error.strerror}") from None
    if not os.access(path, os.W_OK):
        raise CommandError(f"{path}: cannot be written to")
    return path


def save_run(folder: Path, translator: Translator, trainer: Trainer, **facts: Any) -> Path:
    """Write folder/checkpoint.npz: the translator, the optimizer's state and the history; `facts` are JSON."""
    path = folder / "checkpoint.npz"
    state = trainer.optimizer.state()
    moments = {f"optimizer.{name}": moment for name, moment in state["moments"].items()}
    description = {
        **translator.description(),
        "step": trainer.step,
        "seed": trainer.seed,
        "optimizer": {"name": type(trainer.optimizer).__name__, "t": state["t"]},
        "history": trainer.history.to_dict(),
        **facts,
    }
    save_checkpoint(path, {**translator.arrays(), **moments}, description)
    return path
