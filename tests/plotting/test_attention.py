"""Attention maps show the weights that they are given, with the words where they belong."""

import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.plotting import attention_grid, attention_lines, attention_map


def words_on(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_map_shows_the_weights_and_the_words_in_order(weights, english, french):
    head = weights(len(french), len(english))
    ax = attention_map(head, french, english)
    np.testing.assert_array_equal(ax.images[0].get_array(), head)
    assert words_on(ax.yaxis) == french
    assert words_on(ax.xaxis) == english
    assert list(ax.get_yticks()) == list(range(len(french)))
    assert ax.yaxis_inverted()  # the first query stands at the top


def test_map_draws_on_the_axes_given_and_opens_no_other_figure(weights):
    figure, ax = plt.subplots()
    assert attention_map(weights(2, 3), ["a", "b"], ["c", "d", "e"], ax=ax) is ax
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize(("T", "S"), [(1, 1), (13, 2)])
def test_maps_of_odd_shapes_are_legible(weights, english, assert_legible, T, S):
    assert_legible(attention_map(weights(T, S), english[:T], english[:S]).figure)


def test_a_map_of_twenty_words_is_legible_at_page_width(weights, twenty, assert_legible):
    figure = attention_map(weights(20, 20), twenty, twenty).figure
    assert figure.get_figwidth() <= 7.0 + 1e-9
    assert_legible(figure)


def test_maps_on_plain_subplots_are_legible(weights, english, french, assert_legible):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    attention_map(weights(13, 13), french, english, ax=left)
    attention_map(weights(13, 13), english, english, ax=right)
    assert_legible(figure)


def test_values_are_written_where_the_map_is_small(weights, english):
    def written(ax):
        return [text.get_text() for text in ax.texts]

    head = np.array([[0.25, 0.75], [0.999, 0.001]])
    assert written(attention_map(head, ["a", "b"], ["c", "d"])) == ["0.25", "0.75", "1.00"]
    assert not written(attention_map(head, ["a", "b"], ["c", "d"], annotate=False))
    assert not written(attention_map(weights(13, 13), english, english))
    assert written(attention_map(weights(13, 13), english, english, annotate=True))


def test_words_are_drawn_as_they_are(weights, assert_legible):
    words = ["$5", "a_b", "x$"]  # no mathematics in them
    ax = attention_map(weights(3, 3), words, words, title="costs $5 or $6")
    assert words_on(ax.xaxis) == words
    assert_legible(ax.figure)


def test_grid_has_one_colour_scale_and_every_head(weights, english, french):
    heads = weights(4, len(french), len(english))
    axes = attention_grid(heads, french, english)
    assert axes.shape == (4,)
    for head, ax in zip(heads, axes):
        np.testing.assert_array_equal(ax.images[0].get_array(), head)
        assert ax.images[0].get_clim() == (0.0, heads.max())
    assert [words_on(ax.xaxis) for ax in axes] == [english, english, [], []]  # words above the first row
    assert [words_on(ax.yaxis) for ax in axes] == [french, [], french, []]  # and left of the first column


def test_grid_of_eight_heads_is_legible_at_page_width(weights, english, assert_legible):
    figure = attention_grid(weights(8, 13, 13), english, english)[0].figure
    assert figure.get_figwidth() <= 7.0 + 1e-9
    assert_legible(figure)


def test_grid_draws_on_the_figure_given(weights):
    figure = plt.figure(layout="constrained")
    axes = attention_grid(weights(2, 2, 2), ["a", "b"], ["c", "d"], figure=figure)
    assert {ax.figure for ax in axes} == {figure}
    assert plt.get_fignums() == [figure.number]


def test_lines_are_as_thick_as_the_weights(assert_legible):
    ax = attention_lines(np.array([[0.7, 0.3, 0.0]]), ["elle"], ["it", "car", "."])
    thin, thick = sorted(patch.get_linewidth() for patch in ax.patches)  # a weight of 0 has no line
    assert (thick - 0.3) / (thin - 0.3) == pytest.approx(0.7 / 0.3)
    assert [text.get_text() for text in ax.texts] == ["elle", "it", "car", ".", "query", "key"]
    assert_legible(ax.figure)


def test_lines_draw_on_the_axes_given(weights, english, french, assert_legible):
    figure, ax = plt.subplots()
    assert attention_lines(weights(13, 13), french, english, ax=ax, highlight=9) is ax
    assert plt.get_fignums() == [figure.number]
    assert_legible(figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda w: attention_map(w, ["a"], ["b", "c", "d"]),
            r"queries has 1 words: weights of shape \(2, 3\) asks for 2",
        ),
        (lambda w: attention_map(w, ["a", "b"], ["c"]), r"keys has 1 words: .* asks for 3"),
        (lambda w: attention_map(w, "ab", ["c", "d", "e"]), "queries='ab': must be a list"),
        (lambda w: attention_map(w[None], ["a", "b"], ["c"]), r"weights has shape \(1, 2, 3\): one head is"),
        (lambda w: attention_map(w[:0], [], ["c"]), r"weights has shape \(0, 3\)"),
        (lambda w: attention_grid(w, ["a", "b"], ["c"]), r"weights has shape \(2, 3\): a grid of heads is"),
        (lambda w: attention_grid(w[None], ["a", "b"], ["c"]), "keys has 1 words"),
        (lambda w: attention_lines(w, ["a"], ["c"]), "left_words has 1 words"),
        (lambda w: attention_lines(w, ["a", "b"], ["c"]), "right_words has 1 words"),
        (lambda w: attention_lines(w, ["a", "b"], ["c", "d", "e"], highlight=2), "highlight=2: .* 0 ... 1"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(weights, call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call(weights(2, 3))
    assert not plt.get_fignums()  # nothing half drawn stays open


LOOK = SimpleNamespace(
    source=["a", "b", "c"],
    target=["x", "<eos>"],
    cache={
        "encoder": {"blocks": [{"attention": {"weights": np.random.default_rng(0).dirichlet(np.ones(3), (2, 2, 3))}}]},
        "decoder": {
            "blocks": [
                {
                    "attention": {"weights": np.random.default_rng(1).dirichlet(np.ones(2), (2, 2, 2))},
                    "cross_attention": {"weights": np.random.default_rng(2).dirichlet(np.ones(3), (2, 2, 2))},
                }
            ]
        },
    },
)
CROSS = LOOK.cache["decoder"]["blocks"][0]["cross_attention"]["weights"][0]


def words_of(ax):
    return [[t.get_text() for t in labels] for labels in (ax.get_yticklabels(), ax.get_xticklabels())]


def test_a_look_is_drawn_with_its_own_words():
    ax = attention_map(LOOK)
    np.testing.assert_array_equal(ax.images[0].get_array(), CROSS.mean(axis=0))
    assert words_of(ax) == [["x", "<eos>"], ["a", "b", "c"]]
    ax = attention_map(LOOK, head=1)
    np.testing.assert_array_equal(ax.images[0].get_array(), CROSS[1])
    ax = attention_map(LOOK, where="encoder.blocks.0.attention", head=0)
    np.testing.assert_array_equal(
        ax.images[0].get_array(), LOOK.cache["encoder"]["blocks"][0]["attention"]["weights"][0, 0]
    )
    assert words_of(ax) == [["a", "b", "c"]] * 2
    assert words_of(attention_map(LOOK, where="decoder.blocks.0.attention")) == [["(start)", "x"]] * 2
    assert words_of(attention_map(LOOK, queries=["1", "2"]))[0] == ["1", "2"]
    axes = attention_grid(LOOK)
    np.testing.assert_array_equal([ax.images[0].get_array() for ax in axes], CROSS)
    assert words_of(axes[0]) == [["x", "<eos>"], ["a", "b", "c"]]
    texts = {text.get_text() for text in attention_lines(LOOK).texts}
    assert {"a", "b", "c", "x", "<eos>"} <= texts


def test_a_cache_or_an_array_without_words_is_drawn_with_numbers():
    assert words_of(attention_map(LOOK.cache)) == [["0", "1"], ["0", "1", "2"]]
    assert words_of(attention_map(CROSS[0])) == [["0", "1"], ["0", "1", "2"]]
    assert words_of(attention_grid(CROSS)[0]) == [["0", "1"], ["0", "1", "2"]]
    of_one_head = {"attention": {"weights": CROSS}}  # (B, T, S), as a recurrent decoder has it
    np.testing.assert_array_equal(attention_map(of_one_head).images[0].get_array(), CROSS[0])


def test_a_language_model_s_look_has_its_words_on_both_sides():
    read = SimpleNamespace(words=["a", "b"], cache={"decoder": LOOK.cache["decoder"]["blocks"][0]["attention"]})
    assert words_of(attention_map(read)) == [["a", "b"]] * 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attention_map(LOOK, where="x"), "where='x': must be one of encoder.blocks.0.attention, "),
        (lambda: attention_map(LOOK, head=2), "head=2: must be one of 0 ... 1"),
        (lambda: attention_map(LOOK, head=-1), "head=-1: must be one of 0 ... 1"),
        (lambda: attention_map(CROSS[0], head=0), "head=0: weights is an array, of one head"),
        (lambda: attention_map(CROSS[0], where="a"), "where='a': weights is an array"),
        (lambda: attention_map({"x": CROSS}), "weights holds no attention"),
    ],
)
def test_what_a_cache_or_look_does_not_have_is_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
    assert not plt.get_fignums()
