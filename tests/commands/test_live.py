"""`live` makes a folder of static files; what is in them computes as the package does here."""

import json
import os
import re
import subprocess
import sys
import zipfile

import pytest

from minitransformer import load
from minitransformer.commands.pyodide import CDN, VERSION
from minitransformer.decoding.live import answer
from minitransformer.experiments.coreference import SHOWROOM, stored_pronoun_translator


def settings_of(folder):
    (found,) = re.findall(r"^const SETTINGS = (.*);$", (folder / "worker.js").read_text("utf-8"), flags=re.MULTILINE)
    return json.loads(found)


def first_of(folder):
    page = (folder / "index.html").read_text("utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(found)


def test_without_a_run_it_is_the_sentence_with_it_and_car_at_the_weight_that_decides(run, json_of, tmp_path):
    out = tmp_path / "live"
    status, said, err = run("live", "--out", out, "--json")
    assert status == 0, err
    assert json_of(said)["page"] == str(out / "index.html")
    assert settings_of(out) == {"pyodide": CDN, "model": ["checkpoint.npz"]}
    first = first_of(out)
    place = first.pop("place")
    translator = stored_pronoun_translator()
    assert first == answer(translator, {"text": SHOWROOM, "word": first["asked"][0]})
    assert first["target"][first["asked"][0]] == "elle"
    assert (first["source"][place["query"]], first["source"][place["key"]]) == ("it", "car")
    weight = {name: place[name] for name in ("where", "head", "query", "key")}
    assert " il " in answer(translator, {"text": SHOWROOM, "change": weight})["output"]


@pytest.mark.parametrize("kind", ["translator", "language model"])
def test_the_files_in_the_folder_answer_as_the_package_does_here(run, trained, tmp_path, kind):
    text, out = "I see the dog.", tmp_path / "live"
    if kind == "language model":
        corpus = tmp_path / "text.txt"
        corpus.write_text("I see the dog. " * 40, encoding="utf-8")
        sizes = ("--d-model", "8", "--n-heads", "2", "--blocks", "1", "--context", "16", "--steps", "2")
        trained = tmp_path / "lm"
        assert run("lm", "train", corpus, "--out", trained, *sizes, "--workers", "1")[0] == 0
    status, _, err = run("live", trained, text, "--out", out)
    assert status == 0, err
    (name,) = settings_of(out)["model"]
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import minitransformer; "
        "from minitransformer.decoding.live import answer; from minitransformer.pretrained import load; "
        "assert minitransformer.__file__.startswith(sys.argv[1]), minitransformer.__file__; "
        "print(json.dumps(answer(load(sys.argv[2]), json.loads(sys.argv[3]))))"
    )
    question = {"text": text, "word": None}
    given = [str(out / "package.zip"), str(out / "model" / name), json.dumps(question)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code, *given], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    first = first_of(out)
    place = first.pop("place", None)
    assert json.loads(done.stdout) == first == answer(load(trained), question)
    assert place is None or place["query"] == len(text) - 1  # the last word; the first has only itself to look at


def test_the_package_brings_what_it_imports_with_its_licence(run, tmp_path):
    assert run("live", "--out", tmp_path / "live")[0] == 0
    with zipfile.ZipFile(tmp_path / "live" / "package.zip") as file:
        names = file.namelist()
    assert {name.split("/")[0] for name in names} == {"minitransformer", "tqdm"}
    assert "tqdm/LICENCE" in names
    assert all(name.endswith(".py") for name in names if "LICEN" not in name)


def test_it_is_made_again_in_its_place_and_nothing_else_is_overwritten(run, tmp_path):
    out = tmp_path / "live"
    assert run("live", "--out", out)[0] == 0
    (out / "old").write_text("left over")
    assert run("live", "--out", out)[0] == 0
    assert not (out / "old").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    status, _, err = run("live", "--out", other)
    assert status == 2
    assert f"--out {other}: holds something that is no such page" in err
    assert (other / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("version", [None, "0.1"])
def test_another_pyodide_is_refused(run, tmp_path, version):
    folder = tmp_path / "pyodide"
    folder.mkdir()
    if version:
        (folder / "pyodide-lock.json").write_text(json.dumps({"info": {"version": version}, "packages": {}}))
    status, _, err = run("live", "--out", tmp_path / "live", "--pyodide", folder)
    assert status == 2
    assert f"--pyodide {folder}: must be the folder of a whole Pyodide {VERSION}" in err
    assert not (tmp_path / "live").exists()


def test_a_run_needs_a_first_text_that_it_can_read(run, trained, tmp_path):
    for arguments, reason in (((), "SENTENCE is missing"), ((" ",), "there is no word in it")):
        status, _, err = run("live", trained, *arguments, "--out", tmp_path / "live")
        assert status == 2
        assert reason in err
    assert not (tmp_path / "live").exists()


def test_what_a_browser_cannot_load_is_named(run, tmp_path):
    folder = tmp_path / "t5"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    status, _, err = run("live", folder, "a", "--out", tmp_path / "live")
    assert status == 2
    assert f"{folder}: is of Hugging Face" in err


def test_markup_in_the_text_stays_text(run, trained, tmp_path):
    assert run("live", trained, "<script>alert(1)</script>", "--out", tmp_path / "live")[0] == 0
    page = (tmp_path / "live" / "index.html").read_text("utf-8")
    assert page.count("<script") == 2
    assert "<script>alert" not in page
