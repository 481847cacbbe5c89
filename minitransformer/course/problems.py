"""Got against wanted: the first thing that is wrong with an output, from its kind to its last digits."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import Array, Layer, Parameter
from ..verify import diagnosis
from ..verify.diagnosis import WrongGradient
from ..verify.layer_under_test import LayerUnderTest
from .attempts import safe_text, safe_type
from .exercise import Exercise

RELATIVE, ABSOLUTE = 1e-8, 1e-9  # of the entry, and of the tensor's size


@dataclass(frozen=True)
class Problem:
    """The stage at which an output fails (see `result.STAGES`), a sentence, got and wanted as text, the likely reason,
    and where that is not known what can be seen.
    """

    stage: str
    message: str
    details: tuple[tuple[str, str], ...] = ()
    why: str = ""
    place: str = ""


def compare(exercise: Exercise, arguments: tuple[Any, ...], got: Any, wanted: Any) -> Problem | None:
    """The first problem of an output, or None."""
    if (problem := _kind(exercise, got, wanted)) is not None:
        return problem
    leaves = list(_leaves(exercise, got, wanted))
    for find in (_shape, _not_finite):
        for name, mine, right in leaves:
            if (problem := find(name, mine, right)) is not None:
                return problem
    for i in range(len(leaves)):
        if (problem := _value(exercise, arguments, leaves, i)) is not None:
            return problem
    for name, mine, right in leaves:
        if (problem := compare_dtypes(name, mine, right)) is not None:
            return problem
    return None


def compare_dtypes(name: str, got: Any, wanted: Any) -> Problem | None:
    """Whether an array's dtype is the wanted one: its size in bytes matters only among floating numbers."""
    if not isinstance(wanted, np.ndarray) or not isinstance(got, np.ndarray):
        return None
    mine, right = got.dtype, wanted.dtype
    if mine.kind == right.kind and (right.kind != "f" or mine == right):
        return None
    if {mine.kind, right.kind} <= {"i", "u"}:
        return None
    return Problem("dtype", f"{name} is {mine}, wanted {right}.", (("got", str(mine)), ("wanted", str(right))))


def output_leaves(exercise: Exercise, got: Any, wanted: Any) -> list[tuple[str, Any, Any]]:
    """Name, got and wanted of every array and number in an output whose kind is right already."""
    return list(_leaves(exercise, got, wanted))


def _kind(exercise: Exercise, got: Any, wanted: Any, name: str = "") -> Problem | None:
    """Whether the output is an array where an array is wanted, a tuple of so many, a number, ..."""
    where = name or "the output"
    details = (("got", describe(got)), ("wanted", describe(wanted)))
    if got is None and wanted is not None:
        message = f"{where} is None." if name else "It returns None: is the `return` missing?"
        return Problem("type", message, details)
    if isinstance(wanted, tuple) and not _all_ids(wanted):
        names = exercise.outputs(len(wanted))
        if not isinstance(got, (tuple, list)):
            return Problem("type", f"It returns {_a(got)}, wanted {len(wanted)} results: {', '.join(names)}.", details)
        if len(got) != len(wanted):
            return Problem("type", f"It returns {len(got)} results, wanted {len(wanted)}: {', '.join(names)}.", details)
        parts = (_kind(exercise, a, b, part) for a, b, part in zip(got, wanted, names))
        return next((problem for problem in parts if problem), None)
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            return Problem("type", f"{where} is {_a(got)}, wanted a dict with keys {', '.join(wanted)}.", details)
        if set(map(safe_text, got)) != set(map(str, wanted)):
            mine = ", ".join(sorted(map(safe_text, got)))
            return Problem("type", f"{where} has keys {mine or 'none'}, wanted {', '.join(map(str, wanted))}.", details)
        found = (_kind(exercise, got[key], wanted[key], str(key)) for key in wanted)
        return next((problem for problem in found if problem), None)
    if isinstance(wanted, np.ndarray):
        if not isinstance(got, np.ndarray) and not (isinstance(got, np.generic) and wanted.ndim == 0):
            why = " np.array(...) makes one of it." if isinstance(got, (list, tuple)) else ""
            return Problem("type", f"{where} is {_a(got)}, wanted an array.{why}", details)
        if got.dtype.kind not in "biufcSU":
            message = f"{where} is an array of Python objects ({got.dtype}), wanted {wanted.dtype}."
            return Problem("type", message, details)
        if got.dtype.kind == "c" and wanted.dtype.kind != "c":
            return Problem("type", f"{where} is complex, wanted {wanted.dtype}.", details)
        return None
    if isinstance(wanted, (bool, np.bool_, int, float, np.number)):
        scalar = isinstance(got, (bool, np.bool_, int, float, np.number)) or (
            isinstance(got, np.ndarray) and got.ndim == 0 and got.dtype.kind in "biuf"
        )
        if not scalar:
            if isinstance(got, np.ndarray) and got.ndim:
                return Problem("shape", f"{where} is an array of shape {got.shape}, wanted one number.", details)
            return Problem("type", f"{where} is {_a(got)}, wanted a number.", details)
        return None
    if isinstance(wanted, str):
        return None if isinstance(got, str) else Problem("type", f"{where} is {_a(got)}, wanted a string.", details)
    if isinstance(wanted, (list, tuple)):
        if not isinstance(got, (list, tuple)) and not (isinstance(got, np.ndarray) and got.ndim):
            return Problem("type", f"{where} is {_a(got)}, wanted a list.", details)
        return None
    raise TypeError(f"exercise {exercise.name!r}: its solution returns {_a(wanted)}, which is not compared")


