"""A process that is killed while it writes leaves a whole checkpoint: the last one, or the one that it was writing.

MINITRANSFORMER_KILLS=500 repeats the figure of the README.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minitransformer.training import load_checkpoint

KILLS = int(os.environ.get("MINITRANSFORMER_KILLS", "25"))
SCRIPT = Path(__file__).with_name("kills.py")
NOTHING = {"unreadable": 0, "mixed": 0, "lost": 0, "left behind": 0}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a process that it forked")


def seen(what):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, SCRIPT, what], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_killed_at_random_moments():
    found = seen(str(KILLS))
    assert found == found | {"kills": KILLS} | NOTHING


def test_killed_at_each_step_of_writing():
    found = seen("steps")
    assert found["kills"] >= 12  # a save has at least a dozen calls: every one was the last once
    assert found["in the middle of writing"] >= 6
    assert found == found | NOTHING


def test_training_that_is_killed_goes_on_bit_for_bit(tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"the {word}\tle {word}\n" for word in "abcdefgh"), encoding="utf-8")
    sizes = "--d-model 8 --n-heads 2 --d-ff 6 --encoder-blocks 1 --decoder-blocks 1 --batch-size 3 --dropout 0.2"
    common = [*sizes.split(), "--vocabulary", "word", "--steps", "40", "--test", "0", "--workers", "1"]

    def train(*words, **options):
        command = [sys.executable, "-m", "minitransformer", "train", *map(str, words)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)

    assert train(pairs, "--out", tmp_path / "whole", *common).wait() == 0
    killed = train(pairs, "--out", tmp_path / "killed", "--save-every", 1, *common)
    while not (tmp_path / "killed" / "checkpoint.npz").exists():
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert train("--resume", tmp_path / "killed").wait() == 0
    wanted, got = (load_checkpoint(tmp_path / name / "checkpoint.npz")[0] for name in ("whole", "killed"))
    assert list(got) == list(wanted)
    assert [name for name in got if got[name].tobytes() != wanted[name].tobytes()] == ["history.seconds"]
    assert sorted(os.listdir(tmp_path / "killed")) == ["checkpoint.npz"]  # what the killed one left is swept
