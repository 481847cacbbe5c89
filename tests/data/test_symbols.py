from collections import Counter

import numpy as np
import pytest

from minitransformer.data import FreshBatches, ToyTask


@pytest.mark.parametrize(("name", "answer"), [("copy", "3 1 4 1"), ("reverse", "1 4 1 3"), ("sort", "1 1 3 4")])
def test_each_rule_gives_its_answer(name, answer):
    task = ToyTask(name)
    source = task.vocabulary.encode("3 1 4 1")
    assert task.vocabulary.decode(task.target(source)) == answer


def test_sorting_is_by_number_beyond_ten_symbols():
    task = ToyTask("sort", n_symbols=30)
    source = task.vocabulary.encode_tokens(["10", "9", "29", "2"])
    assert task.vocabulary.decode(task.target(source)) == "2 9 10 29"


@pytest.mark.parametrize(
    ("name", "rule"),
    [("copy", lambda ids: ids), ("reverse", lambda ids: ids[::-1]), ("sort", sorted)],
)
def test_samples_follow_the_rule_within_symbols_and_lengths(name, rule):
    task = ToyTask(name, n_symbols=5, min_length=2, max_length=6)
    pairs = task.sample(np.random.default_rng(0), 500)
    assert len(pairs) == 500
    assert all(target == rule(source) for source, target in pairs)
    assert {len(source) for source, _ in pairs} == {2, 3, 4, 5, 6}
    # Ids 0 to 3 are the special tokens.
    assert {symbol for source, _ in pairs for symbol in source} == {4, 5, 6, 7, 8}
    assert len(task.vocabulary) == 9


def test_train_and_test_have_no_source_in_common():
    task = ToyTask("reverse", n_symbols=4, min_length=1, max_length=4)
    rng = np.random.default_rng(0)
    train = {tuple(source) for source, _ in task.sample(rng, 5000)}
    test = {tuple(source) for source, _ in task.sample(rng, 1000, split="test")}
    assert not train & test
    # 4 + 16 + 64 + 256 = 340 sources in all, of which a tenth is kept for test.
    assert len(train) + len(test) == 340
    assert 17 <= len(test) <= 60


def test_the_split_of_a_source_does_not_depend_on_the_rule_or_the_run():
    sources = [[4 + i % 10, 4 + i // 10] for i in range(100)]
    copy, sort = ToyTask("copy"), ToyTask("sort")
    assert [copy.split_of(source) for source in sources] == [sort.split_of(source) for source in sources]
    assert copy.split_of([4, 13, 7]) == copy.split_of(np.array([4, 13, 7])) == copy.split_of((4, 13, 7))
    kept = [source for source in sources if copy.split_of(source) == "test"]
    # Those whose 8-byte blake2b, as of b"5 4", is a number that ends in 0.
    assert kept[:3] == [[5, 4], [13, 4], [8, 6]]


def test_the_generator_alone_decides():
    task = ToyTask("copy")
    assert task.sample(np.random.default_rng(3), 9) == task.sample(np.random.default_rng(3), 9)
    assert task.sample(np.random.default_rng(3), 9) != task.sample(np.random.default_rng(4), 9)


def test_symbols_and_lengths_are_uniform():
    pairs = ToyTask("copy", n_symbols=4, min_length=5, max_length=8).sample(np.random.default_rng(0), 4000)
    lengths = Counter(len(source) for source, _ in pairs)
    # 1000 of each length expected, standard deviation 27; each symbol a quarter.
    assert all(abs(lengths[n] - 1000) < 150 for n in (5, 6, 7, 8))
    symbols = Counter(symbol for source, _ in pairs for symbol in source)
    assert all(abs(symbols[s] / sum(symbols.values()) - 0.25) < 0.02 for s in (4, 5, 6, 7))


def test_source_and_target_are_separate_lists():
    ((source, target),) = ToyTask("copy").sample(np.random.default_rng(0), 1)
    source.append(99)
    assert 99 not in target


def test_a_task_feeds_fresh_batches():
    task = ToyTask("copy", max_length=5)
    batch = FreshBatches(task.sample, 8, seed=0).batch(0)
    assert len(batch) == 8
    assert np.array_equal(batch.inputs[0], batch.targets)


def test_wrong_arguments_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="name is 'shuffle'; allowed are copy, reverse, sort"):
        ToyTask("shuffle")
    with pytest.raises(ValueError, match="n_symbols is 0"):
        ToyTask("copy", n_symbols=0)
    with pytest.raises(ValueError, match="min_length is 5, max_length 4"):
        ToyTask("copy", min_length=5, max_length=4)
    with pytest.raises(ValueError, match="split is 'dev'; allowed are train, test"):
        ToyTask("copy").sample(rng, 1, split="dev")
    tiny = ToyTask("copy", n_symbols=1, max_length=1)
    empty = "train" if tiny.split_of([4]) == "test" else "test"
    with pytest.raises(ValueError, match=f"split '{empty}' has no source"):
        tiny.sample(rng, 100, split=empty)
