"""The recurrent translators: what may see what, the command's sizes, learning; values are in verify's properties."""

import numpy as np
import pytest

from minitransformer.data import FreshBatches, ToyTask, pad_sequences
from minitransformer.decoding import greedy
from minitransformer.layers import CrossEntropy, Glorot, Unallocated
from minitransformer.models import MODELS, BahdanauLSTM, InputFeedingLSTM, LSTMConfig, Seq2SeqLSTM
from minitransformer.training import Adam, Trainer, WarmupCosine
from minitransformer.verify import check_directions

from ..extent import exhaustive

CONFIG = LSTMConfig(13, 11, 6, 4, n_encoder_layers=2, n_decoder_layers=2, dropout=0.3)
EVERY_RECIPE = pytest.mark.parametrize("recipe", [Seq2SeqLSTM, BahdanauLSTM, InputFeedingLSTM])


def built(recipe, dtype=np.float64):
    return recipe(CONFIG, Glorot(np.random.default_rng(0), dtype))


def ids(seed=0):
    """Unpadded source (5, 7) below 13 and target (5, 6) below 11."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 13, (5, 7)), rng.integers(1, 11, (5, 6))


@EVERY_RECIPE
def test_a_later_target_token_changes_nothing_before_it_bit_for_bit(recipe):
    model, (source, target) = built(recipe), ids()
    logits = model(source, target)
    for t in range(1, 6):
        changed = target.copy()
        changed[:, t:] = 1 + changed[:, t:] % 10
        assert np.array_equal(model(source, changed)[:, :t], logits[:, :t])
        assert not np.array_equal(model(source, changed)[:, t:], logits[:, t:])


@EVERY_RECIPE
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_the_amount_of_padding_changes_nothing(recipe, dtype, tolerance):
    model, (source, target) = built(recipe, dtype), ids()
    logits = model(source, target)
    padded = model(np.pad(source, ((0, 0), (0, 4))), np.pad(target, ((0, 0), (0, 3))))[:, :6]
    assert np.abs(padded - logits).max() <= tolerance * np.abs(logits).max()


@EVERY_RECIPE
def test_the_gradient_does_not_depend_on_the_amount_of_padding(recipe):
    source, target = ids()
    gradients = []
    for more in (0, 3):
        model = built(recipe)
        logits, cache = model.forward(np.pad(source, ((0, 0), (0, more))), target)
        model.backward(np.cos(logits), cache)
        gradients.append(np.concatenate([p.grad.reshape(-1) for p in model.parameters()]))
    assert np.abs(gradients[1] - gradients[0]).max() <= 1e-13 * np.abs(gradients[0]).max()


@EVERY_RECIPE
def test_the_other_sentences_of_a_batch_change_nothing(recipe):
    model, (source, target) = built(recipe), ids()
    source[1, 4:] = source[3, 1:] = 0
    logits, order = model(source, target), np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(model(source[order], target[order]), logits[order], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(model(source[3:4, :1], target[3:4]), logits[3:4], rtol=1e-12, atol=1e-13)


@EVERY_RECIPE
def test_a_source_of_nothing_but_padding_stays_finite(recipe):
    model, (source, target) = built(recipe, np.float32), ids()
    source[2] = 0
    logits, cache = model.forward(source, target, rng=np.random.default_rng(0))
    model.backward(logits, cache)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(p.grad).all() for p in model.parameters())


@EVERY_RECIPE
def test_the_alignment_is_found_where_a_transformer_has_its_own(recipe):
    model, (source, target) = built(recipe), ids()
    source[0, 3:] = 0
    weights = model.forward(source, target)[1]["decoder"]["blocks"][0]["cross_attention"]["weights"]
    assert weights.shape == (5, 1, 6, 7)
    assert not weights[0, :, :, 3:].any()
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-13)


@EVERY_RECIPE
def test_encoding_then_decoding_is_the_whole(recipe):
    model, (source, target) = built(recipe), ids()
    memory, _ = model.encode(source)
    assert [part.shape for part in memory] == [(5, 7, 12), (5, 2, 6), (5, 2, 6)]
    logits, _ = model.decode(target, memory, (source != 0)[:, None, None, :])
    assert np.array_equal(logits, model(source, target))


@exhaustive
@EVERY_RECIPE
def test_two_hundred_directions_of_a_larger_model_agree_to_1e_12(recipe):
    rng = np.random.default_rng(0)
    source, target = rng.integers(1, 89, (3, 7)), rng.integers(1, 89, (3, 5))
    source[1, 4:] = source[2, 1:] = 0
    model = recipe(LSTMConfig(101, 89, 29, 17, 2, 2, 0.2), Glorot(rng, np.float64))
    check_directions(model, source, target, n=200, randomize=True).raise_if_failed()


def test_embeddings_are_as_wide_as_the_lstm_where_nothing_is_said():
    names = dict(Seq2SeqLSTM(LSTMConfig(13, 11, 6), Unallocated()).named_parameters())
    assert names["source_embedding.tokens.weight"].shape == (13, 6)
    assert names["decoder.lstm.layers.0.input_projection.weight"].shape == (6, 24)
    assert {name for name in MODELS if MODELS[name][1] is LSTMConfig} == {
        "lstm",
        "lstm-bahdanau",
        "lstm-input-feeding",
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"d_model": 0}, "d_model=0: must be an integer of at least 1"),
        ({"d_embedding": 0}, "d_embedding=0: must be an integer of at least 1"),
        ({"n_encoder_layers": 0}, "n_encoder_layers=0"),
        ({"target_vocab": 1.5}, "target_vocab=1.5"),
        ({"dropout": 1.0}, "dropout=1.0: must be at least 0 and below 1"),
    ],
)
def test_sizes_that_make_no_model_are_named(values, words):
    with pytest.raises(ValueError, match=words):
        LSTMConfig(**({"source_vocab": 7} | values))


@EVERY_RECIPE
def test_reversal_of_five_symbols_is_learned(recipe):
    task, steps = ToyTask("reverse", 6, 1, 5), 150
    vocabulary = task.vocabulary
    ids = {"pad": vocabulary.pad, "start": vocabulary.bos, "eos": vocabulary.eos}
    config = LSTMConfig(len(vocabulary), d_model=32, d_embedding=16, dropout=0.0)
    model = recipe(config, np.random.default_rng(0))
    trainer = Trainer(model, Adam(), WarmupCosine(1e-2, steps, 20), loss=CrossEntropy(vocabulary.pad))
    trainer.fit(FreshBatches(task.sample, 64, seed=0, **ids), steps)
    test = task.sample(np.random.default_rng(1), 100, split="test")
    sources = pad_sequences([[*source, vocabulary.eos] for source, _ in test], vocabulary.pad)
    got = greedy(model, sources, start=vocabulary.bos, eos=vocabulary.eos, max_new_tokens=10)
    assert np.mean([a.ids == b for a, (_, b) in zip(got, test)]) >= 0.9
