"""Minimum Bayes risk: the candidate that is best on average if the others are the truth."""

from collections import Counter

import numpy as np
import pytest

from minitransformer.decoding import chrf, exact_match, expected_utilities, minimum_bayes_risk, sentence_bleu

WORDS = ["le", "la", "chat", "chien", "dort", "mange", "bien"]
SHARES = [0.4, 0.2, 0.2, 0.05, 0.05, 0.05, 0.05]


def draws(seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 4), p=SHARES)) for _ in range(20)]


def test_by_hand_with_duplicates():
    # u(candidate, truth) is not symmetric; b was drawn twice.
    table = {"aa": 1.0, "ab": 0.5, "ac": 0.0, "bb": 1.0, "ba": 0.3, "bc": 0.1, "cc": 1.0, "ca": 0.9, "cb": 0.8}
    candidates = ["a", "b", "c", "b"]
    expected = expected_utilities(candidates, lambda candidate, truth: table[candidate + truth])
    assert expected == pytest.approx({"a": 2.0 / 4, "b": 2.4 / 4, "c": 3.5 / 4})
    assert list(expected) == ["a", "b", "c"]
    assert minimum_bayes_risk(candidates, lambda candidate, truth: table[candidate + truth]) == "c"


@pytest.mark.parametrize("utility", [chrf, sentence_bleu, exact_match])
def test_it_is_the_mean_over_all_candidates_one_by_one(utility):
    for seed in range(30):
        candidates = draws(seed)
        expected = expected_utilities(candidates, utility)
        for candidate in candidates:
            mean = sum(utility(candidate, truth) for truth in candidates) / len(candidates)
            assert expected[candidate] == pytest.approx(mean)
        best = minimum_bayes_risk(candidates, utility)
        assert expected[best] == max(expected.values())


def test_with_all_or_nothing_it_is_the_most_frequent_sample_and_of_equal_ones_the_first():
    ties = 0
    for seed in range(200):
        candidates = draws(seed)
        counts = Counter(candidates).most_common()
        most = [text for text, count in counts if count == counts[0][1]]
        ties += len(most) > 1
        assert minimum_bayes_risk(candidates, exact_match) == min(most, key=candidates.index)
    assert 20 < ties < 180


def test_utilities_differ_in_what_they_choose():
    chosen = {
        utility: [minimum_bayes_risk(draws(seed), utility) for seed in range(30)]
        for utility in (chrf, sentence_bleu, exact_match)
    }
    assert chosen[chrf] != chosen[sentence_bleu] != chosen[exact_match] != chosen[chrf]


def test_candidates_may_be_sequences_of_ids():
    assert minimum_bayes_risk([(1, 2), (3,), (1, 2)], exact_match) == (1, 2)


def test_without_candidates_there_is_nothing_to_choose():
    with pytest.raises(ValueError, match="candidates is empty"):
        minimum_bayes_risk([], chrf)
