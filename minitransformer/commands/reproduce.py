"""`reproduce`: numbers that others published, trained again from recipes that are plain files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..experiments.reproduce import data_folder, names, read_recipe, reproduce
from .errors import CommandError
from .options import new_parser, number, path_name, report


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "reproduce",
        run,
        "Train what others published, and put their number beside ours. Without NAME: list what there is. A run that "
        "was stopped goes on with the same command; seeds that are done are not trained again. "
        "The table, and a figure of how the loss fell in every run, are kept beside the runs.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="a recipe")
    parser.add_argument("--seeds", type=number(int, 1), default=3, help="how many: --seed and those behind it")
    parser.add_argument("--row", help="one model of the recipe only")
    parser.add_argument(
        "--data", metavar="FOLDER", type=path_name, help="where the files are that the recipe needs, if it needs any"
    )
    parser.add_argument("--out", type=path_name, default="runs/reproduce", help="folder for the runs")
    parser.add_argument("--workers", type=number(int, 1), help="how many share a batch (default: 2 on two cores)")
    parser.add_argument("--steps", type=number(int, 1), help="fewer steps than the recipe's, for a trial")


def run(options: argparse.Namespace) -> int:
    if options.name is None:
        listed = [read_recipe(name) for name in names()]
        width = max(len(recipe.name) for recipe in listed)
        for recipe in listed:
            print(f"{recipe.name:{width}s}  {recipe.title} ({', '.join(model.name for model in recipe.models)})")
        report(options, {"recipes": [recipe.name for recipe in listed]})
        return 0
    recipe = read_recipe(options.name)
    models = [model for model in recipe.models if options.row in (None, model.name)]
    if not models:
        raise CommandError(f"--row {options.row}: {recipe.name} has {', '.join(m.name for m in recipe.models)}")
    data = data_folder(recipe, options.data)
    seeds = range(options.seed, options.seed + options.seeds)
    extra = [f"--{name}={value}" for name in ("workers", "steps") if (value := getattr(options, name)) is not None]
    text, numbers = reproduce(recipe, models, seeds, data, Path(options.out) / recipe.name, extra)
    print(text)
    if "figure" in numbers:
        print(f"\nfigure: {numbers['figure']}")
    report(options, numbers)
    return 0
