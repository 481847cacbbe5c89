"""Exercises of lesson 00: the chain rule for arrays, a loss, gradient descent, and how a gradient is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...layers import Array
from ...verify import complex_step
from ..exercise import Exercise


def chain_backward(a: Array, b: Array, c: Array) -> tuple[Array, Array, Array]:
    """The gradients of a, b and c, when f = (a b + c)^2, entry by entry.

    a, b and c (N,) -> da (N,), db (N,), dc (N,).
    """
    u = a * b + c
    du = 2.0 * u
    da = du * b
    db = du * a
    dc = du
    return da, db, dc


def dense_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """The gradients of x, w and b, when y = x w + b.

    dy (N, E), x (N, D), w (D, E) -> dx (N, D), dw (D, E), db (E,).
    """
    dx = dy @ w.T
    dw = x.T @ dy
    db = dy.sum(axis=0)
    return dx, dw, db


def loss_steps_backward(
    powers: Array, total: Array, p: Array, targets: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """The gradient of every step of softmax and cross-entropy:

    powers = exp(logits), total = their sum, inverse = 1 / total, p = powers * inverse,
    picked = p[n, targets[n]], loss = -mean(log(picked)).

    powers (N, V), total (N, 1), p (N, V), targets (N,) integers
    -> d_picked (N,), d_p (N, V), d_inverse (N, 1), d_total (N, 1), d_powers (N, V), d_logits (N, V).
    """
    N = len(p)
    rows = np.arange(N)
    d_picked = -1.0 / (N * p[rows, targets])
    d_p = np.zeros_like(p)
    d_p[rows, targets] = d_picked
    d_inverse = (d_p * powers).sum(axis=1, keepdims=True)
    d_total = -d_inverse / total**2
    d_powers = d_p / total + d_total
    d_logits = d_powers * powers
    return d_picked, d_p, d_inverse, d_total, d_powers, d_logits


def loss_backward(p: Array, targets: Array) -> Array:
    """The gradient of the logits, when p = softmax(logits) and the loss is the mean of -log p[n, targets[n]].

    p (N, V), targets (N,) integers -> d_logits (N, V).
    """
    d_logits = p.copy()
    d_logits[np.arange(len(p)), targets] -= 1.0
    return d_logits / len(p)


def central_difference(f: Callable[[Array], Any], x: Array, h: float) -> Array:
    """The gradient of f at x by central differences: for each entry (f(x + h) - f(x - h)) / (2 h), all others fixed.

    f takes an array of x's shape and returns one number; x of any shape, h a small number -> (the shape of x).
    """
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        gradient[i] = (f(x + step) - f(x - step)) / (2.0 * h)
    return gradient


def descend(x: Array, targets: Array, w: Array, b: Array, rate: float, steps: int) -> tuple[Array, Array]:
    """Train logits = x w + b with softmax and cross-entropy, a mean over the N rows: `steps` times, take
    rate * gradient away from w and b. The arrays that are given stay as they are.

    x (N, D), targets (N,) integers, w (D, V), b (V,), rate and steps numbers
    -> w (D, V), b (V,) after the last step.
    """
    rows = np.arange(len(x))
    for _ in range(steps):
        powers = np.exp(x @ w + b)
        d_logits = powers / powers.sum(axis=1, keepdims=True)
        d_logits[rows, targets] -= 1.0
        d_logits /= len(x)
        w = w - rate * (x.T @ d_logits)
        b = b - rate * d_logits.sum(axis=0)
    return w, b


def two_uses_backward(
    d_logits: Array, h: Array, g: Array, w_a: Array, w_b: Array, w_c: Array
) -> tuple[Array, Array, Array, Array]:
    """The gradients of h and of three weights, when g = tanh(h w_b) and logits = h w_a + g w_c.

    d_logits (N, V), h (N, D), g (N, E), w_a (D, V), w_b (D, E), w_c (E, V)
    -> dh (N, D), d_w_a (D, V), d_w_b (D, E), d_w_c (E, V).
    """
    d_w_a = h.T @ d_logits
    dh = d_logits @ w_a.T
    d_w_c = g.T @ d_logits
    d_sum = (d_logits @ w_c.T) * (1.0 - g**2)
    d_w_b = h.T @ d_sum
    dh = dh + d_sum @ w_b.T
    return dh, d_w_a, d_w_b, d_w_c


# Wrong answers, each of which a check must reject.


def _without_square(a: Array, b: Array, c: Array) -> tuple[Array, Array, Array]:
    """The slope of the square is missing: the gradients are those of a b + c."""
    return b.copy(), a.copy(), np.ones_like(c)


def _own_factor(a: Array, b: Array, c: Array) -> tuple[Array, Array, Array]:
    """In a product each factor gets the OTHER one times what comes from above, and not itself."""
    dc = chain_backward(a, b, c)[2]
    return dc * a, dc * b, dc


def _square_of_ab(a: Array, b: Array, c: Array) -> tuple[Array, Array, Array]:
    """The slope of the square is taken at a b, without c."""
    du = 2.0 * (a * b)
    return du * b, du * a, du


def _dense_mean(dy: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """Averages the gradients of w and b over the rows, where they add; the loss has divided already."""
    dx, dw, db = dense_backward(dy, x, w)
    return dx, dw / len(x), db / len(x)


def _bias_of_one_row(dy: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """The bias was added to every row: its gradient is a sum over rows, and not the first row."""
    dx, dw, _ = dense_backward(dy, x, w)
    return dx, dw, dy[0].copy()


def _dw_transposed(dy: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """dy^T x is the transpose of the gradient of w: a gradient has the shape of what it belongs to."""
    dx, dw, db = dense_backward(dy, x, w)
    return dx, dw.T, db


def _bias_summed_over_features(dy: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """db is summed over the features, where it must be summed over the rows."""
    dx, dw, _ = dense_backward(dy, x, w)
    return dx, dw, dy.sum(axis=1)


_Steps = tuple[Array, Array, Array, Array, Array, Array]


def _sum_forgotten(powers: Array, total: Array, p: Array, targets: Array) -> _Steps:
    """The path through the total is missing: every power is in the sum that all are divided by."""
    d_picked, d_p, d_inverse, d_total, _, _ = loss_steps_backward(powers, total, p, targets)
    return d_picked, d_p, d_inverse, d_total, d_p / total, d_p / total * powers


def _sign_of_inverse(powers: Array, total: Array, p: Array, targets: Array) -> _Steps:
    """The slope of 1 / total is -1 / total^2: the minus is missing."""
    d_picked, d_p, d_inverse, d_total, _, _ = loss_steps_backward(powers, total, p, targets)
    d_powers = d_p / total - d_total
    return d_picked, d_p, d_inverse, -d_total, d_powers, d_powers * powers


def _not_averaged(powers: Array, total: Array, p: Array, targets: Array) -> _Steps:
    """The loss is a mean over the N rows: the factor 1/N is missing."""
    a, b, c, d, e, f = (part * len(p) for part in loss_steps_backward(powers, total, p, targets))
    return a, b, c, d, e, f


def _every_entry_picked(powers: Array, total: Array, p: Array, targets: Array) -> _Steps:
    """d_p is -1/(N p) in every entry; only the targets' entries were picked, all others have a gradient of zero."""
    d_picked = loss_steps_backward(powers, total, p, targets)[0]
    d_p = -1.0 / (len(p) * p)
    d_inverse = (d_p * powers).sum(axis=1, keepdims=True)
    d_total = -d_inverse / total**2
    d_powers = d_p / total + d_total
    return d_picked, d_p, d_inverse, d_total, d_powers, d_powers * powers


