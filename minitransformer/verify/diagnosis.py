"""Why is a gradient wrong? Most mistakes have a symptom by which they are known.

Each function of `SYMPTOMS` knows one mistake. It compares what backward got with what was wanted and returns a
sentence, or "". The first sentence is the diagnosis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import Array
from .layer_under_test import LayerUnderTest, as_list, largest, uses
from .numerical import central_difference, complex_step


@dataclass(frozen=True)
class WrongGradient:
    """A tensor whose gradient is wrong, and all that may explain it.

    Attributes
    ----------
    tested : LayerUnderTest
        Where it was found.
    i : int
        Which of `tested.names`.
    got, wanted : list of array
        The gradients of all tensors, wanted ones only where they were computed.
    method : str
        How they were computed.
    """

    tested: LayerUnderTest
    i: int
    got: list[Any]
    wanted: list[Any]
    method: str

    @property
    def name(self) -> str:
        return self.tested.names[self.i]

    @property
    def mine(self) -> Array:
        return self.got[self.i]

    @property
    def right(self) -> Array:
        return self.wanted[self.i]

    def close(self, a: Any, b: Any) -> bool:
        """Equal up to what the method can tell, judged by the size of what was wanted."""
        if np.shape(a) != np.shape(b):
            return False
        highest = max(largest(b), 1e-30)
        return bool(largest(np.asarray(a) - b) <= (1e-9 if self.method == "complex" else 1e-4) * highest)

    def right_under(self, tested: LayerUnderTest) -> bool:
        """Whether this very tensor is right under other conditions, by its derivative along a random direction."""
        rng = np.random.default_rng(0)
        try:
            got = tested.gradients()[self.i]
            for _ in range(2):
                direction = rng.standard_normal(np.shape(got))
                f, point = tested.loss_of(self.i, np.complex128 if self.method == "complex" else np.float64)
                along = _line(f, point, direction)
                wanted = (complex_step if self.method == "complex" else central_difference)(along, np.zeros(()))[()]
                if wanted == 0.0 or not self.close(np.sum(got * direction), wanted):
                    return False
        except Exception:
            return False
        return True


def _line(f: Any, point: Array, direction: Array) -> Callable[[Array], Any]:
    return lambda step: f(point + step[()] * direction)


def diagnose(wrong: WrongGradient, thorough: bool = True) -> str:
    """The most likely reason in a sentence, or how many entries are wrong. The slow symptoms only if `thorough`."""
    with np.errstate(all="ignore"):
        for symptom in SYMPTOMS:
            if symptom in SLOW_SYMPTOMS and not thorough:
                continue
            try:
                if sentence := symptom(wrong):
                    return sentence
            except Exception:  # a symptom that does not fit this layer must not hide the table
                continue
        entries = _wrong_entries(wrong)
        return f"{entries.sum()} of {entries.size} entries are wrong, in no pattern that is known here"


def almost(s: WrongGradient) -> str:
    if not s.close(s.mine, s.right):
        return ""
    if s.method == "complex":
        return "right to nine digits: rounding, or a very small term (an eps?) that is missing"
    return "right to four digits: rounding, or a curvature too large for central differences; try method='complex'"


def unsafe_forward(s: WrongGradient) -> str:
    """Complex step wrong, backward right: the forward does not let complex numbers through."""
    if s.method != "complex":
        return ""
    index = tuple(np.unravel_index(np.argmax(abs(s.mine - s.right)), s.right.shape))
    f, point = s.tested.loss_of(s.i, np.float64)

    def along(z: Array) -> Any:
        moved = point.copy()
        moved[index] = z[()]
        return f(moved)

    witness = central_difference(along, np.array(point[index]))[()]
    size = max(float(abs(witness)), largest(s.mine))
    if abs(witness - s.mine[index]) <= 1e-5 * size < 1e-4 * size < abs(witness - s.right[index]):
        return (
            "central differences agree with backward: it is forward that does not let complex numbers through "
            "(abs, sign, var, std, norm, conj?); rewrite it, or check with method='central'"
        )
    return ""


def nothing(s: WrongGradient) -> str:
    if s.mine.any():
        return ""
    parameter = s.i >= len(s.tested.slots)
    return "backward never adds to its grad" if parameter else "backward returns zeros for it"


def something(s: WrongGradient) -> str:
    return "the output does not depend on it, so its gradient is zero" if not s.right.any() else ""


def constant_ratio(s: WrongGradient) -> str:
    strong = abs(s.right) > 1e-3 * largest(s.right)
    ratios = (s.mine / s.right)[strong]
    ratio = float(np.median(ratios))
    if not s.close(ratio * s.right, s.mine) or ratio == 0.0:
        return ""
    sign = "-" if ratio < 0 else ""
    if (form := _name_ratio(abs(ratio), s.tested)) is None:
        return f"got / wanted is {ratio:.6g} in every entry: a constant factor"
    if form == "":
        return "the sign: got is -1 times wanted in every entry" if sign else ""
    return f"got / wanted is {ratio:.6g} in every entry, which is {sign}{form}"


def exchanged(s: WrongGradient) -> str:
    for j, other in enumerate(s.wanted):
        if j != s.i and isinstance(other, np.ndarray) and s.close(s.mine, other) and other.any():
            return f"it equals the wanted gradient of {s.tested.names[j]}: exchanged?"
    return ""


def transposed(s: WrongGradient) -> str:
    for axes in itertools.permutations(range(s.right.ndim)):
        if axes == tuple(range(s.right.ndim)):
            continue
        turned = s.right.transpose(axes)
        if turned.shape == s.mine.shape and s.close(s.mine, turned):
            return "a transpose: got equals the transpose of wanted" + (f", axes {axes}" if len(axes) > 2 else "")
        if s.close(s.mine, turned.reshape(s.right.shape)):
            return f"a transpose: got equals wanted transposed to axes {axes} and then reshaped to its shape again"
    return ""


def residual(s: WrongGradient) -> str:
    upstream = s.tested.upstream
    if s.close(s.mine + upstream, s.right):
        return "got lacks exactly the upstream gradient: where y = x + f(x), the x itself passes it on"
    if s.close(s.mine - upstream, s.right):
        return "got has the upstream gradient once too often"
    return ""


def one_use(s: WrongGradient) -> str:
    """A parameter used in several places: is got the gradient of some of them only?"""
    if s.i < len(s.tested.slots):
        return ""
    k = s.i - len(s.tested.slots)
    parts: list[tuple[str, Array]] = []
    values: list[Array] = []
    s.tested.install(np.float64)  # the untied copy takes its values from here
    for path, untied, twin in uses(s.tested.layer, s.tested.named_parameters[k][1]):
        twins = list(untied.named_parameters())
        values = values or [p.value.astype(np.float64) for _, p in twins]
        tested = s.tested.with_changes(layer=untied, named_parameters=twins, values=values)
        position = next(j for j, (_, p) in enumerate(tested.named_parameters) if p is twin)
        parts.append((path or "the layer itself", tested.numerical_gradient(len(tested.slots) + position, s.method)))
    for n in range(1, len(parts)):
        for some in itertools.combinations(parts, n):
            if s.close(s.mine, sum(gradient for _, gradient in some)):
                names = " and ".join(path for path, _ in some)
                return (
                    f"it is used in {len(parts)} places and got is the gradient of {names} alone: "
                    "every use adds (grad +=, not grad =)"
                )
    return ""


def factor(s: WrongGradient) -> str:
    """A parameter that is missing as a factor, or is there twice."""
    for (name, _), value in zip(s.tested.named_parameters, s.tested.values):
        if np.ndim(value) == 1 and value.shape[0] == s.right.shape[-1] and len(value) > 1:
            if s.close(s.mine * value, s.right):
                return f"a factor is missing: got times {name} is what was wanted"
            if s.close(s.mine, s.right * value):
                return f"a factor too many: wanted times {name} is what backward got"
    return ""


def shifted(s: WrongGradient) -> str:
    for axis, size in enumerate(s.right.shape):
        for by in (1, -1):
            if size > 1 and s.close(s.mine, np.roll(s.right, by, axis)):
                return f"shifted by one along axis {axis}"
    return ""


def one_input(s: WrongGradient) -> str:
    """The same array in two inputs' places: gradients that belong together, or apart."""
    for j, other in enumerate(s.wanted):
        if j != s.i and j < len(s.tested.slots) and isinstance(other, np.ndarray):
            if s.close(s.mine, s.right + other):
                return f"got has the gradient of {s.tested.names[j]} added to its own"
            if s.close(s.mine, s.right - other):
                return f"got has the gradient of {s.tested.names[j]} taken from its own"
    return ""


