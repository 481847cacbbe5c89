"""Folders of Hugging Face's transformers: theirs read by us and ours read by them, with the same logits in float64."""

import importlib.util
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from minitransformer.data import CharacterVocabulary
from minitransformer.layers import Glorot, Linear, Unembedding
from minitransformer.models import GPT, T5, GPTConfig, Llama, LlamaConfig, T5Config, T5v11, TiedLlama
from minitransformer.pretrained import WeightsError, from_pretrained, load_language_model, save_pretrained

from .wiring import agree, float64_throughout, tensor, torch  # noqa: F401 (a fixture)

if importlib.util.find_spec("transformers") is None and os.environ.get("MINITRANSFORMER_REQUIRE_PARITY") != "1":
    pytest.skip("transformers is not installed: there is nothing to compare with", allow_module_level=True)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what another library deprecates is not ours to mend
    import transformers

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(3)

T5_SIZES = {
    "vocab_size": 23,
    "d_model": 14,
    "d_kv": 5,
    "num_heads": 3,
    "d_ff": 11,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 11,
    "layer_norm_epsilon": 1e-4,
}
GPT_SIZES = {"vocab_size": 23, "n_positions": 19, "n_embd": 15, "n_head": 3, "n_layer": 2, "layer_norm_epsilon": 1e-4}
LLAMA_SIZES = {
    "vocab_size": 23,
    "hidden_size": 36,
    "num_attention_heads": 6,
    "intermediate_size": 11,
    "num_hidden_layers": 2,
    "rms_norm_eps": 1e-4,
    "max_position_embeddings": 40,
}


def t5(**options):
    return transformers.T5ForConditionalGeneration(transformers.T5Config(**T5_SIZES, **options))


def gpt(**options):
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT_SIZES, **options))


def llama(**options):
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA_SIZES, **rope, **options))


THEIRS = {
    "t5": lambda: t5(feed_forward_proj="relu"),
    "t5 v1.1": lambda: t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "gpt2": gpt,
    "gpt2, narrow": lambda: gpt(n_inner=11),
    "gpt2, untied": lambda: gpt(tie_word_embeddings=False),
    "llama": llama,
    "llama, tied": lambda: llama(tie_word_embeddings=True),
    "llama, grouped": lambda: llama(num_key_value_heads=3),
    "llama, multi-query, tied": lambda: llama(num_key_value_heads=1, tie_word_embeddings=True),
}


def randomized(theirs):
    """Weights of order one: what small ones would hide shows."""
    theirs = theirs.double().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            draw = 0.4 * RNG.standard_normal(tuple(parameter.shape)) + (1.0 if parameter.ndim == 1 else 0.0)
            parameter.copy_(tensor(draw))
    return theirs


def same_logits(ours, theirs, tolerance=1e-10):
    ids = RNG.integers(1, 23, (3, 17))
    if isinstance(theirs, transformers.T5ForConditionalGeneration):
        source = RNG.integers(1, 23, (3, 21))
        source[1, 11:] = 0
        mask = (source != 0).astype(int)
        inputs = {"input_ids": tensor(source), "attention_mask": tensor(mask), "decoder_input_ids": tensor(ids)}
        got = ours(source, ids)
    else:
        inputs, got = {"input_ids": tensor(ids)}, ours(ids)
    with torch.no_grad():
        agree(got, theirs(use_cache=False, **inputs).logits, "logits", tolerance)


@pytest.mark.parametrize("shard", [None, "5KB"])
@pytest.mark.parametrize("name", THEIRS)
def test_what_they_save_has_the_same_logits_here(tmp_path, name, shard):
    theirs = randomized(THEIRS[name]())
    theirs.save_pretrained(tmp_path / "theirs", **({"max_shard_size": shard} if shard else {}))
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists() == (shard is not None)
    same_logits(from_pretrained(tmp_path / "theirs", np.float64), theirs)


def made(model_class, config, head=None):
    rng = np.random.default_rng(1)
    model = model_class(config, Glorot(rng, np.float64))
    if head is not None:
        model.head = head(model)
    for parameter in model.parameters():
        parameter.value = 0.4 * rng.standard_normal(parameter.shape) + (1.0 if parameter.value.ndim == 1 else 0.0)
    return model


def own_head(model):
    return Linear(model.config.d_model, model.config.vocab, Glorot(np.random.default_rng(2), np.float64))


