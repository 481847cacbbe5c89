"""Predictions are kept and shown beside what came out; every lesson asks for them and shows them again."""

import ast
import re
from pathlib import Path

import pytest

from minitransformer.course import predict, predicting, predictions

LESSONS = sorted((Path(__file__).parents[2] / "notebooks" / "lessons").glob("*.py"))


@pytest.fixture(autouse=True)
def session(monkeypatch):
    monkeypatch.setattr(predicting, "_predicted", {})


def test_the_last_prediction_stands_beside_what_came_out(capsys):
    predict("the sign", "negative")
    predict("the sign", "none")
    predict("never shown", "x")
    capsys.readouterr()
    predictions({"the sign": "positive", "the size": "3"})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["the", "sign"],
        ["you", "predicted", "none"],
        ["it", "came", "out", "positive"],
        ["the", "size"],
        ["you", "predicted", "(nothing)"],
        ["it", "came", "out", "3"],
    ]


def test_nothing_is_no_prediction_and_stops_nothing(capsys):
    predict("the sign", "")
    assert "No prediction yet" in capsys.readouterr().out


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_what_a_lesson_asks_to_predict_is_shown_again_at_its_end(path):
    text = path.read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    named = {"predict": [], "predictions": []}
    for call in calls:
        if getattr(call.func, "id", "") in named:
            named[call.func.id].append(call)
    (shown,) = named["predictions"]
    asked = sorted(named["predict"], key=lambda call: call.lineno)
    assert [call.args[0].value for call in asked] == [key.value for key in shown.args[0].keys]
    assert all(call.args[1].value == "" for call in asked)
    assert shown.lineno > asked[-1].lineno
    joined = re.sub(r"\n# ?", " ", text)
    assert len(asked) >= len(re.findall(r"\*\*Predict before", joined))
