"""Measurements as text."""

from __future__ import annotations

from typing import Any

from .rounds import STEADY
from .sizes import Size

LABELS = {
    "ours": "minitransformer",
    "threads": "minitransformer, threads",
    "ranks": "minitransformer, ranks of MPI",
    "eager": "PyTorch, hand-written",
    "builtin": "PyTorch, nn.Transformer",
    "compiled": "PyTorch, torch.compile",
    "products": "matrix products alone",
}


def step_table(size: Size, by_threads: dict[int, dict[str, Any]]) -> str:
    """A line for each contender: milliseconds a step and how many times ours, memory; then what follows from them."""
    lines = []
    for threads, result in by_threads.items():
        unit = "one worker / thread" if threads == 1 else f"{threads} workers / threads / ranks"
        lines.append(f"  {unit:44s} {'ms a step':>10s} {'best':>9s} {'spread':>7s} {'x ours':>7s} {'peak MB':>8s}")
        for name, row in result["contenders"].items():
            base, _, rest = name.partition(" ")
            megabytes = f"{row['megabytes']:8.0f}" if row["megabytes"] else "       -"
            lines.append(
                f"    {f'{LABELS[base]} {rest}'.strip():42s} {row['milliseconds']:10.2f} {row['best']:9.2f} "
                f"{row['spread']:6.0%} {row['times_ours']:7.2f} {megabytes}"
            )
        overhead = f"a step takes {result['overhead']:.2f} x its products alone"
        if threads == 1 and size.overhead:
            overhead += f" (at most {size.overhead} wanted)"
        lines.append(f"  {overhead}")
        if result["fastest"]:
            line = f"  {result['speedup']:.2f} x as fast as the fastest of PyTorch ({LABELS[result['fastest']]})"
            if size.wanted and threads <= 2:
                line += f" ({size.wanted[threads - 1]} wanted)"
            lines.append(line)
            if "speedup of ranks" in result:
                wanted = f" ({size.wanted[2]} wanted)" if size.wanted and threads == 2 else ""
                lines.append(f"  {result['speedup of ranks']:.2f} x with ranks{wanted}")
        shaky = [name for name, row in result["contenders"].items() if row["spread"] > STEADY]
        lines.append(f"  {result['verdict']}" + (f"; unsteady: {', '.join(shaky)}" if shaky else ""))
    return "\n".join(lines)


def decoding_table(by_size: dict[str, list[dict[str, Any]]]) -> str:
    """Milliseconds a token, and the last three quarters' against the first quarter's."""
    lines = ["greedy decoding with keys and values kept, one thread each"]
    lines.append(
        f"  {'':4s} {'batch':>5s} {'ours, ms a token':>17s} {'late/early':>10s} {'PyTorch':>9s} {'late/early':>10s} "
        f"{'speedup':>8s}"
    )
    for name, rows in by_size.items():
        for row in rows:
            ours = row["ours"]
            line = (
                f"  {name:4s} {row['batch']:5d} {ours['milliseconds_a_token']:17.3f} {ours['late_against_early']:10.2f}"
            )
            if "eager" in row:
                line += (
                    f" {row['eager']['milliseconds_a_token']:9.3f} {row['eager']['late_against_early']:10.2f}"
                    f" {row['speedup']:8.2f}"
                )
            lines.append(f"{line}  {row['verdict'].split(':')[0]}")
    return "\n".join(lines)


def training_line(result: dict[str, Any], workers: int) -> str:
    return (
        f"reversal, size S, {workers} worker(s): {result['right']:.1%} of held-out sequences after {result['steps']} "
        f"steps, {result['seconds']:.1f} s of training, {result['seconds_with_tests']:.1f} s with the tests between"
    )
