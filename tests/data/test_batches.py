import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitransformer.data import (
    Batch,
    FreshBatches,
    PairBatches,
    evaluation_batches,
    pad_sequences,
    sequence_to_sequence_batch,
)

IDS = st.lists(st.integers(4, 20), max_size=6)
PAIRS = st.lists(st.tuples(IDS, IDS), min_size=1, max_size=30)


def ids_of(batch, eos=2):
    """The pairs of ids that a batch was made of."""
    source, _ = batch.inputs
    return [tuple([int(i) for i in row[: list(row).index(eos)]] for row in rows) for rows in zip(source, batch.targets)]


def random_pairs(n, seed=0, longest=30):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, size=n)
    return [(rng.integers(4, 99, size=k).tolist(), rng.integers(4, 99, size=k).tolist()) for k in lengths]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip((*one.inputs, one.targets), (*other.inputs, other.targets)))


def test_sequences_are_filled_up_on_the_right():
    array = pad_sequences([[5, 6], [], [7]], pad=9)
    assert array.tolist() == [[5, 6], [9, 9], [7, 9]]
    assert array.dtype == np.intp
    assert pad_sequences([[], []]).shape == (2, 0)
    assert pad_sequences([np.array([1, 2], np.uint8)], dtype=np.int32).dtype == np.int32


def test_the_decoder_reads_the_target_shifted_right():
    batch = sequence_to_sequence_batch([([5, 6, 7], [8]), ([9], [5, 6])], pad=0, start=1, eos=2)
    source, target_in = batch.inputs
    assert source.tolist() == [[5, 6, 7, 2], [9, 2, 0, 0]]
    assert target_in.tolist() == [[1, 8, 0], [1, 5, 6]]
    assert batch.targets.tolist() == [[8, 2, 0], [5, 6, 2]]
    assert batch.n_tokens == 5
    assert len(batch) == 2


def test_decoding_may_start_from_the_end_of_sequence():
    batch = sequence_to_sequence_batch([([5], [8, 9])], pad=0, start=2, eos=2)
    assert batch.inputs[1].tolist() == [[2, 8, 9]]
    assert batch.targets.tolist() == [[8, 9, 2]]


def test_empty_sentences_are_sentences():
    batch = sequence_to_sequence_batch([([], [])], pad=0, start=1, eos=2)
    assert batch.inputs[0].tolist() == [[2]]
    assert batch.inputs[1].tolist() == [[1]]
    assert batch.targets.tolist() == [[2]]


def test_the_caller_s_lists_and_arrays_are_unchanged():
    pairs = [([5, 6], np.array([7])), ([8], np.array([9, 5]))]
    sequence_to_sequence_batch(pairs, pad=0, start=1, eos=2).targets[:] = 0
    assert [(source, target.tolist()) for source, target in pairs] == [([5, 6], [7]), ([8], [9, 5])]


@pytest.mark.parametrize(
    ("sequences", "error", "message"),
    [
        ([], ValueError, "sequences is empty"),
        ([[1.5]], TypeError, "must be a list of lists of integers"),
        ([[1, 1.5]], TypeError, "ids of dtype float64"),
        ([["a"]], TypeError, "must be a list of lists of integers"),
        ([[[1, 2]]], TypeError, "must be a list of lists of integers"),
        ([[2**70]], TypeError, "ids of dtype object"),
        ([[4, -1]], ValueError, "contain the id -1; allowed are whole numbers from 0"),
    ],
)
def test_what_cannot_be_padded_is_named(sequences, error, message):
    with pytest.raises(error, match=message):
        pad_sequences(sequences)


def test_what_cannot_be_a_batch_is_named():
    with pytest.raises(ValueError, match="pairs is empty"):
        sequence_to_sequence_batch([], pad=0, start=1, eos=2)
    with pytest.raises(ValueError, match="pairs contain the id 0, which is pad"):
        sequence_to_sequence_batch([([5, 0], [6])], pad=0, start=1, eos=2)
    with pytest.raises(ValueError, match=r"targets has shape \(3,\)"):
        Batch((), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"inputs\[1\] has shape \(2, 4\); allowed is \(3, length\)"):
        Batch((np.zeros((3, 1), int), np.zeros((2, 4), int)), np.zeros((3, 4), int))


