"""Beam search: right by definition at both ends, a beam of one and a beam as wide as the tree, and between them."""

import itertools

import numpy as np
import pytest

from minitransformer.decoding import Branch, beam_search, greedy, search_tree
from minitransformer.layers import DecodingState, Layer

from ..extent import extent
from .recipes import EOS, MODELS, START, V, case, log_p, log_probability

OTHERS = [token for token in range(V) if token != EOS]
PENALTIES = (None, 0.0, 0.6, 2.0, -1.0)


def test_a_beam_of_one_is_greedy_on_thousands_of_models():
    lengths = set()
    for seed in range(extent(300, 2000)):
        model, source, start = case(seed)
        wanted = greedy(model, source, start=start, eos=EOS, max_new_tokens=5)
        got = beam_search(model, source, start=start, eos=EOS, num_beams=1, max_new_tokens=5)
        for [one], by_greedy in zip(got, wanted):
            assert (one.ids, one.finished) == (by_greedy.ids, by_greedy.finished), seed
            assert one.log_probability == by_greedy.log_probability
            lengths.add(one.length)
    assert lengths == {1, 2, 3, 4, 5}


def every_sequence(model, source, start, most):
    """All sequences that end, and all of `most` tokens that do not, with their log-probabilities."""
    prefixes = np.array(list(itertools.product(OTHERS, repeat=most - 1)))
    rows = log_p(model, source, start, prefixes)
    found = {}
    for prefix, row in zip(map(tuple, prefixes), rows):
        for t in range(most):
            before = sum(float(row[i, token]) for i, token in enumerate(prefix[:t]))
            found[(*prefix[:t], EOS)] = before + float(row[t, EOS])
        for token in OTHERS:
            found[(*prefix, token)] = before + float(row[most - 1, token])
    return found


def test_a_beam_as_wide_as_the_tree_is_exhaustive_search_on_thousands_of_models():
    best_lengths = set()
    for seed in range(extent(300, 2000)):
        model, source, start = case(seed, sentences=1)
        most, penalty = 3 if seed % 4 else 2, PENALTIES[seed % len(PENALTIES)]
        tree = every_sequence(model, source[0], start, most)
        exponent = 1.0 if penalty is None else penalty
        scores = sorted(((p / len(tokens) ** exponent, tokens) for tokens, p in tree.items()), reverse=True)
        settings = {"num_beams": len(tree), "num_return_sequences": 3, "length_penalty": penalty}
        [got] = beam_search(model, source, start=start, eos=EOS, max_new_tokens=most, **settings)
        for h, (score, tokens) in zip(got, scores):
            assert h.score == pytest.approx(score, rel=1e-9), seed
            assert tuple(h.ids) == tokens[: len(tokens) - (tokens[-1] == EOS)], seed
        best_lengths.add((got[0].length, got[0].finished))
    assert best_lengths == {(1, True), (2, True), (3, True), (2, False), (3, False)}


def by_definition(model, source, start, width, penalty, n, most):
    """Beam search with lists, one sentence and one prefix at a time, without a state."""
    alive, done = [((), 0.0)], []
    for _ in range(most):
        ways = [
            (total + float(p), rank, token, (*prefix, token))
            for rank, (prefix, total) in enumerate(alive)
            for token, p in enumerate(log_p(model, source, start, [prefix])[0, -1])
        ]
        ways.sort(key=lambda way: (-way[0], way[1], way[2]))
        chosen = ways[: width - len(done)]
        done += [(tokens, total) for total, _, token, tokens in chosen if token == EOS]
        alive = [(tokens, total) for total, _, token, tokens in chosen if token != EOS]
    done += alive
    return sorted(((total / len(tokens) ** penalty, tokens) for tokens, total in done), key=lambda pair: -pair[0])[:n]


