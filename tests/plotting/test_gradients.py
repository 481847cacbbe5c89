"""Norms of gradients are drawn as they were measured."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.plotting import gradient_norms


def test_every_norm_is_drawn_and_zero_has_no_place(assert_legible):
    ax = gradient_norms({"bare": [0.0, 1e-9, 1e-3], "residual": [1.0, 2.0, 3.0]})
    bare, residual = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(bare, [np.nan, 1e-9, 1e-3])
    np.testing.assert_array_equal(residual, [1, 2, 3])
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["bare", "residual"]
    assert_legible(ax.figure)


def test_norms_that_are_nearly_alike_still_have_numbers_on_their_axis():
    ax = gradient_norms({"one": [0.31, 0.32]})
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    assert sum(low <= tick <= high for tick in ax.get_yticks()) >= 2


def test_it_draws_on_the_axes_given(assert_legible):
    figure, axes = plt.subplots(1, 2, figsize=(7, 3))
    for ax in axes:
        assert gradient_norms({"a": np.arange(1, 25), "b": 10.0 ** -np.arange(24)}, ax=ax) is ax
    assert_legible(figure)


@pytest.mark.parametrize("norms", [{}, {"a": []}, {"a": [1.0, -1.0]}, {"a": [np.nan]}])
def test_errors_name_what_is_wrong(norms):
    with pytest.raises(ValueError, match="norms"):
        gradient_norms(norms)
    assert not plt.get_fignums()
