"""Rotary positions: what a rotation keeps, and the two conventions."""

from itertools import pairwise

import numpy as np
import pytest

from minitransformer.layers import Rotary, halves_from_pairs, pairs_from_halves


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_lengths_stay_and_the_first_position_is_not_turned():
    x = random(2, 3, 7, 6)
    y = Rotary(6)(x)
    np.testing.assert_allclose((y**2).sum(axis=-1), (x**2).sum(axis=-1), rtol=1e-13)
    assert np.array_equal(y[:, :, 0], x[:, :, 0])


def test_scores_depend_on_the_distance_alone():
    q, k = random(6), random(6, seed=1)
    turn = Rotary(6, base=10.0)
    queries, keys = (turn(np.broadcast_to(v, (1, 1, 9, 6))) for v in (q, k))
    scores = (queries @ keys.swapaxes(-1, -2))[0, 0]
    for distance in range(-8, 9):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-12)
    assert len(np.unique(scores[0].round(6))) == 9


def test_steps_far_behind_the_first_table_are_turned_as_forward_turns_them():
    x, turn = random(1, 2, 300, 4), Rotary(4)
    ends = [0, 61, 64, 65, 130, 256, 300]
    got = [turn.forward(x[:, :, start:end], start=start)[0] for start, end in pairwise(ends)]
    np.testing.assert_allclose(np.concatenate(got, axis=2), turn(x), rtol=1e-13, atol=1e-14)


def test_the_order_of_the_features_is_interleaved_head_by_head():
    # Two heads of four features; pairs in halves are (0, 2), (1, 3) and (4, 6), (5, 7).
    columns = np.arange(8.0)[None]
    assert pairs_from_halves(columns, 4).tolist() == [[0, 2, 1, 3, 4, 6, 5, 7]]
    weight = random(5, 24)
    assert np.array_equal(halves_from_pairs(pairs_from_halves(weight, 6), 6), weight)
    assert np.array_equal(pairs_from_halves(halves_from_pairs(weight, 6), 6), weight)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Rotary(5), "d_head=5"),
        (lambda: Rotary(0), "d_head=0"),
        (lambda: Rotary(4)(random(1, 1, 2, 6)), "must hold d_head=4 features"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
