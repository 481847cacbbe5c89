"""Sampling: the next token is drawn from the model's distribution, after it was made sharper, flatter or cut.

p = softmax(logits / temperature), then the k most probable, then the fewest whose probabilities reach top_p
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..layers import Array, Layer


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
    scaled = logits.astype(np.float64) / temperature
    p = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
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
    """One index from each row of probabilities (B, V) -> (B,): the first at which the running sum passes u."""
    running = np.cumsum(p, axis=-1)
    u = rng.random((len(p), 1)) * running[:, -1:]
    return (running > u).argmax(axis=-1)


def stream(
    model: Layer,
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
    rng = None if seed is None else np.random.default_rng(seed)
    read = [int(i) for i in prompt]
    if not read:
        raise ValueError("prompt is empty: give at least one id")

    def begin() -> tuple[Array, Array]:
        start = read if context is None or len(read) <= context else read[-max(1, context // 2) :]
        return model.begin(np.array([start]))  # type: ignore[attr-defined]

    state, ids = begin()
    positions = ids.shape[1]
    for _ in range(max_new_tokens):
        logits = model.step(ids, state)[:, -1]
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
        raise ValueError(f"temperature={temperature}: must be above 0 and finite")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k}: must be at least 1, or None for all")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p={top_p}: must be above 0 and at most 1, or None for all")
