"""Train, translate and evaluate on a file of pairs, from end to end."""

import io
import sys

import numpy as np
import pytest

from minitransformer import load
from minitransformer.data import read_pairs
from minitransformer.training import load_checkpoint

from .conftest import PAIRS, TINY


def test_train_leaves_a_run_that_loads_and_a_test_that_training_never_saw(trained):
    translator = load(trained)
    test = read_pairs(trained / "test.tsv")
    sources = {a for a, _ in test}
    assert set(test) == {pair for pair in PAIRS if pair[0] in sources}  # all translations of a source, or none
    assert 1 <= len(sources) < len(PAIRS) / 2
    arrays, description = load_checkpoint(trained / "checkpoint.npz")
    assert description["trainer"]["step"] == 3
    assert arrays["history.loss"].shape == (3,)
    assert {"loss", "exact_match", "token_accuracy"} <= set(description["trainer"]["validations"][-1])
    assert translator.start == translator.target_vocabulary.bos


@pytest.mark.parametrize(
    "extra",
    [
        ["--model", "transformer", "--schedule", "noam", "--optimizer", "adamw", "--weight-decay", "0.1"],
        ["--model", "minimal", "--start", "eos", "--optimizer", "sgd", "--schedule", "constant", "--clip", "0"],
        ["--model", "pre-norm", "--shared", "--vocabulary", "bpe", "--vocab-size", "80"],
        ["--vocabulary", "character", "--validation", "0", "--test", "0"],
    ],
    ids=lambda extra: extra[1],
)
def test_every_choice_trains_and_reports(run, json_of, tmp_path, pairs_file, extra):
    tiny = [word for word in TINY if word not in ("--d-ff", "6")] if "minimal" in extra else TINY
    status, out, err = run(
        "train", pairs_file, "--out", tmp_path / "run", "--steps", 2, "--json", "--test", 0.2, *tiny, *extra
    )
    assert (status, "Traceback" in err) == (0, False)
    numbers = json_of(out)
    assert numbers["steps"] == 2
    assert ("exact_match" in numbers) == ("character" not in extra)
    translator = load(tmp_path / "run")
    assert (translator.source_vocabulary is translator.target_vocabulary) == ("--shared" in extra)
    assert (translator.start == translator.target_vocabulary.eos) == ("eos" in extra)


def test_the_same_seed_gives_the_same_run_and_another_a_different_one(run, tmp_path, pairs_file):
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        run("train", pairs_file, "--out", tmp_path / name, "--steps", 2, "--seed", seed, *TINY)
    a, b, c = (load_checkpoint(tmp_path / name / "checkpoint.npz")[0] for name in "abc")
    assert all(np.array_equal(a[name], b[name]) for name in a if name != "history.seconds")
    head = "model.target_embedding.tokens.weight"
    assert a[head].shape != c[head].shape or not np.array_equal(a[head], c[head])


def test_two_aligned_files_train_like_one_of_pairs(run, tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"{a}\n" for a, _ in PAIRS), encoding="utf-8")
    (tmp_path / "b.txt").write_text("".join(f"{b}\n" for _, b in PAIRS), encoding="utf-8")
    sides = ["--source", tmp_path / "a.txt", "--target", tmp_path / "b.txt"]
    status, _, err = run("train", *sides, "--out", tmp_path / "run", "--steps", 1, *TINY)
    assert status == 0, err


def test_translate_gives_a_line_for_a_line_and_names_unknown_words(run, trained):
    status, out, err = run("translate", trained, "The zebra sleeps.", "", "Go.")
    assert status == 0
    lines = out.split("\n")
    assert len(lines) == 4
    assert lines[1] == "" == lines[3]
    assert "zebra" in err
    assert "unknown" in err
    assert "sleeps" not in err


def test_translate_reads_standard_input_a_line_at_a_time(run, json_of, trained, monkeypatch):
    text = "The cat sleeps.\r\n\r\nJe suis 日本\nGo."  # Windows line ends, an empty line, no end at the end
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="latin-1"))
    status, out, err = run("translate", trained, "--json")
    assert status == 0
    assert len(out.splitlines()) == 5
    answers = json_of(out)["translations"]
    assert [a["source"] for a in answers] == ["The cat sleeps.", "", "Je suis 日本", "Go."]
    assert [a["translation"] for a in answers] == out.splitlines()[:4]
    assert "日本" in err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Go.\n".encode("utf-16"), "standard input:1: the text is UTF-16; allowed is UTF-8"),
        ("Go.\nUn caf\u00e9.\n".encode("latin-1"), "standard input:2: byte 7 (0xe9) is not UTF-8"),
        (b"Go\0.\n", "standard input:1: byte 3 is NUL"),
    ],
    ids=["UTF-16", "Latin-1", "binary"],
)
def test_standard_input_that_is_no_utf_8_is_refused_with_its_line_and_byte(run, trained, monkeypatch, content, words):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    status, out, err = run("translate", trained)
    assert status == 2
    assert words in err
    assert "\ufffd" not in out
    assert "Traceback" not in err


def test_a_byte_order_mark_on_standard_input_is_no_part_of_the_text(run, json_of, trained, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfGo.\n")))
    status, out, _ = run("translate", trained, "--json")
    assert status == 0
    assert [a["source"] for a in json_of(out)["translations"]] == ["Go."]


def test_standard_input_that_is_closed_is_said(run, trained, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    status, _, err = run("translate", trained)
    assert (status, "standard input is closed" in err) == (2, True)


def test_composed_and_decomposed_accents_are_one_text(trained):
    translator = load(trained)
    composed, decomposed = "Un caf\u00e9 \u00e0 Paris.", "Un cafe\u0301 a\u0300 Paris."
    assert translator.translate([composed]) == translator.translate([decomposed])
    assert translator.look(composed).source == translator.look(decomposed).source


def test_training_that_blows_up_stops_and_says_what_to_try(run, tmp_path, pairs_file):
    sizes = ["--d-model", "16", "--n-heads", "2", "--vocabulary", "word", "--workers", "1"]
    status, out, err = run("train", pairs_file, "--out", tmp_path / "run", "--rate", "50", "--steps", "200", *sizes)
    assert status == 2
    assert "training has blown up. Try a learning rate below" in err
    assert "perplexity" not in out


def test_evaluate_measures_what_translate_says(run, json_of, trained, pairs_file):
    status, out, err = run("evaluate", trained, pairs_file, "--json")
    assert status == 0
    numbers = json_of(out)
    translations = load(trained).translate([a for a, _ in PAIRS])
    assert numbers["pairs"] == len(PAIRS)
    assert numbers["exact_match"] == pytest.approx(np.mean([t == b for t, (_, b) in zip(translations, PAIRS)]))
    assert numbers["perplexity"] > 1
    try:
        import sacrebleu
    except ImportError:
        assert "sacrebleu" in err
    else:
        assert numbers["bleu"] == pytest.approx(sacrebleu.corpus_bleu(translations, [[b for _, b in PAIRS]]).score)


def test_without_sacrebleu_there_is_a_note_and_no_bleu(run, json_of, trained, pairs_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    status, out, err = run("evaluate", trained, pairs_file, "--json", "--limit", 3)
    numbers = json_of(out)
    assert (status, numbers["pairs"], "bleu" in numbers) == (0, 3, False)
    assert "pip install" in err
