"""Checkpoints come back as they were, replace each other whole, and what is damaged or hostile is named."""

import hashlib
import json
import os
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from minitransformer.data import WordVocabulary
from minitransformer.decoding import Translator
from minitransformer.models import MinimalConfig, build_model
from minitransformer.training import CheckpointError, checkpoint, load_checkpoint, save_checkpoint

ARRAYS = {"model.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer.m": np.zeros(0)}
KINDS = {
    "nothing": np.zeros((0, 3)),
    "a number": np.array(3.5),
    "yes and no": np.array([True, False]),
    "Fortran's order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "every second": np.arange(10, dtype=np.uint16)[::2],
    "the other byte order": np.arange(3, dtype=np.arange(1).dtype.newbyteorder()),
    "complex/été": np.array([1j, 2.0]),
    "none.npy": np.array([np.nan, np.inf, -0.0]),
    "description.json": np.array([1], np.int8),
}


def test_round_trip(tmp_path):
    path = tmp_path / "deep" / "run.anything"
    save_checkpoint(path, ARRAYS | KINDS, {"model": "minimal", "words": ["où", "«", "\ud800"]})
    arrays, description = load_checkpoint(path)
    assert description == {"model": "minimal", "words": ["où", "«", "\ud800"]}
    assert list(arrays) == [*ARRAYS, *KINDS]
    for name, array in arrays.items():
        wanted = (ARRAYS | KINDS)[name]
        assert (array.dtype, array.shape, array.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes()), name
        assert array.flags.writeable
    assert os.listdir(path.parent) == ["run.anything"]  # under its own name, with nothing left beside it


def test_the_same_contents_give_the_same_bytes_and_arrays_are_not_touched(tmp_path):
    frozen = {name: array.copy() for name, array in KINDS.items()}
    for array in frozen.values():
        array.flags.writeable = False
    save_checkpoint(tmp_path / "a", frozen, {"x": 1})
    save_checkpoint(tmp_path / "b", KINDS, {"x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_and_zip_tools_can_read_it(tmp_path):
    save_checkpoint(tmp_path / "run.npz", ARRAYS | KINDS, {"x": 1})
    with zipfile.ZipFile(tmp_path / "run.npz") as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("description.json")) == {"x": 1}
    with np.load(tmp_path / "run.npz") as archive:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(archive[name], array)


@pytest.mark.parametrize("content", [np.array([None]), np.array(["a"]), np.array([(1, 2.0)], "i4,f4")])
def test_only_numbers_are_saved(tmp_path, content):
    with pytest.raises(TypeError, match=r"arrays\['x'\] has dtype"):
        save_checkpoint(tmp_path / "run.npz", {"x": content}, {})
    assert os.listdir(tmp_path) == []


def test_a_description_is_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(tmp_path / "run.npz", {}, {"loss": float("nan")})
    with pytest.raises(TypeError, match="JSON"):
        save_checkpoint(tmp_path / "run.npz", {}, {"loss": np.float32(1)})


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch, call):
    path = tmp_path / "run.npz"
    save_checkpoint(path, ARRAYS, {"generation": 1})

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    if call == "write":
        monkeypatch.setattr(checkpoint, "_directory", full)  # when all arrays are written
    else:
        monkeypatch.setattr(os, call, full)
    with pytest.raises(CheckpointError, match=r"run\.npz: cannot be written: No space left"):
        save_checkpoint(path, ARRAYS, {"generation": 2})
    monkeypatch.undo()
    assert load_checkpoint(path)[1] == {"generation": 1}
    assert os.listdir(tmp_path) == ["run.npz"]


def test_a_full_disk_is_named(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with pytest.raises(CheckpointError, match="is a device"):
        save_checkpoint("/dev/full", ARRAYS, {})


@pytest.mark.parametrize("contents", [b"", b"hello", b"PK\x03\x04 cut short"])
def test_what_is_no_checkpoint_is_named(tmp_path, contents):
    path = tmp_path / "run.npz"
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match=r"run\.npz: is not a checkpoint"):
        load_checkpoint(path)


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        load_checkpoint(tmp_path / "none.npz")
    with pytest.raises(CheckpointError, match="is a folder"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="null"):
        load_checkpoint("a\0b")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
        with pytest.raises(CheckpointError, match="is not a file"):
            load_checkpoint(tmp_path / "pipe")


def test_a_file_of_an_older_version_is_named_in_one_clear_line(tmp_path):
    np.savez(tmp_path / "plain.npz", **{"description.json": np.frombuffer(b"{}", np.uint8)}, **ARRAYS)
    with pytest.raises(CheckpointError, match=r"it has no manifest\.json, as files of older versions have none"):
        load_checkpoint(tmp_path / "plain.npz")


