"""`count`: how many parameters a published model has, and where they are."""

from __future__ import annotations

import argparse
import difflib
from typing import Any

from ..layers import Unallocated
from ..models import PRESETS, summary
from .errors import CommandError
from .options import new_parser, report

NOTES = {
    "llama-2-70b": """
Lecture notes say 200 million in one attention layer and 260 million in the embedding. Queries, keys and
values of full width would be 3 x 8,192^2 = 201,326,592. But 64 query heads share 8 heads of keys and values,
so a layer has 8,192^2 for the queries, 2 x 8,192 x 1,024 for keys and values, and 8,192^2 for the output
projection, which those notes leave out: 150,994,944. The embedding has 32,000 x 8,192 = 262,144,000, and the
head, which is not tied to it, as many again."""
}


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "count",
        run,
        "Count the parameters of a published model. It is built from the classes that run, without the memory that it "
        "would take. Without NAME: all of them, a line each.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help=f"one of {', '.join(PRESETS)}")


def run(options: argparse.Namespace) -> int:
    if options.name is None:
        totals = {name: count(name).parameters for name in PRESETS}
        print("\n".join(f"{name:18s} {total:>15,}" for name, total in totals.items()))
        report(options, totals)
        return 0
    name = options.name.lower()
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS)
        raise CommandError(f"NAME {options.name!r}: {f'did you mean {near[0]}? ' if near else ''}{', '.join(PRESETS)}")
    counted = count(name)
    print(counted)
    if name in NOTES:
        print(NOTES[name])
    numbers = {
        "name": name,
        "parameters": counted.parameters,
        "multiply_adds": counted.multiply_adds,
        "kept_per_token": counted.kept_per_token,
        "kept_per_source_token": counted.kept_per_source_token,
    }
    report(options, numbers)
    return 0


def count(name: str) -> Any:
    """The summary of a preset."""
    model_class, config = PRESETS[name]
    return summary(model_class(config, Unallocated()))  # type: ignore[call-arg]
