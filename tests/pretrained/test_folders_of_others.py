"""Folders as others leave them: buffers, prefixes, keys of other programs, tokenizers with settings; a T5 with text."""

import importlib.util
import json

import numpy as np
import pytest

from minitransformer.cli import main
from minitransformer.pretrained import (
    PretrainedTranslator,
    WeightsError,
    from_pretrained,
    load,
    load_language_model,
    load_translator,
    save_pretrained,
)

from .cases import inputs, made

for library in ("safetensors", "tokenizers"):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install 'minitransformer[huggingface]'", allow_module_level=True)

import tokenizers  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402

NAMES = ("t5", "t5 v1.1", "gpt2", "llama", "llama, tied")


def folder_of(tmp_path, name, change=lambda tensors: None, **keys):
    """The folder of a small model, after a change of its tensors and of keys of its config.json; and the model."""
    model = made(name)
    folder = save_pretrained(model, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    changed = change(tensors)
    save_file(tensors if changed is None else changed, folder / "model.safetensors")
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | keys))
    return folder, model


def same(folder, model):
    again = from_pretrained(folder)
    np.testing.assert_array_equal(again(*inputs(again)), model(*inputs(model)))


@pytest.mark.parametrize(
    ("name", "buffers"),
    [
        ("gpt2", {"transformer.h.0.attn.bias": np.tri(19, dtype=np.uint8)[None, None]}),
        ("gpt2", {"h.1.attn.bias": np.tri(19, dtype=bool), "h.1.attn.masked_bias": np.array(-1e4, np.float32)}),
        ("gpt2", {"transformer.position_ids": np.arange(19)[None]}),
        ("llama", {"model.rotary_emb.inv_freq": np.ones(3, np.float32), "model.position_ids": np.arange(5)}),
        ("llama", {"model.layers.0.self_attn.rotary_emb.cos_cached": np.ones((5, 3), np.float16)}),
        ("llama", {"layers.1.self_attn.masked_bias": np.zeros(1, np.int8)}),
    ],
)
def test_buffers_beside_the_weights_do_not_matter_whatever_their_type(tmp_path, name, buffers):
    same(*folder_of(tmp_path, name, lambda tensors: tensors.update(buffers)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prefix", ["", "transformer.", "model.", "module.", "_orig_mod.module.", "bare"])
def test_names_have_any_first_word(tmp_path, name, prefix):
    def change(tensors):
        if prefix != "bare":
            return {prefix + key: tensor for key, tensor in tensors.items()}
        return {key.removeprefix("transformer.").removeprefix("model."): tensor for key, tensor in tensors.items()}

    same(*folder_of(tmp_path, name, change))


@pytest.mark.parametrize("name", ["t5", "gpt2", "llama, tied"])
def test_a_tied_table_may_be_stored_under_the_heads_name_alone(tmp_path, name):
    table = {"t5": "shared.weight", "gpt2": "transformer.wte.weight"}.get(name, "model.embed_tokens.weight")

    def change(tensors):
        tensors["lm_head.weight"] = tensors.pop(table)

    same(*folder_of(tmp_path, name, change))


def test_a_head_of_its_own_that_is_left_out_is_missed(tmp_path):
    folder, _ = folder_of(
        tmp_path, "llama", lambda tensors: {k: v for k, v in tensors.items() if k != "lm_head.weight"}
    )
    with pytest.raises(WeightsError, match=r"lacks lm_head\.weight"):
        from_pretrained(folder)


# Keys as public configurations have them: T5, FLAN-T5, GPT-2, DistilGPT-2, DialoGPT, TinyLlama, SmolLM2, Llama 2, 3.
PUBLIC = {
    "t5": {
        "output_past": True,
        "n_positions": 512,
        "dropout_rate": 0.3,
        "classifier_dropout": 0.0,
        "task_specific_params": {"summarization": {"num_beams": 4, "prefix": "summarize: "}},
    },
    "t5 v1.1": {"output_past": True, "num_labels": 2, "_name_or_path": "google/t5-v1_1-small"},
    "gpt2": {
        "attn_pdrop": 0.5,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.1,
        "n_ctx": 19,
        "_num_labels": 1,
        "output_past": True,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "summary_first_dropout": 0.1,
        "is_decoder": True,
        "n_special": 0,
        "predict_special_tokens": True,
        "gradient_checkpointing": False,
        "vocab_file": "x",
    },
    "llama": {
        "is_llama_config": True,
        "rope_interleaved": False,
        "transformers.js_config": {"dtype": "q4"},
        "unsloth_version": "2024.9",
        "unsloth_fixed": True,
        "attention_dropout": 0.1,
        "max_sequence_length": 2048,
        "_flash_attn_2_enabled": True,
        "use_cache": False,
        "sliding_window": None,
        "quantization_config": None,
        "created": "2024-01-01",
        "author": "somebody",
        "pretraining_tp": 1,
        "rope_scaling": None,
    },
}


@pytest.mark.parametrize("name", PUBLIC)
def test_keys_that_cannot_change_the_numbers_are_read_over(tmp_path, name):
    same(*folder_of(tmp_path, name, **PUBLIC[name]))


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("llama", {"rope_interleaved": True}, "rope_interleaved is True: must be False"),
        ("llama", {"clip_qkv": 6.0}, r"clip_qkv is 6\.0: must be None"),
        ("llama", {"quantization_config": {"quant_method": "gptq"}}, "quantization_config is .*gptq.*: must be None"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention is True: must be False"),
        ("t5", {"wings": 2}, r"has wings, .*'wings' is 2.*ignore=\['wings'\], or --ignore-key 'wings'"),
    ],
)
def test_keys_that_change_the_numbers_are_refused(tmp_path, name, keys, said):
    folder, _ = folder_of(tmp_path, name, **keys)
    with pytest.raises(WeightsError, match=said):
        from_pretrained(folder)


def test_an_unknown_key_may_be_ignored_and_a_known_one_not(tmp_path):
    folder, model = folder_of(tmp_path, "gpt2", wings=2, feathers=3)
    again = from_pretrained(folder, ignore=["wings", "feathers"])
    np.testing.assert_array_equal(again(*inputs(again)), model(*inputs(model)))
    with pytest.raises(WeightsError, match="has feathers"):
        from_pretrained(folder, ignore=["wings"])
    with pytest.raises(WeightsError, match="n_head is not to be ignored: the numbers depend on it"):
        from_pretrained(folder, ignore=["wings", "feathers", "n_head"])


# ---- tokenizers

PIECES = [
    "<pad>",
    "</s>",
    "<unk>",
    "\u2581",
    *(f"\u2581{word}" for word in ("the", "cat", "sleeps", "le")),
    *"acehlpst",
]
FULL = [*PIECES, "\u2581dort", "\u2581chat", ".", "d", "o", "r", "i"]  # 23, as the models of `cases`


def unigram(pieces=FULL):
    """A tokenizer as T5 has it, in small."""
    made = tokenizers.Tokenizer(tokenizers.models.Unigram([(piece, -2.0) for piece in pieces], unk_id=2))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.decoder = tokenizers.decoders.Metaspace()
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    made.post_processor = tokenizers.processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return made


@pytest.fixture
def t5_folder(tmp_path):
    folder = save_pretrained(made("t5"), tmp_path / "t5")
    tokenizer = unigram()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=30)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def with_keys(folder, file, **keys):
    path = folder / file
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **keys}))