# Hostile archives. Each is a function of a path that writes one.

HOSTILE = {}
MEGABYTE = bytes(1 << 20)


def hostile(function):
    HOSTILE[function.__name__.replace("_", " ")] = function
    return function


def forge(path, arrays=(), description=b"{}", data=b"", manifest=None, claimed=None):
    """A file in the very form of a checkpoint, signed, with a manifest that says what its maker likes."""
    if manifest is None:
        digest = hashlib.sha256(description).hexdigest()
        content = {"format": checkpoint.FORMAT, "description": [len(description), 0, digest], "arrays": list(arrays)}
        manifest = json.dumps(content, separators=(",", ":")).encode()
    header = checkpoint._local_header(checkpoint.MANIFEST, 0, len(manifest) if claimed is None else claimed)
    path.write_bytes(header + manifest + description + data + hashlib.sha256(manifest).hexdigest().encode())


def compressed(path, name, megabytes=64):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(megabytes):
            member.write(MEGABYTE)


@hostile
def a_zip_bomb(path):
    compressed(path, "model.weight.npy")


@hostile
def a_zip_bomb_for_a_manifest(path):
    compressed(path, "manifest.json")


@hostile
def a_pickled_object(path):
    with path.open("wb") as file:
        np.savez(file, payload=np.array([Trap()], object))


@hostile
def a_pickled_object_behind_a_manifest(path):
    forge(path, [["x", "|O", [1], 0, "0" * 64]], data=pickle.dumps(Trap()))


