"""Lesson 09, training: teacher forcing, label smoothing, shares of a batch, Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...data import sequence_to_sequence_batch
from ...layers import Array, CrossEntropy, Softmax
from ...training import Adam
from ..exercise import Exercise

# -- teacher_forcing ------------------------------------------------------------------------------------------------


def teacher_forcing(ids: Array, start: int, eos: int) -> tuple[Array, Array]:
    """What the decoder reads and what it must predict there: at every position the next word.

    ids (B, T) of target sentences, start and eos two ids -> target_in (B, T + 1), targets (B, T + 1)
    """
    B = len(ids)
    target_in = np.concatenate([np.full((B, 1), start), ids], axis=1)
    targets = np.concatenate([ids, np.full((B, 1), eos)], axis=1)
    return target_in, targets


def _teacher_forcing_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.integers(3, 13, shape), 1, 2) for shape in ((3, 5), (2, 7))] + [(rng.integers(3, 13, (5, 2)), 2, 2)]


def _teacher_forcing_reference(ids: Array, start: int, eos: int) -> tuple[Array, Array]:
    pairs = [([eos + 1], row.tolist()) for row in ids]
    batch = sequence_to_sequence_batch(pairs, pad=0, start=start, eos=eos)
    return batch.inputs[1], batch.targets


def _not_shifted(ids: Array, start: int, eos: int) -> tuple[Array, Array]:
    """The decoder reads the very words that it must predict: it only has to copy."""
    targets = np.concatenate([ids, np.full((len(ids), 1), eos)], axis=1)
    return targets.copy(), targets


def _shifted_the_other_way(ids: Array, start: int, eos: int) -> tuple[Array, Array]:
    """Inputs and targets are exchanged: it reads the future and predicts the past."""
    target_in, targets = teacher_forcing(ids, start, eos)
    return targets, target_in


def _no_end(ids: Array, start: int, eos: int) -> tuple[Array, Array]:
    """No end of the sentence: the model would never learn to stop."""
    target_in, _ = teacher_forcing(ids, start, eos)
    return target_in[:, :-1], ids.copy()


def _start_in_targets(ids: Array, start: int, eos: int) -> tuple[Array, Array]:
    """Start and end stand in both: at its first position the model would predict what it has just read."""
    whole = np.concatenate([np.full((len(ids), 1), start), ids, np.full((len(ids), 1), eos)], axis=1)
    return whole[:, :-1], whole[:, :-1].copy()


# -- smoothed_loss_backward -----------------------------------------------------------------------------------------


def smoothed_loss_backward(logits: Array, targets: Array, pad: int, e: float) -> Array:
    """Backward of the cross-entropy with label smoothing, a mean over the targets that are not padding: the truth is
    q = (1 - e) onehot(target) + e / V, the loss of a row is -sum q log softmax(logits).

    logits (N, V), targets (N,) ids, pad an id, e a number -> d_logits (N, V)
    """
    N, V = logits.shape
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    q = np.full_like(p, e / V)
    q[np.arange(N), targets] += 1 - e
    counted = (targets != pad)[:, None]
    d_logits = (p - q) * counted / p.dtype.type(counted.sum())
    return d_logits


def _smoothed_loss_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for N, V, pad, e in ((11, 5, 0, 0.1), (13, 3, 2, 0.3), (7, 17, 0, 0.0)):
        targets = (pad + rng.integers(1, V, N)) % V
        targets[-4:] = pad
        targets[1] = targets[0]
        cases.append((2.0 * rng.standard_normal((N, V)), targets, pad, e))
    return cases


def _smoothed_loss_reference(logits: Array, targets: Array, pad: int, e: float) -> Array:
    layer = CrossEntropy(pad, e)
    return layer.backward(1.0, layer.forward(logits, targets)[1])


def _probabilities(logits: Array) -> Array:
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def _truth(targets: Array, V: int, e: float) -> Array:
    return (1 - e) * np.eye(V)[targets] + e / V


def _padding_counted(logits: Array, targets: Array, pad: int, e: float) -> Array:
    """The mean is over all rows, padding included."""
    q = _truth(targets, logits.shape[1], e)
    return (_probabilities(logits) - q) * (targets != pad)[:, None] / len(targets)


def _padding_learned(logits: Array, targets: Array, pad: int, e: float) -> Array:
    """Rows of padding get a gradient: the model would learn to predict padding."""
    q = _truth(targets, logits.shape[1], e)
    return (_probabilities(logits) - q) / (targets != pad).sum()


def _no_softmax(logits: Array, targets: Array, pad: int, e: float) -> Array:
    """logits - q: softmax was forgotten."""
    q = _truth(targets, logits.shape[1], e)
    return (logits - q) * (targets != pad)[:, None] / (targets != pad).sum()


def _over_the_others(logits: Array, targets: Array, pad: int, e: float) -> Array:
    """The share e is spread over the V - 1 other words, which is another smoothing than the one asked for."""
    V = logits.shape[1]
    onehot = np.eye(V)[targets]
    q = (1 - e) * onehot + e / (V - 1) * (1 - onehot)
    return (_probabilities(logits) - q) * (targets != pad)[:, None] / (targets != pad).sum()


def _sign(logits: Array, targets: Array, pad: int, e: float) -> Array:
    """q - p: the sign is that of the log-probability, not of the loss."""
    return -smoothed_loss_backward(logits, targets, pad, e)


# -- shares_backward ------------------------------------------------------------------------------------------------


def shares_backward(
    logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int
) -> tuple[Array, Array]:
    """A batch was cut into two shares of unequal length. The gradient of each share's logits, so that together they are
    the gradient of the whole batch's loss: the mean cross-entropy of all its tokens that are not padding.

    logits_1 (N, V), targets_1 (N,), logits_2 (M, V), targets_2 (M,), pad an id -> d_logits_1 (N, V), d_logits_2 (M, V)
    """
    n_tokens = int((targets_1 != pad).sum() + (targets_2 != pad).sum())  # of the whole batch
    onehot = np.eye(logits_1.shape[1], dtype=logits_1.dtype)
    d_logits_1 = (Softmax()(logits_1) - onehot[targets_1]) * (targets_1 != pad)[:, None] / n_tokens
    d_logits_2 = (Softmax()(logits_2) - onehot[targets_2]) * (targets_2 != pad)[:, None] / n_tokens
    return d_logits_1, d_logits_2


def _shares_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for N, M, V, pad in ((7, 3, 11, 0), (5, 13, 3, 1), (2, 11, 7, 0)):
        shares = []
        for n in (N, M):
            targets = (pad + rng.integers(1, V, n)) % V
            targets[-(n // 3) - 1 :] = pad
            shares += [rng.standard_normal((n, V)), targets]
        cases.append((*shares, pad))
    return cases


def _shares_reference(
    logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int
) -> tuple[Array, Array]:
    layer = CrossEntropy(pad)
    _, cache = layer.forward(np.concatenate([logits_1, logits_2]), np.concatenate([targets_1, targets_2]))
    d_logits = layer.backward(1.0, cache)
    return d_logits[: len(logits_1)], d_logits[len(logits_1) :]


def _share_gradient(logits: Array, targets: Array, pad: int, n_tokens: int) -> Array:
    return (_probabilities(logits) - np.eye(logits.shape[1])[targets]) * (targets != pad)[:, None] / n_tokens


def _own_tokens(logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int) -> tuple[Array, Array]:
    """Each share is divided by its own tokens: the sum of two means, about twice the gradient."""
    n_1, n_2 = int((targets_1 != pad).sum()), int((targets_2 != pad).sum())
    return _share_gradient(logits_1, targets_1, pad, n_1), _share_gradient(logits_2, targets_2, pad, n_2)


def _mean_of_means(
    logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int
) -> tuple[Array, Array]:
    """The mean of two means: a token of the share with fewer tokens counts more."""
    d_logits_1, d_logits_2 = _own_tokens(logits_1, targets_1, logits_2, targets_2, pad)
    return d_logits_1 / 2, d_logits_2 / 2


def _padding_in_shares(
    logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int
) -> tuple[Array, Array]:
    """Divided by all positions, padding included."""
    n = len(targets_1) + len(targets_2)
    return _share_gradient(logits_1, targets_1, pad, n), _share_gradient(logits_2, targets_2, pad, n)


def _not_divided(logits_1: Array, targets_1: Array, logits_2: Array, targets_2: Array, pad: int) -> tuple[Array, Array]:
    """A sum over tokens, not a mean."""
    return _share_gradient(logits_1, targets_1, pad, 1), _share_gradient(logits_2, targets_2, pad, 1)


# -- adam_step ------------------------------------------------------------------------------------------------------


def adam_step(
    w: Array, g: Array, m: Array, v: Array, t: int, rate: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:
    """One step of Adam, the t-th, t counted from 1.

    w, g, m, v (n,) weights, gradient and the two running averages; numbers t, rate, beta1, beta2, eps
    -> w_new, m_new, v_new (n,)
    """
    m_new = beta1 * m + (1 - beta1) * g
    v_new = beta2 * v + (1 - beta2) * g**2
    m_hat = m_new / (1 - beta1**t)
    v_hat = v_new / (1 - beta2**t)
    w_new = w - rate * m_hat / (np.sqrt(v_hat) + eps)
    return w_new, m_new, v_new


def _adam_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    def arrays(n: int, t: int, rate: float, beta1: float, beta2: float, eps: float) -> tuple[Any, ...]:
        w, g = rng.standard_normal((2, n))
        moments = (np.zeros(n), np.zeros(n)) if t == 1 else (rng.standard_normal(n), rng.random(n))
        return (w, g, *moments, t, rate, beta1, beta2, eps)

    return [
        arrays(7, 1, 0.1, 0.9, 0.98, 1e-8),
        arrays(5, 3, 0.01, 0.8, 0.95, 0.1),
        arrays(11, 13, 0.3, 0.9, 0.999, 1e-2),
    ]


def _adam_reference(
    w: Array, g: Array, m: Array, v: Array, t: int, rate: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:
    adam, w_new = Adam(beta1, beta2, eps), w.copy()
    adam.restore({"t": t - 1, "moments": {"m": m, "v": v}})
    adam.step(w_new, g, rate)
    return w_new, adam.moments["m"], adam.moments["v"]


def _no_correction(
    w: Array, g: Array, m: Array, v: Array, t: int, rate: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:
    """Without the correction for the start at 0: the first steps have the wrong size."""
    m_new, v_new = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - rate * m_new / (np.sqrt(v_new) + eps), m_new, v_new


def _no_root(
    w: Array, g: Array, m: Array, v: Array, t: int, rate: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:
    """Divided by v_hat, not by its root: the step then depends on the gradient's scale."""
    _, m_new, v_new = adam_step(w, g, m, v, t, rate, beta1, beta2, eps)
    return w - rate * (m_new / (1 - beta1**t)) / (v_new / (1 - beta2**t) + eps), m_new, v_new