def test_stored_truncation_and_padding_do_not_touch_a_text(t5_folder):
    translator = load_translator(t5_folder)
    assert translator.encode("the cat sleeps the cat") == [4, 5, 6, 4, 5]
    assert translator.source_vocabulary.tokenizer.encode("the cat sleeps the cat") == [4, 5, 6, 4, 5, 1]


def test_files_of_gpt2_without_tokenizer_json_are_read(tmp_path):
    folder, _ = folder_of(tmp_path, "gpt2")
    bytes_ = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())[:20]
    ids = {
        token: i
        for i, token in enumerate(["a", "b", "\u0120", "ab", "\u0120ab", *[c for c in bytes_ if c not in "ab"][:17]])
    }
    ids["<|endoftext|>"] = 22
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n\u0120 ab\n")
    model = load_language_model(folder)
    assert model.prompt_ids("ab ab<|endoftext|>") == [3, 4, 22]
    assert model.vocabulary.decode([3, 4, 22]) == "ab ab"
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    for text in ("ab ab", "abba", "  ab", "a b<|endoftext|>ab"):
        assert model.prompt_ids(text) == theirs.encode(text)


def test_a_folder_with_sentencepiece_alone_is_told_how_to_convert_it(tmp_path):
    folder, _ = folder_of(tmp_path, "llama")
    (folder / "tokenizer.model").write_bytes(b"x")
    with pytest.raises(
        WeightsError, match=r"tokenizer\.model is SentencePiece's, which becomes tokenizer\.json by python"
    ):
        load_language_model(folder)


def test_a_token_without_a_row_is_refused_where_a_text_uses_it(t5_folder):
    unigram([*FULL, "\u2581dog"]).save(str(t5_folder / "tokenizer.json"))
    translator = load_translator(t5_folder)
    assert len(translator.translate(["the cat"])) == 1
    with pytest.raises(ValueError, match=r"text='the dog': has the token 'dog', id 23; the model knows ids below 23"):
        translator.translate(["the dog"])


# ---- text in, text out


