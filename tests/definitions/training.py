"""What optimizers, schedules, the trainer and the evaluation must do, by definition, as loops over numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitransformer.data import Batch, batches
from minitransformer.layers import Array, Cache, Layer, Parameter
from minitransformer.training import (
    SGD,
    Adam,
    AdamW,
    Noam,
    Optimizer,
    Trainer,
    WarmupCosine,
    evaluation,
    optimizers,
)
from minitransformer.training.parallel import ParallelTrainer, ThreadWorker
from minitransformer.training.parallel.workers import Kind, default_kind

from .registry import _equal, _random, holds

# ---- optimizers, clipping, schedules


def adam_by_definition(
    w: float, gradients: Sequence[float], rate: float, beta1: float, beta2: float, eps: float, decay: float = 0.0
) -> float:
    """Kingma and Ba 2015, algorithm 1, on one number; with `decay` Loshchilov and Hutter 2019, algorithm 2."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1.0 - beta1) * g
        v = beta2 * v + (1.0 - beta2) * g**2
        m_hat, v_hat = m / (1.0 - beta1**t), v / (1.0 - beta2**t)
        w = w - rate * (m_hat / (math.sqrt(v_hat) + eps) + decay * w)
    return w


def _three_steps(optimizer: Optimizer, by_definition: Callable[[float, list[float]], float], pause: bool) -> None:
    """A vector longer than what is updated at a time; `pause`: a new optimizer is restored after the first step."""
    n = optimizers.CHUNK + 2
    w, gradients = _random(n), [_random(n, seed=seed) for seed in (1, 2, 3)]
    start = w.copy()
    for i, g in enumerate(gradients):
        if i == 1 and pause:
            state, optimizer = optimizer.state(), type(optimizer)(beta1=0.8, beta2=0.9, eps=0.1)  # type: ignore[call-arg]
            optimizer.restore(state)
        optimizer.step(w, g, 0.1)
    for i in (0, 1, n - 2, n - 1):
        wanted = by_definition(float(start[i]), [float(g[i]) for g in gradients])
        _equal(w[i], np.float64(wanted), f"weight {i} after three steps")


@holds("SGD is what its formula says, number by number")
def sgd_is_its_formula() -> None:
    def by_definition(w: float, gradients: list[float]) -> float:
        velocity = 0.0
        for g in gradients:
            velocity = 0.7 * velocity + g
            w = w - 0.1 * velocity
        return w

    _three_steps(SGD(0.7), by_definition, pause=False)


@holds("Adam is what its algorithm says, number by number")
def adam_is_its_algorithm() -> None:
    _three_steps(Adam(0.8, 0.9, 0.1), lambda w, g: adam_by_definition(w, g, 0.1, 0.8, 0.9, 0.1), pause=False)


@holds("AdamW is what its algorithm says, number by number")
def adamw_is_its_algorithm() -> None:
    def by_definition(w: float, gradients: list[float]) -> float:
        return adam_by_definition(w, gradients, 0.1, 0.8, 0.9, 0.1, decay=0.3)

    _three_steps(AdamW(0.3, 0.8, 0.9, 0.1), by_definition, pause=False)


@holds("an optimizer that is restored goes on where it was")
def restored_optimizer_goes_on() -> None:
    _three_steps(Adam(0.8, 0.9, 0.1), lambda w, g: adam_by_definition(w, g, 0.1, 0.8, 0.9, 0.1), pause=True)


@holds("clipping scales the whole gradient to the largest norm, and only a longer one")
def clipping_is_its_definition() -> None:
    for gradient in ([3.0, 4.0, -12.0], [0.03, 0.04, 0.0]):  # of norm 13, and of norm 0.05
        length = math.sqrt(sum(g * g for g in gradient))
        clipped = np.array(gradient)
        _equal(optimizers.clip_by_global_norm(clipped, 2.0), np.float64(length), "the norm that it had")
        _equal(clipped, np.array([g * min(1.0, 2.0 / length) for g in gradient]), "the gradient")


@holds("schedules are what their formulas say, step by step")
def schedules_are_their_formulas() -> None:
    noam, cosine = Noam(64, warmup=4, factor=3.0), WarmupCosine(2.0, steps=10, warmup=4, final=0.5)
    for step in range(1, 14):
        wanted = 3.0 / 8.0 * min(1.0 / math.sqrt(step), step / 8.0)  # 64^-0.5 = 1 / 8 and 4^-1.5 = 1 / 8
        _equal(noam(step), np.float64(wanted), f"Noam at step {step}")
        half = 1.25 + 0.75 * math.cos(math.pi * min(step - 4, 6) / 6)
        wanted = 2.0 * step / 4 if step <= 4 else half
        _equal(cosine(step), np.float64(wanted), f"cosine at step {step}")


# ---- the trainer


