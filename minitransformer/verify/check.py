"""The gradient check: run a layer forward and backward, and hold what backward says against the true derivative.

relative error of a tensor = max |got - wanted| / max(max |wanted|, 0.01 * largest gradient of the layer)
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..arguments import check_finite, check_seed, checked
from ..layers import Array, Layer, Parameter
from .diagnosis import WrongGradient, diagnose
from .layer_under_test import LayerUnderTest, arrays_in, as_list, hidden_in, largest, same, temporarily
from .report import GradientCheck, Row

TOLERANCES = {"complex": 1e-12, "central": 1e-6}

# Some gradients are zero by mathematics, such as that of a key's bias: a softmax does not see a constant added to a
# whole row. What is computed for them is rounding, near 1e-17, and may differ by all of itself. So a tensor is judged
# by its own largest entry, but by no less than a hundredth of the layer's. At a tolerance of 1e-12 this forgives
# differences below 1e-14 of the layer's largest gradient: rounding, and nothing that a formula could be wrong by
# unless the whole tensor is 1e-10 times smaller than its neighbours.
FLOOR = 1e-2

MOST_DIAGNOSES = 3  # tensors for which the slow symptoms are tried too; each takes as long as the check itself


@checked
def check_gradients(
    layer: Layer,
    *inputs: Any,
    method: str = "complex",
    tolerance: float | None = None,
    differentiable: Sequence[str | int] | None = None,
    seed: int = 0,
    dropout_seed: int | None = 1,
    randomize: bool = True,
    frozen: Sequence[str] = (),
    **options: Any,
) -> GradientCheck:
    """Compare the backward of a layer, or of a whole model, with the true derivative, number by number.

    The loss is sum(dy * y) with a random upstream gradient dy, in float64 throughout. Besides every gradient, the
    contract of a layer is checked: every weight is a `Parameter` that the layer shows; two forwards with the same
    generator give the same; a second backward adds the same again; another forward in between changes nothing;
    inputs, upstream gradient, cache and the layer itself stay as they are; float32 stays float32. A layer that raises
    fails the check; it does not break it. Afterwards the layer is as it was.

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
        bias that is still 0 hide mistakes. False checks them as they are.
    frozen : sequence of str
        Names of parameters that get no gradient on purpose: theirs must then stay zero.
    **options
        Further keyword arguments of forward.

    Returns
    -------
    GradientCheck
        A table that prints; `.passed`, `.rows`, `.raise_if_failed()`.

    Raises
    ------
    ValueError
        For a method that does not exist, inputs that cannot be differentiated, and frozen parameters that do not exist.
    """
    if method not in TOLERANCES:
        raise ValueError(f"method={method!r}: must be one of {', '.join(map(repr, TOLERANCES))}")
    tolerance = TOLERANCES[method] if tolerance is None else tolerance
    check_finite("tolerance", tolerance, 0.0)
    tested = LayerUnderTest(layer, inputs, options, differentiable, dropout_seed)
    names = [name for name, _ in tested.named_parameters]
    for name in frozen:
        if name not in names:
            raise ValueError(f"frozen={name!r}: the layer has {', '.join(names) or 'no parameters'}")
    check_seed(seed)
    rng = np.random.default_rng(seed)
    if randomize:
        tested.randomize(rng)
    with temporarily(layer):
        rows = list(_rows(tested, method, tolerance, rng, set(frozen)))
    how = "complex step" if method == "complex" else "central differences"
    return GradientCheck(f"{type(layer).__name__}, {how}, tolerance {tolerance:g}", rows)


def _rows(
    tested: LayerUnderTest, method: str, tolerance: float, rng: np.random.Generator, frozen: set[str]
) -> Iterator[Row]:
    if (weights := _visible_weights(tested.layer)).diagnosis:
        yield weights
        return
    if not tested.names:
        yield Row(
            "anything", False, diagnosis="no parameters and no inputs of floating numbers: there is nothing to check"
        )
        return
    attributes = [(path, part, dict(vars(part))) for path, part in tested.layer.named_layers()]
    try:
        run = Run(tested, rng)
    except _Stopped as stopped:
        yield stopped.row
        return
    yield _returned(tested, run.returned)
    got = tested.collect(run.returned)
    got[len(tested.slots) :] = run.parameter_gradients
    yield from _tensor_rows(tested, got, method, tolerance, frozen)
    yield from run.contract_checks(rng)
    yield _layer_unchanged(tested, attributes)
    yield _float32(tested)


class _Stopped(Exception):
    """A layer raised an exception, so there is nothing more to compare."""

    def __init__(self, row: Row) -> None:
        super().__init__(row.diagnosis)
        self.row = row


class Run:
    """One forward and two backwards in float64, with what they got and what they changed."""

    def __init__(self, tested: LayerUnderTest, rng: np.random.Generator) -> None:
        self.tested = tested
        inputs = tested.install(np.float64)
        before = {"inputs": copy.deepcopy(inputs), "parameters": [value.copy() for value in tested.values]}
        with _reported("forward"):
            output, cache = tested.forward(inputs)
        for part in as_list(output):
            if not np.isfinite(part).all():
                index = tuple(int(i) for i in np.argwhere(~np.isfinite(part))[0])
                raise _Stopped(
                    Row(
                        "forward",
                        False,
                        np.shape(part),
                        index,
                        diagnosis=f"the output is {np.asarray(part)[index]} there",
                    )
                )
        if not any(np.size(part) for part in as_list(output)):
            raise _Stopped(Row("forward", False, diagnosis="the output has no entries: there is nothing to check"))
        self.mutated = self._changes("forward", before, inputs)
        if not self.mutated:
            self._same_again(inputs, output)
        tested.draw_upstream(output, rng)
        before |= {
            "upstream": tested.upstream_as(np.float64),
            "cache": [(path, a.copy()) for path, a in arrays_in(cache, "")],
        }
        upstream = tested.upstream_as(np.float64)
        with _reported("backward"):
            # Copies: what backward returns may be views of arrays that a second call writes to.
            self.returned = copy.deepcopy(tested.layer.backward(upstream, cache))
        self.parameter_gradients = [np.array(p.grad) for _, p in tested.named_parameters]
        self.mutated += self._changes("backward", before, inputs, upstream, cache)

    def _same_again(self, inputs: Any, output: Any) -> None:
        """Stop where forward gives something else with the same inputs and the same generator."""
        tested = self.tested
        created = [
            name for name, p in tested.layer.named_parameters() if all(p is not q for _, q in tested.named_parameters)
        ]
        if created:
            what = f"forward created {', '.join(created)}: a layer's parameters are created in __init__"
            raise _Stopped(Row("forward", False, diagnosis=what))
        before = [dict(vars(part)) for _, part in tested.layer.named_layers()]
        with _reported("forward"):
            again, _ = tested.forward(inputs)
        if all(same(a, b) for a, b in zip(as_list(output), as_list(again))):
            return
        after = [vars(part) for _, part in tested.layer.named_layers()]
        if all(_is_same(a.get(name), b[name]) for a, b in zip(before, after) for name in b):
            what = "two calls with the same rng differ: forward must draw all its random numbers from that rng"
            raise _Stopped(Row("forward", False, diagnosis=what))

    def _changes(self, who: str, before: dict[str, Any], inputs: Any, upstream: Any = None, cache: Any = None) -> list:
        """Sentences for everything that is not what it was."""
        tested = self.tested
        pairs = [(name, a, b) for name, a, b in zip(tested.input_names, before["inputs"], inputs)]
        pairs += [
            (f"{name}.value", a, parameter.value)
            for (name, parameter), a in zip(tested.named_parameters, before["parameters"])
        ]
        if "upstream" in before:
            pairs += [("the upstream gradient", a, b) for a, b in zip(as_list(before["upstream"]), as_list(upstream))]
            pairs += [(f"cache[{path!r}]", a, b) for (path, a), (_, b) in zip(before["cache"], arrays_in(cache, ""))]
        changed = [name for name, a, b in pairs if isinstance(a, np.ndarray) and not same(a, b)]
        return [f"{who} changed {name} in place" for name in changed]

    def contract_checks(self, rng: np.random.Generator) -> Iterator[Row]:
        """One row for each part of the contract that every layer keeps besides right gradients."""
        yield Row("nothing is mutated", not self.mutated, diagnosis="; ".join(self.mutated))
        yield self._backward_twice()
        yield self._forward_in_between(rng)

    def _backward_twice(self) -> Row:
        tested, name = self.tested, "backward twice"
        _, cache = tested.forward(tested.install(np.float64))
        upstream = tested.upstream_as(np.float64)
        try:
            tested.layer.backward(upstream, cache)
            returned = as_list(tested.layer.backward(upstream, cache))
        except Exception as error:
            return Row(name, False, diagnosis=f"the second backward raised {_words(error)}")
        for (tensor, parameter), once in zip(tested.named_parameters, self.parameter_gradients):
            if once.shape != parameter.grad.shape or not _near(parameter.grad, 2.0 * once):
                assigned = np.any(once) and once.shape == parameter.grad.shape and _near(parameter.grad, once)
                why = "assigned where it must be added (grad +=, not grad =)" if assigned else "it added something else"
                return Row(
                    name, False, diagnosis=f"the second backward did not add its gradient of {tensor} again: {why}"
                )
        for slot, a, b in zip(tested.slots, as_list(self.returned), returned):
            if not _near(a, b):
                return Row(
                    name,
                    False,
                    diagnosis=f"the second backward returned another gradient of {tested.input_names[slot]}",
                )
        return Row(name, True)

    def _forward_in_between(self, rng: np.random.Generator) -> Row:
        """The layer is used twice before its backward: what it needs must be in the cache and not on itself."""
        tested, name = self.tested, "used twice"
        inputs = tested.install(np.float64)
        try:
            _, cache = tested.forward(inputs)
            try:
                tested.forward(tested.another(rng), tested.dropout_seed and tested.dropout_seed + 1)
            except Exception:  # other inputs may not suit this layer; then its very own do
                tested.forward(inputs)
            returned = as_list(tested.layer.backward(tested.upstream_as(np.float64), cache))
        except Exception as error:
            return Row(name, False, diagnosis=f"another forward before the backward, and it raised {_words(error)}")
        tensors = list(zip((tested.input_names[slot] for slot in tested.slots), as_list(self.returned), returned))
        tensors += [
            (tensor, once, parameter.grad)
            for (tensor, parameter), once in zip(tested.named_parameters, self.parameter_gradients)
        ]
        stale = [tensor for tensor, a, b in tensors if not _near(a, b)]
        why = f"another forward before the backward changes the gradient of {', '.join(stale)}: kept on the layer?"
        return Row(name, not stale, diagnosis=why if stale else "")


def _visible_weights(layer: Layer) -> Row:
    """Every number that could be trained must be a `Parameter` that `named_parameters` finds, of floating numbers."""
    name = "the weights are parameters"
    for full, parameter in layer.named_parameters():
        if parameter.dtype.kind != "f":
            return Row(name, False, diagnosis=f"{full} has dtype {parameter.dtype}: weights are real floating numbers")
    for path, part in layer.named_layers():
        for inner, value in hidden_in(part):
            full = ".".join(filter(None, (path, inner)))
            if isinstance(value, (Layer, Parameter)):
                what = (
                    f"{full} is a {type(value).__name__} that the layer does not show: keep it in an attribute, or in "
                )
                what += "a list, tuple or dict that is one"
            else:
                what = f"{full} is a float array: make it a Parameter, or, if it is a constant, read-only "
                what += "(array.flags.writeable = False)"
            return Row(name, False, diagnosis=what)
    return Row(name, True)


def _tensor_rows(
    tested: LayerUnderTest, got: list[Any], method: str, tolerance: float, frozen: set[str]
) -> Iterator[Row]:
    wanted: list[Any] = []
    for i, name in enumerate(tested.names):
        try:
            wanted.append(tested.numerical_gradient(i, method))
        except Exception as error:
            way = " in complex numbers; method='central' does without them" if method == "complex" else ""
            yield Row(name, False, diagnosis=f"forward raised {_words(error)}{way}")
            wanted.append(None)
    floor = FLOOR * max((largest(gradient) for gradient in wanted if gradient is not None), default=0.0)
    failed = 0
    for i, name in enumerate(tested.names):
        if wanted[i] is None:
            continue
        if i >= len(tested.slots) and name in frozen:
            still = not np.any(got[i])
            what = "frozen: its gradient stays zero" if still else "it is frozen, and backward gave it a gradient"
            yield Row(name, still, wanted[i].shape, diagnosis=what)
            continue
        row = _incomparable(name, got[i], wanted[i])
        if row is None:
            got[i] = np.asarray(got[i])
            gradient = WrongGradient(tested, i, got, wanted, method)  # it may be: that is what is found out now
            row = _compared(gradient, tolerance, floor, thorough=failed < MOST_DIAGNOSES)
        failed += not row.passed
        yield row


def _incomparable(name: str, mine: Any, right: Array) -> Row | None:
    """The row of a gradient that is not an array of finite numbers in the right shape."""
    sentence = ""
    if mine is None:
        sentence = "backward returned nothing for it"
    elif not isinstance(mine, (np.ndarray, np.number)):
        sentence = f"backward gave a {type(mine).__name__}, not an array"
    elif np.shape(mine) != right.shape:
        sentence = _wrong_shape(np.asarray(mine), right)
    elif mine.dtype.kind != "f":
        sentence = f"its gradient is of dtype {mine.dtype}"
    elif not (finite := np.isfinite(mine)).all():
        mine, index = np.asarray(mine), _index(np.argmin(finite), right.shape)
        sentence = f"{int((~finite).sum())} of {mine.size} entries are not finite, the first at {index}"
        return Row(name, False, right.shape, index, float(mine[index]), float(right[index]), np.inf, sentence)
    return Row(name, False, right.shape, diagnosis=sentence) if sentence else None


def _compared(gradient: WrongGradient, tolerance: float, floor: float, thorough: bool) -> Row:
    name, mine, right = gradient.name, gradient.mine, gradient.right
    if not right.size:
        return Row(
            name, False, right.shape, diagnosis="it has no entries, so there is nothing to check: give at least one"
        )
    difference = np.abs(mine - right)
    index = _index(np.argmax(difference), right.shape)
    error = float(difference.max() / (max(largest(right), floor) or 1.0))
    passed = error <= tolerance
    sentence = "" if passed else diagnose(gradient, thorough)
    if passed and not right.any():
        sentence = "note: the output does not depend on it; its gradient is zero, as it must be"
    return Row(name, passed, right.shape, index, float(mine[index]), float(right[index]), error, sentence)


def _index(place: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The index of the place-th entry of an array of this shape."""
    return tuple(int(n) for n in np.unravel_index(place, shape))


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


