"""Shared by all tests: the models' cases join the layers' in the one registry."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).parent / "models" / "cases.py"))
