"""config.json: what each key may be, what it is where it is absent, and what is written; without a file or library."""

from pathlib import Path

import numpy as np
import pytest

from minitransformer.models import GPT, T5, GPTConfig, Llama, LlamaConfig, T5Config, T5v11, TiedLlama
from minitransformer.pretrained import WeightsError
from minitransformer.pretrained.hf_config import read_config, write_config

from .cases import made

SMALLEST = {
    "t5": {"vocab_size": 9, "d_model": 4, "d_kv": 2, "num_heads": 2, "d_ff": 5, "num_layers": 3},
    "gpt2": {"vocab_size": 9, "n_positions": 8, "n_embd": 4, "n_head": 2, "n_layer": 3},
    "llama": {
        "vocab_size": 9,
        "hidden_size": 4,
        "num_attention_heads": 2,
        "intermediate_size": 5,
        "num_hidden_layers": 3,
    },
}


def read(model_type, ignore=(), **keys):
    return read_config(Path("config.json"), {"model_type": model_type, **SMALLEST[model_type], **keys}, ignore)


def test_a_key_that_is_absent_has_the_default_of_transformers():
    assert read("t5").config == T5Config(
        9, 4, 2, 2, 5, 3, 3, dropout=0.1, n_buckets=32, max_distance=128, eps=1e-6, pad=0
    )
    assert read("gpt2").config == GPTConfig(9, 8, 4, 2, 3, d_ff=None, dropout=0.1, eps=1e-5)
    assert read("llama").config == LlamaConfig(9, 2048, 4, 2, None, 5, 3, base=10000.0, eps=1e-6)
    assert [read(name).tied for name in ("t5", "gpt2", "llama")] == [True, True, False]
    assert [read(name).model for name in ("t5", "gpt2", "llama")] == [T5, GPT, Llama]
    assert [read(name).head_scale for name in ("t5", "gpt2", "llama")] == [4**-0.5, 1.0, 1.0]
    assert [read(name).n_blocks() for name in ("t5", "gpt2", "llama")] == [3, 3, 3]


def test_a_key_that_is_there_counts():
    t5 = read("t5", num_decoder_layers=2, dropout_rate=0.3, layer_norm_epsilon=1e-4, pad_token_id=3,
              relative_attention_num_buckets=16, relative_attention_max_distance=20)  # fmt: skip
    assert t5.config == T5Config(9, 4, 2, 2, 5, 3, 2, dropout=0.3, n_buckets=16, max_distance=20, eps=1e-4, pad=3)
    assert t5.n_blocks() == 3
    gpt = read("gpt2", n_inner=7, resid_pdrop=0, layer_norm_epsilon=1e-3, tie_word_embeddings=False)
    assert gpt.config == GPTConfig(9, 8, 4, 2, 3, d_ff=7, dropout=0, eps=1e-3)
    assert not gpt.tied
    llama = read("llama", max_position_embeddings=6, num_key_value_heads=1, rms_norm_eps=1e-3, rope_theta=500.0,
                 tie_word_embeddings=True, head_dim=2)  # fmt: skip
    assert llama.config == LlamaConfig(9, 6, 4, 2, 1, 5, 3, base=500.0, eps=1e-3)
    assert (llama.model, llama.tied) == (TiedLlama, True)
    assert read("llama", rope_parameters={"rope_type": "default", "rope_theta": 7.0}).config.base == 7.0
    assert read("llama", rope_scaling={"type": "default"}).config.base == 10000.0


