"""Many maps at once: all are there, on one colour scale, and legible."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.plotting import alignment_over_training, attention_layers

from ..extent import extent


def words_on(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_every_head_of_every_layer_has_its_place(weights, english, assert_legible):
    layers = [weights(4, 13, 13) for _ in range(2)]
    axes = attention_layers(layers, english, english)
    assert axes.shape == (2, 4)
    highest = max(layer.max() for layer in layers)
    for layer, row in zip(layers, axes):
        for head, ax in zip(layer, row):
            np.testing.assert_array_equal(ax.images[0].get_array(), head)
            assert ax.images[0].get_clim() == (0.0, highest)
    assert words_on(axes[1, 0].yaxis) == english
    assert axes[0, 0].figure.get_figwidth() <= 7.0 + 1e-9
    assert_legible(axes[0, 0].figure)


def test_keys_stand_above_where_they_fit_and_else_in_the_caption(weights, english):
    few = attention_layers([weights(2, 5, 5)], english[:5], english[:5])
    assert words_on(few[0, 0].xaxis) == english[:5]
    many = attention_layers([weights(8, 13, 13)], english, english)
    assert not words_on(many[0, 0].xaxis)
    assert "I got my" in many[0, 0].figure.get_supxlabel()


def test_many_layers_of_twelve_heads_are_legible(weights, english, assert_legible):
    layers = [weights(12, 6, 6) for _ in range(extent(4, 12))]
    assert_legible(attention_layers(layers, english[:6], english[:6])[0, 0].figure)


def test_an_alignment_is_shown_step_by_step_on_one_scale(weights, english, french, assert_legible):
    maps = {200: weights(13, 13), 0: weights(13, 13), 1000: weights(13, 13)}
    axes = alignment_over_training(maps, french, english)
    assert [ax.get_title(loc="left") for ax in axes] == ["step 0", "step 200", "step 1,000"]
    for step, ax in zip(sorted(maps), axes):
        np.testing.assert_array_equal(ax.images[0].get_array(), maps[step])
        assert ax.images[0].get_clim() == (0.0, 1.0)
    assert_legible(axes[0].figure)


def test_they_draw_on_the_figure_given(weights):
    for draw in (
        lambda figure: attention_layers([weights(2, 2, 2)], ["a", "b"], ["c", "d"], figure=figure),
        lambda figure: alignment_over_training({1: weights(2, 2)}, ["a", "b"], ["c", "d"], figure=figure),
    ):
        figure = plt.figure(layout="constrained")
        assert {ax.figure for ax in draw(figure).flat} == {figure}
        assert plt.get_fignums() == [figure.number]
        plt.close("all")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: attention_layers([], ["a"], ["b"]), "weights has no array"),
        (lambda w: attention_layers([w(2, 3)], ["a"], ["b"]), r"weights has \(2, 3\): give for every layer"),
        (lambda w: attention_layers([w(1, 2, 2), w(2, 2, 2)], ["a"], ["b"]), r"\(1, 2, 2\), \(2, 2, 2\)"),
        (lambda w: attention_layers([w(1, 2, 2)], ["a"], ["b", "c"]), "queries has 1 words"),
        (lambda w: alignment_over_training({}, ["a"], ["b"]), "snapshots is empty"),
        (lambda w: alignment_over_training({1: w(2, 2), 2: w(1, 2)}, ["a"], ["b"]), r"\(2, 2\), \(1, 2\)"),
        (lambda w: alignment_over_training({1: w(2, 2)}, ["a", "b"], ["b"]), "keys has 1 words"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(weights, call, message):
    with pytest.raises(ValueError, match=message):
        call(weights)
    assert not plt.get_fignums()
