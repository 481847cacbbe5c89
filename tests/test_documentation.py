"""The documents: their code runs, their links lead somewhere, and README stays short."""

import re
from pathlib import Path

import numpy as np
import pytest

from minitransformer.cli import main
from minitransformer.layers import Embedding, LayerNorm, Linear, SelfAttention

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
ALL_PAGES = [*PAGES, "CHANGELOG.md", "benchmarks/README.md", "figures/README.md", "notebooks/README.md"]
ALL_PAGES += ["tests/README.md", "minitransformer/experiments/README.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks() -> list:
    found = []
    for page in PAGES:
        if page == "CONTRIBUTING.md":  # its blocks build on one another: tests/verify/test_contributing.py
            continue
        for i, match in enumerate(BLOCK.finditer((ROOT / page).read_text(encoding="utf-8"))):
            found.append(pytest.param(match[1], id=f"{page}-{i + 1}"))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small demo run, as the documents assume it."""
    folder = tmp_path_factory.mktemp("documents")
    sizes = ["--d-model", "8", "--n-heads", "2", "--d-ff", "8", "--encoder-blocks", "1", "--decoder-blocks", "1"]
    run = ["--steps", "2", "--examples", "2", "--workers", "1", "--out", str(folder / "runs" / "demo")]
    assert main(["demo", *sizes, *run]) == 0
    return folder


@pytest.mark.parametrize("code", blocks())
def test_a_block_of_python_runs_as_it_stands(code, folder, monkeypatch, capsys):
    if "import torch" in code:
        pytest.importorskip("torch")
    monkeypatch.chdir(folder)
    exec(compile(code, "documentation", "exec"), {"__name__": "documentation"})
    capsys.readouterr()


def test_readme_has_at_most_1800_words():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1800


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_link_to_a_file_leads_to_one(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) + re.findall(r'(?:src|href)="([^"#]+)"', text)
    local = [link for link in links if "://" not in link]
    assert not [link for link in local if not ((ROOT / page).parent / link).exists()]


def ten_mistakes():
    """What a student does, for each row of the first table of docs/trouble.md."""
    rng = np.random.default_rng(0)
    linear, norm = Linear(5, 7, rng), LayerNorm(16, rng)
    attention = SelfAttention(16, 2, rng)
    x, features = rng.standard_normal((4, 5)), rng.standard_normal((2, 5, 16))
    return (
        lambda: linear(rng.standard_normal((4, 7))),
        lambda: attention(features[0]),
        lambda: linear(x.tolist()),
        lambda: linear.weight.assign(np.zeros((7, 5))),
        lambda: Embedding(100, 8, rng)(np.array([1.0, 2.0])),
        lambda: Embedding(100, 8, rng)(np.array([[120]])),
        lambda: attention.forward(features, mask=np.ones((5, 5))),
        lambda: attention.forward(features, mask=np.ones((2, 5), bool)),
        lambda: Linear(5, 5, rng).backward(np.zeros((5, 4)), Linear(5, 5, rng).forward(x)[1]),
        lambda: linear.backward(np.zeros((2, 5, 7)), norm.forward(features)[1]),
    )


def test_the_ten_messages_that_students_meet_most_are_those_of_the_page():
    section = (ROOT / "docs" / "trouble.md").read_text(encoding="utf-8").split("## ")[1]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert len(rows) == 10
    for row, mistake in zip(rows, ten_mistakes()):
        words = re.match(r"\| `([^`]*)`", row)[1]
        with pytest.raises((TypeError, ValueError)) as caught:
            mistake()
        pattern = ".*?".join(map(re.escape, words.split("...")))
        assert re.search(pattern, str(caught.value)), f"{words} is now: {caught.value}"
