"""`lm train --resume`: as if it had never stopped, Ctrl-C, and what contradicts the run."""

import numpy as np
import pytest

from minitransformer.decoding import LanguageModel
from minitransformer.training import load_checkpoint

from .test_resume import contents, interrupted_at

SIZES = ("--context", 8, "--d-model", 8, "--n-heads", 2, "--blocks", 1, "--batch-size", 4, "--steps", 5)
CHOICES = {
    "gpt": ("--dropout", 0.3, "--workers", 2),
    "llama": ("--model", "llama", "--n-kv-heads", 1, "--optimizer", "sgd", "--schedule", "constant"),
}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "my text"
    path.write_text("the cat sat on the mat .\n" * 40)
    return path


@pytest.mark.parametrize("step", [1, 3, 4])
@pytest.mark.parametrize("choice", CHOICES)
def test_a_run_that_was_interrupted_goes_on_bit_for_bit(run, tmp_path, text, monkeypatch, choice, step):
    folder, whole = tmp_path / "my run", tmp_path / "whole"
    assert run("lm", "train", text, "--out", whole, *SIZES, *CHOICES[choice])[0] == 0
    with monkeypatch.context() as patched:
        interrupted_at(patched, step)
        status, out, err = run("lm", "train", text, "--out", folder, *SIZES, *CHOICES[choice])
    assert (status, out) == (130, "")
    assert f"stopped after step {step} of 5" in err
    assert err.rstrip().endswith(f"minitransformer lm train --resume '{folder}'")
    assert load_checkpoint(folder / "checkpoint.npz")[1]["trainer"]["step"] == step
    assert LanguageModel.load(folder).generate("the", max_new_tokens=3)  # what was saved can write
    status, out, err = run("lm", "train", "--resume", folder)
    assert status == 0, err
    assert "validation loss" in out
    assert contents(folder) == contents(whole)


@pytest.fixture
def stopped(run, tmp_path, text, monkeypatch):
    folder = tmp_path / "stopped"
    with monkeypatch.context() as patched:
        interrupted_at(patched, 2)
        assert run("lm", "train", text, "--out", folder, *SIZES, *CHOICES["llama"])[0] == 130
    return folder


def test_a_run_that_stops_twice_says_again_how_to_go_on(run, stopped, monkeypatch):
    with monkeypatch.context() as patched:
        interrupted_at(patched, 4)
        status, _, err = run("lm", "train", "--resume", stopped, "--steps", 8)
    assert status == 130
    assert err.rstrip().endswith(f"minitransformer lm train --resume {stopped}")
    assert run("lm", "train", "--resume", stopped)[0] == 0
    assert load_checkpoint(stopped / "checkpoint.npz")[1]["trainer"]["step"] == 8


def test_more_steps_are_those_of_a_run_that_had_them_from_the_start(run, tmp_path, text, stopped):
    assert run("lm", "train", text, "--out", tmp_path / "long", *SIZES, *CHOICES["llama"], "--steps", 8)[0] == 0
    assert run("lm", "train", "--resume", stopped, "--steps", 8)[0] == 0
    (arrays, _), (wanted, _) = contents(stopped), contents(tmp_path / "long")
    assert arrays == wanted


CONTRADICTIONS = {
    "--context 9": "--context 9: the run began with 8",
    "--model gpt": "--model gpt: the run began with llama",
    "--n-kv-heads 2": "--n-kv-heads 2: the run began with 1",
    "--steps 4": "--steps 4: the run is to have 5",
    "--overwrite": "--overwrite",
    "--out elsewhere": "--out elsewhere",
    "{other}": "this is not the text that it began with",
    "{tmp}/none": "none: no such file",
}


@pytest.mark.parametrize("typed", CONTRADICTIONS)
def test_what_contradicts_the_run_is_refused_and_leaves_it_as_it_is(run, tmp_path, stopped, typed):
    (tmp_path / "other").write_text("the cat sat on the mat !\n" * 40)
    before = (stopped / "checkpoint.npz").read_bytes()
    words = typed.format(other=tmp_path / "other", tmp=tmp_path).split()
    status, out, err = run("lm", "train", "--resume", stopped, *words)
    assert (status, out, CONTRADICTIONS[typed] in err, "Traceback" in err) == (2, "", True, False), err
    assert (stopped / "checkpoint.npz").read_bytes() == before


def test_the_text_may_have_moved(run, tmp_path, stopped, text):
    (tmp_path / "moved").write_bytes(text.read_bytes())
    assert run("lm", "train", tmp_path / "moved", "--resume", stopped)[0] == 0


def test_a_run_of_sentence_pairs_is_no_run_of_a_text(run, trained):
    status, _, err = run("lm", "train", "--resume", trained)
    assert (status, "Traceback" in err) == (2, False)
    assert "cannot go on" in err


def test_a_run_without_a_text_goes_on_with_the_documentation(run, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        interrupted_at(patched, 1)
        assert run("lm", "train", "--out", tmp_path / "run", *SIZES, "--validation", 0, "--steps", 2)[0] == 130
    assert run("lm", "train", "--resume", tmp_path / "run")[0] == 0
    history = load_checkpoint(tmp_path / "run" / "checkpoint.npz")[0]["history.loss"]
    assert np.isfinite(history).all()
    assert len(history) == 2
