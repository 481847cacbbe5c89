"""What beam search, sampling and Bayes risk must do, by definition.

Wanted values come from lists of all ways to go on, one sentence and one prefix at a time.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minitransformer.decoding import MinimumBayesRisk, Sampling, Translation, bayes_risk, beam, metrics, sampling
from minitransformer.decoding.hypothesis import Hypothesis
from minitransformer.layers import Array, DecodingState, Layer

from .registry import _equal, holds

V, START, EOS = 5, 1, 2
SOURCE = np.array([[3, 1, 4], [2, 2, 4], [1, 3, 0]])
LIMITS = np.array([4, 2, 3])


class TableModel(Layer):
    """A model that tells another story for each source: every prefix has logits of its own, drawn from its ids.

    It knows what it has read from its state alone, which must so be that of its row.
    """

    def __init__(self, sharpness: float = 1.0) -> None:
        self.sharpness = sharpness

    def start_decoding(self, source: Array, start: int) -> tuple[DecodingState, Array]:
        return DecodingState(source=source), np.full((len(source), 1), start)

    def next_logits(self, ids: Array, state: DecodingState) -> Array:
        read = state["read"] = np.concatenate([state.get("read", ids[:, :0]), ids], axis=1)
        rows = [self.logits(source, row[1:]) for source, row in zip(state["source"].tolist(), read.tolist())]
        return np.array(rows)[:, None]

    def logits(self, source: list[int], prefix: list[int]) -> Array:
        return self.sharpness * np.random.default_rng([7, *source, 9, *prefix]).standard_normal(V)

    def log_p(self, source: list[int], prefix: list[int]) -> list[float]:
        logits = [float(z) for z in self.logits(source, prefix)]
        total = math.log(sum(math.exp(z) for z in logits))
        return [z - total for z in logits]


Found = list[tuple[float, list[int], bool]]


def beam_by_definition(model: TableModel, source: list[int], width: int, penalty: float, limit: int) -> Found:
    """(score, ids, ended) of one sentence, the best first; a width of 0 keeps everything."""
    alive: list[tuple[list[int], float]] = [([], 0.0)]
    done: Found = []
    for length in range(1, limit + 1):
        ways = [(total + p, ids, k) for ids, total in alive for k, p in enumerate(model.log_p(source, ids))]
        ways.sort(key=lambda way: -way[0])
        slots = width - sum(ended for _, _, ended in done) if width else len(ways)
        alive = []
        for total, ids, token in ways[:slots]:
            score = total / length**penalty
            if token == EOS:
                done.append((score, ids, True))
            elif length == limit:
                done.append((score, [*ids, token], False))
            else:
                alive.append(([*ids, token], total))
    return sorted(done, key=lambda one: -one[0])


def _same(got: list[Hypothesis], wanted: Found, what: str) -> None:
    assert [h.ids for h in got] == [ids for _, ids, _ in wanted], f"{what}: the sequences differ"
    assert [h.finished for h in got] == [ended for _, _, ended in wanted], f"{what}: who ended differs"
    _equal([h.score for h in got], [score for score, _, _ in wanted], f"{what}: scores")


def _each_by_definition(width: int, found: int, settings: dict[str, Any], penalty: float) -> None:
    for sharpness in (0.5, 1.0, 3.0):
        model = TableModel(sharpness)
        slots = width or 1 + sum(4**n for n in range(1, 5))  # every sequence that ends, or has four tokens
        wanted = [beam_by_definition(model, row, width, penalty, n)[:found] for row, n in zip(SOURCE.tolist(), LIMITS)]
        got = beam.beam_search(
            model,  # type: ignore[arg-type]
            SOURCE,
            start=START,
            eos=EOS,
            num_beams=slots,
            num_return_sequences=found,
            max_new_tokens=LIMITS,
            **settings,
        )
        for hypotheses, one in zip(got, wanted):
            _same(hypotheses, one, f"width {width or 'of the tree'}, penalty {penalty}")


@holds("beam search is its definition, sentence by sentence, at every width")
def beam_is_its_definition() -> None:
    _each_by_definition(1, 1, {}, 1.0)
    for width in (2, 3, 5):
        _each_by_definition(width, 2, {}, 1.0)
        _each_by_definition(width, 2, {"length_penalty": 0.0}, 0.0)
    _each_by_definition(3, 3, {"length_penalty": 2.0}, 2.0)
    _each_by_definition(3, 3, {"length_penalty": -1.0}, -1.0)


@holds("a beam as wide as the tree is exhaustive search")
def wide_beam_is_exhaustive() -> None:
    for penalty in (0.0, 1.0, 1.5):
        _each_by_definition(0, 9, {"length_penalty": penalty}, penalty)


class Undecided(TableModel):
    """All tokens are equally probable."""

    def logits(self, source: list[int], prefix: list[int]) -> Array:
        return np.zeros(V)


@holds("equal hypotheses are ranked by parent and token id, on every run")
def ties_are_broken_in_order() -> None:
    settings: dict[str, Any] = {"start": START, "eos": EOS, "num_beams": 4, "num_return_sequences": 4}
    [found] = beam.beam_search(Undecided(), SOURCE[:1], **settings, max_new_tokens=2)  # type: ignore[arg-type]
    got = [(h.ids, h.finished) for h in found]
    wanted = [([], True), ([0, 0], False), ([0, 1], False), ([0], True)]
    assert got == wanted, f"found {got}, wanted {wanted}"


@holds("the distribution that is drawn from is by hand")
def distribution_is_by_hand() -> None:
    logits = np.log([0.1, 0.4, 0.2, 0.3])
    squares = [p * p / 0.3 for p in (0.1, 0.4, 0.2, 0.3)]
    for settings, wanted in (
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, squares),
        ({"top_k": 2}, [0.0, 4 / 7, 0.0, 3 / 7]),
        ({"top_p": 0.6}, [0.0, 4 / 7, 0.0, 3 / 7]),
        ({"top_p": 0.75}, [0.0, 4 / 9, 2 / 9, 3 / 9]),
        ({"top_k": 2, "top_p": 0.55}, [0.0, 1.0, 0.0, 0.0]),
        ({"temperature": 0.5, "top_p": 0.5}, [0.0, 1.0, 0.0, 0.0]),
    ):
        _equal(sampling.next_word_distribution(logits, **settings), wanted, f"distribution with {settings}")  # type: ignore[arg-type]
    p = np.array([[0.0, 0.5, 0.0, 0.5]] * 4)
    got = sampling.at(p, np.array([0.0, 0.49, 0.5, 0.99])).tolist()
    assert got == [1, 1, 3, 3], f"drawn {got}, wanted [1, 1, 3, 3]"


@holds("samples are drawn number by number from each sentence's own generator")
def samples_are_by_definition() -> None:
    N, temperature = 3, 1.5
    for sharpness in (0.5, 1.0):
        model = TableModel(sharpness)
        found = sampling.sample(
            model,  # type: ignore[arg-type]
            SOURCE,
            start=START,
            eos=EOS,
            seed=5,
            temperature=temperature,
            num_return_sequences=N,
            max_new_tokens=LIMITS,
        )
        for i, (source, limit) in enumerate(zip(SOURCE.tolist(), LIMITS)):
            seed = int(np.random.SeedSequence([5, i]).generate_state(1, np.uint64)[0])
            rng = np.random.default_rng(seed)
            ids: list[list[int]] = [[] for _ in range(N)]
            total, ended = [0.0] * N, [False] * N
            for _ in range(limit):
                if all(ended):
                    break
                for n, u in enumerate(rng.random(N)):
                    if ended[n]:
                        continue
                    log_p = model.log_p(source, ids[n])
                    shares = [math.exp(p / temperature) for p in log_p]
                    token, running = 0, shares[0]
                    while running <= u * sum(shares):
                        token += 1
                        running += shares[token]
                    total[n] += log_p[token]
                    ended[n] = token == EOS
                    ids[n] += [] if ended[n] else [token]
            _same(found[i], list(zip(total, ids, ended)), f"samples of sentence {i}")


@holds("minimum Bayes risk is the mean utility over all candidates, by hand")
def bayes_risk_is_by_hand() -> None:
    table = {"aa": 1.0, "ab": 0.5, "ac": 0.0, "bb": 1.0, "ba": 0.3, "bc": 0.1, "cc": 1.0, "ca": 0.9, "cb": 0.8}
    wanted = {"a": 2.0 / 4, "b": 2.4 / 4, "c": 3.5 / 4}
    candidates = ["a", "b", "c", "b"]

    def utility(text: str, truth: str) -> float:
        return table[text + truth]

    got = bayes_risk.expected_utilities(candidates, utility)
    assert list(got) == list(wanted), f"candidates {list(got)}, wanted {list(wanted)}"
    _equal(list(got.values()), list(wanted.values()), "expected utilities")
    best = bayes_risk.minimum_bayes_risk(candidates, utility)
    assert best == "c", f"chose {best!r}, wanted 'c'"
    for equal in (["y", "x"], ["x", "y"]):
        first = bayes_risk.minimum_bayes_risk(equal, metrics.exact_match)
        assert first == equal[0], f"of equal candidates {equal} it chose {first!r}"
    decoder = MinimumBayesRisk(Sampling(0, num_return_sequences=4), utility, num_return_sequences=2)
    ranked = decoder.rank([Translation(text, [i], -1.0 - i, True, 0.0) for i, text in enumerate(candidates)])
    assert [(t.text, t.ids) for t in ranked] == [("c", [2]), ("b", [1])], f"ranked {ranked}"
    _equal([t.score for t in ranked], [wanted["c"], wanted["b"]], "scores")


@holds("chrF and BLEU of a sentence are by hand")
def utilities_are_by_hand() -> None:
    p, r = (1 + 1) / 2, (2 / 3 + 1 / 2) / 2  # letters and pairs of "ab" in "abc"; no triple in "ab"
    _equal(metrics.chrf("a b", "abc"), 100 * 5 * p * r / (4 * p + r), "chrF")
    p, r = (2 / 3 + 1 / 2) / 2, (2 / 2 + 1 / 1) / 2
    _equal(metrics.chrf("abc", "ab"), 100 * 5 * p * r / (4 * p + r), "chrF of a long text")
    # "aab" and "abb": 2 of 3 letters, 1 of 2 pairs, no triple.
    _equal(metrics.chrf("aab", "abb"), 100 * (2 / 3 + 1 / 2 + 0) / 3, "chrF of repeats")
    right = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    _equal(metrics.sentence_bleu("a b c d x", "a b c d e"), 100 * right, "BLEU")
    _equal(metrics.sentence_bleu("a b c d x", "a b c d"), 100 * right, "BLEU of a long text")
    wanted = 100 * math.exp(1 - 4 / 3) * (3 / 3 * 0.5 / 2 * 0.25 / 1) ** (1 / 3)
    _equal(metrics.sentence_bleu("c b a", "a b c d"), wanted, "BLEU of a short text without a pair")
    _equal(metrics.sentence_bleu("a.", "a ."), 100.0, "BLEU of punctuation")
    _equal(metrics.sentence_bleu("a a", "a b"), 100 * (1 / 2 * 0.5 / 1) ** 0.5, "BLEU of repeats")
