"""The next word's distribution: temperature, top-k and top-p by their definitions, on numbers made by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.plotting import next_word

WORDS = ["a", "b", "c", "d"]
LOGITS = np.log([0.1, 0.5, 0.3, 0.1])


def bars(ax):
    filled = [bar.get_width() for bar in ax.containers[0]]
    return dict(zip((label.get_text() for label in ax.get_yticklabels()), filled))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, {"b": 0.5, "c": 0.3, "a": 0.1, "d": 0.1}),
        ({"temperature": 0.5}, {"b": 25 / 36, "c": 9 / 36, "a": 1 / 36, "d": 1 / 36}),
        ({"top_k": 2}, {"b": 5 / 8, "c": 3 / 8, "a": 0.0, "d": 0.0}),
        ({"top_p": 0.75}, {"b": 5 / 8, "c": 3 / 8, "a": 0.0, "d": 0.0}),
        ({"top_p": 0.4}, {"b": 1.0, "c": 0.0, "a": 0.0, "d": 0.0}),
        ({"shown": 1}, {"b": 0.5, "3 others": 0.5}),
        ({"shown": 2, "top_k": 3}, {"b": 5 / 9, "c": 3 / 9, "2 others": 1 / 9}),
        ({"top_k": 3, "top_p": 0.8}, {"b": 5 / 8, "c": 3 / 8, "a": 0.0, "d": 0.0}),
    ],
)
def test_bars_are_what_a_word_is_drawn_from(options, wanted):
    ax = next_word(LOGITS, WORDS, **options)
    assert bars(ax) == pytest.approx(wanted)
    assert list(bars(ax)) == list(wanted)
    outline = [bar.get_width() for bar in ax.containers[1]]
    assert outline == pytest.approx([0.5, 0.5] if options.get("shown") == 1 else [0.5, 0.3, *[0.1, 0.1]][: len(outline)]
                                    if options.get("shown") != 2 else [0.5, 0.3, 0.2])  # fmt: skip


def test_words_that_are_never_drawn_are_marked():
    ax = next_word(LOGITS, WORDS, top_k=3)
    assert [text.get_text() for text in ax.texts] == ["55.6%", "33.3%", "11.1%", "× never"]


def test_it_is_legible_alone_and_beside_others(rng, assert_legible):
    logits, words = 3 * rng.standard_normal(500), [f"word{i}" for i in range(500)]
    assert_legible(next_word(logits, words).figure)
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.2))
    for ax, k in zip(axes, (None, 5)):
        assert next_word(logits, words, top_k=k, ax=ax) is ax
    assert_legible(figure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature=0: must be above 0"),
        ({"top_k": 0}, "top_k=0: must be at least 1"),
        ({"top_p": 1.5}, "top_p=1.5: must be above 0 and at most 1"),
        ({"shown": 0}, "shown=0: must be at least 1"),
        ({"words": ["a"]}, "words has 1 words"),
        ({"logits": np.zeros((1, 4))}, r"logits has shape \(1, 4\)"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        next_word(**{"logits": LOGITS, "words": WORDS, **options})
    assert not plt.get_fignums()
