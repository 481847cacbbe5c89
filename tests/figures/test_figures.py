"""Every picture has a recipe, a picture in figures/ is what its recipe makes, and what is out of date is named."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

FIGURES = Path(__file__).parents[2] / "figures"
if not FIGURES.exists():
    pytest.skip("the pictures are not beside the package here", allow_module_level=True)
sys.path.insert(0, str(FIGURES))  # figures is not installed

import make  # noqa: E402
import pictures  # noqa: E402
from make import stale  # noqa: E402
from pictures import PICTURES, WRAPS, Trained, block_gradients  # noqa: E402

from ..extent import exhaustive  # noqa: E402

QUICK = "schedules"


@pytest.fixture(scope="module")
def untrained():
    return Trained()


def test_no_picture_is_out_of_date(untrained):
    assert not stale(FIGURES, untrained), "run: python figures/make.py --stale"


def test_the_pictures_together_are_small():
    assert sum(path.stat().st_size for path in FIGURES.iterdir()) < 2_000_000


def test_every_picture_of_the_readme_has_a_recipe():
    readme = FIGURES.parent / "README.md"
    if not readme.exists():
        pytest.skip("README.md is not beside the package here")
    named = set(re.findall(r"figures/(\w+)\.png", readme.read_text(encoding="utf-8")))
    assert named
    measured = {"cost", "loss_over_seconds"}  # by `python -m benchmarks`, of one machine: no recipe can make them again
    assert named - measured <= set(PICTURES)
    assert all((FIGURES / f"{name}.png").exists() for name in named)


def test_captions_are_sentences():
    for picture in PICTURES.values():
        assert re.fullmatch(r"[A-Z].{20,140}\.", picture.caption), picture.caption


@pytest.fixture
def run(capsys):
    """Run the script; gives its exit status, standard output and standard error."""

    def run_script(*arguments):
        status = make.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run_script


@pytest.fixture
def made(run, tmp_path):
    """A folder with one picture, as the command made it."""
    status, out, err = run("--out", tmp_path, "--only", QUICK)
    assert status == 0, err
    assert str(tmp_path / f"{QUICK}.png") in out
    return tmp_path


def test_the_same_recipe_makes_the_same_file(run, made, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    assert run("--out", other, "--only", QUICK)[0] == 0
    assert (other / f"{QUICK}.png").read_bytes() == (made / f"{QUICK}.png").read_bytes()
    assert (other / "figures.json").read_bytes() == (made / "figures.json").read_bytes()


def test_what_was_made_is_up_to_date_and_the_rest_is_not_there(run, made):
    status, out, _ = run("--out", made, "--check")
    assert status == 1
    reasons = dict(line.split(": ", 1) for line in out.splitlines())
    assert set(reasons) == set(PICTURES) - {QUICK}
    assert set(reasons.values()) == {"is not there"}


def test_a_changed_recipe_and_a_changed_file_are_named(made, untrained, monkeypatch):
    assert QUICK not in stale(made, untrained)
    with monkeypatch.context() as patch:
        patch.setitem(vars(PICTURES[QUICK]), "inputs", lambda: "another learning rate")
        assert "has changed since" in stale(made, untrained)[QUICK]
    shutil.copy(made / f"{QUICK}.png", made / "copy.png")
    with (made / f"{QUICK}.png").open("ab") as file:
        file.write(b"retouched")
    assert "another file" in stale(made, untrained)[QUICK]


COMPARISONS = {"comparison_learning", "comparison_length", "comparison_reach"}
# Of one module, of which a part draws with grid.
MECHANICS = {
    *("cache_lifetimes", "layer_shapes", "masked_scores", "residual_paths"),
    *("decoding_state_map", "teacher_forcing", "adam_step"),
}
MAPS = {"antecedent", "attention_layers", "alignment_over_training", "cross_attention"}


@pytest.mark.parametrize(
    ("module", "stale_ones"),
    [
        ("masks", {"masks"}),
        ("positions", {"positions_heatmap", "positions_curves", "positions_similarity"}),
        (
            "grid",
            {"masks", "attention_lines", *COMPARISONS, *MAPS, *MECHANICS},
        ),  # what the functions that are called use in turn
        ("style", set(PICTURES)),
    ],
)
@exhaustive
def test_a_change_of_the_code_that_draws_makes_a_picture_stale(untrained, monkeypatch, module, stale_ones):
    before = {name: picture.digest(untrained) for name, picture in PICTURES.items()}
    source, change = pictures.inspect.getsource, "edited = True\n"

    def edited(thing):
        return source(thing) + (change if getattr(thing, "__name__", "").endswith(f"plotting.{module}") else "")

    monkeypatch.setattr(pictures.inspect, "getsource", edited)
    digests = {name: picture.digest(untrained) for name, picture in PICTURES.items()}
    assert {name for name in PICTURES if digests[name] != before[name]} == stale_ones
    change = "# a comment\n"
    assert {name: picture.digest(untrained) for name, picture in PICTURES.items()} == before


@exhaustive
def test_an_option_that_nobody_gave_changes_nothing(untrained, monkeypatch):
    before = {name: picture.digest(untrained) for name, picture in PICTURES.items()}
    monkeypatch.setattr(untrained.options, "new_option", None, raising=False)
    monkeypatch.setattr(untrained.options, "new_switch", False, raising=False)
    assert {name: picture.digest(untrained) for name, picture in PICTURES.items()} == before


@exhaustive
def test_other_settings_of_the_demo_make_all_that_is_drawn_from_it_stale(untrained, monkeypatch):
    before = {name: picture.digest(untrained) for name, picture in PICTURES.items()}
    monkeypatch.setattr(untrained.options, "rate", 1.0)
    changed = {name for name, picture in PICTURES.items() if picture.digest(untrained) != before[name]}
    assert changed == {name for name, picture in PICTURES.items() if picture.trained}


def test_stale_makes_only_what_is_missing(run, made, monkeypatch):
    monkeypatch.setattr(make, "PICTURES", {name: PICTURES[name] for name in (QUICK, "positions_similarity")})
    status, out, err = run("--out", made, "--stale")
    assert status == 0, err
    assert out.split() == ["figure", str(made / "positions_similarity.png")]
    assert run("--out", made, "--check")[1].strip() == "every picture is up to date"


def test_a_picture_without_recipe_is_named_and_then_forgotten(run, made, untrained):
    manifest = json.loads((made / "figures.json").read_text())
    (made / "figures.json").write_text(json.dumps({**manifest, "old": {}}))
    assert stale(made, untrained)["old"] == "has no recipe any more"
    assert run("--out", made, "--only", QUICK)[0] == 0
    assert "old" not in json.loads((made / "figures.json").read_text())


@pytest.mark.parametrize(
    ("text", "message"), [("{", "figures.json: cannot be read"), ("[1]", "figures.json: is no list of pictures")]
)
def test_a_broken_manifest_is_named(run, tmp_path, text, message):
    (tmp_path / "figures.json").write_text(text)
    status, _, err = run("--out", tmp_path, "--check")
    assert status == 2
    assert message in err


def test_an_unknown_picture_is_named(run, tmp_path):
    status, _, err = run("--out", tmp_path, "--only", "portrait")
    assert status == 2
    assert "--only portrait: must be one of positions_heatmap, " in err


def test_the_list_names_every_picture(run, tmp_path):
    status, out, _ = run("--out", tmp_path, "--list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(PICTURES)
    assert not list(tmp_path.iterdir())


def test_what_the_title_of_the_gradients_says_is_so():
    norms = {name: np.array(block_gradients(name)) for name in WRAPS}
    vanished, exploded, post, pre = norms.values()
    assert vanished[0] < 1e-3 * vanished[-1]
    assert exploded[0] > 1e2 * exploded[-1] > 1e6
    for kept in (post, pre):
        assert 0.5 < kept[0] / kept[-1] < 4.0
        assert kept.max() < 30
