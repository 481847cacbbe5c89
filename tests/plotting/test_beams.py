"""A beam's tree: every hypothesis, the one that won, and what was dropped."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.decoding import Branch
from minitransformer.plotting import OKABE_ITO, beam_tree
from minitransformer.plotting.style import GREY, PALE

NODES = [
    Branch("<bos>", 0.0, winner=True),
    Branch("un", -3.2, 0, kept=False),
    Branch("la", -1.1, 0, winner=True),
    Branch("le", -0.4, 0),
    Branch("salon", -1.9, 3),
    Branch("chat", -2.4, 3, kept=False),
    Branch("voiture", -1.2, 2, winner=True),
]


def test_every_word_has_its_own_log_probability_and_the_last_that_of_the_sequence(assert_legible):
    ax = beam_tree(NODES)
    texts = [text.get_text() for text in ax.texts]
    assert texts == [
        *("<bos>", "un", "−3.20", "= −3.20", "la", "−1.10", "le", "−0.40"),
        *("salon", "−1.50", "= −1.90", "chat", "−2.00", "= −2.40", "voiture", "−0.10", "= −1.20"),
    ]
    assert_legible(ax.figure)


def test_steps_go_right_and_siblings_from_the_likeliest_down():
    ax = beam_tree(NODES)
    x, y = ({text.get_text(): text.get_position()[i] for text in ax.texts} for i in (0, 1))
    assert x["<bos>"] < x["un"] == x["la"] == x["le"] < x["salon"] == x["voiture"]
    assert y["le"] < y["la"] < y["un"]  # the axis points down
    assert y["salon"] < y["chat"] < y["voiture"]
    assert y["le"] == pytest.approx((y["salon"] + y["chat"]) / 2)
    assert ax.yaxis_inverted()


def test_the_winner_is_blue_and_what_was_dropped_has_a_cross():
    ax = beam_tree(NODES)
    colours = {text.get_text(): text.get_color() for text in ax.texts}
    assert {word for word, colour in colours.items() if colour == OKABE_ITO["blue"] and word.strip("<>").isalpha()} == {
        *("<bos>", "la", "voiture")
    }
    assert sum(line.get_marker() == "x" for line in ax.lines) == 2


def test_a_branch_of_which_nothing_was_left_is_pale():
    nodes = [
        Branch("<bos>", 0.0, winner=True),
        Branch("la", -1.0, 0, winner=True),
        Branch("le", -0.5, 0, lives=False),
        Branch("chat", -4.0, 2, kept=False, lives=False),
    ]
    ax = beam_tree(nodes)
    colours = {text.get_text(): text.get_color() for text in ax.texts}
    assert colours["la"] == OKABE_ITO["blue"]
    assert colours["le"] == colours["chat"] == GREY
    assert sum(line.get_color() == PALE for line in ax.lines) == 2


def test_a_wide_beam_is_legible(rng: np.random.Generator, assert_legible):
    nodes = [Branch("<bos>", 0.0)]
    for step in range(4):
        parents = [0] if step == 0 else range(len(nodes) - 4, len(nodes))
        nodes += [Branch(f"word{i}", -float(step + i), int(rng.choice(parents)), kept=bool(i < 3)) for i in range(4)]
    assert_legible(beam_tree(nodes).figure)


def test_it_draws_on_the_axes_given(assert_legible):
    figure, ax = plt.subplots(figsize=(5, 3))
    assert beam_tree(NODES, ax=ax) is ax
    assert_legible(figure)


@pytest.mark.parametrize("nodes", [[], [Branch("a", 0.0, 0)], [Branch("a", 0.0), Branch("b", 0.0, 2)]])
def test_errors_name_what_is_wrong(nodes):
    with pytest.raises(ValueError, match="nodes"):
        beam_tree(nodes)
    assert not plt.get_fignums()
