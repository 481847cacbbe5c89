"""`compare`: both models, a table, a figure, conclusions; and Joey NMT's task beside its published score."""

import builtins
from dataclasses import replace

import pytest

from minitransformer.data import joeynmt_reversal
from minitransformer.experiments import joeynmt
from minitransformer.layers import Unallocated
from minitransformer.models import build_model

from ..extent import exhaustive

TINY = (
    *("--steps", "4", "--d-model", "8", "--n-heads", "2", "--d-ff", "12", "--batch-size", "4", "--workers", "1"),
    *("--encoder-blocks", "1", "--decoder-blocks", "1"),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Fewer sentences and shorter ones are measured with."""
    from minitransformer.commands import compare
    from minitransformer.experiments import materials

    monkeypatch.setattr(materials, "OF_LENGTH", 6)
    monkeypatch.setattr(materials, "HELD_OUT", 10)
    # The defaults of a function are its own.
    monkeypatch.setattr(compare.compare, "__defaults__", (2, (), (4, 8), (1, 4), 0))


PICTURES = ["comparison_learning.png", "comparison_length.png", "comparison_reach.png"]


def test_two_models_are_compared_on_reversal(run, json_of, tmp_path):
    status, out, _ = run("compare", "--out", tmp_path, "--symbols", "5", "--longest", "4", "--json", *TINY)
    assert status == 0
    numbers = json_of(out)
    a, b = numbers["candidates"]
    assert (a["name"], b["name"]) == ("LSTM", "Transformer")
    assert abs(a["parameters"] / b["parameters"] - 1) < 0.2  # at these sizes a unit is a tenth
    assert [look["step"] for look in a["validations"]] == [2, 4]
    assert set(a["exact_match"]) == {"2", "4", "5", "6", "7", "8"}
    assert sorted(path.name for path in tmp_path.glob("*.png")) == PICTURES
    for sentence in numbers["conclusions"]:
        assert sentence in out
    assert "right of length 5, unseen" in out
    assert "right of length 4, unseen" not in out


def test_the_same_seed_gives_the_same_quality(run, json_of, tmp_path):
    options = ("compare", "--no-figure", "--symbols", "5", "--longest", "4", "--json", *TINY)
    first, again, other = (
        json_of(run(*options, "--seed", seed)[1])["candidates"][0]["validations"][-1]["loss"] for seed in (1, 1, 2)
    )
    assert first == again != other


@exhaustive
def test_the_defaults_match_within_two_per_cent(run, json_of, capsys):
    for lstm in ("lstm", "lstm-bahdanau", "lstm-input-feeding"):
        options = ("compare", "--no-figure", "--lstm", lstm, "--steps", "1", "--batch-size", "2", "--workers", "1")
        status, out, err = run(*options, "--json")
        assert status == 0
        a, b = json_of(out)["candidates"]
        assert abs(a["parameters"] / b["parameters"] - 1) < 0.02
        assert "note" not in err


def test_the_built_in_grammar_is_compared(run, json_of, tmp_path):
    status, out, _ = run("compare", "--task", "english-french", "--out", tmp_path, "--json", *TINY)
    assert status == 0
    assert json_of(out)["measure"] == "exact_match"
    assert json_of(out)["candidates"][0]["answer_reach"] == {}
    assert sorted(path.name for path in tmp_path.glob("*.png")) == PICTURES


def test_pairs_of_a_file_are_compared_too(run, json_of, tmp_path, pairs_file):
    status, out, _ = run("compare", pairs_file, "--out", tmp_path / "out", "--vocab-size", "64", "--json", *TINY)
    assert status == 0
    numbers = json_of(out)
    assert numbers["measure"] == "token_accuracy"
    assert numbers["candidates"][0]["exact_match"] == {}
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == PICTURES


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["PAIRS", "--task", "reverse"], "--task reverse: PAIRS.tsv is given"),
        (["PAIRS", "--symbols", "5"], "--symbols 5: PAIRS.tsv has no such setting"),
        (["--symbols", "2"], "--symbols 2: too few: split 'test' has no source"),
        (["--vocab-size", "99"], "--vocab-size 99: a reversal has no such setting"),
        (["--models", "lstm"], "--models lstm: only --task joeynmt has such a setting"),
        (["--n-heads", "3"], "these sizes make no model: n_heads=3: must divide d_model=64"),
        (["nowhere.tsv"], "nowhere.tsv"),
        (["--task", "joeynmt", "--steps", "5"], "--steps: --task joeynmt has settings of its own"),
        (["--lstm", "gru"], "invalid choice: 'gru'"),
    ],
)
def test_mistakes_are_named_in_a_line(run, tmp_path, pairs_file, arguments, words):
    arguments = [str(pairs_file) if word == "PAIRS" else word for word in arguments]
    out = [] if "joeynmt" in arguments else ["--out", tmp_path]
    status, _, err = run("compare", *out, *arguments)
    assert status == 2
    assert words in err
    assert "Traceback" not in err


def test_without_sacrebleu_the_task_that_needs_it_says_so(run, monkeypatch):
    imported = builtins.__import__

    def without(name, *rest):
        if name.startswith("sacrebleu"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    status, _, err = run("compare", "--task", "joeynmt")
    assert status == 2
    assert 'needs sacrebleu: pip install "minitransformer[evaluate]"' in err


def test_joey_nmt_s_task_is_trained_validated_and_tested(run, json_of, monkeypatch):
    pytest.importorskip("sacrebleu")
    monkeypatch.setattr(joeynmt, "joeynmt_reversal", lambda: joeynmt_reversal(40, 12, 12))
    small = {name: replace(recipe, epochs=1) for name, recipe in joeynmt.SETUPS.items()}
    monkeypatch.setattr(joeynmt, "SETUPS", small)
    options = ("compare", "--task", "joeynmt", "--workers", "1", "--json", "--models", "lstm-1-epoch", "relative")
    status, out, _ = run(*options)
    assert status == 0
    numbers = json_of(out)
    assert [row["steps"] for row in numbers["models"]] == [4, 2]
    assert numbers["published"]["Joey NMT 2, LSTM, 1 epoch, greedy"]["test"] == 95.19
    assert "95.19" in out
    assert all(row["title"] in out and row["bleu_signature"] for row in numbers["models"])


def test_the_weights_tested_are_those_of_the_best_validation(monkeypatch):
    pytest.importorskip("sacrebleu")
    task = joeynmt_reversal(30, 4, 4)
    recipe = replace(joeynmt.SETUPS["lstm-1-epoch"], epochs=3)
    bleus, seen = iter([10.0, 30.0, 30.0, 20.0, *[5.0] * 5, 99.0]), []  # nine validations, one test

    def score(translator, pairs):
        seen.append(translator.model.head.bias.value.copy())
        return {"bleu": next(bleus)}

    monkeypatch.setattr(joeynmt, "score", score)
    row = joeynmt.measure(recipe, task, workers=1)
    assert len(seen) == 10
    assert row["validation_bleu"] == 30.0
    assert row["best_step"] == 2
    assert (seen[-1] == seen[1]).all()
    assert (seen[-1] != seen[-2]).any()


def test_the_lstm_of_the_recipe_has_the_published_sizes():
    recipe = joeynmt.SETUPS["lstm-1-epoch"]
    model = build_model(recipe.model, recipe.config, Unallocated())
    layer = model.encoder.lstm.layers[0]
    assert (layer.forward_layer.d_in, layer.forward_layer.d_hidden, layer.backward_layer.d_hidden) == (16, 64, 64)
    assert model.decoder.lstm.layers[0].d_in == 16 + 64  # input feeding
    assert (recipe.batch_size, recipe.epochs, recipe.rate) == (10, 1, 1e-3)
