"""Shared by all tests: the models' cases join the layers' in the one registry, and so do the system's mutants."""

import os

# Before NumPy is loaded: small products are slower on two threads, and test processes run side by side.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import runpy
from pathlib import Path

import minitransformer.verify.system_mutants  # noqa: F401 (it registers its mutants and properties)

runpy.run_path(str(Path(__file__).parent / "models" / "cases.py"))
