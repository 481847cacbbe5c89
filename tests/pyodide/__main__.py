"""The tests, run in Pyodide under node: what a browser's Python does. `python -m tests.pyodide --pyodide FOLDER`

FOLDER is a whole Pyodide 0.27.7: its core, NumPy and matplotlib, as its release on GitHub has them. Needs node 18 or
newer, and pip to get pytest and hypothesis as pure Python.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOMS = ("layers", "models", "decoding", "data", "training", "verify", "course")
# Of Python alone: hypothesis has had compiled parts since 6.140.
WHEELS = ("pytest==8.4.2", "iniconfig==2.1.0", "pluggy==1.6.0", "pygments==2.19.2", "tqdm==4.67.1",
          "hypothesis==6.138.0", "sortedcontainers==2.4.0", "attrs==25.3.0")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pyodide", description=__doc__.split("\n")[0])
    parser.add_argument("--pyodide", metavar="FOLDER", default=os.environ.get("MINITRANSFORMER_PYODIDE"))
    parser.add_argument("tests", nargs="*", help="files, folders, options of pytest (default: seven rooms)")
    options, more = parser.parse_known_args()
    if options.pyodide is None or not (Path(options.pyodide) / "pyodide.mjs").is_file():
        parser.error(
            f"--pyodide {options.pyodide}: must be a folder with pyodide.mjs, as the release of Pyodide has it"
        )
    node = shutil.which("node")
    if node is None:
        parser.error("node is not installed")
    tests = options.tests or [f"tests/{room}" for room in ROOMS]
    with tempfile.TemporaryDirectory() as folder:
        fetch = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary", ":all:"]
        target = ["--platform", "any", "--python-version", "3.12", "--implementation", "py", "--abi", "none"]
        subprocess.run([*fetch, *target, "--dest", folder, *WHEELS], check=True)
        given = {
            "pyodide": str(Path(options.pyodide).resolve()),
            "root": str(HERE.parent.parent),
            "wheels": sorted(map(str, Path(folder).glob("*.whl"))),
            "environment": {"MPLBACKEND": "Agg"},
            # No processes there, so no xdist; --capture=sys, since there are no file descriptors to capture.
            "arguments": ["-o", "addopts=--import-mode=importlib", "-ra", "--capture=sys", "-p", "no:cacheprovider",
                          "-W", "ignore:workers=",
                          "--tb=short", *tests, *more],
        }  # fmt: skip
        return subprocess.run(
            [node, "--stack-size=4000", str(HERE / "run.mjs"), json.dumps(given)], check=False
        ).returncode


if __name__ == "__main__":
    raise SystemExit(main())
