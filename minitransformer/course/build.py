"""The notebooks, made from the lessons: `python -m minitransformer.course.build`.

A lesson is written once, as a percent script in `notebooks/lessons`. Where it has a cell `# %% exercise="name"`, the
student's notebook gets the stub of that exercise and the solved one its solution, both followed by its check. A cell
`# %% capstone="name other"` is the stubs, or the text, of these functions of `my_transformer.py`; with
`given=true` it is their text in both.
Two tags: `# %% tags=["assert"]` runs when the notebook is built and is not written into it; `tags=["teacher"]` is
written into the solved notebook alone.
Notebooks that somebody edited are never overwritten.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import whole_file
from .capstone import handed_out
from .exercises import find

LIMIT = 60.0  # seconds that a notebook may take, from the start of its kernel to its end
KINDS = ("student", "solved")
OURS = "minitransformer"  # the key of our metadata
ASSERT, TEACHER = "assert", "teacher"  # the tags that a cell may have
# Asserts read the notebook's names and bind their own, which only other asserts see: no cell may need what they made.
HIDDEN = "_asserts = {{**globals().get('_asserts', {{}}), **globals()}}\nexec({!r}, _asserts)"
DPI = 90
CHECKOUT = Path(__file__).parents[2]  # a kernel finds the package that builds, installed or not
MOST_BYTES = 4_000_000  # of all student notebooks together


class BuildError(Exception):
    """A lesson cannot be built, or a notebook may not be overwritten; the message says why."""


class Noise(BuildError):
    """A notebook writes to standard error."""


@dataclass(frozen=True)
class Lesson:
    """One percent script.

    Attributes
    ----------
    path : Path
        Such as notebooks/lessons/04_attention.py.
    """

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        """As its exercises have it: "04", "09b"."""
        return self.name.partition("_")[0]

    def target(self, kind: str) -> Path:
        """Where its notebook of this kind is."""
        folder = self.path.parent.parent
        return (folder if kind == "student" else folder / kind) / f"{self.name}.ipynb"

    def build(self, kind: str, asserts: bool = False) -> Any:
        """The notebook, without outputs: an nbformat node. With `asserts` for a run, with the cells of that tag."""
        jupytext, nbformat = _tools("jupytext", "nbformat")
        script = jupytext.reads(self.path.read_text(encoding="utf-8"), fmt="py:percent")
        cells: list[tuple[str, str, dict[str, Any], str]] = []
        above: list[tuple[str, str]] = []
        for cell in script.cells:
            name, tags = cell.metadata.get("exercise"), cell.metadata.get("tags", [])
            if unknown := set(tags) - {ASSERT, TEACHER}:
                raise BuildError(f"{self.path}: the tag {min(unknown)!r}, there are {ASSERT!r} and {TEACHER!r}")
            if TEACHER in tags and kind != "solved":
                continue
            if functions := cell.metadata.get("capstone"):
                given = cell.metadata.get("given")
                text = handed_out(functions.split(), "solved" if given else kind)
                cells.append(("code", text, {}, f"capstone-{functions.split()[0]}"))
            elif name is None:
                hidden = ASSERT in tags
                source = HIDDEN.format(cell.source) if hidden else cell.source
                cells.append((cell.cell_type, source, {OURS: ASSERT} if hidden else {}, ""))
            else:
                cells += self._exercise(name, cell.source, kind, above)
            if not tags:
                above.append((cell.cell_type, cell.source))
        book = nbformat.v4.new_notebook()
        book.nbformat_minor = 5
        ids: set[str] = set()
        for cell_type, source, metadata, key in cells:
            new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}.get(cell_type)
            if new is None:
                raise BuildError(f"{self.path}: a cell of type {cell_type}, there are markdown and code")
            made = new(source, metadata=metadata)
            if metadata.get(OURS) == ASSERT and not asserts:
                continue
            made.id = self._id(key or f"{cell_type}-{_digest(source)[:10]}", ids)
            book.cells.append(made)
        book.metadata = nbformat.from_dict(
            {
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
                OURS: {"lesson": self.name, "kind": kind, "source": digest(_without_asserts(book))},
            }
        )
        return book

    def _exercise(
        self, name: str, imports: str, kind: str, above: Sequence[tuple[str, str]]
    ) -> list[tuple[str, str, dict[str, Any], str]]:
        exercise = find(name)
        if exercise is None or exercise.lesson != self.number:
            raise BuildError(f"{self.path}: exercise={name!r} is not among the exercises of lesson {self.number}")
        if answer := exercise.given_away(*_shown(above)):
            raise BuildError(f"{self.path}: above the stub of {name!r} stands its answer: {answer}")
        body = exercise.stub if kind == "student" else exercise.source
        source = "\n\n\n".join(filter(None, (imports.strip(), f"{exercise.effort}\n{body}")))
        marked = {"exercise": name}
        return [
            ("code", source, marked, f"exercise-{name}"),
            ("code", f'check("{name}", {name})', {}, f"check-{name}"),
        ]

    def _id(self, key: str, taken: set[str]) -> str:
        """A cell's id: the lesson's number and what the cell is, so that it stays where cells come and go around it."""
        base = re.sub(r"[^A-Za-z0-9_-]", "-", f"{self.number}-{key}")[:60]
        name, n = base, 1
        while name in taken:
            n += 1
            name = f"{base}-{n}"
        taken.add(name)
        return name


def lessons(folder: Path, names: Sequence[str] = ()) -> list[Lesson]:
    """The lessons beneath a notebooks folder, or those that begin with one of `names`."""
    found = [Lesson(path) for path in sorted((folder / "lessons").glob("[0-9][0-9]*_*.py"))]
    if not found:
        raise BuildError(f"{folder / 'lessons'}: there are no lessons (NN_name.py); run this in the project's folder")
    for name in names:
        if not any(lesson.name.startswith(name) for lesson in found):
            raise BuildError(f"LESSON {name!r}: there are {', '.join(lesson.name for lesson in found)}")
    return [lesson for lesson in found if not names or any(lesson.name.startswith(name) for name in names)]


def _shown(cells: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """What of the package's source and what code a student has read in these cells."""
    code = [source for kind, source in cells if kind == "code"]
    for prose in (source for kind, source in cells if kind != "code"):
        code += re.findall(r"```(?:python)?\n(.*?)```", prose, re.DOTALL)
        code += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose)
    calls = re.findall(r"show_source\(([^()]*)\)", "\n".join(code))
    return [name.strip() for call in calls for name in call.split(",")], code


