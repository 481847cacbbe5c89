"""A run: the folder in which a command leaves a trained model, with what is needed to go on or to look back."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..decoding import checkpoint_path
from ..layers import Array
from ..training import (
    Callback,
    CheckpointError,
    Interrupted,
    Saving,
    Trainer,
    check_sizes,
    load_checkpoint,
    restore_trainer,
    save_checkpoint,
    trainer_state,
)
from ..training.parallel import world
from ..training.trainer import Batches
from .errors import CommandError
from .options import belonging, number, path_name, refuse, say, setting

# Options that are not settings of the training: they may be others when a run goes on.
NOT_SETTINGS = {"run", "command", "action", "arguments", "json", "overwrite", "resume", "out", "save_every"}
NOT_SETTINGS |= {"on_all_ranks"}


class Savable(Protocol):
    """What a run keeps beside its trainer: a translator, or a language model."""

    def arrays(self) -> dict[str, Array]: ...

    def description(self) -> dict[str, Any]: ...


def add_run_options(parser: argparse.ArgumentParser, out: str) -> None:
    """Options of every command whose training can be stopped and go on."""
    belonging(parser, "--out", path_name, out, "folder for the run")
    parser.add_argument("--overwrite", action="store_true", help="replace the run that the folder holds")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        type=path_name,
        help="go on with the run in this folder, with its settings, exactly as if it had never stopped; only --steps "
        "may be more, and the schedule stays that of the run",
    )
    parser.add_argument("--save-every", type=number(int, 1), default=500, help="steps between two checkpoints")


def new_run(folder: str, overwrite: bool = False) -> Path:
    """Make the folder before hours are spent on what it is to hold; CommandError where that cannot be."""
    path = Path(folder)
    if not writes():
        return path
    try:
        if (path / "checkpoint.npz").exists() and not overwrite:
            raise CommandError(f"{path}: holds a run already: give another --out, or --overwrite to replace it")
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: cannot be made: {getattr(error, 'strerror', None) or error}") from None
    if not os.access(path, os.W_OK):
        raise CommandError(f"{path}: cannot be written to")
    return path


def writes() -> bool:
    """Whether this process is the one that writes: of all ranks under mpiexec, the first."""
    ranks = world()
    return ranks is None or ranks.rank == 0


def leave_to_first_rank() -> None:
    """What follows training, measuring and writing, is not for the other ranks: they end here, and end well."""
    if not writes():
        raise SystemExit(0)


def save_run(folder: Path, saved: Savable, trainer: Trainer, **facts: Any) -> Path:
    """Write folder/checkpoint.npz: the model, the trainer's state and its history; `facts` are JSON."""
    path = folder / "checkpoint.npz"
    arrays, description = trainer_state(trainer)
    save_checkpoint(path, {**saved.arrays(), **arrays}, {**saved.description(), "trainer": description, **facts})
    return path