def _loss_summed(p: Array, targets: Array) -> Array:
    """The gradient of the sum of the rows' losses: the loss is their mean, so divide by N."""
    return loss_backward(p, targets) * len(p)


def _loss_without_target(p: Array, targets: Array) -> Array:
    """Nothing is taken away at the targets: that lowers every logit, the right one too."""
    return p / len(p)


def _loss_climbs(p: Array, targets: Array) -> Array:
    """onehot - p: that is the direction in which the loss falls, the gradient points the other way."""
    return -loss_backward(p, targets)


def _slope_at_targets_alone(p: Array, targets: Array) -> Array:
    """Only the targets' entries are filled; the other logits are in the sum below and have a gradient too."""
    gradient = np.zeros_like(p)
    rows = np.arange(len(p))
    gradient[rows, targets] = loss_backward(p, targets)[rows, targets]
    return gradient


def _one_sided(f: Callable[[Array], Any], x: Array, h: float) -> Array:
    """(f(x + h) - f(x)) / h is one-sided: its error is of the order of h, that of the central one of h^2."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        gradient[i] = (f(x + step) - f(x)) / h
    return gradient


def _divided_by_h(f: Callable[[Array], Any], x: Array, h: float) -> Array:
    """Divides by h, but the two points are 2 h apart."""
    return 2.0 * central_difference(f, x, h)


def _all_entries_move(f: Callable[[Array], Any], x: Array, h: float) -> Array:
    """Moves all entries at once: that is the slope in one direction, and not a gradient."""
    return np.full_like(x, (f(x + h) - f(x - h)) / (2.0 * h))


def _climbs(x: Array, targets: Array, w: Array, b: Array, rate: float, steps: int) -> tuple[Array, Array]:
    """Adds the gradient: the loss climbs. It must be taken away."""
    return descend(x, targets, w, b, -rate, steps)


def _one_step(x: Array, targets: Array, w: Array, b: Array, rate: float, steps: int) -> tuple[Array, Array]:
    """Takes one step only: the loop ends, or returns, too early."""
    return descend(x, targets, w, b, rate, 1)


def _bias_stays(x: Array, targets: Array, w: Array, b: Array, rate: float, steps: int) -> tuple[Array, Array]:
    """The bias is never updated."""
    for _ in range(steps):
        w, _ = descend(x, targets, w, b, rate, 1)
    return w, b.copy()


def _gradient_of_the_start(
    x: Array, targets: Array, w: Array, b: Array, rate: float, steps: int
) -> tuple[Array, Array]:
    """Every step uses the gradient of the first weights: it must be computed anew in each."""
    return descend(x, targets, w, b, rate * steps, 1)


_Four = tuple[Array, Array, Array, Array]


def _second_use_alone(d_logits: Array, h: Array, g: Array, w_a: Array, w_b: Array, w_c: Array) -> _Four:
    """dh is assigned twice, so that the second use overwrites the first; what is used twice gets the sum."""
    d_w_a = h.T @ d_logits
    dh = d_logits @ w_a.T
    d_w_c = g.T @ d_logits
    d_sum = (d_logits @ w_c.T) * (1.0 - g**2)
    d_w_b = h.T @ d_sum
    dh = d_sum @ w_b.T
    return dh, d_w_a, d_w_b, d_w_c


def _first_use_alone(d_logits: Array, h: Array, g: Array, w_a: Array, w_b: Array, w_c: Array) -> _Four:
    """dh by the direct path alone: h also reached the loss through g."""
    _, *d_weights = two_uses_backward(d_logits, h, g, w_a, w_b, w_c)
    return d_logits @ w_a.T, d_weights[0], d_weights[1], d_weights[2]


def _uses_averaged(d_logits: Array, h: Array, g: Array, w_a: Array, w_b: Array, w_c: Array) -> _Four:
    """Averages the two uses, where their gradients add."""
    dh, *d_weights = two_uses_backward(d_logits, h, g, w_a, w_b, w_c)
    return 0.5 * dh, d_weights[0], d_weights[1], d_weights[2]


# Inputs, and the same gradients by complex step.


def _cubic(x: Array) -> Any:
    return (x**3).sum() + x.ravel()[0] * x.ravel()[-1]


def _waves(x: Array) -> Any:
    return np.sin(x).sum() * np.exp(x).mean()


def _chain_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [tuple(rng.standard_normal((3, n))) for n in (3, 5)]


def _dense_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    sizes = ((3, 5, 7), (11, 3, 2))
    return [tuple(rng.standard_normal(shape) for shape in ((N, E), (N, D), (D, E))) for N, D, E in sizes]


def _softmax_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for N, V in ((3, 5), (7, 2)):
        powers = np.exp(rng.standard_normal((N, V)))
        total = powers.sum(axis=1, keepdims=True)
        cases.append((powers, total, powers / total, rng.integers(0, V, N)))
    return cases


def _loss_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [case[2:] for case in _softmax_cases(rng)]


def _difference_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(_cubic, rng.standard_normal((2, 3)), 1e-2), (_waves, rng.standard_normal(5), 1e-3)]


def _descend_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((N, D)), rng.integers(0, V, N), *_start(rng, D, V), 0.5, steps)
        for N, D, V, steps in ((5, 2, 3, 4), (7, 3, 2, 7))
    ]


def _start(rng: np.random.Generator, D: int, V: int) -> tuple[Array, Array]:
    return rng.standard_normal((D, V)), rng.standard_normal(V)


def _two_uses_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for N, D, E, V in ((3, 5, 7, 2), (7, 2, 3, 5)):
        h, w_a, w_b, w_c = (rng.standard_normal(shape) for shape in ((N, D), (D, V), (D, E), (E, V)))
        cases.append((rng.standard_normal((N, V)), h, np.tanh(h @ w_b), w_a, w_b, w_c))
    return cases


def _chain_reference(a: Array, b: Array, c: Array) -> tuple[Array, ...]:
    def f(a: Array, b: Array, c: Array) -> Any:
        return ((a * b + c) ** 2).sum()

    return (
        complex_step(lambda z: f(z, b, c), a),
        complex_step(lambda z: f(a, z, c), b),
        complex_step(lambda z: f(a, b, z), c),
    )


def _dense_reference(dy: Array, x: Array, w: Array) -> tuple[Array, ...]:
    def f(x: Array, w: Array, b: Array) -> Any:
        return (dy * (x @ w + b)).sum()

    b = np.zeros(w.shape[1])
    return (
        complex_step(lambda z: f(z, w, b), x),
        complex_step(lambda z: f(x, z, b), w),
        complex_step(lambda z: f(x, w, z), b),
    )


def _steps_reference(powers: Array, total: Array, p: Array, targets: Array) -> tuple[Array, ...]:
    rows = np.arange(len(p))

    def of_picked(picked: Array) -> Any:
        return -np.log(picked).sum() / len(picked)

    def of_p(p: Array) -> Any:
        return of_picked(p[rows, targets])

    def of_powers(powers: Array) -> Any:
        return of_p(powers / powers.sum(axis=1, keepdims=True))

    return (
        complex_step(of_picked, p[rows, targets]),
        complex_step(of_p, p),
        complex_step(lambda inverse: of_p(powers * inverse), 1.0 / total),
        complex_step(lambda total: of_p(powers / total), total),
        complex_step(of_powers, powers),
        complex_step(lambda logits: of_powers(np.exp(logits)), np.log(powers)),
    )


def _loss_reference(p: Array, targets: Array) -> Array:
    return _steps_reference(p, np.ones((len(p), 1)), p, targets)[-1]


def _two_uses_reference(d_logits: Array, h: Array, g: Array, w_a: Array, w_b: Array, w_c: Array) -> tuple[Array, ...]:
    def f(h: Array, w_a: Array, w_b: Array, w_c: Array) -> Any:
        return (d_logits * (h @ w_a + np.tanh(h @ w_b) @ w_c)).sum()

    return (
        complex_step(lambda z: f(z, w_a, w_b, w_c), h),
        complex_step(lambda z: f(h, z, w_b, w_c), w_a),
        complex_step(lambda z: f(h, w_a, z, w_c), w_b),
        complex_step(lambda z: f(h, w_a, w_b, z), w_c),
    )


def _class_as_number(p: Array, targets: Array) -> Array:
    """The number of the class is taken away; it must be a one-hot row: 1 is taken away at the right class alone."""
    return (p - targets[:, None]) / len(p)


def _whole_columns(p: Array, targets: Array) -> Array:
    """`p[:, targets] -= 1` takes 1 away in whole columns; of each row only the entry [n, targets[n]] is meant."""
    d_logits = p.copy()
    d_logits[:, targets] -= 1.0
    return d_logits / len(p)


def _descend_sum(x: Array, targets: Array, w: Array, b: Array, rate: float, steps: int) -> tuple[Array, Array]:
    """The gradient of the sum over the rows, not of their mean: the steps are N times too long."""
    return descend(x, targets, w, b, rate * len(x), steps)


EXERCISES = [
    Exercise(
        name="chain_backward",
        lesson="00",
        difficulty=1,
        importance=5,
        minutes=4,
        title="The chain rule, once",
        solution=chain_backward,
        cases=_chain_cases,
        wrong=(_without_square, _own_factor, _square_of_ab),
        hints=(
            "Give the inside a name, u = a b + c. Then f = u^2: first find du, then go on to a, b and c.",
            "du = 2 u. In a product each factor gets the other factor times what comes from above.",
            "da = du * b, db = du * a, dc = du.",
        ),
        backward=True,
        reference=_chain_reference,
    ),
    Exercise(
        name="dense_backward",
        lesson="00",
        difficulty=2,
        importance=5,
        minutes=8,
        package=("Linear.backward", "Dense.backward"),
        title="Back through a dense layer",
        solution=dense_backward,
        cases=_dense_cases,
        wrong=(_dense_mean, _bias_of_one_row, _dw_transposed, _bias_summed_over_features),
        hints=(
            "Let the shapes decide. dw has the shape of w, (D, E): which product of x (N, D) and dy (N, E) has it?",
            "dx (N, D) needs dy (N, E) times something (E, D). The bias was added to each of the N rows.",
            "dx = dy @ w.T, dw = x.T @ dy, db = dy.sum(axis=0).",
        ),
        backward=True,
        reference=_dense_reference,
    ),
    Exercise(
        name="loss_steps_backward",
        lesson="00",
        difficulty=3,
        importance=4,
        minutes=14,
        title="Softmax and cross-entropy, step by step",
        solution=loss_steps_backward,
        cases=_softmax_cases,
        wrong=(_sum_forgotten, _sign_of_inverse, _not_averaged, _every_entry_picked),
        hints=(
            "One line a name, from the last to the first. -log(x) / N has the slope -1 / (N x). Only N entries of p "
            "were picked: start d_p with zeros.",
            "p = powers * inverse: inverse was used in all entries of a row, so d_inverse is a sum over the row. "
            "1 / total has the slope -1 / total^2.",
            "powers were used twice: d_powers = d_p / total + d_total. And the slope of exp is exp itself.",
        ),
        backward=True,
        reference=_steps_reference,
    ),
    Exercise(
        name="loss_backward",
        lesson="00",
        difficulty=2,
        importance=5,
        minutes=5,
        package=("CrossEntropy.backward",),
        title="The same in one line",
        solution=loss_backward,
        cases=_loss_cases,
        wrong=(
            _loss_summed,
            _loss_without_target,
            _loss_climbs,
            _slope_at_targets_alone,
            _class_as_number,
            _whole_columns,
        ),
        hints=(
            "Write loss = log(total) - logit[target] for one row, and take the derivative by one logit.",
            "The derivative of log(total) by logit v is p[v]. That of -logit[target] is -1 at the target, 0 elsewhere.",
            "Take 1 away from p at [n, targets[n]] in a copy, and divide by N.",
        ),
        backward=True,
        reference=_loss_reference,
    ),
    Exercise(
        name="central_difference",
        lesson="00",
        difficulty=2,
        importance=4,
        minutes=8,
        title="A gradient without calculus",
        solution=central_difference,
        cases=_difference_cases,
        wrong=(_one_sided, _divided_by_h, _all_entries_move),
        hints=(
            "One entry of the gradient needs two values of f. Loop over the entries.",
            "np.ndindex(x.shape) gives every index. Do not change x: add an array that is zero but for one entry.",
            "gradient[i] = (f(x + step) - f(x - step)) / (2 * h), where step is zeros with step[i] = h.",
        ),
        backward=False,
    ),
    Exercise(
        name="descend",
        lesson="00",
        difficulty=2,
        importance=5,
        minutes=8,
        title="Training in ten lines",
        solution=descend,
        cases=_descend_cases,
        wrong=(_climbs, _one_step, _bias_stays, _gradient_of_the_start, _descend_sum),
        hints=(
            "In each step: logits, softmax, d_logits (you have written it), the gradients of w and b, the update.",
            "dw and db are those of dense_backward. Nobody needs dx here: x is not trained.",
            "w = w - rate * (x.T @ d_logits), and the same for b. `w -= ...` would change the array you were given.",
        ),
        backward=False,
    ),
    Exercise(
        name="two_uses_backward",
        lesson="00",
        difficulty=2,
        importance=5,
        minutes=6,
        title="Find the bug",
        solution=two_uses_backward,
        cases=_two_uses_cases,
        wrong=(_second_use_alone, _first_use_alone, _uses_averaged),
        broken=_second_use_alone,
        hints=(
            "Which of the four gradients is wrong? Compare each with `central_difference`.",
            "h is used twice. Count the lines that make dh.",
            "The second of them must add to what the first has found.",
        ),
        backward=True,
        reference=_two_uses_reference,
    ),
]
