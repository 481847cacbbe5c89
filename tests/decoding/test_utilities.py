"""Utilities of sentences: what they are by hand, and the same as sacrebleu's."""

import math

import numpy as np
import pytest

from minitransformer.decoding import chrf, exact_match, sentence_bleu

TEXTS = [
    "",
    " ",
    "a",
    "Il est en retard.",
    "Il était en retard, alors nous sommes partis sans lui.",
    "Je ne sais pas où il est.",
    "Je ne sais où il est !",
    "C'est l'homme qui a 1,5 million d'euros, 3.14 et 20-30 % &quot;ici&quot; & <là>.",
    "C’est l’homme - qui a 1.5 million d'euros (3,14) et 20 - 30 %.",
    "aaaaaaa",
    "aaa aaa",
    "日本語 の 文。",
]


def mixed(n):
    """Pairs of texts, made of each other's words."""
    rng = np.random.default_rng(0)
    words = " ".join(TEXTS).split()
    return [tuple(" ".join(rng.choice(words, rng.integers(0, 12))) for _ in range(2)) for _ in range(n)]


def test_chrf_by_hand():
    # "ab" and "abc": 2 of 2 and 2 of 3 letters, 1 of 1 and 1 of 2 pairs; no triple in "ab".
    p, r = (1 + 1) / 2, (2 / 3 + 1 / 2) / 2
    assert chrf("ab", "abc") == pytest.approx(100 * 5 * p * r / (4 * p + r))
    assert chrf("a b", "ab") == 100.0
    assert chrf("ab", "cd") == chrf("", "a") == chrf("a", "") == chrf("", "") == 0.0


def test_bleu_by_hand():
    # Five words of which 4 are right, 3 pairs of 4, 2 triples of 3, 1 four of 2; as long as the truth.
    assert sentence_bleu("a b c d x", "a b c d e") == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)
    # Two words, the pair wrong (half a match), one word too short.
    assert sentence_bleu("b a", "a b c") == pytest.approx(100 * math.exp(1 - 3 / 2) * (2 / 2 * 0.5 / 1) ** 0.5)
    assert sentence_bleu("x", "a") == sentence_bleu("", "a") == sentence_bleu("a", "") == 0.0


def test_exact_match_is_all_or_nothing():
    assert exact_match("a b", "a b") == 1.0
    assert exact_match("a b", "a  b") == 0.0


@pytest.mark.parametrize(("utility", "name"), [(chrf, "sentence_chrf"), (sentence_bleu, "sentence_bleu")])
def test_they_are_those_of_sacrebleu_to_rounding(utility, name):
    sacrebleu = pytest.importorskip("sacrebleu")
    pairs = [(a, b) for a in TEXTS for b in TEXTS] + mixed(500)
    scores = set()
    for text, truth in pairs:
        wanted = getattr(sacrebleu, name)(text, [truth]).score
        assert utility(text, truth) == pytest.approx(wanted, rel=1e-12, abs=1e-12), (text, truth)
        scores.add(round(wanted))
    assert len(scores) > 20
