"""`explore` writes the page of one sentence of a trained run."""

import pytest

from minitransformer import load
from minitransformer.decoding import LanguageModel, look_inside, outcomes
from minitransformer.plotting import explore_html


def test_the_page_is_that_of_the_runs_own_look(run, json_of, trained, tmp_path):
    path = tmp_path / "page.html"
    status, out, err = run("explore", trained, "I see the zebra.", "--out", path, "--json")
    assert status == 0, err
    assert "zebra" in err  # it is not in the vocabulary
    translator, text = load(trained), "I see the zebra."
    look, data = translator.look(text), look_inside(translator, text)
    data["outcomes"] = outcomes(translator, text)
    assert path.read_text(encoding="utf-8") == explore_html(data)
    assert json_of(out) == {"source": look.source, "target": look.target, "page": str(path)}


def test_of_a_language_model_the_page_shows_how_it_reads_the_text(run, json_of, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat sees the dog. " * 40, encoding="utf-8")
    sizes = ("--d-model", "8", "--n-heads", "2", "--blocks", "1", "--context", "8", "--steps", "2", "--workers", "1")
    folder, page = tmp_path / "lm", tmp_path / "page.html"
    assert run("lm", "train", text, "--out", folder, *sizes)[0] == 0
    status, out, err = run("explore", folder, "the cat", "--out", page, "--json")
    assert status == 0, err
    words = ["t", "h", "e", "␣", "c", "a", "t"]
    assert json_of(out) == {"words": words, "page": str(page)}
    model = LanguageModel.load(folder)
    data = look_inside(model, "the cat")
    data["outcomes"] = outcomes(model, "the cat")
    assert page.read_text(encoding="utf-8") == explore_html(data)
    for wrong, message in (("the cat sees", "text has 12 tokens: this model reads at most 8"), ("Z", "had no 'Z'")):
        status, _, err = run("explore", folder, wrong, "--out", page)
        assert status == 2
        assert message in err


def test_what_is_no_run_is_named(run, tmp_path):
    status, _, err = run("explore", tmp_path, "a", "--out", tmp_path / "page.html")
    assert status == 2
    assert f"{tmp_path / 'checkpoint.npz'}: cannot be read" in err


def test_markup_in_the_sentence_stays_text(run, trained, tmp_path):
    path = tmp_path / "page.html"
    status, _, err = run("explore", trained, "<script>alert(1)</script>", "--out", path)
    assert status == 0, err
    page = path.read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert "<script>alert" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["", "--out", "page.html"], "there is no word in it"),
        (["I see.", "--out", "page.png"], "--out page.png: the page is a file whose name ends in .html"),
        (["I see.", "--out", "/dev/null/page.html"], "page.html: cannot be written"),
    ],
)
def test_mistakes_are_named(run, trained, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = run("explore", trained, *arguments)
    assert status == 2
    assert message in err
    assert not list(tmp_path.iterdir())
