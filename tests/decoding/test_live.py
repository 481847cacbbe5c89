"""What the live page asks: the answers are those of `look_inside` and `outcome`, and a mistake is an answer too."""

import json

import numpy as np
import pytest

from minitransformer.data import WordVocabulary
from minitransformer.decoding import LanguageModel, look_inside
from minitransformer.decoding.inside import outcome, unpacked
from minitransformer.decoding.live import answer
from minitransformer.experiments.coreference import SHOWROOM, stored_pronoun_translator
from minitransformer.models import LlamaConfig, build_model


@pytest.fixture(scope="module")
def translator():
    return stored_pronoun_translator()


def test_without_a_word_no_gradient_is_computed(translator):
    found = answer(translator, {"text": SHOWROOM})
    assert found["asked"] == []
    assert found["target"] == look_inside(translator, SHOWROOM, asked=[])["target"]


def test_of_no_word_in_particular_it_is_the_one_of_which_the_model_is_least_sure(translator):
    found = answer(translator, {"text": SHOWROOM, "word": None})
    probabilities = [choice["probability"] for choice in look_inside(translator, SHOWROOM)["choices"]]
    assert found["asked"] == [int(np.argmin(probabilities))]


def test_of_a_language_model_it_is_what_comes_next():
    words = WordVocabulary(["the", "cat", "sees"])
    config = LlamaConfig(len(words), 9, 8, 2, n_kv_heads=1, d_ff=6, n_blocks=1)
    model = LanguageModel("llama", build_model("llama", config, np.random.default_rng(0)), words)
    assert answer(model, {"text": "the cat sees", "word": None})["asked"] == [2]


def test_numbers_have_all_their_digits(translator):
    found = answer(translator, {"text": SHOWROOM, "word": 9})
    in_a_file = look_inside(translator, SHOWROOM, asked=[9])
    for kind, coarse in zip(found["kinds"], in_a_file["kinds"]):
        for of_layer, of_file in zip(kind["gradients"], coarse["gradients"]):
            fine = unpacked(of_layer[0])
            assert fine.dtype == np.float32
            assert np.abs(fine - unpacked(of_file[0])).max() <= of_file[0]["scale"]
        for scores, weights in zip(kind["scores"], kind["weights"]):
            numbers = unpacked(scores).astype(float)
            exp = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
            np.testing.assert_allclose(exp / exp.sum(axis=-1, keepdims=True), weights, atol=1e-6)


def test_a_change_is_answered_with_its_outcome(translator):
    it = answer(translator, {"text": SHOWROOM})["source"].index("it")
    other = SHOWROOM.replace("car", "mirror")
    change = {"where": "encoder.blocks.1", "position": it, "text": other, "of": it}
    found = answer(translator, {"text": SHOWROOM, "change": change})
    assert found == outcome(translator, SHOWROOM, change)
    assert " il " in found["output"]


def test_words_that_the_model_does_not_know_are_named(translator):
    assert answer(translator, {"text": "I see the Zebra."})["unknown"] == ["zebra"]


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"text": " "}, "there is no word in it"),
        ({"text": SHOWROOM, "word": 99}, "asked=99: must be positions of output words"),
        ({"text": SHOWROOM, "change": {"where": "nowhere", "head": 0}}, "where='nowhere': must be an attention"),
    ],
)
def test_what_cannot_be_is_answered_with_the_reason(translator, question, reason):
    found = answer(translator, question)
    assert list(found) == ["error"]
    assert reason in found["error"]


def test_an_answer_is_plain_data(translator):
    found = answer(translator, {"text": SHOWROOM, "word": None})
    assert json.loads(json.dumps(found)) == found
