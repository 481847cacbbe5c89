"""Cross-entropy by hand and by its definition."""

import math

import numpy as np
import pytest

from minitransformer.layers import CrossEntropy

LOG2 = math.log(2.0)


def test_values_by_hand():
    logits = np.array([[[0.0, LOG2, 0.0], [0.0, 0.0, 0.0], [9.0, 9.0, 1.0]]])
    loss, _ = CrossEntropy(pad=0).forward(logits, np.array([[1, 2, 0]]))
    assert loss == pytest.approx((math.log(2.0) + math.log(3.0)) / 2, rel=1e-14)  # -log 1/2, -log 1/3, padding


def test_backward_by_hand():
    logits = np.array([[[0.0, LOG2, 0.0], [0.0, 0.0, 0.0], [9.0, 9.0, 1.0]]])
    _, cache = CrossEntropy(pad=0).forward(logits, np.array([[1, 2, 0]]))
    d_logits = CrossEntropy(pad=0).backward(4.0, cache)  # 4 (p - onehot) / 2
    np.testing.assert_allclose(d_logits, [[[0.5, -1.0, 0.5], [2 / 3, 2 / 3, -4 / 3], [0.0, 0.0, 0.0]]], rtol=1e-14)


@pytest.mark.parametrize("e", [0.0, 0.1, 0.9])
def test_label_smoothing_by_its_definition(e):
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((2, 5, 7)), rng.integers(0, 7, (2, 5))
    total, count = 0.0, 0
    for row, target in zip(logits.reshape(-1, 7), targets.reshape(-1)):
        if target == 3:
            continue
        log_sum = math.log(sum(math.exp(z) for z in row))
        for v in range(7):
            q = e / 7 + (1 - e) * (v == target)
            total -= q * (row[v] - log_sum)
        count += 1
    loss, _ = CrossEntropy(pad=3, label_smoothing=e).forward(logits, targets)
    assert loss == pytest.approx(total / count, rel=1e-13)


def test_uniform_logits_cost_the_logarithm_of_the_vocabulary():
    loss, _ = CrossEntropy(pad=0, label_smoothing=0.3).forward(np.zeros((1, 2, 11)), np.array([[4, 5]]))
    assert loss == pytest.approx(math.log(11.0), rel=1e-14)


def test_padding_has_no_part_in_loss_and_gradient():
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((2, 4, 5)), np.array([[1, 2, 0, 0], [4, 0, 0, 0]])
    other = np.where((targets == 0)[..., None], 77.0, logits)
    layer = CrossEntropy(pad=0)
    (a, cache), (b, _) = layer.forward(logits, targets), layer.forward(other, targets)
    assert a == b
    assert not layer.backward(1.0, cache)[targets == 0].any()


def test_shares_of_a_batch_add_to_the_batch():
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((4, 3, 5)), np.array([[1, 2, 0], [4, 0, 0], [0, 0, 0], [3, 3, 3]])
    layer = CrossEntropy(pad=0, label_smoothing=0.1)
    whole, cache = layer.forward(logits, targets)
    parts = [layer.forward(logits[s], targets[s], 6) for s in (slice(0, 2), slice(2, 3), slice(3, 4))]
    assert sum(loss for loss, _ in parts) == pytest.approx(whole, rel=1e-14)
    gradient = np.concatenate([layer.backward(1.0, c) for _, c in parts])
    np.testing.assert_allclose(gradient, layer.backward(1.0, cache), rtol=1e-14)


@pytest.mark.parametrize("e", [0.0, 0.1])
def test_logits_of_ten_thousand_in_float32_stay_finite(e):
    logits = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, 1e4]], np.float32)
    layer = CrossEntropy(pad=-1, label_smoothing=e)
    loss, cache = layer.forward(logits, np.array([0, 0]))
    assert np.isfinite(loss)
    assert loss.dtype == np.float32
    assert np.isfinite(layer.backward(1.0, cache)).all()
    if e == 0.0:
        assert loss == 1e4  # nothing for the first, 2e4 nats for the second


def test_a_gradient_sums_to_zero_over_the_vocabulary():
    rng = np.random.default_rng(0)
    layer = CrossEntropy(pad=0, label_smoothing=0.2)
    _, cache = layer.forward(rng.standard_normal((3, 4, 7)), rng.integers(0, 7, (3, 4)))
    np.testing.assert_allclose(layer.backward(1.0, cache).sum(axis=-1), 0.0, atol=1e-16)


@pytest.mark.parametrize("e", [-0.1, 1.0])
def test_a_share_out_of_range_is_refused(e):
    with pytest.raises(ValueError, match=f"label_smoothing={e}: must be at least 0 and below 1"):
        CrossEntropy(label_smoothing=e)


def test_targets_of_another_shape_are_named():
    with pytest.raises(ValueError, match=r"targets have shape \(2, 4\): for logits of shape \(2, 3, 5\) give \(2, 3\)"):
        CrossEntropy().forward(np.zeros((2, 3, 5)), np.ones((2, 4), int))


def test_a_target_outside_the_vocabulary_is_named():
    with pytest.raises(ValueError, match="targets holds 5: ids must be at least 0 and below 5"):
        CrossEntropy().forward(np.zeros((1, 1, 5)), np.array([[5]]))


def test_nothing_but_padding_is_refused():
    with pytest.raises(ValueError, match="nothing but padding"):
        CrossEntropy(pad=0).forward(np.zeros((1, 2, 5)), np.array([[0, 0]]))


@pytest.mark.parametrize("e", [0.0, 0.2])
def test_backward_is_the_same_whether_or_not_there_is_padding(e):
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((3, 4, 5)), rng.integers(1, 5, (3, 4))
    padded = np.concatenate([targets, np.zeros((3, 2), int)], axis=1)
    longer = np.concatenate([logits, rng.standard_normal((3, 2, 5))], axis=1)
    layer = CrossEntropy(pad=0, label_smoothing=e)
    whole, with_padding = layer.forward(logits, targets)[1], layer.forward(longer, padded)[1]
    d_whole, d_padded = layer.backward(1.5, whole), layer.backward(1.5, with_padding)
    assert d_whole.shape == logits.shape
    np.testing.assert_allclose(d_whole, d_padded[:, :4], rtol=1e-13)
    assert not d_padded[:, 4:].any()
