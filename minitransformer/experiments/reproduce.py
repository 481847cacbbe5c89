"""Numbers that others published, trained again from recipes that are plain files.

A recipe (recipes/NAME.ini) says what was published and which of this program's own commands, with
which options, answers it. This module runs them, seed after seed, and puts the answers into a table.
"""

from __future__ import annotations

import configparser
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..files import whole_file
from ..training import History, load_checkpoint
from .errors import ExperimentError

RECIPES = resources.files("minitransformer.experiments") / "recipes"
PERCENT = "%"


@dataclass(frozen=True)
class PublishedModel:
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
        """The number of this key in a command's answer, in its unit."""
        got = answer.get(key)
        if not isinstance(got, (int, float)):
            needs = " (it needs sacrebleu: pip install 'minitransformer[evaluate]')" if key.startswith("bleu") else ""
            raise ExperimentError(f"{self.name}: the command's answer has no {key!r}{needs}")
        return 100.0 * got if self.unit == PERCENT and key == self.measure else float(got)

    def meets_goal(self, mean: float) -> bool:
        """Whether this mean reaches the goal."""
        relation, goal = self.goal.split()
        return mean >= float(goal) if relation == ">=" else mean <= float(goal)


@dataclass(frozen=True)
class Recipe:
    """What was published, where its data are, and the models to be trained."""

    name: str
    title: str
    source: str
    files: list[str]
    where: str
    models: Sequence[PublishedModel]
    note: str


def names() -> list[str]:
    """The recipes that there are."""
    return sorted(entry.name.removesuffix(".ini") for entry in RECIPES.iterdir() if entry.name.endswith(".ini"))


def read_recipe(name: str) -> Recipe:
    """The recipe of this name; ExperimentError where there is none."""
    if name not in names():
        raise ExperimentError(f"{name}: no such recipe; there are {', '.join(names())}")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((RECIPES / f"{name}.ini").read_text(encoding="utf-8"))
    about = parser["recipe"]
    models = [
        PublishedModel(
            section.name,
            shlex.split(section["train"]),
            shlex.split(section.get("evaluate", "")),
            section["measure"],
            section.get("unit", ""),
            " ".join(section["published"].split()),
            section["goal"],
            section.get("also", "").split(),
        )
        for section in map(parser.__getitem__, parser.sections())
        if section is not about
    ]
    return Recipe(
        name,
        about["title"],
        about["source"],
        about.get("files", "").split(),
        " ".join(about.get("where", "").split()),
        models,
        " ".join(about.get("note", "").split()),
    )


def reproduce(
    recipe: Recipe, models: Sequence[PublishedModel], seeds: Sequence[int], data: str, folder: Path, extra: list[str]
) -> tuple[str, dict[str, Any]]:
    """Train the models with each seed; keep the table, and a figure of the losses, in the folder of the runs.

    Parameters
    ----------
    recipe : Recipe
    models : sequence of PublishedModel
        Those of the recipe that are trained.
    seeds : sequence of int
    data : str
        The folder of the recipe's files.
    folder : Path
        For the runs.
    extra : list of str
        Further words of every command that trains.

    Returns
    -------
    The table in Markdown, and its numbers.
    """
    answers = {model.name: [one_run(folder, model, seed, data, extra) for seed in seeds] for model in models}
    text, numbers = table(recipe, models, answers, seeds)
    with whole_file(folder / "table.md") as file:
        file.write(f"{text}\n".encode())
    left = {model.name: [folder / f"{model.name}-{seed}" / "checkpoint.npz" for seed in seeds] for model in models}
    if drawn := draw_courses(left, folder / "course.png"):
        numbers["figure"] = str(drawn)
    return text, numbers


def data_folder(recipe: Recipe, given: str | None) -> str:
    """The folder of the recipe's files; ExperimentError, which says where to get them, where one is missing."""
    if not recipe.files:
        if given is not None:
            raise ExperimentError(f"--data {given}: {recipe.name} makes its data itself; leave --data out")
        return ""
    if given is None:
        raise ExperimentError(f"{recipe.name} needs --data FOLDER with {', '.join(recipe.files)}: {recipe.where}")
    missing = [name for name in recipe.files if not (Path(given) / name).is_file()]
    if missing:
        raise ExperimentError(f"--data {given}: there is no {', no '.join(missing)}: {recipe.where}")
    return given


