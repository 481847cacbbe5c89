"""Makes every picture in this folder again, from seeds, and says which ones are out of date.

    python figures/make.py              all of them; some train the demo first, once for all of them
    python figures/make.py --stale      only those that are missing or out of date
    python figures/make.py --check      none; exit status 1 if any is out of date

figures.json keeps what each picture was made from.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # opens no windows

import matplotlib.pyplot as plt
from PIL import Image
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # the code of this checkout, whatever is installed

from pictures import PICTURES, Trained  # noqa: E402

from minitransformer.files import whole_file  # noqa: E402

MANIFEST = "figures.json"


class Unusable(Exception):
    """One clear line for the user."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 pictures are out of date (--check), 2 a mistake in what was given."""
    parser = argparse.ArgumentParser(prog="figures/make.py", description="Make every picture of the project again.")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=HERE, help="where the pictures are")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="these pictures only")
    parser.add_argument("--stale", action="store_true", help="only those that are missing or out of date")
    parser.add_argument("--check", action="store_true", help="make none, only say which are out of date")
    parser.add_argument("--list", action="store_true", help="make none, only name them all")
    try:
        return run(parser.parse_args(arguments))
    except Unusable as error:
        print(f"figures/make.py: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    folder, trained = options.out, Trained()
    if unknown := [name for name in options.only or () if name not in PICTURES]:
        raise Unusable(f"--only {unknown[0]}: must be one of {', '.join(PICTURES)}")
    chosen = [name for name in PICTURES if not options.only or name in options.only]
    if options.list:
        print("\n".join(f"{name:26s}{PICTURES[name].caption}" for name in chosen))
        return 0
    reasons = stale(folder, trained)
    if options.check:
        print("\n".join(f"{name}: {reasons[name]}" for name in reasons) or "every picture is up to date")
        return 1 if reasons else 0
    if options.stale:
        chosen = [name for name in chosen if name in reasons]
    started = time.perf_counter()
    with tqdm(chosen, unit="picture", disable=None, dynamic_ncols=True) as bar:
        for name in bar:
            bar.set_description(name)
            try:
                path = save_small(PICTURES[name].draw(trained), folder / f"{name}.png")
            except OSError as error:
                raise Unusable(f"{folder}: cannot be written: {error.strerror or error}") from None
            record(folder, name, PICTURES[name].caption, PICTURES[name].digest(trained), path)
            bar.write(f"figure      {path}")
    forget(folder, PICTURES)
    if not chosen:
        print("every picture is up to date")
    print(f"{len(chosen)} pictures in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return 0


def save_small(figure: Any, path: Path) -> Path:
    """Write a figure as a PNG of at most 256 colours, a third as large and to the eye the same; close it."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    plt.close(figure)
    with Image.open(drawn) as image, whole_file(path) as file:
        few = image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(file, format="png", optimize=True)
    return path


def stale(folder: Path, trained: Trained) -> dict[str, str]:
    """Which pictures of a folder are not what their recipes would make now, and why."""
    manifest, reasons = read_manifest(folder), {}
    for name, picture in PICTURES.items():
        path, entry = folder / f"{name}.png", manifest.get(name)
        if entry is None or not path.exists():
            reasons[name] = "is not there"
        elif entry.get("file") != digest_of(path):
            reasons[name] = "is another file than the one that was made"
        elif entry.get("recipe") != picture.digest(trained):
            reasons[name] = "its recipe, what draws it or what it is drawn from has changed since"
    for name in manifest:
        if name not in PICTURES:
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
        raise Unusable(f"{path}: cannot be read: {error}") from None
    if not isinstance(manifest, dict) or not all(isinstance(entry, dict) for entry in manifest.values()):
        raise Unusable(f"{path}: is no list of pictures: delete it and make them again")
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


if __name__ == "__main__":
    raise SystemExit(main())
