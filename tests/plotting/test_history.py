"""Curves of training: what the history holds is drawn, what it does not hold is left out."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.plotting import accuracy_curves, loss_curves, schedule_curve, training_figure, validation_curves

ACCURACIES = ("token_accuracy", "exact_match", "pronoun_hard", "pronoun_easy")


@pytest.fixture
def history(rng):
    loss = 6 * np.exp(-np.arange(1, 301) / 60) + 0.05 + 0.02 * rng.random(300)
    steps = [
        {"step": i + 1, "loss": x, "learning_rate": 1e-3, "tokens": 900, "seconds": i / 90, "gradient_norm": 1.0}
        for i, x in enumerate(loss)
    ]
    validations = [
        {
            "step": i,
            "seconds": i / 90,
            "loss": loss[i - 1],
            **{key: i / 400 + k / 10 for k, key in enumerate(ACCURACIES)},
        }
        for i in (100, 200, 300)
    ]
    return SimpleNamespace(steps=steps, validations=validations)


def names(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_loss_is_drawn_raw_smoothed_and_validated(history):
    ax = loss_curves(history)
    raw, smooth, validation = ax.lines
    np.testing.assert_array_equal(raw.get_ydata(), [row["loss"] for row in history.steps])
    np.testing.assert_array_equal(validation.get_xdata(), [100, 200, 300])
    np.testing.assert_allclose(smooth.get_ydata()[3], np.mean(raw.get_ydata()[:7]))
    assert names(ax) == ["training, each step", "training, smoothed", "validation"]
    assert ax.get_yscale() == "log"
    assert loss_curves(history, log=False).get_yscale() == "linear"


def test_a_loss_that_is_not_finite_does_not_spread(history):
    history.steps[150]["loss"] = float("nan")
    smooth = loss_curves(history).lines[1].get_ydata()
    assert np.isfinite(smooth).all()


def test_validations_of_several_histories_are_drawn_against_minutes(history):
    bare = SimpleNamespace(steps=[], validations=[{"step": 1, "token_accuracy": 0.5}])
    ax = validation_curves({"lstm": [history, bare, history], "transformer": [history]})
    assert names(ax) == ["lstm", "transformer"]
    assert [line.get_color() for line in ax.lines] == ["#0072B2", "#0072B2", "#D55E00"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [row["seconds"] / 60 for row in history.validations])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [row["loss"] for row in history.validations])
    assert not ax.texts
    assert ax.get_yscale() == "linear"
    history.validations[-1]["loss"] = 1e-5
    assert validation_curves({"lstm": [history]}).get_yscale() == "log"
    (nothing,) = validation_curves({"lstm": [bare]}).texts
    assert nothing.get_text() == "no loss was measured"


def test_accuracies_are_drawn_by_colour_and_marker(history):
    ax = accuracy_curves(history)
    assert len(ax.lines) == 4
    assert len({line.get_color() for line in ax.lines}) == len({line.get_marker() for line in ax.lines}) == 4
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [row["exact_match"] for row in history.validations])


def test_what_is_missing_is_left_out(history):
    for row in history.validations:
        del row["pronoun_hard"], row["loss"]
        row["pronoun_easy"] = None
    assert names(accuracy_curves(history)) == ["tokens right", "whole sentence right"]
    assert names(loss_curves(history)) == ["training, each step", "training, smoothed"]
    assert len(loss_curves(SimpleNamespace(steps=[], validations=history.validations)).texts) == 1
    assert len(loss_curves(SimpleNamespace(steps=[{"step": 1}], validations=[])).texts) == 1


def test_figure_has_both_panels_or_only_the_one_that_has_something_to_show(history, assert_legible):
    both = training_figure(history)
    assert len(both.axes) == 2
    assert both.get_figwidth() <= 7.0
    assert_legible(both)
    history.validations.clear()
    alone = training_figure(history)
    assert len(alone.axes) == 1
    assert_legible(alone)


@pytest.mark.parametrize("draw", [loss_curves, accuracy_curves])
def test_it_draws_on_the_axes_given(history, draw):
    figure, ax = plt.subplots()
    assert draw(history, ax=ax) is ax
    assert plt.get_fignums() == [figure.number]


def test_schedules_are_called_at_each_step(assert_legible):
    ax = schedule_curve({"Noam": lambda step: step**-0.5, "constant": lambda step: 0.5}, 100)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.arange(1, 101))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.arange(1, 101) ** -0.5)
    assert names(ax) == ["Noam", "constant"]
    assert_legible(ax.figure)
    chosen = schedule_curve({"constant": lambda step: 0.5}, [1, 10, 100], ax=ax)
    assert chosen is ax
    np.testing.assert_array_equal(ax.lines[-1].get_xdata(), [1, 10, 100])


def test_errors_of_schedules_name_the_argument():
    with pytest.raises(ValueError, match="schedules is empty"):
        schedule_curve({}, 10)
    with pytest.raises(ValueError, match="steps=0"):
        schedule_curve({"constant": lambda step: 1.0}, 0)
    assert not plt.get_fignums()