@hostile
def a_surplus_member(path):
    save_checkpoint(path, ARRAYS, {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("surplus.npy", b"more")


@hostile
def a_duplicate_member(path):
    save_checkpoint(path, ARRAYS, {})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("model.weight.npy", b"another")


@hostile
def a_name_that_stands_twice_in_the_manifest(path):
    forge(path, [["x", "<f4", [0], 0, "0"], ["x", "<f4", [0], 0, "0"]])


@hostile
def bytes_before_the_archive(path):
    save_checkpoint(path, ARRAYS, {})
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())


@hostile
def bytes_behind_the_archive(path):
    save_checkpoint(path, ARRAYS, {})
    path.write_bytes(path.read_bytes() + b"\0")


@hostile
def a_manifest_that_claims_to_be_huge(path):
    forge(path, claimed=1 << 62)


@hostile
def a_manifest_nested_without_end(path):
    forge(path, manifest=b"[" * (1 << 20))


@hostile
def a_manifest_of_many_small_lists(path):
    forge(path, manifest=b"[" + b"[]," * ((1 << 20) // 3 - 2) + b"[]]")


@hostile
def a_manifest_with_a_huge_number(path):
    forge(path, manifest=b'{"arrays":' + b"9" * 1_000_000 + b"}")


@hostile
def a_manifest_that_is_no_object(path):
    forge(path, manifest=b"17")


def described(path, text):
    """A checkpoint without a fault, but for what its description is."""
    member = checkpoint.Member(checkpoint.DESCRIPTION, b"", len(text), 0, hashlib.sha256(text).hexdigest())
    manifest = checkpoint._manifest([member])
    pieces = zip(checkpoint._pieces(manifest, [member]), (b"", text))
    body = b"".join(header + data for (header, _), data in pieces)
    path.write_bytes(body + checkpoint._directory(manifest, [member]))


for name, text in [
    ("nested without end", b'{"a":' * 300_000),
    ("nested deep", b'{"a":' * 20_000),
    ("of many small lists", b"[" + b"[]," * 600_000 + b"[]]"),
    ("of many strings", b"[" + b'"a",' * 500_000 + b'"a"]'),
    ("of one wide string", b'"' + b"a" * 2_000_000 + "\U0001f600".encode() + b'"'),
    ("that is no object", b"[1]"),
    ("that is no text", b"\xff\xfe"),
    ("of a huge number", b'{"a":' + b"9" * 1_000_000 + b"}"),
    ("of no number", b'{"a": NaN}'),
]:
    HOSTILE[f"a description {name}"] = lambda path, text=text: described(path, text)


@hostile
def a_description_longer_than_its_file(path):
    forge(path, description=b"{}" * 2_000_000)


for name, dtype, shape in [
    ("a terabyte", "<f4", [1 << 38]),
    ("more than there is", "<f8", [1 << 62, 1 << 62]),
    ("many numbers of none", "<f8", [0, 1 << 62]),
    ("a negative axis", "<f8", [-1]),
    ("an axis that is no whole number", "<f8", [1.5]),
    ("an axis that is true", "<f8", [True]),
    ("an axis of text", "<f8", ["1"]),
    ("no axes at all", "<f8", 3),
    ("many axes", "<f8", [1] * 65),
    ("a thousand axes", "<f8", [1] * 1000),
    ("objects", "|O", [1]),
    ("text", "<U9", [1]),
    ("records", "i4,f4", [1]),
    ("a dtype of no size", "<f0", [1]),
    ("a dtype that is code", "__import__('os')", [1]),
    ("a dtype that is none", None, [1]),
]:
    HOSTILE[f"an array of {name}"] = lambda path, dtype=dtype, shape=shape: forge(
        path, [["x", dtype, shape, 0, "0" * 64]]
    )


for name, entry in [
    ("a checksum of many bits", ["x", "<f4", [1], 1 << 32, "0" * 64]),
    ("a name without end", ["x" * 70_000, "<f4", [1], 0, "0" * 64]),
    ("a name of nothing", ["", "<f4", [1], 0, "0" * 64]),
    ("a name with a zero byte", ["a\0b", "<f4", [1], 0, "0" * 64]),
    ("a name that is none", [7, "<f4", [1], 0, "0" * 64]),
    ("an entry too short", ["x"]),
]:
    HOSTILE[f"a manifest with {name}"] = lambda path, entry=entry: forge(path, [entry])


@hostile
def arrays_that_together_are_more_than_a_file_can_be(path):
    forge(path, [[f"x{i}", "<f8", [1 << 59], 0, "0" * 64] for i in range(16)])


class Trap:
    sprung = False

    def __reduce__(self):
        return exec, ("from tests.training.test_checkpoint import Trap; Trap.sprung = True; raise SystemExit(7)",)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_in_100_ms_and_50_mb(tmp_path, name):
    path = tmp_path / "run.npz"
    HOSTILE[name](path)
    seconds = []
    for _ in range(5):  # the fastest of five: others use this machine too
        started = time.perf_counter()
        with pytest.raises(CheckpointError, match=r"run\.npz: is "):
            load_checkpoint(path)
        seconds.append(time.perf_counter() - started)
        if seconds[-1] < 0.1:
            break
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not Trap.sprung
    assert min(seconds) < 0.1
    assert peak < 50e6
    assert len(str(caught.value)) < len(str(path)) + 400


def translator():
    vocabulary = WordVocabulary(["a", "b", "c"])
    model = build_model("minimal", MinimalConfig(7, 7, 4), np.random.default_rng(0))
    return Translator("minimal", model, vocabulary, vocabulary, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"n_encoder_blocks": 10**9},
        {"n_decoder_blocks": 10**18},
        {"d_model": 10**9},
        {"source_vocab": 10**15},
        {"d_model": 10**400},
        {"d_model": 4.0},
        {"d_model": "4"},
        {"d_model": None},
        {"n_heads": 0},
        {"pad": -1},
    ],
    ids=str,
)
def test_sizes_that_the_arrays_do_not_have_are_refused_before_memory_is_taken(tmp_path, change):
    saved = translator()
    description = saved.description()
    description["config"] |= change
    path = tmp_path / "run.npz"
    large = np.zeros(20_000_000, np.float32)  # 80 MB that nobody may read
    save_checkpoint(path, {**saved.arrays(), "history.large": large}, description)
    started = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=r"run\.npz: "):
            Translator.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50e6
    assert time.perf_counter() - started < 1.0


def test_arrays_that_have_no_place_in_the_model_are_refused(tmp_path):
    saved = translator()
    path = tmp_path / "run.npz"
    for name, shape in [("model.more", (3,)), ("optimizer.m", (7,)), ("history.loss", (2, 2)), ("surplus", ())]:
        save_checkpoint(path, {**saved.arrays(), name: np.zeros(shape)}, saved.description())
        with pytest.raises(CheckpointError, match=f"'{name}' of shape .* has no place"):
            Translator.load(path)


def test_a_message_cannot_move_the_cursor_of_a_terminal(tmp_path):
    forge(tmp_path / "run.npz", [["\x1b[2J\n", "|O", [1], 0, "0"]])
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path / "run.npz")
    assert str(caught.value).isprintable()