@given(PAIRS, st.integers(1, 40), st.sampled_from([0, 1, 2]))
@settings(deadline=None, max_examples=50)
def test_shares_are_batches_of_their_sentences(pairs, n, start):
    batch = sequence_to_sequence_batch(pairs, pad=0, start=start, eos=2)
    shares = batch.shares(n)
    sizes = [len(share) for share in shares]
    assert len(shares) == min(n, len(pairs))
    assert max(sizes) - min(sizes) <= 1
    assert sum(share.n_tokens for share in shares) == batch.n_tokens
    first = 0
    for share in shares:
        expected = sequence_to_sequence_batch(pairs[first : first + len(share)], pad=0, start=start, eos=2)
        assert same(share, expected)
        first += len(share)
    assert first == len(pairs)


def test_sources_as_wide_as_targets_keep_their_width():
    source = np.array([[5, 6, 7, 2], [5, 2, 0, 0]])
    target_in = np.array([[1, 8, 0, 0], [1, 8, 9, 9]])
    targets = np.array([[8, 2, 0, 0], [8, 9, 9, 2]])
    first, second = Batch((source, target_in), targets).shares(2)
    assert [a.shape for a in (*first.inputs, first.targets)] == [(1, 4), (1, 2), (1, 2)]
    assert [a.shape for a in (*second.inputs, second.targets)] == [(1, 2), (1, 4), (1, 4)]


def test_inputs_stay_as_long_as_the_targets_beside_them():
    # A language model whose loss leaves out the end of the text.
    (share,) = Batch((np.array([[5, 6, 7]]),), np.array([[6, 0, 0]])).shares(1)
    assert share.inputs[0].tolist() == [[5, 6, 7]]
    assert share.targets.tolist() == [[6, 0, 0]]


def test_shares_need_a_positive_number():
    with pytest.raises(ValueError, match="n is 0"):
        Batch((), np.ones((3, 1), int)).shares(0)


@given(PAIRS, st.integers(1, 12), st.integers(0, 3), st.booleans())
@settings(deadline=None, max_examples=50)
def test_every_pair_comes_exactly_once_an_epoch(pairs, batch_size, epoch, bucket):
    batches = PairBatches(pairs, batch_size, seed=3, bucket=bucket)
    steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
    epoch_batches = [batches.batch(step) for step in steps]
    assert sorted(pair for batch in epoch_batches for pair in ids_of(batch)) == sorted(pairs)
    assert sorted(len(batch) for batch in epoch_batches)[1:] == [batch_size] * (len(steps) - 1)


