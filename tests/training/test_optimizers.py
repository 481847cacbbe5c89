"""Optimizers against steps worked by hand, and their invariants."""

import math

import numpy as np
import pytest

from minitransformer.training import SGD, Adam, AdamW, clip_by_global_norm
from minitransformer.training.optimizers import CHUNK, chunks


def test_sgd_moves_against_the_gradient_and_remembers_its_velocity():
    w = np.array([1.0, -2.0])
    sgd = SGD(momentum=0.5)
    sgd.step(w, np.array([2.0, 4.0]), rate=0.1)  # v = (2, 4)
    np.testing.assert_allclose(w, [0.8, -2.4])
    sgd.step(w, np.array([1.0, 0.0]), rate=0.1)  # v = (2, 2)
    np.testing.assert_allclose(w, [0.6, -2.6])


def test_adam_follows_its_algorithm_for_three_steps():
    beta1, beta2, eps, rate = 0.8, 0.9, 0.01, 0.1
    w, m, v = 3.0, 0.0, 0.0
    adam, vector = Adam(beta1, beta2, eps), np.array([3.0])
    for t, g in enumerate((0.5, -2.0, 1.0), start=1):  # Kingma and Ba, algorithm 1, in plain numbers
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        w -= rate * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps)
        adam.step(vector, np.array([g]), rate)
        np.testing.assert_allclose(vector, [w], rtol=1e-14)


def test_adamw_shrinks_the_weight_and_adam_does_not():
    w = np.array([2.0])
    AdamW(weight_decay=0.1).step(w, np.array([0.0]), rate=0.5)
    np.testing.assert_allclose(w, [2.0 * (1 - 0.5 * 0.1)])
    w = np.array([2.0])
    Adam().step(w, np.array([0.0]), rate=0.5)
    np.testing.assert_array_equal(w, [2.0])


@pytest.mark.parametrize("optimizer", [SGD(0.9), Adam(), AdamW()])
def test_a_long_vector_is_one_step_however_it_is_cut(optimizer):
    n = 2 * CHUNK + 3
    rng = np.random.default_rng(0)
    long, grad = rng.standard_normal(n), rng.standard_normal(n)
    ends = long[[0, -1]].copy()
    short = type(optimizer)()
    for _ in range(3):
        optimizer.step(long, grad, 0.1)
        short.step(ends, grad[[0, -1]], 0.1)
    assert optimizer.t == 3
    if not isinstance(optimizer, SGD):  # its momentum differs from the default
        np.testing.assert_allclose(long[[0, -1]], ends, rtol=1e-14)


@pytest.mark.parametrize("optimizer", [SGD(0.9), Adam(), AdamW()])
def test_float32_stays_float32_and_the_gradient_as_it_was(optimizer):
    w, g = np.ones(5, np.float32), np.full(5, 0.3, np.float32)
    optimizer.step(w, g, 0.1)
    assert w.dtype == np.float32
    assert all(moment.dtype == np.float32 for moment in optimizer.moments.values())
    np.testing.assert_array_equal(g, np.full(5, 0.3, np.float32))


def test_a_restored_optimizer_goes_on_where_it_was():
    rng = np.random.default_rng(1)
    a, b = Adam(), Adam()
    w = rng.standard_normal(7)
    a.step(w, rng.standard_normal(7), 0.1)
    copy, g = w.copy(), rng.standard_normal(7)
    b.restore(a.state())
    a.step(w, g, 0.1)
    b.step(copy, g, 0.1)
    np.testing.assert_array_equal(w, copy)


def test_clipping_scales_the_whole_gradient_and_returns_the_norm_it_had():
    g = np.array([3.0, 4.0])
    assert clip_by_global_norm(g, 1.0) == 5.0
    np.testing.assert_allclose(g, [0.6, 0.8])
    small = np.array([0.3, 0.4])
    assert clip_by_global_norm(small, 1.0) == pytest.approx(0.5)
    np.testing.assert_array_equal(small, [0.3, 0.4])


def test_clipping_does_not_hide_what_is_not_a_number():
    g = np.array([np.nan, 1.0])
    assert math.isnan(clip_by_global_norm(g, 1.0))
    assert math.isnan(g[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam(beta1=1.0), "beta1=1.0"),
        (lambda: Adam(eps=0.0), "eps=0.0"),
        (lambda: AdamW(weight_decay=-1.0), "weight_decay=-1.0"),
        (lambda: SGD(momentum=-0.1), "momentum=-0.1"),
        (lambda: clip_by_global_norm(np.ones(2), 0.0), "max_norm=0.0"),
    ],
)
def test_settings_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_ends_of_what_is_allowed():
    assert (SGD(0.0).momentum, Adam(0.0, 0.0).beta2, Adam(eps=1e-38).eps, AdamW(0.0).weight_decay) == (0, 0, 1e-38, 0)
    for make in (lambda: SGD(1.0), lambda: Adam(beta2=1.0), lambda: Adam(0.9, -0.1), lambda: SGD(float("nan"))):
        with pytest.raises(ValueError, match="must be at least 0 and below 1"):
            make()
    for eps in (0.9e-38, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"must be a finite number of at least 1e-38"):
            Adam(eps=eps)
    with pytest.raises(ValueError, match=r"grad has shape \(1, 2\): must be one flat vector"):
        clip_by_global_norm(np.ones((1, 2)), 1.0)


def test_a_gradient_that_has_the_largest_norm_is_left_as_it_is_and_a_larger_one_gets_it():
    g = np.array([3.0, 4.0])
    assert clip_by_global_norm(g, 5.0) == 5.0
    np.testing.assert_array_equal(g, [3.0, 4.0])
    clip_by_global_norm(g, 4.999)
    assert np.linalg.norm(g) == pytest.approx(4.999)


def test_the_ends_of_chunks_are_the_starts_of_the_next():
    for n in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK):
        assert [i for part in chunks(n) for i in range(n)[part]] == list(range(n))
