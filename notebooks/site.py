"""Builds the course as a folder of static files: lessons that run in a browser tab, with nothing to install.

    pip install -e ".[site]"
    python notebooks/site.py public                       Pyodide comes from its CDN when a lesson is opened
    python notebooks/site.py public --pyodide FOLDER      all of it lies in the folder: a classroom without internet
    python -m http.server --directory public              to look at it: http://localhost:8000

JupyterLite runs the notebooks, Pyodide the Python in them. A lock file tells Pyodide where this package's wheel is, so
`import minitransformer` works without a cell of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minitransformer.commands.pyodide import CDN, LOCK, VERSION, copy_pyodide, version_of

HERE = Path(__file__).resolve().parent
# What a notebook's kernel asks for that is not in Pyodide, and what the package needs: pure Python, pinned.
WHEELS = ("comm==0.2.2", "tqdm==4.67.1")
# What lessons and kernel need of a whole Pyodide; with --pyodide the rest is left out.
NEEDED = ("ipython", "jedi", "matplotlib", "micropip", "numpy", "packaging", "sqlite3", "ssl", "pillow")
TEXTS = ("text", "text/plain", "text/html", "text/latex", "image/svg+xml")  # of outputs, each a text or its lines
TABLE = re.compile(r"^\| (\d\d\w*) ([^|]*?) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| [^|]* \|$", re.M)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="the folder to be made")
    parser.add_argument("--pyodide", type=Path, metavar="FOLDER", help=f"a whole Pyodide {VERSION}, to be copied")
    parser.add_argument(
        "--lessons", type=Path, default=HERE, metavar="FOLDER", help="notebooks (default: those of students)"
    )
    parser.add_argument("--cdn", default=CDN, metavar="URL", help="where Pyodide is fetched from otherwise")
    options = parser.parse_args()
    if options.out.exists() and any(options.out.iterdir()) and not (options.out / "jupyter-lite.json").exists():
        parser.error(f"{options.out}: holds something that is no such site; give another folder")
    if options.pyodide is not None and version_of(options.pyodide) != VERSION:
        parser.error(f"--pyodide {options.pyodide}: must be the folder of a whole Pyodide {VERSION}")
    lock = fetched(options.cdn, parser) if options.pyodide is None else None
    shutil.rmtree(options.out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        lessons(options.lessons, work / "contents")
        settings(work / "settings", options.pyodide is not None, options.cdn)
        lite(work, options.out)
        wheels(work / "wheels")
        target = options.out / "pyodide"
        packages(target, work / "wheels", lock or copy_pyodide(options.pyodide, target, NEEDED))
    (options.out / "index.html").write_text(first_page(), encoding="utf-8")
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{options.out}: {size / 1e6:.0f} MB; look at it with: python -m http.server --directory {options.out}")
    return 0


def lessons(source: Path, folder: Path) -> None:
    """The notebooks of a folder, for the kernel that the site has."""
    folder.mkdir()
    for path in sorted(source.glob("*.ipynb")):
        book = json.loads(path.read_text(encoding="utf-8"))
        book["metadata"]["kernelspec"] = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
        for cell in book["cells"]:  # Jupyter's server would join lines; here there is none
            cell["source"] = joined(cell["source"])
            for output in cell.get("outputs", ()):
                for holder in (output, output.get("data", {})):
                    holder.update({key: joined(value) for key, value in holder.items() if key in TEXTS})
        (folder / path.name).write_text(json.dumps(book, ensure_ascii=False), encoding="utf-8")


def joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def settings(folder: Path, offline: bool, cdn: str) -> None:
    folder.mkdir()
    kernel = {
        "pyodideUrl": "./pyodide/pyodide.js" if offline else f"{cdn}pyodide.js",
        "disablePyPIFallback": True,
        "loadPyodideOptions": {"lockFileURL": f"./pyodide/{LOCK}"},
    }
    content = {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": "minitransformer",
            "disabledExtensions": ["@jupyterlab/notebook-extension:toc"],  # fails on some headings, and is not needed
            "enableMemoryStorage": False,
            "exposeAppInBrowser": True,  # so that tests can run a lesson
            "contentsStorageName": "minitransformer",
            "settingsStorageName": "minitransformer",
            "litePluginSettings": {"@jupyterlite/pyodide-kernel-extension:kernel": kernel},
        },
    }
    (folder / "jupyter-lite.json").write_text(json.dumps(content), encoding="utf-8")
    # All cells are drawn, not only those in view: a link to a heading works, and a reader can search the page.
    notebook = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
    (folder / "overrides.json").write_text(json.dumps(notebook), encoding="utf-8")


def lite(work: Path, out: Path) -> None:
    command = [sys.executable, "-m", "jupyter", "lite", "build", "--lite-dir", str(work / "settings")]
    command += ["--contents", str(work / "contents"), "--output-dir", str(out.resolve())]
    command += ["--apps", "notebooks", "--apps", "tree", "--apps", "lab", "--no-unused-shared-packages"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=work)
    for path in out.rglob("*.map"):  # for those who debug JupyterLite: half of all bytes
        path.unlink()


def wheels(folder: Path) -> None:
    """The package's, and those of WHEELS."""
    pip = [sys.executable, "-m", "pip", "-qq"]
    # From a copy: in the checkout setuptools would leave a folder, with files in it that are gone since.
    source = folder.with_name("source")
    shutil.copytree(HERE.parent / "minitransformer", source / "minitransformer")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(HERE.parent / name, source)
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder), str(source)], check=True)
    subprocess.run([*pip, "download", "--no-deps", "-d", str(folder), *WHEELS], check=True)


