"""Initializers: spreads, dtypes, and weights that are not there."""

import sys

import numpy as np
import pytest

from minitransformer.layers import Glorot, Linear, Normal, Unallocated, as_initializer


def rng():
    return np.random.default_rng(0)


def test_glorot_is_uniform_within_its_bound():
    weight = Glorot(rng(), np.float64).matrix(300, 200)
    bound = (6 / 500) ** 0.5
    assert np.abs(weight).max() <= bound
    assert np.abs(weight).max() > 0.99 * bound
    assert weight.var() == pytest.approx(bound**2 / 3, rel=0.02)


def test_normal_has_one_deviation_for_all():
    init = Normal(rng(), np.float64, std=0.5)
    assert init.matrix(300, 200).std() == pytest.approx(0.5, rel=0.02)
    assert init.embedding(300, 200).std() == pytest.approx(0.5, rel=0.02)


def test_an_embeddings_vectors_have_a_length_of_about_one():
    table = Glorot(rng(), np.float64).embedding(500, 100)
    assert (table**2).sum(axis=1).mean() == pytest.approx(1.0, rel=0.05)


def test_the_same_seed_draws_the_same_weights():
    assert np.array_equal(Linear(3, 5, rng()).weight.value, Linear(3, 5, rng()).weight.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_the_one_asked_for(dtype):
    init = Glorot(rng(), dtype)
    assert {init.matrix(2, 3).dtype, init.embedding(2, 3).dtype, init.ones(2).dtype, init.zeros(2).dtype} == {
        np.dtype(dtype)
    }


def test_unallocated_has_shapes_and_no_memory():
    init = Unallocated()
    for array in (init.matrix(2 * 10**4, 10**4), init.embedding(10**5, 10**3), init.ones(10**8), init.zeros(10**8)):
        assert not any(array.strides)
        assert not array.flags.writeable


def test_a_generator_is_an_initializer_and_an_initializer_stays():
    init = Normal(rng())
    assert as_initializer(init) is init
    assert isinstance(as_initializer(rng()), Glorot)


@pytest.mark.parametrize("wrong", [0, None, np.random])
def test_anything_else_is_refused(wrong):
    with pytest.raises(TypeError, match=r"must be an Initializer or a np\.random\.Generator"):
        as_initializer(wrong)


def test_more_than_python_can_number_is_refused_by_its_shape(monkeypatch):
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)  # as in a browser
    with pytest.raises(ValueError, match=r"shape=\(100000, 100000\): has more than 2,147,483,647 bytes"):
        Unallocated().matrix(10**5, 10**5)
