"""Parameters, caches and layers: names, sharing, printing."""

import html
import inspect
import re

import numpy as np
import pytest

from minitransformer import layers
from minitransformer.layers import (
    GELU,
    Cache,
    Chain,
    Embedding,
    Encoder,
    EncoderBlock,
    FeedForward,
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


def test_a_parameter_prints_its_shape_and_the_range_of_its_numbers():
    parameter = Parameter(np.array([[-1.5, 0.25]]))
    parameter.grad += 2.0
    assert repr(parameter) == "Parameter((1, 2) float64, values -1.5 to 0.25, gradient 2)"
    assert parameter._repr_html_() == f"<code>{parameter!r}</code>"
    assert repr(Parameter(np.zeros((0, 3)))) == "Parameter((0, 3) float64, values empty, gradient empty)"
    assert "values not in memory, gradient not in memory" in repr(Linear(20_000, 20_000, Unallocated()).weight)


def test_a_layer_prints_as_a_tree_in_which_blocks_that_are_alike_share_a_line():
    blocks = [
        EncoderBlock(PreNorm(SelfAttention(4, 2, init(), dropout=0.1), LayerNorm(4, init())), Linear(4, 4, init()))
        for _ in range(3)
    ]
    blocks.append(EncoderBlock(Identity(), Linear(4, 5, init())))
    encoder = Encoder(blocks, LayerNorm(4, init()))
    assert repr(encoder) == (
        "Encoder: 340 parameters, float64\n"
        "├─ blocks.0 ... blocks.2  3 x EncoderBlock\n"
        "│  ├─ attention  PreNorm(SelfAttention)\n"
        "│  │  ├─ query  Dense: weight (4, 4), bias (4,)\n"
        "│  │  ├─ key  Dense: weight (4, 4), bias (4,)\n"
        "│  │  ├─ value  Dense: weight (4, 4), bias (4,)\n"
        "│  │  ├─ attention  ScaledDotProductAttention\n"
        "│  │  │  ├─ softmax  Softmax\n"
        "│  │  │  └─ dropout  Dropout 0.1\n"
        "│  │  ├─ output  Dense: weight (4, 4), bias (4,)\n"
        "│  │  └─ norm  LayerNorm: gain (4,), bias (4,)\n"
        "│  └─ feed_forward  Linear: weight (4, 4)\n"
        "├─ blocks.3  EncoderBlock\n"
        "│  ├─ attention  Identity\n"
        "│  └─ feed_forward  Linear: weight (4, 5)\n"
        "└─ norm  LayerNorm: gain (4,), bias (4,)"
    )
    page = encoder._repr_html_()
    assert page.startswith("<details open><summary>Encoder: 340 parameters, float64</summary>")
    assert page.count("<details") == page.count("</details>") == 5
    assert "norm  LayerNorm: gain (4,), bias (4,)</div>" in page


def test_a_layer_s_tree_says_which_weight_is_tied_and_does_not_merge_what_differs_in_it():
    shared = Linear(2, 2, init())
    chain = Chain(**{"blocks.0": shared, "blocks.1": shared, "own": Linear(2, 2, init())})
    assert repr(chain) == (
        "Chain: 8 parameters, float64\n"
        "├─ blocks.0  Linear: weight (2, 2)\n"
        "├─ blocks.1  Linear: weight tied to blocks.0.weight\n"
        "└─ own  Linear: weight (2, 2)"
    )
    assert repr(Softmax()) == "Softmax: 0 parameters"


def test_an_unallocated_parameter_takes_no_memory():
    layer = Linear(20_000, 20_000, Unallocated())
    assert layer.n_parameters() == 4 * 10**8
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
    assert repr(Cache()) == "(empty: this backward needs nothing from its forward)"


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
        "blocks.0.attention.norm.bias",
        "blocks.0.feed_forward.up_proj.weight",
        "blocks.0.feed_forward.up_proj.bias",
        "blocks.0.feed_forward.down_proj.weight",
        "blocks.0.feed_forward.down_proj.bias",
        "norm.gain",
        "norm.bias",
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


def test_only_layers_that_look_at_other_positions_know_of_decoding():
    """One forward: nothing else computes an output, and a layer that treats each position by itself takes no state."""
    takers = set()
    for name in layers.__all__:
        kind = getattr(layers, name)
        if isinstance(kind, type) and issubclass(kind, Layer):
            assert not hasattr(kind, "step"), name
            if "state" in inspect.signature(kind.forward).parameters:
                takers.add(name)
    attention = {"SelfAttention", "MultiHeadAttention", "GroupedQueryAttention", "CrossAttention"}
    attention |= {"DotAttention", "AdditiveAttention"}
    stacks = {"EncoderBlock", "DecoderBlock", "Encoder", "Decoder", "LuongDecoder", "InputFeedingDecoder"}
    wrappers = {"Residual", "PreNorm", "PostNorm"}  # they hand on what they are given
    # LSTM and GRU take their first h and c as inputs, under the same word.
    recurrent = {"LSTM", "LSTMLayer", "BidirectionalLSTM", "GRU", "GRULayer", "BidirectionalGRU"}
    recurrent |= {"Bidirectional", "RecurrentStack"}
    assert takers == attention | stacks | wrappers | recurrent


def test_a_parameter_is_assigned_in_place_and_keeps_its_dtype():
    layer = Linear(3, 2, Glorot(np.random.default_rng(0), np.float32))
    value = layer.weight.value
    layer.weight.assign(np.arange(6.0).reshape(3, 2))
    assert layer.weight.value is value
    assert value.dtype == np.float32
    assert value.tolist() == [[0, 1], [2, 3], [4, 5]]
    layer.weight.assign([[1, 2], [3, 4], [5, 6]])
    assert value[2, 1] == 6


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros((2, 3)), ValueError, r"shape \(2, 3\): must be \(3, 2\); its transpose fits"),
        (np.zeros((3, 3)), ValueError, r"shape \(3, 3\): must be \(3, 2\)$"),
        (np.zeros((1, 2)), ValueError, r"shape \(1, 2\)"),
        (np.zeros((3, 2), complex), TypeError, "complex128"),
        (np.array([["a", "b"]] * 3), TypeError, "<U1"),
        (np.zeros((3, 2), bool), TypeError, "bool"),
    ],
)
def test_what_does_not_fit_a_parameter_is_refused_and_changes_nothing(array, error, words):
    layer = Linear(3, 2, init())
    before = layer.weight.value.copy()
    with pytest.raises(error, match=words):
        layer.weight.assign(array)
    assert np.array_equal(layer.weight.value, before)


@pytest.mark.parametrize(
    "layer",
    [
        Linear(2, 4, init()),
        LayerNorm(2, init()),
        RMSNorm(2, init()),
        Softmax(),
        ReLU(),
        GELU(),
        FeedForward(2, 3, init()),
        SelfAttention(2, 1, init()),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_list_in_place_of_an_array_is_named(layer):
    with pytest.raises(TypeError, match=r"x is of type list: give a NumPy array, such as np\.array"):
        layer([[[1.0, 2.0]]])