ALLOWED = [  # (families, key, values that change no number)
    (("t5", "gpt2", "llama"), "add_cross_attention", [False]),
    (("t5", "gpt2", "llama"), "cross_attention_hidden_size", [None]),
    (("t5", "gpt2", "llama"), "is_decoder", [False, True]),
    (("t5", "gpt2", "llama"), "pruned_heads", [{}, None]),
    (("t5", "gpt2", "llama"), "tie_encoder_decoder", [False]),
    *((("t5", "gpt2", "llama"), key, [None]) for key in ("quantization_config", "quantization", "compression_config")),
    *((("gpt2", "llama"), key, [None]) for key in ("sliding_window", "clip_qkv", "attention_multiplier")),
    *((("gpt2", "llama"), key, [None]) for key in ("final_logit_softcapping", "attn_logit_softcapping")),
    *((("gpt2", "llama"), key, [False, None]) for key in ("use_sliding_window", "use_qk_norm", "qk_layernorm")),
    (("llama",), "use_lora", [False, None]),
    (("llama",), "rope_interleaved", [False]),
    (("llama",), "no_rope_layers", [None, []]),
    *((("llama",), key, [None, 1.0]) for key in ("logit_scale", "embedding_multiplier", "residual_multiplier")),
    (("llama",), "logits_scaling", [None, 1.0]),
    (("t5",), "is_encoder_decoder", [True]),
    (("gpt2", "llama"), "is_encoder_decoder", [False]),
    (("gpt2",), "activation_function", ["gelu_new", "gelu_pytorch_tanh"]),
    (("gpt2",), "scale_attn_weights", [True]),
    (("gpt2",), "scale_attn_by_inverse_layer_idx", [False]),
    (("llama",), "hidden_act", ["silu"]),
    *((("llama",), key, [False]) for key in ("attention_bias", "mlp_bias")),
    (("llama",), "partial_rotary_factor", [1.0]),
    (("llama",), "tie_word_embeddings", [True, False]),
    (("llama",), "head_dim", [None, 2]),
    (("t5",), "feed_forward_proj", ["relu", "gated-gelu"]),
    (("t5",), "dense_act_fn", ["relu"]),
    (("t5",), "is_gated_act", [False]),
]
OTHERS = [True, False, None, 0.5, 1.0, 3, "relu", "gelu", "silu", "gelu_new", "swish", {}, [], {"a": 1}, [1]]


@pytest.mark.parametrize(
    ("model_type", "key", "allowed"), [(name, key, values) for names, key, values in ALLOWED for name in names]
)
def test_a_key_on_which_the_numbers_depend_has_an_allowed_value_or_is_refused(model_type, key, allowed):
    for value in allowed:
        read(model_type, **{key: value})
    for value in OTHERS:
        if not any(value == a and type(value) is type(a) for a in allowed) and not (value == 1.0 and 1.0 in allowed):
            with pytest.raises(WeightsError, match=f"{key} is "):
                read(model_type, **{key: value})
    with pytest.raises(WeightsError, match=f"{key} is not to be ignored: the numbers depend on it"):
        read(model_type, ignore=[key])


