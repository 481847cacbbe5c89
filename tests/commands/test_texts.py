"""Whatever text a user brings goes through one door; output may have no reader."""

import gzip
import io
import subprocess
import sys

import pytest

from .conftest import PAIRS, TINY


@pytest.fixture
def translated(run, trained, monkeypatch):
    """Translate the bytes of a standard input."""

    def of(content, *options):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return run("translate", trained, *options)

    return of


def test_decomposed_and_composed_text_are_translated_alike(run, trained, translated):
    status, plain, _ = run("translate", trained, "The cat sleeps.")
    assert status == 0
    for other in ("The\u00a0cat sleeps.", "\ufeffThe ca\u200bt sleeps.", "  The cat sleeps. ", "\uff34he cat sleeps."):
        assert run("translate", trained, other) == (0, plain, "")
        assert translated(f"{other}\r\n".encode()) == (0, plain, "")
    accented = [run("translate", trained, text)[2] for text in ("cafe\u0301", "caf\u00e9")]
    assert accented[0] == accented[1] == "note: not in the vocabulary, translated as unknown: caf\u00e9\n"


def test_an_argument_of_several_lines_is_one_sentence(run, trained):
    assert run("translate", trained, "The cat\r\nsleeps.\n") == run("translate", trained, "The cat sleeps.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Go.\nCaf\xe9\n", "standard input:2: byte 4 (0xe9) is not UTF-8"),
        ("Go.\n".encode("utf-16"), "standard input:1: the text is UTF-16"),
        (gzip.compress(b"Go.\n", mtime=0), "standard input:1: the text is compressed by gzip"),
    ],
)
def test_standard_input_that_is_no_utf_8_is_refused(translated, content, message):
    status, _, err = translated(content)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1


def test_an_argument_that_is_no_utf_8_is_refused(run, trained):
    status, out, err = run("translate", trained, "caf\udce9")
    assert (status, out) == (2, "")
    assert "byte 0xe9, which is not UTF-8" in err


def test_unknown_words_are_named_once_with_their_count(translated):
    status, out, err = translated(b"The zebra sleeps.\nGo.\nThe zebra Yak.\n", "--batch-size", "1")
    assert (status, out.count("\n")) == (0, 3)
    assert err == "note: not in the vocabulary, translated as unknown: zebra (2 times), Yak\n"


def test_empty_standard_input_is_said(translated):
    assert translated(b"") == (0, "", "note: standard input is empty: nothing to translate\n")


@pytest.mark.skipif(sys.platform == "win32", reason="of a POSIX shell")
@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        ("<&-", 2, "standard input is closed"),
        ("Go. >/dev/full", 2, "output: No space left on device"),
        ("Go. >&-", 0, ""),
        ("Go. 2>&-", 0, ""),
        ("--batch-size 1 < lines | head -n 1", 141, ""),
    ],
)
def test_streams_that_are_closed_or_full_end_without_a_traceback(tmp_path, trained, redirection, status, said):
    (tmp_path / "lines").write_text("Go.\n" * 3000)
    script = f'set -o pipefail; "$0" -m minitransformer translate "$1" {redirection}'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable, str(trained)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == (1 if said else 0)


def test_columns_and_compression_from_the_command_line(run, tmp_path, json_of):
    path = tmp_path / "pairs.tsv.gz"
    path.write_bytes(gzip.compress("".join(f"{i}\t{a}\t{i}\t{b}\n" for i, (a, b) in enumerate(PAIRS)).encode()))
    arguments = (
        "train",
        path,
        "--out",
        tmp_path / "run",
        "--vocabulary",
        "word",
        "--steps",
        "1",
        "--test",
        "0.2",
        *TINY,
    )
    status, _, err = run(*arguments)
    assert status == 2
    assert "give --columns 2,4" in err
    status, out, err = run(*arguments, "--columns", "2,4", "--json")
    assert status == 0, err
    assert "Go." in (tmp_path / "run" / "test.tsv").read_text() or json_of(out)["pairs"] >= 1
    assert run("evaluate", tmp_path / "run", path, "--columns", "2,4")[0] == 0
    assert "is not two columns" in run("evaluate", tmp_path / "run", path, "--columns", "2")[2]
    assert (
        "those of PAIRS.tsv"
        in run("evaluate", tmp_path / "run", "--source", "a", "--target", "b", "--columns", "1,2")[2]
    )


@pytest.mark.parametrize("n", [1, 2])
def test_a_tiny_corpus_is_refused_with_the_way_to_train_on_all_of_it(run, tmp_path, n):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS[1 : n + 1]))
    arguments = ("train", path, "--out", tmp_path / "run", "--vocabulary", "word", "--steps", "1", *TINY)
    status, _, err = run(*arguments)
    assert status == 2
    assert f"--validation 0.02 and --test 0.05: {n} different source" in err
    assert "--validation 0 --test 0\n" in err
    assert "0.9299" not in err
    assert run(*arguments, "--validation", "0", "--test", "0")[0] == 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("train", "pairs", "--out", ""), "'' is no name of a file or folder"),
        (("train", ""), "'' is no name of a file or folder"),
        (("translate", "", "Go."), "'' is no name of a file or folder"),
        (("lm", "train", "--out", ""), "'' is no name of a file or folder"),
        (("demo", "--out", ""), "'' is no name of a file or folder"),
        (("explore", "run", "Go.", "--out", ""), "'' is no name of a file or folder"),
        (("translate", "run", "--temperature", "0"), "always take the most probable token: that is --decoder greedy"),
        (("translate", "run", "--temperature", "-1"), "is not a number of at least 1e-06"),
        (("translate", "run", "--length-penalty", "x"), "'x' is not a number, such as 0.6"),
        (("lm", "generate", "run", "--temperature", "0"), "that is --greedy"),
    ],
)
def test_refused_values_say_what_is_allowed(run, typed, said):
    status, _, err = run(*typed)
    assert status == 2
    assert said in err
