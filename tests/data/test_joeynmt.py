"""Joey NMT's reversal task: its own pairs, whatever else draws random numbers."""

import numpy as np
import pytest

from minitransformer.data import joeynmt_reversal

# The first sentence that its tutorial shows of the validation set ("Example #0", docs/source/tutorial.rst).
SHOWN = "33 9 15 3 14 33 32 42 23 12 14 17 4 35 0 48 46 36 46 27 2 34 35 17 36 39 7 14 9 0"


@pytest.fixture(scope="module")
def task():
    return joeynmt_reversal()


def test_the_validation_set_begins_with_the_sentence_that_the_tutorial_shows(task):
    source, target = task.validation[0]
    assert task.vocabulary.decode(source) == SHOWN
    assert task.vocabulary.decode(target) == " ".join(reversed(SHOWN.split()))


def test_sizes_and_lengths_are_the_published_ones(task):
    assert [len(part) for part in (task.training, task.validation, task.test)] == [50_000, 1000, 1000]
    lengths = [{len(source) for source, _ in part} for part in (task.training, task.validation, task.test)]
    assert lengths == [set(range(1, 26)), set(range(1, 31)), set(range(1, 31))]
    assert all(target == source[::-1] for source, target in [*task.training, *task.validation, *task.test])
    assert {symbol for source, _ in task.training for symbol in source} == set(range(4, 54))
    assert len(task.vocabulary) == 54


def test_numpy_s_global_generator_is_neither_used_nor_moved():
    np.random.seed(1)  # noqa: NPY002
    first = joeynmt_reversal(5, 2, 2)
    drawn = np.random.rand()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert drawn == np.random.rand()  # noqa: NPY002
    assert joeynmt_reversal(5, 2, 2) == first


@pytest.mark.parametrize("name", ["n_training", "n_validation", "n_test"])
def test_an_empty_set_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0; allowed are whole numbers from 1"):
        joeynmt_reversal(**{name: 0})
