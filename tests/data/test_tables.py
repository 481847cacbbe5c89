"""Tables of pairs as others export them."""

import gzip

import pytest

from minitransformer.data import DataError, read_pairs

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
