"""Minimum Bayes risk: of many candidates take the one that is best on average if the others are the truth.

y* = argmax over candidates h of the mean over samples y of utility(h, y)     (its negative is the risk)

Samples of the model's own distribution stand for all sentences; the choice is among whole sequences, not next words.
Source: Kumar and Byrne 2004; Eikema and Aziz 2020, "Is MAP Decoding All You Need?".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from ..arguments import checked

Candidate = TypeVar("Candidate", bound=Hashable)


@checked
def expected_utilities(
    candidates: Sequence[Candidate], utility: Callable[[Candidate, Candidate], float]
) -> dict[Candidate, float]:
    """How good each distinct candidate is on average over all candidates, itself among them.

    Parameters
    ----------
    candidates : sequence of str, or of anything that can be compared and hashed
        Samples: one that was drawn twice counts twice.
    utility : callable
        (candidate, truth) -> float, greater is better: `chrf`, `sentence_bleu`, `exact_match`.

    Returns
    -------
    dict
        From each candidate to its expected utility, in the order of their first appearance.
    """
    counts = Counter(candidates)
    n = len(candidates)
    return {
        candidate: sum(count * utility(candidate, truth) for truth, count in counts.items()) / n for candidate in counts
    }


@checked
def minimum_bayes_risk(candidates: Sequence[Candidate], utility: Callable[[Candidate, Candidate], float]) -> Candidate:
    """The candidate with the greatest expected utility; of equal ones, that which came first.

    Parameters as `expected_utilities`. With `exact_match` it is the most frequent candidate.
    """
    if not len(candidates):
        raise ValueError("candidates is empty: give at least one")
    expected = expected_utilities(candidates, utility)
    return max(expected, key=lambda candidate: expected[candidate])
