"""A mask is drawn as it is: True may attend, False is crossed out."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.layers import causal_mask, padding_mask
from minitransformer.plotting import mask_map

WORDS = ["le", "chat", "dort", "<pad>", "<pad>"]
PADDING = padding_mask(np.array([[5, 6, 7, 0, 0]]), pad=0)


def crosses(ax):
    return {(int(t), int(s)) for s, t in zip(*ax.lines[-1].get_data())}


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (causal_mask(5), "Causal mask"),
        (PADDING, "Padding mask"),
        (PADDING & causal_mask(5), "Causal and padding mask"),
        (np.ones((5, 5), bool), "No mask"),
        (np.eye(5, dtype=bool), "Mask: who"),
    ],
)
def test_a_mask_is_drawn_and_named(mask, says):
    ax = mask_map(mask, WORDS, WORDS)
    full = np.broadcast_to(mask, (1, 1, 5, 5))[0, 0]
    np.testing.assert_array_equal(ax.images[0].get_array(), full)
    assert crosses(ax) == {(int(t), int(s)) for t, s in np.argwhere(~full)}
    assert [label.get_text() for label in ax.get_xticklabels()] == WORDS
    assert [label.get_text() for label in ax.get_yticklabels()] == WORDS
    assert ax.get_title(loc="left").replace("\n", " ").startswith(says)


def test_it_is_legible(assert_legible):
    assert_legible(mask_map(PADDING & causal_mask(5), WORDS, WORDS).figure)
    figure, ax = plt.subplots()
    assert mask_map(causal_mask(20), ax=ax) is ax
    assert plt.get_fignums()[-1] == figure.number
    assert_legible(figure)


@pytest.mark.parametrize(
    ("mask", "words", "error", "message"),
    [
        (np.tri(3), None, TypeError, "mask is of dtype float64: it must be a boolean array"),
        ([[True]], None, TypeError, r"mask=\[\[True\]\]: must be a NumPy array"),
        (np.ones((2, 1, 3, 3), bool), None, ValueError, r"mask has shape \(2, 1, 3, 3\)"),
        (np.ones(3, bool), None, ValueError, r"mask has shape \(3,\)"),
        (causal_mask(3)[0], ["a"], ValueError, r"queries has 1 words: mask of shape \(3, 3\) asks for 3"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(mask, words, error, message):
    with pytest.raises(error, match=message):
        mask_map(mask, words)
    assert not plt.get_fignums()