def _without_asserts(book: Any) -> Any:
    return {"cells": [cell for cell in book["cells"] if cell["metadata"].get(OURS) != ASSERT]}


def digest(book: Any) -> str:
    """Of the kinds and sources of all cells: what changes when somebody edits a notebook, and not when it runs."""
    return _digest(json.dumps([[cell["cell_type"], _joined(cell["source"])] for cell in book["cells"]]))


def was_edited(path: Path) -> bool:
    """Whether the notebook at `path` is no longer what was built; also where it was never built."""
    book = _read(path)
    return bool(book.get("metadata", {}).get(OURS, {}).get("source") != digest(book))


def write(lesson: Lesson, kind: str, book: Any, force: bool = False) -> str:
    """Write a notebook; returns what was done. BuildError where that would overwrite somebody's work.

    Where the notebook there has the same source and `book` has no outputs, it is left alone with the outputs it has.
    """
    path = lesson.target(kind)
    done = "written"
    if path.exists():
        if was_edited(path):
            if not force:
                raise BuildError(f"{path}: it was edited since it was built; keep a copy elsewhere, or use --force")
            backup = _free(path.with_suffix(".backup.ipynb"))
            backup.write_bytes(path.read_bytes())
            done = f"written, the edited one is now {backup.name}"
        elif not _ran(book) and not _differences(path, book):
            return "as it was"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(_text(book).encode())
    return done


