"""`python -m benchmarks`: the tables, measured on this machine now."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .measure import HAS_TORCH, measure_decoding, measure_steps, measure_training
from .sizes import SHORT, SIZES
from .table import decoding_table, step_table, training_line

ROWS = ("step", "decode", "reversal", "growth", "text")
DEFAULT = ROWS[:3]


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    sizes = SHORT if options.short else SIZES
    chosen = {name: sizes[name] for name in options.sizes if name in sizes}
    started, results = time.perf_counter(), {"machine": machine()}
    quiet = options.json  # then nothing but JSON is printed
    say = (lambda *_: None) if quiet else lambda *lines: print(*lines, sep="\n", flush=True)
    say(*(f"{what}: {value}" for what, value in results["machine"].items()), "")
    if "step" in options.rows:
        steps: dict[str, Any] = {}
        for name, size in chosen.items():
            say(f"{name}: {size}")
            rounds, seconds = (2, 0.001) if options.short else (options.rounds, options.seconds)
            compiled = not (options.short or options.no_compile or size.kind == "lstm")
            steps[name] = {
                threads: measure_steps(size, threads, rounds, seconds, compiled, not options.no_without)
                for threads in options.threads
            }
            say(step_table(size, steps[name]), "")
        results["step"] = steps
    if "decode" in options.rows:
        results["decode"] = {
            name: [
                measure_decoding(size, batch, 8 if options.short else options.tokens, 2 if options.short else 7)
                for batch in ((1, 3) if options.short else (1, 64))
            ]
            for name, size in chosen.items()
            if name in ("S", "M", "G")
        }
        say(decoding_table(results["decode"]), "")
    if "reversal" in options.rows:
        goal, most = 0.99, 100 if options.short else 6000
        results["reversal"] = measure_training(sizes["S"], max(options.threads), most, goal)
        say(training_line(results["reversal"], max(options.threads)), "")
    if "growth" in options.rows:
        from . import growth

        results["growth"] = growth.measure_growth(options.short)
        if not options.short:
            say(f"figure: {growth.draw(results['growth'], f'{options.figures}/cost.png')}", "")
    if "text" in options.rows:
        from . import text

        results["text"] = text.measure_text(options.text, max(options.threads), options.goal, options.short)
        say(text.text_table(results["text"]), "")
        if not options.short:
            say(f"figure: {text.draw(results['text'], f'{options.figures}/loss_over_seconds.png')}", "")
    results["seconds"] = time.perf_counter() - started
    written = json.dumps(results, indent=1)
    if options.out:
        Path(options.out).write_text(written + "\n", encoding="utf-8")
    say(f"measured in {results['seconds']:.0f} s")
    if options.json:
        print(written)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Training steps, decoding and their growth, ours and PyTorch's, turn by turn on this machine. "
        "All tables take about 15 minutes; nothing else should run meanwhile, and the tables say if something did.",
    )
    parser.add_argument("rows", nargs="*", help=f"what to measure, of {', '.join(ROWS)}; default {', '.join(DEFAULT)}")
    parser.add_argument("--sizes", default="SMLGR", help="letters of %(default)s")
    parser.add_argument("--threads", default="1,2", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contender (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.25, help="length of a turn (default %(default)s)")
    parser.add_argument("--tokens", type=int, default=128, help="to be decoded (default %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile, which takes a minute a size")
    parser.add_argument("--no-without", action="store_true", help="without the runs that lack the mallopt setting")
    parser.add_argument("--short", action="store_true", help="tiny sizes, seconds in all: does everything still run?")
    parser.add_argument(
        "--figures", metavar="FOLDER", default="figures", help="where growth and text draw (default %(default)s)"
    )
    parser.add_argument("--text", metavar="FILE", help="what text trains on (default: Python's documentation)")
    parser.add_argument("--goal", type=float, help="loss in nats a character: text tells when each side reaches it")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON, and nothing else")
    parser.add_argument("--out", help="a file for the numbers as JSON")
    options = parser.parse_args(arguments)
    options.rows = options.rows or list(DEFAULT)
    if wrong := [row for row in options.rows if row not in ROWS]:
        parser.error(f"rows: {wrong[0]!r} is not one of {', '.join(ROWS)}")
    if wrong := [name for name in options.sizes if name not in SIZES]:
        parser.error(f"--sizes: {wrong[0]!r} is not one of {', '.join(SIZES)}")
    if options.text is not None and not Path(options.text).is_file():
        parser.error(f"--text: there is no file {options.text}")
    if {"growth", "text"} & set(options.rows) and not Path(options.figures).is_dir():  # not after minutes of measuring
        parser.error(f"--figures: there is no folder {options.figures}")
    if min(options.threads) < 1 or options.rounds < 2 or options.tokens < 4 or not options.seconds > 0:
        parser.error("--threads must be at least 1, --rounds 2, --tokens 4, --seconds above 0")
    return options


def machine() -> dict[str, str]:
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    found = {
        "processors": f"{os.cpu_count()} x {model}",
        "Python": platform.python_version(),
        "NumPy": np.__version__,
    }
    if HAS_TORCH:
        from importlib.metadata import version

        found["PyTorch"] = version("torch")
    else:
        found["PyTorch"] = "not installed: only our side is measured"
    return found


if __name__ == "__main__":
    sys.exit(main())
