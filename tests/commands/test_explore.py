"""`explore` writes the page of one sentence of a trained run."""

import pytest

from minitransformer import load
from minitransformer.plotting import explore_html


def test_the_page_is_that_of_the_runs_own_look(run, json_of, trained, tmp_path):
    path = tmp_path / "page.html"
    status, out, err = run("explore", trained, "I see the zebra.", "--out", path, "--json")
    assert status == 0, err
    assert "zebra" in err  # it is not in the vocabulary
    look = load(trained).look("I see the zebra.")
    assert path.read_text(encoding="utf-8") == explore_html(look)
    assert json_of(out) == {"source": look.source, "target": look.target, "page": str(path)}


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
