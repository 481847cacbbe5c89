"""Embeddings and unembeddings: values by hand, repeated ids, tied weights."""

import numpy as np
import pytest

from minitransformer.layers import Chain, Embedding, Glorot, Unembedding

TABLE = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def embedding(scale=1.0):
    layer = Embedding(3, 2, Glorot(np.random.default_rng(0), np.float64), scale)
    layer.weight.value[...] = TABLE
    return layer


def test_ids_look_up_scaled_rows():
    assert np.array_equal(embedding(10.0)(np.array([[2, 0]])), [[[50.0, 60.0], [10.0, 20.0]]])


def test_the_gradients_of_repeated_ids_add():
    layer = embedding(10.0)
    _, cache = layer.forward(np.array([[2, 0], [2, 2]]))
    assert layer.backward(np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]), cache) is None
    assert np.array_equal(layer.weight.grad, [[30.0, 40.0], [0.0, 0.0], [130.0, 160.0]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_the_gradient_lands_in_the_right_row_whatever_the_ids_dtype(dtype):
    layer = Embedding(127, 300, Glorot(np.random.default_rng(0), np.float64))
    _, cache = layer.forward(np.array([[126, 100]], dtype))
    layer.backward(np.ones((1, 2, 300)), cache)
    assert np.flatnonzero(layer.weight.grad.any(axis=1)).tolist() == [100, 126]
    assert layer.weight.grad.sum() == 600.0


def test_what_is_looked_up_is_a_copy():
    layer = embedding()
    layer(np.array([0]))[...] = 99.0
    assert np.array_equal(layer.weight.value, TABLE)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 3, 4)])
def test_ids_may_have_any_shape(shape):
    layer = embedding()
    y, cache = layer.forward(np.ones(shape, int))
    assert y.shape == (*shape, 2)
    layer.backward(np.ones(y.shape), cache)
    assert np.array_equal(layer.weight.grad[1], [np.prod(shape)] * 2)


def test_unembedding_compares_with_every_row():
    layer = Unembedding(embedding().weight, scale=0.5)
    y, cache = layer.forward(np.array([[1.0, -1.0]]))
    assert np.array_equal(y, [[-0.5, -0.5, -0.5]])
    dx = layer.backward(np.array([[1.0, 0.0, 2.0]]), cache)
    assert np.array_equal(dx, [[0.5 * (1 + 10), 0.5 * (2 + 12)]])
    assert np.array_equal(layer.weight.grad, [[0.5, -0.5], [0.0, 0.0], [1.0, -1.0]])


def test_unembedding_names_the_wrong_width():
    with pytest.raises(ValueError, match=r"x has shape \(4, 3\): its last axis must hold d_model=2 features"):
        Unembedding(embedding().weight)(np.ones((4, 3)))


def test_a_tied_weight_gets_the_gradients_of_both_uses():
    tokens = embedding()
    model = Chain(tokens=tokens, head=Unembedding(tokens.weight))
    logits, cache = model.forward(np.array([1]))
    assert np.array_equal(logits, [[3 + 8, 9 + 16, 15 + 24]])
    model.backward(np.array([[1.0, 0.0, 0.0]]), cache)
    # logit 0 = E[1] . E[0]: the gradient of E[0] is E[1], and that of E[1] is E[0]
    assert np.array_equal(tokens.weight.grad, [[3.0, 4.0], [1.0, 2.0], [0.0, 0.0]])


def test_a_table_can_be_shared():
    first = embedding()
    second = Embedding(3, 2, np.random.default_rng(0), weight=first.weight)
    assert second.weight is first.weight


def test_a_table_of_another_shape_cannot():
    with pytest.raises(ValueError, match=r"weight has shape \(3, 2\): to be shared it must be \(n, d_model\)=\(4, 2\)"):
        Embedding(4, 2, np.random.default_rng(0), weight=embedding().weight)


@pytest.mark.parametrize("wrong", [3, -1])
def test_an_id_outside_the_table_is_named(wrong):
    with pytest.raises(ValueError, match=f"ids holds {wrong}: ids must be at least 0 and below 3"):
        embedding()(np.array([0, wrong]))


@pytest.mark.parametrize(
    ("ids", "words"), [(np.array([1.0]), "dtype float64"), ([1, 2], "list"), (np.array([True]), "dtype bool")]
)
def test_ids_that_are_not_integers_are_refused(ids, words):
    with pytest.raises(TypeError, match=f"ids is of {words}: ids must be an array of integers"):
        embedding()(ids)
