"""`train --resume`: as if it had never stopped. What contradicts the run is refused; Ctrl-C says how to go on."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from minitransformer.commands import runs
from minitransformer.training import CheckpointError, Trainer, load_checkpoint, save_checkpoint

from .conftest import PAIRS, TINY

CHOICES = {
    "words": ["--vocabulary", "word", "--dropout", "0.3", "--workers", "2"],
    "noam": ["--model", "transformer", "--schedule", "noam", "--optimizer", "adamw", "--shared", "--vocab-size", "80"],
    "sgd": ["--model", "pre-norm", "--optimizer", "sgd", "--schedule", "constant", "--clip", "0", "--start", "eos"],
}
STEPS = 5


def interrupted_at(monkeypatch, step):
    """Ctrl-C while this step is under way."""
    whole = Trainer.train_step

    def train_step(trainer, batch):
        if trainer.step + 1 == step:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(trainer, batch)

    monkeypatch.setattr(Trainer, "train_step", train_step)


def contents(folder):
    """What must be the same, bit for bit: all but the time that it took."""
    arrays, description = load_checkpoint(folder / "checkpoint.npz")
    assert len(arrays.pop("history.seconds")) == len(arrays["history.loss"])
    for record in description["trainer"]["validations"]:
        record["seconds"] = 0
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}, description


@pytest.fixture(scope="module", params=CHOICES)
def choice(request):
    return request.param


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pairs_file, choice):
    """A run that was never stopped."""
    from minitransformer.cli import main

    folder = tmp_path_factory.mktemp("whole") / "run"
    common = ["--steps", str(STEPS), "--test", "0.2", "--validation", "0.2", *TINY]
    assert main(["train", str(pairs_file), "--out", str(folder), *common, *CHOICES[choice]]) == 0
    return folder


@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_run_that_was_interrupted_goes_on_bit_for_bit(run, tmp_path, pairs_file, monkeypatch, whole, choice, step):
    numpys_own = np.random.get_state()[1].copy()  # noqa: NPY002
    folder = tmp_path / "my run"
    common = ["--steps", STEPS, "--test", 0.2, "--validation", 0.2, *TINY]
    with monkeypatch.context() as patched:
        interrupted_at(patched, step)
        status, out, err = run("train", pairs_file, "--out", folder, *common, *CHOICES[choice])
    assert (status, out) == (130, "")
    assert f"stopped after step {step} of {STEPS}" in err
    assert err.rstrip().endswith(f"minitransformer train --resume '{folder}'")  # ready to be copied, blanks and all
    assert load_checkpoint(folder / "checkpoint.npz")[1]["trainer"]["step"] == step
    status, out, err = run("train", "--resume", folder)
    assert status == 0, err
    assert contents(folder) == contents(whole)
    assert (folder / "test.tsv").read_bytes() == (whole / "test.tsv").read_bytes()
    np.testing.assert_array_equal(np.random.get_state()[1], numpys_own)  # noqa: NPY002


@pytest.fixture
def stopped(run, tmp_path, pairs_file, monkeypatch):
    """The folder of a run with a constant rate that stopped after step 2 of 5."""
    folder = tmp_path / "stopped"
    with monkeypatch.context() as patched:
        interrupted_at(patched, 2)
        assert run("train", pairs_file, "--out", folder, "--steps", 5, *TINY, *CHOICES["sgd"])[0] == 130
    return folder


def test_more_steps_are_those_of_a_run_that_had_them_from_the_start(run, tmp_path, pairs_file, stopped):
    assert run("train", pairs_file, "--out", tmp_path / "long", "--steps", 8, *TINY, *CHOICES["sgd"])[0] == 0
    status, _, err = run("train", "--resume", stopped, "--steps", 8)
    assert status == 0, err
    (arrays, _), (wanted, _) = contents(stopped), contents(tmp_path / "long")
    assert arrays == wanted


def test_a_longer_run_that_stops_again_remembers_how_long_it_is(run, stopped, monkeypatch):
    with monkeypatch.context() as patched:
        interrupted_at(patched, 4)
        assert run("train", "--resume", stopped / "checkpoint.npz", "--steps", 8)[0] == 130
    assert run("train", "--resume", stopped)[0] == 0
    assert load_checkpoint(stopped / "checkpoint.npz")[1]["trainer"]["step"] == 8


def test_a_run_that_is_done_is_measured_once_more(run, json_of, stopped):
    assert run("train", "--resume", stopped)[0] == 0
    before = contents(stopped)
    status, out, _ = run("train", "--resume", stopped, "--json")
    assert (status, json_of(out)["steps"]) == (0, 5)
    assert contents(stopped) == before


def test_steps_behind_the_end_of_a_cosine_are_refused_where_its_rate_is_0_there(run, tmp_path, pairs_file):
    for name, extra in (("nothing", []), ("something", ["--final-rate", "0.001"])):
        assert run("train", pairs_file, "--out", tmp_path / name, "--steps", 2, *TINY, *extra)[0] == 0
    status, _, err = run("train", "--resume", tmp_path / "nothing", "--steps", 3)
    assert (status, "ends at step 2 with 0" in err) == (2, True)
    status, _, err = run("train", "--resume", tmp_path / "something", "--steps", 3)
    assert (status, "the learning rate stays 0.001" in err) == (0, True)
    arrays, _ = load_checkpoint(tmp_path / "something" / "checkpoint.npz")
    assert arrays["history.learning_rate"][-1] == 0.001


CONTRADICTIONS = {
    "--d-model 16": "--d-model 16: the run began with 8",
    "--d-model 128": "--d-model 128: the run began with 8",  # the default, but typed
    "--seed 1": "--seed 1: the run began with 0",
    "--shared": "--shared True: the run began with False",
    "--optimizer adam": "--optimizer adam: the run began with sgd",
    "--momentum 0.5": "--momentum 0.5: the run began with None",
    "--steps 4": "--steps 4: the run is to have 5",
    "--workers 2": "--workers 2: the run began with 1",
    "--overwrite": "--overwrite",
    "--out elsewhere": "--out elsewhere",
    "{other}": "not the sentence pairs",
    "{tmp}/none.tsv": "no such file",
}


@pytest.mark.parametrize("typed", CONTRADICTIONS)
def test_what_contradicts_the_run_is_refused_and_leaves_it_as_it_is(run, tmp_path, stopped, typed):
    (tmp_path / "other.tsv").write_text("".join(f"{a}\t{b} \n" for a, b in PAIRS[1:]), encoding="utf-8")
    before = (stopped / "checkpoint.npz").read_bytes()
    words = typed.format(other=tmp_path / "other.tsv", tmp=tmp_path).split()
    status, out, err = run("train", "--resume", stopped, *words)
    assert (status, out, CONTRADICTIONS[typed] in err, "Traceback" in err) == (2, "", True, False), err
    assert (stopped / "checkpoint.npz").read_bytes() == before


def test_what_agrees_with_the_run_may_be_typed_and_the_data_may_have_moved(run, tmp_path, stopped):
    (tmp_path / "moved.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS), encoding="utf-8")
    words = [tmp_path / "moved.tsv", "--d-model", 8, "--optimizer", "sgd", "--save-every", 1, "--steps", 5]
    status, _, err = run("train", "--resume", stopped, *words)
    assert status == 0, err


HOSTILE = {
    "no options": lambda d: d.pop("options"),
    "options that are none": lambda d: d.update(options=3),
    "an unknown option": lambda d: d["options"].update(wings=2),
    "help": lambda d: d["options"].update(help=True),
    "a command": lambda d: d["options"].update(run="rm"),
    "a rate that is none": lambda d: d["options"].update(rate="fast"),
    "a rate below 0": lambda d: d["options"].update(rate=-1),
    "an option of a list": lambda d: d["options"].update(d_model=[8]),
    "steps of text": lambda d: d.update(steps="5"),
    "data in a list": lambda d: d["options"].update(pairs=[1]),
    "data that are a number": lambda d: d["options"].update(pairs=0),
    "no trainer": lambda d: d.pop("trainer"),
    "a trainer that is none": lambda d: d.update(trainer=[]),
    "no schedule": lambda d: d["options"].pop("schedule"),
    "no steps": lambda d: d["options"].pop("steps"),
    "another default": lambda d: d["options"].update(default_d_ff=7),
    "validations that are none": lambda d: d["trainer"].update(validations=None),
}


@pytest.mark.parametrize("change", HOSTILE)
def test_a_run_whose_description_was_changed_is_refused(run, stopped, change):
    path = stopped / "checkpoint.npz"
    arrays, description = load_checkpoint(path)
    HOSTILE[change](description)
    save_checkpoint(path, arrays, description)
    status, out, err = run("train", "--resume", stopped)
    assert (status, out, "Traceback" in err) == (2, "", False), err


def test_a_run_that_is_none_is_named(run, tmp_path, trained):
    for folder in (tmp_path / "none", tmp_path):
        status, _, err = run("train", "--resume", folder)
        assert (status, "cannot be read" in err) == (2, True)


def test_a_folder_that_cannot_be_written_to_is_found_out_before_training(run, tmp_path, pairs_file, monkeypatch):
    def refuse(*arguments, **options):
        raise CheckpointError("run/checkpoint.npz: cannot be written: Read-only file system")

    monkeypatch.setattr(runs, "save_checkpoint", refuse)
    monkeypatch.setattr(Trainer, "train_step", None)  # not one step
    status, _, err = run("train", pairs_file, "--out", tmp_path / "run", *TINY)
    assert (status, "Read-only file system" in err) == (2, True)


def test_a_disk_that_fills_up_leaves_the_last_good_checkpoint(run, tmp_path, pairs_file, monkeypatch):
    folder, real = tmp_path / "run", os.fsync
    common = [*TINY, *CHOICES["sgd"]]
    assert run("train", pairs_file, "--out", tmp_path / "whole", "--steps", 4, *common)[0] == 0
    with monkeypatch.context() as patched:
        calls = []

        def full(handle):
            calls.append(handle)
            if len(calls) > 4:  # a file and its folder each time: the saves before step 1 and after it are good
                raise OSError(28, "No space left on device")
            real(handle)

        patched.setattr(os, "fsync", full)
        status, _, err = run("train", pairs_file, "--out", folder, "--steps", 4, "--save-every", 1, *common)
    assert (status, "checkpoint.npz: cannot be written: No space left on device" in err) == (2, True)
    assert os.listdir(folder) == ["checkpoint.npz"]
    assert load_checkpoint(folder / "checkpoint.npz")[1]["trainer"]["step"] == 1
    assert run("train", "--resume", folder)[0] == 0  # room was made
    assert contents(folder)[0] == contents(tmp_path / "whole")[0]


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_from_outside_saves_and_says_how_to_go_on(tmp_path, pairs_file):
    folder = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "minitransformer",
        "train",
        pairs_file,
        "--out",
        folder,
        "--steps",
        "100000",
        *TINY,
    ]
    process = subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A shell starts what runs in its background with the signal ignored, and so these tests, and so their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (folder / "checkpoint.npz").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    if "--resume" in err:  # unless it came in the very moment between the first save and the first step
        step = load_checkpoint(folder / "checkpoint.npz")[1]["trainer"]["step"]
        assert f"after step {step:,}" in err
