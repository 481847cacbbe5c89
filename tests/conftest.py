"""Shared by all tests: how far they go; cases and definitions are imported here once."""

import os
import sys

import pytest

# Before NumPy is loaded: small products are slower on two threads, and test processes run side by side.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser):
    parser.addoption("--exhaustive", action="store_true", help="also what takes long: every mutant, many more samples")


def pytest_configure(config):
    if config.getoption("--exhaustive"):
        os.environ["MINITRANSFORMER_EXHAUSTIVE"] = "1"
    config.addinivalue_line("markers", "needs(what): what Python has not in a browser, where the test is skipped")
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", "xdist_group(name): of pytest-xdist, which is not there")
    config.addinivalue_line("markers", "exhaustive: takes long, and runs with `pytest --exhaustive` only")
    from . import cases, definitions  # noqa: F401 (once, before any test: they fill their registries)


def pytest_collection_modifyitems(config, items):
    for item in items if sys.platform == "emscripten" else ():
        if (mark := item.get_closest_marker("needs")) is not None:
            item.add_marker(pytest.mark.skip(reason=f"WebAssembly has no {mark.args[0]}"))
    if os.environ.get("MINITRANSFORMER_EXHAUSTIVE") == "1":
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]
