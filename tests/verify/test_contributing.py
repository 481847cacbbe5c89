"""What CONTRIBUTING.md shows is what happens: its layer passes, its mutant fails, its message is the one printed."""

import re
from pathlib import Path

import numpy as np
import pytest

from minitransformer.layers import Cache, Layer
from minitransformer.verify import check_gradients
from tests.cases import line_to_write

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
LAYER, BUG = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def layer_of(source):
    scope = {"Layer": Layer, "Cache": Cache, "Array": np.ndarray, "np": np, "__name__": "tests"}
    exec(source, scope)
    return scope["Tanh"]


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((2, 3, 5))


def test_its_layer_passes_the_check(x):
    check_gradients(layer_of(LAYER)(), x).raise_if_failed()


def test_its_mutant_is_rejected(x):
    _, attribute, old, new, check = re.findall('"([^"]*)"', BUG)
    assert (attribute, check, LAYER.count(old)) == ("backward", "Tanh", 1)
    assert not check_gradients(layer_of(LAYER.replace(old, new))(), x).passed


def test_its_message_is_the_one_that_the_discovery_prints():
    layer_class = layer_of(LAYER)
    layer_class.__module__ = "minitransformer.layers.activations"
    try:
        assert line_to_write(layer_class) in PAGE
    finally:
        layer_class.__module__ = "tests"
