"""Grading by script: every function of every submission runs in a process of its own, under limits of time and memory.

The inputs go there and the outputs come back; they are compared here, where no student's code runs. A crash, an endless
loop or a memory bomb is a zero for that exercise and nothing else.

This keeps mistakes and mischief out of the marks. It is no sandbox: a submission may still read and write the files
that the teacher's account may, and use the network. Grade strangers' work in a container, or under its own account.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .attempts import Attempt
from .capstone import DRIVERS, FILE, GATES, REFERENCE, CollectError, collected, functions, judge_gate
from .cells import code_cells
from .checking import judge
from .exercise import Exercise
from .exercises import exercises
from .result import Result
from .worker import ANSWER, BINDING, JOB, LARGEST_FILE, STARTED, bound_by, decode_attempt

CHECKOUT = Path(__file__).parents[2]
GATE_SECONDS = 120.0  # processor time for each call of a gate, some of which train
STARTING = 10.0  # seconds that a process may need before the student's code runs, on a busy machine


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Parameters
    ----------
    seconds : float
        For one exercise.
    total : float
        For one student; what is left to do then is a zero.
    megabytes : int
        Address space of one process, where the system can limit it (POSIX); Python and NumPy need some 300 of it.
    """

    seconds: float = 10.0
    total: float = 300.0
    megabytes: int = 2048


@dataclass(frozen=True)
class Submission:
    """What one student handed in: the code cells of one or several notebooks, my_transformer.py, and what could not be
    read.
    """

    student: str
    notebooks: tuple[tuple[str, ...], ...]
    problems: tuple[str, ...] = ()
    file: str = ""

    def transformer(self) -> str:
        """The text of my_transformer.py; where it was not handed in, collected from the notebooks."""
        return self.file or collected([(f"notebook {i + 1}", cells) for i, cells in enumerate(self.notebooks)])[0]

    def defined(self) -> dict[str, list[str]]:
        """Every function by name, with the cells of the notebook that defines it, the last one where several do."""
        found: dict[str, list[str]] = {}
        for binds in (bound, defined_functions):  # a function counts before a value of the same name elsewhere
            for cells in self.notebooks:
                for name in binds(cells):
                    found[name] = list(cells)
        return found


def submissions(folder: Path) -> list[Submission]:
    """DIR/student.ipynb is a student's one notebook, DIR/student/*.ipynb are several, with the capstone's file beside
    them; sorted by name.
    """
    students: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            books = sorted([*path.rglob("*.ipynb"), *path.rglob(FILE)])
            hidden = {book for book in books if any(part.startswith(".") for part in book.relative_to(path).parts)}
            students.setdefault(path.name, []).extend(book for book in books if book not in hidden)
        elif path.suffix == ".ipynb":
            students.setdefault(path.stem, []).append(path)
    return [_submission(student, paths) for student, paths in sorted(students.items())]


def _submission(student: str, paths: Sequence[Path]) -> Submission:
    books: list[tuple[str, ...]] = []
    problems: list[str] = []
    text = ""
    for path in paths:
        try:
            if path.name == FILE:
                text = path.read_text(encoding="utf-8")
            else:
                books.append(tuple(code_cells(path)))
        except (ValueError, OSError) as error:
            problems.append(f"{path.name}: {error}")
    return Submission(student, tuple(books), tuple(problems), text)


def bound(cells: Sequence[str]) -> list[str]:
    """The names that a notebook's code binds to a function or a value, imports aside, once for each time."""
    names: list[str] = []
    for cell in cells:
        try:
            names += bound_by(ast.parse(cell).body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            names += BINDING.findall(cell)
    return names


def defined_functions(cells: Sequence[str]) -> list[str]:
    """The names of the functions that a notebook's code defines at its top level."""
    names: list[str] = []
    for cell in cells:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            names += functions(cell)
    return names


def grade(
    submission: Submission, names: Sequence[str], limits: Limits, seed: int, workers: int = 1
) -> dict[str, Result]:
    """The result of every exercise in `names` for one student.

    Parameters
    ----------
    submission : Submission
    names : sequence of str
        Of exercises.
    limits : Limits
    seed : int
        Of the inputs: another one than the notebooks' own catches answers that were copied from a table.
    workers : int
        Processes at a time.
    """
    known = exercises()
    defined = submission.defined()
    ends = time.monotonic() + limits.total

    def one(name: str) -> Result:
        if name not in defined:
            message = "; ".join(submission.problems) or "It was not handed in."
            return Result(name, "name", message)
        return _grade(known[name], defined[name], limits, seed, ends)

    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(names, pool.map(one, names)))