T5_CONFIG = T5Config(23, 14, 5, 3, 11, 3, 2, n_buckets=8, max_distance=11, eps=1e-4)
OURS = {
    "t5": lambda: made(T5, T5_CONFIG),
    "t5 v1.1": lambda: made(T5v11, T5_CONFIG),
    "t5 v1.1, tied": lambda: made(T5v11, T5_CONFIG, lambda model: Unembedding(model.target_embedding.tokens.weight)),
    "gpt2": lambda: made(GPT, GPTConfig(23, 19, 15, 3, 2, eps=1e-4)),
    "gpt2, untied": lambda: made(GPT, GPTConfig(23, 19, 15, 3, 2, 11), own_head),
    "llama": lambda: made(Llama, LlamaConfig(23, 40, 36, 6, None, 11, 2, base=500.0, eps=1e-4)),
    "llama, grouped, tied": lambda: made(TiedLlama, LlamaConfig(23, 40, 36, 6, 3, 11, 2, base=500.0, eps=1e-4)),
}
CLASSES = {
    "t5": transformers.T5ForConditionalGeneration,
    "gpt2": transformers.GPT2LMHeadModel,
    "llama": transformers.LlamaForCausalLM,
}


@pytest.mark.parametrize("shard_bytes", [1 << 30, 5000])
@pytest.mark.parametrize("name", OURS)
def test_what_we_save_has_the_same_logits_there(tmp_path, name, shard_bytes):
    ours = OURS[name]()
    save_pretrained(ours, tmp_path / "ours", shard_bytes=shard_bytes)
    their_class = CLASSES[json.loads((tmp_path / "ours" / "config.json").read_text())["model_type"]]
    theirs, found = their_class.from_pretrained(tmp_path / "ours", output_loading_info=True, torch_dtype=torch.float64)
    assert not any(found[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys")), found
    same_logits(ours, theirs.double().eval())


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_16_bits_become_32_without_loss(tmp_path, monkeypatch, kind):
    monkeypatch.undo()
    theirs = llama(num_key_value_heads=3).to(getattr(torch, kind))
    theirs.save_pretrained(tmp_path / "theirs")
    ours = from_pretrained(tmp_path / "theirs")
    assert {p.dtype for p in ours.parameters()} == {np.dtype(np.float32)}
    table = theirs.model.embed_tokens.weight.detach().to(torch.float32).numpy()
    np.testing.assert_array_equal(ours.embedding.tokens.weight.value, table)


def test_what_they_have_and_we_do_not_is_named(tmp_path):
    llama(attention_bias=True).save_pretrained(tmp_path / "biases")
    with pytest.raises(WeightsError, match="attention_bias is True: must be False"):
        from_pretrained(tmp_path / "biases")
    gpt(activation_function="gelu").save_pretrained(tmp_path / "gelu")
    with pytest.raises(WeightsError, match="activation_function is 'gelu': must be 'gelu_new'"):
        from_pretrained(tmp_path / "gelu")
    rope = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0}
    rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 20}
    config = transformers.LlamaConfig(**LLAMA_SIZES, rope_parameters=rope)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "rope")
    with pytest.raises(WeightsError, match=r"rope_type of rope_(parameters|scaling) is 'llama3': must be 'default'"):
        from_pretrained(tmp_path / "rope")


def test_a_tokenizer_of_characters_is_theirs_too(tmp_path):
    vocabulary = CharacterVocabulary.build(["to be, or not to be:\nthat is the quéstion ☕ 😀"])
    model = made(GPT, GPTConfig(len(vocabulary), 64, 15, 3, 2))
    save_pretrained(model, tmp_path / "ours", vocabulary)
    ours = load_language_model(tmp_path / "ours", dtype=np.float64)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    text = "the bé\n ☕😀 not"
    assert theirs(text)["input_ids"] == ours.prompt_ids(text) == vocabulary.encode(text)
    assert theirs.decode(vocabulary.encode(text)) == text
    there = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", torch_dtype=torch.float64).double()
    ids = torch.tensor([vocabulary.encode("to be")])
    written = there.generate(ids, max_new_tokens=30, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
    assert theirs.decode(written) == ours.generate("to be", max_new_tokens=30)


def test_a_model_of_llama2c_writes_its_documented_story_there_too(tmp_path, monkeypatch):
    monkeypatch.undo()  # it was trained in float32
    torch.set_default_dtype(torch.float32)
    data = Path(os.environ.get("MINITRANSFORMER_DATA", Path(__file__).parents[3] / "shared" / "data"))
    folder = data.parent / "weights" / "stories260K"
    if not (folder / "stories260K.bin").exists():
        pytest.skip(
            f"{folder} is absent; the variable MINITRANSFORMER_DATA may name the folder `data` beside `weights`"
        )
    language_model = load_language_model(folder / "stories260K.bin")
    save_pretrained(language_model.model, tmp_path / "stories", language_model.vocabulary)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "stories")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "stories")
    ids = torch.tensor([language_model.prompt_ids("")])
    written = theirs.generate(ids, max_new_tokens=256, do_sample=False, pad_token_id=0)[0]
    documented = (folder / "stories260K.md").read_text().split("-t 0.0\n")[1].split("\n```")[0]
    assert tokenizer.decode(written, skip_special_tokens=True) == documented
    assert tokenizer(documented)["input_ids"] == language_model.prompt_ids(documented)
