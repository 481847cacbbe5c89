"""Lesson 10, decoding: the nucleus, a step of beam search, minimum Bayes risk and the gradient of a risk."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...decoding import next_word_distribution
from ...layers import Array, Softmax
from ..exercise import Exercise

# -- nucleus --------------------------------------------------------------------------------------------------------


def nucleus(logits: Array, temperature: float, top_p: float) -> Array:
    """The distribution from which top-p sampling draws: softmax(logits / temperature), of which only the fewest most
    probable words stay whose probabilities reach top_p. The word that crosses top_p stays.

    logits (V,), temperature and top_p numbers -> p (V,), which sums to one
    """
    e = np.exp((logits - logits.max()) / temperature)
    p = e / e.sum()
    order = np.argsort(-p)  # the most probable first
    before = np.cumsum(p[order]) - p[order]  # what the more probable words add up to
    p[order[before >= top_p]] = 0
    return p / p.sum()


def _nucleus_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    settings = ((7, 1.0, 0.6), (11, 0.5, 0.8), (13, 2.0, 0.5), (5, 1.5, 0.9), (17, 0.7, 0.95))
    return [(2.0 * rng.standard_normal(V), temperature, top_p) for V, temperature, top_p in settings]


def _nucleus_reference(logits: Array, temperature: float, top_p: float) -> Array:
    return next_word_distribution(logits, temperature=temperature, top_p=top_p)


def _plain(logits: Array) -> Array:
    e = np.exp(logits - logits.max())
    return e / e.sum()


def _crossing_word_lost(logits: Array, temperature: float, top_p: float) -> Array:
    """The word that crosses top_p is cut too: what stays does not reach top_p, and may be nothing."""
    p = _plain(logits / temperature)
    order = np.argsort(-p)
    p[order[np.cumsum(p[order]) > top_p]] = 0
    with np.errstate(invalid="ignore"):
        return p / p.sum()


def _does_not_sum_to_one(logits: Array, temperature: float, top_p: float) -> Array:
    """What stays is not divided by its sum."""
    p = _plain(logits / temperature)
    order = np.argsort(-p)
    p[order[np.cumsum(p[order]) - p[order] >= top_p]] = 0
    return p


def _temperature_times(logits: Array, temperature: float, top_p: float) -> Array:
    """The logits are multiplied by the temperature: a high one sharpens."""
    return nucleus(logits * temperature, 1.0, top_p)


def _cut_before_temperature(logits: Array, temperature: float, top_p: float) -> Array:
    """The words are chosen at temperature 1, before the temperature has changed how probable they are."""
    kept = nucleus(logits, 1.0, top_p) > 0
    p = _plain(logits / temperature) * kept
    return p / p.sum()


def _least_probable(logits: Array, temperature: float, top_p: float) -> Array:
    """Sorted the wrong way round: the least probable words stay."""
    p = _plain(logits / temperature)
    order = np.argsort(p)
    p[order[np.cumsum(p[order]) - p[order] >= top_p]] = 0
    return p / p.sum()


# -- beam_step ------------------------------------------------------------------------------------------------------


def beam_step(scores: Array, log_p: Array) -> tuple[Array, Array, Array]:
    """One step of beam search: of all K V ways to go on, the K with the greatest log-probability of the whole sequence,
    the best first.

    scores (K,) log-probabilities of the K hypotheses so far, log_p (K, V) of the next word after each
    -> parents (K,) which hypothesis is continued, words (K,) by which word, new_scores (K,)
    """
    K, V = log_p.shape
    totals = (scores[:, None] + log_p).reshape(-1)  # (K, V) -> (K V,): all hypotheses compete with each other
    best = np.argsort(-totals)[:K]
    parents, words = best // V, best % V
    new_scores = totals[best]
    return parents, words, new_scores


def _beam_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for K, V in ((3, 7), (2, 5), (5, 3), (4, 11)):
        logits = 2.0 * rng.standard_normal((K, V))
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        cases.append((-np.sort(4.0 * rng.random(K)), log_p))
    return cases


def _beam_reference(scores: Array, log_p: Array) -> tuple[Array, Array, Array]:
    K, V = log_p.shape
    ways = sorted(((scores[k] + log_p[k, word], k, word) for k in range(K) for word in range(V)), reverse=True)[:K]
    totals, parents, words = zip(*ways)
    return np.array(parents), np.array(words), np.array(totals)


def _one_each(scores: Array, log_p: Array) -> tuple[Array, Array, Array]:
    """Every hypothesis keeps its own best word: they never compete, and this is K times greedy."""
    words = log_p.argmax(axis=-1)
    totals = scores + log_p.max(axis=-1)
    order = np.argsort(-totals)
    return order, words[order], totals[order]


def _this_word_alone(scores: Array, log_p: Array) -> tuple[Array, Array, Array]:
    """Chosen by the probability of the new word alone: what the words before cost is forgotten."""
    K, V = log_p.shape
    best = np.argsort(-log_p.reshape(-1))[:K]
    return best // V, best % V, (scores[:, None] + log_p).reshape(-1)[best]


def _worst_first(scores: Array, log_p: Array) -> tuple[Array, Array, Array]:
    """Sorted the wrong way round: the least probable sequences are kept."""
    K, V = log_p.shape
    totals = (scores[:, None] + log_p).reshape(-1)
    best = np.argsort(totals)[:K]
    return best // V, best % V, totals[best]


def _divided_by_K(scores: Array, log_p: Array) -> tuple[Array, Array, Array]:
    """The flat index is taken apart with K instead of V."""
    K = len(scores)
    totals = (scores[:, None] + log_p).reshape(-1)
    best = np.argsort(-totals)[:K]
    return best // K, best % K, totals[best]


# -- minimum_risk ---------------------------------------------------------------------------------------------------


def minimum_risk(utility: Array, p: Array) -> int:
    """Minimum Bayes risk: the number of the candidate with the greatest expected utility, where each candidate is the
    truth with its probability.

    utility (N, N): utility[i, j] is how good candidate i is where j is the truth; p (N,) probabilities -> an integer
    """
    expected = utility @ p  # sum over j of utility[i, j] p[j]
    return int(expected.argmax())


def _minimum_risk_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for N in (5, 7, 11, 3, 13, 7, 5, 17):
        p = rng.random(N) ** 2
        cases.append((rng.random((N, N)), p / p.sum()))
    return cases


def _minimum_risk_reference(utility: Array, p: Array) -> int:
    N = len(p)
    return max(range(N), key=lambda i: sum(utility[i, j] * p[j] for j in range(N)))


def _most_probable(utility: Array, p: Array) -> int:
    """The most probable candidate: that is what beam search looks for."""
    return int(p.argmax())


def _transposed(utility: Array, p: Array) -> int:
    """The utility is read the wrong way round: how good every truth is for the candidate."""
    return int((p @ utility).argmax())


def _unweighted(utility: Array, p: Array) -> int:
    """Every candidate is taken to be equally probable."""
    return int(utility.mean(axis=1).argmax())


def _least_utility(utility: Array, p: Array) -> int:
    """The smallest expected utility, as if it were a risk."""
    return int((utility @ p).argmin())


# -- expected_risk_backward -----------------------------------------------------------------------------------------


def expected_risk_backward(logits: Array, risk: Array) -> Array:
    """Backward of the expected risk R[b] = sum over i of p[b, i] risk[b, i] with p = softmax(logits). Training on the
    risk of the model's own translations turns the sum of all R[b] down.

    logits (B, N), risk (B, N) -> d_logits (B, N)
    """
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    expected = (p * risk).sum(axis=-1, keepdims=True)
    d_logits = p * (risk - expected)  # what is riskier than expected becomes less probable
    return d_logits


def _expected_risk_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((B, N)), rng.random((B, N))) for B, N in ((2, 5), (3, 7), (5, 2))]


def _expected_risk_reference(logits: Array, risk: Array) -> Array:
    layer = Softmax()
    return layer.backward(risk, layer.forward(logits)[1])


def _risk_probabilities(logits: Array) -> Array:
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def _nothing_subtracted(logits: Array, risk: Array) -> Array:
    """p * risk: every candidate is pushed down, also one that is better than expected."""
    return _risk_probabilities(logits) * risk


def _plain_mean(logits: Array, risk: Array) -> Array:
    """The plain mean of the risks is subtracted instead of the expected one."""
    return _risk_probabilities(logits) * (risk - risk.mean(axis=-1, keepdims=True))


def _not_weighted(logits: Array, risk: Array) -> Array:
    """Not multiplied by p: the derivative with respect to p, and not to the logits."""
    return risk - (_risk_probabilities(logits) * risk).sum(axis=-1, keepdims=True)


def _up_not_down(logits: Array, risk: Array) -> Array:
    """The sign: this makes the risk grow when it is stepped against."""
    return -expected_risk_backward(logits, risk)


# -- length_score ---------------------------------------------------------------------------------------------------


def length_score(log_p: Array, lengths: Array, n_prompt: int, alpha: float) -> Array:
    """By what finished hypotheses of a decoder-only model are ranked: the log-probability of the new words, divided by
    their number to the power alpha. Each sequence is the prompt with the new words behind it.

    log_p (N,) of the new words, lengths (N,) of the whole sequences, n_prompt and alpha numbers -> scores (N,)
    """
    n_new = (lengths - n_prompt).astype(log_p.dtype)
    return log_p / n_new**alpha


def _length_score_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for N, n_prompt, alpha in ((3, 5, 1.0), (5, 17, 0.6), (7, 2, -0.5)):
        new = rng.integers(2, 15, N)
        cases.append((-new * rng.random(N), n_prompt + new, n_prompt, alpha))
    return cases


def _length_score_reference(log_p: Array, lengths: Array, n_prompt: int, alpha: float) -> Array:
    hypotheses = [(float(p), int(n) - n_prompt) for p, n in zip(log_p, lengths)]
    return np.array([p * math.exp(-alpha * math.log(n)) for p, n in hypotheses])


def _with_the_prompt(log_p: Array, lengths: Array, n_prompt: int, alpha: float) -> Array:
    """The prompt counts as length: behind a long prompt all hypotheses seem to be equally long."""
    n_new = lengths.astype(log_p.dtype)
    return log_p / n_new**alpha


def _multiplied(log_p: Array, lengths: Array, n_prompt: int, alpha: float) -> Array:
    """Multiplied in place of divided: long sentences become worse still."""
    return log_p * (lengths - n_prompt) ** alpha


def _alpha_times(log_p: Array, lengths: Array, n_prompt: int, alpha: float) -> Array:
    """Divided by alpha times the length; alpha is its power."""
    return log_p / (alpha * (lengths - n_prompt))


def _of_probability(log_p: Array, lengths: Array, n_prompt: int, alpha: float) -> Array:
    """The probability is divided, not its logarithm."""
    return np.exp(log_p) / (lengths - n_prompt) ** alpha


def _one_more(log_p: Array, lengths: Array, n_prompt: int, alpha: float) -> Array:
    """One word too many is counted."""
    return log_p / (lengths - n_prompt + 1) ** alpha


def _best_last(scores: Array, log_p: Array) -> tuple[Array, Array, Array]:
    """The right K, the best of them last: the best must stand first."""
    parents, words, best = beam_step(scores, log_p)
    return parents[::-1], words[::-1], best[::-1]


EXERCISES = [
    Exercise(
        name="nucleus",
        lesson="10",
        difficulty=3,
        importance=3,
        minutes=15,
        title="The nucleus",
        solution=nucleus,
        cases=_nucleus_cases,
        reference=_nucleus_reference,
        wrong=(_crossing_word_lost, _does_not_sum_to_one, _temperature_times, _cut_before_temperature, _least_probable),
        hints=(
            "Sort the words by their probability. When you come to a word, what do those before it add up to?",
            "A word is cut where those before it already reach top_p: the cumulative sum minus its own probability.",
            "order = np.argsort(-p); before = np.cumsum(p[order]) - p[order]; p[order[before >= top_p]] = 0; p / "
            "p.sum().",
        ),
        backward=False,
    ),
    Exercise(
        name="beam_step",
        lesson="10",
        difficulty=3,
        importance=4,
        minutes=15,
        package=("beam_search",),
        title="One step of beam search",
        solution=beam_step,
        cases=_beam_cases,
        reference=_beam_reference,
        wrong=(_one_each, _this_word_alone, _worst_first, _divided_by_K, _best_last),
        hints=(
            "A hypothesis may have two children among the best, and another none.",
            "totals[k, word] = scores[k] + log_p[k, word]; sort all K V of them together.",
            "best = np.argsort(-totals.reshape(-1))[:K]; the row of a flat index is best // V, the column best % V.",
        ),
        backward=False,
    ),
    Exercise(
        name="minimum_risk",
        lesson="10",
        difficulty=2,
        importance=3,
        minutes=10,
        package=("expected_utilities", "minimum_bayes_risk"),
        title="Minimum Bayes risk",
        solution=minimum_risk,
        cases=_minimum_risk_cases,
        reference=_minimum_risk_reference,
        wrong=(_most_probable, _transposed, _unweighted, _least_utility),
        hints=(
            "For one candidate i: what is its utility on average, if truth j comes with probability p[j]?",
            "expected[i] = sum over j of utility[i, j] p[j]: a product of a matrix and a vector.",
            "int((utility @ p).argmax())",
        ),
        backward=False,
    ),
    Exercise(
        name="expected_risk_backward",
        lesson="10",
        difficulty=3,
        importance=2,
        minutes=15,
        optional=True,
        title="The gradient of a risk",
        solution=expected_risk_backward,
        cases=_expected_risk_cases,
        reference=_expected_risk_reference,
        wrong=(_nothing_subtracted, _plain_mean, _not_weighted, _up_not_down),
        hints=(
            "dR/dp is the risk. What is between p and the logits has a backward that you know.",
            "Softmax backward: d_logits = p * (dp - sum(p * dp)), with dp = risk.",
            "expected = (p * risk).sum(axis=-1, keepdims=True); d_logits = p * (risk - expected).",
        ),
        backward=True,
    ),
    Exercise(
        name="length_score",
        lesson="10",
        difficulty=2,
        importance=3,
        minutes=10,
        title="Find the bug: how long is an answer?",
        solution=length_score,
        broken=_with_the_prompt,
        cases=_length_score_cases,
        reference=_length_score_reference,
        wrong=(_with_the_prompt, _multiplied, _alpha_times, _of_probability, _one_more),
        hints=(
            "Of which words is log_p the logarithm of the probability? How many are they?",
            "A sequence of 12 words whose first 8 are the prompt has 4 new ones.",
            "log_p / (lengths - n_prompt) ** alpha",
        ),
        backward=False,
    ),
]
