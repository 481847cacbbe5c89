"""T5, GPT and Llama: sizes of the published models, what may see what, first weights, what is refused."""

import sys
import time

import numpy as np
import pytest

from minitransformer.layers import CrossEntropy, Glorot, Normal, Unallocated
from minitransformer.models import (
    GPT,
    LANGUAGE_MODELS,
    MODELS,
    T5,
    GPTConfig,
    Llama,
    LlamaConfig,
    T5Config,
    T5v11,
    TiedLlama,
    TransformerConfig,
    build_model,
)
from minitransformer.verify import check_directions

from ..extent import extent

V = 13
T5_SIZES = T5Config(V, 6, 5, 3, 11, 2, 2, n_buckets=8, max_distance=7, dropout=0.2)
TRANSLATORS = [
    pytest.param(lambda init: T5(T5_SIZES, init), id="t5"),
    pytest.param(lambda init: T5v11(T5_SIZES, init), id="t5-v1.1"),
]
LANGUAGE = [
    pytest.param(lambda init: GPT(GPTConfig(V, 19, 6, 3, 2, 11, 0.2), init), id="gpt"),
    pytest.param(lambda init: Llama(LlamaConfig(V, 19, 24, 6, 2, 11, 2, 50.0), init), id="llama"),
    pytest.param(lambda init: TiedLlama(LlamaConfig(V, 19, 12, 3, None, 11, 2), init), id="llama-tied"),
]


def built(recipe, dtype=np.float64):
    rng = np.random.default_rng(0)
    model = recipe(Glorot(rng, dtype))
    for parameter in model.parameters():
        parameter.value = (parameter.value + 0.3 * rng.standard_normal(parameter.shape)).astype(dtype)
    return model


def ids(*shape, seed=1):
    return np.random.default_rng(seed).integers(1, V, shape)


# ---- how many parameters


PUBLISHED = [
    (GPT, GPTConfig.gpt2(), 124_439_808),
    (GPT, GPTConfig.gpt2_medium(), 354_823_168),
    (GPT, GPTConfig.gpt2_large(), 774_030_080),
    (GPT, GPTConfig.gpt2_xl(), 1_557_611_200),
    (T5, T5Config.small(), 60_506_624),
    (T5, T5Config.base(), 222_903_552),
    (T5, T5Config.large(), 737_668_096),
    (T5, T5Config.xl(), 2_851_598_336),
    (T5, T5Config.xxl(), 11_307_321_344),
    (T5v11, T5Config.v1_1_small(), 76_961_152),
    (T5v11, T5Config.v1_1_base(), 247_577_856),
    (Llama, LlamaConfig.llama2_7b(), 6_738_415_616),
    (Llama, LlamaConfig.llama2_13b(), 13_015_864_320),
    (Llama, LlamaConfig.llama2_70b(), 68_976_648_192),
    (Llama, LlamaConfig.llama3_8b(), 8_030_261_248),
]


@pytest.mark.parametrize(("model_class", "config", "published"), PUBLISHED)
def test_published_models_are_counted_exactly_in_no_time_and_no_memory(model_class, config, published):
    start, used = time.perf_counter(), peak_bytes()
    assert model_class(config, Unallocated()).n_parameters() == published
    assert time.perf_counter() - start < 1.0
    assert peak_bytes() - used < 100e6


def peak_bytes():
    try:
        import resource
    except ImportError:  # a browser's Python, which cannot tell
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def test_the_smallest_story_teller_is_counted_by_hand():
    block = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 172 + 2 * 64
    assert TiedLlama(LlamaConfig.stories260k(), Unallocated()).n_parameters() == 512 * 64 + 5 * block + 64


def test_one_table_of_relative_positions_serves_a_stack():
    model = T5(T5_SIZES, Unallocated())
    names = [name for name, _ in model.named_parameters() if name.endswith("attention.bias.weight")]
    assert names == [f"{stack}.blocks.0.attention.attention.bias.weight" for stack in ("encoder", "decoder")]


# ---- what may see what


