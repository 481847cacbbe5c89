"""tokenizer.json: ours as theirs, ids that begin and end a text, and what a damaged one is told."""

import importlib.util
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from minitransformer.data import CharacterVocabulary
from minitransformer.models import LlamaConfig, TiedLlama
from minitransformer.pretrained import (
    Llama2cTokenizer,
    PretrainedLanguageModel,
    WeightsError,
    load_language_model,
    read_tokenizer,
    save_pretrained,
)
from minitransformer.pretrained.tokenizer import of_characters

from .cases import made, pieces

for library in ("safetensors", "tokenizers"):
    if importlib.util.find_spec(library) is None and os.environ.get("MINITRANSFORMER_REQUIRE_PARITY") != "1":
        pytest.skip(f"{library} is not installed: pip install 'minitransformer[huggingface]'", allow_module_level=True)

LEARNED = (b" t", b"he", b" the", b" c", b"at", b" cat", b" ", b"t", b"h", b"e", b"c", b"a", "é".encode())
TEXTS = ["the cat", "hat", "thé ☕ 😀", "a\n\nb", "  two", "", "tththe chat cat", "\x00"]


def llama2c_tokenizer():
    return Llama2cTokenizer(*zip(*pieces(*LEARNED)))


@pytest.mark.parametrize("text", TEXTS)
def test_a_tokenizer_of_llama2c_is_the_same_as_a_tokenizer_json(text):
    ours, theirs = llama2c_tokenizer(), llama2c_tokenizer().to_pretrained()
    assert theirs.encode(text) == ours.encode(text)
    assert theirs.decode(ours.encode(text)) == ours.decode(ours.encode(text)) == text
    assert (len(theirs), theirs.begin, theirs.stops) == (len(ours), ours.begin, ours.stops)


def test_a_piece_that_stands_twice_fits_in_no_tokenizer_json():
    doubled = Llama2cTokenizer(*zip(*pieces(b"a", b"b", b"a")))
    with pytest.raises(ValueError, match="has some twice"):
        doubled.to_pretrained()


@pytest.mark.parametrize("text", ["abc", "é☕\n😀 \t", "", "<pad", "ça"])
def test_a_vocabulary_of_characters_is_the_same_as_a_tokenizer_json(text):
    vocabulary = CharacterVocabulary.build(["abcdefgh é☕\n😀\t<pad>"])
    theirs = of_characters(vocabulary)
    assert theirs.encode(text) == vocabulary.encode(text)
    if vocabulary.unk not in vocabulary.encode(text):
        assert theirs.decode(vocabulary.encode(text)) == text
    assert len(theirs) == len(vocabulary)


def saved(folder, tokenizer):
    config = LlamaConfig(vocab=len(tokenizer), max_length=16, d_model=8, n_heads=2, d_ff=5, n_blocks=1)
    model = TiedLlama(config, np.random.default_rng(0))
    save_pretrained(model, folder, tokenizer)
    return PretrainedLanguageModel("llama-tied", model, tokenizer)


def test_a_saved_model_draws_what_it_drew_before(tmp_path):
    before = saved(tmp_path / "saved", llama2c_tokenizer())
    after = load_language_model(tmp_path / "saved")
    assert after.name == "llama-tied"
    for prompt in ("", "the cat é"):
        settings = {"max_new_tokens": 50, "seed": 3, "temperature": 2.0}
        assert after.prompt_ids(prompt) == before.prompt_ids(prompt)
        ids = list(before.stream_ids(prompt, **settings))  # bytes at random: not every one is part of a character
        assert list(after.stream_ids(prompt, **settings)) == ids
        assert len(ids) > 20
    assert after.default_prompt() == ""


def test_what_is_written_beside_a_tokenizer(tmp_path):
    saved(tmp_path / "saved", llama2c_tokenizer())

    def written(name):
        return json.loads((tmp_path / "saved" / name).read_text())

    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    assert written("tokenizer_config.json") == settings
    assert written("generation_config.json") == {"bos_token_id": 1, "eos_token_id": [1, 2]}


