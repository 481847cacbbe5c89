"""Sampling: distributions by definition, draws by frequency, streams by recomputation."""

import math

import numpy as np
import pytest

from minitransformer.decoding import next_word_distribution, sample, stream
from minitransformer.decoding.sampling import at, draw
from minitransformer.layers import (
    Embedding,
    Encoder,
    EncoderBlock,
    Glorot,
    InputEmbedding,
    LearnedPositions,
    Linear,
    Residual,
    SelfAttention,
)
from minitransformer.models import DecoderOnly

from .recipes import EOS, case, log_p, log_probability

LOGITS = np.log(np.array([0.1, 0.4, 0.2, 0.3]))


def model(vocab=11, max_length=64):
    init = Glorot(np.random.default_rng(0), np.float64)
    embedding = InputEmbedding(Embedding(vocab, 6, init), LearnedPositions(max_length, 6, init))
    block = EncoderBlock(Residual(SelfAttention(6, 2, init)), Residual(Linear(6, 6, init)))
    return DecoderOnly(embedding, Encoder([block]), Linear(6, vocab, init))


def test_without_settings_it_is_the_softmax():
    np.testing.assert_allclose(next_word_distribution(LOGITS), [0.1, 0.4, 0.2, 0.3], rtol=1e-14)


def test_temperature_divides_the_logits():
    powers = [p ** (1 / 0.5) for p in (0.1, 0.4, 0.2, 0.3)]
    np.testing.assert_allclose(next_word_distribution(LOGITS, 0.5), [p / sum(powers) for p in powers], rtol=1e-13)


@pytest.mark.parametrize(
    ("k", "wanted"),
    [(1, [0, 1, 0, 0]), (2, [0, 4 / 7, 0, 3 / 7]), (4, [0.1, 0.4, 0.2, 0.3]), (9, [0.1, 0.4, 0.2, 0.3])],
)
def test_top_k_keeps_the_k_most_probable(k, wanted):
    np.testing.assert_allclose(next_word_distribution(LOGITS, top_k=k), wanted, rtol=1e-13)


@pytest.mark.parametrize(
    ("p", "wanted"),
    [
        (0.01, [0, 1, 0, 0]),
        (0.39, [0, 1, 0, 0]),
        (0.5, [0, 4 / 7, 0, 3 / 7]),
        (0.75, [0, 4 / 9, 2 / 9, 3 / 9]),
        (0.95, [0.1, 0.4, 0.2, 0.3]),
        (1.0, [0.1, 0.4, 0.2, 0.3]),
    ],
)
def test_top_p_keeps_the_fewest_that_reach_it(p, wanted):
    np.testing.assert_allclose(next_word_distribution(LOGITS, top_p=p), wanted, rtol=1e-13)


def test_top_p_counts_what_top_k_left():
    # 0.4 / 0.7 = 0.571 of the two that are left reaches 0.55, where 0.4 of all would not.
    assert next_word_distribution(LOGITS, top_k=2, top_p=0.55).tolist() == [0, 1, 0, 0]


def test_of_equal_tokens_the_first_are_kept():
    np.testing.assert_allclose(next_word_distribution(np.zeros((2, 5)), top_k=2), [[0.5, 0.5, 0, 0, 0]] * 2)


@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_large_logits_stay_finite(shift):
    p = next_word_distribution((LOGITS + shift).astype(np.float64), 0.01)
    assert np.isfinite(p).all()
    assert p.argmax() == 1


def test_draws_have_the_frequencies_of_their_distribution():
    p = np.array([0.0, 0.5, 0.0, 0.2, 0.3])
    n = 20_000
    counts = np.bincount(draw(np.tile(p, (n, 1)), np.random.default_rng(0)), minlength=5)
    assert counts[0] == counts[2] == 0
    for count, share in zip(counts, p):
        assert abs(count - n * share) <= 4 * math.sqrt(n * share * (1 - share))


