"""The figure of the pronoun says what the weights say, also where they do not say what one hoped for."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.plotting import antecedent_figure

IT, CAR, SHOWROOM = 9, 3, 7


def rows(on_car, on_showroom, weights):
    head = weights(13, 13)
    rest = (1 - on_car - on_showroom) / 11
    head[IT] = rest
    head[IT, [CAR, SHOWROOM]] = on_car, on_showroom
    return head


def title(figure):
    return figure.texts[0].get_text().replace("\n", " ")


def labels(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


@pytest.mark.parametrize(
    ("on_car", "on_showroom", "says"),
    [
        (0.8, 0.05, "“it” looks at “car”, not at “showroom”"),
        (0.5, 0.3, "“it” looks more at “car” than at “showroom”"),
        (0.3, 0.3, "“it” does not tell “car” from “showroom” in this head"),
        (0.1, 0.6, "“it” looks more at “showroom” than at “car”: this head does not find the noun"),
    ],
)
def test_title_says_what_the_weights_say(weights, english, on_car, on_showroom, says):
    assert title(antecedent_figure(english, rows(on_car, on_showroom, weights), IT, CAR, SHOWROOM)) == says


def test_numbers_words_and_names_are_written_on(weights, english):
    averages = {"antecedent": 0.712, "distractor": 0.064, "sentences": 1000}
    head = rows(0.8, 0.05, weights)
    figure = antecedent_figure(english, head, IT, CAR, SHOWROOM, averages=averages, where="encoder block 2, head 3")
    written = labels(figure)
    assert [word for word in written if word in english] == english
    assert [text for text in written if text.startswith("0.")] == [f"{weight:.2f}" for weight in head[IT]]
    assert "● the noun it stands for" in written
    assert "▲ the noun nearer by" in written
    assert "on average over 1,000 sentences: 0.71" in written
    assert "on average over 1,000 sentences: 0.06" in written
    assert "encoder block 2, head 3" in figure.texts[1].get_text()


def test_a_distractor_that_is_not_nearer_is_not_called_so(weights, english):
    assert "▲ the other noun" in labels(antecedent_figure(english, weights(13, 13), IT, SHOWROOM, CAR))


def test_the_map_beneath_is_the_chosen_head(weights, english):
    heads = weights(4, 13, 13)
    figure = antecedent_figure(english, heads, IT, CAR, SHOWROOM, head=2)
    board = next(ax for ax in figure.axes if ax.images)
    np.testing.assert_array_equal(board.images[0].get_array(), heads[2])
    assert [label.get_text() for label in board.get_xticklabels()] == english
    assert [label.get_text() for label in board.get_yticklabels()] == english


def test_arcs_are_as_thick_as_the_weights(weights, english):
    ax = antecedent_figure(english, rows(0.8, 0.2, weights), IT, CAR, SHOWROOM).axes[0]
    arcs = sorted(patch.get_linewidth() for patch in ax.patches if not patch.get_fill())
    assert (arcs[1] - 0.6) / (arcs[0] - 0.6) == pytest.approx(4)


@pytest.mark.parametrize("far", [True, False])
def test_it_is_legible(weights, english, assert_legible, far):
    averages = {"antecedent": 0.7, "distractor": 0.1, "sentences": 1000}
    antecedent, distractor = (CAR, SHOWROOM) if far else (0, 1)  # neighbours at the edge of the page
    figure = antecedent_figure(english, weights(13, 13), IT, antecedent, distractor, averages=averages)
    assert figure.get_figwidth() <= 7.0 + 1e-9
    assert_legible(figure)


def test_twenty_words_are_legible(weights, twenty, assert_legible):
    assert_legible(antecedent_figure(twenty, weights(20, 20), 18, 3, 19, averages={"antecedent": 0.5}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pronoun": 13}, "pronoun=13: .* 0 ... 12"),
        ({"distractor": -1}, "distractor=-1"),
        ({"antecedent": IT}, "must be three different words"),
        ({"words": ["it"]}, "words has 1 words: .* asks for 13"),
        ({"weights": np.ones((13, 12))}, r"weights has shape \(13, 12\)"),
        ({"weights": np.ones((2, 13, 13))}, "head=None: .* choose one of 0 ... 1"),
        ({"weights": np.ones((2, 13, 13)), "head": 2}, "head=2: .* choose one of 0 ... 1"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(weights, english, change, message):
    good = {"words": english, "weights": weights(13, 13), "pronoun": IT, "antecedent": CAR, "distractor": SHOWROOM}
    with pytest.raises(ValueError, match=message):
        antecedent_figure(**{**good, **change})
    assert not plt.get_fignums()