def test_the_keys_of_gated_t5_belong_together():
    gated = read("t5", feed_forward_proj="gated-gelu", dense_act_fn="gelu_new", is_gated_act=True)
    assert gated.model is T5v11
    assert read("t5", feed_forward_proj="gated-gelu", dense_act_fn="gelu_pytorch_tanh").model is T5v11
    with pytest.raises(WeightsError, match="dense_act_fn is 'relu': must be 'gelu_new' or 'gelu_pytorch_tanh'"):
        read("t5", feed_forward_proj="gated-gelu", dense_act_fn="relu")
    with pytest.raises(WeightsError, match="is_gated_act is False: must be True"):
        read("t5", feed_forward_proj="gated-gelu", is_gated_act=False)
    untied = read("t5", tie_word_embeddings=False)
    assert (untied.tied, untied.head_scale) == (False, 1.0)
    assert read("t5", scale_decoder_outputs=False).head_scale == 1.0
    with pytest.raises(WeightsError, match="scale_decoder_outputs is True: must be false where tie_word_embeddings is"):
        read("t5", tie_word_embeddings=False, scale_decoder_outputs=True)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rope_scaling": 3}, "rope_scaling is 3: must be null or an object"),
        (
            {"rope_scaling": {"type": "linear", "factor": 2.0}},
            "rope_type of rope_scaling is 'linear': must be 'default'",
        ),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope_type of rope_parameters is 'llama3': must be 'default'"),
        ({"rope_scaling": {"factor": 2.0}}, "rope_scaling has factor, which this program does not know"),
        ({"head_dim": 3}, r"head_dim is 3: must be hidden_size / num_attention_heads = 4 / 2"),
        ({"vocab_size": 9.0}, "vocab_size is 9.0: must be a whole number"),
        ({"vocab_size": True}, "vocab_size is True: must be a whole number"),
        ({"rms_norm_eps": "1e-6"}, "rms_norm_eps is '1e-6': must be a number"),
        ({"num_key_value_heads": 1.0}, "num_key_value_heads is 1.0: must be a whole number"),
        ({"wings": 2}, r"has wings, which this program does not know for a llama \('wings' is 2\)"),
        ({"model_type": "bert"}, "model_type is 'bert': must be 't5' or 'gpt2' or 'llama'"),
        ({"model_type": ["llama"]}, "model_type is "),
        ({"num_attention_heads": 3}, "config.json: "),
    ],
)
def test_what_does_not_fit_is_named(keys, message):
    with pytest.raises(WeightsError, match=message):
        read_config(Path("config.json"), {"model_type": "llama", **SMALLEST["llama"], **keys})
    assert read("llama", ignore=["wings"], wings=2).config.vocab == 9


@pytest.mark.parametrize("model_type", SMALLEST)
def test_a_size_that_is_needed_is_missed(model_type):
    for key in SMALLEST[model_type]:
        content = {"model_type": model_type, **SMALLEST[model_type]}
        del content[key]
        with pytest.raises(WeightsError, match=f"lacks {key}"):
            read_config(Path("config.json"), content)


WRITTEN = {
    "t5": {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "torch_dtype": "float32",
        "vocab_size": 23,
        "d_model": 14,
        "d_kv": 5,
        "num_heads": 3,
        "d_ff": 11,
        "num_layers": 3,
        "num_decoder_layers": 2,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 11,
        "dropout_rate": 0.25,
        "layer_norm_epsilon": 1e-4,
        "pad_token_id": 0,
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
        "feed_forward_proj": "relu",
        "decoder_start_token_id": 0,
    },
    "gpt2": {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "torch_dtype": "float32",
        "vocab_size": 23,
        "n_positions": 19,
        "n_embd": 15,
        "n_head": 3,
        "n_layer": 2,
        "n_inner": None,
        "resid_pdrop": 0.25,
        "layer_norm_epsilon": 1e-4,
        "activation_function": "gelu_new",
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "is_encoder_decoder": False,
        "tie_word_embeddings": True,
        "embd_pdrop": 0.25,
        "attn_pdrop": 0.25,
    },
    "llama": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float32",
        "vocab_size": 23,
        "max_position_embeddings": 40,
        "hidden_size": 36,
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "intermediate_size": 11,
        "num_hidden_layers": 2,
        "rms_norm_eps": 1e-4,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "is_encoder_decoder": False,
        "tie_word_embeddings": False,
        "head_dim": 6,
        "rope_theta": 500.0,
        "rope_scaling": None,
    },
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_what_transformers_reads(name):
    assert write_config(made(name)) == WRITTEN[name]
    assert write_config(made(name, np.float64))["torch_dtype"] == "float64"


def test_a_t5_v1_1_and_its_head_are_written_as_such():
    untied = write_config(made("t5 v1.1"))
    assert untied["feed_forward_proj"] == "gated-gelu"
    assert untied["tie_word_embeddings"] is False
    assert "scale_decoder_outputs" not in untied
    tied = made("t5")
    tied.head.scale = 1.0
    assert write_config(tied)["scale_decoder_outputs"] is False
    assert write_config(made("llama, tied"))["tie_word_embeddings"] is True
