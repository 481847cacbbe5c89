"""Sampling: the next token is drawn from the model's distribution, after it was made sharper, flatter or cut.

p = softmax(logits / temperature), then the k most probable, then the fewest whose probabilities reach top_p
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..arguments import check_seed, checked, shown
from ..layers import Array
from .hypothesis import Hypothesis, as_limits, log_probability_of
from .protocols import DecodingModel


@checked
def next_word_distribution(
    logits: Array, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Array:
    """Probabilities from which `sample` draws.

    Parameters
    ----------
    logits : array (..., V)
    temperature : float
        Above 1 flattens, below 1 sharpens; above 0.
    top_k : int, optional
        Only the k most probable tokens stay; of equal ones, those with the smaller ids.
    top_p : float, optional
        Only the fewest most probable tokens stay whose probabilities add up to at least top_p.
        Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1.

    Returns
    -------
    array (..., V) of float64, rows sum to 1. Temperature comes first, then top_k, then top_p of what is left.
    """
    check_sampling(temperature, top_k, top_p)
    if not logits.size:
        raise ValueError(f"logits has shape {logits.shape}: give at least one of (..., V)")
    scaled = logits.astype(np.float64) / temperature
    p = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    if top_k is None and top_p is None:  # nothing is cut, so nothing need be sorted
        return p / p.sum(axis=-1, keepdims=True)
    order = np.argsort(-p, axis=-1, kind="stable")  # the most probable first
    ranked = np.take_along_axis(p, order, axis=-1)
    if top_k is not None:
        ranked[..., top_k:] = 0.0
    ranked /= ranked.sum(axis=-1, keepdims=True)
    if top_p is not None:
        before = np.cumsum(ranked, axis=-1) - ranked  # what the more probable ones add up to
        ranked[(before >= top_p) & (np.arange(ranked.shape[-1]) > 0)] = 0.0
        ranked /= ranked.sum(axis=-1, keepdims=True)
    np.put_along_axis(p, order, ranked, axis=-1)
    return p


def draw(p: Array, rng: np.random.Generator) -> Array:
    """One index from each row of probabilities (B, V) -> (B,)."""
    return at(p, rng.random(len(p)))


def at(p: Array, u: Array) -> Array:
    """Rows of probabilities (B, V) and numbers in [0, 1) (B,) -> (B,): the index at which the running sum passes u."""
    running = np.cumsum(p, axis=-1)
    whole = running[:, -1:]
    return (running > np.minimum(u[:, None] * whole, np.nextafter(whole, 0.0))).argmax(axis=-1)


@checked
def sample(
    model: DecodingModel,
    source: Array,
    *,
    start: int | None = None,
    eos: int | None = None,
    seed: int | Sequence[int] = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    num_return_sequences: int = 1,
    max_new_tokens: int | Array = 100,
) -> list[list[Hypothesis]]:
    """Draw sequences from the model's distribution.

    Parameters
    ----------
    model, source, start, eos, max_new_tokens
        As in `greedy`.
    seed : int or sequence of int
        Of the draws. Each sentence has a generator of its own, so that it does not matter which others are in the
        batch: one number is the seed of all of them, several are one for each sentence.
    temperature, top_k, top_p
        As in `next_word_distribution`.
    num_return_sequences : int
        How many are drawn for each sentence, independently: the same one may come twice.

    Returns
    -------
    list of lists of Hypothesis
        For each sentence its samples in the order of their drawing. `log_probability` is the model's own, whatever
        the temperature.
    """
    check_sampling(temperature, top_k, top_p)
    B, N = len(source), num_return_sequences
    if N < 1:
        raise ValueError(f"num_return_sequences={N}: must be at least 1")
    seeds = [seed] if isinstance(seed, int | np.integer) else list(seed)
    for number in seeds:
        check_seed(number)
    if isinstance(seed, int | np.integer):
        seeds = sentence_seeds(seed, range(B))
    if len(seeds) != B:
        raise ValueError(f"seed has {len(seeds)} numbers: give one, or one for each of {B} sentences")
    rngs = [np.random.default_rng(number) for number in seeds]
    state, ids = model.start_decoding(source, start)
    limits = np.repeat(as_limits(max_new_tokens, B), N)
    logits = model.next_logits(ids, state)[:, -1]
    rows = np.repeat(np.arange(B), N)  # each sentence is read once, and gone on with N times
    logits, state = logits[rows], state.select(rows)
    unfinished = np.arange(B * N)
    sequences: list[list[int]] = [[] for _ in range(B * N)]
    log_probability, ended = np.zeros(B * N), np.zeros(B * N, bool)
    for t in range(1, limits.max() + 1):
        u = np.zeros((B, N))
        for b in np.unique(unfinished // N):
            u[b] = rngs[b].random(N)
        chosen = at(next_word_distribution(logits, temperature, top_k, top_p), u.reshape(-1)[unfinished])
        log_probability[unfinished] += log_probability_of(logits, chosen)
        ended[unfinished] = chosen == eos
        for row, token in zip(unfinished, chosen):
            if token != eos:
                sequences[row].append(int(token))
        going_on = (chosen != eos) & (limits[unfinished] > t)
        unfinished = unfinished[going_on]
        if not len(unfinished):
            break
        if not going_on.all():
            state = state.select(going_on)
        logits = model.next_logits(chosen[going_on, None], state)[:, -1]
    drawn = [Hypothesis(ids, float(p), bool(end), float(p)) for ids, p, end in zip(sequences, log_probability, ended)]
    return [drawn[b * N : (b + 1) * N] for b in range(B)]


def sentence_seeds(seed: int, sentences: Iterable[int]) -> list[int]:
    """A seed of its own for each sentence, from one seed and the sentence's number."""
    return [int(np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0]) for i in sentences]