def test_the_checksum_of_the_archive_is_not_what_is_trusted(tmp_path):
    """Data and checksums changed together, as an attacker would: the digest in the manifest finds it."""
    path = tmp_path / "run.npz"
    save_checkpoint(path, ARRAYS, {})
    content = bytearray(path.read_bytes())
    at = content.index(np.float32(5).tobytes())
    content[at : at + 4] = struct.pack("<f", 6.0)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"'model\.weight' is not what was written"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("limit", "allowed", "contents", "description"),
    [
        ("NAME_LIMIT", 3, {"abc": np.ones(1)}, {}),
        ("DESCRIPTION_LIMIT", 2, {"abc": np.ones(1, np.int8)}, {"": 0}),  # 7 bytes, of which the array allows 1
        ("DESCRIPTION_LIMIT", 8, {}, {"a": 12}),
        ("LISTS_LIMIT", 3, {}, {"a": [[]]}),
        ("LISTS_LIMIT", 2, {"abc": np.ones(2)}, {"a": [[]]}),  # 16 bytes allow one more
    ],
)
def test_a_limit_is_what_is_still_allowed(tmp_path, monkeypatch, limit, allowed, contents, description):
    text = len(json.dumps(description))
    if limit == "DESCRIPTION_LIMIT":
        allowed = text - sum(array.nbytes for array in contents.values())
    monkeypatch.setattr(checkpoint, limit, allowed)
    path = tmp_path / "a.npz"
    save_checkpoint(path, contents, description)
    assert load_checkpoint(path)[1] == description
    monkeypatch.setattr(checkpoint, limit, allowed - 1)
    with pytest.raises((CheckpointError, ValueError), match=r"allowed are"):
        save_checkpoint(tmp_path / "b.npz", contents, description)
    with pytest.raises(CheckpointError, match=r"allowed are"):
        load_checkpoint(path)


def test_a_manifest_may_have_its_limit(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    save_checkpoint(path, {"a": np.ones(1)}, {})
    with zipfile.ZipFile(path) as archive:
        n = archive.getinfo(checkpoint.MANIFEST).file_size
    monkeypatch.setattr(checkpoint, "MANIFEST_LIMIT", n)
    save_checkpoint(path, {"a": np.ones(1)}, {})
    load_checkpoint(path)
    monkeypatch.setattr(checkpoint, "MANIFEST_LIMIT", n - 1)
    with pytest.raises(CheckpointError, match="1 arrays are too many for one file"):
        save_checkpoint(path, {"a": np.ones(1)}, {})
    with pytest.raises(CheckpointError, match=f"claims {n:,} bytes"):
        load_checkpoint(path)


def test_every_field_of_the_archive_is_as_its_specification_says(tmp_path):
    """APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3."""
    path = tmp_path / "a.npz"
    save_checkpoint(path, {"a": np.arange(3, dtype=np.int16)}, {})
    content, at, local = path.read_bytes(), 0, []
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        assert [archive.testzip(), len(archive.comment)] == [None, 64]
    for member in members:
        fields = struct.unpack_from("<4s5H3L2H", content, at)
        n = len(member.filename)
        assert fields[:6] == (b"PK\x03\x04", 45, 0x800, 0, 0, 0x21)
        assert fields[6:] == (member.CRC, 0xFFFFFFFF, 0xFFFFFFFF, n, 20)
        assert struct.unpack_from("<2H2Q", content, at + 30 + n) == (1, 16, member.file_size, member.file_size)
        local.append(at)
        at += 30 + n + 20 + member.file_size
    start = at
    for member, offset in zip(members, local):
        n = len(member.filename)
        fields = struct.unpack_from("<4s6H3L5H2L", content, at)
        assert fields[:7] == (b"PK\x01\x02", 45, 45, 0x800, 0, 0, 0x21)
        assert fields[7:] == (member.CRC, 0xFFFFFFFF, 0xFFFFFFFF, n, 28, 0, 0, 0, 0, 0xFFFFFFFF)
        assert struct.unpack_from("<2H3Q", content, at + 46 + n) == (1, 24, member.file_size, member.file_size, offset)
        at += 46 + n + 28
    n, size = len(members), at - start
    end64 = struct.unpack_from("<4sQ2H2L4Q", content, at)
    assert end64 == (b"PK\x06\x06", 44, 45, 45, 0, 0, n, n, size, start)
    assert struct.unpack_from("<4sLQL", content, at + 56) == (b"PK\x06\x07", 0, at, 1)
    end = struct.unpack_from("<4s4H2LH", content, at + 76)
    assert end == (b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 64)
    assert len(content) == at + 76 + 22 + 64
    header = checkpoint._array_header("<i2", (3,))  # NEP 1: the header's length is a multiple of 64
    assert header.startswith(b"\x93NUMPY\x01\x00")
    assert len(header) % 64 == 0
    assert len(header) == 128
    assert header.endswith(b" \n")
