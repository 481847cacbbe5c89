"""Exercises of lesson 06: a residual connection and two norms, forward and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array, Chain, Glorot, LayerNorm, Linear, Parameter, Residual, RMSNorm, Tanh
from ...verify import complex_step
from ..exercise import Exercise


def residual_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """The gradients of x and w, when y = x + tanh(x w).

    dy and x (B, T, D), w (D, D) -> dx (B, T, D), dw (D, D).
    """
    D = x.shape[-1]
    d_sum = dy * (1.0 - np.tanh(x @ w) ** 2)
    dw = x.reshape(-1, D).T @ d_sum.reshape(-1, D)
    dx = dy + d_sum @ w.T
    return dx, dw


def layer_norm(x: Array, gain: Array, shift: Array, eps: float) -> Array:
    """Normalize each position's vector to mean 0 and variance 1, then scale and shift each feature.

    x (B, T, D), gain and shift (D,), eps a small number under the root -> (B, T, D).
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return gain * centred / np.sqrt(variance + eps) + shift


_Nine = tuple[Array, Array, Array, Array, Array, Array, Array, Array, Array]


def layer_norm_steps_backward(dy: Array, centred: Array, std: Array, gain: Array) -> _Nine:
    """Every gradient of layer normalization, for N rows of D features: mean, centred = x - mean,
    variance = mean(centred^2), std = sqrt(variance + eps), inverse = 1 / std, x_hat = centred * inverse,
    y = gain * x_hat + shift.

    dy and centred (N, D), std (N, 1), gain (D,)
    -> d_shift (D,), d_gain (D,), d_hat (N, D), d_inverse (N, 1), d_std (N, 1), d_variance (N, 1), d_centred (N, D),
    d_mean (N, 1), dx (N, D).
    """
    D = dy.shape[-1]
    d_shift = dy.sum(axis=0)
    d_gain = (dy * centred / std).sum(axis=0)
    d_hat = dy * gain
    d_inverse = (d_hat * centred).sum(axis=-1, keepdims=True)
    d_std = -d_inverse / std**2
    d_variance = 0.5 * d_std / std
    d_centred = d_hat / std + d_variance * 2.0 * centred / D
    d_mean = -d_centred.sum(axis=-1, keepdims=True)
    dx = d_centred + d_mean / D
    return d_shift, d_gain, d_hat, d_inverse, d_std, d_variance, d_centred, d_mean, dx


def layer_norm_backward(dy: Array, x_hat: Array, inv_std: Array, gain: Array) -> tuple[Array, Array, Array]:
    """The gradients of x, gain and shift, when y = gain x_hat + shift and x_hat = (x - mean) inv_std.

    dy and x_hat (B, T, D), inv_std (B, T, 1) = 1 / sqrt(variance + eps), gain (D,)
    -> dx (B, T, D), d_gain (D,), d_shift (D,).
    """
    d_gain = (dy * x_hat).sum(axis=(0, 1))
    d_shift = dy.sum(axis=(0, 1))
    d_hat = dy * gain
    mean = d_hat.mean(axis=-1, keepdims=True)
    projection = x_hat * (d_hat * x_hat).mean(axis=-1, keepdims=True)
    dx = inv_std * (d_hat - mean - projection)
    return dx, d_gain, d_shift


def rms_norm_backward(dy: Array, x_hat: Array, inv_rms: Array, gain: Array) -> tuple[Array, Array]:
    """The gradients of x and gain, when y = gain x_hat and x_hat = x inv_rms, inv_rms = 1 / sqrt(mean(x^2) + eps).

    dy and x_hat (B, T, D), inv_rms (B, T, 1), gain (D,) -> dx (B, T, D), d_gain (D,).
    """
    D = dy.shape[-1]
    d_gain = (dy * x_hat).reshape(-1, D).sum(axis=0)
    d_hat = dy * gain
    along = (d_hat * x_hat).mean(axis=-1, keepdims=True)
    dx = inv_rms * (d_hat - x_hat * along)
    return dx, d_gain


# Wrong answers, each of which a check must reject.