def _returned(tested: LayerUnderTest, returned: Any) -> Row:
    """One input: one array; several: a tuple; none: None."""
    name, wanted = "what backward returns", len(tested.slots)
    names = ", ".join(tested.input_names[slot] for slot in tested.slots)
    if wanted == 0 and returned is not None:
        return Row(name, False, diagnosis="there is no input to differentiate, so it must return None")
    if wanted == 1 and isinstance(returned, (tuple, list)):
        return Row(
            name,
            False,
            diagnosis=f"a {type(returned).__name__} of {len(returned)}: it must return one array, for {names}",
        )
    if wanted > 1 and not isinstance(returned, tuple):
        return Row(
            name, False, diagnosis=f"a {type(returned).__name__}: it must return a tuple of {wanted}, for {names}"
        )
    if wanted > 1 and len(returned) != wanted:
        return Row(name, False, diagnosis=f"{len(returned)} gradients: it must return {wanted}, for {names}")
    doubled = [n for n, times in Counter(name for name, _ in tested.named_parameters).items() if times > 1]
    if doubled:
        return Row("parameter names", False, diagnosis=f"several parameters are called {', '.join(doubled)}")
    return Row(name, True)


def _layer_unchanged(tested: LayerUnderTest, attributes: list[tuple[str, Layer, dict[str, Any]]]) -> Row:
    for path, part, before in attributes:
        now = vars(part)
        for name in [*before, *now]:
            if name not in before or name not in now or not _is_same(before[name], now[name]):
                where = ".".join(filter(None, (path, name)))
                what = f"a call wrote to self ({where}): what a call computes belongs in the cache"
                return Row("the layer stays as it is", False, diagnosis=what)
    return Row("the layer stays as it is", True)