def fetched(cdn: str, parser: argparse.ArgumentParser) -> Any:
    """The lock file of a Pyodide on the web, with whole addresses."""
    try:
        with urllib.request.urlopen(f"{cdn}{LOCK}") as answer:
            lock = json.load(answer)
        version = lock["info"]["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"--cdn {cdn}: its {LOCK} cannot be read ({error}); without internet, give --pyodide FOLDER")
    if version != VERSION:
        parser.error(f"--cdn {cdn}: has Pyodide {version}; must be {VERSION}")
    for package in lock["packages"].values():
        package["file_name"] = cdn + package["file_name"]
    return lock


def packages(target: Path, folder: Path, lock: Any) -> None:
    """Our wheels, and the lock file, which tells Pyodide where each package is."""
    target.mkdir(exist_ok=True)
    for wheel in sorted(folder.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        shutil.copy(wheel, target)
        lock["packages"][name] = {
            "name": name,
            "version": version,
            "file_name": wheel.name,
            "imports": [name],
            "install_dir": "site",
            "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
            "package_type": "package",
            "depends": {"minitransformer": ["numpy", "matplotlib", "tqdm"]}.get(name, []),
            "unvendored_tests": False,
        }
    (target / LOCK).write_text(json.dumps(lock), encoding="utf-8")


def rows() -> Iterator[tuple[str, ...]]:
    """The teacher's table: number, title, what one can afterwards, exercises, difficulty, their minutes, minutes."""
    yield from TABLE.findall((HERE / "README.md").read_text(encoding="utf-8"))


def first_page() -> str:
    books = {path.stem.split("_")[0]: path.name for path in sorted(HERE.glob("*.ipynb"))}
    body = []
    for number, title, able, exercises, difficulty, _, minutes in rows():
        link = f'<a href="notebooks/index.html?path={books[number]}">{number} {html.escape(title)}</a>'
        cells = (html.escape(able), exercises, difficulty, minutes)
        body.append(f"<tr><th scope=row>{link}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return PAGE.replace("@ROWS@", "\n".join(body))


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<!-- JupyterLite looks for its settings in every index.html above a notebook. -->
<script id="jupyter-config-data" type="application/json" data-jupyter-lite-root=".">{"baseUrl": "./"}</script>
<link rel="icon" href="icon-120x120.png">
<title>minitransformer: a Transformer by hand, in your browser</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; color: #1a1a1a; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #d9d9d9; }
thead th { border-bottom: 2px solid #6b6b6b; }
td:nth-child(n+3) { text-align: right; white-space: nowrap; }
a { color: #0072b2; }
@media (max-width: 40rem) {
  thead { display: none; }
  tr { display: block; border-bottom: 1px solid #d9d9d9; padding: .5rem 0; }
  th, td { display: block; border: 0; padding: .1rem 0; }
  td:nth-child(n+3) { display: inline-block; text-align: left; margin-right: 1rem; }
  td:nth-child(3)::before { content: "exercises: "; }
  td:nth-child(4)::before { content: "difficulty: "; }
  td:nth-child(5)::before { content: "minutes: "; }
}
</style>
</head>
<body>
<main>
<h1>A Transformer by hand, in your browser</h1>
<p>Click a lesson: it opens and runs in this tab. Nothing is installed and nothing is sent anywhere. Run a cell with
Shift+Enter. The first cell takes some seconds, because Python itself is loaded.</p>
<table>
<thead><tr><th>lesson</th><th>afterwards you can</th><th>exercises (backward)</th><th>difficulty</th>
<th>minutes</th></tr></thead>
<tbody>
@ROWS@
</tbody>
</table>
<p>Difficulty is the sum over the exercises, each from 1 to 5.</p>
<h2>What you write stays here</h2>
<p>The browser keeps it, also over a reload. To keep it elsewhere, or to hand it in: File, Download. To begin a lesson
again: <a href="tree/index.html">the list of files</a>, delete it there, and open it again from this page.</p>
</main>
</body>
</html>
"""

if __name__ == "__main__":
    raise SystemExit(main())
