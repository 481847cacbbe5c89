"""Windows of running text."""

import sys

import numpy as np
import pytest

from minitransformer.data import DataError, TextBatches, documentation, read_text, text_windows

TEXT = list(range(100, 123))


def test_targets_are_the_ids_that_follow_the_inputs():
    batch = TextBatches(TEXT, context=5, batch_size=7, seed=0).batch(3)
    assert batch.targets.shape == batch.inputs[0].shape == (7, 5)
    assert np.array_equal(batch.targets, batch.inputs[0] + 1)  # the text counts upwards


def test_every_window_of_the_text_is_drawn_and_none_beyond_it():
    batches = TextBatches(TEXT, context=5, batch_size=50, seed=0)
    firsts = np.concatenate([batches.batch(step).inputs[0][:, 0] for step in range(20)])
    assert sorted(set(firsts.tolist())) == TEXT[: 23 - 5]


def test_seed_and_step_decide_a_batch():
    batches = TextBatches(TEXT, 5, 7, seed=1)
    first = batches.batch(4).inputs[0]
    batches.batch(9)
    assert np.array_equal(batches.batch(4).inputs[0], first)
    assert np.array_equal(TextBatches(TEXT, 5, 7, seed=1).batch(4).inputs[0], first)
    assert not np.array_equal(TextBatches(TEXT, 5, 7, seed=2).batch(4).inputs[0], first)
    assert not np.array_equal(batches.batch(5).inputs[0], first)


def test_every_id_counts_also_one_that_is_padding_elsewhere():
    assert TextBatches([0] * 9, 4, 3, seed=0).batch(0).n_tokens == 12


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_windows_cover_the_text_once_and_leave_out_the_rest(batch_size):
    batches = list(text_windows(TEXT, 5, batch_size))
    targets = np.concatenate([batch.targets.reshape(-1) for batch in batches])
    assert targets.tolist() == TEXT[1:21]  # 4 windows of 5; the two ids behind them make no whole one
    assert all(len(batch) <= batch_size for batch in batches)


def test_a_text_that_just_fits_is_one_window():
    assert [batch.targets.tolist() for batch in text_windows([7, 8, 9], 2, 4)] == [[[8, 9]]]


@pytest.mark.parametrize(
    ("ids", "context", "error", "words"),
    [
        ([1, 2, 3], 3, ValueError, "ids are 3: a window of context=3 ids needs 4"),
        ([1.0, 2.0, 3.0], 1, TypeError, "must be a list of integers"),
        (np.ones(3), 1, TypeError, "dtype float64"),
        (np.array([[1, 2, 3]]), 1, TypeError, r"shape \(1, 3\)"),
        ([1, 2, 3], 0, ValueError, "context is 0"),
    ],
)
def test_what_makes_no_window_is_named(ids, context, error, words):
    with pytest.raises(error, match=words):
        TextBatches(ids, context, 1, seed=0)


def test_the_documentation_is_there_without_a_network():
    text = documentation()
    assert len(text) > 100_000
    assert "assert" in text


def test_where_python_comes_without_its_documentation_numpys_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    text = documentation()
    assert 400_000 < len(text) <= 600_001
    assert "array" in text


def test_files_are_read_whatever_their_line_ends(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("\ufeffone\r\ntwo\n".encode())
    assert read_text(str(path)) == "one\ntwo\n"


@pytest.mark.parametrize(("content", "words"), [(b"", "is empty"), (b"ab\xff", r":1: byte 3 \(0xff\) is not UTF-8")])
def test_a_file_without_text_is_named(tmp_path, content, words):
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_text(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such file; allowed is a UTF-8 text file"):
        read_text(str(tmp_path / "nowhere"))