def grade_gates(submission: Submission, seed: int, limits: Limits) -> dict[str, Result]:
    """The result of every gate of the capstone for one student, by "gate_1" to "gate_5"."""
    names = [f"gate_{number}" for number in GATES]
    try:
        text = submission.transformer()
        written = functions(text)
    except CollectError as error:
        return {name: Result(name, "exception", str(error)) for name in names}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {name: Result(name, "exception", f"{FILE} is not Python: {error}") for name in names}
    if not written.keys() & functions(REFERENCE).keys():
        return {name: Result(name, "name", "It was not handed in.") for name in names}
    own = Limits(GATE_SECONDS, limits.total, limits.megabytes)

    def run(name: str, cases: Sequence[tuple[Any, ...]]) -> list[Attempt]:
        return _run(name, [text, DRIVERS], own, cases)

    results = {}
    for number, name in zip(GATES, names):
        try:
            results[name] = judge_gate(number, run, text, seed=seed)
        except Exception as error:
            message = f"What came back cannot be compared: {type(error).__name__}: {error}"
            results[name] = Result(name, "type", message)
    return results


def _grade(exercise: Exercise, cells: list[str], limits: Limits, seed: int, ends: float) -> Result:
    left = ends - time.monotonic()
    if left <= 0:
        return Result(exercise.name, "limit", f"The submission's {limits.total:g} seconds were over before it.")
    if bound(cells).count(exercise.name) == sum(exercise.stub in cell for cell in cells):
        return Result(exercise.name, "stub", "It is as it was handed out.")
    own = Limits(min(limits.seconds, left), limits.total, limits.megabytes)
    try:
        return judge(exercise, partial(_run, exercise.name, cells, own), seed)
    except Exception as error:  # an answer that makes the comparison itself fail must not end the table
        return Result(exercise.name, "type", f"What came back cannot be compared: {type(error).__name__}: {error}")


def _run(name: str, cells: list[str], limits: Limits, cases: Sequence[tuple[Any, ...]]) -> list[Attempt]:
    """Call the student's function in another process."""
    job = {"name": name, "code": cells, "cases": list(cases), "seconds": limits.seconds, "megabytes": limits.megabytes}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        (folder / JOB).write_bytes(pickle.dumps(job))
        with _process(folder) as process:
            began = time.monotonic()
            while not (folder / STARTED).exists() and process.poll() is None and time.monotonic() - began < STARTING:
                time.sleep(0.01)
            try:
                status = process.wait(limits.seconds)
            except subprocess.TimeoutExpired:
                return [Attempt(stage="limit", message=f"It was not done after {limits.seconds:g} seconds.")]
        try:
            answer = json.loads(_read(folder / ANSWER))
            attempts = [decode_attempt(data) for data in answer][: len(cases)]
        except Exception:  # no answer, or one that was tampered with
            return [_died(status, limits)]
        complete = len(attempts) == len(cases) or bool(attempts and attempts[-1].stage)
        return attempts if complete else [_died(status, limits)]


def _read(path: Path) -> str:
    """A worker's answer: a file that is none, such as a link to an endless one, is not read."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError(f"{path.name} is no file")
    with path.open(encoding="utf-8") as file:
        return file.read(2 * LARGEST_FILE)


def _died(status: int, limits: Limits) -> Attempt:
    if hasattr(signal, "SIGXCPU") and status in (-signal.SIGXCPU, -signal.SIGKILL):
        return Attempt(stage="limit", message=f"It was stopped: {limits.seconds:g} seconds, or its memory, were over.")
    return Attempt(stage="exception", message=f"Its process ended without an answer (status {status}).")


@contextlib.contextmanager
def _process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a session of its own; in the end it is killed with all that it started."""
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}  # each thread reserves memory
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "minitransformer.course.worker", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, **threads, "PYTHONPATH": path, "MPLBACKEND": "Agg", "MPLCONFIGDIR": str(folder)},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