@pytest.mark.parametrize("recipe", LANGUAGE)
def test_a_later_token_changes_nothing_before_it_bit_for_bit(recipe):
    model, text = built(recipe), ids(5, 9)
    logits = model(text)
    for t in range(1, 9):
        changed = text.copy()
        changed[:, t:] = 1 + changed[:, t:] % (V - 1)
        assert np.array_equal(model(changed)[:, :t], logits[:, :t])
        assert not np.array_equal(model(changed)[:, t:], logits[:, t:])


@pytest.mark.parametrize("recipe", TRANSLATORS)
def test_a_later_target_token_changes_nothing_before_it_bit_for_bit(recipe):
    model, source, target = built(recipe), ids(5, 7), ids(5, 9, seed=2)
    logits = model(source, target)
    for t in range(1, 9):
        changed = target.copy()
        changed[:, t:] = 1 + changed[:, t:] % (V - 1)
        assert np.array_equal(model(source, changed)[:, :t], logits[:, :t])


@pytest.mark.parametrize("recipe", TRANSLATORS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_the_amount_of_padding_changes_nothing(recipe, dtype, tolerance):
    model, source, target = built(recipe, dtype), ids(5, 7), ids(5, 9, seed=2)
    logits = model(source, target)
    padded = model(np.pad(source, ((0, 0), (0, 4))), np.pad(target, ((0, 0), (0, 3))))[:, :9]
    assert np.abs(padded - logits).max() <= tolerance * np.abs(logits).max()


@pytest.mark.parametrize("recipe", TRANSLATORS)
def test_a_source_of_nothing_but_padding_stays_finite(recipe):
    model, source, target = built(recipe, np.float32), ids(5, 7), ids(5, 9, seed=2)
    source[2] = 0
    logits, cache = model.forward(source, target, rng=np.random.default_rng(0))
    model.backward(logits, cache)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("recipe", [*LANGUAGE, *TRANSLATORS])
def test_the_order_of_what_is_read_matters(recipe):
    model, inputs = built(recipe), [ids(3, 9), ids(3, 9, seed=2)]
    inputs = inputs[:1] if hasattr(model, "embedding") else inputs
    logits = model(*inputs)
    inputs[0] = inputs[0].copy()
    inputs[0][:, :2] = inputs[0][:, 1::-1]
    assert not np.allclose(model(*inputs)[:, -1], logits[:, -1])


@pytest.mark.parametrize("recipe", [*LANGUAGE, *TRANSLATORS])
def test_float32_trains_in_float32_throughout(recipe):
    model, inputs = built(recipe, np.float32), [ids(3, 9), ids(3, 9, seed=2)]
    inputs = inputs[:1] if hasattr(model, "embedding") else inputs
    logits, cache = model.forward(*inputs, rng=np.random.default_rng(0))
    loss, loss_cache = CrossEntropy().forward(logits, inputs[-1])
    model.backward(CrossEntropy().backward(1.0, loss_cache), cache)
    arrays = [value for _, value in cache.rows() if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    arrays += [logits, np.asarray(loss), *(p.grad for p in model.parameters())]
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}


# ---- gradients of larger models; every number of small ones is in tests/verify/test_cases.py


LARGER = [
    pytest.param(
        lambda init: T5(T5Config(101, 30, 7, 5, 53, 2, 2, 8, 11, dropout=0.2), init), [(3, 17), (3, 13)], id="t5"
    ),
    pytest.param(
        lambda init: T5v11(T5Config(101, 30, 7, 5, 53, 2, 2, 8, 11, dropout=0.2), init),
        [(3, 17), (3, 13)],
        id="t5-v1.1",
    ),
    pytest.param(lambda init: GPT(GPTConfig(101, 19, 30, 3, 3, dropout=0.2), init), [(3, 17)], id="gpt"),
    pytest.param(lambda init: Llama(LlamaConfig(101, 19, 48, 6, 2, 53, 3), init), [(3, 17)], id="llama"),
]


@pytest.mark.parametrize(("recipe", "shapes"), extent(LARGER[-1:], LARGER))
def test_a_hundred_directions_of_a_larger_model_agree_to_1e_12(recipe, shapes):
    rng = np.random.default_rng(0)
    inputs = [rng.integers(1, 101, shape) for shape in shapes]
    check_directions(recipe(Glorot(rng, np.float64)), *inputs, n=100, randomize=True).raise_if_failed()


# ---- first weights


def test_a_bare_generator_draws_gpt_2_s_own_weights():
    model = GPT(GPTConfig(500, 64, 96, 3, 8), np.random.default_rng(0))
    block = model.decoder.blocks[3]
    for weight, std in (
        (model.embedding.tokens.weight, 0.02),
        (model.embedding.positions.weight, 0.02),
        (block.attention.sublayer.query.weight, 0.02),
        (block.feed_forward.sublayer.up_proj.weight, 0.02),
        (block.attention.sublayer.output.weight, 0.02 / 4),  # 2 N = 16 branches add up
        (block.feed_forward.sublayer.down_proj.weight, 0.02 / 4),
    ):
        assert weight.value.std() == pytest.approx(std, rel=0.05)
        assert weight.dtype == np.float32


def test_an_initializer_that_is_given_is_used():
    model = Llama(LlamaConfig(500, 64, 96, 3, None, 200, 2), Normal(np.random.default_rng(0), np.float64, std=0.5))
    assert model.decoder.blocks[0].attention.sublayer.key.weight.value.std() == pytest.approx(0.5, rel=0.05)
    assert model.decoder.blocks[0].attention.sublayer.output.weight.value.std() == pytest.approx(0.25, rel=0.05)


def test_t5_begins_with_tables_of_order_one_and_a_loss_near_that_of_guessing():
    model = T5(T5Config(64, 48, 16, 3, 96, 2, 2), np.random.default_rng(0))
    assert model.source_embedding.tokens.weight.value.std() == pytest.approx(1.0, rel=0.05)
    source, target = np.random.default_rng(1).integers(1, 64, (2, 8, 20))
    loss, _ = CrossEntropy().forward(model(source, target), target)
    assert loss < 2 * np.log(64)


# ---- registries and what is refused


def test_translators_and_language_models_are_listed_apart():
    assert {"t5", "t5-v1.1"} <= set(MODELS)
    assert set(LANGUAGE_MODELS) == {"gpt", "llama", "llama-tied"}
    assert not set(MODELS) & set(LANGUAGE_MODELS)


def test_every_name_builds_its_model_from_a_config_that_was_written_down():
    for name, config, model_class in (
        ("t5", T5_SIZES, T5),
        ("t5-v1.1", T5_SIZES, T5v11),
        ("gpt", GPTConfig.nano(V, 9), GPT),
        ("llama", LlamaConfig.stories260k(), Llama),
        ("llama-tied", LlamaConfig.stories260k(), TiedLlama),
    ):
        again = type(config).from_dict(config.to_dict())
        assert again == config
        assert type(build_model(name, again, Unallocated())) is model_class
    with pytest.raises(ValueError, match="takes a GPTConfig"):
        build_model("gpt", TransformerConfig(5), Unallocated())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: GPTConfig(n_heads=5), "n_heads=5"),
        (lambda: GPTConfig(d_ff=0), "d_ff=0"),
        (lambda: GPTConfig(dropout=1.0), "dropout=1.0"),
        (lambda: LlamaConfig(d_model=12, n_heads=4), "n_heads=4: d_model / n_heads must be even"),
        (lambda: LlamaConfig(n_kv_heads=5), "n_kv_heads=5"),
        (lambda: T5Config(n_buckets=2), "n_buckets=2"),
        (lambda: T5(T5Config(max_distance=8), Unallocated()), "max_distance=8"),
        (lambda: built(LANGUAGE[0].values[0])(ids(2, 20)), "max_length=19"),
        (lambda: built(LANGUAGE[1].values[0])(ids(2)), r"ids have shape \(2,\)"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
