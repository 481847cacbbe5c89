"""The pictures of how it works show the arrays of a real forward, backward, decoding and step."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.layers import (
    Chain,
    DecodingState,
    EncoderBlock,
    FeedForward,
    Glorot,
    LayerNorm,
    Linear,
    PostNorm,
    PreNorm,
    SelfAttention,
    causal_mask,
)
from minitransformer.plotting import (
    adam_step,
    cache_lifetimes,
    decoding_state_map,
    layer_shapes,
    masked_scores,
    residual_paths,
    teacher_forcing,
)
from minitransformer.training import SGD, Adam

WORDS = ["the", "cat", "sleeps"]


def block(wrap=PreNorm, seed=0):
    init = Glorot(np.random.default_rng(seed), np.float64)
    return EncoderBlock(
        wrap(SelfAttention(6, 2, init), LayerNorm(6, init)), wrap(FeedForward(6, 10, init), LayerNorm(6, init))
    )


@pytest.fixture
def x(rng):
    return rng.standard_normal((2, 3, 6))


def labels_of(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def points(ax, marker):
    """{row: time} of all markers of a kind."""
    lines = [line for line in ax.lines if line.get_marker() == marker and len(line.get_xdata())]
    return {int(line.get_ydata()[0]): int(line.get_xdata()[0]) for line in lines}


def title_of(figure):
    return figure.get_suptitle().replace("\n", " ")


def test_backward_of_a_chain_reads_its_caches_from_the_last_to_the_first():
    init = Glorot(np.random.default_rng(0), np.float64)
    chain = Chain(first=Linear(2, 3, init), second=Linear(3, 4, init), third=Linear(4, 5, init))
    ax = cache_lifetimes(chain, np.ones((1, 1, 2)))
    assert labels_of(ax) == ["first.x  (1, 1, 2)", "second.x  (1, 1, 3)", "third.x  (1, 1, 4)"]
    assert points(ax, "o") == {0: 0, 1: 1, 2: 2}
    assert points(ax, "s") == {0: 5, 1: 4, 2: 3}
    says = ax.get_title(loc="left").replace("\n", " ")
    assert says == "Forward leaves 3 arrays (72 bytes) in the cache; backward reads them layer by layer, the last first"


def test_an_array_that_backward_does_not_need_has_no_mark():
    class Wasteful(Linear):
        def forward(self, x, rng=None):
            y, cache = super().forward(x)
            cache["y"] = y
            return y, cache

    ax = cache_lifetimes(Wasteful(2, 3, np.random.default_rng(0)), np.ones((1, 1, 2)))
    assert labels_of(ax) == ["x  (1, 1, 2)", "y  (1, 1, 3)"]
    assert points(ax, "s") == {0: 2}
    assert "backward does not need 1 of them" in ax.get_title(loc="left").replace("\n", " ")


def test_a_block_s_cache_is_drawn_once_for_each_array_and_the_block_stays_as_it_was(x):
    layer = block()
    ax = cache_lifetimes(layer, x)
    arrays = {id(v) for _, v in layer.forward(x)[1].rows() if isinstance(v, np.ndarray)}
    assert len(labels_of(ax)) == len(arrays)
    assert labels_of(ax)[0] == "attention.norm.x_hat  (6, 6)"
    assert all((p.grad == 0).all() for p in layer.parameters())
    assert all("forward" not in vars(part) for _, part in layer.named_layers())


def test_shapes_show_the_numbers_of_forward(x):
    layer = block()
    ax = layer_shapes(layer, x, sentence=1)
    y, cache = layer.forward(x)
    shown = [image.get_array() for image in ax.images]
    np.testing.assert_array_equal(shown[0], x[1])
    np.testing.assert_array_equal(shown[-1], y[1])
    weights = [image for image in shown if image.shape == (3, 3)]  # the heads' softmax, and their contexts
    np.testing.assert_array_equal(weights[0], cache["attention"]["weights"][1, 0])
    np.testing.assert_array_equal(weights[1], cache["attention"]["weights"][1, 1])
    texts = [text.get_text() for text in ax.texts]
    assert "attention.attention.softmax  (Softmax)" in texts
    assert "(2, 3, 3)" in texts
    assert "(3, 10)" in texts
    assert not any("Dropout" in text for text in texts)


def test_masked_scores_are_softmax_of_what_is_seen(rng):
    scores, mask = rng.standard_normal((3, 4)), np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    axes = masked_scores(scores, mask, WORDS, list("abcd"))
    wanted = np.where(mask, np.exp(scores), 0.0)
    wanted[[0, 2]] /= wanted[[0, 2]].sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(axes[0].images[0].get_array(), scores)
    drawn = axes[2].images[0].get_array()
    np.testing.assert_allclose(drawn.data, wanted, atol=1e-15)
    assert (drawn.mask == ~mask).all()
    assert title_of(axes[0].figure).startswith("A mask makes 5 of 12 scores minus infinity")
    texts = [text.get_text() for text in axes[1].texts]
    assert texts.count("−∞") == 5


@pytest.mark.parametrize("wrap", [PreNorm, PostNorm])
def test_residual_paths_add_up_to_the_gradient(wrap, x, rng):
    layer, dy = block(wrap), rng.standard_normal(x.shape)
    ax = residual_paths(layer, x, d_output=dy)
    _, cache = layer.forward(x)
    dh = layer.feed_forward.backward(dy, cache["feed_forward"])
    skip = dy if wrap is PreNorm else layer.feed_forward.norm.backward(dy, cache["feed_forward"]["norm"])
    bars = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(bars[0], np.linalg.norm(skip))
    np.testing.assert_allclose(bars[2], np.linalg.norm(dh - skip))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["feed_forward", "attention"]
    more = sum(bars[i] > bars[i + 2] for i in (0, 1))
    assert ax.get_title(loc="left").replace("\n", " ").endswith(f"more of it the skip path at {more} of 2")


def test_a_decoding_state_shows_its_keys_and_values(rng):
    k, v = rng.standard_normal((2, 2, 2, 3, 4))
    state = DecodingState()
    for t in range(3):
        state.append("k", k[:, :, t : t + 1])
        state.append("v", v[:, :, t : t + 1])
    axes = decoding_state_map(state, WORDS, head=1, sentence=1)
    np.testing.assert_array_equal(axes[0].images[0].get_array(), k[1, 1])
    np.testing.assert_array_equal(axes[1].images[0].get_array(), v[1, 1])
    blue = axes[2].images[0].get_array()[..., 0] < 0.1
    np.testing.assert_array_equal(blue, np.eye(3, dtype=bool))
    assert title_of(axes[0].figure).startswith(
        "With a state, 3 steps compute 3 rows of keys and values; without one, 6"
    )


def test_teacher_forcing_shows_the_shift():
    ax = teacher_forcing(["<bos>", "le", "chat"], ["le", "chat", "<eos>"], np.array([0.5, 0.25, 1.0]))
    texts = [text.get_text() for text in ax.texts]
    assert [t for t in texts if t.startswith("p")] == ["p = 0.50", "p = 0.25", "p = 1.00"]
    assert texts.count("chat") == 2
    ax = teacher_forcing(["<bos>", "le"], ["le", "<eos>"], guesses=["la", "<eos>"])
    texts = [text.get_text() for text in ax.texts]
    assert "la" in texts
    assert texts.count("<eos>") == 1
    assert any("at 1 of 2 it would have said another" in text.replace("\n", " ") for text in texts)


def test_adam_s_step_is_the_optimizer_s_and_leaves_it_as_it_was():
    g = np.array([10.0, -0.01])
    adam, value = Adam(), np.ones(2)
    adam.step(np.zeros(2), np.array([1.0, 1.0]), 0.1)
    before = {name: moment.copy() for name, moment in adam.moments.items()}
    axes = adam_step(adam, value, g, 0.1)
    m = (0.9 * 0.1 + 0.1 * g) / (1 - 0.9**2)
    root = np.sqrt((0.999 * 0.001 + 0.001 * g**2) / (1 - 0.999**2))
    for ax, wanted in zip(axes, (g, m, root, -0.1 * m / (root + 1e-8))):
        np.testing.assert_allclose([bar.get_width() for bar in ax.patches], wanted, rtol=1e-9)
    assert title_of(axes[0].figure).startswith(
        "Step 2 of Adam, rate 0.1: the largest gradient is 1,000 times the smallest"
    )
    assert adam.t == 1
    assert (value == 1).all()
    assert all((adam.moments[name] == before[name]).all() for name in before)


def test_they_are_legible(x, rng, assert_legible):
    long = [f"word{i}" for i in range(12)]
    assert_legible(cache_lifetimes(block(), x).figure)
    assert_legible(layer_shapes(block(), x).figure)
    assert_legible(masked_scores(rng.standard_normal((12, 12)), causal_mask(12), long, long)[0].figure)
    assert_legible(residual_paths(block(), x).figure)
    state = DecodingState(k=rng.standard_normal((1, 1, 12, 5)), v=rng.standard_normal((1, 1, 12, 5)))
    assert_legible(decoding_state_map(state, long)[0].figure)
    assert_legible(teacher_forcing(["<bos>", *long], [*long, "<eos>"]).figure)
    assert_legible(adam_step(Adam(), np.zeros(12), rng.standard_normal(12), 0.1, long)[0].figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layer_shapes(block(), np.ones((2, 3, 6)), sentence=2), "sentence=2: must be one of the 2 sentences"),
        (lambda: residual_paths(Linear(6, 6, np.random.default_rng(0)), np.ones((1, 2, 6))), "no residual connection"),
        (lambda: masked_scores(np.ones((2, 3)), causal_mask(4), ["a"] * 2, ["a"] * 3), "must broadcast to scores'"),
        (lambda: masked_scores(np.ones(3), causal_mask(3), WORDS, WORDS), r"scores has shape \(3,\)"),
        (lambda: decoding_state_map({"k": np.ones(3)}, WORDS), "state holds k: give that of a self-attention"),
        (lambda: decoding_state_map({"k": np.ones(3), "v": np.ones(3)}, WORDS), r"state: k has shape \(3,\)"),
        (lambda: decoding_state_map({n: np.ones((1, 1, 3, 2)) for n in "kv"}, WORDS, head=1), "head=1: must be one of"),
        (lambda: teacher_forcing(["a", "b"], ["c", "d"]), r"inputs\[1\]='b' is not targets\[0\]='c'"),
        (lambda: teacher_forcing(["a"], ["c"], np.array([1.5])), "give 1 numbers from 0 to 1"),
        (lambda: teacher_forcing([], []), "inputs has 0 words"),
        (lambda: adam_step(SGD(), np.zeros(2), np.ones(2), 0.1), "optimizer=SGD: must be an Adam"),
        (lambda: adam_step(Adam(), np.zeros(2), np.ones(3), 0.1), r"value has shape \(2,\) and gradient \(3,\)"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
    assert not plt.get_fignums()
