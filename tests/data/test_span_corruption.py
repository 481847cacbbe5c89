"""Span corruption: the paper's example, the numbers of spans, and that nothing of a text is lost."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitransformer.data import FreshBatches
from minitransformer.data.tasks.span_corruption import (
    SpanCorruption,
    corrupt_spans,
    random_parts,
    random_spans,
    restore_spans,
    sentinels,
)

MARKS = sentinels(199)


def test_the_example_of_the_paper():
    words = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week"]
    ids = list(range(len(words)))
    taken = np.array([word in ("for", "inviting", "last") for word in words])
    source, target = corrupt_spans(ids, taken, MARKS)
    names = {**dict(enumerate(words)), 199: "<X>", 198: "<Y>", 197: "<Z>"}
    assert " ".join(names[i] for i in source) == "Thank you <X> me to your party <Y> week"
    assert " ".join(names[i] for i in target) == "<X> for inviting <Y> last <Z>"


def test_sentinels_are_the_highest_ids_from_the_last_one_down():
    assert list(sentinels(32099))[:2] == [32099, 32098]
    assert len(sentinels(32099)) == 100
    assert sentinels(32099)[-1] == 32000


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 120), st.integers(0, 2**32 - 1), st.floats(0.05, 0.6), st.floats(1.0, 6.0))
def test_source_and_target_give_the_text_back(length, seed, density, mean_span):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 50, length).tolist()
    taken = random_spans(length, rng, density, mean_span)
    source, target = corrupt_spans(ids, taken, MARKS)
    assert restore_spans(source, target, MARKS) == ids
    assert [i for i in source if i < 100] == [i for i, out in zip(ids, taken) if not out]
    assert [i for i in target if i < 100] == [i for i, out in zip(ids, taken) if out]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_any_choice_of_tokens_can_be_undone(taken):
    ids = list(range(len(taken)))
    source, target = corrupt_spans(ids, np.array(taken), MARKS)
    assert restore_spans(source, target, MARKS) == ids


@pytest.mark.parametrize(("length", "taken", "spans"), [(512, 77, 26), (100, 15, 5), (10, 2, 1), (2, 1, 1)])
def test_the_numbers_of_tokens_and_of_spans_are_those_of_the_paper(length, taken, spans):
    for seed in range(20):
        mask = random_spans(length, np.random.default_rng(seed))
        assert mask.sum() == taken  # round(0.15 length)
        assert (np.diff(mask.astype(int)) == 1).sum() == spans  # round(taken / 3)
        assert not mask[0]
        assert mask[-1]


def test_every_way_to_cut_is_equally_likely():
    rng = np.random.default_rng(0)
    counts = Counter(tuple(random_parts(5, 3, rng).tolist()) for _ in range(6000))
    assert set(counts) == {(1, 1, 3), (1, 3, 1), (3, 1, 1), (1, 2, 2), (2, 1, 2), (2, 2, 1)}
    assert all(abs(count - 1000) < 150 for count in counts.values())


def test_batches_are_pieces_of_the_text_and_the_same_for_the_same_seed():
    text = list(range(4, 99))
    task = SpanCorruption(text, 20, MARKS)
    batches, again = (FreshBatches(task, 5, seed=3, start=0, eos=1) for _ in range(2))
    for step in (0, 7):
        batch = batches.batch(step)
        assert np.array_equal(batch.targets, again.batch(step).targets)
        for source, target in zip(batch.inputs[0], batch.targets):
            piece = restore_spans(source[source > 3].tolist(), target[target > 3].tolist(), MARKS)
            assert piece == list(range(piece[0], piece[0] + 20))
    assert not np.array_equal(batches.batch(0).targets, batches.batch(7).targets)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: random_spans(1, np.random.default_rng(0)), "length=1"),
        (lambda: random_spans(9, np.random.default_rng(0), density=1.0), "density=1.0"),
        (lambda: random_spans(9, np.random.default_rng(0), mean_span=0.5), "mean_span=0.5"),
        (lambda: corrupt_spans([1, 199], np.array([True, False]), MARKS), "ids holds 199: it is a sentinel"),
        (lambda: corrupt_spans([1, 2, 3], np.array([True, False, True]), MARKS[:1]), "sentinels has 1 ids"),
        (lambda: corrupt_spans([1, 2], np.array([True]), MARKS), "spans has length 1: the text has 2 tokens"),
        (lambda: restore_spans([1, 198], [199, 2], MARKS), "no span for the sentinel 198"),
        (lambda: restore_spans([1], [2], MARKS), "target begins with 2"),
        (lambda: SpanCorruption([1, 2, 3], 4, MARKS), "length=4"),
        (lambda: sentinels(5, 9), "n=9"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
