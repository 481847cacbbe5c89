"""`reproduce`: numbers that others published, trained again from recipes that are plain files.

A recipe (minitransformer/recipes/NAME.ini) says what was published and which of this program's own commands, with
which options, answers it. What is here only runs them, seed after seed, and puts the answers into a table.
"""

from __future__ import annotations

import argparse
import configparser
import json
import shlex
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..files import whole_file
from ..training import History, load_checkpoint
from .errors import CommandError
from .options import new_parser, number, report, say

RECIPES = resources.files("minitransformer") / "recipes"
PERCENT = "%"


@dataclass(frozen=True)
class Row:
    """One model of a recipe: a section of its file.

    Attributes
    ----------
    name : str
        The section.
    train : list of str
        Words of the command that trains, without its seed, --out and --json.
    evaluate : list of str
        Words of the command that measures; empty where training measures too.
    measure : str
        Key of the number in what the command prints with --json.
    unit : str
        "%" where the number is a share.
    published, goal : str
        In words; a goal is ">= number" or "<= number", in the unit.
    also : list of str
        Keys of further numbers that are shown beside it.
    """

    name: str
    train: list[str]
    evaluate: list[str]
    measure: str
    unit: str
    published: str
    goal: str
    also: list[str]

    def value(self, answer: dict[str, Any], key: str) -> float:
        """The number of this key in a command's answer, in the unit of the row."""
        got = answer.get(key)
        if not isinstance(got, (int, float)):
            needs = " (it needs sacrebleu: pip install 'minitransformer[evaluate]')" if key.startswith("bleu") else ""
            raise CommandError(f"{self.name}: the command's answer has no {key!r}{needs}")
        return 100.0 * got if self.unit == PERCENT and key == self.measure else float(got)

    def reached(self, mean: float) -> bool:
        """Whether the goal is reached."""
        relation, goal = self.goal.split()
        return mean >= float(goal) if relation == ">=" else mean <= float(goal)


@dataclass(frozen=True)
class Recipe:
    """What was published, where its data are, and the rows to be trained."""

    name: str
    title: str
    source: str
    files: list[str]
    where: str
    rows: list[Row]
    note: str


def names() -> list[str]:
    """The recipes that there are."""
    return sorted(entry.name.removesuffix(".ini") for entry in RECIPES.iterdir() if entry.name.endswith(".ini"))


def read_recipe(name: str) -> Recipe:
    """The recipe of this name; CommandError where there is none."""
    if name not in names():
        raise CommandError(f"{name}: no such recipe; there are {', '.join(names())}")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((RECIPES / f"{name}.ini").read_text(encoding="utf-8"))
    about = parser["recipe"]
    rows = [
        Row(
            section,
            shlex.split(parser[section]["train"]),
            shlex.split(parser[section].get("evaluate", "")),
            parser[section]["measure"],
            parser[section].get("unit", ""),
            " ".join(parser[section]["published"].split()),
            parser[section]["goal"],
            parser[section].get("also", "").split(),
        )
        for section in parser.sections()
        if section != "recipe"
    ]
    return Recipe(
        name,
        about["title"],
        about["source"],
        about.get("files", "").split(),
        " ".join(about.get("where", "").split()),
        rows,
        " ".join(about.get("note", "").split()),
    )


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
    parser.add_argument("--data", metavar="FOLDER", help="where the files are that the recipe needs, if it needs any")
    parser.add_argument("--out", default="runs/reproduce", help="folder for the runs")
    parser.add_argument("--workers", type=number(int, 1), help="how many share a batch (default: 2 on two cores)")
    parser.add_argument("--steps", type=number(int, 1), help="fewer steps than the recipe's, for a trial")


def run(options: argparse.Namespace) -> int:
    if options.name is None:
        listed = [read_recipe(name) for name in names()]
        width = max(len(recipe.name) for recipe in listed)
        for recipe in listed:
            print(f"{recipe.name:{width}s}  {recipe.title} ({', '.join(row.name for row in recipe.rows)})")
        report(options, {"recipes": [recipe.name for recipe in listed]})
        return 0
    recipe = read_recipe(options.name)
    rows = [row for row in recipe.rows if options.row in (None, row.name)]
    if not rows:
        raise CommandError(f"--row {options.row}: {recipe.name} has {', '.join(row.name for row in recipe.rows)}")
    data = data_folder(recipe, options.data)
    folder = Path(options.out) / recipe.name
    seeds = range(options.seed, options.seed + options.seeds)
    answers = {row.name: [one_run(options, folder, row, seed, data) for seed in seeds] for row in rows}
    text, numbers = table(recipe, rows, answers, list(seeds))
    print(text)
    with whole_file(folder / "table.md") as file:
        file.write(f"{text}\n".encode())
    left = {row.name: [folder / f"{row.name}-{seed}" / "checkpoint.npz" for seed in seeds] for row in rows}
    if drawn := draw_courses(left, folder / "course.png"):
        print(f"\nfigure: {drawn}")
        numbers["figure"] = str(drawn)
    report(options, numbers)
    return 0


def data_folder(recipe: Recipe, given: str | None) -> str:
    """The folder of the recipe's files; CommandError, which says where to get them, where one is missing."""
    if not recipe.files:
        if given is not None:
            raise CommandError(f"--data {given}: {recipe.name} makes its data itself; leave --data out")
        return ""
    if given is None:
        raise CommandError(f"{recipe.name} needs --data FOLDER with {', '.join(recipe.files)}: {recipe.where}")
    missing = [name for name in recipe.files if not (Path(given) / name).is_file()]
    if missing:
        raise CommandError(f"--data {given}: there is no {', no '.join(missing)}: {recipe.where}")
    return given


