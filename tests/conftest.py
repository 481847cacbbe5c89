"""Shared by all tests: the models' cases join the layers' in the one registry, and so do the system's mutants."""

import runpy
from pathlib import Path

import minitransformer.verify.system_mutants  # noqa: F401 (it registers its mutants and properties)

runpy.run_path(str(Path(__file__).parent / "models" / "cases.py"))