class InterruptedRun:
    """A run that was interrupted, read from its checkpoint.

    Parameters
    ----------
    options : argparse.Namespace
        Of the command line with `--resume RUN`.
    add_parser : callable
        That adds the command's parser: the run's settings pass through it again, as if they had been typed.
    name : str
        Of the command.
    data : sequence of str
        Options that say where the data are; if none is given they are where they were.
    several : sequence of str
        Those of them that take more than one word.

    Attributes
    ----------
    options : argparse.Namespace
        Those that the run began with, `steps` too, since the schedule depends on it.
    steps : int
        Where training is to end now.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        add_parser: Callable[[Any], Any],
        name: str,
        data: Sequence[str],
        several: Sequence[str] = (),
    ) -> None:
        refuse(options, "a run that goes on", "out")
        if options.overwrite:
            raise CommandError("--overwrite: a run that goes on has no such setting")
        self.path = checkpoint_path(options.resume)
        self.folder = self.path.parent
        self.arrays, self.description = load_checkpoint(self.path, check_sizes)
        began, steps = self.description.get("options"), self.description.get("steps")
        if not isinstance(began, dict) or not isinstance(steps, int) or not isinstance(began.get("steps"), int):
            raise CommandError(f"{self.path}: cannot go on: its checkpoint is not one of `{name}`")
        for option in began:
            if option not in vars(options) or option in NOT_SETTINGS:
                raise CommandError(f"{self.path}: cannot go on: this program has no setting {option!r}")
        if not all(_says_where(began.get(option), option in several) for option in data):
            raise CommandError(f"{self.path}: cannot go on: it does not say where its data are")
        words = [word for option, value in began.items() if option not in data for word in _typed(option, value)]
        typed = options.arguments[options.arguments.index(name) + 1 :]
        self.options = _parsed(add_parser, [name, *words, f"--steps={steps}", *typed])
        for option, value in began.items():
            got = getattr(self.options, option)
            if option not in (*data, "steps") and got != value:
                flag = f"--{option.removeprefix('default_').replace('_', '-')}"
                raise CommandError(f"{flag} {got}: the run began with {value}, and goes on with it: leave {flag} out")
        if all(getattr(self.options, option) is None for option in data):
            for option in data:
                setattr(self.options, option, began.get(option))
        self.steps = self.options.steps
        self.options.steps = began.get("steps")
        self._check_steps(steps)

    def _check_steps(self, before: int) -> None:
        if self.steps < before:
            raise CommandError(f"--steps {self.steps}: the run is to have {before}; give as many, or more")
        end = self.options.steps
        if self.options.schedule != "cosine" or self.steps <= end:
            return
        if not setting(self.options, "final_rate"):
            raise CommandError(
                f"--steps {self.steps}: the run's learning rate ends at step {end} with 0, and steps behind it would "
                "change nothing; for a longer run, begin with --final-rate, --schedule noam or --schedule constant"
            )
        say(f"note: behind step {end:,} the learning rate stays {setting(self.options, 'final_rate'):g}")

    def same(self, fact: str, value: Any, what: str) -> None:
        """Raise CommandError unless the run was saved with this value of a fact."""
        if self.description.get(fact) != value:
            raise CommandError(f"{self.path}: cannot go on: {what}")

    def restore(self, trainer: Trainer) -> None:
        """Put the trainer where the run's was."""
        try:
            restore_trainer(trainer, self.arrays, self.description.get("trainer") or {})
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{self.path}: cannot go on: {error}") from None


def fit_and_save(
    options: argparse.Namespace,
    folder: Path,
    saved: Savable,
    trainer: Trainer,
    batches: Batches,
    callbacks: Sequence[Callback] = (),
    steps: int | None = None,
    **facts: Any,
) -> Path:
    """Train up to `steps` (by default options.steps), saving now and then; returns the checkpoint's path.

    At Ctrl-C it saves, says how to go on and raises SystemExit(130).
    """
    steps = options.steps if steps is None else steps
    began = {**_settings(options), "workers": trainer.n_workers}  # the default is the machine's
    path = folder / "checkpoint.npz"

    def save(trainer: Trainer) -> None:
        save_run(folder, saved, trainer, **facts, steps=steps, options=began)

    try:
        trainer.fit(batches, steps, [*callbacks, Saving(options.save_every, save)] if writes() else [])
        leave_to_first_rank()
    except Interrupted:
        words = [word for word in (options.command, getattr(options, "action", None)) if word]
        say(f"\nstopped after step {trainer.step:,} of {steps:,}, all of it saved in {path}; to go on:")
        say(f"  minitransformer {' '.join(words)} --resume {shlex.quote(str(folder))}")
        raise SystemExit(130) from None
    return path


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    kinds = (str, int, float, list, type(None))
    return {name: v for name, v in vars(options).items() if name not in NOT_SETTINGS and isinstance(v, kinds)}


def _says_where(value: Any, several: bool) -> bool:
    """Whether a checkpoint's value can be that of an option that names files."""
    if several and isinstance(value, list):
        return all(isinstance(word, str) for word in value)
    return value is None or isinstance(value, str)


def _typed(option: str, value: Any) -> list[str]:
    """An option as one would type it; what was not given stays so."""
    if value is None or value is False or option.startswith("default_"):
        return []
    flag = f"--{option.replace('_', '-')}"
    return [flag] if value is True else [f"{flag}={value}"]


def _parsed(add_parser: Callable[[Any], Any], words: list[str]) -> argparse.Namespace:
    top = argparse.ArgumentParser(prog=Path(sys.argv[0]).name)
    add_parser(top.add_subparsers(dest="command"))
    return top.parse_args(words)