def test_a_greedy_stream_is_recomputation_of_the_whole_prefix():
    net, read = model(), [3, 1, 4]
    got = list(stream(net, np.array(read), max_new_tokens=20))
    for token in got:
        assert token == net(np.array([read]))[0, -1].argmax()
        read.append(token)
    assert len(got) == 20


def test_a_sampled_stream_draws_from_the_distributions_of_recomputation():
    net, read = model(), [3, 1, 4]
    got = list(stream(net, np.array(read), max_new_tokens=20, temperature=1.5, top_k=5, seed=7))
    rng = np.random.default_rng(7)
    for token in got:
        logits = net(np.array([read]))[0, -1]
        kept = sorted(range(11), key=lambda i: -logits[i])[:5]
        shares = [math.exp(logits[i] / 1.5) if i in kept else 0.0 for i in range(11)]
        u, running, wanted = rng.random() * sum(shares), 0.0, None
        for i, share in enumerate(shares):
            running += share
            if running > u:
                wanted = i
                break
        assert token == wanted
        read.append(token)


def test_one_seed_is_one_text():
    streams = [list(stream(model(), np.array([1]), max_new_tokens=30, seed=seed)) for seed in (0, 0, 1)]
    assert streams[0] == streams[1] != streams[2]


def test_a_stream_ends_before_eos():
    net = model()
    whole = list(stream(net, np.array([3]), max_new_tokens=20, temperature=3.0, seed=0))
    eos = whole[7]
    assert (
        list(stream(net, np.array([3]), max_new_tokens=20, temperature=3.0, seed=0, eos=eos))
        == whole[: whole.index(eos)]
    )


def test_suppressed_tokens_never_come():
    net = model()
    free = set(stream(net, np.array([3]), max_new_tokens=60, temperature=5.0, seed=0))
    got = set(stream(net, np.array([3]), max_new_tokens=60, temperature=5.0, seed=0, suppress_tokens=[0, 4]))
    assert {0, 4} <= free
    assert not {0, 4} & got
    greedy = list(stream(net, np.array([3]), max_new_tokens=9))
    assert greedy[0] not in stream(net, np.array([3]), max_new_tokens=9, suppress_tokens=[greedy[0]])


