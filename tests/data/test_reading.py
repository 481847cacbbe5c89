"""The one door for text: what is alike is read alike, and what is no text is refused with its line and byte."""

import gzip
import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitransformer.data import DataError, normalize, read_lines, read_text, standard_input


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("the\u0301", "th\u00e9"),  # an accent that is a character of its own
        ("\ufb01n \uff21\uff22 \uff11", "fin AB 1"),  # a ligature, full-width letters and digit
        ("x\u00b2 \u00bd \u2026 \u2122", "x\u00b2 \u00bd \u2026 \u2122"),  # these say something else
        ("a\u00a0b c\u202fd", "a b c d"),  # between words
        ("Va\u202f! \u00ab\u00a0Oui\u00a0\u00bb", "Va\u202f! \u00ab\u00a0Oui\u00a0\u00bb"),  # French typography
        ("\ufeffa\u200bb\u2060c\u00add\u200e", "abcd"),
        (
            "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\u2028b", "a\u2028b"),
    ],
)
def test_text_is_normalised(written, read):
    assert normalize(written) == read


@given(st.text(max_size=40))
def test_what_is_normalised_stays(text):
    try:
        once = normalize(text)
    except DataError:
        return
    assert normalize(once) == once


def test_files_and_standard_input_are_read_alike(tmp_path, monkeypatch):
    content = "\ufeffcafe\u0301\r\n\r\n\ufb01n\u00a0de\n".encode()
    path = tmp_path / "text"
    path.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert read_lines(path) == list(standard_input()) == ["caf\u00e9", "", "fin de"]
    assert read_text(path) == "caf\u00e9\n\nfin de\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\n".encode("utf-16"), ":1: the text is UTF-16; allowed is UTF-8: iconv -f utf-16 -t utf-8"),
        ("ab\n".encode("utf-16-le"), ":1: byte 2 is NUL, so the file is binary; .*iconv -f utf-16"),
        (b"a\nb\xe9\n", r":2: byte 2 \(0xe9\) is not UTF-8; .*iconv -f latin1 -t utf-8"),
        (b"\xed\xa0\x80", r":1: byte 1 \(0xed\) is not UTF-8"),
    ],
)
def test_what_is_no_text_is_refused_alike(tmp_path, monkeypatch, content, message):
    path = tmp_path / "text"
    path.write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    with pytest.raises(DataError, match=f"{path}{message}"):
        read_lines(path)
    with pytest.raises(DataError, match=f"standard input{message}"):
        list(standard_input())


def test_an_argument_that_was_not_utf_8_is_refused():
    with pytest.raises(DataError, match=r"text: character 4 is byte 0xe9, which is not UTF-8"):
        normalize("caf\udce9")
    with pytest.raises(TypeError, match="text=3: must be a string"):
        normalize(3, "after")


def test_what_is_packed_twice_is_refused(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(gzip.compress(gzip.compress(b"a")))
    with pytest.raises(DataError, match=r":1: the text is compressed by gzip; .*unpack it first"):
        read_lines(path)
