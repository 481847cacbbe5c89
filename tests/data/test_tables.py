"""Tables of pairs as others export them."""

import gzip

import pytest

from minitransformer.data import DataError, read_pairs
from minitransformer.data.tables import _are_names, read_table

PAIRS = [("Go.", "Va !"), ("Hi, you.", "Salut, toi.")]
TATOEBA = "1276\tGo.\t3091\tVa !\n1277\tHi, you.\t5350\tSalut, toi.\n"
ANKI = "#separator:tab\n#html:true\n#guid column:1\n#tags column:4\n"


def write(tmp_path, content, name="pairs.tsv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "source\ttarget\nGo.\tVa !\nHi, you.\tSalut, toi.\n"),
        ("a.csv", 'Go.,Va !\n"Hi, you.","Salut, toi."\n'),
        ("a.csv", 'English,French\r\nGo.,Va !\r\n"Hi, you.","Salut, toi."\r\n'),
        ("a.csv", "id;source;target\n1;Go.;Va !\n2;Hi, you.;Salut, toi.\n"),
        ("a.csv", "sep=|\nGo.|Va !\nHi, you.|Salut, toi.\n"),
        ("a.csv", 'Go.,Va !\n"Hi,\nyou.","Salut, toi."\n'),
        ("a.csv.gz", gzip.compress(b'Go.,Va !\n"Hi, you.","Salut, toi."\n', mtime=0)),
        ("a.jsonl", '{"source": "Go.", "target": "Va !"}\n\n{"target": "Salut, toi.", "source": "Hi, you."}\n'),
        ("a.jsonl", '{"id": 1, "en": "Go.", "fr": "Va !"}\n{"id": 2, "en": "Hi, you.", "fr": "Salut, toi."}\n'),
        (
            "a.ndjson",
            '{"translation": {"en": "Go.", "fr": "Va !"}}\n{"translation": {"en": "Hi, you.", "fr": "Salut, toi."}}\n',
        ),
        ("a.json", '[{"en": "Go.", "fr": "Va !"},\n {"en": "Hi, you.", "fr": "Salut, toi."}]\n'),
        ("a.jsonl", '["Go.", "Va !"]\n["Hi, you.", "Salut, toi."]\n'),
        ("a.txt", '#separator:tab\n#html:false\nGo.\tVa !\n"Hi, you."\tSalut, toi.\n'),
        ("a.txt", f"{ANKI}x1\tGo.\tVa&nbsp;!\tverbs\nx2\tHi,<br>you.\t<b>Salut</b>, toi.[sound:a.mp3]\t\n"),
        ("a.txt", "#separator:semicolon\nGo.;Va !\nHi, you.;Salut, toi.\n"),
    ],
)
def test_exports_are_read(tmp_path, name, content):
    pairs = [(source, target.replace("\u00a0", " ")) for source, target in read_pairs(write(tmp_path, content, name))]
    assert pairs == PAIRS


def test_columns_are_chosen_by_number_or_by_name(tmp_path):
    assert read_pairs(write(tmp_path, TATOEBA), ("2", "4")) == PAIRS
    assert read_pairs(write(tmp_path, TATOEBA), (4, 2)) == [(b, a) for a, b in PAIRS]
    named = write(tmp_path, "no\ta\tfr_x\ten_x\n1\t-\tVa !\tGo.\n2\t-\tSalut, toi.\tHi, you.\n")
    assert read_pairs(named, ("en_x", "fr_x")) == PAIRS
    three = write(tmp_path, '{"en": "Go.", "de": "Los.", "fr": "Va !"}\n', "a.jsonl")
    assert read_pairs(three, ("en", "fr")) == PAIRS[:1]


def test_numbers_in_the_place_of_sentences_are_refused_with_the_right_columns(tmp_path):
    with pytest.raises(DataError, match=r"column 1 holds nothing but numbers, .*: give --columns 2,4$"):
        read_pairs(write(tmp_path, TATOEBA))
    with pytest.raises(DataError, match=r"column 2 holds nothing but numbers, .*: give --columns 1,3$"):
        read_pairs(write(tmp_path, "Go.\t1\tVa !\nHi.\t2\tSalut.\n"))
    assert read_pairs(write(tmp_path, "2\ttwo\n3\tthree\n")) == [("2", "two"), ("3", "three")]
    assert read_pairs(write(tmp_path, "12+3\t15\n")) == [("12+3", "15")]


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("a.tsv", TATOEBA, ("2", "9"), ":1: 4 columns; allowed is columns 2 and 9"),
        ("a.tsv", TATOEBA, ("en", "fr"), "has no column 'en'; allowed are numbers from 1"),
        ("a.tsv", "en\tfr\na\tb\n", ("en", "de"), "allowed are numbers from 1, and the names en, fr"),
        ("a.tsv", TATOEBA, ("2", "2"), "columns 2 and 2 are one"),
        ("a.tsv", TATOEBA, ("2",), "columns is .*; allowed are two"),
        ("a.csv", "Go.,Va !\nHi, you.,Salut.\n", None, ":2: 3 columns, and 2 in the first line"),
        ("a.csv", "Go.\n", None, ":1: one column; allowed is source, a comma, target, in quotes where"),
        ("a.csv", "Go.\nHi.\n", None, ":1: one column; allowed is source, a comma, target"),
        ("a.csv", 'Go.,Va !\n"Hi.,Salut.\n', None, ":2: is no record of fields in quotes"),
        ("a.jsonl", '{"source": "a", "target": "b"}\n{"source": "a"}\n', None, ":2: has source; allowed is source and"),
        ("a.jsonl", '{"source": "a"\n', None, ":1: is no JSON"),
        ("a.jsonl", "3\n", None, ":1: is '3'; allowed is an object with two texts"),
        ("a.jsonl", '{"en": "a", "de": "b", "fr": "c"}\n', None, "choose two with --columns"),
        ("a.txt", "#separator:nothing\na\tb\n", None, ":1: separator is 'nothing'"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path, name, content, columns, message):
    with pytest.raises(DataError, match=message) as caught:
        read_pairs(write(tmp_path, content, name), columns)
    assert "\n" not in str(caught.value)


