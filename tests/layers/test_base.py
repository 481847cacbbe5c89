"""Parameters, caches and layers: names, sharing, printing."""

import html
import re

import numpy as np
import pytest

from minitransformer.layers import (
    Cache,
    Chain,
    Dense,
    Dropout,
    Embedding,
    Encoder,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    Glorot,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    Parameter,
    PreNorm,
    ReLU,
    Residual,
    RMSNorm,
    SelfAttention,
    Softmax,
    State,
    Unallocated,
    Unembedding,
)


def init():
    return Glorot(np.random.default_rng(0), np.float64)


def test_a_parameter_has_a_gradient_of_its_shape_and_dtype_that_begins_at_zero():
    parameter = Parameter(np.ones((2, 3), np.float32))
    assert parameter.grad.shape == parameter.shape == (2, 3)
    assert parameter.grad.dtype == parameter.dtype == np.float32
    assert parameter.size == 6
    assert not parameter.grad.any()
    assert repr(parameter) == "Parameter((2, 3) float32)"


def test_an_unallocated_parameter_takes_no_memory():
    layer = Linear(100_000, 100_000, Unallocated())
    assert layer.n_parameters() == 10**10
    assert layer.weight.value.strides == (0, 0)
    assert layer.weight.grad.strides == (0, 0)


def test_a_cache_prints_as_a_tree_of_name_shape_and_dtype():
    blocks = [Cache(weights=np.zeros((2, 3), np.float32)), Cache(weights=np.zeros((2, 3), np.float32), norm=Cache())]
    cache = Cache(x=np.zeros((4,)), blocks=blocks, n=7)
    assert repr(cache) == (
        "├─ x  (4,) float64\n"
        "├─ blocks\n"
        "│  ├─ 0\n"
        "│  │  └─ weights  (2, 3) float32\n"
        "│  └─ 1\n"
        "│     └─ weights  (2, 3) float32\n"
        "└─ n  7"
    )


def test_an_empty_cache_says_that_there_is_nothing():
    assert repr(Cache()) == "(nothing: this backward needs no memory of its forward)"


def test_a_cache_in_html_is_escaped():
    cache = Cache(note="<script>&")
    assert "<script>" not in cache._repr_html_()
    assert html.escape("<script>&") in cache._repr_html_()


def test_a_cache_in_html_is_a_table_of_name_shape_and_dtype():
    cache = Cache(attention=Cache(weights=np.zeros((2, 3), np.float32)), blocks=[Cache(n=7)])
    page = cache._repr_html_()
    assert re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", page)[3:] == [
        *("<b>attention</b>", "", "", "weights", "(2, 3)", "float32"),
        *("<b>blocks</b>", "", "", "<b>0</b>", "", "", "n", "7", ""),
    ]
    assert "nothing" in Cache()._repr_html_()


def test_a_caches_rows_are_its_leaves_with_dotted_paths():
    x, y = np.zeros(1), np.zeros(2)
    cache = Cache(a=Cache(x=x), blocks=[Cache(y=y)])
    assert [(path, value is leaf) for (path, value), leaf in zip(cache.rows(), (x, y))] == [
        ("a.x", True),
        ("blocks.0.y", True),
    ]


def block():
    return EncoderBlock(
        attention=PreNorm(SelfAttention(6, 2, init()), LayerNorm(6, init())),
        feed_forward=Residual(FeedForward(6, 5, init())),
    )


def test_parameters_are_named_by_the_path_of_attributes_and_wrappers_are_transparent():
    names = [name for name, _ in Encoder([block()], norm=LayerNorm(6, init())).named_parameters()]
    attention = [
        f"blocks.0.attention.{part}.{what}"
        for part in ("query", "key", "value", "output")
        for what in ("weight", "bias")
    ]
    assert names == [
        *attention,
        "blocks.0.attention.norm.gain",
        "blocks.0.attention.norm.shift",
        "blocks.0.feed_forward.widen.weight",
        "blocks.0.feed_forward.widen.bias",
        "blocks.0.feed_forward.narrow.weight",
        "blocks.0.feed_forward.narrow.bias",
        "norm.gain",
        "norm.shift",
    ]


def test_names_of_parameters_are_distinct_and_parameters_unique():
    layer = Encoder([block(), block()])
    names = [name for name, _ in layer.named_parameters()]
    assert len(set(names)) == len(names) == len({id(p) for p in layer.parameters()})


