"""Positional encodings: what is drawn is the table, and the formula where the table follows it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.layers import sinusoids
from minitransformer.plotting import encoding_curves, encoding_heatmap, encoding_similarity

ALL = (encoding_heatmap, encoding_curves, encoding_similarity)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_heatmap_shows_the_table():
    table = sinusoids(11, 6)
    ax = encoding_heatmap(table)
    np.testing.assert_array_equal(ax.images[0].get_array(), table)
    assert ax.images[0].get_clim() == (-1.0, 1.0)
    wavelengths = [label.get_text() for label in ax.child_axes[0].get_xticklabels()]
    assert wavelengths == ["6.3", "135", "2,916"]


def test_heatmap_of_learned_positions_claims_no_wavelengths(rng):
    ax = encoding_heatmap(rng.normal(size=(11, 6)))
    assert len(ax.child_axes) == 1  # the colour bar
    low, high = ax.images[0].get_clim()
    assert low == -high


def test_curves_pass_through_the_table_and_the_vector_is_read_off():
    table = sinusoids(12, 4)
    ax = encoding_curves(table, position=5)
    points = [line.get_data() for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata()) == 12]
    for n, (x, y) in enumerate(points):
        np.testing.assert_array_equal(x, np.arange(12))
        np.testing.assert_allclose((y + n) / 0.4, table[:, n])
    smooth = [line.get_data() for line in ax.lines if len(line.get_xdata()) > 12]
    assert len(points) == len(smooth) == 4
    for (x, y), (at, height) in zip(points, smooth):
        np.testing.assert_allclose(np.interp(x, at, height), y, atol=0.01)
    assert texts(ax)[:4] == [f"{value:.2f}".replace("-", "−") for value in table[5]]


def test_curves_of_learned_positions_have_no_formula(rng):
    ax = encoding_curves(rng.normal(size=(12, 4)), dimensions=[3, 0])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["dimension 3", "dimension 0"]
    assert max(len(line.get_xdata()) for line in ax.lines) == 12


def test_curves_carry_the_words_of_a_sentence(english, assert_legible):
    ax = encoding_curves(sinusoids(13, 8), position=3, words=english)
    assert [label.get_text() for label in ax.get_xticklabels()] == english
    assert "“car”" in texts(ax)
    assert_legible(ax.figure)


def test_similarity_is_the_dot_product_by_distance():
    table = sinusoids(9, 8)
    ax = encoding_similarity(table)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), table @ table[0])
    assert not ax.collections  # the same everywhere: no band
    assert "only on how far apart" in ax.get_title(loc="left")


def test_similarity_of_learned_positions_shows_that_it_varies(rng):
    ax = encoding_similarity(rng.normal(size=(9, 8)))
    assert len(ax.collections) == 1
    assert "only" not in ax.get_title(loc="left")


@pytest.mark.parametrize("draw", ALL)
def test_pictures_are_legible_alone_and_beside_others(draw, assert_legible):
    assert_legible(draw(sinusoids(40, 64)).figure)
    figure, (ax, _) = plt.subplots(1, 2, figsize=(9, 4))
    assert draw(sinusoids(20, 8), ax=ax) is ax
    assert plt.get_fignums()[-1] == figure.number
    assert_legible(figure)


@pytest.mark.parametrize("draw", ALL)
def test_one_position_can_be_drawn(draw):
    assert np.isfinite(draw(sinusoids(1, 2)).axis()).all()


@pytest.mark.parametrize("draw", ALL)
def test_errors_name_the_tables_shape(draw):
    with pytest.raises(ValueError, match=r"table has shape \(3,\): encodings are \(positions, dimensions\)"):
        draw(np.zeros(3))
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": [4]}, r"dimensions=\[4\]: .* 0 ... 3"),
        ({"dimensions": []}, "dimensions="),
        ({"position": 5}, "position=5: .* 0 ... 4"),
        ({"words": ["a"]}, "words has 1 words: .* asks for 5"),
    ],
)
def test_errors_of_curves_name_argument_value_and_what_is_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        encoding_curves(sinusoids(5, 4), **options)
    assert not plt.get_fignums()
