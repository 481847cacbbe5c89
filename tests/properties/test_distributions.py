"""What is drawn has its stated distribution: chi-square tests with fixed seeds, at a level of one in ten thousand.

A correct generator fails such a test with probability 1e-4 for a seed. Seeds are fixed: it passes always or never.
"""

import itertools
import math

import numpy as np
import pytest

from minitransformer.data import PairBatches, TextBatches, ToyTask, random_spans
from minitransformer.data.vocabulary import SPECIALS
from minitransformer.decoding.sampling import draw, next_word_distribution
from minitransformer.layers import Dropout, Glorot, Normal

Z = 3.719  # the standard normal's quantile at 1 - 1e-4


def assert_follows(counts, p):
    """Chi-square against exact probabilities; where a probability is 0, so is the count."""
    counts, p = np.asarray(counts, float), np.asarray(p, float)
    assert (counts[p == 0] == 0).all()
    counts, p = counts[p > 0], p[p > 0]
    wanted = counts.sum() * p
    assert wanted.min() >= 5, "too few draws for this test"
    statistic, k = ((counts - wanted) ** 2 / wanted).sum(), len(p) - 1
    # Wilson and Hilferty 1931: the cube root of chi-square over its degrees of freedom is nearly normal.
    limit = k * (1 - 2 / (9 * k) + Z * math.sqrt(2 / (9 * k))) ** 3
    assert statistic <= limit, f"chi-square {statistic:.1f} of at most {limit:.1f}: {counts} for {wanted}"


def assert_uniform(counts):
    assert_follows(counts, np.full(len(counts), 1 / len(counts)))


def test_the_test_itself_rejects_what_is_a_little_off():
    counts = np.random.default_rng(0).multinomial(20_000, [0.26, 0.25, 0.25, 0.24])
    with pytest.raises(AssertionError, match="chi-square"):
        assert_uniform(counts)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_every_place_as_often_and_scales_the_rest(p):
    layer, rng, n = Dropout(p), np.random.default_rng(1), 4000
    x = np.ones((5, 7))
    dropped = np.zeros(x.shape)
    for _ in range(n):
        y, _ = layer.forward(x, rng)
        np.testing.assert_allclose(y[y != 0], 1.0 / (1.0 - p), rtol=1e-4)  # p is rounded to 1 / 65536
        dropped += y == 0
    z = (dropped - n * p) / math.sqrt(n * p * (1 - p))
    assert np.abs(z).max() < 4.5  # the largest of 35
    assert abs((z**2).mean() - 1) < 4 * math.sqrt(2 / z.size)


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 0.5}, {"temperature": 2.0}, {"top_k": 3}, {"top_p": 0.7}, {"top_k": 4, "top_p": 0.9}],
)
def test_words_are_drawn_with_their_exact_probabilities(settings):
    logits = np.array([1.0, -0.5, 0.2, 2.0, 0.0, -1.0])
    p = softmax_by_definition(logits, **settings)
    rows = np.tile(next_word_distribution(logits, **settings), (30_000, 1))
    assert_follows(np.bincount(draw(rows, np.random.default_rng(2)), minlength=6), p)


def softmax_by_definition(logits, temperature=1.0, top_k=None, top_p=None):
    """Temperature, then the k likeliest, then the fewest of those that reach top_p, number by number."""
    p = [math.exp(x / temperature) for x in logits]
    ranked = sorted(range(len(p)), key=lambda i: -p[i])[:top_k]
    total, kept = sum(p[i] for i in ranked), []
    for i in ranked:
        if top_p is None or sum(p[j] for j in kept) / total < top_p:
            kept.append(i)
    total = sum(p[i] for i in kept)
    return [p[i] / total if i in kept else 0.0 for i in range(len(p))]


@pytest.mark.parametrize(("d_in", "d_out"), [(30, 50), (7, 200), (64, 64)])
def test_first_weights_have_their_variance_and_no_mean(d_in, d_out):
    rng = np.random.default_rng(3)
    for init, variance, kurtosis in (
        (Glorot(rng, np.float64), 2 / (d_in + d_out), 1.8),  # uniform
        (Normal(rng, np.float64, 0.02), 0.02**2, 3.0),
    ):
        w = np.stack([init.matrix(d_in, d_out) for _ in range(20)]).reshape(-1)
        assert abs(w.mean()) < 4 * math.sqrt(variance / w.size)
        assert abs(w.var() / variance - 1) < 4 * math.sqrt((kurtosis - 1) / w.size)
    table = np.stack([Glorot(rng, np.float64).embedding(d_in, d_out) for _ in range(20)]).reshape(-1)
    assert abs(table.var() * d_out - 1) < 4 * math.sqrt(2 / table.size)


@pytest.mark.parametrize("bucket", [False, True])
def test_every_pair_is_as_often_at_every_place_of_an_epoch(bucket):
    pairs = [([i], [i]) for i in range(3, 11)]
    places = np.zeros((8, 8))
    for seed in range(2000):
        source = PairBatches(pairs, 2, seed=seed, bucket=bucket)
        order = np.concatenate([source.batch(step).inputs[0][:, 0] for step in range(4)])
        places[np.arange(8), order - 3] += 1
    for row in places:
        assert_uniform(row)


def test_epochs_of_one_seed_are_shuffled_apart():
    source = PairBatches([([i], [i]) for i in range(3, 9)], 6, seed=0, bucket=False)
    first = [tuple(source.batch(step).inputs[0][:, 0]) for step in range(3000)]
    assert_uniform(np.bincount([order[0] - 3 for order in first], minlength=6))
    again = np.mean([a == b for a, b in itertools.pairwise(first)])
    assert again < 0.01  # 1 / 720


def test_windows_begin_at_every_place_of_a_text_as_often_the_last_included():
    source = TextBatches(list(range(12)), 3, 5, seed=4)
    starts = np.concatenate([source.batch(step).inputs[0][:, 0] for step in range(1000)])
    assert_uniform(np.bincount(starts, minlength=9))  # 12 ids, windows of 3 and the next one: 0 to 8


@pytest.mark.parametrize("split", ["train", "test"])
def test_toy_sentences_have_every_length_and_symbol_as_often(split):
    task = ToyTask("copy", 3, 1, 3)
    first = len(SPECIALS)
    sources = [s for n in (1, 2, 3) for s in itertools.product(range(first, first + 3), repeat=n)]
    # Each length as often; among those of a length each source as often; a checksum says in which part a source is.
    p = np.array([3.0 ** -len(s) if task.split_of(list(s)) == split else 0.0 for s in sources])
    drawn = [tuple(source) for source, _ in task.sample(np.random.default_rng(6), 20_000, split)]
    assert_follows([drawn.count(s) for s in sources], p / p.sum())


def test_every_cut_into_spans_is_as_likely():
    # 8 tokens, 4 of them taken in 2 spans: kept 1+3, 2+2 or 3+1, and the same for the taken ones: 9 ways.
    rng, n = np.random.default_rng(7), 9000
    ways = {}
    for _ in range(n):
        spans = tuple(random_spans(8, rng, 0.5, 2.0))
        ways[spans] = ways.get(spans, 0) + 1
    assert len(ways) == 9
    assert_uniform(list(ways.values()))