def one_run(folder: Path, model: PublishedModel, seed: int, data: str, extra: list[str]) -> dict[str, Any]:
    """The answer of one model and seed: that of an earlier call where there is one, else trained now."""
    run_folder = folder / f"{model.name}-{seed}"
    done = run_folder / "answer.json"
    words = [word.format(data=data) for word in model.train]
    wanted = {"command": [*words, *extra], "evaluate": model.evaluate}
    kept = json.loads(done.read_text(encoding="utf-8")) if done.exists() else {}
    if kept.get("asked") == wanted and "answer" in kept:
        return dict(kept["answer"])
    _say(f"{folder.name}, {model.name}, seed {seed}")
    if not takes_out(model):
        answer = command([*words, *extra, "--seed", str(seed), "--json"])
    elif kept.get("asked") == wanted and (run_folder / "checkpoint.npz").exists():
        answer = command([*command_of(words), "--resume", str(run_folder), "--json"])
    else:
        write_json(done, {"asked": wanted})  # what a run is that stops before it has an answer
        answer = command([*words, *extra, "--seed", str(seed), "--out", str(run_folder), "--overwrite", "--json"])
    if model.evaluate:
        evaluated = [word.format(data=data, run=run_folder) for word in model.evaluate]
        answer |= command([*evaluated, "--json"])
    for key in (model.measure, *model.also):
        model.value(answer, key)  # before it is kept: who installs what was missing has it evaluated again
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


def takes_out(model: PublishedModel) -> bool:
    """Whether the model's command leaves a run, with which it can go on."""
    return command_of(model.train)[-1] == "train"


def command(words: list[str]) -> dict[str, Any]:
    """Run one of this program's commands by itself; returns the JSON object that it ends with."""
    _say(f"$ minitransformer {shlex.join(words)}")
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
        raise ExperimentError(f"`minitransformer {shlex.join(words)}` ended with status {done.returncode}")
    answer: dict[str, Any] = json.loads(lines[-1])
    (only,) = answer.get("models", [{}])  # a comparison of one model
    return {**answer, **only}


def table(
    recipe: Recipe, models: Sequence[PublishedModel], answers: dict[str, list[dict[str, Any]]], seeds: Sequence[int]
) -> tuple[str, dict[str, Any]]:
    """The recipe's table in Markdown, and its numbers: theirs, ours as mean and spread, minutes."""
    ours = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds: mean"
    lines = [
        f"{recipe.title} ({recipe.source})",
        "",
        f"| model | published | {ours} | lowest, highest | goal | reached | minutes of training | beside it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    numbers: dict[str, Any] = {"recipe": recipe.name, "seeds": list(seeds)}
    for model in models:
        answered = answers[model.name]
        values = [model.value(answer, model.measure) for answer in answered]
        mean = statistics.fmean(values)
        minutes = statistics.fmean(training_seconds(answer) for answer in answered) / 60
        beside = ", ".join(
            f"{key} {statistics.fmean(model.value(answer, key) for answer in answered):.4g}" for key in model.also
        )
        unit = f" {model.unit}" if model.unit else ""
        lines.append(
            f"| {model.name} | {model.published} | {shown(mean)}{unit} | {shown(min(values))}, {shown(max(values))} | "
            f"{model.goal}{unit} | {'yes' if model.meets_goal(mean) else 'no'} | {minutes:.1f} | {beside} |"
        )
        numbers[model.name] = {"values": values, "mean": mean, "reached": model.meets_goal(mean), "minutes": minutes}
    if recipe.note:
        lines += ["", recipe.note]
    signatures = {
        f"{model.measure}: {signature}": None
        for model in models
        for answer in answers[model.name]
        if (signature := answer.get(f"{model.measure}_signature"))
    }
    if signatures:
        lines += ["", *signatures]
    return "\n".join(lines), numbers


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def training_seconds(answer: dict[str, Any]) -> float:
    """How long training took, as the commands say it."""
    return float(answer["training_seconds" if "training_seconds" in answer else "seconds"])


def shown(value: float) -> str:
    """Two decimals, and no zeros that say nothing."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}".rstrip("0").rstrip(".")