def _gradient_not_mean(
    w: Array, g: Array, m: Array, v: Array, t: int, rate: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:
    """The step is taken with the gradient itself instead of its running average."""
    _, m_new, v_new = adam_step(w, g, m, v, t, rate, beta1, beta2, eps)
    return w - rate * g / (np.sqrt(v_new / (1 - beta2**t)) + eps), m_new, v_new


def _same_power(
    w: Array, g: Array, m: Array, v: Array, t: int, rate: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:
    """Corrected by 1 - beta instead of 1 - beta^t: right at the first step only."""
    m_new, v_new = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return w - rate * (m_new / (1 - beta1)) / (np.sqrt(v_new / (1 - beta2)) + eps), m_new, v_new


EXERCISES = [
    Exercise(
        name="teacher_forcing",
        lesson="09",
        difficulty=2,
        importance=5,
        minutes=10,
        package=("shift_right",),
        title="What is read and what is predicted",
        solution=teacher_forcing,
        cases=_teacher_forcing_cases,
        reference=_teacher_forcing_reference,
        wrong=(_not_shifted, _shifted_the_other_way, _no_end, _start_in_targets),
        hints=(
            "Write a sentence of three words twice, one above the other, so that under each word read stands the "
            "word to predict.",
            "The decoder reads start w1 w2 w3 and predicts w1 w2 w3 eos: both have T + 1 columns.",
            "np.concatenate([np.full((B, 1), start), ids], axis=1), and the same with eos behind.",
        ),
        backward=False,
    ),
    Exercise(
        name="smoothed_loss_backward",
        lesson="09",
        difficulty=3,
        importance=5,
        minutes=15,
        package=("CrossEntropy.backward",),
        title="Cross-entropy with label smoothing, backward",
        solution=smoothed_loss_backward,
        cases=_smoothed_loss_cases,
        reference=_smoothed_loss_reference,
        wrong=(_padding_counted, _padding_learned, _no_softmax, _over_the_others, _sign),
        hints=(
            "For one row the gradient is as simple as the loss is not: the model's distribution minus the truth's.",
            "d_logits = (p - q) / (number of counted rows), and 0 in the rows of padding.",
            "p = softmax(logits); q = e / V everywhere, plus 1 - e at the target; times (targets != pad)[:, None]; "
            "divided by (targets != pad).sum().",
        ),
        backward=True,
    ),
    Exercise(
        name="shares_backward",
        lesson="09",
        difficulty=3,
        importance=3,
        minutes=10,
        title="Two shares, one gradient",
        solution=shares_backward,
        cases=_shares_cases,
        reference=_shares_reference,
        wrong=(_own_tokens, _mean_of_means, _padding_in_shares, _not_divided),
        hints=(
            "Write the loss of the whole batch as one sum over tokens. By what is it divided?",
            "By the number of tokens of the whole batch, in both shares: then the shares' gradients simply add.",
            "n_tokens = counted tokens of both; each share: (Softmax()(logits) - onehot) * counted / n_tokens.",
        ),
        backward=True,
    ),
    Exercise(
        name="adam_step",
        lesson="09",
        difficulty=3,
        importance=4,
        minutes=15,
        package=("Adam.step",),
        title="One step of Adam",
        solution=adam_step,
        cases=_adam_cases,
        reference=_adam_reference,
        wrong=(_no_correction, _no_root, _gradient_not_mean, _same_power),
        hints=(
            "Two running averages, of g and of g squared. Both begin at 0, so after t steps they hold only a part of "
            "the weight: which part?",
            "m_hat = m / (1 - beta1^t) and v_hat = v / (1 - beta2^t) with the new m and v; the step is "
            "rate m_hat / (sqrt(v_hat) + eps).",
            "m_new = beta1 m + (1 - beta1) g; v_new = beta2 v + (1 - beta2) g^2; return new arrays, do not write "
            "into w.",
        ),
        backward=False,
    ),
]
