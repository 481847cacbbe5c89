"""Every cut and every changed bit of a checkpoint is found, and named; none ends in anything but a CheckpointError."""

import numpy as np
import pytest

from minitransformer.training import CheckpointError, load_checkpoint, save_checkpoint


@pytest.fixture
def small(tmp_path):
    """(path, contents) of a small checkpoint."""
    path = tmp_path / "run.npz"
    save_checkpoint(path, {"w": np.array([1.5, -2.0], np.float32)}, {"step": 3, "é": None})
    return path, path.read_bytes()


def is_read(path):
    """Whether it is read without a complaint, which must be the one that names the file."""
    try:
        load_checkpoint(path)
    except CheckpointError as error:
        if str(path) not in str(error):
            raise
        return False
    return True


def unnoticed(path, changes):
    """What was read all the same, of changes (place, byte) of a file that is good before and after each."""
    wrong = []
    with open(path, "r+b", buffering=0) as file:
        for place, byte in changes:
            file.seek(place)
            before = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ before[0]]))
            if is_read(path):
                wrong.append((place, byte))
            file.seek(place)
            file.write(before)
    assert is_read(path)
    return wrong


def test_every_cut(small):
    path, whole = small
    with open(path, "r+b", buffering=0) as file:
        for length in reversed(range(len(whole))):
            file.truncate(length)
            assert not is_read(path), length


def test_every_byte_that_is_missing(small):
    path, whole = small
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + whole[place + 1 :])
        assert not is_read(path), place


def test_every_bit_that_is_flipped(small):
    path, whole = small
    assert unnoticed(path, ((place, 1 << bit) for place in range(len(whole)) for bit in range(8))) == []


def test_every_byte_that_is_another(small):
    path, whole = small
    rng = np.random.default_rng(0)
    assert unnoticed(path, ((place, int(rng.integers(1, 256))) for place in range(len(whole)))) == []
