"""The models: sizes by hand, what may see what, gradients of all parameters."""

import numpy as np
import pytest

from minitransformer.layers import CrossEntropy, Glorot, Unallocated
from minitransformer.models import (
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    Transformer,
    TransformerConfig,
)
from minitransformer.verify import check_directions

from ..extent import extent

RECIPES = [
    pytest.param(lambda init: MinimalTransformer(MinimalConfig(13, 11, 6, 2, 2, 2), init), id="minimal"),
    pytest.param(lambda init: Transformer(TransformerConfig(13, 11, 6, 2, 10, 2, 2, 0.3), init), id="2017"),
    pytest.param(lambda init: PreNormTransformer(TransformerConfig(13, 11, 6, 2, 10, 2, 2, 0.3), init), id="pre-norm"),
]
EVERY_RECIPE = pytest.mark.parametrize("recipe", RECIPES)


def init(dtype=np.float64):
    return Glorot(np.random.default_rng(0), dtype)


def ids(seed=0):
    """Unpadded source (5, 7) below 13 and target (5, 6) below 11."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 13, (5, 7)), rng.integers(1, 11, (5, 6))


# ---- how many parameters


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_an_attention_cell_of_the_minimal_form_has_three_n_squared_weights(heads):
    model = MinimalTransformer(MinimalConfig(100, 90, d_model=16, n_heads=heads), Unallocated())
    for cell in (
        model.encoder.blocks[0].attention,
        *(getattr(model.decoder.blocks[0], n) for n in ("attention", "cross_attention")),
    ):
        assert cell.n_parameters() == 3 * 16**2


def test_the_minimal_form_is_counted_by_hand():
    model = MinimalTransformer(
        MinimalConfig(100, 90, d_model=16, n_encoder_blocks=3, n_decoder_blocks=2), Unallocated()
    )
    embeddings, linear = 100 * 16 + 90 * 16, 16 * 90
    assert model.n_parameters() == embeddings + 3 * (3 * 16**2) + 2 * (6 * 16**2) + linear


def by_hand(V, D, F, N):
    """One vocabulary, N encoder and N decoder blocks, post-norm."""
    attention, feed_forward, norm = 4 * D * D + 4 * D, 2 * D * F + F + D, 2 * D
    return V * D + N * (attention + feed_forward + 2 * norm) + N * (2 * attention + feed_forward + 3 * norm)


def test_the_base_model_of_2017_has_63_million_parameters():
    assert by_hand(37000, 512, 2048, 6) == 63_082_496
    assert Transformer(TransformerConfig.base(), Unallocated()).n_parameters() == 63_082_496


def test_the_big_model_of_2017_is_counted_by_hand():
    assert Transformer(TransformerConfig.big(), Unallocated()).n_parameters() == by_hand(37000, 1024, 4096, 6)


def test_pre_norm_has_one_norm_more_at_the_end_of_each_stack():
    config = TransformerConfig(50, None, 8, 2, 12, 2, 2)
    assert PreNormTransformer(config, Unallocated()).n_parameters() == by_hand(50, 8, 12, 2) + 2 * (2 * 8)


def test_two_vocabularies_have_two_tables_and_the_target_one_is_tied():
    model = Transformer(TransformerConfig(50, 40, 8, 2, 12, 2, 2), init())
    assert model.n_parameters() == by_hand(50, 8, 12, 2) + 40 * 8
    assert model.head.weight is model.target_embedding.tokens.weight
    assert model.head.weight is not model.source_embedding.tokens.weight


def test_one_vocabulary_is_one_table():
    model = Transformer(TransformerConfig(50, None, 8, 2, 12, 2, 2), init())
    assert model.head.weight is model.target_embedding.tokens.weight is model.source_embedding.tokens.weight


def test_parameters_are_named_as_the_model_is_built():
    names = dict(Transformer(TransformerConfig(50, None, 8, 2, 12, 2, 2), init()).named_parameters())
    assert "encoder.blocks.0.attention.query.weight" in names
    assert "decoder.blocks.1.cross_attention.norm.gain" in names
    assert "source_embedding.tokens.weight" in names
    assert "target_embedding.tokens.weight" not in names  # tied, so it stands under its first name


# ---- what may see what


@EVERY_RECIPE
def test_a_later_target_token_changes_nothing_before_it_bit_for_bit(recipe):
    model, (source, target) = recipe(init()), ids()
    logits = model(source, target)
    for t in range(1, 6):
        changed = target.copy()
        changed[:, t:] = 1 + changed[:, t:] % 10
        assert np.array_equal(model(source, changed)[:, :t], logits[:, :t])
        assert not np.array_equal(model(source, changed)[:, t:], logits[:, t:])


@EVERY_RECIPE
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_the_amount_of_padding_changes_nothing(recipe, dtype, tolerance):
    model, (source, target) = recipe(init(dtype)), ids()
    logits = model(source, target)
    padded_source = np.concatenate([source, np.zeros((5, 4), int)], axis=1)
    padded_target = np.concatenate([target, np.zeros((5, 3), int)], axis=1)
    padded = model(padded_source, padded_target)[:, :6]
    assert np.abs(padded - logits).max() <= tolerance * np.abs(logits).max()


@EVERY_RECIPE
def test_the_other_sentences_of_a_batch_change_nothing(recipe):
    model, (source, target) = recipe(init()), ids()
    logits = model(source, target)
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(model(source[order], target[order]), logits[order], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(model(source[:1], target[:1]), logits[:1], rtol=1e-12, atol=1e-13)


@EVERY_RECIPE
def test_without_positions_the_encoder_is_permutation_equivariant(recipe):
    encoder, x = recipe(init()).encoder, np.random.default_rng(0).standard_normal((2, 7, 6))
    order = np.array([4, 0, 6, 2, 1, 5, 3])
    np.testing.assert_allclose(encoder(x[:, order]), encoder(x)[:, order], rtol=1e-11, atol=1e-12)


@EVERY_RECIPE
def test_with_positions_the_order_matters(recipe):
    model, (source, target) = recipe(init()), ids()
    assert not np.allclose(model(source[:, ::-1].copy(), target), model(source, target))


@EVERY_RECIPE
def test_a_source_of_nothing_but_padding_stays_finite(recipe):
    model, (source, target) = recipe(init(np.float32)), ids()
    source[2] = 0
    logits, cache = model.forward(source, target, rng=np.random.default_rng(0))
    model.backward(logits, cache)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(p.grad).all() for p in model.parameters())


# ---- caches, halves, dropout


@EVERY_RECIPE
def test_attention_maps_are_found_by_their_path(recipe):
    model, (source, target) = recipe(init()), ids()
    source[0, 3:] = 0
    _, cache = model.forward(source, target)
    weights = cache["decoder"]["blocks"][0]["cross_attention"]["weights"]
    assert weights.shape == (5, 2, 6, 7)
    assert not weights[0, :, :, 3:].any()
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-13)
    assert cache["encoder"]["blocks"][1]["attention"]["weights"].shape == (5, 2, 7, 7)
    own = cache["decoder"]["blocks"][1]["attention"]["weights"]
    assert np.array_equal(own > 0, np.broadcast_to(np.tri(6, dtype=bool), own.shape))


@EVERY_RECIPE
def test_encoding_then_decoding_is_the_whole(recipe):
    model, (source, target) = recipe(init()), ids()
    memory, _ = model.encode(source)
    logits, _ = model.decode(target, memory, (source != 0)[:, None, None, :])
    assert np.array_equal(logits, model(source, target))


def test_dropout_acts_with_a_generator_only():
    model, (source, target) = Transformer(TransformerConfig(13, 11, 6, 2, 10, 1, 1, 0.5), init()), ids()
    logits = model(source, target)
    assert np.array_equal(model.forward(source, target, rng=None)[0], logits)
    assert not np.allclose(model.forward(source, target, rng=np.random.default_rng(0))[0], logits)


@EVERY_RECIPE
def test_float32_trains_in_float32_throughout(recipe):
    model, (source, target) = recipe(init(np.float32)), ids()
    logits, cache = model.forward(source, target, rng=np.random.default_rng(0))
    loss, loss_cache = CrossEntropy(label_smoothing=0.1).forward(logits, target)
    d_logits = CrossEntropy(label_smoothing=0.1).backward(1.0, loss_cache)
    model.backward(d_logits, cache)
    arrays = [value for _, value in cache.rows() if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    arrays += [p.grad for p in model.parameters()]
    assert {a.dtype for a in [logits, d_logits, np.asarray(loss), *arrays]} == {np.dtype(np.float32)}


# ---- gradients of a larger model; every number of a small one is in tests/verify/test_cases.py


LARGER = [
    pytest.param(lambda init: MinimalTransformer(MinimalConfig(101, 89, 30, 3, 2, 2), init), id="minimal"),
    pytest.param(lambda init: Transformer(TransformerConfig(101, 89, 30, 3, 53, 2, 2, 0.2), init), id="2017"),
    pytest.param(
        lambda init: PreNormTransformer(TransformerConfig(101, None, 30, 5, 53, 2, 2, 0.2), init), id="pre-norm"
    ),
]


@pytest.mark.parametrize("recipe", extent(LARGER[:1], LARGER))
def test_two_hundred_directions_of_a_larger_model_agree_to_1e_12(recipe):
    rng = np.random.default_rng(0)
    source, target = rng.integers(1, 89, (3, 7)), rng.integers(1, 89, (3, 5))
    source[1, 4:] = 0
    check_directions(recipe(init()), source, target, n=200, randomize=True).raise_if_failed()


# ---- errors


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (np.ones(3, int), np.ones((1, 3), int), r"source has shape \(3,\)"),
        (np.ones((1, 3), int), np.ones((1, 0), int), r"target has shape \(1, 0\)"),
        (np.ones((2, 3), int), np.ones((1, 3), int), "target has 1 sentences: the source has 2"),
        (np.full((1, 3), 13), np.ones((1, 3), int), "ids holds 13: ids must be at least 0 and below 13"),
    ],
)
def test_wrong_sentences_are_named(source, target, words):
    model = MinimalTransformer(MinimalConfig(13, 11, 6, 2), init())
    with pytest.raises(ValueError, match=words):
        model(source, target)
