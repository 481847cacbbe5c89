"""Decoders on the command line: what `translate`, `evaluate` and `decoders` say, and what they refuse."""

import sys

import pytest

from minitransformer import load
from minitransformer.commands.decoders import curses, table
from minitransformer.decoding import Beam, MinimumBayesRisk, Sampling, sentence_bleu

TEXTS = ("I see the cat.", "Go.")


@pytest.mark.parametrize(
    ("words", "decoder"),
    [
        (["beam", "--num-beams", "3"], Beam(3)),
        (["beam", "--length-penalty", "0.5"], Beam(4, 0.5)),
        (["sample", "--temperature", "2", "--top-k", "5", "--top-p", "0.9", "--seed", "3"], Sampling(3, 2.0, 5, 0.9)),
        (
            ["mbr", "--samples", "5", "--utility", "bleu"],
            MinimumBayesRisk(Sampling(0, num_return_sequences=5), sentence_bleu),
        ),
    ],
    ids=["beam", "beam-with-penalty", "sample", "mbr"],
)
def test_translate_has_every_decoder_with_its_settings(run, json_of, trained, words, decoder):
    status, out, err = run("translate", trained, *TEXTS, "--decoder", *words, "--json")
    assert status == 0, err
    found = [one for [one] in load(trained).decode(TEXTS, decoder)]
    assert out.splitlines()[:-1] == [one.text for one in found]
    assert json_of(out)["translations"] == [
        {"source": text, "translation": one.text, "score": one.score, "log_probability": one.log_probability}
        for text, one in zip(TEXTS, found)
    ]


def test_the_n_best_come_with_their_scores_and_an_empty_line(run, json_of, trained):
    status, out, _ = run("translate", trained, *TEXTS, "--decoder", "beam", "--nbest", 3, "--json")
    found = load(trained).decode(TEXTS, Beam(4, num_return_sequences=3))
    lines = [[f"{one.score:.4f}\t{one.log_probability:.4f}\t{one.text}" for one in three] for three in found]
    assert out.splitlines()[:-1] == [*lines[0], "", *lines[1], ""]
    assert status == 0
    [first, _] = json_of(out)["translations"]
    assert [one["translation"] for one in first["nbest"]] == [one.text for one in found[0]]
    assert first["translation"] == first["nbest"][0]["translation"]
    assert {len(set(three)) for three in lines} == {3}


def test_scores_stand_before_the_translation(run, trained):
    plain = run("translate", trained, *TEXTS)[1].splitlines()
    scored = run("translate", trained, *TEXTS, "--scores")[1].splitlines()
    assert [line.split("\t")[2] for line in scored] == plain
    assert all(float(part) < 0 for line in scored for part in line.split("\t")[:2])


def test_samples_do_not_depend_on_how_many_lines_are_translated_at_a_time(run, trained):
    texts = (*TEXTS, "The dog sleeps.", "", "We go.")
    outs = [run("translate", trained, *texts, "--decoder", "sample", "--batch-size", n)[1] for n in (1, 2, 9)]
    assert outs[0] == outs[1] == outs[2]
    assert run("translate", trained, *texts, "--decoder", "sample", "--seed", 1)[1] != outs[0]


@pytest.mark.parametrize("words", [["beam", "--num-beams", "3"], ["sample", "--top-k", "5", "--after", "Je"]])
def test_the_picture_of_a_decoder_is_saved(run, trained, tmp_path, words):
    path = tmp_path / "picture.png"
    status, out, err = run("translate", trained, TEXTS[0], "--decoder", *words, "--picture", path)
    assert status == 0, err
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert str(path) in err
    assert len(out.splitlines()) == 1


