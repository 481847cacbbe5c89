"""T5, GPT and Llama against Hugging Face's classes with the same weights: logits and every gradient, in float64."""

import importlib.util
import os
import warnings

import numpy as np
import pytest

from minitransformer.layers import ALiBi, Glorot, bidirectional_bucket, causal_bucket
from minitransformer.models import GPT, T5, GPTConfig, Llama, LlamaConfig, T5Config, T5v11, TiedLlama
from minitransformer.pretrained import gpt_names, llama_names, t5_names

from .wiring import agree, float64_throughout, gradient, tensor, torch, value  # noqa: F401 (a fixture)

if importlib.util.find_spec("transformers") is None and os.environ.get("MINITRANSFORMER_REQUIRE_PARITY") != "1":
    pytest.skip("transformers is not installed: there is nothing to compare with", allow_module_level=True)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what another library deprecates is not ours to mend
    import transformers
    from transformers.models.t5.modeling_t5 import T5Attention

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)


def built(model_class, config):
    rng = np.random.default_rng(1)
    model = model_class(config, Glorot(rng, np.float64))
    for parameter in model.parameters():
        parameter.value = 0.4 * rng.standard_normal(parameter.shape) + (1.0 if parameter.value.ndim == 1 else 0.0)
    return model


def compare(model, theirs, names, inputs, **their_inputs):
    """Fill theirs with our weights; compare logits and the gradient of every parameter of either side."""
    theirs = theirs.double().eval()
    parameters = dict(theirs.named_parameters())
    names = list(names(model))
    assert {name for name, _, _ in names} == set(parameters)
    assert {id(p) for _, ours, _ in names for p in ours} == {id(p) for p in model.parameters()}
    with torch.no_grad():
        for name, ours, layout in names:
            parameters[name].copy_(tensor(np.concatenate([layout.theirs(value(p)) for p in ours], axis=-1)))
    logits, cache = model.forward(*inputs)
    their_logits = theirs(use_cache=False, **{name: tensor(a) for name, a in their_inputs.items()}).logits
    agree(logits, their_logits, "logits")
    d_logits = RNG.standard_normal(logits.shape)
    model.zero_grad()
    model.backward(d_logits, cache)
    their_logits.backward(tensor(d_logits))
    for name, ours, layout in names:
        agree(np.concatenate([layout.theirs(gradient(p)) for p in ours], axis=-1), parameters[name].grad, name)


@pytest.mark.parametrize(
    ("model_class", "options"),
    [(T5, {"feed_forward_proj": "relu"}), (T5v11, {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False})],
)
def test_t5(model_class, options):
    config = T5Config(23, 14, 5, 3, 11, 3, 2, n_buckets=8, max_distance=11)
    theirs = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=23,
            d_model=14,
            d_kv=5,
            num_heads=3,
            d_ff=11,
            num_layers=3,
            num_decoder_layers=2,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=11,
            dropout_rate=0.0,
            attn_implementation="eager",
            **options,
        )
    )
    if model_class is T5v11:  # some releases tie the two at first; published weights of v1.1 have a head of their own
        theirs.lm_head.weight = torch.nn.Parameter(theirs.lm_head.weight.detach().clone())
    source, target = RNG.integers(1, 23, (3, 31)), RNG.integers(0, 23, (3, 29))
    source[0, 17:] = source[2, 5:] = 0
    compare(
        built(model_class, config),
        theirs,
        t5_names,
        (source, target),
        input_ids=source,
        attention_mask=(source != 0).astype(int),
        decoder_input_ids=target,
    )


@pytest.mark.parametrize("d_ff", [None, 11])
def test_gpt_2(d_ff):
    config = GPTConfig(23, 19, 15, 3, 2, d_ff)
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=23,
            n_positions=19,
            n_embd=15,
            n_head=3,
            n_layer=2,
            n_inner=d_ff,
            attn_implementation="eager",
        )
    )
    ids = RNG.integers(0, 23, (3, 17))
    compare(built(GPT, config), theirs, gpt_names, (ids,), input_ids=ids)


@pytest.mark.parametrize("model_class", [Llama, TiedLlama])
@pytest.mark.parametrize("n_kv_heads", [None, 3, 1])
def test_llama(model_class, n_kv_heads):
    config = LlamaConfig(23, 40, 36, 6, n_kv_heads, 11, 2, base=500.0, eps=1e-4)
    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=23,
            hidden_size=36,
            num_attention_heads=6,
            num_key_value_heads=n_kv_heads,
            intermediate_size=11,
            num_hidden_layers=2,
            rope_parameters={"rope_type": "default", "rope_theta": 500.0},
            rms_norm_eps=1e-4,
            max_position_embeddings=40,
            tie_word_embeddings=model_class is TiedLlama,
            attn_implementation="eager",
        )
    )
    ids = RNG.integers(0, 23, (3, 17))
    compare(built(model_class, config), theirs, llama_names, (ids,), input_ids=ids)


@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (32, 256), (16, 40), (64, 1000)])
@pytest.mark.parametrize("bucket", [bidirectional_bucket, causal_bucket])
def test_the_buckets_of_all_distances(monkeypatch, bucket, n_buckets, max_distance):
    monkeypatch.undo()  # trained weights belong to the buckets of float32
    distances = np.arange(-1100, 1101)
    if bucket is causal_bucket:
        distances = distances[distances <= 0]
    theirs = T5Attention._relative_position_bucket(
        torch.tensor(distances), bucket is bidirectional_bucket, n_buckets, max_distance
    )
    ours = [bucket(int(distance), n_buckets, max_distance) for distance in distances]
    assert theirs.tolist() == ours


@pytest.mark.parametrize("n_heads", [1, 2, 3, 8, 12, 20])
def test_the_slopes_of_alibi(n_heads):
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    theirs = build_alibi_tensor(torch.ones(1, 7), n_heads, torch.float64)  # (H, 1, S), to be added to equal queries
    ours, _ = ALiBi(n_heads).forward(1, 7)
    agree(ours[0] - ours[0, :, :, :1], theirs, "slopes", 1e-6)
