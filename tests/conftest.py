"""Shared by all tests: cases and definitions are imported here once."""

import os

# Before NumPy is loaded: small products are slower on two threads, and test processes run side by side.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from . import cases, definitions  # noqa: F401 (once, before any test: they fill their registries)
