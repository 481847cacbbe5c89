import bz2
import gzip
import io
import itertools
import os
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitransformer.data import (
    BytePairVocabulary,
    DataError,
    WordVocabulary,
    read_aligned,
    read_pairs,
    read_text,
    split_by_source,
)
from minitransformer.data.pairs import read_lines


@pytest.fixture(scope="module")
def tatoeba():
    """20,000 English-French pairs, which are no part of the repository."""
    folder = Path(os.environ.get("MINITRANSFORMER_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = folder / "eng-fra.20k.tsv"
    if not path.exists():
        pytest.skip(f"{path} is absent; the variable MINITRANSFORMER_DATA may name its folder")
    return read_pairs(path)


@pytest.fixture
def write(tmp_path):
    def write(content, name="pairs.tsv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_two_columns_and_more_are_read_and_blank_lines_passed_over(write):
    path = write("Go.\tVa !\n\n  \nHi.\tSalut.\tCC-BY 2.0 (France) Attribution: tatoeba.org\nGo.\tBouge !\n")
    assert read_pairs(path) == [("Go.", "Va !"), ("Hi.", "Salut."), ("Go.", "Bouge !")]


@pytest.mark.parametrize(
    "content",
    [
        "a\tb\nc\td\n",
        "a\tb\nc\td",
        "a\tb\r\nc\td\r\n",
        "a\tb\rc\td\r",
        "\ufeffa\tb\nc\td\n",
        " a\tb \n\n\nc \t d\tx\ty\n\n",
    ],
)
def test_line_ends_byte_order_mark_and_outer_spaces_do_not_matter(write, content):
    assert read_pairs(write(content)) == [("a", "b"), ("c", "d")]
    assert read_pairs(str(write(content))) == [("a", "b"), ("c", "d")]


def test_text_is_composed_and_otherwise_kept(write):
    pairs = read_pairs(write("cafe\u0301\tOù\u202f?\u2028x\x85y  z\nשלום\tहिन्दी\n"))
    assert pairs == [("caf\u00e9", "Où\u202f?\u2028x\x85y  z"), ("שלום", "हिन्दी")]


def test_huge_lines_are_read(write):
    source, target = "word " * 200_000 + "end", "x" * 1_000_000
    assert read_pairs(write(f"{source}\t{target}\n")) == [(source, target)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\nc\n", ":2: one column; allowed is source, a tab, target"),
        (b"a ||| b\n", r":1: one column; allowed is source, a tab, target; write tabs in place of |||, as with: sed"),
        (b"a b    c d\n", ":1: one column; allowed is source, a tab, target; write tabs in place of several spaces"),
        (b"<?xml version='1.0'?>\n<tmx>\n", ":1: one column; allowed is source, a tab, target; the file is XML"),
        (b"a\tb\n\n\tc\n", ":3: the source is empty"),
        (b"a\t \t(by me)\n", ":1: the target is empty"),
        (b"\t\n", ":1: the source is empty"),
        (b"a\tb\r\nc\t\xe9t\xe9\r\n", ":2: byte 3 (0xe9) is not UTF-8; allowed is UTF-8 text"),
        (b"\xef\xbb\xbfa\t\xc3", ":1: byte 3 (0xc3) is not UTF-8"),
        (b"a\tb\n\x89PNG\0\0", ":2: byte 5 is NUL, so the file is binary; allowed is UTF-8 text"),
        ("a\tb\n".encode("utf-16"), ":1: the text is UTF-16; allowed is UTF-8"),
        (b"", ": no sentence pairs; at least one line with source, a tab, target is needed"),
        (b"\n \n\r\n", ": no sentence pairs"),
        (b"\xef\xbb\xbf", ": no sentence pairs"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_file_and_line(write, content, message):
    path = write(content)
    with pytest.raises(DataError) as caught:
        read_pairs(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


@given(st.one_of(st.binary(max_size=60), st.text("a\t\r\n\0\ufeff é", max_size=30).map(str.encode)))
@settings(deadline=None, max_examples=100)
def test_any_bytes_are_pairs_or_one_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.tsv"
    path.write_bytes(content)
    pairs, message = [], ""
    try:
        pairs = read_pairs(path)
    except DataError as error:
        message = str(error)
    assert bool(pairs) != bool(message)
    assert message == "" or (message.startswith(str(path)) and "\n" not in message)
    for sentence in itertools.chain.from_iterable(pairs):
        assert sentence
        assert sentence == sentence.strip() == unicodedata.normalize("NFC", sentence)
        assert not set(sentence) & set("\t\r\n\0")


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.tsv: no such file"):
        read_pairs(tmp_path / "absent.tsv")
    with pytest.raises(DataError, match=r": is a directory; allowed is a UTF-8 text file"):
        read_pairs(tmp_path)
    with pytest.raises(DataError, match=r"cannot be read|no such file"):  # the system says which
        read_pairs(tmp_path / "file" / ("x" * 5000))
    with pytest.raises(DataError, match="cannot be read"):
        read_pairs("a\0b")


def test_a_file_without_permission_is_named(write, monkeypatch):
    path = write("a\tb\n")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match=r"pairs\.tsv: may not be read \(permission denied\)"):
        read_pairs(path)


def test_aligned_files_are_read_line_by_line(write):
    english = write("\ufeffGo.\r\n\r\nTabs\tstay.\r\n", "en")
    french = write("Va !\n\nLes tabulations restent.", "fr")
    assert read_aligned(english, french) == [("Go.", "Va !"), ("Tabs\tstay.", "Les tabulations restent.")]


def test_aligned_files_of_unequal_length_are_refused_with_both_numbers(write):
    english, french = write("a\nb\nc\n", "en"), write("a\nb\n", "fr")
    with pytest.raises(DataError) as caught:
        read_aligned(english, french)
    assert str(caught.value).startswith(f"{english}: 3 lines, but {french} has 2;")


def test_a_line_that_is_blank_in_one_file_only_is_named(write):
    english, french = write("a\n \nc\n", "en"), write("a\nb\nc\n", "fr")
    with pytest.raises(DataError) as caught:
        read_aligned(english, french)
    assert str(caught.value).startswith(f"{english}:2: the line is blank, but not in {french}")
    with pytest.raises(DataError) as caught:
        read_aligned(french, english)
    assert str(caught.value).startswith(f"{english}:2: the line is blank, but not in {french}")


def test_aligned_files_without_sentences_are_refused(write):
    with pytest.raises(DataError, match="no sentence pairs"):
        read_aligned(write("\n", "en"), write("\n", "fr"))


SENTENCE = st.text("abA ", min_size=1, max_size=3)


@given(
    st.lists(st.tuples(SENTENCE, SENTENCE), max_size=60),
    st.sampled_from([(0.9, 0.05, 0.05), (0.5, 0.5), (1.0,), (0, 0.3, 0.7), (0.2, 0, 0.8, 0)]),
    st.integers(-3, 3),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=100)
def test_no_source_is_in_two_parts_and_no_pair_is_lost(pairs, fractions, seed, random):
    groups = {}
    for source, _ in pairs:
        same = " ".join(source.casefold().split())
        groups[same] = groups.get(same, 0) + 1
    wanted = sum(share > 0 for share in fractions)
    if len(groups) < wanted:
        with pytest.raises(DataError, match=f"at least {wanted} sources are needed"):
            split_by_source(pairs, fractions, seed)
        return
    parts = split_by_source(pairs, fractions, seed)
    assert len(parts) == len(fractions)
    assert sorted(itertools.chain.from_iterable(parts)) == sorted(pairs)
    sources = [{" ".join(source.casefold().split()) for source, _ in part} for part in parts]
    assert sum(map(len, sources)) == len(groups)
    for part, share in zip(parts, fractions):
        assert bool(part) == (share > 0)
    assert split_by_source(random.sample(pairs, len(pairs)), fractions, seed) == parts


def test_parts_have_their_share_within_one_source():
    # 1000 sources of 1, 2, ..., 5 pairs: 3000 pairs, of which 90, 5 and 5 % are 2700, 150 and 150.
    pairs = [(f"source {i}", f"target {j}") for i in range(1000) for j in range(i % 5 + 1)]
    for seed in range(5):
        sizes = [len(part) for part in split_by_source(pairs, seed=seed)]
        assert sum(sizes) == 3000
        assert abs(sizes[0] - 2700) <= 5
        assert abs(sizes[1] - 150) <= 5
        assert abs(sizes[2] - 150) <= 5


def test_seeds_give_different_parts_and_the_same_on_every_machine():
    pairs = [(str(i), "x") for i in range(100)]
    tests = [{source for source, _ in split_by_source(pairs, (0.8, 0.2), seed)[1]} for seed in (0, 1)]
    # By chance 4 of 20 are the same.
    assert len(tests[0] & tests[1]) < 12
    # The last four of "0" to "99" in the order of their 16-byte blake2b with the blake2b of "0" as key.
    assert [source for source, _ in split_by_source(pairs, (0.96, 0.04), 0)[1]] == ["23", "63", "84", "25"]


def test_case_and_white_space_do_not_make_a_source_new():
    parts = split_by_source([("Go  on.", "a"), ("go on.", "b"), ("GO\u00a0ON.", "c"), ("x", "d")], (0.5, 0.5))
    assert {frozenset(target for _, target in part) for part in parts} == {frozenset("abc"), frozenset("d")}


@pytest.mark.parametrize("fractions", [(), (0.5, 0.4), (1.5, -0.5), (float("nan"), 1.0)])
def test_fractions_that_are_none_are_refused(fractions):
    with pytest.raises(ValueError, match=r"fractions is .*; allowed are numbers from 0 to 1 whose sum is 1"):
        split_by_source([("a", "b")], fractions)


def test_a_seed_that_is_no_whole_number_is_refused():
    with pytest.raises(TypeError, match=r"seed=0\.5: must be an integer"):
        split_by_source([("a", "b")], (1.0,), seed=0.5)


def test_real_sentences_survive_words_and_byte_pairs(tatoeba):
    assert len(tatoeba) == 20_000
    assert sum("\u202f" in target for _, target in tatoeba) > 700
    sides = [source for source, _ in tatoeba[::20]], [target for _, target in tatoeba[::20]]
    shared = BytePairVocabulary.train(itertools.chain(*sides), size=1000)
    assert len(shared) == 1000
    for texts in sides:
        words = WordVocabulary.build(texts)
        for text in texts:
            assert words.decode(words.encode(text)) == text
            assert shared.decode(shared.encode(text)) == text


def test_real_sentences_are_split_without_leaks(tatoeba):
    train, valid, test = split_by_source(tatoeba, seed=1)
    assert abs(len(train) - 18_000) < 60
    assert abs(len(valid) - 1000) < 60
    assert not {source.casefold() for source, _ in train} & {source.casefold() for source, _ in valid + test}


TEXT = "the cat\tle chat\nthe e\u0301\tl'\u00e9t\u00e9\n".encode()
WANTED = ["the cat\tle chat", "the \u00e9\tl'\u00e9t\u00e9"]


def zipped(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return buffer.getvalue()


def xz(content):
    try:
        import lzma
    except ImportError:  # a browser's Python
        return content
    return lzma.compress(content)


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        gzip.compress(TEXT),
        bz2.compress(TEXT),
        pytest.param(xz(TEXT), marks=pytest.mark.needs("lzma")),
        zipped("fra.txt"),
        zipped("_about.txt", "fra.txt"),
    ],
    ids=["plain", "gzip", "bzip2", "xz", "zip", "zip with a note, as Anki's"],
)
def test_compressed_files_are_read_whatever_their_name(tmp_path, content):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(content)
    assert read_lines(path) == WANTED


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped("a.txt", "b.txt"), "holds 2 files; allowed is one: unpack it"),
        (zipped(), "holds 0 files"),
        (gzip.compress(TEXT, mtime=0)[:-9], "is compressed, and damaged or locked"),
        (bz2.compress(TEXT)[:20], "is compressed, and damaged or locked"),
        pytest.param(xz(TEXT)[:-8], "is compressed, and damaged or locked", marks=pytest.mark.needs("lzma")),
        (b"PK\x03\x04 no archive", "is compressed, and damaged or locked"),
        (gzip.compress("caf\u00e9".encode("latin-1"), mtime=0), "byte 4 .0xe9. is not UTF-8"),
    ],
)
def test_what_cannot_be_unpacked_is_said_in_one_line(tmp_path, content, words):
    path = tmp_path / "pairs.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_lines(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_python_has_no_xz_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lzma", None)
    (path := tmp_path / "a.xz").write_bytes(b"\xfd7zXZ\x00 and more")
    with pytest.raises(
        DataError, match=r"a\.xz: is compressed by xz, which this Python cannot unpack: unpack it by hand"
    ):
        read_lines(path)


def test_a_text_for_a_language_model_is_unpacked_too(tmp_path):
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(b"one\r\ntwo\n"))
    assert read_text(str(path)) == "one\ntwo\n"