def _float32(tested: LayerUnderTest) -> Row:
    """In float32 nothing is computed in float64 by accident."""
    name = "float32 stays float32"
    try:
        inputs = tested.install(np.float32)
        output, cache = tested.forward(inputs)
        returned = tested.layer.backward(tested.upstream_as(np.float32), cache)
    except Exception as error:
        return Row(name, False, diagnosis=f"in float32 it raised {_words(error)}")
    tensors = [("the output", y) for y in as_list(output)]
    tensors += [(f"cache[{path!r}]", a) for path, a in arrays_in(cache, "")]
    tensors += [
        (f"the gradient of {tested.input_names[slot]}", dx) for slot, dx in zip(tested.slots, as_list(returned))
    ]
    tensors += [(f"the gradient of {tensor}", p.grad) for tensor, p in tested.named_parameters]
    dtypes = [(what, np.asarray(a).dtype) for what, a in tensors]
    wide = [f"{what} is {dtype}" for what, dtype in dtypes if dtype.kind in "fc" and dtype != np.float32]
    return Row(name, not wide, diagnosis=f"a dtype change: {', '.join(wide[:4])}" if wide else "")


@contextmanager
def _reported(who: str) -> Iterator[None]:
    """Turn an exception that the layer raises into a row."""
    try:
        yield
    except Exception as error:
        raise _Stopped(Row(who, False, diagnosis=f"it raised {_words(error)}")) from error


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _near(a: Any, b: Any) -> bool:
    if a is None or b is None or np.shape(a) != np.shape(b):
        return a is b
    a, b = np.asarray(a), np.asarray(b)
    return same(a, b) or bool(largest(a - b) <= 1e-12 * max(largest(a), 1e-3))


def _is_same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    plain = (int, float, str, bool, tuple)
    return isinstance(a, plain) and isinstance(b, plain) and type(a) is type(b) and a == b
