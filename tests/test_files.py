"""Files appear whole or not at all, keep their mode, and what killed writers left is swept: theirs only."""

import os
import stat
import subprocess
import sys
import time

import pytest

from minitransformer import files
from minitransformer.files import sweep, sync_folder, whole_file

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")


def write(path, content=b"new"):
    with whole_file(path) as file:
        file.write(content)


def names(folder):
    return sorted(os.listdir(folder))


def left_by_a_killed_writer(path):
    """The temporary file of a process that was killed while it wrote `path`."""
    script = (
        "import os, signal, sys; from minitransformer.files import whole_file\n"
        "with whole_file(sys.argv[1]) as file: file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    (left,) = [name for name in names(path.parent) if name.endswith(".partial")]
    return path.parent / left


@pytest.fixture(params=["locks", "no locks"])
def locks(request, monkeypatch):
    """Once as it is here, once as on Windows, which has no such locks."""
    if request.param == "no locks":
        monkeypatch.setattr(files, "fcntl", None)
    return request.param


@pytest.mark.parametrize("name", ["run", "run.npz", "a b.tar.gz", "été", "n" * 250, ".hidden"])
def test_the_path_is_exactly_as_given_and_nothing_lies_beside_it(tmp_path, locks, name):
    path = tmp_path / "new" / "folder" / name
    write(path, b"one")
    write(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == [name]


def test_an_error_inside_leaves_what_was_there(tmp_path, locks):
    path = tmp_path / "a"
    write(path, b"old")

    def interrupted():
        with whole_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_error_of_the_system_leaves_what_was_there(tmp_path, locks, monkeypatch, call):
    path = tmp_path / "a"
    write(path, b"old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@posix
def test_the_mode_is_kept_and_a_new_file_follows_the_umask(tmp_path):
    path = tmp_path / "a"
    before = os.umask(0o027)
    try:
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


@posix
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real" / "file")
    write(link)
    assert link.is_symlink()
    assert (tmp_path / "real" / "file").read_bytes() == b"new"
    assert names(tmp_path / "real") == ["file"]


@posix
def test_a_folder_and_a_device_are_never_replaced(tmp_path):
    with pytest.raises(IsADirectoryError):
        write(tmp_path)
    with pytest.raises(OSError, match="device"):
        write("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@posix
def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path):
    path = tmp_path / "run.npz"
    left = left_by_a_killed_writer(path)
    write(path)
    assert not left.exists()
    assert names(tmp_path) == ["run.npz"]


@posix
def test_what_a_living_writer_writes_is_left_alone(tmp_path):
    path = tmp_path / "run.npz"
    with whole_file(path) as file:
        file.write(b"first")
        write(path, b"second")  # sweeps before it writes
    assert path.read_bytes() == b"first"  # the last to finish
    assert names(tmp_path) == ["run.npz"]


def test_without_locks_only_what_is_old_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    young, old = (tmp_path / f".run.npz.{digit * 16}.partial" for digit in "12")
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 4000,) * 2)
    assert sweep(tmp_path / "run.npz") == [old]
    assert names(tmp_path) == [young.name]


def test_a_file_system_without_locks_goes_by_age_too(tmp_path, monkeypatch):
    if files.fcntl is None:
        pytest.skip("no locks here at all")

    def unsupported(*arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    young, old = (tmp_path / f".run.npz.{digit * 16}.partial" for digit in "12")
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 4000,) * 2)
    write(tmp_path / "run.npz")
    assert names(tmp_path) == [young.name, "run.npz"]


def test_nothing_of_others_is_swept(tmp_path):
    others = [
        ".run.npz.tmp",
        "run.npz.0123456789abcdef.partial",  # not hidden
        ".run.npz.0123456789abcdef.partial.bak",
        ".run.npz.0123456789ABCDEF.partial",
        ".run.npz.01234567.partial",
        ".other.npz.0123456789abcdef.partial",
        "important.partial",
    ]
    for name in others:
        (tmp_path / name).write_bytes(b"theirs")
        os.utime(tmp_path / name, (0, 0))
    write(tmp_path / "run.npz")
    assert names(tmp_path) == sorted([*others, "run.npz"])


def test_a_folder_is_flushed_where_there_is_such_a_thing(tmp_path, monkeypatch):
    assert sync_folder(tmp_path) == hasattr(os, "O_DIRECTORY")
    assert not sync_folder(tmp_path / "none")
    monkeypatch.delattr(os, "O_DIRECTORY", raising=False)  # Windows
    assert not sync_folder(tmp_path)
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"


@posix
def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def refusing(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", refusing)
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
