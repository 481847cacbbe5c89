"""One vector for all parameters: views in their order, and what cannot be one."""

import numpy as np
import pytest

from minitransformer.layers import Parameter
from minitransformer.training import flatten_gradients, flatten_values
from minitransformer.training.flat import shared_vector, views


def parameters():
    return [Parameter(np.arange(6.0).reshape(2, 3)), Parameter(np.array(7.0)), Parameter(np.array([8.0, 9.0]))]


def test_values_and_gradients_become_views_in_the_order_of_the_parameters():
    parts = parameters()
    value, grad = flatten_values(parts), flatten_gradients(parts)
    assert value.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert grad.tolist() == [0] * 9
    assert [part.value.shape for part in parts] == [part.grad.shape for part in parts] == [(2, 3), (), (2,)]
    value[:] = 10 + np.arange(9)
    grad[:] = 20 + np.arange(9)
    assert parts[0].value.tolist() == [[10, 11, 12], [13, 14, 15]]
    assert (float(parts[1].value), float(parts[1].grad)) == (16, 26)
    assert parts[2].grad.tolist() == [27, 28]
    given = np.full(9, 3.0)
    assert flatten_gradients(parts, given) is given
    assert parts[0].grad.tolist() == [[3, 3, 3], [3, 3, 3]]


def test_what_has_no_vector_is_named():
    with pytest.raises(ValueError, match="parameters have no parameters at all: a flat vector needs one dtype"):
        flatten_values([])
    with pytest.raises(ValueError, match="parameters is empty: a vector needs at least one"):
        flatten_gradients([])
    mixed = [Parameter(np.zeros(1)), Parameter(np.zeros(1, np.float32))]
    with pytest.raises(ValueError, match="parameters have float32, float64: a flat vector needs one dtype"):
        flatten_values(mixed)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_shared_vector_is_of_zeros_and_may_be_empty(n):
    vector = shared_vector(n, np.float32)
    assert (vector.shape, vector.dtype, vector.any()) == ((n,), np.float32, False)
    assert list(views(vector, [])) == []