def repeated_ids(s: WrongGradient) -> str:
    wrong = _wrong_entries(s)
    rows = set(np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1)).tolist())
    for name, ids in zip(s.tested.input_names, s.tested.inputs):
        if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
            unique, counts = np.unique(ids, return_counts=True)
            if rows and rows <= set(unique[counts > 1].tolist()) and s.i >= len(s.tested.slots):
                return f"wrong only in rows whose id repeats in {name}: assigned (G[ids] = dy), or added once an id"
    return ""


def other_conditions(s: WrongGradient) -> str:
    """Right without dropout, without a mask, or while gains are one: then that is where to look."""
    tested = s.tested
    if tested.dropout_seed is not None and s.right_under(tested.with_changes(dropout_seed=None)):
        return "right without dropout: an array from before it in place of one after it, or another mask"
    opened = [np.ones_like(x) if _is_mask(x) else x for x in tested.inputs]
    options = {name: np.ones_like(x) if _is_mask(x) else x for name, x in tested.options.items()}
    masked = any(_is_mask(x) for x in [*tested.inputs, *tested.options.values()])
    if masked and s.right_under(tested.with_changes(inputs=opened, options=options)):
        return "right without a mask: what may not be attended to takes part"
    vectors = [k for k, value in enumerate(tested.values) if np.ndim(value) == 1][:MOST_VECTORS]
    for k, name in ((k, tested.named_parameters[k][0]) for k in vectors):
        for constant, words in ((1.0, "ones"), (0.0, "zeros")):
            values = [np.full_like(v, constant) if j == k else v for j, v in enumerate(tested.values)]
            if s.right_under(tested.with_changes(values=values)):
                return f"right only while {name} is all {words}: a factor outside a sum that it belongs into?"
    return ""


