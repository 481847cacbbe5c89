"""A beam's tree: every hypothesis, the one that won, and what was dropped."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.plotting import OKABE_ITO, BeamNode, beam_tree

NODES = [
    BeamNode("<bos>", 0.0, winner=True),
    BeamNode("un", -3.2, 0, kept=False),
    BeamNode("la", -1.1, 0, winner=True),
    BeamNode("le", -0.4, 0),
    BeamNode("salon", -1.9, 3),
    BeamNode("chat", -2.4, 3, kept=False),
    BeamNode("voiture", -1.2, 2, winner=True),
]


def test_every_hypothesis_is_drawn_with_its_log_probability(assert_legible):
    ax = beam_tree(NODES)
    texts = [text.get_text() for text in ax.texts]
    assert texts == [part for node in NODES for part in (node.word, f"{node.log_probability:.2f}".replace("-", "−"))]
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


def test_a_wide_beam_is_legible(rng: np.random.Generator, assert_legible):
    nodes = [BeamNode("<bos>", 0.0)]
    for step in range(4):
        parents = [0] if step == 0 else range(len(nodes) - 4, len(nodes))
        nodes += [BeamNode(f"word{i}", -float(step + i), int(rng.choice(parents)), kept=bool(i < 3)) for i in range(4)]
    assert_legible(beam_tree(nodes).figure)


def test_it_draws_on_the_axes_given(assert_legible):
    figure, ax = plt.subplots(figsize=(5, 3))
    assert beam_tree(NODES, ax=ax) is ax
    assert_legible(figure)


@pytest.mark.parametrize("nodes", [[], [BeamNode("a", 0.0, 0)], [BeamNode("a", 0.0), BeamNode("b", 0.0, 2)]])
def test_errors_name_what_is_wrong(nodes):
    with pytest.raises(ValueError, match="nodes"):
        beam_tree(nodes)
    assert not plt.get_fignums()