def _leaves(exercise: Exercise, got: Any, wanted: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(wanted, tuple) and not _all_ids(wanted):
        for part, mine, right in zip(exercise.outputs(len(wanted)), got, wanted):
            yield from _leaves(exercise, mine, right, part)
    elif isinstance(wanted, dict):
        for key in wanted:
            yield from _leaves(exercise, got[key], wanted[key], str(key))
    else:
        plain = isinstance(wanted, np.ndarray)
        yield name or exercise.outputs(1)[0], np.asarray(got) if plain else got, wanted


def _shape(name: str, got: Any, wanted: Any) -> Problem | None:
    details = (("got", describe(got)), ("wanted", describe(wanted)))
    if isinstance(wanted, np.ndarray):
        if got.shape == wanted.shape:
            return None
        message = f"{name} has shape {got.shape}, wanted {wanted.shape}{_about_the_shape(got, wanted) or '.'}"
        return Problem("shape", message, details)
    if isinstance(wanted, (list, tuple)) and len(got) != len(wanted):
        return Problem("shape", f"{name} has {len(got)} entries, wanted {len(wanted)}.", details)
    return None


def _about_the_shape(got: Array, wanted: Array) -> str:
    mine, right = got.shape, wanted.shape
    if mine == right[::-1]:
        return ": it looks transposed."
    if sorted(mine) == sorted(right):
        return ": it looks transposed, the axes are in another order."
    if [n for n in mine if n != 1] == [n for n in right if n != 1]:
        return ": an axis of size 1 " + ("is missing, keepdims=True?" if len(mine) < len(right) else "too many.")
    if len(mine) > len(right) and mine[len(mine) - len(right) :] == right:
        return f": its first {'axis is' if len(mine) - len(right) == 1 else 'axes are'} yet to be summed over."
    if len(mine) < len(right) and mine == right[len(right) - len(mine) :]:
        return ": summed over an axis that stays?"
    if len(mine) < len(right) and any(mine == right[:i] + right[i + 1 :] for i in range(len(right))):
        return ": an axis that stays is gone."
    if got.size == wanted.size:
        return ": the right number of entries, a reshape is missing."
    return ""


def _not_finite(name: str, got: Any, wanted: Any) -> Problem | None:
    if not isinstance(wanted, (np.ndarray, float, int, np.number)) or isinstance(wanted, bool):
        return None
    mine, right = np.asarray(got), np.asarray(wanted)
    if mine.dtype.kind not in "fc" or right.dtype.kind not in "biufc":
        return None
    for words, bad in (
        ("NaN", np.isnan(mine) & ~np.isnan(right)),
        ("infinite", np.isinf(mine) & ~np.isinf(right)),
    ):
        if bad.any():
            index = tuple(int(i[0]) for i in np.nonzero(bad)) if bad.ndim else ()
            at = f" at {_index(index)}" if index else ""
            count = f", and so are {bad.sum() - 1} other entries of {bad.size}" if bad.sum() > 1 else ""
            return Problem("nan", f"{name} is {words}{at}{count}.", (("wanted", _number(right[index])),))
    return None


def _value(
    exercise: Exercise, arguments: tuple[Any, ...], leaves: list[tuple[str, Any, Any]], i: int
) -> Problem | None:
    name, got, wanted = leaves[i]
    if isinstance(wanted, str):
        if str.__str__(got) == wanted:
            return None
        return Problem("value", f"{name} is another text.", (("got", safe_text(got, repr)), ("wanted", repr(wanted))))
    if isinstance(wanted, (list, tuple)):
        return _list(name, got, wanted)
    mine, right = np.asarray(got), np.asarray(wanted)
    if mine.dtype.kind in "SU" or right.dtype.kind in "SU":
        wrong = np.asarray(mine.astype(str) != right.astype(str))
        distance = wrong.astype(float)
    else:
        wrong, distance = wrong_entries(mine, right)
    if not wrong.any():
        return None
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(np.where(wrong, distance, -1.0))), wrong.shape))
    details = [("got", _number(mine[index])), ("wanted", _number(right[index]))]
    if wrong.ndim == 0:
        message = f"{name} is not right."
    else:
        message = f"{name}: {wrong.sum()} of {wrong.size} entries are not right, the worst is at {_index(index)}."
    places = PLACES if exercise.backward else PLACES[1:]  # ids that repeat matter to a gradient alone
    why, place = (_diagnosis(exercise, arguments, leaves, i, symptoms) for symptoms in (SYMPTOMS, places))
    return Problem("value", message, tuple(details), why, place)


