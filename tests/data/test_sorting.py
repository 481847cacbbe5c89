"""Sorting digits, for decoder-only models."""

import numpy as np

from minitransformer.data import SortingTask


def test_only_the_sorted_half_is_to_be_predicted():
    batch = SortingTask(4, 3, seed=0).pairs(np.array([[3, 1, 2, 1]]))
    assert batch.inputs[0].tolist() == [[3, 1, 2, 1, 1, 1, 2]]
    assert batch.targets.tolist() == [[0, 0, 0, 1, 1, 2, 3]]
    assert batch.n_tokens == 4


def test_there_are_729_inputs_and_about_a_quarter_is_held_out():
    task = SortingTask(seed=0)
    inputs = task.inputs()
    assert len({tuple(row) for row in inputs.tolist()}) == 729
    assert 0.18 < task.held_out(inputs).mean() < 0.32


def test_what_is_held_out_is_never_drawn_and_all_else_is():
    task = SortingTask(4, 3, batch_size=64, seed=1)
    drawn = {tuple(row) for step in range(60) for row in task.batch(step).inputs[0][:, :4].tolist()}
    inputs = task.inputs()
    held_out = task.held_out(inputs)
    assert drawn == {tuple(row) for row in inputs[~held_out].tolist()}


def test_seed_and_step_decide_a_batch():
    first = SortingTask(seed=3).batch(5).inputs[0]
    assert np.array_equal(SortingTask(seed=3).batch(5).inputs[0], first)
    assert not np.array_equal(SortingTask(seed=4).batch(5).inputs[0], first)
    assert not np.array_equal(SortingTask(seed=3).batch(6).inputs[0], first)
