"""Dropout: what it drops, how it scales, when it does nothing."""

import numpy as np
import pytest

from minitransformer.layers import Dropout

ONES = np.ones((200, 300))


def test_without_a_generator_it_returns_the_very_array_that_it_was_given():
    y, cache = Dropout(0.5).forward(ONES)
    assert y is ONES
    assert Dropout(0.5).backward(y, cache) is y


def test_with_probability_zero_it_returns_the_very_array_and_draws_nothing():
    rng = np.random.default_rng(0)
    assert Dropout(0.0).forward(ONES, rng=rng)[0] is ONES
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_is_the_probability(p):
    y, _ = Dropout(p).forward(ONES, rng=np.random.default_rng(1))
    spread = (p * (1 - p) / y.size) ** 0.5
    assert abs((y == 0).sum() / y.size - p) < 5 * spread


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_what_is_kept_is_scaled_so_that_the_mean_stays(p):
    y, _ = Dropout(p).forward(ONES, rng=np.random.default_rng(1))
    kept = y[y != 0]
    np.testing.assert_allclose(kept, 1 / (1 - p), rtol=2e-4)  # the probability is kept to 1/65536


def test_a_probability_just_below_one_still_keeps_a_number_now_and_then():
    x = np.ones((1000, 1000), np.float32)
    y, _ = Dropout(1.0 - 1e-7).forward(x, rng=np.random.default_rng(0))
    assert np.isfinite(y).all()
    assert (y == 0).sum() > 0.999 * x.size


def test_backward_drops_and_scales_the_same_numbers():
    x = np.random.default_rng(3).standard_normal((5, 7))
    y, cache = Dropout(0.5).forward(x, rng=np.random.default_rng(1))
    dx = Dropout(0.5).backward(np.ones((5, 7)), cache)
    np.testing.assert_allclose(dx * x, y, rtol=1e-15)
    assert set(np.unique(dx)) == {0.0, 2.0}


def test_every_position_draws_its_own_number():
    y, _ = Dropout(0.5).forward(ONES, rng=np.random.default_rng(1))
    assert len(np.unique(y, axis=0)) == len(y)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_a_probability_out_of_range_is_refused(p):
    with pytest.raises(ValueError, match=r"p=.*: the probability of dropout must be at least 0 and below 1"):
        Dropout(p)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2, 3, 5, 7)], ids=str)
def test_any_shape_is_dropped_from(shape):
    y, cache = Dropout(0.5).forward(np.ones(shape), rng=np.random.default_rng(0))
    assert y.shape == shape
    assert Dropout(0.5).backward(np.ones(shape), cache).shape == shape
