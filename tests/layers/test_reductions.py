"""Sums by products with ones equal sums."""

import numpy as np
import pytest

from minitransformer.layers.reductions import column_sum, row_max, row_sum, token_mean


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
def test_sums_are_sums(shape):
    x = np.arange(np.prod(shape), dtype=float).reshape(shape) + 1.0
    assert np.array_equal(row_sum(x), x.sum(axis=-1, keepdims=True))
    if x.ndim == 2:
        np.testing.assert_allclose(token_mean(x), x.mean(axis=-1, keepdims=True), rtol=1e-15)
    if x.ndim == 1:
        np.testing.assert_allclose(token_mean(x), x.mean(), rtol=1e-15)
    assert np.array_equal(column_sum(x), x.reshape(-1, 3).sum(axis=0))


def test_complex_numbers_are_not_conjugated():
    x = np.array([[1.0 + 2.0j, 3.0 - 1.0j]])
    assert np.array_equal(row_sum(x), [[4.0 + 1.0j]])
    assert np.array_equal(column_sum(x), x[0])


@pytest.mark.parametrize("shape", [(3,), (7, 5), (40, 3, 16), (3, 700, 20), (300, 64), (20, 65), (2, 3000)])
def test_the_maximum_of_a_row_is_its_maximum_whatever_way_it_is_found(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x.flat[0] = -np.inf
    assert np.array_equal(row_max(x), x.max(axis=-1, keepdims=True))
    turned = x.T[::-1].T  # not contiguous
    assert np.array_equal(row_max(turned), turned.max(axis=-1, keepdims=True))


def test_a_row_with_nan_has_the_maximum_nan_also_where_rows_are_short():
    x = np.zeros((500, 4))
    x[3, 2] = np.nan
    assert np.array_equal(np.isnan(row_max(x)[:, 0]), np.arange(500) == 3)
