"""How far the tests go: what a newcomer waits for, or, with `pytest --exhaustive`, everything."""

import os

import pytest

# Set by `pytest --exhaustive`, before any test is collected; worker processes inherit it.
EXHAUSTIVE = os.environ.get("MINITRANSFORMER_EXHAUSTIVE") == "1"

exhaustive = pytest.mark.exhaustive


def extent(quick, whole):
    """The first of the two, or the second where everything is tested."""
    return whole if EXHAUSTIVE else quick