def missing_mean(s: WrongGradient) -> str:
    difference = s.mine - s.right
    for axis, size in enumerate(difference.shape):
        constant = np.ptp(difference, axis=axis).max() <= 1e-6 * largest(difference)
        if size > 1 and constant:
            which = "the last axis" if axis == difference.ndim - 1 else f"axis {axis}"
            return f"off by the same amount all along {which}: a mean or a sum over it is missing"
    return ""


def summed(s: WrongGradient) -> str:
    """All entries along an axis hold the same number, though they should not."""
    for axis, size in enumerate(s.mine.shape):
        if size > 1 and np.ptp(s.mine, axis=axis).max() <= 1e-9 * largest(s.mine):
            return f"got is the same number all along axis {axis}: summed or averaged over it?"
    return ""


def some_rows(s: WrongGradient) -> str:
    """Wrong only at some indices of one axis."""
    wrong = _wrong_entries(s)
    for axis, size in enumerate(wrong.shape):
        other_axes = tuple(a for a in range(wrong.ndim) if a != axis)
        hit = np.flatnonzero(wrong.any(axis=other_axes))
        if size > 1 and len(hit) < size:
            where = ", ".join(map(str, hit[:6])) + (", ..." if len(hit) > 6 else "")
            return f"wrong only at index {where} of axis {axis}, right at the other {size - len(hit)}"
    return ""


def rearranged(s: WrongGradient) -> str:
    if s.close(np.sort(s.mine, axis=None), np.sort(s.right, axis=None)):
        return "the right numbers in the wrong order: a reshape where a transpose was meant?"
    return ""


SYMPTOMS: tuple[Callable[[WrongGradient], str], ...] = (
    almost,
    unsafe_forward,
    something,
    nothing,
    one_use,
    exchanged,
    constant_ratio,
    transposed,
    residual,
    one_input,
    factor,
    shifted,
    rearranged,
    repeated_ids,
    other_conditions,
    missing_mean,
    summed,
    some_rows,
)


MOST_VECTORS = 6  # gains and shifts that are tried
SLOW_SYMPTOMS = (one_use, other_conditions)


