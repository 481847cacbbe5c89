"""What a call without settings means: published sizes and constants of papers. A default is part of the contract."""

import inspect

import numpy as np
import pytest

from minitransformer import data, decoding, layers, models, pretrained, training, verify
from minitransformer.course import grading, problems
from minitransformer.data import batches
from minitransformer.data.tasks import joeynmt, sorting, span_corruption, symbols, written
from minitransformer.decoding import inside, metrics
from minitransformer.pretrained import hf_tensors, llama2c
from minitransformer.training import checkpoint, parallel, trainer

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
    decoding.greedy: {"max_new_tokens": 100, "start": None, "eos": None},
    decoding.beam_search: {
        "num_beams": 4,
        "length_penalty": None,
        "num_return_sequences": 1,
        "max_new_tokens": 100,
        "start": None,
        "eos": None,
        "on_step": None,
    },
    decoding.sample: {
        "seed": 0,
        "temperature": 1.0,
        "top_k": None,
        "top_p": None,
        "num_return_sequences": 1,
        "max_new_tokens": 100,
        "start": None,
        "eos": None,
    },
    decoding.outcomes: {"weights": 40, "vectors": 40},
    decoding.Branch: {"parent": None, "kept": True, "winner": False, "lives": True},
    decoding.Translator.beam_tree: {"max_new_tokens": None, "dropped": 2},
    # Ids of padding, beginning and end: 0, 1, 2, as the vocabularies number them.
    data.Batch: {"pad": 0},
    data.pad_sequences: {"pad": 0, "dtype": np.intp},
    data.PairBatches: {"pad": 0, "start": 1, "eos": 2, "bucket": True},
    data.FreshBatches: {"pad": 0, "start": 1, "eos": 2},
    data.evaluation_batches: {"pad": 0, "start": 1, "eos": 2},
    data.split_by_source: {"fractions": (0.9, 0.05, 0.05), "seed": 0},
    data.WordVocabulary.build: {"min_count": 1, "max_size": None, "lowercase": False},
    # Raffel et al. 2020, section 3.3.4: 15 % of the tokens, spans of 3; T5's 100 sentinels.
    span_corruption.sentinels: {"n": 100},
    span_corruption.random_spans: {"density": 0.15, "mean_span": 3.0},
    span_corruption.SpanCorruption: {"density": 0.15, "mean_span": 3.0},
    # Joey NMT's generate_reverse_task.py, minGPT's demo, Keras's addition_rnn.py.
    joeynmt.joeynmt_reversal: {"n_training": 50_000, "n_validation": 1000, "n_test": 1000, "seed": 42},
    sorting.SortingTask: {"length": 6, "n_symbols": 3, "batch_size": 64},
    written.addition: {"seed": 0, "digits": 3, "sizes": (45_000, 2500, 2500)},
    written.dates: {"seed": 0, "sizes": (20_000, 1000, 2000)},
    symbols.ToyTask: {"n_symbols": 10, "min_length": 1, "max_length": 10},
    # The settings under which a PASS is given. The step of a central difference is the cube root of eps = 2.2e-16.
    verify.check_gradients: {
        "method": "complex",
        "tolerance": None,
        "differentiable": None,
        "seed": 0,
        "dropout_seed": 1,
        "randomize": True,
        "frozen": (),
    },
    verify.check_directions: {
        "n": 200,
        "tolerance": 1e-12,
        "differentiable": None,
        "seed": 0,
        "dropout_seed": 1,
        "randomize": False,
    },
    verify.central_difference: {"step": 6e-6},
    # Hugging Face transformers: shards of 5 GB.
    pretrained.save_pretrained: {"tokenizer": None, "shard_bytes": 5_000_000_000},
    pretrained.from_pretrained: {"dtype": np.float32, "ignore": ()},
    grading.Limits: {"seconds": 10.0, "total": 300.0, "megabytes": 2048},
}

# Numbers that the documentation names.
CONSTANTS = {
    batches: {"WINDOW": 100, "FRESH_WINDOW": 4},
    joeynmt: {"N_SYMBOLS": 50},
    written: {"FIRST_YEAR": 1950, "LAST_YEAR": 2049, "N_DATES": 36_525},
    inside: {"NUMBERS": 2_000_000, "NEW_TOKENS": 12},
    metrics: {"CHARACTERS": 6, "WORDS": 4, "BETA": 2.0},  # Popovic 2015 and Papineni et al. 2002
    trainer: {"BLOWN_UP": 20.0},
    checkpoint: {
        "MANIFEST_LIMIT": 2**20,
        "DESCRIPTION_LIMIT": 2**21,
        "NAME_LIMIT": 1000,
        "LISTS_LIMIT": 50_000,
        # APPNOTE.TXT 6.3.10: version 4.5 has sizes of 64 bits, bit 11 is UTF-8; 0x21 is the first day of 1980.
        "VERSION": 45,
        "UTF8": 0x800,
        "STORED": 0,
        "MIDNIGHT": 0,
        "NEW_YEAR_1980": 0x21,
        "IN_EXTRA": 2**32 - 1,
    },
    parallel.trainer: {"CHECKED_EVERY": 100},
    parallel.workers: {"LOOKS_EVERY": 0.2},
    hf_tensors: {"JSON_LIMIT": 64 * 1024 * 1024},
    llama2c: {"MAGIC": int.from_bytes(b"ak42", "big"), "BOS": 1, "EOS": 2, "FIRST_BYTE": 3},
    verify.check: {"FLOOR": 1e-2, "MOST_DIAGNOSES": 3, "TOLERANCES": {"complex": 1e-12, "central": 1e-6}},
    verify.diagnosis: {"MOST_VECTORS": 6},
    problems: {"RELATIVE": 1e-8, "ABSOLUTE": 1e-9},
}


