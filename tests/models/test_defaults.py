"""What a call without settings means: published sizes and constants of papers. A default is part of the contract."""

import inspect

import pytest

from minitransformer import decoding, layers, models, training

# Sizes: Vaswani et al. 2017, table 3 (base); Raffel et al. 2020, T5-small; Radford et al. 2019, GPT-2 small;
# Touvron et al. 2023, Llama 2 7B. Constants: PyTorch (1e-5), T5 and RMSNorm (1e-6), Kingma and Ba 2015 (Adam),
# Loshchilov and Hutter 2019 (0.01), Su et al. 2021 (10000).
DEFAULTS = {
    models.TransformerConfig: {
        "target_vocab": None,
        "d_model": 512,
        "n_heads": 8,
        "d_ff": 2048,
        "n_encoder_blocks": 6,
        "n_decoder_blocks": 6,
        "dropout": 0.1,
        "pad": 0,
        "positions": models.Sinusoidal(),
    },
    models.T5Config: {
        "vocab": 32128,
        "d_model": 512,
        "d_kv": 64,
        "n_heads": 8,
        "d_ff": 2048,
        "n_encoder_blocks": 6,
        "n_decoder_blocks": 6,
        "n_buckets": 32,
        "max_distance": 128,
        "dropout": 0.1,
        "eps": 1e-6,
        "pad": 0,
    },
    models.GPTConfig: {
        "vocab": 50257,
        "max_length": 1024,
        "d_model": 768,
        "n_heads": 12,
        "n_blocks": 12,
        "d_ff": None,
        "dropout": 0.1,
        "eps": 1e-5,
        "head": models.Tied(1.0),
    },
    models.LlamaConfig: {
        "vocab": 32000,
        "max_length": 4096,
        "d_model": 4096,
        "n_heads": 32,
        "n_kv_heads": None,
        "d_ff": 11008,
        "n_blocks": 32,
        "base": 10000.0,
        "eps": 1e-5,
    },
    models.LSTMConfig: {
        "target_vocab": None,
        "d_model": 256,
        "d_embedding": None,
        "n_encoder_layers": 1,
        "n_decoder_layers": 1,
        "dropout": 0.1,
        "pad": 0,
    },
    models.MinimalConfig: {"d_model": 64, "n_heads": 1, "n_encoder_blocks": 1, "n_decoder_blocks": 1, "pad": 0},
    layers.LayerNorm: {"eps": 1e-5},
    layers.RMSNorm: {"eps": 1e-6},
    layers.Rotary: {"base": 10000.0},
    layers.CrossEntropy: {"pad": 0, "label_smoothing": 0.0},
    layers.RelativePositionBias: {"n_buckets": 32, "max_distance": 128, "bucket_function": layers.bidirectional_bucket},
    training.SGD: {"momentum": 0.0},
    training.Adam: {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    training.AdamW: {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    training.Noam: {"warmup": 4000, "factor": 1.0},
    training.WarmupCosine: {"warmup": 0, "final": 0.0},
    training.Trainer: {"optimizer": None, "schedule": 1e-3, "loss": None, "clip": 1.0, "seed": 0},
    decoding.Beam: {"num_beams": 4, "length_penalty": None, "num_return_sequences": 1},
    decoding.Sampling: {"seed": 0, "temperature": 1.0, "top_k": None, "top_p": None, "num_return_sequences": 1},
}


@pytest.mark.parametrize("thing", DEFAULTS, ids=lambda thing: thing.__name__)
def test_defaults_are_the_published_ones(thing):
    given = {p.name: p.default for p in inspect.signature(thing).parameters.values() if p.default is not p.empty}
    assert given == DEFAULTS[thing]


@pytest.mark.parametrize("name", sorted(set(layers.__all__) | set(models.__all__)))
def test_whatever_can_be_dropped_is_kept_by_default(name):
    thing = getattr(layers, name, None) or getattr(models, name)
    if not isinstance(thing, type) or name.endswith("Config") or not thing.__module__.startswith("minitransformer"):
        return
    parameters = inspect.signature(thing).parameters if "__init__" in vars(thing) else {}
    assert parameters.get("dropout") is None or parameters["dropout"].default == 0.0
