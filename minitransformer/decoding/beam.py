"""Beam search: go on with the most probable few of all ways to continue, and rank by score what has ended.

score(y) = log P(y | x) / length(y) ** length_penalty        length(y): its new tokens, eos counted, the prompt not
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arguments import checked
from ..layers import Array
from .hypothesis import Hypothesis, as_limits, log_probability_of
from .protocols import DecodingModel


@dataclass(frozen=True)
class BeamStep:
    """What one step of a beam search weighed: C candidates, each one token after a hypothesis that was still open.

    Attributes
    ----------
    sentence : array (C,)
        Whose candidate it is; those of a sentence stand together, from the most to the least probable.
    parent : array (C,)
        Which of the sentence's open hypotheses it continues, counted from 0, the most probable.
    token : array (C,)
    log_probability : array (C,)
        Of the whole sequence.
    kept : array of bool (C,)
        It has a slot of the beam.
    open : array of bool (C,)
        It has a slot, and the next step continues it.
    """

    sentence: Array
    parent: Array
    token: Array
    log_probability: Array
    kept: Array
    open: Array


@checked
def beam_search(
    model: DecodingModel,
    source: Array,
    *,
    start: int | None = None,
    eos: int | None = None,
    num_beams: int = 4,
    length_penalty: float | None = None,
    num_return_sequences: int = 1,
    max_new_tokens: int | Array = 100,
    on_step: Callable[[BeamStep], object] | None = None,
) -> list[list[Hypothesis]]:
    """The best sequences that a beam of hypotheses finds.

    A sentence's beam has `num_beams` slots. Each step weighs every token after every open hypothesis, and the most
    probable sequences, as many as there are slots to give, go on. One that ends keeps its slot for good: those that are
    open share the rest. So hypotheses compete at equal length only; the score compares lengths, at the end. A beam of
    one is greedy decoding, and a beam as wide as the tree of all sequences is exhaustive search.

    Parameters
    ----------
    model, source, start, eos, max_new_tokens
        As in `greedy`. What has not ended after `max_new_tokens` is ranked as it is.
    num_beams : int
        Slots of each sentence.
    length_penalty : float, optional
        Exponent of the length by which the log-probability is divided, 1 where it is not given: above 0 it favours
        long sequences, since log-probabilities are negative, below 0 short ones; 0 ranks by log-probability.
    num_return_sequences : int
        How many sequences are wanted, at most `num_beams`.
    on_step : callable, optional
        Is given the BeamStep of every step, for example `steps.append` of a list that `search_tree` reads.

    Returns
    -------
    list of lists of Hypothesis
        For each sentence `num_return_sequences` (fewer where there are no more), the best score first. Ties go to
        the smaller token id, the more probable parent, the sequence that ended earlier: so every run finds the same.
    """
    check_beam(num_beams, length_penalty, num_return_sequences)
    exponent = 1.0 if length_penalty is None else length_penalty
    state, ids = model.start_decoding(source, start)
    limits = as_limits(max_new_tokens, len(source))
    # One row is one open hypothesis; those of a sentence stand together, the most probable first.
    sentence, tokens, so_far = np.arange(len(source)), ids[:, :0], np.zeros(len(source))
    slots = np.full(len(source), num_beams)  # those that nothing that has ended holds
    found: list[list[Hypothesis]] = [[] for _ in range(len(source))]
    for t in range(1, limits.max() + 1):
        logits = model.next_logits(ids, state)[:, -1]
        row, token = _best_of_each_row(logits, num_beams)  # no row can win more slots than there are
        total = so_far[row] + log_probability_of(logits, token, row)
        order = np.lexsort((-total, sentence[row]))  # by sentence, then from the most probable; stable
        row, token, total = row[order], token[order], total[order]
        of = sentence[row]
        rank = np.arange(len(of)) - np.searchsorted(of, of)
        kept = rank < slots[of]
        ended = kept & (token == eos)
        going_on = kept & ~ended & (limits[of] > t)
        for c in np.flatnonzero(kept & ~going_on):
            new = [*tokens[row[c]].tolist(), *([] if ended[c] else [int(token[c])])]
            found[of[c]].append(Hypothesis(new, float(total[c]), bool(ended[c]), float(total[c] / t**exponent)))
        slots -= np.bincount(of[ended], minlength=len(slots))
        if on_step is not None:
            on_step(BeamStep(of, row - np.searchsorted(sentence, of), token, total, kept, going_on))
        if not going_on.any():
            break
        row, ids = row[going_on], token[going_on, None]
        sentence, tokens, so_far = of[going_on], np.concatenate([tokens[row], ids], axis=1), total[going_on]
        state = state.select(row)
    return [sorted(all_of, key=lambda h: -h.score)[:num_return_sequences] for all_of in found]


def check_beam(num_beams: int, length_penalty: float | None, num_return_sequences: int) -> None:
    """Raise ValueError for a setting out of its range, or without effect."""
    if num_beams < 1:
        raise ValueError(f"num_beams={num_beams}: must be at least 1")
    if length_penalty is not None and not np.isfinite(length_penalty):
        raise ValueError(f"length_penalty={length_penalty}: must be finite")
    if length_penalty is not None and num_beams == 1:
        raise ValueError(f"length_penalty={length_penalty}: a beam of one ranks nothing; give num_beams of at least 2")
    if not 1 <= num_return_sequences <= num_beams:
        raise ValueError(
            f"num_return_sequences={num_return_sequences}: must be at least 1 and at most num_beams={num_beams}"
        )


def _best_of_each_row(logits: Array, k: int) -> tuple[Array, Array]:
    """The k largest of each row (R, V), row by row, the largest first; of equal ones the smaller ids first.

    Returns their rows and their ids, each (R * min(k, V),).
    """
    V = logits.shape[-1]
    k = min(k, V)
    least = np.partition(logits, V - k, axis=-1)[:, V - k, None]  # the k-th largest
    if np.isnan(least).any():
        raise ValueError("logits hold NaN: the weights of this model are not all numbers")
    row, token = np.nonzero(logits >= least)  # it, those above it, and all that are equal to it
    order = np.lexsort((-logits[row, token], row))  # stable, and ids came in order
    row, token = row[order], token[order]
    best = np.arange(len(row)) - np.searchsorted(row, row) < k
    return row[best], token[best]


@dataclass(frozen=True)
class Branch:
    """One hypothesis in the tree of a beam search.

    `plotting.beam_tree` draws a list of them.

    Attributes
    ----------
    word : str
        The last word of it.
    log_probability : float
        Of all its words together.
    parent : int or None
        Where in the list the hypothesis stands that this one continues; None: the start.
    kept : bool
        It had a slot of the beam.
    winner : bool
        It is part of the sequence that was returned.
    lives : bool
        It is part of a sequence that was found in the end: not all that continue it were dropped.
    """

    word: str
    log_probability: float
    parent: int | None = None
    kept: bool = True
    winner: bool = False
    lives: bool = True


def search_tree(
    steps: Sequence[BeamStep],
    winner: Sequence[int],
    words: Callable[[int], str] = str,
    *,
    root: str = "",
    sentence: int = 0,
    dropped: int = 2,
) -> list[Branch]:
    """The tree of one sentence's search, parents before their children.

    Parameters
    ----------
    steps : sequence of BeamStep
        What `on_step` was given.
    winner : sequence of int
        The ids of the sequence to mark, with eos where it ended.
    words : callable
        What a token is called.
    root : str
        What the start is called.
    sentence : int
        Which of the batch.
    dropped : int
        How many of the candidates that got no slot are in the tree, of each step the most probable.
    """
    nodes = [Branch(root, 0.0, winner=True)]
    open_nodes = [0]  # those of the sentence's open hypotheses
    found: list[int] = []  # the last words of all sequences that the search found
    winning = 0
    for t, step in enumerate(steps):
        parents, open_nodes, lost, won = open_nodes, [], 0, winning
        for c in np.flatnonzero(step.sentence == sentence):
            kept = bool(step.kept[c])
            lost += not kept
            if not kept and lost > dropped:
                continue
            parent, token = parents[step.parent[c]], int(step.token[c])
            wins = parent == winning and t < len(winner) and token == winner[t] and kept
            if wins:
                won = len(nodes)
            if step.open[c]:
                open_nodes.append(len(nodes))
            elif kept:
                found.append(len(nodes))
            nodes.append(Branch(words(token), float(step.log_probability[c]), parent, kept, bool(wins)))
        winning = won
    lives = {0}
    for last in found:
        at: int | None = last
        while at is not None:
            lives.add(at)
            at = nodes[at].parent
    return [replace(node, lives=i in lives) for i, node in enumerate(nodes)]