def one_run(options: argparse.Namespace, folder: Path, row: Row, seed: int, data: str) -> dict[str, Any]:
    """The answer of one model and seed: that of an earlier call where there is one, else trained now."""
    run_folder = folder / f"{row.name}-{seed}"
    done = run_folder / "answer.json"
    extra = [f"--{name}={value}" for name in ("workers", "steps") if (value := getattr(options, name)) is not None]
    words = [word.format(data=data) for word in row.train]
    wanted = {"command": [*words, *extra], "evaluate": row.evaluate}
    kept = json.loads(done.read_text(encoding="utf-8")) if done.exists() else {}
    if kept.get("asked") == wanted and "answer" in kept:
        return dict(kept["answer"])
    say(f"{folder.name}, {row.name}, seed {seed}")
    if not takes_out(row):
        answer = command([*words, *extra, "--seed", str(seed), "--json"])
    elif kept.get("asked") == wanted and (run_folder / "checkpoint.npz").exists():
        answer = command([*command_of(words), "--resume", str(run_folder), "--json"])
    else:
        write_json(done, {"asked": wanted})  # what a run is that stops before it has an answer
        answer = command([*words, *extra, "--seed", str(seed), "--out", str(run_folder), "--overwrite", "--json"])
    if row.evaluate:
        evaluated = [word.format(data=data, run=run_folder) for word in row.evaluate]
        answer |= command([*evaluated, "--json"])
    for key in (row.measure, *row.also):
        row.value(answer, key)  # before it is kept: who installs what was missing has it evaluated again
    write_json(done, {"asked": wanted, "answer": answer})
    return answer


def draw_courses(checkpoints: dict[str, list[Path]], path: Path) -> Path | None:
    """Draw the validations of those runs that have left a checkpoint; None where none has."""
    import matplotlib

    matplotlib.use("Agg")  # a command opens no windows
    from ..plotting import save, validation_curves  # matplotlib takes a while to import

    courses: dict[str, list[History]] = {}
    for name, seeds in checkpoints.items():
        for checkpoint in filter(Path.exists, seeds):
            _, description = load_checkpoint(checkpoint)
            courses.setdefault(name, []).append(History([], description["trainer"]["validations"]))
    return save(validation_curves(courses).figure, path) if courses else None  # type: ignore[arg-type]


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write it whole or not at all."""
    with whole_file(path) as file:
        file.write(json.dumps(value, ensure_ascii=False).encode())


def command_of(words: list[str]) -> list[str]:
    """The command itself, without its options: `train`, or `lm train`."""
    return words[: 2 if words[0] == "lm" else 1]


def takes_out(row: Row) -> bool:
    """Whether the row's command leaves a run, with which it can go on."""
    return command_of(row.train)[-1] == "train"


def command(words: list[str]) -> dict[str, Any]:
    """Run one of this program's commands by itself; returns the JSON object that it ends with."""
    say(f"$ minitransformer {shlex.join(words)}")
    done = subprocess.run(
        [sys.executable, "-m", "minitransformer", *words],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode == 130:
        raise KeyboardInterrupt
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise CommandError(f"`minitransformer {shlex.join(words)}` ended with status {done.returncode}")
    answer: dict[str, Any] = json.loads(lines[-1])
    (only,) = answer.get("models", [{}])  # a comparison of one model
    return {**answer, **only}


def table(
    recipe: Recipe, rows: list[Row], answers: dict[str, list[dict[str, Any]]], seeds: list[int]
) -> tuple[str, dict[str, Any]]:
    """The recipe's table in Markdown, and its numbers: theirs, ours as mean and spread, minutes."""
    ours = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds: mean"
    lines = [
        f"{recipe.title} ({recipe.source})",
        "",
        f"| model | published | {ours} | lowest, highest | goal | reached | minutes of training | beside it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    numbers: dict[str, Any] = {"recipe": recipe.name, "seeds": seeds}
    for row in rows:
        values = [row.value(answer, row.measure) for answer in answers[row.name]]
        mean = statistics.fmean(values)
        minutes = statistics.fmean(training_seconds(answer) for answer in answers[row.name]) / 60
        beside = ", ".join(
            f"{key} {statistics.fmean(row.value(answer, key) for answer in answers[row.name]):.4g}" for key in row.also
        )
        unit = f" {row.unit}" if row.unit else ""
        lines.append(
            f"| {row.name} | {row.published} | {shown(mean)}{unit} | {shown(min(values))}, {shown(max(values))} | "
            f"{row.goal}{unit} | {'yes' if row.reached(mean) else 'no'} | {minutes:.1f} | {beside} |"
        )
        numbers[row.name] = {"values": values, "mean": mean, "reached": row.reached(mean), "minutes": minutes}
    if recipe.note:
        lines += ["", recipe.note]
    of = [(row.measure, answer.get(f"{row.measure}_signature")) for row in rows for answer in answers[row.name]]
    if signatures := dict.fromkeys(f"{measure}: {signature}" for measure, signature in of if signature):
        lines += ["", *signatures]
    return "\n".join(lines), numbers


def training_seconds(answer: dict[str, Any]) -> float:
    """How long training took, as the commands say it."""
    return float(answer["training_seconds" if "training_seconds" in answer else "seconds"])


def shown(value: float) -> str:
    """Two decimals, and no zeros that say nothing."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}".rstrip("0").rstrip(".")