@pytest.mark.parametrize("width", [2, 3, 7])
def test_between_them_it_is_its_definition_sentence_by_sentence(width):
    for seed in range(44):
        model, source, start = case(seed, sentences=3)
        penalty = PENALTIES[seed % len(PENALTIES)]
        found = beam_search(
            model,
            source,
            start=start,
            eos=EOS,
            num_beams=width,
            length_penalty=penalty,
            num_return_sequences=2,
            max_new_tokens=np.array([4, 2, 5]),
        )
        for sentence, most, got in zip(source, (4, 2, 5), found):
            wanted = by_definition(model, sentence, start, width, 1.0 if penalty is None else penalty, 2, most)
            assert [(*h.ids, EOS) if h.finished else tuple(h.ids) for h in got] == [tokens for _, tokens in wanted]
            assert [h.score for h in got] == pytest.approx([score for score, _ in wanted], rel=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_every_score_is_the_model_s_own_log_probability_over_the_length_without_the_prompt(name):
    number = list(MODELS).index(name)
    finished = set()
    for seed in range(number, number + extent(3, 10) * len(MODELS), len(MODELS)):
        model, source, start = case(seed, sentences=3)
        settings = {"num_beams": 4, "num_return_sequences": 4, "max_new_tokens": 6}
        for penalty in PENALTIES:
            found = beam_search(model, source, start=start, eos=EOS, length_penalty=penalty, **settings)
            for sentence, hypotheses in zip(source, found):
                assert len(hypotheses) == 4
                assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
                for h in hypotheses:
                    wanted = log_probability(model, sentence, start, h)
                    assert h.log_probability == pytest.approx(wanted, rel=1e-9)
                    length = len(h.ids) + h.finished
                    assert h.score == pytest.approx(wanted / length ** (1.0 if penalty is None else penalty), rel=1e-9)
                    finished.add(h.finished)
    assert finished == {True, False}


class Table(Layer):
    """A model that reads its last token only; each row of the table is what may follow it, as probabilities."""

    def __init__(self, rows):
        self.logits = np.log(np.array(rows))

    def start_decoding(self, source, start):
        return DecodingState(), np.full((len(source), 1), start)

    def next_logits(self, ids, state):
        return self.logits[ids]


ONE = np.zeros((1, 1), int)


def test_the_penalty_s_sign_above_zero_favours_the_long_below_it_the_short():
    # After the start (1) either eos (2) with 0.4, or 3, which is followed by 3 with 0.8 and by eos with 0.2.
    model = Table([[0.25] * 4, [1e-9, 1e-9, 0.4, 0.6], [0.25] * 4, [1e-9, 1e-9, 0.2, 0.8]])
    best = {}
    for penalty in (-1.0, 0.0, 1.0):
        [[h]] = beam_search(model, ONE, start=1, eos=2, num_beams=9, length_penalty=penalty, max_new_tokens=3)
        best[penalty] = h.ids
    assert best == {-1.0: [], 0.0: [], 1.0: [3, 3, 3]}  # ln 0.4 = -0.92; ln(0.6 0.8 0.8) = -0.96, a third of it -0.32


def test_what_has_ended_keeps_its_slot_and_is_never_extended():
    # eos is most probable at first: a beam that dropped it would have to find another sequence.
    model = Table([[0.25] * 4, [1e-9, 1e-9, 0.9, 0.1], [0.25] * 4, [1e-9, 1e-9, 0.5, 0.5]])
    for width in (1, 2, 3):
        [found] = beam_search(model, ONE, start=1, eos=2, num_beams=width, num_return_sequences=width, max_new_tokens=9)
        assert found[0].ids == []
        assert found[0].finished
        assert len(found) == width
        assert all(2 not in h.ids for h in found)


def test_ties_go_to_the_smaller_id_the_better_parent_and_the_earlier_end():
    model = Table([[0.2] * 5] * 5)
    settings = {"start": 1, "eos": 2, "num_beams": 4, "num_return_sequences": 4}
    [found] = beam_search(model, ONE, **settings, max_new_tokens=2)
    # Of five equal first tokens 0, 1, 2 and 3 get the slots, and 2 keeps one; the other three go to the first of the
    # open ones, with its first three tokens, of which 2 ends.
    assert [(h.ids, h.finished) for h in found] == [([], True), ([0, 0], False), ([0, 1], False), ([0], True)]
    assert [h.score for h in found] == pytest.approx([np.log(0.2)] * 4)
    again = [beam_search(model, ONE, **settings, max_new_tokens=2) for _ in range(3)]
    assert again == [[found]] * 3


def test_a_sentence_s_beam_does_not_depend_on_the_batch():
    for seed in range(33):
        model, source, start = case(seed, sentences=4)
        settings = {"start": start, "eos": EOS, "num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 6}
        together = beam_search(model, source, **settings)
        for row, found in zip(source, together):
            [alone] = beam_search(model, row[None], **settings)
            assert [h.ids for h in alone] == [h.ids for h in found]
            assert [h.score for h in alone] == pytest.approx([h.score for h in found], rel=1e-9)


def test_what_was_weighed_is_recorded_as_a_tree():
    model = Table([[0.25] * 4, [0.05, 0.1, 0.25, 0.6], [0.25] * 4, [0.1, 0.2, 0.5, 0.2]])
    steps = []
    [[best]] = beam_search(model, ONE, start=1, eos=2, num_beams=2, max_new_tokens=3, on_step=steps.append)
    assert best.ids == [3]
    nodes = search_tree(steps, [*best.ids, 2], "abcd".__getitem__, root="<bos>", dropped=1)
    assert nodes[0] == Branch("<bos>", 0.0, None, True, True)
    assert [(n.word, n.parent, n.kept, n.winner) for n in nodes[1:]] == [
        ("d", 0, True, True),
        ("c", 0, True, False),
        ("c", 1, True, True),
        ("b", 1, False, False),
    ]
    assert [n.lives for n in nodes] == [True, True, True, True, False]
    assert search_tree([], []) == [Branch("", 0.0, winner=True)]
    assert [n.log_probability for n in nodes[1:]] == pytest.approx(np.log([0.6, 0.25, 0.3, 0.12]))
    whole = search_tree(steps, [*best.ids, 2], dropped=99)
    assert [n.word for n in whole] == ["", "3", "2", "2", "1"]  # two of each row are weighed: more could not win


def test_the_tree_of_one_sentence_of_a_batch_is_that_of_the_sentence_alone():
    model, source, start = case(2, sentences=3)
    steps = []
    found = beam_search(model, source, start=start, eos=EOS, num_beams=3, max_new_tokens=5, on_step=steps.append)
    for i, [best] in enumerate(found):
        winner = [*best.ids, EOS] if best.finished else best.ids
        nodes = search_tree(steps, winner, sentence=i, dropped=5)
        alone = []
        beam_search(model, source[i : i + 1], start=start, eos=EOS, num_beams=3, max_new_tokens=5, on_step=alone.append)
        wanted = search_tree(alone, winner, dropped=5)
        assert [(n.word, n.parent, n.kept, n.winner) for n in nodes] == [
            (n.word, n.parent, n.kept, n.winner) for n in wanted
        ]
        assert [n.word for n in nodes if n.winner][1:] == [str(token) for token in winner]
        last = max(i for i, n in enumerate(nodes) if n.winner)
        assert nodes[last].log_probability == pytest.approx(best.log_probability)


@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_a_tree_has_all_that_was_kept_and_the_first_of_what_was_dropped(dropped):
    model, source, start = case(2)
    steps = []
    beam_search(model, source[:1], start=start, eos=EOS, num_beams=3, max_new_tokens=4, on_step=steps.append)
    nodes = search_tree(steps, [], dropped=dropped)[1:]
    kept = [str(t) for s in steps for t, k in zip(s.token, s.kept) if k]
    lost = [str(t) for s in steps for t in s.token[~s.kept][:dropped]]
    assert [n.word for n in nodes if n.kept] == kept
    assert [n.word for n in nodes if not n.kept] == lost
    assert sum(len(step.token) - sum(step.kept) for step in steps) > dropped


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_beams": 0}, "num_beams=0: must be at least 1"),
        ({"num_beams": 1, "length_penalty": 1.0}, "length_penalty=1.0: a beam of one ranks nothing"),
        ({"num_beams": 2, "length_penalty": np.nan}, "length_penalty=nan: must be finite"),
        ({"num_beams": 2, "num_return_sequences": 3}, "num_return_sequences=3: .* at most num_beams=2"),
        ({"num_beams": 2, "num_return_sequences": 0}, "num_return_sequences=0: must be at least 1"),
        ({"num_beams": 2, "max_new_tokens": 0}, "max_new_tokens=0: must be at least 1"),
        ({"num_beams": 2, "max_new_tokens": 1.5}, "max_new_tokens=1.5: must be an integer"),
    ],
)
def test_wrong_settings_and_those_without_effect_are_named(settings, words):
    model, source, start = case(0)
    with pytest.raises((TypeError, ValueError), match=words):
        beam_search(model, source, start=start, eos=EOS, **settings)


@pytest.mark.parametrize("option", ["temperature", "top_k", "top_p", "seed"])
def test_options_of_sampling_are_refused(option):
    model, source, start = case(0)
    with pytest.raises(TypeError, match=option):
        beam_search(model, source, start=start, eos=EOS, num_beams=2, **{option: 1})
    with pytest.raises(TypeError, match=option):
        greedy(model, source, start=start, eos=EOS, **{option: 1})


def test_a_model_whose_weights_are_not_numbers_is_named():
    with pytest.raises(ValueError, match="logits hold NaN"):
        beam_search(Table([[np.nan] * 3] * 3), ONE, start=1, eos=2, num_beams=2)


def test_a_prompt_is_read_and_not_repeated():
    model, source, start = case(8)  # a GPT
    assert start is None
    [[h], _] = beam_search(model, source, start=None, eos=EOS, num_beams=2, max_new_tokens=3)
    assert h.length <= 3
    with pytest.raises(ValueError, match="start=1"):
        beam_search(model, source, start=START, eos=EOS, num_beams=2)
