"""Files with bytes changed anywhere: they are read, or refused in one line that names the file, and nothing else."""

import importlib.util
import json
import os

import numpy as np
import pytest

from minitransformer.pretrained import Llama2cTokenizer, WeightsError, from_pretrained, read_llama2c, save_pretrained

from .cases import llama2c, llama2c_tokenizer, made, pieces

RNG = np.random.default_rng(5)


def changed(content, most):
    """The content with one to four of its first `most` bytes replaced, or cut, or grown."""
    damaged = bytearray(content)
    for _ in range(RNG.integers(1, 5)):
        at = int(RNG.integers(0, min(most, len(damaged))))
        damaged[at] = int(RNG.integers(0, 256))
    kind = RNG.integers(0, 6)
    return bytes(damaged[: RNG.integers(0, len(damaged))] if kind == 0 else damaged + b"\0" if kind == 1 else damaged)


def read_or_refused(read, path):
    try:
        read()
    except WeightsError as error:
        said = str(error)
    else:
        return
    assert str(path) in said
    assert "\n" not in said
    assert len(said) < 1500


def test_a_model_of_llama2c(tmp_path):
    path, whole = tmp_path / "model.bin", llama2c(made("llama, tied"))
    for _ in range(200):
        path.write_bytes(changed(whole, 28))
        read_or_refused(lambda: read_llama2c(path), path)


def test_a_tokenizer_of_llama2c(tmp_path):
    path, whole = tmp_path / "tok.bin", llama2c_tokenizer(pieces(b" t", b"he", b" the"))
    for _ in range(200):
        path.write_bytes(changed(whole, len(whole)))
        read_or_refused(lambda: Llama2cTokenizer.read(path, 262).decode(range(262)), path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    if importlib.util.find_spec("safetensors") is None and os.environ.get("MINITRANSFORMER_REQUIRE_PARITY") != "1":
        pytest.skip("safetensors is not installed: pip install 'minitransformer[huggingface]'")
    return save_pretrained(made("gpt2"), tmp_path_factory.mktemp("saved") / "gpt2", shard_bytes=8000)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors.index.json", "model-00001-of-*.safetensors"])
def test_a_file_of_a_folder(saved, file):
    (path,) = saved.glob(file)
    whole = path.read_bytes()
    for _ in range(100):
        path.write_bytes(changed(whole, 2000))
        read_or_refused(lambda: from_pretrained(saved), saved)
    path.write_bytes(whole)
    from_pretrained(saved)


VALUES = (None, True, 0, -1, 1, 2**70, 0.5, 1e308, float("nan"), "", "x", [], [1], {}, {"a": [None]})


@pytest.mark.parametrize("name", ["t5", "gpt2", "llama"])
def test_any_value_of_any_key(tmp_path, saved, name):
    folder = save_pretrained(made(name), tmp_path / "saved")
    path = folder / "config.json"
    content = json.loads(path.read_text())
    for key in [*content, "head_dim", "rope_parameters", "dense_act_fn", "scale_decoder_outputs", "wings\n"]:
        for value in VALUES:
            path.write_text(json.dumps({**content, key: value}))
            read_or_refused(lambda: from_pretrained(folder), folder)
