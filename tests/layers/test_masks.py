"""Masks: True means may attend."""

import numpy as np
import pytest

from minitransformer.layers import causal_mask, padding_mask
from minitransformer.layers.masks import additive


def test_causal_mask_by_hand():
    mask = causal_mask(3)
    assert mask.dtype == bool
    assert mask.tolist() == [[[[True, False, False], [True, True, False], [True, True, True]]]]


def test_padding_mask_by_hand():
    mask = padding_mask(np.array([[5, 3, 0], [7, 0, 0]]), pad=0)
    assert mask.dtype == bool
    assert mask.tolist() == [[[[True, True, False]]], [[[True, False, False]]]]


def test_padding_mask_with_another_pad():
    assert padding_mask(np.array([[5, 3, 0]]), pad=3).tolist() == [[[[True, False, True]]]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_added_to_the_scores(dtype):
    added = additive(np.array([True, False]), dtype)
    assert added.tolist() == [0.0, -np.inf]
    assert added.dtype == dtype