class Bigram(Layer):
    """logits at t = table[target t] + bias: a model whose training can be followed by hand."""

    def __init__(self, table: Array, bias: Array) -> None:
        self.table, self.bias = Parameter(table.copy()), Parameter(bias.copy())

    def forward(self, source: Array, target: Array, rng: Any = None) -> tuple[Array, Cache]:
        return self.table.value[target] + self.bias.value, Cache(target=target)

    def backward(self, d_logits: Array, cache: Cache) -> None:
        np.add.at(self.table.grad, cache["target"], d_logits)
        self.bias.grad += d_logits.sum(axis=(0, 1))


class Listed:
    """Batches that are given one by one."""

    def __init__(self, given: Sequence[Batch]) -> None:
        self.given = given

    def batch(self, step: int) -> Batch:
        return self.given[step]


def training_by_definition(
    table: Array, bias: Array, given: Sequence[Batch], rate: Callable[[int], float], clip: float
) -> tuple[Array, Array, list[float]]:
    """Gradient descent on a bigram model, token by token: the weights afterwards, and each step's loss."""
    table, bias, losses = table.copy(), bias.copy(), []
    for step, batch in enumerate(given, start=1):
        tokens = [
            (int(i), int(k))
            for row_in, row_out in zip(batch.inputs[1], batch.targets)
            for i, k in zip(row_in, row_out)
            if k != 0
        ]
        d_table, d_bias, loss = np.zeros_like(table), np.zeros_like(bias), 0.0
        for token, following in tokens:
            z = [float(a + b) for a, b in zip(table[token], bias)]
            total = sum(math.exp(a) for a in z)
            for v, a in enumerate(z):
                d = (math.exp(a) / total - (v == following)) / len(tokens)
                d_table[token, v] += d
                d_bias[v] += d
            loss -= (z[following] - math.log(total)) / len(tokens)
        norm = math.sqrt((d_table**2).sum() + (d_bias**2).sum())
        scale = rate(step) * min(1.0, clip / norm)
        table -= scale * d_table
        bias -= scale * d_bias
        losses.append(loss)
    return table, bias, losses


def _trainer_is_its_definition(kind: Kind | None = None) -> None:
    V, table, bias = 6, _random(6, 6), _random(6, seed=1)
    draw = np.random.default_rng(2)
    given = [
        batches.sequence_to_sequence_batch(
            [([4], [int(i) for i in draw.integers(3, V, length)]) for length in lengths], pad=0, start=1, eos=2
        )
        for lengths in ((1, 2, 5), (4, 1, 1), (2, 2, 3))
    ]

    def rate(step: int) -> float:
        return 0.5 * step

    model = Bigram(table, bias)
    if kind is None:
        trainer = Trainer(model, SGD(), rate, clip=0.4)
    else:
        trainer = ParallelTrainer(model, SGD(), rate, clip=0.4, workers=2, kind=kind)
    history = trainer.fit(Listed(given), 3)
    table, bias, losses = training_by_definition(table, bias, given, rate, 0.4)
    _equal([record["loss"] for record in history.steps], losses, "the losses")
    _equal(model.table.value, table, "the table after three steps")
    _equal(model.bias.value, bias, "the bias after three steps")


@holds("three training steps are what gradient descent says, token by token")
def trainer_is_its_definition() -> None:
    _trainer_is_its_definition()


@holds("two workers take the steps that one takes")
def workers_are_their_definition() -> None:
    for kind in {default_kind(), ThreadWorker}:
        _trainer_is_its_definition(kind)


# ---- evaluation


class GivenLogits(Layer):
    """A model whose logits are given."""

    def __init__(self, logits: Array) -> None:
        self.logits = logits

    def forward(self, source: Array, target: Array, rng: Any = None) -> tuple[Array, Cache]:
        return self.logits[: target.shape[0], : target.shape[1]], Cache()


@holds("loss, token accuracy and exact match are those counted by hand")
def evaluation_is_by_hand() -> None:
    half, quarter = math.log(0.5), math.log(0.25)
    logits = np.full((2, 3, 5), -50.0)
    # The right token of all but one position has a half, another a quarter, and the rest share a quarter.
    for b, right in enumerate(((3, 4, 2), (4, 2, 1))):
        for t, token in enumerate(right):
            logits[b, t] = math.log(0.25 / 3)
            logits[b, t, token], logits[b, t, 0] = half, quarter
    logits[0, 1, 4], logits[0, 1, 0] = quarter, half  # here the right one has a quarter
    given_batches = [
        Batch((np.ones((2, 3), int), np.ones((2, 3), int)), np.array([[3, 4, 2], [4, 2, 0]])),
        Batch((np.ones((1, 1), int), np.ones((1, 1), int)), np.array([[3]])),
    ]
    got = evaluation.evaluate(GivenLogits(logits), given_batches)
    wanted = {"loss": -(5 * half + quarter) / 6, "token_accuracy": 5 / 6, "exact_match": 2 / 3}
    for name, value in wanted.items():
        _equal(got[name], np.float64(value), name)
