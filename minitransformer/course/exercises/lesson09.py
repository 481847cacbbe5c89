"""Lesson 09, training: teacher forcing, label smoothing, Adam, a whole step, shares of a batch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from ...data import sequence_to_sequence_batch
from ...layers import Array, CrossEntropy, Glorot, Linear
from ...training import Adam, Trainer
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


# -- train_step -----------------------------------------------------------------------------------------------------

Step = tuple[float, Array, Array, Array]


def train_step(
    w: Array, m: Array, v: Array, t: int, x: Array, targets: Array, pad: int, rate: float, clip: float
) -> Step:
    """The t-th step of training the model logits = x w: forward, loss, backward, clip, a step of Adam with betas 0.9
    and 0.98 and epsilon 1e-8. The loss is the mean cross-entropy of the targets that are not padding; where the norm of
    the gradient is above clip, the gradient is scaled so that its norm is clip.

    w, m, v (D, V), t a number from 1, x (N, D), targets (N,) ids, pad an id, rate and clip numbers
    -> loss before the step, w_new, m_new, v_new (D, V)
    """
    logits = x @ w
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    rows = np.flatnonzero(targets != pad)
    loss = -np.log(p[rows, targets[rows]]).mean()
    d_logits = np.zeros_like(p)
    d_logits[rows] = p[rows] / len(rows)
    d_logits[rows, targets[rows]] -= 1 / len(rows)
    g = x.T @ d_logits
    norm = np.sqrt((g * g).sum())
    if norm > clip:
        g = g * (clip / norm)
    m_new = 0.9 * m + (1 - 0.9) * g
    v_new = 0.98 * v + (1 - 0.98) * g**2
    m_hat, v_hat = m_new / (1 - 0.9**t), v_new / (1 - 0.98**t)
    w_new = w - rate * m_hat / (np.sqrt(v_hat) + 1e-8)
    return loss, w_new, m_new, v_new


def _train_step_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for N, D, V, pad, t, clip in ((7, 3, 5, 0, 1, 100.0), (11, 2, 7, 3, 4, 0.3), (5, 5, 3, 0, 2, 0.1)):
        targets = (pad + rng.integers(1, V, N)) % V
        targets[-2:] = pad
        moments = (np.zeros((D, V)), np.zeros((D, V))) if t == 1 else (rng.random((D, V)) - 0.5, rng.random((D, V)))
        cases.append((rng.standard_normal((D, V)), *moments, t, rng.standard_normal((N, D)), targets, pad, 0.1, clip))
    return cases


def _train_step_reference(
    w: Array, m: Array, v: Array, t: int, x: Array, targets: Array, pad: int, rate: float, clip: float
) -> Step:
    model = Linear(w.shape[0], w.shape[1], Glorot(np.random.default_rng(0), w.dtype))
    model.weight.assign(w)
    adam = Adam(0.9, 0.98)
    adam.restore({"t": t - 1, "moments": {"m": m.ravel(), "v": v.ravel()}})
    batch: Any = SimpleNamespace(inputs=(x,), targets=targets, n_tokens=int((targets != pad).sum()), pad=pad)
    record = Trainer(model, adam, rate, CrossEntropy(pad), clip).train_step(batch)
    after = (part.reshape(w.shape) for part in (model.weight.value, adam.moments["m"], adam.moments["v"]))
    return (record["loss"], *after)  # type: ignore[return-value]


def _never_clipped(
    w: Array, m: Array, v: Array, t: int, x: Array, targets: Array, pad: int, rate: float, clip: float
) -> Step:
    """The gradient is not clipped."""
    return train_step(w, m, v, t, x, targets, pad, rate, np.inf)


def _always_scaled(
    w: Array, m: Array, v: Array, t: int, x: Array, targets: Array, pad: int, rate: float, clip: float
) -> Step:
    """Also a gradient that is shorter than clip is scaled to that length."""
    _, _, m_1, _ = train_step(w, 0 * m, v, t, x, targets, pad, rate, np.inf)
    norm = np.sqrt(((m_1 / 0.1) ** 2).sum())
    loss, *_ = train_step(w, m, v, t, x, targets, pad, rate, clip)
    g = m_1 / 0.1 * (clip / norm)
    m_new, v_new = 0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g**2
    return loss, w - rate * (m_new / (1 - 0.9**t)) / (np.sqrt(v_new / (1 - 0.98**t)) + 1e-8), m_new, v_new


def _clipped_by_entry(
    w: Array, m: Array, v: Array, t: int, x: Array, targets: Array, pad: int, rate: float, clip: float
) -> Step:
    """Each number of the gradient is cut off at clip by itself, which turns the gradient another way."""
    loss, _, m_1, _ = train_step(w, 0 * m, v, t, x, targets, pad, rate, np.inf)
    g = np.clip(m_1 / 0.1, -clip / 4, clip / 4)
    m_new, v_new = 0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g**2
    return loss, w - rate * (m_new / (1 - 0.9**t)) / (np.sqrt(v_new / (1 - 0.98**t)) + 1e-8), m_new, v_new


def _loss_afterwards(
    w: Array, m: Array, v: Array, t: int, x: Array, targets: Array, pad: int, rate: float, clip: float
) -> Step:
    """The loss is that of the weights after the step: it costs a second forward, and is not what was descended."""
    _, w_new, m_new, v_new = train_step(w, m, v, t, x, targets, pad, rate, clip)
    return train_step(w_new, m, v, t, x, targets, pad, rate, clip)[0], w_new, m_new, v_new


def _climbs(w: Array, m: Array, v: Array, t: int, x: Array, targets: Array, pad: int, rate: float, clip: float) -> Step:
    """The step goes up the gradient."""
    loss, w_new, m_new, v_new = train_step(w, m, v, t, x, targets, pad, rate, clip)
    return loss, 2 * w - w_new, m_new, v_new


def _padding_trains(
    w: Array, m: Array, v: Array, t: int, x: Array, targets: Array, pad: int, rate: float, clip: float
) -> Step:
    """Padding counts as a word: the model learns to predict it."""
    return train_step(w, m, v, t, x, targets, -1, rate, clip)


# -- accumulated_gradient -------------------------------------------------------------------------------------------


def accumulated_gradient(gradients: Array, n_tokens: Array) -> Array:
    """The gradient of a batch's loss from those of its shares. Each share's gradient is that of the mean over its own
    tokens; wanted is that of the mean over all tokens.

    gradients (K, P) of K shares, n_tokens (K,) -> gradient (P,)
    """
    weights = n_tokens.astype(gradients.dtype) / n_tokens.sum().astype(gradients.dtype)
    gradient = weights @ gradients
    return gradient


def _mean_of_means(gradients: Array, n_tokens: Array) -> Array:
    """The mean of the shares' means: a token of a short share counts more than one of a long share."""
    return gradients.mean(axis=0)