REFUSED = {
    "a temperature for greedy": ("--temperature 0.5", "--temperature 0.5: greedy decoding has no such setting"),
    "a beam for greedy": ("--num-beams 3", "--num-beams 3: greedy decoding has no such setting"),
    "the default, given, for greedy": ("--samples 32", "--samples 32: greedy decoding"),
    "many of greedy": ("--nbest 2", "--nbest 2: greedy decoding finds one"),
    "top-k for a beam": ("--decoder beam --top-k 3", "--top-k 3: beam search has no such setting"),
    "a penalty for a beam of one": ("--decoder beam --num-beams 1 --length-penalty 1", "a beam of one ranks nothing"),
    "a penalty without end": ("--decoder beam --length-penalty inf", "length_penalty=inf: must be finite"),
    "more than the beam has": ("--decoder beam --nbest 5", "num_return_sequences=5"),
    "more than there are samples": ("--decoder mbr --samples 3 --nbest 4", "at most the 3 samples"),
    "a utility for sampling": ("--decoder sample --utility bleu", "--utility bleu: sampling has no such setting"),
    "a penalty for sampling": ("--decoder sample --length-penalty 2", "--length-penalty 2.0: sampling"),
    "a beam for mbr": ("--decoder mbr --num-beams 2", "--num-beams 2: minimum Bayes risk"),
    "scores twice": ("--decoder beam --scores --nbest 2", "--nbest gives the scores already"),
    "a picture of greedy": ("--picture a.png", "--decoder greedy has none"),
    "a beginning without a picture": ("--decoder sample --after Je", "--after Je: belongs to --picture"),
    "a beginning of a beam": ("--decoder beam --after Je --picture a.png", "--after Je: --decoder beam has no such"),
    "a picture in another format": ("--decoder beam --picture a.gif", "must end in .png"),
    "a utility that there is not": ("--decoder mbr --utility ter", "'ter' is none of chrf, bleu, exact"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_an_option_without_effect_is_refused(run, trained, words, message):
    status, out, err = run("translate", trained, TEXTS[0], *words.split())
    assert (status, out) == (2, "")
    assert message in err


def test_a_picture_is_of_one_sentence(run, trained, tmp_path):
    words = ("--decoder", "beam", "--picture", tmp_path / "a.png")
    for texts in ((), TEXTS, (" ",)):
        assert "give one TEXT to draw" in run("translate", trained, *texts, *words)[2]
    (tmp_path / "file").touch()
    status, _, err = run("translate", trained, TEXTS[0], "--decoder", "beam", "--picture", tmp_path / "file" / "a.png")
    assert status == 2
    assert "a.png" in err


def test_evaluate_measures_what_the_decoder_finds(run, json_of, trained, pairs_file):
    pytest.importorskip("sacrebleu")
    by = {}
    for words in (["greedy"], ["beam"], ["sample"]):
        status, out, err = run("evaluate", trained, pairs_file, "--json", "--decoder", *words)
        assert status == 0, err
        by[words[0]] = json_of(out)
    forced = ("pairs", "token_accuracy", "perplexity", "reference_log_probability")
    assert [by["beam"][name] for name in forced] == [by["greedy"][name] for name in forced]
    assert by["sample"]["log_probability"] < by["greedy"]["log_probability"]
    assert by["beam"]["score"] > by["greedy"]["score"]
    assert run("evaluate", trained, pairs_file, "--temperature", 2)[0] == 2


def test_decoders_compares_them_on_the_same_sentences(run, json_of, trained, pairs_file):
    pytest.importorskip("sacrebleu")
    words = ("--num-beams", 2, 3, "--samples", 4, "--json")
    status, out, err = run("decoders", trained, pairs_file, *words)
    assert status == 0, err
    rows = {row["decoder"]: row for row in json_of(out)["decoders"]}
    assert list(rows) == ["greedy", "beam 2", "beam 3", "MBR of 4", "sampling"]
    assert out.splitlines()[:6] == table(list(rows.values())).splitlines()
    greedy = json_of(run("evaluate", trained, pairs_file, "--json")[1])
    for name in ("bleu", "chrf", "exact_match", "log_probability"):
        assert rows["greedy"][name] == pytest.approx(greedy[name])
    sampled = json_of(run("evaluate", trained, pairs_file, "--json", "--decoder", "sample")[1])
    assert rows["sampling"]["bleu"] == pytest.approx(sampled["bleu"])
    assert rows["beam 3"]["score"] >= rows["beam 2"]["score"] - 1e-6  # the same sentences may differ by rounding


def test_decoders_makes_sentences_of_the_built_in_task(run, json_of, trained):
    words = ("--num-beams", 2, "--samples", 2, "--json", "--built-in", 3, "--seed", 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "sacrebleu.metrics", None)
        status, out, err = run("decoders", trained, *words)
    assert status == 0, err
    assert "no BLEU without sacrebleu" in err
    assert json_of(out)["pairs"] == 3
    assert "bleu" not in json_of(out)["decoders"][0]
    assert not any(word in out for word in ("BLEU", "chrF"))
    assert "leave PAIRS.tsv" in run("decoders", trained, "x.tsv", *words)[2]


def test_a_wider_beam_that_translates_worse_is_named_only_where_it_does():
    rows = [
        {"decoder": "greedy", "score": -9.0, "bleu": 40.0},
        {"decoder": "beam 4", "score": -0.5, "bleu": 30.0},
        {"decoder": "beam 16", "score": -0.4, "bleu": 29.0},
        {"decoder": "beam 64", "score": -0.3, "bleu": 31.0},
    ]
    assert curses(rows) == [
        "beam 16 finds better scores than beam 4 (-0.400, -0.500) and translates worse: BLEU 29.00, 30.00"
    ]