@pytest.mark.parametrize("thing", DEFAULTS, ids=lambda thing: thing.__name__)
def test_defaults_are_the_published_ones(thing):
    given = {p.name: p.default for p in inspect.signature(thing).parameters.values() if p.default is not p.empty}
    assert given == DEFAULTS[thing]


@pytest.mark.parametrize("module", CONSTANTS, ids=lambda module: module.__name__)
def test_constants_are_those_of_the_documentation(module):
    assert {name: getattr(module, name) for name in CONSTANTS[module]} == CONSTANTS[module]


@pytest.mark.parametrize("name", sorted(set(layers.__all__) | set(models.__all__)))
def test_whatever_can_be_dropped_is_kept_by_default(name):
    thing = getattr(layers, name, None) or getattr(models, name)
    if not isinstance(thing, type) or name.endswith("Config") or not thing.__module__.startswith("minitransformer"):
        return
    parameters = inspect.signature(thing).parameters if "__init__" in vars(thing) else {}
    assert parameters.get("dropout") is None or parameters["dropout"].default == 0.0


# As published: (vocab, max_length, d_model, n_heads, n_kv_heads, d_ff, n_blocks, base), (d_model, n_heads, n_blocks),
# and (d_model, d_kv, n_heads, d_ff, n_blocks).
LLAMAS = {
    "stories260k": (512, 512, 64, 8, 4, 172, 5, 10_000),
    "llama2_7b": (32_000, 4096, 4096, 32, None, 11_008, 32, 10_000),
    "llama2_13b": (32_000, 4096, 5120, 40, None, 13_824, 40, 10_000),
    "llama2_70b": (32_000, 4096, 8192, 64, 8, 28_672, 80, 10_000),
    "llama3_8b": (128_256, 8192, 4096, 32, 8, 14_336, 32, 500_000),
}
GPTS = {
    "gpt2": (768, 12, 12),
    "gpt2_medium": (1024, 16, 24),
    "gpt2_large": (1280, 20, 36),
    "gpt2_xl": (1600, 25, 48),
}
T5S = {
    "small": (512, 64, 8, 2048, 6),
    "base": (768, 64, 12, 3072, 12),
    "large": (1024, 64, 16, 4096, 24),
    "xl": (1024, 128, 32, 16_384, 24),
    "xxl": (1024, 128, 128, 65_536, 24),
    "v1_1_small": (512, 64, 6, 1024, 8),
    "v1_1_base": (768, 64, 12, 2048, 12),
    "v1_1_large": (1024, 64, 16, 2816, 24),
    "v1_1_xl": (2048, 64, 32, 5120, 24),
    "v1_1_xxl": (4096, 64, 64, 10_240, 24),
}


@pytest.mark.parametrize("name", LLAMAS)
def test_llamas_have_their_published_sizes(name):
    c = getattr(models.LlamaConfig, name)()
    got = (c.vocab, c.max_length, c.d_model, c.n_heads, c.n_kv_heads, c.d_ff, c.n_blocks, c.base)
    assert (got, c.eps) == (LLAMAS[name], 1e-5)


@pytest.mark.parametrize("name", GPTS)
def test_gpts_have_their_published_sizes(name):
    c = getattr(models.GPTConfig, name)()
    assert (c.d_model, c.n_heads, c.n_blocks) == GPTS[name]
    assert (c.vocab, c.max_length, c.d_ff, c.dropout, c.eps) == (50_257, 1024, None, 0.1, 1e-5)


@pytest.mark.parametrize("name", T5S)
def test_t5s_have_their_published_sizes(name):
    c = getattr(models.T5Config, name)()
    assert (c.d_model, c.d_kv, c.n_heads, c.d_ff, c.n_encoder_blocks) == T5S[name]
    assert (c.vocab, c.n_decoder_blocks, c.n_buckets, c.max_distance) == (32_128, c.n_encoder_blocks, 32, 128)


def test_the_transformers_of_the_paper_have_their_published_sizes():
    base, big = models.TransformerConfig.base(37_000), models.TransformerConfig.big(37_000)
    assert (base.d_model, base.n_heads, base.d_ff, base.n_encoder_blocks, base.dropout) == (512, 8, 2048, 6, 0.1)
    assert (big.d_model, big.n_heads, big.d_ff, big.n_decoder_blocks, big.dropout) == (1024, 16, 4096, 6, 0.3)