def execute(book: Any, folder: Path, kind: str, limit: float = LIMIT) -> float:
    """Run a notebook in a kernel of its own, in place; returns the seconds that it took.

    Raises BuildError where a cell raises, writes to standard error, or the whole takes longer than `limit`. A solved
    notebook runs in strict mode, so a failed check raises.
    """
    (nbclient,) = _tools("nbclient")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        settings = Path(scratch) / "matplotlibrc"
        settings.write_text(f"figure.dpi: {DPI}\n", encoding="utf-8")
        environment = {
            "OPENBLAS_NUM_THREADS": "1",  # unless told otherwise: the same sums everywhere
            **os.environ,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "MATPLOTLIBRC": str(settings),
            "TQDM_DISABLE": "1",  # a bar would stay in the stored output
            "MINITRANSFORMER_STRICT": "1" if kind == "solved" else "0",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")])),
        }
        client = nbclient.NotebookClient(
            book,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            timeout_func=lambda cell: max(1, int(limit - (time.monotonic() - began)) + 1),
            resources={"metadata": {"path": str(folder)}},
        )
        try:
            client.execute(env=environment)
        except nbclient.exceptions.CellTimeoutError:
            raise BuildError(f"takes longer than its {limit:g} seconds") from None
        except nbclient.exceptions.CellExecutionError as error:
            raise BuildError(f"a cell raises:\n{error}") from None
    seconds = time.monotonic() - began
    _tidy(book)
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise Noise(f"cell {cell.id} writes to standard error:\n{output['text']}")
    book.cells = _without_asserts(book)["cells"]
    if seconds > limit:
        raise BuildError(f"takes {seconds:.0f} seconds, more than its {limit:g}")
    return seconds


def drift(lesson: Lesson) -> list[str]:
    """In what the committed student notebook differs from its lesson, a line each."""
    path = lesson.target("student")
    if not path.exists():
        return [f"{path} is missing"]
    found = [f"{path}: {line}" for line in _differences(path, lesson.build("student"))]
    committed = _read(path)
    if not _ran(committed):
        found.append(f"{path}: has no outputs, build it with --execute")
    if any(output["output_type"] == "error" for cell in committed["cells"] for output in cell.get("outputs", ())):
        found.append(f"{path}: a cell's output is an error")
    return found


def _differences(path: Path, book: Any) -> list[str]:
    """Where ids, kinds, sources or metadata of the notebook at `path` are not those of `book`; outputs do not count."""
    there, built = _read(path), _parsed(_text(book))
    found = []
    for i, (mine, right) in enumerate(zip(there["cells"], built["cells"])):
        for key in ("cell_type", "source", "id", "metadata"):
            if mine.get(key) != right.get(key):
                return [f"cell {i} ({right['id']}): its {key} is not that of the lesson"]
    if len(there["cells"]) != len(built["cells"]):
        found.append(f"it has {len(there['cells'])} cells, its lesson makes {len(built['cells'])}")
    if there["metadata"] != built["metadata"]:
        found.append("its metadata is not what the build writes")
    return found


def _tidy(book: Any) -> None:
    """Leave out of the outputs what differs from one run to the next: counts, times, addresses, progress."""
    book.metadata["language_info"] = {"name": "python"}
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        cell.execution_count = None
        outputs: list[Any] = []
        for output in cell.outputs:
            if "execution_count" in output:
                output["execution_count"] = None
            output.pop("transient", None)
            if output.output_type == "stream" and outputs and outputs[-1].get("name") == output.name:
                outputs[-1].text += output.text
            else:
                outputs.append(output)
        for output in outputs:
            if "image/png" in output.get("data", ()):
                output.data["image/png"] = _smaller(output.data["image/png"])
            if output.output_type == "stream":  # of a progress bar, what is left in the end
                output.text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in output.text.split("\n"))
        cell.outputs = outputs


def _smaller(png: str) -> str:
    """A picture in 256 colours, less than half the bytes, in base64 as it came; where that is larger, as it was."""
    from PIL import Image  # matplotlib stands on it

    raw = base64.b64decode(png)
    picture = Image.open(io.BytesIO(raw)).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    few = Image.alpha_composite(white, picture).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    written = io.BytesIO()
    few.save(written, "PNG", optimize=True)
    return base64.b64encode(min(raw, written.getvalue(), key=len)).decode()


