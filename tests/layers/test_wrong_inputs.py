"""Forward refuses what is no input of it, in one line: every layer and model of the list of cases, input by input."""

import traceback
import warnings

import numpy as np
import pytest

from ..cases.registry import CASES


def mistakes(x):
    """What people give in place of an array x."""
    if not isinstance(x, np.ndarray) or not x.ndim:
        return {}
    wrong = {
        "a list": x.tolist(),
        "a scalar": x.flat[0],
        "None": None,
        "a string": "text",
        "an object": object(),
        "one axis less": x[0],
        "one axis more": x[None],
        "exchanged axes": np.ascontiguousarray(np.swapaxes(x, 0, -1)),
    }
    if x.dtype.kind == "f":
        wrong["an array of strings"] = np.full(x.shape, "a")
    if x.dtype.kind in "iu":
        wrong |= {"ids that are floats": x + 0.5, "ids below 0": x - 100}
    if x.dtype.kind == "b":
        wrong["a mask of integers"] = x.astype(int)
    return wrong


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_input_is_right_by_chance_or_refused_in_one_line_of_this_package(name):
    calls = 0
    for i, given in enumerate(CASES[name].build(0)[1]):
        for what in mistakes(given):
            layer, inputs = CASES[name].build(0)
            wrong = (*inputs[:i], mistakes(inputs[i])[what], *inputs[i + 1 :])
            calls += 1
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    layer.forward(*wrong)
            except (TypeError, ValueError) as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                assert "minitransformer" in last.filename, f"input {i} is {what}: {error!r}"  # noqa: PT017
                assert last.line.startswith("raise"), f"input {i} is {what}: {error!r} at {last.line}"  # noqa: PT017
                assert "\n" not in str(error)  # noqa: PT017
    assert calls or not any(isinstance(x, np.ndarray) and x.ndim for x in CASES[name].build(0)[1])
