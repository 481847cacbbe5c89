"""`lm train` and `lm generate`, from a text to a text."""

import json
import math

import pytest

from minitransformer.cli import main
from minitransformer.decoding import LanguageModel

SIZES = ["--context", "16", "--d-model", "16", "--n-heads", "2", "--blocks", "1", "--steps", "40", "--batch-size", "8"]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text"
    path.write_text("the cat sat on the mat .\n" * 200)
    return path


@pytest.fixture(scope="module", params=["gpt", "llama"])
def run(request, text, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    rate = ["--rate", "1e-2", "--warmup", "5", "--final-rate", "1e-3"]
    assert main(["lm", "train", str(text), "--out", str(folder), "--model", request.param, *SIZES, *rate]) == 0
    return folder


def test_training_learns_a_text_that_repeats_itself(text, tmp_path, capsys):
    steps = ["--steps", "150", "--rate", "1e-2", "--warmup", "5"]
    assert main(["lm", "train", str(text), "--out", str(tmp_path / "run"), "--json", *SIZES, *steps]) == 0
    numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert numbers["validation_loss"] < 0.5 < math.log(16)  # of 16 different characters
    assert main(["lm", "generate", str(tmp_path / "run"), "--prompt", "the cat sat", "--greedy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"].startswith(" on the mat .\nthe cat")


def test_what_is_streamed_is_what_the_model_generates(run, capsys):
    assert main(["lm", "generate", str(run), "--prompt", "the", "--max-new-tokens", "40", "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    wanted = LanguageModel.load(run).generate("the", max_new_tokens=40, temperature=0.8, seed=3)
    assert shown == wanted + "\n"
    assert len(wanted) == 40  # more than the context of 16


def test_seeds_differ_and_one_seed_does_not(run):
    model = LanguageModel.load(run)
    texts = [model.generate("the", max_new_tokens=40, temperature=2.0, seed=seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_a_character_that_was_never_read_is_named(run, capsys):
    assert main(["lm", "generate", str(run), "--prompt", "the ß"]) == 2
    assert "--prompt='the ß': the text that the model has read had no 'ß'" in capsys.readouterr().err


def test_greedy_has_no_temperature(run, capsys):
    assert main(["lm", "generate", str(run), "--greedy", "--temperature", "0.5"]) == 2
    assert "--temperature 0.5: --greedy has no such setting" in capsys.readouterr().err


def test_a_text_shorter_than_the_context_is_named(tmp_path, capsys):
    path = tmp_path / "text"
    path.write_text("short")
    assert main(["lm", "train", str(path), "--out", str(tmp_path / "run")]) == 2
    assert "--context 64: the text of 5 characters is too short" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_first_weights_grow_as_the_width_shrinks(text, tmp_path):
    words = ["--steps", "1", "--rate", "1e-12", "--schedule", "constant"]
    assert main(["lm", "train", str(text), "--out", str(tmp_path / "run"), *SIZES, *words]) == 0
    block = LanguageModel.load(tmp_path / "run").model.decoder.blocks[0]
    assert 0.2 < block.attention.sublayer.query.weight.value.std() < 0.3  # of width 16: (2 / 32) ** 0.5 is 0.25


def test_a_run_is_exported_and_writes_the_same(run, tmp_path, capsys):
    pytest.importorskip("safetensors")
    pytest.importorskip("tokenizers")
    assert main(["lm", "export", str(run), str(tmp_path / "exported")]) == 0
    assert "model.safetensors" in capsys.readouterr().out
    for words in (["--prompt", "the", "--seed", "3", "--temperature", "2"], ["--greedy"]):
        written = []
        for source in (run, tmp_path / "exported"):
            assert main(["lm", "generate", str(source), "--max-new-tokens", "40", *words]) == 0
            written.append(capsys.readouterr().out)
        assert written[0] == written[1]
    assert main(["lm", "export", str(run), str(tmp_path / "exported")]) == 2
    assert "holds something already" in capsys.readouterr().err
    assert main(["lm", "export", str(tmp_path / "exported"), str(tmp_path / "again")]) == 0  # and on from there
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "exported" / name).read_bytes()


def test_a_tokenizer_belongs_to_a_bin_file(run, capsys):
    assert main(["lm", "generate", str(run), "--tokenizer", "tok.bin"]) == 2
    assert "has its own tokenizer" in capsys.readouterr().err
    assert main(["lm", "generate", "none.bin", "--tokenizer", "tok.bin"]) == 2
    assert "none.bin: cannot be read: No such file" in capsys.readouterr().err


def test_heads_of_keys_are_llamas(text, tmp_path, capsys):
    assert main(["lm", "train", str(text), "--out", str(tmp_path / "run"), "--n-kv-heads", "2"]) == 2
    assert "--n-kv-heads 2: GPT has no such setting" in capsys.readouterr().err


def test_sorting_is_measured_on_all_inputs(capsys):
    assert main(["lm", "sort", "--steps", "150", "--rate", "3e-3", "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert numbers["inputs"] == 729
    assert numbers["right"] > 243  # 150 steps of 2,000; guessing has one in about 28