def _ran(book: Any) -> bool:
    return any(cell.get("outputs") for cell in book["cells"])


def _read(path: Path) -> Any:
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError):
        raise BuildError(f"{path}: it is no notebook") from None


def _parsed(text: str) -> Any:
    book = json.loads(text)
    book["cells"] = [{**cell, "source": _joined(cell["source"])} for cell in book["cells"]]
    return book


def _text(book: Any) -> str:
    """A notebook as it is written."""
    (nbformat,) = _tools("nbformat")
    nbformat.validate(book)
    return str(nbformat.writes(book)).rstrip("\n") + "\n"


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _free(path: Path) -> Path:
    n, free = 1, path
    while free.exists():
        n += 1
        free = path.with_name(f"{path.stem}{n}{path.suffix}")
    return free


def _tools(*names: str) -> list[Any]:
    import importlib

    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise BuildError(f'{error.name} is missing: pip install "minitransformer[notebooks]"') from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, check or execute; returns 0, or 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(
        prog="python -m minitransformer.course.build", description="Make the notebooks from the lessons."
    )
    parser.add_argument("lessons", metavar="LESSON", nargs="*", help="how its name begins, such as 04 (default: all)")
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"), help="the folder (default: notebooks)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where notebooks differ from lessons")
    parser.add_argument("--execute", action="store_true", help="run both kinds, each in a kernel of its own")
    parser.add_argument("--kind", choices=KINDS, help="only this kind (default: both)")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds that a notebook may take (default: 60)")
    parser.add_argument("--force", action="store_true", help="overwrite edited notebooks, after making a backup")
    options = parser.parse_args(arguments)
    try:
        chosen = lessons(options.notebooks, options.lessons)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    failed = False
    for lesson in chosen:
        if options.check:
            failed |= _compare(lesson)
        for kind in [options.kind] if options.kind else KINDS:
            if options.execute or not options.check:
                failed |= _make(lesson, kind, options)
    if not options.lessons:
        total = sum(lesson.target("student").stat().st_size for lesson in chosen if lesson.target("student").exists())
        print(f"student notebooks together: {total / 1e6:.2f} MB")
        failed |= total > MOST_BYTES
    return int(failed)


def _compare(lesson: Lesson) -> bool:
    try:
        found = drift(lesson)
    except BuildError as error:
        found = [str(error)]
    print("\n".join(found), file=sys.stderr) if found else print(f"{lesson.name}: as its lesson", flush=True)
    return bool(found)


def _processor_seconds() -> float:
    """What this process and its ended children have used: unlike the clock, it does not count other programs."""
    return sum(os.times()[:4])


def _make(lesson: Lesson, kind: str, options: argparse.Namespace) -> bool:
    """Build one notebook, run it if asked to, write it unless it is only checked; returns whether that failed."""
    name = f"{lesson.name}, {kind}"
    try:
        book, took = lesson.build(kind, asserts=options.execute), ""
        if not options.check and not options.force and lesson.target(kind).exists() and was_edited(lesson.target(kind)):
            write(lesson, kind, book)  # says that it was edited, before any work
        if options.execute:
            began = _processor_seconds()
            try:
                seconds = execute(book, options.notebooks, kind, options.limit)
            except Noise as noise:  # processors have been seen to report an invalid number where there is none, once
                print(f"{name}: once more: {noise}", file=sys.stderr)
                book = lesson.build(kind, asserts=True)
                seconds = execute(book, options.notebooks, kind, options.limit)
            took = f", ran in {seconds:.1f} s"
            took += f" ({_processor_seconds() - began:.1f} s of processors)"
        done = "" if options.check else f", {write(lesson, kind, book, options.force)}"
    except BuildError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return True
    print(f"{name}{took}{done}", flush=True)
    return False


if __name__ == "__main__":
    raise SystemExit(main())
