"""Turns taken one after another, A B C A B C, and a watch on what else the machine was doing meanwhile."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .process import Process

QUIET = 0.05  # processors that others may use, on average, before a run is called disturbed
STEADY = 0.15  # spread between a contender's turns (quartiles, relative to the median) before it is


@dataclass
class Watch:
    """Processor time of the whole machine against that of the contenders.

    Attributes
    ----------
    foreign : float
        Seconds of processor time that were not the contenders', those that a hypervisor took away included.
    seconds : float
        Wall-clock seconds that were watched.
    """

    foreign: float = 0.0
    seconds: float = 0.0
    known: bool = True

    def turn(self, process: Process, steps: int) -> list[float]:
        """One turn of a contender; its seconds a step."""
        busy, start = busy_seconds(), time.perf_counter()
        answer = process.call("turn", steps)
        self.seconds += time.perf_counter() - start
        after = busy_seconds()
        if busy is None or after is None:
            self.known = False
        else:
            self.foreign += after - busy - answer["cpu"]
        return list(answer["seconds"])

    @property
    def share(self) -> float:
        """Processors that others used, on average."""
        return max(self.foreign, 0.0) / self.seconds if self.seconds else 0.0

    def verdict(self) -> str:
        if not self.known:
            return "whether other processes disturbed this run is not known here (there is no /proc/stat)"
        if self.share > QUIET:
            return (
                f"DISTURBED: other processes used {self.share:.2f} of {os.cpu_count()} processors while this was "
                "measured; do not rely on it"
            )
        return f"quiet: other processes used {self.share:.2f} of {os.cpu_count()} processors"


def busy_seconds() -> float | None:
    """Processor time that the whole machine has spent on anything, or lost to its hypervisor; None if unknown."""
    with suppress(OSError, ValueError, IndexError):
        user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return None


@dataclass
class Turns:
    """What one contender's turns took: the median step of each, in seconds."""

    steps: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.steps)

    @property
    def best(self) -> float:
        return min(self.steps)

    @property
    def spread(self) -> float:
        """Distance of the quartiles, relative to the median."""
        if len(self.steps) < 4:
            return (max(self.steps) - min(self.steps)) / self.median
        low, _, high = statistics.quantiles(self.steps, n=4)
        return (high - low) / self.median


def ratio(a: Turns, b: Turns) -> float:
    """How many times as long as b's a's steps took: the median over rounds, since both saw the same disturbances."""
    return statistics.median(x / y for x, y in zip(a.steps, b.steps))


def interleave(contenders: Mapping[str, Process], rounds: int, seconds: float, watch: Watch) -> dict[str, Turns]:
    """Let all contenders take turns of about `seconds` each, round after round."""
    steps = {name: max(1, min(50, round(seconds / process.call("warm")))) for name, process in contenders.items()}
    turns = {name: Turns() for name in contenders}
    for _ in range(rounds):
        for name, process in contenders.items():
            turns[name].steps.append(statistics.median(watch.turn(process, steps[name])))
    return turns
