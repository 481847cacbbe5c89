"""The translator: text to text, saved and loaded."""

import numpy as np
import pytest

from minitransformer.data import CharacterVocabulary, WordVocabulary
from minitransformer.decoding import Translator
from minitransformer.models import MODELS, MinimalConfig, MinimalTransformer, build_model
from minitransformer.training import CheckpointError, save_checkpoint


def translator(name="minimal", shared=False, start="bos", dtype_seed=0):
    source = WordVocabulary.build(["the cat sleeps.", "the dog barks."])
    target = source if shared else CharacterVocabulary.build(["le chat dort"])
    sizes = {"d_model": 8, "n_heads": 2, "n_encoder_blocks": 1, "n_decoder_blocks": 1}
    n_target = len(target) if name == "minimal" or not shared else None
    vocab = {"source_vocab": len(source), "target_vocab": n_target}
    if name.startswith("t5"):  # one vocabulary for both languages
        target, vocab = source, {"vocab": len(source), "d_kv": 4}
    if name.startswith("lstm"):
        sizes = {"d_model": 8}
    config = MODELS[name][1](**vocab, **sizes)
    model = build_model(name, config, np.random.default_rng(dtype_seed))
    return Translator(name, model, source, target, target.bos if start == "bos" else target.eos)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shared", [False, True])
def test_what_is_loaded_translates_as_what_was_saved(tmp_path, name, shared):
    saved = translator(name, shared, start="eos")
    save_checkpoint(tmp_path / "checkpoint.npz", saved.arrays(), saved.description())
    texts = ["the cat barks.", "", "the dog", "the unicorn sleeps"]
    for run in (tmp_path, tmp_path / "checkpoint.npz"):
        loaded = Translator.load(run)
        assert loaded.start == saved.start
        assert loaded.translate(texts) == saved.translate(texts)
        assert loaded.model.n_parameters() == saved.model.n_parameters()
        assert loaded.translate(texts)[1] == ""


def test_the_order_and_size_of_batches_change_nothing():
    subject = translator()
    texts = ["the cat sleeps.", "the", "dog barks. the cat", "the dog"]
    together = subject.translate(texts)
    assert subject.translate(texts, batch_size=1) == together
    assert subject.translate(texts[::-1])[::-1] == together


def test_a_look_has_a_word_for_every_row_and_column_of_the_maps():
    look = translator().look("the cat sleeps.")
    weights = look.cache["decoder"]["blocks"][0]["cross_attention"]["weights"]
    assert weights.shape == (1, 2, len(look.target), len(look.source))
    assert look.source == ["the", "cat", "sleeps", ".", "<eos>"]
    assert look.target[-1] == "<eos>"
    with pytest.raises(ValueError, match="no word"):
        translator().look("")


def test_one_string_is_not_a_list_of_sentences():
    with pytest.raises(TypeError, match="give a list of sentences"):
        translator().translate("the cat")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "giant"}, "does not fit"),
        ({"config": {"source_vocab": 3}}, "does not fit"),
        ({"config": {"source_vocab": 9, "target_vocab": 7, "wings": 2}}, "has no wings"),
        ({"source_vocabulary": {"kind": "runes"}}, "runes"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_named(tmp_path, change, message):
    saved = translator()
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, saved.arrays(), {**saved.description(), **change})
    with pytest.raises(CheckpointError, match=message) as caught:
        Translator.load(path)
    assert str(path) in str(caught.value)


def test_a_tensor_that_is_missing_or_misshapen_is_named(tmp_path):
    saved = translator()
    path = tmp_path / "checkpoint.npz"
    arrays = saved.arrays()
    name = "encoder.blocks.0.attention.query.weight"
    save_checkpoint(path, {**arrays, f"model.{name}": np.zeros((3, 3))}, saved.description())
    with pytest.raises(CheckpointError, match=rf"{name} is of shape \(3, 3\): minimal needs \(8, 8\)"):
        Translator.load(path)
    del arrays[f"model.{name}"]
    save_checkpoint(path, arrays, saved.description())
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        Translator.load(path)


def test_build_model_names_what_does_not_fit():
    with pytest.raises(ValueError, match="model='giant': must be one of"):
        build_model("giant", MinimalConfig(5, 5), np.random.default_rng(0))
    with pytest.raises(ValueError, match="takes a TransformerConfig"):
        build_model("transformer", MinimalConfig(5, 5), np.random.default_rng(0))
    assert isinstance(build_model("minimal", MinimalConfig(5, 5, 4), np.random.default_rng(0)), MinimalTransformer)
