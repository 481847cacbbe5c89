"""Two architectures side by side: the same data, about as many parameters, and a measure of what each is good at.

Both train on the same batches in the same order and take turns, so that other work of the machine slows both down.
`conclusions` says in words what was found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arguments import checked
from ..data import Batch
from ..layers import Array, Unallocated, padding_mask
from ..models import Config, EncoderDecoder, build_model, summary
from ..training import Callback, History, Trainer, evaluate
from ..training.trainer import Batches
from .coreference import attention_maps

TIMED_LENGTHS = (8, 16, 32, 64, 128, 256)
DISTANCES = (1, 2, 4, 8, 16, 32, 64, 128)
# Of a step's time: sentences in its batch; the fastest counts of so many steps, or of more within so many seconds.
TIMED_SENTENCES, REPEATS, MOST_REPEATS, ENOUGH_SECONDS = 16, 5, 50, 0.5


@dataclass(frozen=True)
class Task:
    """What models are trained on and measured with.

    Attributes
    ----------
    batches : Batches
        To train on.
    held_out : sequence of Batch
        To measure quality with.
    sentence : Batch
        One pair whose alignment is kept.
    alike : Batch
        Others, on which the head is chosen whose alignment that is.
    symbols : range
        The ids that a sentence of any length may be made of, where only its length matters.
    of_length : callable, optional
        Length -> Batch of new sentences of exactly this many tokens, for a task that makes them.
    lengths : sequence of int
        Lengths to measure exact match at; those above `longest` were in no training batch.
    longest : int
        Most tokens of a source in training, `eos` not counted.
    measure : str
        What `evaluate` calls the quality to be drawn.
    """

    batches: Batches
    held_out: Sequence[Batch]
    sentence: Batch
    alike: Batch
    symbols: range
    of_length: Callable[[int], Batch] | None = None
    lengths: Sequence[int] = ()
    longest: int = 0
    measure: str = "exact_match"


@dataclass(frozen=True)
class Candidate:
    """What was measured of one model.

    Attributes
    ----------
    name : str
    parameters : int
    kept_per_token, kept_per_source_token : int
        Numbers that decoding keeps (`layers.Summary`).
    history : History
        Its validations are the quality; `seconds` is training alone.
    seconds_per_step : dict of length -> seconds
        Of forward, loss and backward for 16 sentences of so many tokens on both sides: the fastest of several.
    encoder_reach : dict of {"untrained", "trained"} -> dict of distance -> ratio
        See `encoder_reach`.
    answer_reach : the same
        See `answer_reach`; empty for a task that makes no sentences of a given length.
    exact_match : dict of length -> share
    alignment : array (T, S)
        Attention to the source, of the head and block that are surest of themselves on other sentences.
    where : str
        Which block and head; empty where there is only one.
    """

    name: str
    parameters: int
    kept_per_token: int
    kept_per_source_token: int
    history: History
    seconds_per_step: dict[int, float]
    encoder_reach: dict[str, dict[int, float]]
    answer_reach: dict[str, dict[int, float]]
    exact_match: dict[int, float]
    alignment: Array
    where: str

    def to_dict(self) -> dict[str, Any]:
        """All numbers but the alignment, as JSON takes them."""
        numbers = {name: value for name, value in vars(self).items() if name not in ("history", "alignment", "where")}
        return {**numbers, "validations": self.history.validations, "seconds": self.history.seconds}


@dataclass(frozen=True)
class Comparison:
    """Two candidates and what they were measured with."""

    candidates: tuple[Candidate, Candidate]
    steps: int
    longest: int
    measure: str

    def to_dict(self) -> dict[str, Any]:
        facts = {"steps": self.steps, "longest": self.longest, "measure": self.measure}
        return {**facts, "candidates": [candidate.to_dict() for candidate in self.candidates]}


@checked
def matched(name: str, config: Config, parameters: int, field: str = "d_model", step: int = 1) -> Any:
    """The config of the width at which a model has the number of parameters that is nearest to a given one.

    Parameters
    ----------
    name : str
        What MODELS calls the architecture. It is counted without its memory.
    config : Config
        All other sizes.
    parameters : int
    field : str
        The size that is sought.
    step : int
        Of which it must be a multiple.
    """
    if parameters < 1:
        raise ValueError(f"parameters={parameters}: must be at least 1")
    if not hasattr(config, field):
        raise ValueError(f"field={field!r}: must be a field of {type(config).__name__}")
    if step < 1:
        raise ValueError(f"step={step}: must be at least 1")

    def count(n: int) -> int:
        return build_model(name, replace(config, **{field: n * step}), Unallocated()).n_parameters()

    low, high = 1, 2
    while count(high) < parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < parameters else (low, middle)
    nearest = min((low, high), key=lambda n: abs(count(n) - parameters))
    return replace(config, **{field: nearest * step})


def compare(
    models: Mapping[str, EncoderDecoder],
    task: Task,
    new_trainer: Callable[[EncoderDecoder], Trainer],
    steps: int,
    rounds: int = 20,
    callbacks: Sequence[Callback] = (),
    timed_lengths: Sequence[int] = TIMED_LENGTHS,
    distances: Sequence[int] = DISTANCES,
    seed: int = 0,
) -> Comparison:
    """Train two models in turns and measure both.

    Parameters
    ----------
    models : dict of name -> model
        Two, untrained.
    task : Task
    new_trainer : callable
        Model -> its trainer, the same settings for both.
    steps : int
        Of each.
    rounds : int
        In how many turns; quality is measured after each.
    callbacks : sequence of Callback
        Hear of every step of both.
    timed_lengths, distances : sequence of int
        At which the time of a step and the reach of gradients are measured.
    seed : int
        Of the sentences that only those two need.
    """
    if len(models) != 2:
        raise ValueError(f"models: {', '.join(models) or 'none'}; give two, by name")
    trainers = {name: new_trainer(model) for name, model in models.items()}
    reaches: dict[str, list[dict[str, dict[int, float]]]] = {name: [{}, {}] for name in models}

    def measure_reach(when: str) -> None:
        for name, model in models.items():
            reaches[name][0][when] = {n: encoder_reach(model, task.symbols, n, seed) for n in distances}
            if task.of_length is not None:
                of_length = {n: first_rows(task.of_length(n), TIMED_SENTENCES) for n in distances if n > 1}
                reaches[name][1][when] = {n: answer_reach(model, batch) for n, batch in of_length.items()}

    measure_reach("untrained")
    ends = sorted({max(steps * turn // rounds, 1) for turn in range(1, rounds + 1)})
    for end in ends:
        for trainer in trainers.values():
            trainer.fit(task.batches, end, callbacks)
            at = {"step": float(end), "seconds": trainer.history.seconds}  # the clock of `fit` stands still meanwhile
            trainer.history.validations.append({**at, **evaluate(trainer.model, task.held_out)})
    measure_reach("trained")
    seconds = seconds_per_step(trainers, task.symbols, timed_lengths, seed)
    candidates = []
    for name, model in models.items():
        counted = summary(model)
        alignment, where = surest_alignment(model, task.alike, task.sentence)
        exact = {n: evaluate(model, [task.of_length(n)])["exact_match"] for n in task.lengths} if task.of_length else {}
        candidates.append(
            Candidate(
                name,
                counted.parameters,
                counted.kept_per_token,
                counted.kept_per_source_token,
                trainers[name].history,
                seconds[name],
                reaches[name][0],
                reaches[name][1],
                exact,
                alignment,
                where,
            )
        )
    return Comparison((candidates[0], candidates[1]), steps, task.longest, task.measure)


def seconds_per_step(
    trainers: Mapping[str, Trainer], symbols: range, lengths: Sequence[int], seed: int = 0
) -> dict[str, dict[int, float]]:
    """How long forward, loss and backward take for 16 sentences of each length, the models taking turns.

    No weight changes, and the optimizer's step, whose time does not depend on the length, is left out.
    """
    rng = np.random.default_rng([seed, 1])
    fastest: dict[str, dict[int, float]] = {name: {} for name in trainers}
    for length in lengths:
        ids = rng.integers(symbols.start, symbols.stop, (2, TIMED_SENTENCES, length))
        batch = Batch((ids[0], ids[1]), ids[1])
        began = time.perf_counter()
        for repeat in range(1 + MOST_REPEATS):
            if repeat > REPEATS and time.perf_counter() - began > ENOUGH_SECONDS:
                break
            for name, trainer in trainers.items():
                started = time.perf_counter()
                trainer.compute_gradient(batch)
                taken = time.perf_counter() - started
                if repeat:  # the first one warms up
                    fastest[name][length] = min(taken, fastest[name].get(length, np.inf))
    return fastest


def encoder_reach(model: EncoderDecoder, symbols: range, distance: int, seed: int = 0, sentences: int = 16) -> float:
    """How much of what an encoder says at its last token comes from a token so far before it.

    A random direction is drawn for the memory at the last position, and its product with that memory is
    differentiated by the embedding of the first token and by that of the last: the result is the norm of the one over
    the norm of the other, each a mean over sentences of random symbols. Nothing but the encoder lies between: for a
    recurrent one `distance` steps, for self-attention as many steps as there are blocks, at any distance.

    Source: Hochreiter et al. 2001, "Gradient Flow in Recurrent Nets"; Vaswani et al. 2017, table 1, path length.
    """
    rng = np.random.default_rng([seed, 2, distance])
    source = rng.integers(symbols.start, symbols.stop, (sentences, distance + 1))
    x, _ = model.source_embedding.forward(source)
    memory, cache = model.encoder.forward(x, padding_mask(source, model.pad))
    whole = memory if isinstance(memory, tuple) else (memory,)  # a recurrent encoder gives its last state, too
    d_whole = tuple(np.zeros_like(part) for part in whole)
    d_whole[0][:, -1] = rng.standard_normal(d_whole[0][:, -1].shape)
    dx = model.encoder.backward(d_whole if isinstance(memory, tuple) else d_whole[0], cache)
    return _ratio(dx[:, 0], dx[:, -1])


def answer_reach(model: EncoderDecoder, batch: Batch) -> float:
    """How much of the answer that names the first source token comes from that token, next to the one beside it.

    For a reversal, that answer is the last one before `eos`. The logit of the right symbol there is differentiated by
    the embedding of the first source token and by those of all source tokens: the result is the norm of the one over
    the norm of all. The way may lead through attention, which is one step long in both architectures.
    """
    source, target = batch.inputs
    x, _ = model.source_embedding.forward(source)
    mask = padding_mask(source, model.pad)
    memory, encoder_cache = model.encoder.forward(x, mask)
    logits, cache = model.decode(target, memory, mask)
    d_logits = np.zeros_like(logits)
    rows = np.arange(len(batch))
    d_logits[rows, -2, batch.targets[rows, -2]] = 1.0
    dx = model.encoder.backward(model.backward_decode(d_logits, cache), encoder_cache)
    return _ratio(dx[:, 0], dx)


def surest_alignment(model: EncoderDecoder, alike: Batch, sentence: Batch) -> tuple[Array, str]:
    """The weights (T, S) of one sentence in the head whose greatest weights on other sentences are greatest.

    And which head of which decoder block that is.
    """
    _, cache = model.forward(alike.inputs[0], alike.inputs[1])
    counted = (alike.targets != alike.pad)[:, None]
    best = max(
        (float((weights.max(axis=-1) * counted)[:, head].sum()), n, head)
        for n, weights in enumerate(attention_maps(cache, "cross"))
        for head in range(weights.shape[1])
    )
    _, block, head = best
    _, cache = model.forward(sentence.inputs[0], sentence.inputs[1])
    maps = attention_maps(cache, "cross")
    only = len(maps) == maps[0].shape[1] == 1
    return maps[block][0, head], "" if only else f"block {block}, head {head}"


def first_rows(batch: Batch, n: int) -> Batch:
    """The first n sentences of a batch."""
    return Batch(tuple(ids[:n] for ids in batch.inputs), batch.targets[:n], batch.pad)


def _ratio(d: Array, whole: Array) -> float:
    below = _norm(whole)
    return _norm(d) / below if below > 0.0 else 0.0


def _norm(d: Array) -> float:
    """The mean length of a sentence's gradient."""
    flat = d.reshape(len(d), -1).astype(np.float64)  # of float32, squares of what is tiny would be 0
    return float(np.sqrt((flat * flat).sum(axis=1)).mean())