def _list(name: str, got: Any, wanted: Any) -> Problem | None:
    for i, (mine, right) in enumerate(zip(got, wanted)):
        if isinstance(right, (list, tuple)):
            if not isinstance(mine, (list, tuple, np.ndarray)) or len(mine) != len(right):
                details = (("got", safe_text(mine, repr)), ("wanted", safe_text(right, repr)))
                return Problem("value", f"{name}[{i}] is not right.", details)
            if (problem := _list(f"{name}[{i}]", mine, right)) is not None:
                return problem
            continue
        if isinstance(right, str):
            same = isinstance(mine, str) and str.__str__(mine) == right
        else:
            same = _numeric(mine) and np.shape(mine) == np.shape(right) and not _entry_wrong(mine, right)
        if not same:
            details = (("got", safe_text(got, repr)), ("wanted", safe_text(list(wanted), repr)))
            return Problem("value", f"{name} differs first at position {i}.", details)
    return None


def _entry_wrong(got: Any, wanted: Any) -> bool:
    return bool(wrong_entries(np.asarray(got), np.asarray(wanted))[0].any())


def wrong_entries(got: Array, wanted: Array) -> tuple[Array, Array]:
    """Which entries are wrong, and by how much."""
    if got.dtype.kind in "biu" and wanted.dtype.kind in "biu":
        wrong = np.asarray(got != wanted)
        return wrong, wrong.astype(float)
    with np.errstate(all="ignore"):
        mine, right = got.astype(float), wanted.astype(float)
        finite = np.isfinite(mine) & np.isfinite(right)
        same = (mine == right) | (np.isnan(mine) & np.isnan(right))
        distance = np.where(finite, abs(mine - right), np.where(same, 0.0, np.inf))
        size = float(np.clip(np.max(abs(right), initial=0.0, where=np.isfinite(right)), 1e-3, 10.0))
        wrong = distance > RELATIVE * np.where(finite, abs(right), 0.0) + ABSOLUTE * size
    return np.asarray(wrong), np.asarray(distance)


def _factor(s: WrongGradient) -> str:
    """An argument that is missing as a factor, entry by entry, or is there once too often."""
    for name, x in zip(s.tested.input_names, s.tested.inputs):
        if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.shape == s.right.shape:
            if s.close(s.mine * x, s.right):
                return f"a factor is missing: got times {name} is what was wanted"
            if s.close(s.mine, s.right * x):
                return f"a factor too many: got is what was wanted times {name}"
    return ""


SYMPTOMS = (
    diagnosis.exchanged,
    diagnosis.constant_ratio,
    diagnosis.transposed,
    diagnosis.residual,
    diagnosis.factor,
    _factor,
    diagnosis.shifted,
)
# What says less: tried where no reason was found.
PLACES = (diagnosis.repeated_ids, diagnosis.rearranged, diagnosis.missing_mean, diagnosis.summed, diagnosis.some_rows)