def test_a_label_is_a_token_s_text_or_else_its_name_or_number(tmp_path):
    saved(tmp_path / "saved", llama2c_tokenizer())
    read = read_tokenizer(tmp_path / "saved")
    names = read.tokenizer
    ids = [0, 1, 2, names.token_to_id(" the"), 10_000]
    assert read.labels(ids)[1:] == ["<s>", "</s>", "the", "10000"]


def test_ids_that_begin_end_and_never_occur_come_from_the_folder(tmp_path):
    saved(tmp_path / "saved", llama2c_tokenizer())
    (tmp_path / "saved" / "generation_config.json").unlink()
    read = read_tokenizer(tmp_path / "saved")
    assert (read.begin, read.stops, read.never) == (1, {1, 2}, ())  # config.json says so too
    settings = {"bos_token_id": 7, "eos_token_id": 9, "suppress_tokens": [4, 5]}
    (tmp_path / "saved" / "generation_config.json").write_text(json.dumps(settings))
    read = read_tokenizer(tmp_path / "saved")
    assert (read.begin, read.stops, read.never) == (7, {9}, (4, 5))
    (tmp_path / "saved" / "generation_config.json").write_text(json.dumps({"eos_token_id": "x"}))
    with pytest.raises(WeightsError, match=r"eos_token_id is 'x': must be an id"):
        read_tokenizer(tmp_path / "saved")


def test_a_missing_or_damaged_tokenizer_is_named(tmp_path):
    saved(tmp_path / "saved", llama2c_tokenizer())
    path = tmp_path / "saved" / "tokenizer.json"
    whole = path.read_bytes()
    for content in (b"", b"{}", b"3", whole[: len(whole) // 2], b"\xff"):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"tokenizer\.json: is no tokenizer: "):
            load_language_model(tmp_path / "saved")
    path.unlink()
    with pytest.raises(WeightsError, match=r"tokenizer\.json: cannot be read: no such file"):
        load_language_model(tmp_path / "saved")


def test_ids_that_the_model_has_not_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="the tokenizer has 272 ids, the model 23"):
        save_pretrained(made("llama"), tmp_path / "saved", llama2c_tokenizer())
    assert not (tmp_path / "saved").exists()
    model = saved(tmp_path / "saved", llama2c_tokenizer()).model
    smaller = TiedLlama(replace(model.config, vocab=200), np.random.default_rng(0))
    save_pretrained(smaller, tmp_path / "smaller")
    (tmp_path / "smaller" / "tokenizer.json").write_bytes((tmp_path / "saved" / "tokenizer.json").read_bytes())
    read = load_language_model(tmp_path / "smaller")  # refused where a text uses one of them
    assert read.generate("", max_new_tokens=3, seed=0) is not None
    with pytest.raises(ValueError, match=r"prompt='the': has the token 'the', id 261; the model knows ids below 200"):
        read.prompt_ids("the")


def test_an_encoder_decoder_goes_on_from_no_prompt(tmp_path):
    save_pretrained(made("t5"), tmp_path / "t5", CharacterVocabulary.build(["abc"]))
    with pytest.raises(WeightsError, match="is a T5, which answers a source"):
        load_language_model(tmp_path / "t5")


def test_what_is_no_text_is_named(tmp_path):
    model = saved(tmp_path / "saved", llama2c_tokenizer())
    for language_model in (model, load_language_model(tmp_path / "saved")):
        with pytest.raises(ValueError, match="prompt="):
            language_model.prompt_ids("a\ud800")


PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def content(tokenizer):
    return json.loads(tokenizer.tokenizer.to_str())


def test_the_whole_tokenizer_json_of_characters():
    written = content(of_characters(CharacterVocabulary.build(["ba"])))
    names = ["<pad>", "<bos>", "<eos>", "<unk>"]
    assert written == {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": name, **PLAIN} for i, name in enumerate(names)],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": "[\\s\\S]"},
            "behavior": "Isolated",
            "invert": False,
        },
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "WordLevel",
            "vocab": dict(zip([*names, "a", "b"], range(6))),
            "unk_token": "<unk>",
        },
    }
    tokenizer = of_characters(CharacterVocabulary.build(["ba"]))
    assert (tokenizer.begin, tokenizer.stops, tokenizer.never) == (None, frozenset(), (0, 1, 2, 3))


