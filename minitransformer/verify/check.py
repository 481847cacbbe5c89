"""The gradient check: run a layer forward and backward, and hold what backward says against the true derivative.

relative error of a tensor = max |got - wanted| / max(max |wanted|, 0.01 * largest gradient of the layer)
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..layers import Array, Layer
from .guess import Suspect, guess
from .probe import Probe, arrays_in, as_list, borrowed, same
from .report import GradientCheck, Row

TOLERANCES = {"complex": 1e-12, "central": 1e-6}

# Some gradients are zero by mathematics, such as that of a key's bias: a softmax does not see a constant added to a
# whole row. What is computed for them is rounding, near 1e-17, and may differ by all of itself. So a tensor is judged
# by its own largest entry, but by no less than a hundredth of the layer's. At a tolerance of 1e-12 this forgives
# differences below 1e-14 of the layer's largest gradient: rounding, and nothing that a formula could be wrong by
# unless the whole tensor is 1e-10 times smaller than its neighbours.
FLOOR = 1e-2

MOST_GUESSES = 3  # tensors whose reason is looked for in other conditions too, which takes as long as the check


def check_gradients(
    layer: Layer,
    *inputs: Any,
    method: str = "complex",
    tolerance: float | None = None,
    differentiable: Sequence[str | int] | None = None,
    seed: int = 0,
    dropout_seed: int | None = 1,
    randomize: bool = True,
    **options: Any,
) -> GradientCheck:
    """Compare the backward of a layer, or of a whole model, with the true derivative, number by number.

    The loss is sum(dy * y) with a random upstream gradient dy, in float64 throughout. Besides every gradient, the
    habits of the contract are checked: a second backward adds the same again, another forward in between changes
    nothing, inputs, upstream gradient, cache and the layer itself stay as they are, float32 stays float32. A layer
    that raises fails the check; it does not break it. Afterwards the layer is as it was.

    Parameters
    ----------
    layer : Layer
    *inputs
        Of forward. Batches of at least 2 and sizes that differ find more mistakes.
    method : {"complex", "central"}
        Complex step, exact to rounding, or central differences, for a forward that complex numbers cannot pass.
    tolerance : float, optional
        Largest relative error that passes; by default 1e-12 for the complex step, 1e-6 for central differences.
    differentiable : sequence of str or int, optional
        The inputs, by name or position, that backward returns gradients of; by default those of floating numbers.
    seed : int
        Of the upstream gradient and the random parameters.
    dropout_seed : int or None
        Every forward gets a generator with this seed, so that the same numbers drop; None: no dropout.
    randomize : bool
        Replace the parameters by random ones of order one for the time of the check: a gain that is still 1 and a
        shift that is still 0 hide mistakes. False checks them as they are.
    **options
        Further keyword arguments of forward.

    Returns
    -------
    GradientCheck
        A table that prints; `.passed`, `.rows`, `.raise_if_failed()`.

    Raises
    ------
    ValueError
        For a method that does not exist and inputs that cannot be differentiated.
    """
    if method not in TOLERANCES:
        raise ValueError(f"method={method!r}: must be one of {', '.join(map(repr, TOLERANCES))}")
    tolerance = TOLERANCES[method] if tolerance is None else tolerance
    probe = Probe(layer, inputs, options, differentiable, dropout_seed)
    rng = np.random.default_rng(seed)
    if randomize:
        probe.randomize(rng)
    with borrowed(layer):
        rows = list(_rows(probe, method, tolerance, rng))
    how = "complex step" if method == "complex" else "central differences"
    return GradientCheck(f"{type(layer).__name__}, {how}, tolerance {tolerance:g}", rows)


def _rows(probe: Probe, method: str, tolerance: float, rng: np.random.Generator) -> Iterator[Row]:
    if not probe.names:
        yield Row("anything", False, guess="no parameters and no inputs of floating numbers: there is nothing to check")
        return
    attributes = [(path, part, dict(vars(part))) for path, part in probe.layer.named_layers()]
    try:
        run = Run(probe, rng)
    except _Stopped as stopped:
        yield stopped.row
        return
    yield _returned(probe, run.returned)
    got = probe.collect(run.returned)
    got[len(probe.slots) :] = run.parameter_gradients
    yield from _tensor_rows(probe, got, method, tolerance)
    yield from run.habits(rng)
    yield _layer_unchanged(probe, attributes)
    yield _float32(probe)


class _Stopped(Exception):
    """A layer raised an exception, so there is nothing more to compare."""

    def __init__(self, row: Row) -> None:
        super().__init__(row.guess)
        self.row = row


class Run:
    """One forward and two backwards in float64, with what they got and what they changed."""

    def __init__(self, probe: Probe, rng: np.random.Generator) -> None:
        self.probe = probe
        inputs = probe.install(np.float64)
        before = {"inputs": copy.deepcopy(inputs), "parameters": [value.copy() for value in probe.values]}
        with _reported("forward"):
            output, cache = probe.forward(inputs)
        for part in as_list(output):
            if not np.isfinite(part).all():
                index = tuple(int(i) for i in np.argwhere(~np.isfinite(part))[0])
                raise _Stopped(
                    Row("forward", False, np.shape(part), index, guess=f"the output is {np.asarray(part)[index]} there")
                )
        probe.draw_upstream(output, rng)
        self.mutated = self._changes("forward", before, inputs)
        before |= {"upstream": probe.upstream_as(np.float64), "cache": _copies(cache)}
        upstream = probe.upstream_as(np.float64)
        with _reported("backward"):
            self.returned = _kept(probe.layer.backward(upstream, cache))
        self.parameter_gradients = [np.array(p.grad) for _, p in probe.named_parameters]
        self.mutated += self._changes("backward", before, inputs, upstream, cache)

    def _changes(self, who: str, before: dict[str, Any], inputs: Any, upstream: Any = None, cache: Any = None) -> list:
        """Sentences for everything that is not what it was."""
        probe = self.probe
        pairs = [(name, a, b) for name, a, b in zip(probe.input_names, before["inputs"], inputs)]
        pairs += [
            (f"{name}.value", a, parameter.value)
            for (name, parameter), a in zip(probe.named_parameters, before["parameters"])
        ]
        if "upstream" in before:
            pairs += [("the upstream gradient", a, b) for a, b in zip(as_list(before["upstream"]), as_list(upstream))]
            pairs += [(f"cache[{path!r}]", a, b) for (path, a), (_, b) in zip(before["cache"], arrays_in(cache, ""))]
        changed = [name for name, a, b in pairs if isinstance(a, np.ndarray) and not same(a, b)]
        return [f"{who} changed {name} in place" for name in changed]

    def habits(self, rng: np.random.Generator) -> Iterator[Row]:
        """The rows of what every backward keeps besides being right."""
        yield Row("nothing is mutated", not self.mutated, guess="; ".join(self.mutated))
        yield self._backward_twice()
        yield self._forward_in_between(rng)

    def _backward_twice(self) -> Row:
        probe, name = self.probe, "backward twice"
        _, cache = probe.forward(probe.install(np.float64))
        upstream = probe.upstream_as(np.float64)
        try:
            probe.layer.backward(upstream, cache)
            returned = as_list(probe.layer.backward(upstream, cache))
        except Exception as error:
            return Row(name, False, guess=f"the second backward raised {_words(error)}")
        for (tensor, parameter), once in zip(probe.named_parameters, self.parameter_gradients):
            if once.shape != parameter.grad.shape or not _near(parameter.grad, 2.0 * once):
                assigned = np.any(once) and once.shape == parameter.grad.shape and _near(parameter.grad, once)
                why = "assigned where it must be added (grad +=, not grad =)" if assigned else "it added something else"
                return Row(name, False, guess=f"the second backward did not add its gradient of {tensor} again: {why}")
        for slot, a, b in zip(probe.slots, as_list(self.returned), returned):
            if not _near(a, b):
                return Row(
                    name, False, guess=f"the second backward returned another gradient of {probe.input_names[slot]}"
                )
        return Row(name, True)

    def _forward_in_between(self, rng: np.random.Generator) -> Row:
        """The layer is used twice before its backward: what it needs must be in the cache and not on itself."""
        probe, name = self.probe, "used twice"
        inputs = probe.install(np.float64)
        try:
            _, cache = probe.forward(inputs)
            try:
                probe.forward(probe.another(rng), probe.dropout_seed and probe.dropout_seed + 1)
            except Exception:  # other inputs may not suit this layer; then its very own do
                probe.forward(inputs)
            returned = as_list(probe.layer.backward(probe.upstream_as(np.float64), cache))
        except Exception as error:
            return Row(name, False, guess=f"another forward before the backward, and it raised {_words(error)}")
        tensors = list(zip((probe.input_names[slot] for slot in probe.slots), as_list(self.returned), returned))
        tensors += [
            (tensor, once, parameter.grad)
            for (tensor, parameter), once in zip(probe.named_parameters, self.parameter_gradients)
        ]
        stale = [tensor for tensor, a, b in tensors if not _near(a, b)]
        why = f"another forward before the backward changes the gradient of {', '.join(stale)}: kept on the layer?"
        return Row(name, not stale, guess=why if stale else "")


def _tensor_rows(probe: Probe, got: list[Any], method: str, tolerance: float) -> Iterator[Row]:
    wanted: list[Any] = []
    for i, name in enumerate(probe.names):
        try:
            wanted.append(probe.wanted(i, method))
        except Exception as error:
            way = " in complex numbers; method='central' does without them" if method == "complex" else ""
            yield Row(name, False, guess=f"forward raised {_words(error)}{way}")
            wanted.append(None)
    largest = max((_highest(gradient) for gradient in wanted if gradient is not None), default=0.0)
    failed = 0
    for i, name in enumerate(probe.names):
        if wanted[i] is not None:
            row = _tensor_row(name, i, probe, got, wanted, method, tolerance, FLOOR * largest, failed < MOST_GUESSES)
            failed += not row.passed
            yield row


def _tensor_row(
    name: str,
    i: int,
    probe: Probe,
    got: list[Any],
    wanted: list[Any],
    method: str,
    tolerance: float,
    floor: float,
    thorough: bool,
) -> Row:
    mine, right = got[i], wanted[i]
    if mine is None:
        return Row(name, False, right.shape, guess="backward returned nothing for it")
    if not isinstance(mine, (np.ndarray, np.number)):
        return Row(name, False, right.shape, guess=f"backward gave a {type(mine).__name__}, not an array")
    mine = np.asarray(mine)
    if mine.shape != right.shape:
        return Row(name, False, right.shape, guess=_wrong_shape(mine, right))
    if mine.dtype.kind != "f":
        return Row(name, False, right.shape, guess=f"its gradient is of dtype {mine.dtype}")
    if not np.isfinite(mine).all():
        index = tuple(int(n) for n in np.argwhere(~np.isfinite(mine))[0])
        many = int((~np.isfinite(mine)).sum())
        sentence = f"{many} of {mine.size} entries are not finite, the first at {index}"
        return Row(name, False, right.shape, index, float(mine[index]), float(right[index]), np.inf, sentence)
    difference = np.abs(mine - right)
    index = tuple(int(n) for n in np.unravel_index(np.argmax(difference), right.shape)) if right.size else ()
    if not right.size:
        return Row(name, True, right.shape, error=0.0)
    scale = max(_highest(right), floor)
    error = float(difference.max() / scale) if scale else float(difference.max())
    passed = error <= tolerance
    got = [*got[:i], mine, *got[i + 1 :]]
    sentence = "" if passed else guess(Suspect(probe, i, got, wanted, method), thorough)
    return Row(name, passed, right.shape, index, float(mine[index]), float(right[index]), error, sentence)


def _wrong_shape(mine: Array, right: Array) -> str:
    sentence = f"its gradient has shape {mine.shape}"
    if mine.shape == right.T.shape and np.allclose(mine, right.T):
        return f"{sentence}: it is the transpose"
    if mine.size == right.size and np.allclose(mine.reshape(right.shape), right):
        return f"{sentence}: the numbers are right, a reshape is missing"
    for axis in range(mine.ndim):
        if mine.ndim and mine.sum(axis=axis).shape == right.shape and np.allclose(mine.sum(axis=axis), right):
            return f"{sentence}: a sum over axis {axis} is missing"
    return sentence


def _returned(probe: Probe, returned: Any) -> Row:
    """One input: one array; several: a tuple; none: None."""
    name, wanted = "what backward returns", len(probe.slots)
    names = ", ".join(probe.input_names[slot] for slot in probe.slots)
    if wanted == 0 and returned is not None:
        return Row(name, False, guess="there is no input to differentiate, so it must return None")
    if wanted == 1 and isinstance(returned, (tuple, list)):
        return Row(
            name, False, guess=f"a {type(returned).__name__} of {len(returned)}: it must return one array, for {names}"
        )
    if wanted > 1 and not isinstance(returned, tuple):
        return Row(name, False, guess=f"a {type(returned).__name__}: it must return a tuple of {wanted}, for {names}")
    if wanted > 1 and len(returned) != wanted:
        return Row(name, False, guess=f"{len(returned)} gradients: it must return {wanted}, for {names}")
    doubled = [n for n, times in Counter(name for name, _ in probe.named_parameters).items() if times > 1]
    if doubled:
        return Row("parameter names", False, guess=f"several parameters are called {', '.join(doubled)}")
    return Row(name, True)


def _layer_unchanged(probe: Probe, attributes: list[tuple[str, Layer, dict[str, Any]]]) -> Row:
    for path, part, before in attributes:
        now = vars(part)
        for name in [*before, *now]:
            if name not in before or name not in now or not _is_same(before[name], now[name]):
                where = ".".join(filter(None, (path, name)))
                what = f"a call wrote to self ({where}): what a call computes belongs in the cache"
                return Row("the layer stays as it is", False, guess=what)
    return Row("the layer stays as it is", True)


def _float32(probe: Probe) -> Row:
    """In float32 nothing is computed in float64 by accident."""
    name = "float32 stays float32"
    try:
        inputs = probe.install(np.float32)
        output, cache = probe.forward(inputs)
        returned = probe.layer.backward(probe.upstream_as(np.float32), cache)
    except Exception as error:
        return Row(name, False, guess=f"in float32 it raised {_words(error)}")
    tensors = [("the output", y) for y in as_list(output)]
    tensors += [(f"cache[{path!r}]", a) for path, a in arrays_in(cache, "")]
    tensors += [(f"the gradient of {probe.input_names[slot]}", dx) for slot, dx in zip(probe.slots, as_list(returned))]
    tensors += [(f"the gradient of {tensor}", p.grad) for tensor, p in probe.named_parameters]
    dtypes = [(what, np.asarray(a).dtype) for what, a in tensors]
    wide = [f"{what} is {dtype}" for what, dtype in dtypes if dtype.kind in "fc" and dtype != np.float32]
    return Row(name, not wide, guess=f"a dtype change: {', '.join(wide[:4])}" if wide else "")


class _reported:
    """Turns an exception of the layer's into a row."""

    def __init__(self, who: str) -> None:
        self.who = who

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Exception):
            raise _Stopped(Row(self.who, False, guess=f"it raised {_words(error)}")) from error


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _copies(cache: Any) -> list[tuple[str, Array]]:
    return [(path, array.copy()) for path, array in arrays_in(cache, "")]


def _kept(returned: Any) -> Any:
    """Copies of what backward returned, which may be views of arrays that a second call writes to."""
    return copy.deepcopy(returned)


def _near(a: Any, b: Any) -> bool:
    if a is None or b is None or np.shape(a) != np.shape(b):
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    return same(a, b) or bool(_highest(a - b) <= 1e-12 * max(_highest(a), 1e-3))


def _is_same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    plain = (int, float, str, bool, tuple)
    return isinstance(a, plain) and isinstance(b, plain) and type(a) is type(b) and a == b


def _highest(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0.0))
