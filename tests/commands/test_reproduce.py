"""Recipes are plain files that the command runs as they stand; what is done is not done again."""

import json
import shlex
import subprocess

import pytest

from minitransformer.cli import main, parser
from minitransformer.experiments import reproduce

TINY = """
[recipe]
title = A trial
source = nobody
note = Only
    a trial.

[transformer]
train = train {data}/pairs.tsv --vocabulary word --d-model 8 --n-heads 2 --d-ff 8 --steps 3 --test 0.3
measure = token_accuracy
unit = %
published = 100 % of nothing
goal = >= 0
also = perplexity

[lstm]
train = train {data}/pairs.tsv --vocabulary word --model lstm --d-model 8 --steps 3 --test 0.3
evaluate = evaluate {run} {data}/pairs.tsv
measure = perplexity
published = none
goal = <= 0.5
"""


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """A folder with one recipe, `tiny`, and its data beside it."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "tiny.ini").write_text(TINY.replace("title", "files = pairs.tsv\nwhere = write it\ntitle", 1))
    (tmp_path / "pairs.tsv").write_text("".join(f"a{i} b\tc d{i}\n" for i in range(10)))
    monkeypatch.setattr(reproduce, "RECIPES", folder)
    return tmp_path


def reproduced(recipes, *words):
    return main(["reproduce", "tiny", f"--data={recipes}", f"--out={recipes}/runs", "--workers=1", *words])


def test_the_table_has_theirs_and_ours(recipes, capfd):
    assert reproduced(recipes, "--seeds=2", "--json") == 0
    *lines, last = capfd.readouterr().out.splitlines()
    numbers = json.loads(last)
    rows = [line for line in lines if line.startswith(("| transformer", "| lstm"))]
    assert [row.split(" | ")[1] for row in rows] == ["100 % of nothing", "none"]
    assert numbers["transformer"]["reached"]
    assert not numbers["lstm"]["reached"]
    assert len(numbers["transformer"]["values"]) == 2
    assert numbers["transformer"]["mean"] == sum(numbers["transformer"]["values"]) / 2
    *table, _, figure = lines
    assert table[-1] == "Only a trial."
    assert (recipes / "runs/tiny/table.md").read_text().splitlines() == table
    assert figure == f"figure: {recipes}/runs/tiny/course.png"
    assert (recipes / "runs/tiny/course.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_done_is_not_done_again_and_what_was_stopped_goes_on(recipes, capfd, monkeypatch):
    assert reproduced(recipes, "--seeds=1", "--row=lstm", "--json") == 0
    first = json.loads(capfd.readouterr().out.splitlines()[-1])
    asked = []
    real = reproduce.command
    monkeypatch.setattr(reproduce, "command", lambda words: asked.append(words) or real(words))
    assert reproduced(recipes, "--seeds=1", "--row=lstm", "--json") == 0
    assert not asked
    answer = recipes / "runs/tiny/lstm-0/answer.json"
    answer.write_text(json.dumps({"asked": json.loads(answer.read_text())["asked"]}))
    assert reproduced(recipes, "--seeds=1", "--row=lstm", "--json") == 0
    assert [words[0] for words in asked] == ["train", "evaluate"]
    assert "--resume" in asked[0]
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["lstm"]["values"] == first["lstm"]["values"]
    assert reproduced(recipes, "--seeds=1", "--row=lstm", "--steps=4") == 0
    assert any("--steps=4" in words for words in asked), "another length is another run"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reproduce", "nothing"], "nothing: no such recipe; there are tiny"),
        (["reproduce", "tiny"], "tiny needs --data FOLDER with pairs.tsv: write it"),
        (["reproduce", "tiny", "--data=/nowhere"], "--data /nowhere: there is no pairs.tsv: write it"),
        (["reproduce", "tiny", "--row=gru"], "--row gru: tiny has transformer, lstm"),
    ],
)
def test_what_is_missing_is_said(recipes, words, message, capsys):
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_a_command_that_fails_is_named(recipes, capfd):
    (recipes / "pairs.tsv").write_text("no tab\n")
    assert reproduced(recipes, "--seeds=1") == 2
    error = capfd.readouterr().err
    assert "pairs.tsv:1: one column" in error
    assert "ended with status 2" in error


@pytest.mark.parametrize("name", reproduce.names())
def test_every_recipe_is_a_command_that_this_program_has(name):
    recipe = reproduce.read_recipe(name)
    assert recipe.models
    for row in recipe.models:
        for words in filter(None, (row.train, row.evaluate)):
            parser().parse_args([word.format(data="d", run="r") for word in words])
        relation, goal = row.goal.split()
        assert relation in (">=", "<=")
        float(goal)


def test_recipes_are_listed(capsys):
    assert main(["reproduce"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in reproduce.names())


def test_a_comparison_of_one_model_answers_for_it(monkeypatch):
    answer = {"seed": 0, "models": [{"test_bleu": 97.5, "seconds": 60.0}]}
    done = subprocess.CompletedProcess([], 0, stdout=f"a table\n{json.dumps(answer)}\n")
    monkeypatch.setattr(reproduce.subprocess, "run", lambda *words, **options: done)
    got = reproduce.command(["compare"])
    assert got["test_bleu"] == 97.5
    assert reproduce.training_seconds(got) == 60.0


def test_a_number_that_is_missing_is_an_error():
    row = reproduce.PublishedModel("x", shlex.split("train"), [], "bleu", "", "none", ">= 1", [])
    with pytest.raises(Exception, match=r"no 'bleu'.*sacrebleu"):
        row.value({}, "bleu")


def test_evaluate_gives_every_number_that_recipes_ask_it_for(run, json_of, trained, pairs_file):
    pytest.importorskip("sacrebleu")
    status, out, err = run("evaluate", trained, pairs_file, "--json")
    assert status == 0, err
    answer = json_of(out)
    rows = [row for name in reproduce.names() for row in reproduce.read_recipe(name).models if row.evaluate]
    assert {key for row in rows for key in (row.measure, *row.also)} <= set(answer)
    assert answer["bleu_lowercase"] >= answer["bleu"]
    assert "case:lc" in answer["bleu_lowercase_signature"]


def test_a_number_that_was_missing_is_measured_by_the_next_call(recipes, monkeypatch, capfd):
    real = reproduce.command

    def without_perplexity(words):
        return {key: value for key, value in real(words).items() if key != "perplexity"}

    monkeypatch.setattr(reproduce, "command", without_perplexity)
    assert reproduced(recipes, "--row=lstm", "--seeds=1") == 2
    assert "no 'perplexity'" in capfd.readouterr().err
    monkeypatch.setattr(reproduce, "command", real)
    assert reproduced(recipes, "--row=lstm", "--seeds=1") == 0
    assert "--resume" in capfd.readouterr().err