def test_the_whole_tokenizer_json_of_llama2c():
    written = content(llama2c_tokenizer().to_pretrained())
    model = written.pop("model")
    begin, first, second = (
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        *({"Sequence": {"id": s, "type_id": 0}} for s in "AB"),
    )
    assert written == {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": name, **PLAIN} for i, name in enumerate(["<unk>", "<s>", "</s>"])],
        "normalizer": {"type": "Prepend", "prepend": " "},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, first],
            "pair": [begin, first, second],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
    }
    learned = [piece.decode() for piece in LEARNED]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *learned]
    assert model.pop("vocab") == {name: i for i, name in enumerate(names)}
    # " t", "he", " the", " c", "at" and " cat", the best first: every cut of each into two pieces.
    cuts = [(" ", "t"), ("h", "e"), (" t", "he"), (" ", "c"), ("a", "t"), (" c", "at")]
    assert [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in model.pop("merges")] == cuts
    assert {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}.items() <= model.items()


def test_ids_of_the_tokenizer_alone_count(tmp_path):
    saved(tmp_path / "saved", llama2c_tokenizer())
    path = tmp_path / "saved" / "generation_config.json"

    def read(**keys):
        path.write_text(json.dumps({"bos_token_id": None, "eos_token_id": None, **keys}))
        return read_tokenizer(tmp_path / "saved")

    assert (read().begin, read().stops, read().never) == (None, frozenset(), ())
    assert read(bos_token_id=[5, 6]).begin == 5
    assert read(bos_token_id=0).begin == 0
    assert read(eos_token_id=[271, 272, 273]).stops == {271}  # it has 272
    for wrong in (-1, True, 1.5, "a", [1, None]):
        with pytest.raises(WeightsError, match=r"eos_token_id is .*: must be an id of the tokenizer"):
            read(eos_token_id=wrong)


def test_an_empty_text_is_the_beginning_alone_where_there_is_one(tmp_path):
    without = of_characters(CharacterVocabulary.build(["ab"]))
    assert without.encode("") == []
    without.begin = 0
    assert without.encode("") == [0]
    assert without.encode("ab") == [4, 5]


def test_what_a_language_model_never_says_are_rows_without_an_id_and_ids_that_are_special():
    tokenizer = of_characters(CharacterVocabulary.build(["ab"]))  # 6 ids
    for rows, never in ((9, (0, 1, 2, 3, 6, 7, 8)), (6, (0, 1, 2, 3)), (3, (0, 1, 2))):
        config = LlamaConfig(vocab=rows, max_length=16, d_model=8, n_heads=2, d_ff=5, n_blocks=1)
        model = PretrainedLanguageModel("llama-tied", TiedLlama(config, np.random.default_rng(0)), tokenizer)
        assert tuple(model.never()) == never
        assert model.default_prompt() == "\n"
        assert list(model.stops()) == []
        if rows == 6:
            assert model.prompt_ids("b") == [5]
            with pytest.raises(ValueError, match="prompt='': give at least one token to go on from"):
                model.prompt_ids("")
        with pytest.raises(TypeError, match="is saved by `save_pretrained`, not as a checkpoint"):
            model.description()
    config = LlamaConfig(vocab=5, max_length=16, d_model=8, n_heads=2, d_ff=5, n_blocks=1)
    model = PretrainedLanguageModel("llama-tied", TiedLlama(config, np.random.default_rng(0)), tokenizer)
    assert model.prompt_ids("aa") == [4, 4]
    with pytest.raises(ValueError, match="prompt='ab': has the token 'b', id 5; the model knows ids below 5"):
        model.prompt_ids("ab")
