"""The commands on T5, GPT and Llama."""

import pytest

from minitransformer import load

from ..extent import extent
from .conftest import TINY


@pytest.mark.parametrize("model", ["t5", "t5-v1.1"])
def test_t5_trains_on_one_vocabulary_and_translates(run, json_of, tmp_path, pairs_file, model):
    folder = tmp_path / "run"
    options = ["--model", model, "--shared", "--vocabulary", "word", "--out", folder, "--steps", 2, "--json"]
    status, out, _ = run("train", pairs_file, *options, *TINY)
    assert status == 0
    assert json_of(out)["steps"] == 2
    assert load(folder).model.config.d_kv == 4
    status, out, _ = run("translate", folder, "I see the cat.")
    assert status == 0


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ([], "as `train` gives it with --shared"),
        (["--shared", "--n-heads", "3"], "--n-heads 3: must divide --d-model 8"),
    ],
)
def test_what_t5_cannot_have_is_refused(run, tmp_path, pairs_file, extra, words):
    status, _, err = run("train", pairs_file, "--model", "t5", "--out", tmp_path / "run", *TINY, *extra)
    assert status != 0
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("model", ["gpt", "llama"])
def test_a_language_model_is_no_translator(run, tmp_path, pairs_file, model):
    status, _, err = run("train", pairs_file, "--model", model, "--out", tmp_path / "run", *TINY)
    assert status != 0
    assert "invalid choice" in err


# The models' own gradients are checked in tests/cases.
@pytest.mark.parametrize("model", extent(["gpt"], ["t5", "t5-v1.1", "gpt", "llama", "llama-tied"]))
def test_check_proves_every_recipe(run, json_of, model):
    status, out, _ = run("check", "--model", model, "--json")
    assert status == 0
    assert json_of(out)["passed"] is True
    assert json_of(out)["worst"] < 1e-12
