"""Shares of parameters: bars as long as the shares, counts at their ends."""

import matplotlib.pyplot as plt
import pytest

from minitransformer.plotting import parameter_shares

MODELS = {
    "small": {"embeddings": 30, "attention": 50, "feed-forward": 20},
    "Llama-2-70B": {"embeddings": 524_288_000, "attention": 12_079_595_520, "feed-forward": 56_371_445_760, "norms": 1},
}


def test_bars_are_as_long_as_the_shares(assert_legible):
    ax = parameter_shares(MODELS)
    widths = [[bar.get_width() for bar in ax.patches if bar.get_y() + bar.get_height() / 2 == pytest.approx(row)]
              for row in (0, 1)]  # fmt: skip
    total = sum(MODELS["Llama-2-70B"].values())
    assert [w for w in widths[0] if w] == pytest.approx([0.3, 0.5, 0.2])
    assert [w for w in widths[1] if w] == pytest.approx([n / total for n in MODELS["Llama-2-70B"].values()])
    texts = [text.get_text() for text in ax.texts]
    assert {"30%", "50%", "20%", "100", "68.98 billion"} <= set(texts)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(MODELS["Llama-2-70B"])
    assert_legible(ax.figure)


def test_many_models_and_one_are_legible(assert_legible):
    assert_legible(parameter_shares({f"model number {i}": MODELS["small"] for i in range(9)}).figure)
    assert_legible(parameter_shares({"one": {"all of it": 12_345_678}}).figure)


def test_it_draws_on_the_axes_given():
    figure, ax = plt.subplots()
    assert parameter_shares(MODELS, ax=ax) is ax
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("models", [{}, {"a": {}}, {"a": {"b": -1, "c": 2}}, {"a": {"b": 0}}])
def test_errors_name_what_is_wrong(models):
    with pytest.raises(ValueError, match="models"):
        parameter_shares(models)
    assert not plt.get_fignums()
