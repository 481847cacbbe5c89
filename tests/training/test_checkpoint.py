"""Checkpoints come back as they were, replace each other whole, and a damaged one is named."""

import os

import numpy as np
import pytest

from minitransformer.training import CheckpointError, load_checkpoint, save_checkpoint

ARRAYS = {"model.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer.m": np.zeros(0)}


def test_round_trip(tmp_path):
    path = tmp_path / "deep" / "run.anything"
    save_checkpoint(path, ARRAYS, {"model": "minimal", "words": ["où", "«"]})
    arrays, description = load_checkpoint(path)
    assert description == {"model": "minimal", "words": ["où", "«"]}
    assert list(arrays) == list(ARRAYS)
    for name, array in arrays.items():
        assert array.dtype == ARRAYS[name].dtype
        np.testing.assert_array_equal(array, ARRAYS[name])
    assert os.listdir(path.parent) == ["run.anything"]  # under its own name, with nothing left beside it


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    save_checkpoint(path, ARRAYS, {"generation": 1})

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(CheckpointError, match=r"run\.npz: cannot be written: No space left"):
        save_checkpoint(path, ARRAYS, {"generation": 2})
    assert load_checkpoint(path)[1] == {"generation": 1}
    assert os.listdir(tmp_path) == ["run.npz"]


@pytest.mark.parametrize("contents", [b"", b"hello", b"PK\x03\x04 cut short"])
def test_what_is_no_checkpoint_is_named(tmp_path, contents):
    path = tmp_path / "run.npz"
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match=r"run\.npz: is not a checkpoint"):
        load_checkpoint(path)


def test_a_missing_file_and_a_plain_npz_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        load_checkpoint(tmp_path / "none.npz")
    np.savez(tmp_path / "plain.npz", a=np.ones(2))
    with pytest.raises(CheckpointError, match="no description"):
        load_checkpoint(tmp_path / "plain.npz")


def test_every_cut_of_a_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    save_checkpoint(path, ARRAYS, {"model": "minimal"})
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