class _Arguments(LayerUnderTest):
    """An exercise's arguments in the form in which `verify.diagnosis` looks at a layer's."""

    def __init__(self, exercise: Exercise, arguments: tuple[Any, ...], names: list[str], output: Array) -> None:
        self.layer, self.options, self.dropout_seed, self.slots = Layer(), {}, None, []
        self.input_names = list(exercise.arguments[: len(arguments)])
        self.inputs = list(arguments)
        self.output_names = names
        named = zip(self.input_names, arguments)
        arrays = [(name, x) for name, x in named if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
        self.named_parameters = [(name, Parameter(x)) for name, x in arrays]
        self.values = [x for _, x in arrays]
        upstream = [x for n, x in arrays if n in ("dy", "d_output", "dout") and x.shape == output.shape]
        self.upstream: Any = upstream[0] if upstream else np.full_like(output, np.nan)

    @property
    def names(self) -> list[str]:
        return self.output_names


def _diagnosis(
    exercise: Exercise,
    arguments: tuple[Any, ...],
    leaves: list[tuple[str, Any, Any]],
    i: int,
    symptoms: Sequence[Callable[[WrongGradient], str]],
) -> str:
    """What the first of these symptoms that is there says, or ""."""
    pairs = [(name, np.asarray(a, float), np.asarray(b, float)) for name, a, b in leaves if _numeric(a) and _numeric(b)]
    names = [name for name, _, _ in pairs]
    if leaves[i][0] not in names:
        return ""
    at = names.index(leaves[i][0])
    _, mine, right = pairs[at]
    if not np.isfinite(mine).all() or not np.isfinite(right).all():
        return ""
    if not mine.any() and right.any():
        return "it is zero everywhere"
    tested = _Arguments(exercise, arguments, names, right)
    wrong = WrongGradient(tested, at, [a for _, a, _ in pairs], [b for _, _, b in pairs], "complex")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for symptom in symptoms:
            try:
                sentence = symptom(wrong)
            except Exception:  # a symptom that does not fit this output
                continue
            if sentence and not (
                right.ndim == 0 and "a constant factor" in sentence
            ):  # of one number that says nothing
                if not exercise.backward:
                    sentence = sentence.replace("the wanted gradient of", "the wanted")
                return _with_letters(exercise, arguments, sentence)
    return ""


def _with_letters(exercise: Exercise, arguments: tuple[Any, ...], sentence: str) -> str:
    """`x.shape[1]` by the letter that the docstring gives to it, where it does."""
    ranks = {name: np.ndim(x) for name, x in zip(exercise.arguments, arguments) if isinstance(x, np.ndarray)}

    def letter(match: re.Match[str]) -> str:
        letters = exercise.letters(match[1])
        known = letters is not None and len(letters) == ranks.get(match[1])
        return letters[int(match[2])] if known and letters else match[0]

    def size(match: re.Match[str]) -> str:
        for name, x in zip(exercise.arguments, arguments):
            letters = exercise.letters(name)
            if letters and np.ndim(x) == len(letters) and int(match[1]) in x.shape:
                return f"{match[0]} ({letters[x.shape.index(int(match[1]))]} = {match[1]})"
        return match[0]

    def head(match: re.Match[str]) -> str:
        return "sqrt(d)" if int(match[2]) in d else match[1]

    sentence = re.sub(r"which is -?(?:1/)?(\d+)$", size, sentence)
    # Where several sizes are this number, a root is that of d.
    d = {n for name, x in zip(exercise.arguments, arguments) for n in _size_of("d", exercise.letters(name), x)}
    sentence = re.sub(r"(sqrt\([^()]*\))(?= \(= (?:1/)?sqrt\((\d+)\)\))", head, sentence)
    return re.sub(r"(\w+)\.shape\[(\d+)\]", letter, sentence)


def _size_of(letter: str, letters: tuple[str, ...] | None, x: Any) -> list[int]:
    return [n for a, n in zip(letters, np.shape(x)) if a == letter] if letters and np.ndim(x) == len(letters) else []


def _numeric(x: Any) -> bool:
    return isinstance(x, (np.ndarray, float, int, np.number)) and np.asarray(x).dtype.kind in "biuf"


def _all_ids(value: tuple[Any, ...]) -> bool:
    """A tuple of plain ids is a list of ids, not several results."""
    return len(value) > 0 and all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in value)


def describe(value: Any) -> str:
    """An array by shape and dtype, a tuple by its parts, anything else by its repr, shortened."""
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {safe_text(value.dtype)}"
    if type(value) is tuple and len(value) <= 6:
        return f"({', '.join(describe(part) for part in value)})"
    if isinstance(value, dict) and len(value) <= 8:
        try:
            return "{" + ", ".join(f"{safe_text(key)}: {describe(part)}" for key, part in value.items()) + "}"
        except RecursionError:
            return safe_type(value)
    return safe_text(value, repr) or safe_type(value)


def _a(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    kind = safe_type(value)
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def _number(value: Any) -> str:
    return safe_text(value) if np.asarray(value).dtype.kind in "biuSU" else f"{float(np.real(value)):.12g}"


def _index(index: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, index)) + "]"
