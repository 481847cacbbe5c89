"""Saturation: the curves are averages of what the definition gives for the same draws."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.plotting import softmax_saturation


def test_the_curves_are_the_definitions_averages():
    ax = softmax_saturation(np.random.default_rng(3), dimensions=(2, 5), keys=3, draws=4)
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    rng = np.random.default_rng(3)
    for i, d in enumerate((2, 5)):
        q, k = rng.standard_normal((4, 1, d)), rng.standard_normal((4, 3, d))
        for name, scale in (("divided by √d", d**-0.5), ("not divided", 1.0)):
            largest, slope = [], []
            for n in range(4):
                powers = [np.exp(scale * sum(a * b for a, b in zip(q[n, 0], key))) for key in k[n]]
                y = np.array(powers) / sum(powers)
                largest.append(max(y))
                square = [(y[i] * ((i == j) - y[j])) ** 2 for i in range(3) for j in range(3)]
                slope.append(sum(square) ** 0.5)
            assert drawn[f"{name}: largest of 3 weights"][i] == pytest.approx(np.mean(largest))
            assert drawn[f"{name}: slope of softmax, |dy/dx|"][i] == pytest.approx(np.mean(slope))


def test_it_is_legible_alone_and_beside_others(assert_legible):
    assert_legible(softmax_saturation(np.random.default_rng(0), draws=20).figure)
    figure, (ax, _) = plt.subplots(1, 2, figsize=(9, 4))
    assert softmax_saturation(np.random.default_rng(0), dimensions=(1, 32, 512), draws=20, ax=ax) is ax
    assert_legible(figure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": [4]}, r"dimensions=\[4\]: give at least two"),
        ({"dimensions": [0, 4]}, r"dimensions=\[0, 4\]"),
        ({"keys": 1}, "keys=1: must be at least 2"),
        ({"draws": 0}, "draws=0: must be at least 1"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        softmax_saturation(np.random.default_rng(0), **options)
    assert not plt.get_fignums()
