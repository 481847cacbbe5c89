"""The command `minitransformer`: train a translator, look inside it, translate.

Exit status: 0 done, 1 done but not passed (`check`), 2 a mistake in what was given, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import time
import traceback
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .commands import (
    check,
    compare,
    count,
    decoders,
    demo,
    evaluate,
    explore,
    grade,
    live,
    lm,
    reproduce,
    train,
    translate,
)
from .commands.errors import CommandError
from .data import DataError
from .experiments import ExperimentError
from .training import BlownUp, CheckpointError, NotFinite
from .training.parallel import NoMPI, Ranks, world

COMMANDS = (
    *(demo, train, translate, evaluate, decoders, explore, live, compare),
    *(lm, reproduce, count, check, grade),
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a line that fits a screen, however long the word is that it complains about."""

    def error(self, message: str) -> NoReturn:
        super().error(message if len(message) <= 1000 else f"{message[:500]} ... {message[-400:]}")


def parser() -> argparse.ArgumentParser:
    """The command line with all its commands and options."""
    top = Parser(
        prog="minitransformer",
        description="A Transformer in NumPy: train a translator, look inside it, translate.",
        epilog="Begin with: minitransformer demo",
    )
    top.add_argument("--version", action="version", version=f"minitransformer {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as `>&-` does: there is nobody to tell
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # text must not fail where a console or a pipe has fewer characters
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    options = parser().parse_args(arguments)
    options.arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        ranks = world()
    except NoMPI as error:
        print(f"minitransformer {options.command}: {error}", file=sys.stderr)
        return 2
    return answer(options) if ranks is None else answer_as_rank(ranks, options)


def answer(options: argparse.Namespace) -> int:
    """Run the command that the options name; a mistake in them is one line on standard error."""
    try:
        status = int(options.run(options))
        sys.stdout.flush()  # what cannot be written is found here, not when Python ends
        return status
    except (CommandError, DataError, ExperimentError, CheckpointError, NotFinite, BlownUp) as error:
        print(f"minitransformer {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nminitransformer {options.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        drop_output()
        return 141
    except OSError as error:  # a full disk, a folder that was taken away
        print(f"minitransformer {options.command}: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        if not error.filename:
            drop_output()
        return 2


def drop_output() -> None:
    """Let what was not written go nowhere, so that Python does not try again when it ends."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file, as a test has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answer_as_rank(ranks: Ranks, options: argparse.Namespace) -> int:
    """The same as one of several processes: the first speaks for all, and one that fails ends them all."""
    if not getattr(options, "on_all_ranks", False) and ranks.rank != 0:
        return 0
    status = 1
    try:
        if ranks.rank == 0:
            status = answer(options)
        else:
            said = io.StringIO()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                status = answer(options)
            if status:
                time.sleep(1.0)  # what is wrong for all is said by the first
                print(f"rank {ranks.rank}: {said.getvalue().strip()}", file=sys.stderr)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    if status:
        ranks.abort(status)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
