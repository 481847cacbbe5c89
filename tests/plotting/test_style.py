"""Files of figures: the same figure gives the same bytes, and a file appears whole or not at all."""

import ast
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from minitransformer import plotting
from minitransformer.plotting import save
from minitransformer.plotting.style import ink_on, text_width, wrapped


@pytest.mark.parametrize("suffix", ["PNG", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes(weights, tmp_path, suffix):
    head = weights(2, 2)
    paths = [tmp_path / "new folder" / f"{name}.{suffix}" for name in ("one", "two")]
    for path in paths:
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.imshow(head)
        ax.set_axis_off()
        ax.set_title("été")
        assert save(figure, path) == path
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(paths[0].parent.iterdir()) == paths  # no temporary file is left
    assert not plt.get_fignums()


def test_a_png_has_150_dots_an_inch(tmp_path):
    path = save(plt.figure(figsize=(2, 1)), str(tmp_path / "a.png"))
    assert plt.imread(path).shape[:2] == (150, 300)


def test_a_picture_that_cannot_be_drawn_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = plt.figure()

    def fail(target, **_):
        target.write(b"half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        save(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_suffix_is_named_with_those_that_are_known(tmp_path):
    with pytest.raises(ValueError, match=r"a\.gif' ends in '\.gif': it must end in \.png, \.svg, \.pdf"):
        save(plt.figure(), tmp_path / "a.gif")


def test_lines_are_broken_where_they_would_grow_too_wide():
    text = "where each word looks: every row sums to 1"
    lines = wrapped(text, 100.0).split("\n")
    assert len(lines) > 1
    assert " ".join(lines) == text
    assert all(text_width(line, 10.0) <= 100 for line in lines)
    assert wrapped("unbreakable", 1.0) == "unbreakable"


def test_ink_can_be_read_on_its_ground():
    assert ink_on((0.99, 0.91, 0.15, 1.0)) == "black"
    assert ink_on((0.27, 0.0, 0.33, 1.0)) == "white"


def test_it_imports_no_other_room_but_layers_where_it_runs_one():
    for file in sorted(Path(plotting.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                allowed = ("arguments", "files", *(["layers"] if file.name == "mechanics.py" else []))
                assert node.level <= 1 or node.module in allowed, f"{file.name} line {node.lineno}"
                assert not (node.module or "").startswith("minitransformer"), f"{file.name} line {node.lineno}"
