"""Two models side by side: each panel shows the numbers that it was given, and the page says what was found."""

from types import SimpleNamespace

import numpy as np
import pytest

from minitransformer.plotting import comparison_figures, length_curves, quality_curves, reach_curves, step_times

WORDS = ["7", "1", "4", "<eos>"]


def candidate(name, factor):
    looks = [{"step": s, "seconds": s * factor, "exact_match": s / 25, "token_accuracy": s / 22} for s in (10, 20)]
    reach = {when: {1: 0.9, 4: 0.3 * factor, 16: 1e-5 * factor} for when in ("untrained", "trained")}
    return SimpleNamespace(
        name=name,
        parameters=1000,
        history=SimpleNamespace(validations=looks),
        seconds_per_step={8: 0.01 * factor, 16: 0.03 * factor},
        encoder_reach=reach,
        answer_reach=reach,
        exact_match={3: 1.0, 5: 0.5 / factor},
        alignment=np.full((4, 4), 0.25),
        where="" if name == "A" else "block 1, head 2",
    )


@pytest.fixture
def comparison():
    both = (candidate("A", 1.0), candidate("B", 2.0))
    return SimpleNamespace(candidates=both, steps=20, longest=4, measure="exact_match")


def drawn(ax):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines}


@pytest.mark.parametrize(("against", "x"), [("step", [10, 20]), ("seconds", [20.0, 40.0])])
def test_quality_stands_against_steps_or_seconds(comparison, against, x):
    assert drawn(quality_curves(comparison, against=against))["B"] == (x, [0.4, 0.8])


def test_time_and_length_are_those_measured(comparison):
    assert drawn(step_times(comparison))["B"] == ([8, 16], [0.02, 0.06])
    ax = length_curves(comparison)
    assert drawn(ax)["B"] == ([3, 5], [1.0, 0.25])
    assert any(list(line.get_xdata()) == [4.5, 4.5] for line in ax.lines)


@pytest.mark.parametrize("way", ["encoder_reach", "answer_reach"])
def test_reach_is_drawn_before_training_and_after_it(comparison, way):
    lines = drawn(reach_curves(comparison, way=way))
    assert set(lines) == {"A, untrained", "A, trained", "B, untrained", "B, trained"}
    assert lines["B, trained"] == ([1, 4, 16], [0.9, 0.6, 2e-5])


def test_each_figure_is_legible_and_its_title_is_what_was_found(comparison, assert_legible):
    figures = comparison_figures(comparison, WORDS, WORDS)
    assert {name: len(figure.axes) for name, figure in figures.items()} == {"learning": 2, "length": 2, "reach": 4}
    for figure in figures.values():
        assert figure.get_figwidth() == 7.0
        assert_legible(figure)
    titles = {name: figure.get_suptitle().replace("\n", " ") for name, figure in figures.items()}
    assert titles == {
        "learning": "90 % right, A: not within 20 steps; B: not within 20 steps",
        "length": "At 16 tokens a step of the B takes 2.0 times as long as one of the A",
        "reach": "What is left of a gradient 16 tokens before the last, after training: 1e-05 in the A, 2e-05 in the B",
    }


def test_what_was_not_measured_is_left_out(comparison, assert_legible):
    for one in comparison.candidates:
        one.exact_match, one.answer_reach = {}, {}
    comparison.measure = "token_accuracy"
    figures = comparison_figures(comparison, WORDS, WORDS)
    assert {name: len(figure.axes) for name, figure in figures.items()} == {"learning": 2, "length": 1, "reach": 3}
    for figure in figures.values():
        assert_legible(figure)


def test_what_does_not_fit_is_refused(comparison):
    with pytest.raises(ValueError, match="keys has 3 words: the alignment of shape"):
        comparison_figures(comparison, WORDS, WORDS[:3])
    with pytest.raises(ValueError, match="against='tokens': must be 'step' or 'seconds'"):
        quality_curves(comparison, against="tokens")
    with pytest.raises(ValueError, match="way='both': must be one of encoder_reach, answer_reach"):
        reach_curves(comparison, way="both")
