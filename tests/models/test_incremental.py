"""Incremental decoding: what a step gives for the new positions is what forward gives for all."""

import numpy as np
import pytest

from minitransformer.layers import Glorot
from minitransformer.models import (
    GPT,
    T5,
    BahdanauLSTM,
    GPTConfig,
    InputFeedingLSTM,
    Llama,
    LlamaConfig,
    LSTMConfig,
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    Seq2SeqLSTM,
    T5Config,
    T5v11,
    TiedLlama,
    Transformer,
    TransformerConfig,
)

V, PAD = 13, 0
T5_SIZES = T5Config(V, 6, 5, 3, 11, 2, 2, n_buckets=8, max_distance=7)
LLAMA_SIZES = LlamaConfig(V, 40, 24, 6, 2, 11, 2, base=50.0)
LSTM_SIZES = LSTMConfig(V, None, 5, 6, n_encoder_layers=2, n_decoder_layers=3)
LANGUAGE_MODELS = [
    pytest.param(lambda init: GPT(GPTConfig(V, 40, 6, 3, 2, 11), init), id="gpt"),
    pytest.param(lambda init: Llama(LLAMA_SIZES, init), id="llama"),
    pytest.param(lambda init: TiedLlama(LlamaConfig(V, 40, 12, 3, None, 11, 2), init), id="llama-tied"),
]
TRANSLATORS = [
    pytest.param(lambda init: MinimalTransformer(MinimalConfig(V, V, 6, 3, 2, 2), init), id="minimal"),
    pytest.param(lambda init: Transformer(TransformerConfig(V, None, 6, 3, 10, 2, 2), init), id="2017"),
    pytest.param(lambda init: PreNormTransformer(TransformerConfig(V, None, 6, 3, 10, 2, 2), init), id="pre-norm"),
    pytest.param(lambda init: T5(T5_SIZES, init), id="t5"),
    pytest.param(lambda init: T5v11(T5_SIZES, init), id="t5-v1.1"),
    pytest.param(lambda init: Seq2SeqLSTM(LSTM_SIZES, init), id="lstm"),
    pytest.param(lambda init: BahdanauLSTM(LSTM_SIZES, init), id="lstm-bahdanau"),
    pytest.param(lambda init: InputFeedingLSTM(LSTM_SIZES, init), id="lstm-input-feeding"),
]
# How many ids each step reads: one by one, a prompt at first, several at a time behind others.
STEPS = pytest.mark.parametrize("steps", [[1] * 23, [7, *[1] * 16], [5, 1, 6, 2, 9], [23]], ids=str)


def built(recipe, dtype=np.float64):
    """A model with weights of order one, gains and shifts included."""
    rng = np.random.default_rng(0)
    model = recipe(Glorot(rng, dtype))
    for parameter in model.parameters():
        parameter.value = (0.5 * rng.standard_normal(parameter.shape) + 0.1).astype(dtype)
    return model


def ids(*shape, seed=1, lowest=1):
    return np.random.default_rng(seed).integers(lowest, V, shape)


def stepped(model, ids, state, steps):
    logits = [model.next_logits(part, state) for part in np.split(ids, np.cumsum(steps)[:-1], axis=1)]
    return np.concatenate(logits, axis=1)


def close(got, wanted, tolerance=1e-13):
    return np.abs(got - wanted).max() <= tolerance * np.abs(wanted).max()


@STEPS
@pytest.mark.parametrize("recipe", LANGUAGE_MODELS)
def test_a_language_model_steps_as_it_runs(recipe, steps):
    model, text = built(recipe), ids(4, 23)
    state, prompt = model.start_decoding(text[:, :1])
    assert np.array_equal(prompt, text[:, :1])
    assert close(stepped(model, text, state, steps), model(text))


