"""Runs of the commands that several tests look at, made once."""

import json

import pytest

from minitransformer.cli import main

PAIRS = [
    ("Go.", "Va !"),
    ("Go.", "Allez-y."),
    ("I see the cat.", "Je vois le chat."),
    ("I see the dog.", "Je vois le chien."),
    ("The cat sleeps.", "Le chat dort."),
    ("The dog sleeps.", "Le chien dort."),
    ("The cat sees me.", "Le chat me voit."),
    ("It's here.", "C'est ici."),
    ("You see it.", "Tu le vois."),
    ("We go.", "Nous allons."),
]
TINY = (
    *("--d-model", "8", "--n-heads", "2", "--d-ff", "6", "--encoder-blocks", "1", "--decoder-blocks", "1"),
    *("--batch-size", "4", "--workers", "1"),
)


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(f"{a}\t{b}\tsome attribution\n" for a, b in PAIRS), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory, pairs_file):
    """The folder of a run of `train`."""
    folder = tmp_path_factory.mktemp("runs") / "word"
    options = [str(pairs_file), "--out", str(folder), "--vocabulary", "word", "--steps", "3", "--test", "0.2"]
    assert main(["train", *options, *TINY]) == 0
    return folder


@pytest.fixture
def run(capsys):
    """Run a command; gives its exit status, standard output and standard error."""

    def run_command(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            status = stop.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run_command


@pytest.fixture
def json_of():
    """The JSON object in the last line of an output."""
    return lambda out: json.loads(out.splitlines()[-1])
