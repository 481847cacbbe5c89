"""The command line as a whole: its help, its exit statuses, and mistakes in one clear line."""

import argparse
import re
import subprocess
import sys

import pytest

from minitransformer import __version__
from minitransformer.cli import COMMANDS, main, parser
from minitransformer.data import DataError

from .conftest import TINY


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "minitransformer", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"minitransformer {__version__}"


def commands_of(top, prefix=()):
    """Every command that can be run, with its words: ("lm", "train") stands inside ("lm",)."""
    inner = next((action for action in top._actions if action.dest in ("command", "action")), None)
    if inner is None:
        yield prefix, top
        return
    for name, command in inner.choices.items():
        yield from commands_of(command, (*prefix, name))


def test_help_explains_every_option_of_every_command(capsys):
    found = dict(commands_of(parser()))
    assert len({words[0] for words in found}) == len(COMMANDS)
    for words, command in found.items():
        for action in command._actions:
            assert action.help, f"{words} {action.option_strings} has no help"
        with pytest.raises(SystemExit) as stop:
            main([*words, "--help"])
        assert stop.value.code == 0
        assert "--seed" in capsys.readouterr().out


MISTAKES = {
    "no such file": ("train {tmp}/none.tsv", "none.tsv"),
    "a folder for a file": ("train {tmp}", "{tmp}"),
    "a column too few": ("train {tmp}/one_column.tsv", "one_column.tsv:2"),
    "not UTF-8": ("train {tmp}/latin.tsv", "latin.tsv:1"),
    "an empty file": ("train {tmp}/empty.tsv", "empty.tsv"),
    "files of unequal length": ("train --source {tmp}/a.txt --target {tmp}/b.txt", "2"),
    "half of a pair of files": ("train --source {tmp}/a.txt", "--target"),
    "heads that do not divide": ("train {pairs} --n-heads 3 --d-model 8", "n_heads=3"),
    "an odd width": ("train {pairs} --d-model 9 --n-heads 1", "d_model=9"),
    "nothing left to train on": ("train {pairs} --test 0.6 --validation 0.5", "nothing is left"),
    "a setting of another optimizer": ("train {pairs} --optimizer sgd --beta2 0.9", "--beta2"),
    "a setting of another model": ("train {pairs} --model minimal --dropout 0.1", "--dropout 0.1: the minimal"),
    "a setting of another schedule": ("train {pairs} --schedule constant --warmup 5", "--warmup 5: the constant"),
    "a setting of another vocabulary": ("train {pairs} --vocabulary character --vocab-size 99", "--vocab-size 99"),
    "a warm-up longer than the run": ("train {pairs} --steps 5 --warmup 6", "warmup=6"),
    "an end above the rate": ("train {pairs} --steps 2 --rate 0.1 --final-rate 0.2", "final=0.2"),
    "an eps of nothing": ("train {pairs} --steps 2 --eps 0", "eps=0.0"),
    "a rate of nothing": ("train {pairs} --rate 0", "rate=0"),
    "steps below one": ("train {pairs} --steps 0", "--steps"),
    "a share above one": ("train {pairs} --dropout 1", "--dropout"),
    "not a number": ("train {pairs} --rate fast", "--rate"),
    "no such run": ("translate {tmp}/run hello", "run"),
    "a run that is none": ("translate {tmp}/one_column.tsv hello", "one_column.tsv"),
    "evaluating nothing": ("evaluate {tmp}/run", "either"),
    "a folder that cannot be": ("train {pairs} --out {tmp}/a.txt/run", "a.txt"),
    "no such command": ("fly", "fly"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_status_2(run, tmp_path, pairs_file, mistake, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one_column.tsv").write_text("a\tb\nonly one\n")
    (tmp_path / "latin.tsv").write_bytes("été\tsummer\n".encode("latin-1"))
    (tmp_path / "empty.tsv").write_text("")
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b.txt").write_text("un\n")
    before = sorted(tmp_path.rglob("*"))
    command, named = (text.format(tmp=tmp_path, pairs=pairs_file) for text in MISTAKES[mistake])
    status, out, err = run(*command.split())
    assert status == 2
    assert named in err
    assert "Traceback" not in err
    assert out == ""
    assert len([line for line in err.splitlines() if "minitransformer" in line and "usage" not in line]) == 1
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and path not in before] == []


def test_a_run_is_not_overwritten_unless_told_to(run, trained, pairs_file):
    before = (trained / "checkpoint.npz").read_bytes()
    status, _, err = run("train", pairs_file, "--out", trained, "--steps", 1, *TINY)
    assert (status, "--overwrite" in err) == (2, True)
    assert (trained / "checkpoint.npz").read_bytes() == before


def test_an_interruption_is_no_traceback(run, monkeypatch, pairs_file):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("minitransformer.commands.train.pairs_from", interrupted)
    status, _, err = run("train", pairs_file)
    assert status == 130
    assert err.strip().endswith("interrupted")


OPTIONS = [
    (" ".join(words), action)
    for words, one in commands_of(parser())
    for action in one._actions
    if action.option_strings and action.nargs != 0
]


def test_every_refused_value_of_every_option_says_what_is_allowed():
    refused = 0
    for command, action in OPTIONS:
        name = f"{command} {action.option_strings[-1]}"
        if action.choices is not None or action.type is None:
            continue  # argparse names all choices; without a type any text will do
        for value in ("nonsense", "", "nan", "-1e300"):
            try:
                action.type(value)
            except (argparse.ArgumentTypeError, DataError) as error:
                message = str(error)
            else:
                continue
            assert repr(value) in message, name
            assert re.search("at least|such as|no name of a file|allowed|none of", message), f"{name}: {message}"
            refused += 1
    assert refused > 100


def test_the_options_that_take_any_text_are_few():
    free = {action.option_strings[-1] for _, action in OPTIONS if action.choices is None and action.type is None}
    assert free == {"--after", "--ignore-key", "--prompt", "--row"}