def _skip_forgotten(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """dx through the layer alone: the path of slope 1 around it is missing."""
    dx, dw = residual_backward(dy, x, w)
    return dx - dy, dw


def _layer_forgotten(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """dx around the layer alone: the path through it is missing."""
    return dy.copy(), residual_backward(dy, x, w)[1]


def _weight_sees_skip(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """dw with dy, not with the gradient behind tanh: the weight is inside the layer."""
    D = x.shape[-1]
    return residual_backward(dy, x, w)[0], x.reshape(-1, D).T @ dy.reshape(-1, D)


def _residual_untransposed(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Multiplies by w on the way back, where it must be w^T."""
    d_sum = dy * (1.0 - np.tanh(x @ w) ** 2)
    return dy + d_sum @ w, residual_backward(dy, x, w)[1]


def _over_positions(x: Array, gain: Array, shift: Array, eps: float) -> Array:
    """Mean and variance over the positions of a sentence; every vector is normalized by itself."""
    centred = x - x.mean(axis=1, keepdims=True)
    return gain * centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + eps) + shift


def _sample_variance(x: Array, gain: Array, shift: Array, eps: float) -> Array:
    """Divides by D - 1 in the variance; a norm describes these D numbers and estimates nothing: D."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).sum(axis=-1, keepdims=True) / (x.shape[-1] - 1)
    return gain * centred / np.sqrt(variance + eps) + shift


def _eps_on_deviation(x: Array, gain: Array, shift: Array, eps: float) -> Array:
    """Adds eps to the standard deviation, where it belongs to the variance, under the root."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return gain * centred / (np.sqrt((centred**2).mean(axis=-1, keepdims=True)) + eps) + shift


def _shift_is_scaled(x: Array, gain: Array, shift: Array, eps: float) -> Array:
    """Adds the shift before the gain, which then scales it too."""
    return gain * (layer_norm(x, np.ones_like(gain), shift, eps))


def _nine(dy: Array, centred: Array, std: Array, gain: Array, d_variance: Array, share: float) -> _Nine:
    """The rest of the chain from this gradient of the variance."""
    found = layer_norm_steps_backward(dy, centred, std, gain)
    d_centred = found[2] / std + d_variance * 2.0 * centred / dy.shape[-1]
    d_mean = -d_centred.sum(axis=-1, keepdims=True)
    return (*found[:4], 2.0 * d_variance * std, d_variance, d_centred, d_mean, d_centred + share * d_mean)


def _mean_counted_whole(dy: Array, centred: Array, std: Array, gain: Array) -> _Nine:
    """The mean's gradient goes back to the D features in parts of 1/D: the division is missing."""
    return _nine(dy, centred, std, gain, layer_norm_steps_backward(dy, centred, std, gain)[5], 1.0)


def _mean_has_no_gradient(dy: Array, centred: Array, std: Array, gain: Array) -> _Nine:
    """dx without the mean's part: the mean depends on x, too."""
    return _nine(dy, centred, std, gain, layer_norm_steps_backward(dy, centred, std, gain)[5], 0.0)


def _sign_of_std(dy: Array, centred: Array, std: Array, gain: Array) -> _Nine:
    """The slope of 1 / std is -1 / std^2: the minus is missing."""
    return _nine(dy, centred, std, gain, -layer_norm_steps_backward(dy, centred, std, gain)[5], 1.0 / dy.shape[-1])


def _statistics_are_constants(dy: Array, x_hat: Array, inv_std: Array, gain: Array) -> tuple[Array, Array, Array]:
    """Treats mean and variance as constants; both depend on x."""
    return dy * gain * inv_std, (dy * x_hat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


def _variance_is_constant(dy: Array, x_hat: Array, inv_std: Array, gain: Array) -> tuple[Array, Array, Array]:
    """Takes the mean away and forgets that the variance depends on x, too."""
    d_hat = dy * gain
    dx = inv_std * (d_hat - d_hat.mean(axis=-1, keepdims=True))
    return dx, (dy * x_hat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


def _gain_factored_out(dy: Array, x_hat: Array, inv_std: Array, gain: Array) -> tuple[Array, Array, Array]:
    """Multiplies by the gain at the end: right only while all gains are the same."""
    mean = dy.mean(axis=-1, keepdims=True)
    dx = gain * inv_std * (dy - mean - x_hat * (dy * x_hat).mean(axis=-1, keepdims=True))
    return dx, (dy * x_hat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


def _gain_mean(dy: Array, x_hat: Array, inv_std: Array, gain: Array) -> tuple[Array, Array, Array]:
    """Averages the gradients of gain and shift over sentences and positions, where they add."""
    dx, d_gain, d_shift = layer_norm_backward(dy, x_hat, inv_std, gain)
    return dx, d_gain / dy[..., 0].size, d_shift / dy[..., 0].size


def _rms_over_positions(dy: Array, x_hat: Array, inv_rms: Array, gain: Array) -> tuple[Array, Array]:
    """The mean over axis 1: those are the positions here. The features are the last axis, however many there are."""
    D = dy.shape[-1]
    d_gain = (dy * x_hat).reshape(-1, D).sum(axis=0)
    d_hat = dy * gain
    along = (d_hat * x_hat).mean(axis=1, keepdims=True)
    dx = inv_rms * (d_hat - x_hat * along)
    return dx, d_gain


def _rms_is_constant(dy: Array, x_hat: Array, inv_rms: Array, gain: Array) -> tuple[Array, Array]:
    """Treats the root mean square as a constant; it depends on x."""
    return dy * gain * inv_rms, (dy * x_hat).sum(axis=(0, 1))


def _rms_with_mean(dy: Array, x_hat: Array, inv_rms: Array, gain: Array) -> tuple[Array, Array]:
    """The backward of LayerNorm: RMSNorm takes no mean away, forward or back."""
    d_hat = dy * gain
    projection = x_hat * (d_hat * x_hat).mean(axis=-1, keepdims=True)
    return inv_rms * (d_hat - d_hat.mean(axis=-1, keepdims=True) - projection), (dy * x_hat).sum(axis=(0, 1))


def _rms_gain_factored_out(dy: Array, x_hat: Array, inv_rms: Array, gain: Array) -> tuple[Array, Array]:
    """Multiplies by the gain at the end: right only while all gains are the same."""
    dx = gain * inv_rms * (dy - x_hat * (dy * x_hat).mean(axis=-1, keepdims=True))
    return dx, (dy * x_hat).sum(axis=(0, 1))


def _rms_sum(dy: Array, x_hat: Array, inv_rms: Array, gain: Array) -> tuple[Array, Array]:
    """The sum over the features in place of their mean."""
    d_hat = dy * gain
    return inv_rms * (d_hat - x_hat * (d_hat * x_hat).sum(axis=-1, keepdims=True)), (dy * x_hat).sum(axis=(0, 1))


# Inputs, and the same gradients from the package's layers.

_SIZES = ((2, 3, 5), (3, 5, 7))  # B, T, D
_EPS = 0.1  # large enough to be seen where it is in the wrong place


def _residual_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((B, T, D)), rng.standard_normal((B, T, D)), rng.standard_normal((D, D)) * D**-0.5)
        for B, T, D in _SIZES
    ]


def _norm_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (2.0 * rng.standard_normal((B, T, D)) + 1.0, *(rng.standard_normal((2, D)) + 0.5), _EPS) for B, T, D in _SIZES
    ]


def _norm_backward_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for x, gain, _, eps in _norm_cases(rng):
        centred = x - x.mean(axis=-1, keepdims=True)
        inv_std = 1.0 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
        cases.append((rng.standard_normal(x.shape), centred * inv_std, inv_std, gain))
    return cases


def _steps_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for N, D in ((3, 5), (7, 4)):
        x, dy = rng.standard_normal((2, N, D))
        centred = x - x.mean(axis=-1, keepdims=True)
        std = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPS)
        cases.append((dy, centred, std, rng.standard_normal(D) + 0.5))
    return cases


def _rms_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for x, gain, _, eps in _norm_cases(rng):
        inv_rms = 1.0 / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
        cases.append((rng.standard_normal(x.shape), x * inv_rms, inv_rms, gain))
    return cases


def _residual_reference(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    linear = Linear(len(w), len(w), np.random.default_rng(0))
    linear.weight = Parameter(w.copy())
    layer = Residual(Chain(linear=linear, tanh=Tanh()))
    dx = layer.backward(dy, layer.forward(x)[1])
    return dx, linear.weight.grad


def _layer_norm_reference(x: Array, gain: Array, shift: Array, eps: float) -> Array:
    layer = LayerNorm(len(gain), np.random.default_rng(0), eps)
    layer.gain.value, layer.bias.value = gain, shift
    return layer(x)


def _steps_reference(dy: Array, centred: Array, std: Array, gain: Array) -> tuple[Array, ...]:
    """Each by a complex step of what follows it; x is what was centred, since its mean is zero."""

    def of_hat(x_hat: Array, gain: Array = gain, shift: Any = 0.0) -> Any:
        return (dy * (gain * x_hat + shift)).sum()

    def of_centred(centred: Array) -> Any:
        return of_hat(centred / np.sqrt((centred**2).sum(axis=-1, keepdims=True) / dy.shape[-1] + _EPS))

    x_hat, D = centred / std, dy.shape[-1]
    return (
        complex_step(lambda z: of_hat(x_hat, shift=z), np.zeros(D)),
        complex_step(lambda z: of_hat(x_hat, gain=z), gain),
        complex_step(of_hat, x_hat),
        complex_step(lambda z: of_hat(centred * z), 1.0 / std),
        complex_step(lambda z: of_hat(centred / z), std),
        complex_step(lambda z: of_hat(centred / np.sqrt(z + _EPS)), std**2 - _EPS),
        complex_step(of_centred, centred),
        complex_step(lambda z: of_centred(centred - z), np.zeros((len(dy), 1))),
        complex_step(lambda z: of_centred(z - z.sum(axis=-1, keepdims=True) / D), centred),
    )


def _layer_norm_backward_reference(dy: Array, x_hat: Array, inv_std: Array, gain: Array) -> tuple[Array, Array, Array]:
    layer = LayerNorm(len(gain), Glorot(np.random.default_rng(0), np.float64), _EPS)
    layer.gain.value = gain
    dx = layer.backward(dy, layer.forward(x_hat / inv_std)[1])  # an x that has these x_hat and inv_std
    return dx, layer.gain.grad, layer.bias.grad


def _rms_norm_reference(dy: Array, x_hat: Array, inv_rms: Array, gain: Array) -> tuple[Array, Array]:
    layer = RMSNorm(len(gain), Glorot(np.random.default_rng(0), np.float64), _EPS)
    layer.gain.value = gain
    dx = layer.backward(dy, layer.forward(x_hat / inv_rms)[1])
    return dx, layer.gain.grad


def _over_sentences(x: Array, gain: Array, shift: Array, eps: float) -> Array:
    """Mean and variance run over the sentences of the batch; they are those of one position's D numbers."""
    return gain * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + shift


def _over_whole_sentences(x: Array, gain: Array, shift: Array, eps: float) -> Array:
    """Mean and variance run over the whole sentence; they are those of one position's D numbers."""
    variance = x.var(axis=(1, 2), keepdims=True)
    return gain * (x - x.mean(axis=(1, 2), keepdims=True)) / np.sqrt(variance + eps) + shift


def _one_path_to_centred(dy: Array, centred: Array, std: Array, gain: Array) -> _Nine:
    """d_centred by x_hat alone; the variance was computed from centred, too."""
    *before, _, d_mean, dx = layer_norm_steps_backward(dy, centred, std, gain)
    return *before, before[2] / std, d_mean, dx


EXERCISES = [
    Exercise(
        name="residual_backward",
        lesson="06",
        difficulty=2,
        importance=5,
        minutes=10,
        package=("Residual.backward",),
        title="Back through a residual connection",
        solution=residual_backward,
        cases=_residual_cases,
        wrong=(_skip_forgotten, _layer_forgotten, _weight_sees_skip, _residual_untransposed),
        hints=(
            "x reaches y by two paths, around the layer and through it, so dx is a sum of two gradients.",
            "Around: dy itself. Through: d_sum = dy (1 - tanh^2), then d_sum w^T. The weight is on the second path "
            "only.",
            "dx = dy + d_sum @ w.T; dw = (rows of x).T @ (rows of d_sum), with reshape(-1, D).",
        ),
        backward=True,
        reference=_residual_reference,
    ),
    Exercise(
        name="layer_norm",
        lesson="06",
        difficulty=2,
        importance=5,
        minutes=10,
        package=("LayerNorm.forward",),
        title="Layer normalization",
        solution=layer_norm,
        cases=_norm_cases,
        wrong=(
            _over_positions,
            _sample_variance,
            _eps_on_deviation,
            _shift_is_scaled,
            _over_sentences,
            _over_whole_sentences,
        ),
        hints=(
            "Mean and variance are those of ONE vector: over the last axis, whatever else is in the batch.",
            "keepdims=True keeps an axis of length 1, so that the mean (B, T, 1) can be subtracted from x (B, T, D). "
            "The variance is the mean of the squares of what is left.",
            "gain * centred / np.sqrt(variance + eps) + shift.",
        ),
        backward=False,
        reference=_layer_norm_reference,
    ),
    Exercise(
        name="layer_norm_steps_backward",
        lesson="06",
        difficulty=4,
        importance=4,
        minutes=15,
        package=("LayerNorm.backward",),
        title="Layer normalization, step by step",
        solution=layer_norm_steps_backward,
        cases=_steps_cases,
        wrong=(_mean_counted_whole, _mean_has_no_gradient, _sign_of_std, _one_path_to_centred),
        hints=(
            "One line a name, in the order of the result. Gain and shift are shared by all rows: sums over axis 0.",
            "x_hat = centred * inverse: inverse is one number a row, so its gradient is a sum over it. Then 1/std, "
            "the root, and the mean of squares, whose slope is 2 centred / D.",
            "d_centred = d_hat / std + d_variance * 2 * centred / D; every x is in the mean with 1/D, so "
            "dx = d_centred + d_mean / D.",
        ),
        backward=True,
        reference=_steps_reference,
    ),
    Exercise(
        name="layer_norm_backward",
        lesson="06",
        difficulty=4,
        importance=5,
        minutes=12,
        package=("LayerNorm.backward",),
        title="Back through layer normalization",
        solution=layer_norm_backward,
        cases=_norm_backward_cases,
        wrong=(_statistics_are_constants, _variance_is_constant, _gain_factored_out, _gain_mean),
        hints=(
            "Gain and shift are shared by all B*T positions, so their gradients sum over both. For dx let d_hat = dy "
            "gain first: the gain belongs inside the sums to come.",
            "x_hat cannot change along two directions, (1, ..., 1) and x_hat itself: mean and variance undo it. So the "
            "gradient's parts along those two are taken away.",
            "dx = inv_std * (d_hat - mean(d_hat) - x_hat * mean(d_hat * x_hat)), with means over the last axis.",
        ),
        backward=True,
        reference=_layer_norm_backward_reference,
    ),
    Exercise(
        name="rms_norm_backward",
        lesson="06",
        difficulty=2,
        importance=3,
        minutes=6,
        package=("RMSNorm.backward",),
        title="Find the bug",
        solution=rms_norm_backward,
        cases=_rms_cases,
        wrong=(_rms_over_positions, _rms_is_constant, _rms_with_mean, _rms_gain_factored_out, _rms_sum),
        hints=(
            "Try it on an array (N, D) and on one (B, T, D).",
            "Which axis are the features, and which axis is averaged over?",
            "The last axis is -1, however many there are.",
        ),
        broken=_rms_over_positions,
        backward=True,
        reference=_rms_norm_reference,
    ),
]
