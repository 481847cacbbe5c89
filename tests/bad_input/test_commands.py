"""Every command with options and files of every kind: it does its work, or says in a line what is wrong."""

import contextlib
import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitransformer.cli import COMMANDS, main

from .harness import TEXT, generated, seen
from .test_texts import FILES

TINY = (
    *("--d-model", "4", "--n-heads", "2", "--encoder-blocks", "1", "--decoder-blocks", "1"),
    *("--batch-size", "2", "--steps", "1", "--workers", "1"),
)
NUMBERS = ("0", "-1", "1", "2", "3", "0.5", "1e999", "nan", "-inf", "", "x", "٣", "1_0", "9" * 21, "1e-320")
VALUES = st.sampled_from(NUMBERS)
OPTIONS = (
    *("--d-model", "--n-heads", "--d-ff", "--encoder-blocks", "--decoder-blocks", "--dropout", "--rate", "--warmup"),
    *("--final-rate", "--beta1", "--beta2", "--eps", "--weight-decay", "--momentum", "--label-smoothing", "--clip"),
    *("--validation", "--test", "--max-length", "--vocab-size", "--seed", "--start", "--save-every", "--resume"),
)
CHOICES = (
    *(
        "--model=minimal",
        "--model=transformer",
        "--model=t5",
        "--model=x",
        "--vocabulary=word",
        "--vocabulary=character",
    ),
    *("--vocabulary=", "--optimizer=sgd", "--optimizer=adamw", "--schedule=noam", "--schedule=constant", "--shared"),
)
# Large numbers are no mistake, only slow: a width of a million is what was asked for.
LARGE = {"9" * 21, "1_0"}


def answer(*words, text=""):
    """(status, standard output, standard error) of a command; anything but an orderly end is raised."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="") for _ in range(2))
    stdin = io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass")))
    before, sys.stdin = sys.stdin, stdin
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main([str(word) for word in words])
            except SystemExit as stop:
                status = stop.code
    finally:
        sys.stdin = before
    for stream in (out, err):
        stream.flush()
    out, err = (stream.buffer.getvalue().decode("utf-8") for stream in (out, err))
    seen["worked" if status == 0 else "refused"] += 1
    assert status in (0, 1, 2), (status, err)
    if status == 2:
        said = [line for line in err.splitlines() if line.startswith("minitransformer")]
        assert len(said) == 1, err
        assert len(said[0]) < 2000
    return status, out, err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="module")
def pairs(folder):
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{a}\t{a}{a}\n" for a in ("a", "b", "a b", "c", "b c", "a c")), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(folder, pairs):
    assert (
        answer("train", pairs, "--out", folder / "run", "--test", 0, "--vocabulary", "word", *TINY, "--d-ff", 4)[0] == 0
    )
    return folder / "run"


def typed(names, values=VALUES):
    return st.lists(st.tuples(st.sampled_from(names), values), max_size=3)


@given(typed(OPTIONS), st.lists(st.sampled_from(CHOICES), max_size=2))
@generated(4)
def test_train_with_any_options(folder, pairs, options, choices):
    words = [f"{name}={value}" for name, value in options if value not in LARGE]
    answer("train", pairs, "--out", folder / "any", "--overwrite", *TINY, *words, *choices)


@given(FILES)
@generated(2)
def test_train_on_any_file(folder, content):
    (folder / "any.tsv").write_bytes(content)
    answer("train", folder / "any.tsv", "--out", folder / "any", "--overwrite", "--vocabulary", "word", *TINY)


@given(FILES, FILES)
@generated()
def test_train_on_any_two_files(folder, source, target):
    (folder / "a").write_bytes(source)
    (folder / "b").write_bytes(target)
    words = ["--source", folder / "a", "--target", folder / "b", "--vocabulary", "character"]
    answer("train", *words, "--out", folder / "any", "--overwrite", *TINY)


@given(st.lists(TEXT, max_size=3), typed(("--max-new-tokens", "--batch-size", "--seed")), st.booleans())
@generated(2)
def test_translate_any_text(trained, texts, options, typed_in):
    words = [f"{name}={value}" for name, value in options if value not in LARGE]
    given_texts = [] if typed_in else [text for text in texts if not text.startswith("-")]
    text = "\n".join(texts)
    status, out, _ = answer("translate", trained, *words, *given_texts, text=text)
    if status == 0 and given_texts:
        assert len(out.split("\n")) == len(given_texts) + 1 or "\n" in "".join(given_texts)


@given(FILES, typed(("--batch-size", "--limit", "--seed")))
@generated(2)
def test_evaluate_on_any_file(folder, trained, content, options):
    (folder / "test.tsv").write_bytes(content)
    words = [f"{name}={value}" for name, value in options if value not in LARGE]
    answer("evaluate", trained, folder / "test.tsv", *words)


@given(st.binary(max_size=300), st.sampled_from(["translate", "evaluate", "train --resume"]))
@generated(2)
def test_any_file_for_a_run(folder, pairs, content, command):
    (folder / "checkpoint").write_bytes(content)
    assert answer(*command.split(), folder / "checkpoint", *([pairs] if "evaluate" in command else []))[0] == 2


@given(
    typed(
        ("--d-model", "--n-heads", "--rate", "--examples", "--seed", "--dropout"),
        st.sampled_from(["0", "-1", "x", "nan"]),
    )
)
@generated()
def test_demo_with_wrong_options(folder, options):
    if options:
        words = [f"{name}={value}" for name, value in options]
        words.append("--batch-size=0")  # so that the good ones do not train
        assert answer("demo", "--out", folder / "demo", *words)[0] == 2


@given(
    typed(("--batch", "--seed", "--method", "--model"), st.sampled_from(["0", "-1", "1", "x", "central", "minimal"]))
)
@generated(0.2)
def test_check_with_any_options(options):
    answer("check", "--model=minimal", *(f"{name}={value}" for name, value in options))


@given(st.lists(st.one_of(st.sampled_from([c.__name__.split(".")[-1] for c in COMMANDS]), TEXT), max_size=1), TEXT)
@generated()
def test_any_words(words, last):
    if not words or words[0] not in ("demo", "lm", "check"):  # which may well work
        answer(*words, f"--{last}x")