def test_a_t5_translates_in_three_lines(t5_folder):
    translator = load_translator(t5_folder)
    found = translator.translate(["the cat sleeps", "", "le chat"], max_new_tokens=8)
    assert isinstance(translator, PretrainedTranslator)
    assert found[1] == ""
    assert type(load(t5_folder)) is PretrainedTranslator
    ids = translator.translate_ids([[4, 5, 6]], max_new_tokens=8)[0]
    assert found[0] == translator.target_vocabulary.decode(ids)
    assert "".join(translator.unknown("the zt")) == "z"


def test_start_and_end_have_an_order_of_precedence(t5_folder):
    def ids():
        translator = load_translator(t5_folder)
        return translator.start, translator.target_vocabulary.eos

    with_keys(t5_folder, "config.json", decoder_start_token_id=None, eos_token_id=None)
    assert ids() == (0, 1)
    with_keys(t5_folder, "tokenizer_config.json", eos_token={"content": "<unk>"})
    assert ids() == (0, 2)
    with_keys(t5_folder, "config.json", bos_token_id=7)
    assert ids() == (7, 2)
    with_keys(t5_folder, "config.json", decoder_start_token_id=3, eos_token_id=4)
    assert ids() == (3, 4)
    with_keys(t5_folder, "generation_config.json", decoder_start_token_id=5, eos_token_id=[6])
    assert ids() == (5, 6)
    with_keys(t5_folder, "generation_config.json", eos_token_id=[1, 6])
    with pytest.raises(WeightsError, match=r"eos_token_id is \[1, 6\]: must be one id below 23"):
        ids()


def test_a_t5_translates_as_transformers_does(t5_folder):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    import torch

    theirs = transformers.T5ForConditionalGeneration.from_pretrained(t5_folder).eval()
    translator = load_translator(t5_folder)
    for text in ("the cat sleeps", "le chat dort . the cat"):
        source = torch.tensor([[*translator.encode(text), 1]])
        with torch.no_grad():
            wanted = theirs.generate(
                source, max_new_tokens=9, num_beams=1, do_sample=False, decoder_start_token_id=0, eos_token_id=1
            )[0, 1:]
        ids = translator.translate_ids([translator.encode(text)], max_new_tokens=9)[0]
        assert ids == [i for i in wanted.tolist() if i != 1]


def test_a_t5_from_the_command_line(t5_folder, capsys, tmp_path):
    translated = load_translator(t5_folder).translate(["the cat sleeps"], max_new_tokens=6)[0]
    assert main(["translate", str(t5_folder), "the cat sleeps", "--max-new-tokens", "6"]) == 0
    assert capsys.readouterr().out == f"{translated}\n"
    assert main(["explore", str(t5_folder), "the cat", "--out", str(tmp_path / "page.html")]) == 0
    (tmp_path / "pairs.tsv").write_text("the cat\tle chat\nthe cat sleeps\tle chat dort\n")
    assert main(["evaluate", str(t5_folder), str(tmp_path / "pairs.tsv")]) == 0
    with_keys(t5_folder, "config.json", wings=1)
    assert main(["translate", str(t5_folder), "the cat"]) == 2
    assert "--ignore-key 'wings'" in capsys.readouterr().err
    assert main(["translate", str(t5_folder), "the cat", "--ignore-key", "wings"]) == 0
    assert main(["lm", "generate", str(t5_folder), "--ignore-key", "wings"]) == 2


def test_a_language_model_does_not_translate(tmp_path):
    folder, _ = folder_of(tmp_path, "gpt2")
    unigram().save(str(folder / "tokenizer.json"))
    with pytest.raises(WeightsError, match="is a GPT, which goes on from a prompt"):
        load_translator(folder)


@pytest.mark.parametrize("key", ["decoder_start_token_id", "eos_token_id"])
def test_an_id_of_the_start_or_the_end_is_one_row_of_the_model(t5_folder, key):
    for value in (22, [22], 0):
        with_keys(t5_folder, "config.json", **{key: value})
        translator = load_translator(t5_folder)
        found = translator.start if key.startswith("decoder") else translator.target_vocabulary.eos
        assert found == (value[0] if isinstance(value, list) else value)
    for value in (23, -1, True, "a", [], [1, 2], 1.0):
        with_keys(t5_folder, "config.json", **{key: value})
        with pytest.raises(WeightsError, match=f"{key} is "):
            load_translator(t5_folder)


def test_a_vocabulary_leaves_the_end_to_the_translator(t5_folder):
    vocabulary = load_translator(t5_folder).source_vocabulary
    assert (len(vocabulary), vocabulary.pad, vocabulary.eos) == (23, 0, 1)
    assert vocabulary.encode("the cat") == [4, 5]
    assert vocabulary.encode(" \n") == []
    assert vocabulary.decode([4, 5, 1, 6]) == vocabulary.decode([4, 5]) == "the cat"
    assert vocabulary.decode([1, 4]) == ""
    vocabulary.eos = 5
    assert vocabulary.encode("the cat") == [4, 5, 1]  # the tokenizer's end is not the model's
