"""`figures`: makes every picture of the project again, from seeds, and says which ones are no longer up to date."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..files import whole_file
from .errors import CommandError
from .options import new_parser, report, say

if TYPE_CHECKING:
    from .figure_recipes import Trained

MANIFEST = "figures.json"


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "figures",
        run,
        "Make every picture of the project again. Each has a recipe with its own seed; some train the demo first, once "
        "for all of them. FOLDER/figures.json keeps of each what it was made from, so that --check and --stale can say "
        "which are out of date.",
    )
    parser.add_argument("--out", metavar="FOLDER", default="figures", help="where the pictures are")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="these pictures only")
    parser.add_argument("--stale", action="store_true", help="only those that are missing or out of date")
    parser.add_argument("--check", action="store_true", help="make none, only say which are out of date")
    parser.add_argument("--list", action="store_true", help="make none, only name them all")


def run(options: argparse.Namespace) -> int:
    import matplotlib

    matplotlib.use("Agg")  # a command opens no windows
    from .figure_recipes import RECIPES, Trained  # matplotlib takes a while to import

    folder, trained = Path(options.out), Trained()
    if unknown := [name for name in options.only or () if name not in RECIPES]:
        raise CommandError(f"--only {unknown[0]}: must be one of {', '.join(RECIPES)}")
    chosen = [name for name in RECIPES if not options.only or name in options.only]
    if options.list:
        print("\n".join(f"{name:26s}{RECIPES[name].caption}" for name in chosen))
        report(options, {"pictures": chosen})
        return 0
    reasons = stale(folder, trained)
    if options.check:
        print("\n".join(f"{name}: {reasons[name]}" for name in reasons) or "every picture is up to date")
        report(options, {"stale": reasons})
        return 1 if reasons else 0
    if options.stale:
        chosen = [name for name in chosen if name in reasons]
    started, written = time.perf_counter(), []
    with tqdm(chosen, unit="picture", disable=None, dynamic_ncols=True) as bar:
        for name in bar:
            bar.set_description(name)
            try:
                path = save_small(RECIPES[name].draw(trained), folder / f"{name}.png")
            except OSError as error:
                raise CommandError(f"{folder}: cannot be written: {error.strerror or error}") from None
            record(folder, name, RECIPES[name].caption, RECIPES[name].digest(trained), path)
            written.append(str(path))
    forget(folder, RECIPES)
    print("\n".join(f"figure      {path}" for path in written) or "every picture is up to date")
    say(f"{len(written)} pictures in {time.perf_counter() - started:.0f} s")
    report(options, {"written": written})
    return 0


def save_small(figure: Any, path: Path) -> Path:
    """Write a figure as a PNG of at most 256 colours, a third as large and to the eye the same; close it."""
    import matplotlib.pyplot as plt
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    plt.close(figure)
    with Image.open(drawn) as image, whole_file(path) as file:
        few = image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(file, format="png", optimize=True)
    return path


def stale(folder: Path, trained: Trained) -> dict[str, str]:
    """Which pictures of a folder are not what their recipes would make now, and why."""
    from .figure_recipes import RECIPES

    manifest, reasons = read_manifest(folder), {}
    for name, recipe in RECIPES.items():
        path, entry = folder / f"{name}.png", manifest.get(name)
        if entry is None or not path.exists():
            reasons[name] = "is not there"
        elif entry.get("file") != digest_of(path):
            reasons[name] = "is another file than the one that was made"
        elif entry.get("recipe") != recipe.digest(trained):
            reasons[name] = "its recipe, what draws it or what it is drawn from has changed since"
    for name in manifest:
        if name not in RECIPES:
            reasons[name] = "has no recipe any more"
    return reasons


def read_manifest(folder: Path) -> dict[str, dict[str, str]]:
    """What the folder says of its pictures; empty where it says nothing."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: cannot be read: {error}") from None
    if not isinstance(manifest, dict) or not all(isinstance(entry, dict) for entry in manifest.values()):
        raise CommandError(f"{path}: is no list of pictures: delete it and make them again")
    return manifest


def record(folder: Path, name: str, caption: str, recipe: str, path: Path) -> None:
    """Note in the manifest what a picture was made from: at once, so that an interrupted run keeps what it made."""
    entry = {"caption": caption, "recipe": recipe, "file": digest_of(path)}
    write_manifest(folder, {**read_manifest(folder), name: entry})


def forget(folder: Path, known: Any) -> None:
    """Leave out of the manifest what has no recipe any more."""
    manifest = read_manifest(folder)
    if manifest.keys() - known.keys():
        write_manifest(folder, {name: entry for name, entry in manifest.items() if name in known})


def write_manifest(folder: Path, manifest: dict[str, dict[str, str]]) -> None:
    text = json.dumps(dict(sorted(manifest.items())), indent=1, ensure_ascii=False) + "\n"
    with whole_file(folder / MANIFEST) as file:
        file.write(text.encode("utf-8"))


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