def _sum_of_means(gradients: Array, n_tokens: Array) -> Array:
    """The sum of the shares' means: K times too long."""
    return gradients.sum(axis=0)


def _sum_of_tokens(gradients: Array, n_tokens: Array) -> Array:
    """Weighted by tokens, but not divided by their number: the gradient of a sum, not of a mean."""
    return n_tokens.astype(gradients.dtype) @ gradients


def _accumulated_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((K, P)), rng.integers(1, 50, K)) for K, P in ((2, 7), (3, 5), (5, 11))]


def _accumulated_reference(gradients: Array, n_tokens: Array) -> Array:
    return np.average(gradients, axis=0, weights=n_tokens)


def _eps_under_the_root(
    w: Array, g: Array, m: Array, v: Array, t: int, rate: float, beta1: float, beta2: float, eps: float
) -> tuple[Array, Array, Array]:
    """Epsilon stands under the root; it is added to the root."""
    _, m, v = adam_step(w, g, m, v, t, rate, beta1, beta2, eps)
    return w - rate * m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t) + eps), m, v


def _not_smoothed(logits: Array, targets: Array, pad: int, e: float) -> Array:
    """No smoothing: the truth is taken for a one-hot row."""
    return smoothed_loss_backward(logits, targets, pad, 0.0)


def _counts_once_more(
    w: Array, m: Array, v: Array, t: int, x: Array, targets: Array, pad: int, rate: float, clip: float
) -> tuple[float, Array, Array, Array]:
    """Adam's correction for the start is taken at t + 1; t is counted from 1 already."""
    return train_step(w, m, v, t + 1, x, targets, pad, rate, clip)


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
        wrong=(_padding_counted, _padding_learned, _no_softmax, _over_the_others, _sign, _not_smoothed),
        hints=(
            "For one row the gradient is as simple as the loss is not: the model's distribution minus the truth's.",
            "d_logits = (p - q) / (number of counted rows), and 0 in the rows of padding.",
            "p = softmax(logits); q = e / V everywhere, plus 1 - e at the target; times (targets != pad)[:, None]; "
            "divided by (targets != pad).sum().",
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
        wrong=(_no_correction, _no_root, _gradient_not_mean, _same_power, _eps_under_the_root),
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
    Exercise(
        name="train_step",
        lesson="09",
        difficulty=4,
        importance=5,
        minutes=20,
        package=("Trainer.train_step", "Trainer.compute_gradient"),
        title="A step of training",
        solution=train_step,
        cases=_train_step_cases,
        reference=_train_step_reference,
        wrong=(
            _never_clipped,
            _always_scaled,
            _clipped_by_entry,
            _loss_afterwards,
            _climbs,
            _padding_trains,
            _counts_once_more,
        ),
        hints=(
            "Five parts, each of a line or two that you have written before: forward, loss, "
            "backward, clip, Adam. Which of "
            "them change something?",
            "d_logits = (p - onehot) / (number of words), 0 in rows of padding; g = x^T d_logits; "
            "clip g; then adam_step "
            "on w with m and v.",
            "norm = sqrt(sum g^2), over all numbers of g; g = g * (clip / norm) only where norm > "
            "clip. The loss is the one "
            "before the step: it is there after forward.",
        ),
        backward=True,
    ),
    Exercise(
        name="accumulated_gradient",
        lesson="09",
        difficulty=2,
        importance=4,
        minutes=10,
        title="Find the bug: a batch in shares",
        solution=accumulated_gradient,
        broken=_mean_of_means,
        cases=_accumulated_cases,
        reference=_accumulated_reference,
        wrong=(_mean_of_means, _sum_of_means, _sum_of_tokens),
        hints=(
            "Two shares, one of 2 tokens and one of 8. How much does one token of each count in the result?",
            "The mean over all tokens is the sum of all, divided by their number. What is the sum of "
            "one share, if you have "
            "its mean?",
            "gradient = sum over k of n_k gradient_k, divided by the sum of the n_k.",
        ),
        backward=True,
    ),
]