def test_beyond_its_positions_a_model_reads_the_last_half_anew():
    net, context, read = model(max_length=8), 8, [3, 1, 4]
    got = list(stream(net, np.array(read), max_new_tokens=30, context=context))
    window = list(read)
    for token in got:
        assert token == net(np.array([window]))[0, -1].argmax()
        window.append(token)
        if len(window) > context:
            window = window[-context // 2 :]
    assert len(got) == 30


def test_a_prompt_longer_than_the_context_is_read_from_its_last_half():
    net = model(max_length=8)
    assert list(stream(net, np.arange(11), max_new_tokens=3, context=8)) == list(
        stream(net, np.arange(7, 11), max_new_tokens=3, context=8)
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": 0.0, "seed": 0}, "temperature=0.0: must be above 0"),
        ({"temperature": math.nan, "seed": 0}, "temperature=nan"),
        ({"top_k": 0, "seed": 0}, "top_k=0: must be at least 1"),
        ({"top_p": 0.0, "seed": 0}, "top_p=0.0: must be above 0"),
        ({"top_p": 1.1, "seed": 0}, "top_p=1.1"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"temperature": 2.0}, "seed=None is greedy"),
        ({"top_k": 2}, "seed=None is greedy"),
        ({"top_p": 0.5}, "seed=None is greedy"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        next(stream(model(), np.array([1]), **settings))


def test_an_empty_prompt_is_named():
    with pytest.raises(ValueError, match=r"prompt=.* must be one axis of integers, at least one"):
        next(stream(model(), np.array([], int)))


def test_the_largest_number_below_one_still_finds_a_token_that_may_be_drawn():
    p = np.array([[0.0, 0.3, 0.0], [0.0, 1e-300, 0.0], [0.1, 0.9, 0.0]])
    assert at(p, np.full(3, 1.0 - 2.0**-53)).tolist() == [1, 1, 1]
    assert at(p, np.zeros(3)).tolist() == [1, 1, 0]


@pytest.mark.parametrize("settings", [{}, {"temperature": 1.7}, {"top_k": 2}, {"temperature": 0.6, "top_p": 0.8}])
def test_every_sample_is_drawn_from_the_model_s_distribution_number_by_number(settings):
    lengths = set()
    for seed in range(22):
        model, source, start = case(seed, sentences=2)
        limits = np.array([5, 3])
        found = sample(
            model, source, start=start, eos=EOS, seed=[7, 8], num_return_sequences=3, max_new_tokens=limits, **settings
        )
        for row, number, limit, samples in zip(source, (7, 8), limits, found):
            rng = np.random.default_rng(number)
            prefixes, ended = [[], [], []], [False] * 3
            for _ in range(limit):
                if all(ended):
                    break
                for i, u in enumerate(rng.random(3)):
                    if ended[i]:
                        continue
                    p = next_word_distribution(log_p(model, row, start, [prefixes[i]])[0, -1], **settings)
                    token = next(k for k in range(len(p)) if p[: k + 1].sum() > u)
                    ended[i] = token == EOS
                    prefixes[i] += [] if ended[i] else [token]
            assert [h.ids for h in samples] == prefixes
            assert [h.finished for h in samples] == ended
            for h in samples:
                assert h.log_probability == pytest.approx(log_probability(model, row, start, h), rel=1e-9)
                assert h.score == h.log_probability
                lengths.add(h.length)
    assert lengths == {1, 2, 3, 4, 5}


def test_samples_have_the_frequencies_of_the_model():
    model, source, start = case(0, sentences=1, scale=0.4)
    n = 4000
    [found] = sample(model, source, start=start, eos=EOS, seed=0, num_return_sequences=n, max_new_tokens=2)
    drawn = {}
    for h in found:
        key = (*h.ids, h.finished)
        drawn[key] = [drawn.get(key, [0])[0] + 1, math.exp(h.log_probability)]
    assert len(drawn) > 8
    for count, p in drawn.values():
        assert abs(count - n * p) <= 4.5 * math.sqrt(n * p * (1 - p)) + 1


def test_a_sentence_s_samples_do_not_depend_on_the_others():
    model, source, start = case(2, sentences=3)
    settings = {"start": start, "eos": EOS, "num_return_sequences": 4, "max_new_tokens": 6}
    together = sample(model, source, seed=[5, 6, 7], **settings)
    for row, number, found in zip(source, (5, 6, 7), together):
        [alone] = sample(model, row[None], seed=[number], **settings)
        assert [h.ids for h in alone] == [h.ids for h in found]
        assert [h.score for h in alone] == pytest.approx([h.score for h in found], rel=1e-9)


def test_one_number_is_the_seed_of_all_and_gives_each_its_own():
    model, source, start = case(0, sentences=1, scale=0.4)
    source = np.repeat(source, 6, axis=0)
    settings = {"start": start, "eos": EOS, "max_new_tokens": 8}
    found = sample(model, source, seed=3, **settings)
    assert found == sample(model, source, seed=3, **settings) != sample(model, source, seed=4, **settings)
    assert len({tuple(h.ids) for [h] in found}) > 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 2.0}, "top_p=2.0"),
        ({"num_return_sequences": 0}, "num_return_sequences=0: must be at least 1"),
        ({"seed": [1, 2, 3]}, "seed has 3 numbers: give one, or one for each of 2 sentences"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
    ],
)
def test_wrong_settings_of_samples_are_named(settings, words):
    model, source, start = case(0)
    with pytest.raises(ValueError, match=words):
        sample(model, source, start=start, eos=EOS, **{"seed": 0, **settings})


@pytest.mark.parametrize("option", ["num_beams", "length_penalty"])
def test_options_of_a_beam_are_refused(option):
    model, source, start = case(0)
    with pytest.raises(TypeError, match=option):
        sample(model, source, start=start, eos=EOS, seed=0, **{option: 2})