@STEPS
@pytest.mark.parametrize("recipe", TRANSLATORS)
def test_a_translator_steps_as_it_runs(recipe, steps):
    model, source, target = built(recipe), ids(4, 9), ids(4, 23, seed=2)
    source[1, 5:] = source[3, 1:] = PAD
    state, first = model.start_decoding(source, start=7)
    assert np.array_equal(first, np.full((4, 1), 7))
    assert close(stepped(model, target, state, steps), model(source, target))


@pytest.mark.parametrize("recipe", LANGUAGE_MODELS)
def test_a_language_model_goes_on_with_chosen_rows(recipe):
    model, text, rows = built(recipe), ids(4, 23), np.array([2, 0, 2])
    state, prompt = model.start_decoding(text[:, :8])
    model.next_logits(prompt, state)
    chosen = state.select(rows)
    got = stepped(model, text[rows, 8:], chosen, [1, 4, 10])
    assert close(got, model(text[rows])[:, 8:])
    # The state that they were chosen from is as it was.
    assert close(stepped(model, text[:, 8:], state, [15]), model(text)[:, 8:])


@pytest.mark.parametrize("recipe", TRANSLATORS)
def test_a_translator_goes_on_with_chosen_rows(recipe):
    model, source, target, rows = built(recipe), ids(4, 9), ids(4, 23, seed=2), np.array([3, 1, 1])
    source[1, 5:] = PAD
    state, _ = model.start_decoding(source, start=7)
    model.next_logits(target[:, :8], state)
    chosen = state.select(rows)
    got = stepped(model, target[rows, 8:], chosen, [1, 4, 10])
    assert close(got, model(source[rows], target[rows])[:, 8:])
    assert close(stepped(model, target[:, 8:], state, [15]), model(source, target)[:, 8:])


@STEPS
@pytest.mark.parametrize("recipe", LANGUAGE_MODELS)
def test_one_text_alone_steps_as_forward_reads_it(recipe, steps):
    model, text = built(recipe), ids(1, 23)
    assert close(stepped(model, text, model.start_decoding(text)[0], steps), model(text))


@STEPS
@pytest.mark.parametrize("recipe", TRANSLATORS)
def test_one_sentence_alone_steps_as_forward_reads_it(recipe, steps):
    model, source, target = built(recipe), ids(1, 9), ids(1, 23, seed=2)
    assert close(stepped(model, target, model.start_decoding(source, start=0)[0], steps), model(source, target))


@pytest.mark.parametrize("recipe", LANGUAGE_MODELS)
def test_float32_steps_in_float32(recipe):
    model, text = built(recipe, np.float32), ids(4, 23)
    got = stepped(model, text, model.start_decoding(text)[0], [7, *[1] * 16])
    assert got.dtype == np.float32
    assert close(got, model(text), 1e-5)


def test_a_group_s_keys_are_kept_once():
    model, text = built(lambda init: Llama(LLAMA_SIZES, init)), ids(4, 23)
    state, prompt = model.start_decoding(text)
    model.next_logits(prompt, state)
    kept = state["decoder"][1].get("attention")
    assert kept is not None
    assert kept["k"].value.shape == kept["v"].value.shape == (4, 2, 23, 4)


def test_a_translator_s_memory_becomes_keys_and_values_once():
    model, source = built(lambda init: T5(T5_SIZES, init)), ids(4, 9)
    state, first = model.start_decoding(source, start=0)
    model.next_logits(first, state)
    kept = state["decoder"][0]["cross_attention"]
    keys = kept["k"]
    model.next_logits(first, state)
    assert kept["k"] is keys
    assert keys.shape == (4, 3, 9, 5)


def test_positions_beyond_the_last_learned_one_are_refused():
    model, text = built(lambda init: GPT(GPTConfig(V, 5, 6, 3, 1, 11), init)), ids(2, 5)
    state, prompt = model.start_decoding(text)
    model.next_logits(prompt, state)
    with pytest.raises(ValueError, match="max_length=5"):
        model.next_logits(text[:, :1], state)
