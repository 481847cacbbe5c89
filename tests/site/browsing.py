"""Pages in Chromium, driven through Selenium: a server for a folder, a browser, a lesson run to its end."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
READY = """
const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
return Boolean(context?.isReady && context.session?.kernel?.status === "idle");
"""
RUN = """
const cells = () => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")];
const done = () => cells().filter((cell) => /\\d/.test(cell.querySelector(".jp-InputPrompt").textContent)).length;
const begun = performance.now();
window.__seen = [];
window.__watch = setInterval(() => {
  const n = done();
  if (n !== (window.__seen.at(-1)?.[0] ?? 0)) window.__seen.push([n, (performance.now() - begun) / 1000]);
}, 100);
window.jupyterapp.commands.execute("notebook:run-all-cells");
"""
STATE = """
const cells = [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")];
const prompts = cells.map((cell) => cell.querySelector(".jp-InputPrompt").textContent);
const bad = '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]';
return {
  cells: cells.length,
  done: prompts.filter((text) => /\\d/.test(text)).length,
  seen: window.__seen,
  errors: cells.flatMap((cell) => [...cell.querySelectorAll(bad)].map((output) => output.textContent)),
};
"""
FONTS = "Matplotlib is building the font cache"  # which it does in every new Pyodide


def executable() -> str | None:
    """Chromium, by the names that it has."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def no_browser() -> str:
    """What `chromium` needs and is not here; "" where all is."""
    if executable() is None or shutil.which("chromedriver") is None or importlib.util.find_spec("selenium") is None:
        return "no Chromium with driver and Selenium: apt install chromium chromium-driver, pip install selenium"
    return ""


def missing(*modules: str) -> str:
    """What these tests need and is not here, besides a browser these modules; "" where all is."""
    pyodide = os.environ.get("MINITRANSFORMER_PYODIDE", "")
    if not (Path(pyodide) / "pyodide-lock.json").is_file():
        return "no Pyodide: MINITRANSFORMER_PYODIDE must name the folder of one"
    for name in modules:
        if importlib.util.find_spec(name) is None:
            return f"no {name}: pip install '.[site]'"
    return no_browser()


def build(out: Path, lessons: Path) -> Path:
    command = [sys.executable, "-W", "ignore", str(CHECKOUT / "notebooks/site.py"), str(out), "--lessons", str(lessons)]
    subprocess.run([*command, "--pyodide", os.environ["MINITRANSFORMER_PYODIDE"]], check=True, capture_output=True)
    return out


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server for a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def chromium(width: int = 1300, *arguments: str) -> Iterator[Any]:
    """Chromium without a window, started with these arguments."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = executable() or ""
    quiet = (
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-quic",
    )
    usual = ("headless=new", "disable-gpu", "disable-dev-shm-usage", f"window-size={width},1000", *quiet)
    for argument in (*usual, *arguments):
        options.add_argument(f"--{argument}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium has no sandbox for root
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Selenium leaves open
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        driver.set_script_timeout(60)
        try:
            yield driver
        finally:
            driver.quit()


def wait(driver: Any, script: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not driver.execute_script(script):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} seconds: {script.strip()}")
        time.sleep(0.2)


def open_lesson(driver: Any, address: str, name: str) -> float:
    """Open a lesson and wait until Python is there; the seconds that it took."""
    begun = time.monotonic()
    driver.get(f"{address}/notebooks/index.html?path={name}.ipynb")
    wait(driver, READY, 120)
    return time.monotonic() - begun


def run_lesson(driver: Any, address: str, name: str, limit: float = 300) -> dict[str, Any]:
    """Run all cells; seconds until Python is there, until the first output, of all cells and of the longest one."""
    opening = open_lesson(driver, address, name)
    driver.execute_script(RUN)
    end = time.monotonic() + limit
    while True:
        time.sleep(0.3)
        state = driver.execute_script(STATE)
        if state["done"] == state["cells"] or time.monotonic() > end:
            break
    seen = [[0, 0.0], *state["seen"]]
    return {
        "cells": state["cells"],
        "done": state["done"],
        "errors": [text for text in state["errors"] if FONTS not in text],
        "opening": opening,
        "first": opening + seen[1][1] if len(seen) > 1 else None,
        "seconds": seen[-1][1],
        "longest": max((b[1] - a[1] for a, b in itertools.pairwise(seen)), default=0.0),
    }


def hosts(driver: Any) -> set[str]:
    """Of all that was fetched since the last call: from where, without what stands in the page itself."""
    found = set()
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            scheme, _, rest = message["params"]["request"]["url"].partition("://")
            if scheme in ("http", "https", "ws", "wss"):
                found.add(rest.split("/")[0].split(":")[0])
    return found
