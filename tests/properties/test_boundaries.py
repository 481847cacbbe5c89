"""Values at the edge of what is allowed, which nobody tries by hand: zero, one, the smallest, scores of size 100."""

import numpy as np
import pytest

from minitransformer.data import Batch, split_by_source
from minitransformer.decoding import next_word_distribution
from minitransformer.decoding.hypothesis import log_probability_of
from minitransformer.layers import (
    CrossEntropy,
    Dense,
    Glorot,
    LayerNorm,
    Linear,
    RMSNorm,
    ScaledDotProductAttention,
    SelfAttention,
    Softmax,
    causal_mask,
    sinusoids,
)
from minitransformer.models import GPT, GPTConfig, MinimalConfig, MinimalTransformer
from minitransformer.training import SGD, Adam, AdamW, Trainer, clip_by_global_norm


def rng():
    return np.random.default_rng(0)


def gpt(vocab=7, dtype=np.float64):
    return GPT(GPTConfig(vocab, 5, 4, 2, 1, dropout=0.0), Glorot(rng(), dtype))


IDS = np.array([[1, 2, 3, 4], [5, 6, 1, 2]])
BATCH = Batch((IDS[:, :-1],), IDS[:, 1:], pad=0)


def test_the_rate_of_each_step_is_the_schedule_s_at_that_step():
    rates = {1: 0.5, 2: 0.25, 3: 2.0}
    trainer = Trainer(gpt(), SGD(), rates.__getitem__, clip=None)
    by_hand = gpt()
    for step in (1, 2, 3):
        record = trainer.train_step(BATCH)
        assert record["learning_rate"] == rates[step]
        by_hand.zero_grad()
        logits, cache = by_hand.forward(*BATCH.inputs)
        _, loss_cache = CrossEntropy(pad=0).forward(logits, BATCH.targets)
        by_hand.backward(CrossEntropy(pad=0).backward(1.0, loss_cache), cache)
        for parameter in by_hand.parameters():
            parameter.value -= rates[step] * parameter.grad
        for mine, other in zip(trainer.model.parameters(), by_hand.parameters()):
            np.testing.assert_allclose(mine.value, other.value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("size", [100.0, 1e4])
def test_a_softmax_over_large_scores_is_exact_in_float32(size):
    scores = (rng().standard_normal((6, 11)) * size).astype(np.float32)
    exact = np.exp(scores.astype(float) - scores.max(axis=-1, keepdims=True))
    exact /= exact.sum(axis=-1, keepdims=True)
    dy = rng().standard_normal(scores.shape)
    wanted_dx = exact * (dy - (dy * exact).sum(axis=-1, keepdims=True))
    y, cache = Softmax().forward(scores)
    np.testing.assert_allclose(y, exact, atol=1e-6)
    np.testing.assert_allclose(Softmax().backward(dy.astype(np.float32), cache), wanted_dx, atol=1e-5)
    np.testing.assert_allclose(next_word_distribution(scores), exact, atol=1e-6)

    targets = np.arange(6)[None]
    loss, cache = CrossEntropy(pad=-1).forward(scores[None], targets)
    log = scores.astype(float) - scores.max(axis=-1, keepdims=True)
    log -= np.log(np.exp(log).sum(axis=-1, keepdims=True))
    truth = log[np.arange(6), targets[0]]
    assert loss == pytest.approx(-truth.mean(), rel=1e-5)
    one_hot = np.eye(11)[targets[0]]
    np.testing.assert_allclose(CrossEntropy(pad=-1).backward(1.0, cache)[0], (exact - one_hot) / 6, atol=1e-6)
    np.testing.assert_allclose(log_probability_of(scores, targets[0]), truth, rtol=1e-5)


def test_attention_over_large_scores_is_finite_in_float32_with_and_without_masks():
    q, k, v = (rng().standard_normal((1, 2, 5, 4)).astype(np.float32) for _ in range(3))
    attention = ScaledDotProductAttention()
    for mask in (None, causal_mask(5)):
        context, cache = attention.forward(q * 100, k * 100, v, mask)
        assert np.isfinite(context).all()
        np.testing.assert_allclose(cache["weights"].sum(axis=-1), 1.0, atol=1e-6)
        assert all(np.isfinite(d).all() for d in attention.backward(np.ones_like(context), cache))


def test_decay_of_zero_is_adam():
    runs = []
    for optimizer in (Adam(), AdamW(weight_decay=0.0)):
        trainer = Trainer(gpt(), optimizer, 0.01)
        for _ in range(3):
            trainer.train_step(BATCH)
        runs.append(np.concatenate([p.value.reshape(-1) for p in trainer.model.parameters()]))
    np.testing.assert_array_equal(*runs)


def test_a_vocabulary_of_one_word_is_known_by_heart():
    model = gpt(vocab=1)
    ids = np.zeros((2, 3), int)
    logits, cache = model.forward(ids)
    loss, loss_cache = CrossEntropy(pad=-1).forward(logits, ids)
    assert loss == 0.0
    model.backward(CrossEntropy(pad=-1).backward(1.0, loss_cache), cache)
    assert all(not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("make", [lambda: Linear(4, 3, rng()), lambda: Dense(4, 3, rng()), lambda: LayerNorm(4, rng())])
def test_a_layer_for_features_takes_as_many_axes_as_numpy_allows(make):
    layer, flat = make(), make()
    x = rng().standard_normal((1,) * 29 + (2, 3, 4)).astype(np.float32)  # 32, NumPy 1's limit
    y, cache = layer.forward(x)
    y_flat, cache_flat = flat.forward(x.reshape(6, 4))
    np.testing.assert_array_equal(y.reshape(6, -1), y_flat)
    dx, dx_flat = layer.backward(np.ones_like(y), cache), flat.backward(np.ones_like(y_flat), cache_flat)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dx.reshape(6, 4), dx_flat)


def test_no_positions_are_no_vectors():
    assert sinusoids(0, 4).shape == (0, 4)
    x = np.zeros((2, 0, 4), np.float32)
    for layer in (Linear(4, 3, rng()), RMSNorm(4, rng())):
        y, cache = layer.forward(x)
        assert y.shape[:2] == (2, 0)
        assert layer.backward(np.zeros_like(y), cache).shape == x.shape
        assert all(not p.grad.any() for p in layer.parameters())


def test_one_position_looks_at_itself_alone():
    layer = SelfAttention(4, 2, Glorot(rng(), np.float64))
    x = rng().standard_normal((3, 1, 4))
    y, cache = layer.forward(x)
    assert (cache["weights"] == 1.0).all()
    value, _ = layer.value.forward(x)
    np.testing.assert_allclose(y, layer.output.forward(value)[0], rtol=1e-13)


def test_a_clip_of_zero_is_refused_and_a_tiny_one_scales_to_it():
    grad = rng().standard_normal(9)
    with pytest.raises(ValueError, match=r"max_norm=0\.0: must be above 0"):
        clip_by_global_norm(grad, 0.0)
    with pytest.raises(ValueError, match=r"clip=0\.0"):
        Trainer(gpt(), clip=0.0)
    before = grad.copy()
    norm = clip_by_global_norm(grad, 1e-9)
    assert norm == pytest.approx(np.linalg.norm(before))
    np.testing.assert_allclose(grad, before / norm * 1e-9, rtol=1e-12)
    assert clip_by_global_norm(grad, np.linalg.norm(grad)) == pytest.approx(1e-9)  # at the limit nothing changes
    np.testing.assert_allclose(grad, before / norm * 1e-9, rtol=1e-12)


@pytest.mark.parametrize("fractions", [(0.9, 0.05, 0.05), (0.5, 0.5), (1.0,), (0.34, 0.33, 0.33), (0.0, 1.0)])
def test_the_parts_of_a_split_are_within_one_source_of_their_share(fractions):
    for n in (40, 41, 47, 50, 59, 60, 61, 99, 100):
        parts = split_by_source([(str(i), "x") for i in range(n)], fractions)
        assert sum(map(len, parts)) == n
        for part, fraction in zip(parts, fractions):
            assert abs(len(part) - n * fraction) <= 1.0
            assert bool(part) == (fraction > 0)


def test_models_of_one_feature_a_head_and_one_token_train():
    model = MinimalTransformer(MinimalConfig(4, 4, 2, 2), rng())
    batch = Batch((np.array([[3]]), np.array([[1]])), np.array([[2]]))
    trainer = Trainer(model, SGD(), 0.1)
    assert trainer.train_step(batch)["loss"] > trainer.train_step(batch)["loss"]
