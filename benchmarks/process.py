"""Each contender in a process of its own, kept alive, in which it waits for its turn.

Thread pools (OpenBLAS's, OpenMP's), the C library's settings and the caches of compilers would otherwise be shared.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


class Contender:
    """What is measured: `step` is one unit of its work."""

    before: float = 0.0  # bytes of memory in use before anything was built

    def step(self) -> None:
        raise NotImplementedError

    def children_seconds(self) -> float:
        """Processor time of processes that it has made."""
        return 0.0

    def turn(self, steps: int) -> dict[str, Any]:
        """One step that does not count, since others' data are in the processor's cache, then so many that do."""
        cpu = time.process_time() + self.children_seconds()
        self.step()
        seconds = []
        for _ in range(steps):
            start = time.perf_counter()
            self.step()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds, "cpu": time.process_time() + self.children_seconds() - cpu}

    def warm(self) -> float:
        """A few steps; the last one's seconds. The peak of memory is counted from here."""
        seconds = [self.turn(1)["seconds"][0] for _ in range(2)]
        forget_peak()
        return seconds[-1]

    def memory(self) -> float:
        """Most bytes in use at once since `warm`, beyond those in use before anything was built; 0 if unknown."""
        return max(status("VmHWM") - self.before, 0.0)


class Process:
    """A contender elsewhere. Every method of it can be called here: `process.call("turn", 5)`.

    Parameters
    ----------
    module, name : str
        Where the contender's class is.
    arguments : sequence
        What makes it.
    threads : int
        How many threads its libraries may make.
    """

    def __init__(self, module: str, name: str, arguments: Sequence[Any], threads: int) -> None:
        self.what = f"{name}{tuple(map(str, arguments[1:]))}"
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        variables = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        earlier = {variable: os.environ.get(variable) for variable in variables}
        os.environ.update(dict.fromkeys(variables, str(threads)))  # what is spawned inherits them
        try:
            self.process = context.Process(target=serve, args=(theirs, module, name, tuple(arguments)), daemon=False)
            self.process.start()
        finally:
            for variable, value in earlier.items():
                os.environ.pop(variable) if value is None else os.environ.update({variable: value})
        theirs.close()
        self._answer()

    def call(self, method: str, *arguments: Any) -> Any:
        self.pipe.send((method, arguments))
        return self._answer()

    def _answer(self) -> Any:
        try:
            kind, value = self.pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self.what} ended without an answer") from None
        if kind == "error":
            raise RuntimeError(f"{self.what} failed:\n{value}")
        return value

    def close(self) -> None:
        with suppress(OSError):
            self.pipe.send(None)
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def serve(pipe: Any, module: str, name: str, arguments: tuple[Any, ...]) -> None:
    """The other process: make the contender, then answer calls until told to end."""
    import importlib

    try:
        contender = getattr(importlib.import_module(module), name)(*arguments)
        pipe.send(("made", None))
        while (call := pipe.recv()) is not None:
            method, given = call
            pipe.send(("answer", getattr(contender, method)(*given)))
    except EOFError:
        pass
    except BaseException:
        with suppress(OSError):
            pipe.send(("error", traceback.format_exc()))


def forget_peak(process: int | str = "self") -> None:
    """Count the peak of a process's memory from here, where the system can (Linux)."""
    with suppress(OSError):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def processor_seconds(process: int) -> float:
    """Processor time of another process so far; 0 where /proc does not tell."""
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def status(name: str, process: int | str = "self") -> float:
    """A number of bytes from /proc/PROCESS/status; 0 where there is no such file."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return 1024.0 * float(line.split()[1])
    return 0.0


def resident() -> float:
    """Bytes of this process that are in memory."""
    return status("VmRSS")