def _name_ratio(ratio: float, tested: LayerUnderTest) -> str | None:
    """A size of the inputs or of the layer in which a ratio can be written; "" is 1, None is nothing known."""
    for words, value in _ratios(tested):
        if math.isclose(ratio, value, rel_tol=1e-7):
            return words
    return None


def _ratios(tested: LayerUnderTest) -> Iterator[tuple[str, float]]:
    yield from (("", 1.0), ("2", 2.0), ("1/2", 0.5))
    sizes = list(_sizes(tested))
    for words, n in sizes:
        yield f"1/{words} (= 1/{n})", 1.0 / n
        yield f"{words} (= {n})", n
        yield f"1/sqrt({words}) (= 1/sqrt({n}))", n**-0.5
        yield f"sqrt({words}) (= sqrt({n}))", n**0.5
    for words, number in _constants(tested):
        yield f"{words} (= {number:g})", number
        yield f"1/{words} (= 1/{number:g})", 1.0 / number
        yield f"{words}^2 (= {number:g}^2)", number**2
        if 0.0 < number < 1.0:
            yield f"1 - {words} (= 1 - {number:g})", 1.0 - number
            yield f"1/(1 - {words}) (= 1/(1 - {number:g}))", 1.0 / (1.0 - number)
    for words, n in sizes:
        if n > 1:
            yield f"({words} - 1)/{words}", (n - 1) / n
            yield f"{words}/({words} - 1)", n / (n - 1)
    for (words, n), (words_m, m) in itertools.combinations(sizes, 2):
        yield f"1/({words} * {words_m}) (= 1/({n} * {m}))", 1.0 / (n * m)
        yield f"{words} * {words_m} (= {n} * {m})", n * m
        yield f"{words}/{words_m} (= {n}/{m})", n / m
        yield f"{words_m}/{words} (= {m}/{n})", m / n
    yield from (("3", 3.0), ("1/3", 1 / 3), ("4", 4.0), ("1/4", 0.25))


def _sizes(tested: LayerUnderTest) -> Iterator[tuple[str, int]]:
    """Every size above 1, named, the first name winning."""
    seen: set[int] = {1}
    for words, n in _all_sizes(tested):
        if n not in seen:
            seen.add(n)
            yield words, n


def _all_sizes(tested: LayerUnderTest) -> Iterator[tuple[str, int]]:
    for name, x in zip(tested.input_names, tested.inputs):
        if isinstance(x, np.ndarray):
            yield from ((f"{name}.shape[{axis}]", n) for axis, n in enumerate(x.shape))
    for part in as_list(tested.upstream):
        yield from ((f"output.shape[{axis}]", n) for axis, n in enumerate(np.shape(part)))
    for _, layer in tested.layer.named_layers():
        for name, value in vars(layer).items():
            if isinstance(value, int) and not isinstance(value, bool) and value > 1:
                yield name, value
    for (name, _), value in zip(tested.named_parameters, tested.values):
        yield from ((f"{name}.shape[{axis}]", n) for axis, n in enumerate(value.shape))
    for name, x in zip(tested.input_names, tested.inputs):
        if isinstance(x, np.ndarray) and x.ndim > 1:
            yield f"all positions of {name}", math.prod(x.shape[:-1])
            yield f"{name}.size", x.size
        if isinstance(x, np.ndarray) and x.dtype.kind in "iu":
            yield f"nonzero ids of {name}", int(np.count_nonzero(x))
    for part in as_list(tested.upstream):
        if np.ndim(part) > 1:
            yield "all positions of the output", math.prod(np.shape(part)[:-1])


def _constants(tested: LayerUnderTest) -> Iterator[tuple[str, float]]:
    for _, layer in tested.layer.named_layers():
        for name, value in vars(layer).items():
            if isinstance(value, float) and value > 0.0 and value != 1.0:
                yield name, value
    for name, value in zip(tested.input_names, tested.inputs):
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 1:
            yield name, float(value)
    if tested.upstream is not None and np.ndim(tested.upstream) == 0:
        yield "the upstream gradient", float(abs(np.real(tested.upstream)))


def _wrong_entries(s: WrongGradient) -> Array:
    return np.asarray(abs(s.mine - s.right) > 1e-9 * largest(s.right))


def _is_mask(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "b"
