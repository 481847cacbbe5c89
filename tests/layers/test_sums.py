"""Sums by products with ones equal sums."""

import numpy as np
import pytest

from minitransformer.layers.sums import column_sum, row_mean, row_sum


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
def test_sums_are_sums(shape):
    x = np.arange(np.prod(shape), dtype=float).reshape(shape) + 1.0
    assert np.array_equal(row_sum(x), x.sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(row_mean(x), x.mean(axis=-1, keepdims=True), rtol=1e-15)
    assert np.array_equal(column_sum(x), x.reshape(-1, 3).sum(axis=0))


def test_complex_numbers_are_not_conjugated():
    x = np.array([[1.0 + 2.0j, 3.0 - 1.0j]])
    assert np.array_equal(row_sum(x), [[4.0 + 1.0j]])
    assert np.array_equal(column_sum(x), x[0])