@checked
def stream(
    model: DecodingModel,
    prompt: Array,
    *,
    max_new_tokens: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    eos: int | None = None,
    context: int | None = None,
    suppress_tokens: Sequence[int] = (),
) -> Iterator[int]:
    """Go on from a prompt, token by token, as they are drawn.

    Parameters
    ----------
    model : DecoderOnly
    prompt : array of ids (T,)
        At least one.
    max_new_tokens : int
    temperature, top_k, top_p
        As in `next_word_distribution`; they need a seed.
    seed : int or None
        Of the draws; None is greedy: the most probable token each time.
    eos : int, optional
        The token at which to stop; it is not given out.
    context : int, optional
        Most positions that the model has. Where they are used up it reads the last half of them anew.
    suppress_tokens : sequence of int
        Ids that are never chosen.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens}: must be at least 1")
    check_sampling(temperature, top_k, top_p)
    if seed is None and (temperature != 1.0 or top_k is not None or top_p is not None):
        raise ValueError("seed=None is greedy: temperature, top_k and top_p have no effect; give a seed to sample")
    if seed is not None:
        check_seed(seed)
    rng = None if seed is None else np.random.default_rng(seed)
    if prompt.ndim != 1 or not len(prompt) or prompt.dtype.kind not in "iu":
        raise ValueError(f"prompt={shown(prompt)}: must be one axis of integers, at least one")
    read = [int(i) for i in prompt]

    def begin() -> tuple[Array, Array]:
        start = read if context is None or len(read) <= context else read[-max(1, context // 2) :]
        return model.start_decoding(np.array([start]))

    state, ids = begin()
    positions = ids.shape[1]
    for _ in range(max_new_tokens):
        logits = model.next_logits(ids, state)[:, -1]
        logits[:, list(suppress_tokens)] = -np.inf
        if rng is None:
            token = int(logits[0].argmax())
        else:
            token = int(draw(next_word_distribution(logits, temperature, top_k, top_p), rng)[0])
        if token == eos:
            return
        yield token
        read.append(token)
        ids, positions = np.array([[token]]), positions + 1
        if context is not None and positions > context:
            state, ids = begin()
            positions = ids.shape[1]


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise ValueError for a setting out of its range."""
    if not 0.0 < temperature < np.inf:
        raise ValueError(f"temperature={temperature}: must be above 0 and finite; for 0, decode greedily")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k}: must be at least 1, or None for all")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p={top_p}: must be above 0 and at most 1, or None for all")
