"""What is measured: training steps, decoding, and training to a goal. Each returns plain numbers, ready for JSON."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .process import Process
from .ranks import mpiexec
from .rounds import Turns, Watch, interleave, ratio
from .sizes import Size

HAS_TORCH = importlib.util.find_spec("torch") is not None
TOLERANCE = 1e-9  # of loss and gradients in float64
Specification = tuple[str, str, tuple[Any, ...], int]  # module, class, its arguments, threads


@contextmanager
def running(specifications: Mapping[str, Specification]) -> Iterator[dict[str, Process]]:
    """All contenders, each in its process; ended whatever happens."""
    processes: dict[str, Process] = {}
    try:
        for name, specification in specifications.items():
            processes[name] = Process(*specification)
        yield processes
    finally:
        for process in processes.values():
            process.close()


def step_contenders(size: Size, threads: int, compiled: bool, without: bool) -> dict[str, Specification]:
    """Who takes part in a comparison of training steps with so many threads (workers, processes)."""
    ours, theirs, products = "benchmarks.ours", "benchmarks.theirs", "benchmarks.products"
    who: dict[str, Specification] = {
        "ours": (ours, "OurStep", (size, threads), 1 if threads == 1 else threads),
        "products": (products, "Products", (size, threads), 1),
    }
    if threads > 1:
        who["threads"] = (ours, "OurStep", (size, threads, True, True), threads)
        if mpiexec():
            who["ranks"] = ("benchmarks.ranks", "OurRanks", (size, threads), 1)
    if HAS_TORCH:
        who["eager"] = (theirs, "TheirStep", (size, "eager", threads), threads)
        if size.kind == "transformer":
            who["builtin"] = (theirs, "TheirStep", (size, "builtin", threads), threads)
        if compiled:
            who["compiled"] = (theirs, "TheirStep", (size, "compiled", threads), threads)
    if without:
        for name in [name for name in ("ours", "eager", "compiled") if name in who]:
            module, kind, arguments, n = who[name]
            who[f"{name} without mallopt"] = (module, kind, (*arguments, False), n)
    return who


def measure_steps(
    size: Size, threads: int, rounds: int, seconds: float, compiled: bool = True, without: bool = True
) -> dict[str, Any]:
    """A training step of everybody. First all must give one loss and one gradient."""
    watch = Watch()
    with running(step_contenders(size, threads, compiled, without)) as processes:
        checks = {name: process.call("check") for name, process in processes.items()}
        verify(checks)
        turns = interleave(processes, rounds, seconds, watch)
        memory = {name: process.call("memory") / 1e6 for name, process in processes.items()}
    theirs = [name for name in ("eager", "builtin", "compiled") if name in turns]
    fastest = min(theirs, key=lambda name: turns[name].median) if theirs else None
    result: dict[str, Any] = {
        "threads": threads,
        "checks": checks,
        "contenders": {name: summary(turns[name], turns["ours"], memory[name]) for name in turns},
        "overhead": ratio(turns["ours"], turns["products"]),
        "fastest": fastest,
        "others": watch.share,
        "verdict": watch.verdict(),
    }
    if fastest:
        result["speedup"] = ratio(turns[fastest], turns["ours"])
        if "ranks" in turns:
            result["speedup of ranks"] = ratio(turns[fastest], turns["ranks"])
    return result


def verify(checks: dict[str, dict[str, Any]]) -> None:
    """RuntimeError unless all found the same loss and gradients."""
    for name, check in checks.items():
        for what in ("loss_error", "gradient_error"):
            if what in check and not check[what] <= TOLERANCE:
                raise RuntimeError(f"{name}: {what} is {check[what]:.2g}, allowed is {TOLERANCE:g}")
    losses = {check["loss"] for check in checks.values() if "loss" in check}
    if losses and max(losses) - min(losses) > TOLERANCE * abs(max(losses)):
        raise RuntimeError(f"the losses differ: {sorted(losses)}")


def summary(turns: Turns, ours: Turns, memory: float = 0.0) -> dict[str, Any]:
    return {
        "milliseconds": 1e3 * turns.median,
        "best": 1e3 * turns.best,
        "spread": turns.spread,
        "times_ours": ratio(turns, ours),
        "megabytes": memory,
        "turns": [1e3 * step for step in turns.steps],
    }


def measure_decoding(size: Size, batch: int, tokens: int, rounds: int, threads: int = 1) -> dict[str, Any]:
    """Milliseconds a token, for `tokens` tokens and for a quarter as many: the same if length costs nothing."""
    few = max(tokens // 4, 1)
    who: dict[str, Specification] = {}
    for length in (few, tokens):
        who[f"ours {length}"] = ("benchmarks.ours", "OurDecoding", (size, batch, length, threads), threads)
        if HAS_TORCH and size.kind != "lstm":
            who[f"eager {length}"] = ("benchmarks.theirs", "TheirDecoding", (size, batch, length, threads), threads)
    watch = Watch()
    with running(who) as processes:
        checks = {name: process.call("check")["ids"] for name, process in processes.items()}
        for length in (few, tokens):
            if f"eager {length}" in checks:
                same = agreement(checks[f"ours {length}"], checks[f"eager {length}"])
                if same < 0.9:
                    raise RuntimeError(f"only {same:.1%} of the sentences begin with the same four tokens")
        turns = interleave(processes, rounds, 0.1, watch)
    result: dict[str, Any] = {"batch": batch, "tokens": tokens, "others": watch.share, "verdict": watch.verdict()}
    for side in ("ours", "eager"):
        if f"{side} {tokens}" in turns:
            whole, short = turns[f"{side} {tokens}"], turns[f"{side} {few}"]
            result[side] = {
                "milliseconds_a_token": 1e3 * whole.median / tokens,
                "late_against_early": (whole.median - short.median) / (tokens - few) / (short.median / few),
            }
    if "eager" in result:
        result["speedup"] = ratio(turns[f"eager {tokens}"], turns[f"ours {tokens}"])
    return result


def agreement(ours: list[list[int]], theirs: list[list[int]]) -> float:
    """Share of sentences with the same first four tokens. Later ones may differ: rounding decides a tie, once."""
    return sum(x[:4] == y[:4] for x, y in zip(ours, theirs)) / len(ours)


def measure_training(size: Size, workers: int, steps: int = 6000, goal: float = 0.99) -> dict[str, Any]:
    """Seconds until the share `goal` of held-out sequences is reversed without a mistake."""
    who: dict[str, Specification] = {
        "ours": ("benchmarks.ours", "OurTraining", (size, workers, "reverse", goal, steps), workers)
    }
    with running(who) as processes:
        return dict(processes["ours"].call("run"))
