"""How far data parallelism goes: two numbers measured here, and what follows from them by arithmetic.

    mpiexec -n 2 python -m benchmarks.scaling          (without mpiexec the bandwidth is that of copying in memory)

A step computes 6 operations a parameter and token (2 forward, 4 backward) and then adds up the gradients of n ranks; a
ring sends 2 (n - 1) / n of the gradient's bytes through every rank's link:

    efficiency = compute / (compute + 2 (n - 1) / n bytes / bandwidth)

Both terms grow with the model, so its size cancels: what counts is how many tokens a rank has between two all-reduces.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minitransformer.layers import Unallocated, as_initializer
from minitransformer.models import PRESETS
from minitransformer.training.parallel import blas_threads, world

# Tokens of a whole batch as published: about 25,000 of each language; 4 million. Ranks divide it among them.
MODELS = {"transformer-base": 25_000, "llama-2-7b": 4_000_000, "llama-2-70b": 4_000_000}
RANKS = (2, 8, 64, 512, 2048)
BYTES = 4  # of a float32
ADAM = 4 * BYTES  # of a weight, its gradient and its two moments


@dataclass(frozen=True)
class Measured:
    """What one core and the link between two ranks do here.

    Attributes
    ----------
    flops : float
        Operations a second of a float32 matrix product with one thread.
    bandwidth : float
        Bytes a second that an all-reduce sends through a rank's link.
    link : str
        What the link was.
    """

    flops: float
    bandwidth: float
    link: str


def measure(rounds: int = 7, side: int = 1024, numbers: int = 4_000_000) -> Measured:
    """Medians of `rounds`, after one to warm up."""
    ranks = world()
    a = np.random.default_rng(0).standard_normal((side, side), np.float32)
    vector = np.ones(numbers, np.float32)
    other = np.ones(numbers, np.float32)

    def add() -> None:
        if ranks is None:
            np.add(vector, other, out=vector)
        else:
            vector[...] = 1
            ranks.add(vector)

    with blas_threads(1):
        product = median_seconds(lambda: a @ a, rounds)
    adding = median_seconds(add, rounds)
    n = 2 if ranks is None else ranks.size
    sent = 2 * (n - 1) / n * numbers * BYTES
    link = "memory of one process" if ranks is None else f"{n} ranks on this machine"
    return Measured(2 * side**3 / product, sent / adding, link)


def median_seconds(call: Callable[[], object], rounds: int) -> float:
    call()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def parameters(name: str) -> int:
    """Of a published model, counted without its memory."""
    model, config = PRESETS[name]
    return model(config, as_initializer(Unallocated())).n_parameters()  # type: ignore[no-any-return]


def efficiency(n_parameters: int, batch: int, ranks: int, flops: float, bandwidth: float) -> float:
    """Share of the time that computes, where the ranks divide a batch of so many tokens among them."""
    compute = 6 * n_parameters * batch / ranks / flops
    sending = 2 * (ranks - 1) / ranks * n_parameters * BYTES / bandwidth
    return compute / (compute + sending)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flops", type=float, default=150e12, help="of an accelerator that is assumed, a second")
    parser.add_argument("--bandwidth", type=float, default=25e9, help="of its link, in bytes a second")
    options = parser.parse_args()
    measured = measure()
    ranks = world()
    if ranks is not None and ranks.rank:
        return
    print(f"measured: {measured.flops / 1e9:.0f} GFLOPS a core, {measured.bandwidth / 1e9:.2f} GB/s ({measured.link})")
    machines = [("with what was measured, by arithmetic", measured.flops, measured.bandwidth)]
    assumed = f"{options.flops / 1e12:.0f} TFLOPS and {options.bandwidth / 1e9:.0f} GB/s a rank, assumed, by arithmetic"
    machines.append((assumed, options.flops, options.bandwidth))
    for title, flops, bandwidth in machines:
        print(f"\nefficiency {title}\n")
        print("| model | parameters | tokens a batch | " + " | ".join(f"{n:,} ranks" for n in RANKS) + " |")
        print("|---|---|---|" + "---|" * len(RANKS))
        for name, batch in MODELS.items():
            n = parameters(name)
            shares = (f"{100 * efficiency(n, batch, r, flops, bandwidth):.1f} %" for r in RANKS)
            print(f"| {name} | {n:,} | {batch:,} | " + " | ".join(shares) + " |")
    print("\nGB a rank for weights, gradient and Adam's moments in float32 (in brackets: moments in parts, Sharded)\n")
    print("| model | 1 rank | " + " | ".join(f"{n:,} ranks" for n in RANKS) + " |")
    print("|---|---|" + "---|" * len(RANKS))
    for name in MODELS:
        n = parameters(name)
        memory = (f"{ADAM * n / 1e9:,.1f} ({(2 * BYTES + 2 * BYTES / r) * n / 1e9:,.1f})" for r in RANKS)
        print(f"| {name} | {ADAM * n / 1e9:,.1f} | " + " | ".join(memory) + " |")


if __name__ == "__main__":
    main()
