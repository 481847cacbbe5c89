"""Language models of either origin: text that appears piece by piece is the text of all ids."""

import numpy as np
import pytest

from minitransformer.data import CharacterVocabulary
from minitransformer.decoding import LanguageModel
from minitransformer.decoding.language_model import pieces_of_text, until
from minitransformer.models import GPT, GPTConfig, LlamaConfig, TiedLlama
from minitransformer.pretrained import Llama2cTokenizer, PretrainedLanguageModel, WeightsError, load_language_model
from minitransformer.training import CheckpointError

PIECES = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % i for i in range(256)), b" the", b" cat", b" ", b"e"]


def tokenizer():
    return Llama2cTokenizer(PIECES, [0.0] * 259 + [-1.0, -2.0, -3.0, -4.0])


def bytewise(text):
    return [3 + byte for byte in text.encode()]


def pretrained(seed=0):
    config = LlamaConfig(vocab=len(PIECES) + 5, max_length=16, d_model=8, n_heads=2, d_ff=5, n_blocks=1)
    return PretrainedLanguageModel("llama-tied", TiedLlama(config, np.random.default_rng(seed)), tokenizer())


@pytest.mark.parametrize("text", ["é☕😀", "the", "a☕", "\ufffd", "ends in \ufffd"])
def test_a_character_of_several_tokens_appears_whole(text):
    shown = list(pieces_of_text(tokenizer().decode, [1], bytewise(text)))
    assert "".join(shown) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in shown)


def test_the_blank_of_a_first_word_is_left_out_and_that_of_a_second_is_kept():
    the, cat = 259, 260
    assert list(pieces_of_text(tokenizer().decode, [1], [the, cat])) == ["the", " cat", ""]
    assert list(pieces_of_text(tokenizer().decode, [1, the], [cat, the])) == [" cat", " the", ""]


def test_bytes_that_are_no_character_are_shown_in_the_end():
    assert "".join(pieces_of_text(tokenizer().decode, [1], [3 + 0xE2])) == "\ufffd"
    many = [3 + 0xFF] * 50
    assert "".join(pieces_of_text(tokenizer().decode, [1], many)) == "\ufffd" * 50


def test_pieces_together_are_the_text_of_all_ids_whatever_they_are():
    rng = np.random.default_rng(1)
    for _ in range(50):
        text = "".join(rng.choice(list("a é☕😀 the\n"), 20))
        ids = tokenizer().encode(text)
        cut = int(rng.integers(1, len(ids)))
        shown = tokenizer().decode(ids[:cut]) + "".join(pieces_of_text(tokenizer().decode, ids[:cut], ids[cut:]))
        if "\ufffd" not in tokenizer().decode(ids[:cut]):  # else the prompt ended within a character
            assert shown == text


def test_a_stop_ends_the_text_and_is_not_given_out():
    assert list(until(iter([5, 6, 2, 7]), {1, 2})) == [5, 6]


def test_ids_that_stand_for_no_text_are_never_chosen():
    model = pretrained()
    model.model.embedding.tokens.weight.value[len(PIECES) :] *= 1000.0
    drawn = list(model.stream_ids("the", max_new_tokens=200, seed=0, temperature=5.0))
    assert drawn
    assert max(drawn) < len(PIECES)


def test_what_is_generated_is_the_same_streamed_or_whole_and_beyond_the_context():
    model = pretrained()
    settings = {"max_new_tokens": 60, "seed": 2, "temperature": 2.0}
    ids = list(model.stream_ids("the", **settings))
    whole = tokenizer().decode([*model.prompt_ids("the"), *ids])
    assert "the" + model.generate("the", **settings) == whole
    assert len(ids) > 16 or len(ids) < 60


def test_a_vocabulary_of_characters_streams_characters():
    vocabulary = CharacterVocabulary.build(["abc \n"])
    model = LanguageModel("gpt", GPT(GPTConfig(len(vocabulary), 8, 6, 2, 1), np.random.default_rng(0)), vocabulary)
    shown = list(model.stream("ab", max_new_tokens=20, seed=1, temperature=3.0))
    ids = list(model.stream_ids("ab", max_new_tokens=20, seed=1, temperature=3.0))
    assert [piece for piece in shown if piece] == [vocabulary.decode([i]) for i in ids]
    assert len(ids) == 20


def test_a_pretrained_model_is_no_checkpoint():
    with pytest.raises(TypeError, match="save_pretrained"):
        pretrained().description()


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_language_model(tmp_path / "none")
    with pytest.raises(WeightsError, match=r"none\.bin: cannot be read"):
        load_language_model(tmp_path / "none.bin")
    with pytest.raises(WeightsError, match="has its own tokenizer"):
        load_language_model(tmp_path, tmp_path / "tok.bin")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"tokenizer\.json: cannot be read: no such file"):
        load_language_model(tmp_path)