def test_a_first_pair_of_ordinary_words_is_no_header(tmp_path):
    for line in ("go\tva", "question\tquestion", "Text.\tTexte.", "no\tnon"):
        assert len(read_pairs(write(tmp_path, f"{line}\na\tb\n"))) == 2


def said(tmp_path, content, name="a.tsv", columns=None):
    path = write(tmp_path, content, name)
    with pytest.raises(DataError) as caught:
        read_pairs(path, columns)
    return str(caught.value).removeprefix(str(path))


def test_messages_name_line_column_and_what_to_give(tmp_path):
    assert said(tmp_path, "1\ta\tb\tc\td\te\n2\tf\tg\th\ti\tj\n") == (
        ": column 1 holds nothing but numbers, and columns 2 and 3 and 4 and 5 hold text: give --columns 2,3"
    )
    assert said(tmp_path, "Go.\tVa !\nHi.\n") == ":2: one column; allowed is source, a tab, target"
    assert said(tmp_path, "Go.\tVa !\n\nHi.\t \n") == ":3: the target is empty; allowed is source, a tab, target"
    assert said(tmp_path, "a\tb\tc\n", columns=("1", "4")) == ":1: 3 columns; allowed is columns 1 and 4 (--columns)"
    assert said(tmp_path, "a\tb\n", columns=("0", "2")).startswith(": has no column '0'; allowed are numbers from 1")
    wanted = 'an object with two texts, as {"source": "...", "target": "..."}'
    assert said(tmp_path, "3" * 50 + "\n", "a.jsonl") == f":1: is '{'3' * 40}'; allowed is {wanted}"
    assert said(tmp_path, '{"a": "x", "b": "y"}\n\n{"a": "x", "c": "z"}\n', "a.jsonl") == (
        ":3: has a, c; allowed is a and b"
    )
    assert said(tmp_path, '{"a": "x", "b": "y"}\n{"a": 1}\n', "a.jsonl") == ":2: has no text; allowed is a and b"
    assert said(tmp_path, "#separator:ab\nx\n", "a.txt") == (
        ":1: separator is 'ab'; allowed are tab, comma, semicolon, pipe, colon, space and single characters"
    )
    assert said(tmp_path, "") == ": no sentence pairs; at least one line with source, a tab, target is needed"


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("<?xml version='1.0'?>", "; the file is XML: export it as text with tabs, or as CSV"),
        ("<tmx>", "; the file is XML: export it as text with tabs, or as CSV"),
        ("Go. ||| Va !", r"; write tabs in place of |||, as with: sed 's/ ||| /\t/' FILE"),
        ("Go.  Va !", r"; write tabs in place of several spaces, as with: sed -E 's/ {2,}/\t/' FILE"),
        ("Go. Va !", ""),
    ],
)
def test_a_line_of_another_format_is_told_how_to_become_one_of_this(tmp_path, line, advice):
    assert said(tmp_path, f"{line}\n") == f":1: one column; allowed is source, a tab, target{advice}"


@pytest.mark.parametrize(
    ("first", "is_names"),
    [
        ("source\ttarget", True),
        ("Source sentence\tTarget sentence", True),
        ("en\tfr", True),
        ("EN_text\tFR_text", True),
        ("en\ten", False),
        ("en\tva", False),
        ("en\t", False),
        ("en", False),
    ],
)
def test_a_line_of_names_has_known_words_another_in_each_column(first, is_names):
    assert _are_names(first.split("\t"), None) == is_names


def test_cells_of_records_are_numbered_by_the_line_on_which_they_begin(tmp_path):
    rows = read_table(write(tmp_path, 'a,b\n"c\nd",e\nf,g\n', "a.csv")).rows
    assert rows == [(1, ["a", "b"]), (2, ["c d", "e"]), (4, ["f", "g"])]
    rows = read_table(write(tmp_path, "sep=|\na|b\nf|g\n", "a.csv")).rows
    assert rows == [(2, ["a", "b"]), (3, ["f", "g"])]
    rows = read_table(write(tmp_path, "#separator:pipe\n#tags column:3\na|b|t\nf|g|t\n", "a.txt")).rows
    assert rows == [(3, ["a", "b"]), (4, ["f", "g"])]
    rows = read_table(write(tmp_path, "#separator:pipe\n#deck:1\nt|a|b\n", "a.txt")).rows
    assert rows == [(3, ["a", "b"])]
