"""The commands on recurrent translators."""

import numpy as np
import pytest

from minitransformer import load

from ..extent import extent

MODELS = ("lstm", "lstm-bahdanau", "lstm-input-feeding")
SIZES = (
    *("--d-model", "8", "--d-embedding", "4", "--encoder-blocks", "2", "--decoder-blocks", "1"),
    *("--batch-size", "4", "--workers", "1", "--steps", "2"),
)


@pytest.mark.parametrize("shared", [[], ["--shared"]], ids=["two vocabularies", "one"])
@pytest.mark.parametrize("model", MODELS)
def test_an_lstm_trains_translates_and_is_explored(run, json_of, tmp_path, pairs_file, model, shared):
    folder = tmp_path / "run"
    status, out, _ = run("train", pairs_file, "--model", model, "--out", folder, "--json", *SIZES, *shared)
    assert status == 0
    config = load(folder).model.config
    assert json_of(out)["steps"] == 2
    assert (config.d_embedding, config.n_encoder_layers, config.n_decoder_layers) == (4, 2, 1)
    assert run("translate", folder, "I see the cat.")[0] == 0
    assert run("explore", folder, "I see the cat.", "--out", tmp_path / "page.html")[0] == 0


def test_an_lstm_that_goes_on_is_the_one_that_never_stopped(run, tmp_path, pairs_file):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = ("--model", "lstm", "--dropout", "0.2", "--schedule", "constant", *SIZES)
    assert run("train", pairs_file, "--out", whole, *options, "--steps", "4")[0] == 0
    assert run("train", pairs_file, "--out", parts, *options)[0] == 0
    assert run("train", "--resume", parts, "--steps", "4")[0] == 0
    for a, b in zip(load(whole).model.parameters(), load(parts).model.parameters(), strict=True):
        assert np.array_equal(a.value, b.value)


@pytest.mark.parametrize(
    ("model", "extra", "words"),
    [
        ("lstm", ["--n-heads", "2"], "--n-heads 2: an LSTM has no such setting"),
        ("lstm-bahdanau", ["--d-ff", "6"], "--d-ff 6: an LSTM has no such setting"),
        ("pre-norm", [], "--d-embedding 4: model pre-norm has no such setting"),
    ],
)
def test_what_a_model_has_no_use_for_is_refused(run, tmp_path, pairs_file, model, extra, words):
    status, _, err = run("train", pairs_file, "--model", model, "--out", tmp_path / "run", *SIZES, *extra)
    assert status != 0
    assert words in err
    assert "Traceback" not in err


# The models' own gradients are checked in tests/cases.
@pytest.mark.parametrize("model", extent(MODELS[:1], MODELS))
def test_check_proves_every_recurrent_recipe(run, json_of, model):
    status, out, _ = run("check", "--model", model, "--json")
    assert status == 0
    assert json_of(out)["passed"] is True
    assert json_of(out)["worst"] < 1e-12


def test_the_demo_finds_the_decoder_s_heads_where_the_encoder_has_none(run, json_of, tmp_path):
    sizes = ("--steps", "2", "--d-model", "8", "--batch-size", "4", "--workers", "1", "--examples", "4")
    status, out, _ = run("demo", "--model", "lstm", "--out", tmp_path / "demo", "--json", *sizes)
    assert status == 0
    assert [head["kind"] for head in json_of(out)["heads"]] == ["cross"]
    names = {path.name for path in (tmp_path / "demo" / "figures").iterdir()}
    assert "cross_attention.png" in names
    assert "antecedent.png" not in names
