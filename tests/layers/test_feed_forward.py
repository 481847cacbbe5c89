"""FeedForward by hand."""

import numpy as np

from minitransformer.layers import GELU, FeedForward, Glorot, Linear


def feed_forward(**options):
    return FeedForward(1, 2, Glorot(np.random.default_rng(0), np.float64), **options)


def test_widen_bend_narrow_by_hand():
    layer = feed_forward()
    layer.up_proj.weight.value[...] = [[1.0, -1.0]]
    layer.up_proj.bias.value[...] = [1.0, 0.5]
    layer.down_proj.weight.value[...] = [[2.0], [3.0]]
    layer.down_proj.bias.value[...] = [10.0]
    y, cache = layer.forward(np.array([[2.0], [-2.0]]))
    # relu(3, -1.5) . (2, 3) + 10 = 16;   relu(-1, 2.5) . (2, 3) + 10 = 17.5
    assert np.array_equal(y, [[16.0], [17.5]])
    assert np.array_equal(layer.backward(np.array([[1.0], [10.0]]), cache), [[2.0], [-30.0]])
    assert np.array_equal(layer.up_proj.weight.grad, [[4.0, -60.0]])
    assert np.array_equal(layer.up_proj.bias.grad, [2.0, 30.0])
    assert np.array_equal(layer.down_proj.weight.grad, [[3.0], [25.0]])
    assert np.array_equal(layer.down_proj.bias.grad, [11.0])


def test_parts_can_be_handed_over():
    layer = feed_forward(activation=GELU(), projection=Linear)
    assert isinstance(layer.activation, GELU)
    assert layer.n_parameters() == 4


def test_dropout_is_between_the_projections():
    layer = feed_forward(dropout=0.5)
    _, cache = layer.forward(np.ones((50, 1)), rng=np.random.default_rng(0))
    assert set(np.unique(cache["dropout"]["keep"])) == {0.0, 2.0}
    assert cache["dropout"]["keep"].shape == (50, 2)
