"""Kill a process that writes checkpoints, again and again, and look at what it leaves.

    python tests/faults/kills.py 500         at random moments
    python tests/faults/kills.py steps       once before each call of the system, and in the middle of each write

A child writes generation after generation over one file, and says through a pipe which are saved. After each SIGKILL
the file must be readable and hold one generation only: the last that was said to be saved, or the one behind it.
Prints what was seen as JSON; exit status 1 where anything was lost, mixed or unreadable.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from minitransformer import files
from minitransformer.training import CheckpointError, load_checkpoint, save_checkpoint

SIZES = {"a": 3, "b": 40_000, "c": 1_000}
CALLS = ("open", "listdir", "stat", "fsync", "replace", "close")  # what writing asks of the system, beside `write`


def save(path: Path, generation: int) -> None:
    arrays = {name: np.full(size, generation, np.int64) for name, size in SIZES.items()}
    save_checkpoint(path, arrays, {"generation": generation})


def look(path: Path) -> int:
    """The one generation that the file holds; CheckpointError if it is unreadable, AssertionError if it is mixed."""
    arrays, description = load_checkpoint(path)
    assert {name: array.shape for name, array in arrays.items()} == {name: (size,) for name, size in SIZES.items()}
    assert {int(n) for array in arrays.values() for n in array} == {description["generation"]}
    return int(description["generation"])


class Watched(io.FileIO):
    """A file without a buffer, so that each write is the system's."""

    before_write = staticmethod(lambda file, data: None)

    def write(self, data):
        self.before_write(self, data)
        return super().write(data)


def watch(action) -> None:
    """Have action(name) called before each call that writing makes; for a write, after its first half."""

    def stand_in(name, real):
        def call(*arguments, **options):
            action(name)
            return real(*arguments, **options)

        return call

    def half_written(file, data):
        io.FileIO.write(file, memoryview(data)[: len(data) // 2])
        action("write")
        os.lseek(file.fileno(), -(len(data) // 2), os.SEEK_CUR)

    real_open = files._open_beside

    def open_beside(place):
        file, temporary = real_open(place)
        watched = Watched(os.dup(file.fileno()), "wb")  # the same open file, so the same lock
        file.close()
        return watched, temporary

    Watched.before_write = staticmethod(half_written)
    files._open_beside = open_beside
    for name in CALLS:
        setattr(os, name, stand_in(name, getattr(os, name)))


def child(path: Path, generation: int, pipe: int, die_at: tuple[str, int] | None) -> None:
    """Never returns."""
    if die_at is not None:
        counted: Counter[str] = Counter()

        def action(name):
            counted[name] += 1
            if (name, counted[name]) == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

        watch(action)
    while True:
        save(path, generation)
        os.write(pipe, struct.pack("<q", generation))
        if die_at is not None:
            os._exit(0)  # there was no such call
        generation += 1


def one_kill(path: Path, last: int, seconds: float | None, die_at: tuple[str, int] | None) -> tuple[int, bool]:
    """(the last generation that the child said was saved, whether it was killed)."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(path, last + 1, write, die_at)
        finally:
            os._exit(3)
    os.close(write)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with open(read, "rb") as pipe:
        said = [generation for (generation,) in struct.iter_unpack("<q", pipe.read())]
    return max([last, *said]), os.WIFSIGNALED(status)


def partial(path: Path) -> int:
    return sum(name.endswith(files.SUFFIX) for name in os.listdir(path.parent))


def steps_of_one_save(folder: Path) -> list[tuple[str, int]]:
    """Every call that one save makes: (name, which one of that name)."""
    calls: list[str] = []
    pid_file = folder / "calls"
    pid = os.fork()
    if pid == 0:
        watch(calls.append)
        save(folder / "run.npz", 1)
        seen = list(calls)
        Path(pid_file).write_text(json.dumps(seen))
        os._exit(0)
    os.waitpid(pid, 0)
    counted: Counter[str] = Counter()
    steps = []
    for name in json.loads(pid_file.read_text()):
        counted[name] += 1
        steps.append((name, counted[name]))
    return steps


def run(kills: int | None, seed: int = 0) -> dict[str, int]:
    """All kills at random moments, or, with None, one at each step."""
    rng = random.Random(seed)
    seen = {"kills": 0, "in the middle of writing": 0, "unreadable": 0, "mixed": 0, "lost": 0, "left behind": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.npz"
        save(path, 1)
        started = time.perf_counter()
        save(path, 1)
        one_save = time.perf_counter() - started
        steps = steps_of_one_save(Path(folder)) if kills is None else []
        save(path, 1)
        last = 1
        for i in range(len(steps) if kills is None else kills):
            before = partial(path)
            if kills is None:
                said, killed = one_kill(path, last, None, steps[i])
            else:
                said, killed = one_kill(path, last, rng.uniform(0, 4 * one_save) + 0.001, None)
            seen["kills"] += killed
            seen["in the middle of writing"] += partial(path) > 0
            try:
                held = look(path)
                seen["lost"] += not said <= held <= said + 1
                last = max(held, said)
            except CheckpointError:
                seen["unreadable"] += 1
            except AssertionError:
                seen["mixed"] += 1
            assert before <= 1, "what the one before left was not swept"
        save(path, last + 1)
        seen["left behind"] = partial(path)
    return seen


def main() -> int:
    seen = run(None if sys.argv[1] == "steps" else int(sys.argv[1]))
    print(json.dumps(seen))
    return int(any(seen[name] for name in ("unreadable", "mixed", "lost", "left behind")))


if __name__ == "__main__":
    raise SystemExit(main())
