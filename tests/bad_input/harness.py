"""What every generated case must do: work, or raise a documented exception of ours, and leave its arguments alone."""

from __future__ import annotations

import linecache
import os
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import minitransformer
from minitransformer.training import CheckpointError

CASES = int(os.environ.get("MINITRANSFORMER_CASES", "25"))  # of each test; 200 make the README's figure
PACKAGE = Path(minitransformer.__file__).parent
DOCUMENTED = (ValueError, TypeError, CheckpointError)

seen: Counter[str] = Counter()


def generated(share: float = 1.0):
    """Settings of a test: how many cases, the same ones every time."""
    return settings(
        max_examples=max(int(CASES * share), 5),
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def holds(call, *given):
    """Run call(*given): it returns its result, or None where it was refused with a reason. `given` must not change."""
    before = [snapshot(value) for value in given]
    try:
        with np.errstate(all="ignore"):  # infinities are allowed to make NaNs
            result = call(*given)
    except DOCUMENTED as error:
        check_reason(error)
        seen["refused"] += 1
        result = None
    else:
        seen["worked"] += 1
    for value, old in zip(given, before):
        assert snapshot(value) == old, "an argument was changed"
    return result


def check_reason(error: BaseException) -> None:
    """The error was raised by a `raise` of this package, and says something: NumPy's own name no argument of ours."""
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    file = traceback.tb_frame.f_code.co_filename
    line = linecache.getline(file, traceback.tb_lineno).strip()
    if not file.startswith(str(PACKAGE)) or not line.startswith("raise"):
        raise AssertionError(f"not an error of ours, from {file}:{traceback.tb_lineno}: {error!r}") from error
    message = str(error)
    assert 15 <= len(message) <= 2000, f"a message of {len(message)} characters: {message[:200]!r}"


def snapshot(value):
    """What tells whether a value was changed."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes(), value.flags.writeable
    return repr(value)


SIZES = st.integers(0, 5)
WHOLE = st.one_of(st.integers(-3, 9), st.sampled_from([10**6, -(10**6), 2**31, 2**63]))
NUMBER = st.one_of(st.floats(-2, 3), st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), -1e-300, 1e300]))
SHAPES = st.lists(SIZES, min_size=0, max_size=4).map(tuple)


@st.composite
def as_users_have_them(draw, array: np.ndarray) -> np.ndarray:
    """The same numbers read-only, strided, in Fortran's order or reversed in memory."""
    kind = draw(st.sampled_from(["as it is", "read-only", "strided", "fortran", "reversed"]))
    if kind == "strided":
        wide = np.repeat(array, 2, axis=-1) if array.ndim else array
        return wide[..., ::2] if array.ndim else array
    if kind == "fortran":
        return np.asfortranarray(array)
    if kind == "reversed":
        return np.ascontiguousarray(array[::-1])[::-1] if array.ndim else array
    if kind == "read-only":
        array = array.copy()
        array.flags.writeable = False
    return array


@st.composite
def floats(draw, *shape: int, kinds=("<f4", "<f8", "<c16")) -> np.ndarray:
    """Features of the wanted shape, or of another; now and then with NaN and infinities."""
    wanted = shape if draw(st.integers(0, 3)) else draw(SHAPES)
    array = np.random.default_rng(draw(st.integers(0, 99))).standard_normal(wanted).astype(draw(st.sampled_from(kinds)))
    if array.size and draw(st.integers(0, 4)) == 0:
        array.reshape(-1)[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return draw(as_users_have_them(array))


@st.composite
def ids(draw, *shape: int, n: int = 7) -> np.ndarray:
    """Ids of the wanted shape, dtype and range, or not."""
    wanted = shape if draw(st.integers(0, 3)) else draw(SHAPES)
    kind = draw(st.sampled_from([np.int64, np.int64, np.int32, np.uint8, np.float64, np.bool_]))
    lowest, highest = (0, n - 1) if draw(st.integers(0, 2)) else (0 if kind is np.uint8 else -3, n + 3)
    array = np.random.default_rng(draw(st.integers(0, 99))).integers(lowest, highest + 1, wanted).astype(kind)
    return draw(as_users_have_them(array))


@st.composite
def masks(draw, *shape: int):
    """None, or a mask that fits, or one that does not."""
    kind = draw(st.sampled_from(["none", "fits", "fits", "broadcasts", "wrong shape", "wrong dtype", "a list"]))
    if kind == "none":
        return None
    if kind == "a list":
        return [[True]]
    if kind == "wrong shape":
        shape = draw(SHAPES)
    if kind == "broadcasts":
        shape = tuple(draw(st.sampled_from([1, size])) for size in shape)
    dtype = draw(st.sampled_from([np.float64, np.int64])) if kind == "wrong dtype" else np.bool_
    mask = draw(arrays.arrays(np.bool_, shape)).astype(dtype)
    return draw(as_users_have_them(mask))


UNUSUAL = ["", " ", "e\u0301te\u0301", "\ufeffa", "שלום עולם", "مرحبا", "\ud800", "a" * 5000, "ﬁ", "ẞ", "İ"]
UNUSUAL += ["\U0001f469\u200d\U0001f467", "\U0001f1eb\U0001f1f7"]  # a family, and a flag
TEXT = st.one_of(
    st.text(max_size=30),
    st.text("ab e\u0301\u200d '-\u2019.!?«»\u00a0\u202f\t\r\n\u2040\u2581\ufeff\u05d0\u0627\u0639\0", max_size=30),
    st.sampled_from(UNUSUAL),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), WHOLE, NUMBER, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
