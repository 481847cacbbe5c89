"""Pyodide, the Python of a browser: its version, where it comes from, and the part of it that a page needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

VERSION = "0.27.7"  # jupyterlite-pyodide-kernel 0.6 belongs to it (extra `site` of pyproject.toml)
CDN = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"
CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
LOCK = "pyodide-lock.json"  # where each package is, and what it depends on


def version_of(pyodide: Path) -> str | None:
    """The version of the Pyodide in a folder; None where there is none."""
    try:
        return json.loads((pyodide / LOCK).read_text(encoding="utf-8"))["info"]["version"]
    except (OSError, ValueError, KeyError):
        return None


def copy_pyodide(pyodide: Path, target: Path, packages: Iterable[str]) -> Any:
    """Copy the core, these packages and what they depend on, with a lock file that names them; returns its content."""
    lock = json.loads((pyodide / LOCK).read_text(encoding="utf-8"))
    found: set[str] = set()
    waiting = [name for name in packages if name in lock["packages"]]
    while waiting:
        name = waiting.pop().replace("_", "-")
        if name not in found:
            found.add(name)
            waiting += lock["packages"][name]["depends"]
    lock["packages"] = {name: lock["packages"][name] for name in sorted(found)}
    target.mkdir(exist_ok=True)
    for name in (*CORE, *(package["file_name"] for package in lock["packages"].values())):
        shutil.copy(pyodide / name, target)
    (target / LOCK).write_text(json.dumps(lock), encoding="utf-8")
    return lock