def test_every_pair_comes_once_an_epoch_over_several_windows():
    pairs = [([4 + i % 90, 4 + i // 90], [5] * (i % 7)) for i in range(1003)]
    batches = PairBatches(pairs, 2, seed=0)
    assert batches.steps_per_epoch == 502
    seen = [pair for step in range(502) for pair in ids_of(batches.batch(step))]
    assert sorted(seen) == sorted(pairs)


def test_batches_depend_on_seed_and_step_alone():
    pairs = random_pairs(500)
    straight, resumed = PairBatches(pairs, 16, seed=7), PairBatches(pairs, 16, seed=7)
    expected = [straight.batch(step) for step in range(100)]
    for step in (99, 0, 40, 31, 32, 33, 5):
        assert same(resumed.batch(step), expected[step])
    other = PairBatches(pairs, 16, seed=8)
    assert not any(same(other.batch(step), expected[step]) for step in range(100))


def test_epochs_differ_in_order_and_in_company():
    batches = PairBatches(random_pairs(320), 16, seed=7)
    first, second = ({frozenset(map(str, ids_of(batches.batch(e * 20 + i)))) for i in range(20)} for e in (0, 1))
    assert len(first & second) < 5


def padding(batches):
    cells = filled = 0
    for step in range(batches.steps_per_epoch):
        batch = batches.batch(step)
        for array in (*batch.inputs, batch.targets):
            cells += array.size
            filled += np.count_nonzero(array)
    return 1 - filled / cells


def test_buckets_save_padding():
    # Lengths are uniform on 1 to 30. Unsorted, the longest of 32 is about 29 and the mean 15.5: nearly half is padding.
    pairs = random_pairs(3200)
    assert padding(PairBatches(pairs, 32, seed=0, bucket=False)) > 0.4
    assert padding(PairBatches(pairs, 32, seed=0)) < 0.03


def test_long_and_short_batches_are_mixed():
    batches = PairBatches(random_pairs(3200), 32, seed=0)
    widths = [batches.batch(step).targets.shape[1] for step in range(100)]
    assert abs(np.mean(widths[:50]) - np.mean(widths[50:])) < 6


def draw(rng, n):
    return [(rng.integers(4, 50, size=5).tolist(), rng.integers(4, 50, size=3).tolist()) for _ in range(n)]


def test_fresh_batches_depend_on_seed_and_step_alone():
    expected = [FreshBatches(draw, 4, seed=5).batch(step) for step in range(20)]
    batches = FreshBatches(draw, 4, seed=5)
    for step in (17, 5, 0, 3, 3, 18):
        assert same(batches.batch(step), expected[step])
    assert not any(same(expected[i], expected[j]) for i in range(20) for j in range(i))
    assert not same(FreshBatches(draw, 4, seed=6).batch(0), expected[0])


def test_fresh_batches_hold_every_sentence_drawn_and_put_like_lengths_together():
    drawn = []

    def noting(rng, n):
        drawn.extend(random_pairs(n, seed=int(rng.integers(100))))
        return list(drawn)

    fresh = FreshBatches(noting, 8, seed=5)
    batches = [fresh.batch(step) for step in range(4)]
    assert sorted(repr(pair) for batch in batches for pair in ids_of(batch)) == sorted(repr(pair) for pair in drawn)
    sizes = np.array([(batch.targets.size, batch.n_tokens) for batch in batches]).sum(axis=0)
    assert sizes[1] > 0.7 * sizes[0]  # random batches of such lengths are half padding


def test_fresh_batches_carry_the_special_tokens_that_were_asked_for():
    batch = FreshBatches(draw, 4, seed=5, start=2).batch(0)
    assert (batch.inputs[1][:, 0] == 2).all()
    assert (batch.targets[:, -1] == 2).all()


def test_evaluation_covers_each_pair_once_and_says_which():
    pairs = random_pairs(50)
    seen, widths = [], []
    for indices, batch in evaluation_batches(pairs, 8):
        assert ids_of(batch) == [pairs[i] for i in indices]
        seen += indices.tolist()
        widths.append(batch.targets.shape[1])
    assert sorted(seen) == list(range(50))
    assert widths == sorted(widths)
    assert list(evaluation_batches([], 8)) == []


def test_wrong_arguments_are_named():
    pairs = [([5], [6])]
    with pytest.raises(ValueError, match="pairs is empty"):
        PairBatches([], 2, seed=0)
    with pytest.raises(ValueError, match="batch_size is 0; allowed are whole numbers from 1"):
        PairBatches(pairs, 0, seed=0)
    with pytest.raises(TypeError, match=r"batch_size=2\.0: must be an integer"):
        FreshBatches(draw, 2.0, seed=0)
    with pytest.raises(ValueError, match="seed is -1; allowed are whole numbers from 0"):
        PairBatches(pairs, 2, seed=-1)
    with pytest.raises(TypeError, match="seed=None: must be an integer"):
        FreshBatches(draw, 2, seed=None)
    with pytest.raises(ValueError, match="step is -1"):
        PairBatches(pairs, 2, seed=0).batch(-1)
    with pytest.raises(TypeError, match=r"step is 0\.5"):
        FreshBatches(draw, 2, seed=0).batch(0.5)
    with pytest.raises(ValueError, match="sample returned 1 pairs; 8 were asked for"):
        FreshBatches(lambda rng, n: pairs, 2, seed=0).batch(0)
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(evaluation_batches(pairs, 0))
