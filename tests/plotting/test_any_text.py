"""Labels of any text: drawn without a flood of warnings, with marks for white space, in a font that has them."""

import warnings

import matplotlib.pyplot as plt
import pytest
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from minitransformer.plotting import attention_lines, attention_map, embedding_map, next_word, save
from minitransformer.plotting.style import as_words, fallbacks, text_width, visible

WORDS = [
    "a\nb",
    "\t",
    " ",
    "$x$",
    "$",
    "_{",
    "שלום",
    "مرحبا",
    "你好",
    "日本",
    "한국",
    "\U0001f600",
    "e\u0301",
    "\x07",
    " a",
]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        *((" ", "␣"), ("   ", "␣␣␣"), (" the", "␣the"), ("the ", "the␣"), ("a b", "a b"), ("", "")),
        *(("\n", "↵"), ("a\tb", "a⇥b"), ("\r\n", "\\r↵"), ("\x00", "\\x00"), ("\u2028", "\\u2028"), ("$x$", "$x$")),
    ],
)
def test_white_space_is_seen(word, shown):
    assert visible(word) == shown
    assert len(set(as_words("words", ["a", " a", "a ", "\n", "\t", " "], 6, "it"))) == 6


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_pictures_of_any_words_are_drawn_with_at_most_one_warning(tmp_path, weights, rng, suffix):
    n = len(WORDS)
    text_width.cache_clear()
    for draw in (
        lambda: attention_map(weights(n, n), WORDS, WORDS),
        lambda: attention_lines(weights(n, n), WORDS, WORDS),
        lambda: next_word(rng.random(n), WORDS),
        lambda: embedding_map(rng.random((n, 5)), WORDS),
    ):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            drawn = draw()
            save(drawn.figure, tmp_path / f"a.{suffix}")
        messages = [str(one.message) for one in said]
        assert len(messages) <= 1, messages
        assert all(message.startswith("no font of this system has") for message in messages)


def test_a_character_that_another_font_has_is_drawn_in_that_font(tmp_path):
    usual = set(get_font(findfont(FontProperties())).get_charmap())
    other = next(font for font in fontManager.ttflist if font.name == "STIXGeneral" and font.style == "normal")
    only = min(
        c for c in set(get_font(other.fname).get_charmap()) - usual if chr(c).isprintable() and not chr(c).isspace()
    )
    families = fallbacks(f"a{chr(only)}")
    assert len(families) == 1
    figure, ax = plt.subplots()
    ax.set_title(f"a{chr(only)}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(figure, tmp_path / "a.png")
    assert ax.title.get_fontfamily()[-1] == families[0]
    assert fallbacks("été – ␣↵⇥") == []


def test_a_dollar_is_no_formula(weights, texts_of):
    words = ["$x^2$", "$", "\\alpha"]
    ax = attention_map(weights(3, 3), words, words)
    drawn = {text for text, _ in texts_of(ax.figure)}
    assert set(words) <= drawn
    assert not any(label.get_parse_math() for label in [*ax.get_xticklabels(), *ax.get_yticklabels()])