def test_a_tied_weight_is_counted_once_under_its_first_name():
    tokens = Embedding(7, 3, init())
    model = Chain(tokens=tokens, head=Unembedding(tokens.weight))
    assert [name for name, _ in model.named_parameters()] == ["tokens.weight"]
    assert model.n_parameters() == 21


def test_a_layer_used_twice_is_walked_twice_and_counted_once():
    shared = Linear(3, 3, init())
    model = Chain(a=shared, b=shared)
    assert [path for path, _ in model.named_layers()] == ["", "a", "b"]
    assert model.n_parameters() == 9


def test_parameters_in_a_list_are_found():
    layer = Layer()
    layer.tables = [Parameter(np.zeros(2)), Parameter(np.zeros(3))]
    assert [(name, p.size) for name, p in layer.named_parameters()] == [("tables.0", 2), ("tables.1", 3)]


def test_zero_grad_clears_every_gradient_in_place():
    layer = block()
    grads = [p.grad for p in layer.parameters()]
    for grad in grads:
        grad += 1.0
    layer.zero_grad()
    assert not any(grad.any() for grad in grads)
    assert all(p.grad is grad for p, grad in zip(layer.parameters(), grads))


def test_calling_a_layer_gives_the_output_alone():
    x = np.array([-1.0, 2.0])
    assert np.array_equal(ReLU()(x), [0.0, 2.0])


def test_identity_returns_what_it_was_given():
    x = np.ones(3)
    y, cache = Identity().forward(x)
    assert y is x
    assert Identity().backward(x, cache) is x


def test_identity_cannot_change_the_width():
    with pytest.raises(ValueError, match="d_out=4: an identity keeps its width d_in=3"):
        Identity(3, 4, None)


def test_a_chain_runs_in_order_and_back_in_reverse():
    double, square = Linear(1, 1, init()), ReLU()
    double.weight.value[...] = 2.0
    chain = Chain(double=double, bend=square, again=double)
    y, cache = chain.forward(np.array([[3.0], [-1.0]]))
    assert np.array_equal(y, [[12.0], [0.0]])
    dx = chain.backward(np.array([[1.0], [1.0]]), cache)
    assert np.array_equal(dx, [[4.0], [0.0]])
    assert double.weight.grad == 6.0 + 2.0 * 3.0  # d(2 relu(2 w x))/dw of the two uses: x w each, w = 2
    assert list(cache) == ["double", "bend", "again"]


def test_the_base_layer_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="Layer has no forward"):
        Layer().forward()
    with pytest.raises(NotImplementedError, match="Layer has no backward"):
        Layer().backward()


def test_attention_of_lecture_notes_has_three_n_squared_weights_with_any_number_of_heads():
    for heads in (1, 2, 4):
        layer = MultiHeadAttention(8, heads, init(), projection=Linear, output=Identity)
        assert layer.n_parameters() == 3 * 8**2


@pytest.mark.parametrize("shape", [(3, 5, 6), (3, 1, 6), (1, 1, 6), (2, 6), (6,)], ids=str)
@pytest.mark.parametrize(
    "layer",
    [
        Linear(6, 4, init()),
        Dense(6, 4, init()),
        LayerNorm(6, init()),
        RMSNorm(6, init()),
        FeedForward(6, 11, init()),
        GatedFeedForward(6, 11, init()),
        Softmax(),
        Dropout(0.3),
        Unembedding(Parameter(np.ones((4, 6))), scale=0.7),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_step_that_is_a_shortcut_gives_what_forward_gives(layer, shape):
    rng = np.random.default_rng(1)
    for parameter in layer.parameters():
        parameter.value = rng.standard_normal(parameter.shape)
    x = rng.standard_normal(shape)
    kept = x.copy()
    for given in (x, x + 1e-3j * rng.standard_normal(shape)):
        np.testing.assert_allclose(layer.step(given, State()), layer(given), rtol=1e-12, atol=1e-13)
    assert np.array_equal(x, kept)


def test_a_shortcut_is_not_that_of_a_subclass_with_another_forward():
    class Doubling(Dense):
        def forward(self, x, rng=None):
            return 2.0 * x, Cache()

    class Renamed(Dense):
        pass

    x = np.arange(3.0)
    assert np.array_equal(Doubling(3, 3, init()).step(x, State()), 2.0 * x)
    assert Renamed.step is Dense.step
