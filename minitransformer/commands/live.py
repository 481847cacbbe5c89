"""`live`: the attention explorer as a folder of static files, in which the package itself runs in the browser's tab."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import zipfile
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from ..decoding import Translator
from ..decoding.live import answer
from ..experiments.coreference import SHOWROOM, stored_pronoun_translator
from ..interventions import attention_paths
from ..pretrained import load
from ..pretrained.language_model import is_hugging_face
from ..training import save_checkpoint
from .errors import CommandError
from .options import new_parser, path_name, report
from .pyodide import CDN, VERSION, copy_pyodide, version_of

PACKAGE = "package.zip"
RUNNING = ("minitransformer", "tqdm")  # what runs in the browser besides Pyodide and its NumPy


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "live",
        run,
        "Make a page in which one types any text and changes the model by clicking. It is a folder of static files: "
        "the package computes in the browser's tab, and no server computes anything. Serve the folder with: "
        "python -m http.server --directory FOLDER",
    )
    parser.add_argument(
        "run_folder",
        metavar="RUN",
        nargs="?",
        type=path_name,
        help="folder of a run, its checkpoint, or a .bin file of llama2.c; by default the translator that found the "
        "noun of a pronoun, which comes with the package",
    )
    parser.add_argument("text", metavar="SENTENCE", nargs="?", help="what the page begins with; needed with RUN")
    parser.add_argument("--out", metavar="FOLDER", type=path_name, default="live", help="the folder to be made")
    parser.add_argument(
        "--pyodide",
        metavar="FOLDER",
        type=path_name,
        help=f"a whole Pyodide {VERSION}, as its release on GitHub has it: what the page needs of it is copied, and "
        f"the page works without internet. Otherwise the page fetches it from {CDN}",
    )


def run(options: argparse.Namespace) -> int:
    out = Path(options.out)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / PACKAGE).exists())):
        raise CommandError(f"--out {out}: holds something that is no such page; give another folder")
    if options.pyodide is not None and version_of(Path(options.pyodide)) != VERSION:
        raise CommandError(f"--pyodide {options.pyodide}: must be the folder of a whole Pyodide {VERSION}")
    if options.run_folder is None:
        model: Any = stored_pronoun_translator()
        first = _showroom(model)
    else:
        if options.text is None:
            raise CommandError("SENTENCE is missing: give the text that the page begins with")
        if is_hugging_face(Path(options.run_folder)):
            raise CommandError(
                f"{options.run_folder}: is of Hugging Face; its tokenizer needs a library that a browser's Python lacks"
            )
        model = load(options.run_folder)
        if not attention_paths(model.model):
            raise CommandError(f"{options.run_folder}: has no attention that could be taken apart")
        first = answer(model, {"text": options.text, "word": None})
        if "error" in first:
            raise CommandError(first["error"])
        if not first["source"]:  # of a text that is read, the first word has only itself to look at
            first["place"] = {"where": first["kinds"][0]["paths"][0], "head": 0, "query": len(first["read"]) - 1}
    shutil.rmtree(out, ignore_errors=True)
    (out / "model").mkdir(parents=True)
    names = _model_files(model, options.run_folder, out / "model")
    _package(out / PACKAGE)
    if options.pyodide is not None:
        copy_pyodide(Path(options.pyodide), out / "pyodide", ["numpy"])
    settings = {"pyodide": CDN if options.pyodide is None else "pyodide/", "model": names}
    from ..plotting.explorer import live_html  # matplotlib takes a while to import

    worker = (resources.files("minitransformer.plotting") / "worker.js").read_text(encoding="utf-8")
    (out / "worker.js").write_text(worker.replace('"@SETTINGS@"', json.dumps(settings)), encoding="utf-8")
    (out / "index.html").write_text(live_html(first), encoding="utf-8")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"page        {out / 'index.html'}, with all its files {size / 1e6:.1f} MB")
    print(f"look at it  python -m http.server --directory {out}")
    report(options, {"page": str(out / "index.html"), "bytes": size})
    return 0


def _showroom(translator: Translator) -> dict[str, Any]:
    """The sentence with "it" and "car", asked for "elle", at the weight that decides it."""
    words = answer(translator, {"text": SHOWROOM})
    first = answer(translator, {"text": SHOWROOM, "word": words["target"].index("elle")})
    it, car = (words["source"].index(word) for word in ("it", "car"))
    return first | {"place": {"where": "encoder.blocks.1.attention", "head": 0, "query": it, "key": car}}


def _model_files(model: Any, run: str | None, folder: Path) -> list[str]:
    """Write what the browser's Python loads the model from; returns the names, the first to be given to `load`."""
    path = Path(run or "")
    if path.suffix != ".bin":
        save_checkpoint(folder / "checkpoint.npz", model.arrays(), model.description())
        return ["checkpoint.npz"]
    shutil.copy(path, folder / "model.bin")  # of llama2.c, with its tokenizer beside it
    tokenizer = next(
        file
        for name in (f"tok{model.model.config.vocab}.bin", "tokenizer.bin")
        if (file := path.with_name(name)).exists()
    )
    shutil.copy(tokenizer, folder)
    return ["model.bin", tokenizer.name]


def _package(path: Path) -> None:
    """The package as it is installed here, and what it imports: Python files alone."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in RUNNING:
            folder = Path(str(importlib.import_module(name).__file__)).parent
            for source in sorted(folder.rglob("*.py")):
                file.write(source, str(source.relative_to(folder.parent)))
        for entry in metadata.files("tqdm") or ():
            if entry.name.upper().startswith(("LICENCE", "LICENSE")):
                file.writestr(f"tqdm/{entry.name}", entry.read_text())
