"""The chain of self-attention's matrices: its numbers are those of the definition."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minitransformer.layers import (
    GroupedQueryAttention,
    Identity,
    Linear,
    Rotary,
    ScaledDotProductAttention,
    SelfAttention,
    causal_mask,
)
from minitransformer.plotting import attention_matrices

WORDS = ["the", "cat", "sleeps"]


def attention_of(rng, T=3, D=4, H=2, mask=None, **options):
    layer = SelfAttention(D, H, rng, projection=Linear, output=Identity, **options)
    x = rng.standard_normal((2, T, D))
    return layer, x, layer.forward(x, mask)[1]


def numbers(values):
    return [f"{v:.2f}".replace("-", "−").replace("−0.00", "0.00") if np.isfinite(v) else "−∞" for v in values.flat]


def test_every_matrix_is_there_number_by_number(rng):
    layer, x, cache = attention_of(rng, mask=causal_mask(3))
    ax = attention_matrices(cache, WORDS, head=1, sentence=1)
    x = x[1]
    q, k, v = ((x @ part.weight.value)[:, 2:] for part in (layer.query, layer.key, layer.value))  # features of head 1
    scores = np.array([[q[t] @ k[s] / 2**0.5 if s <= t else -np.inf for s in range(3)] for t in range(3)])
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wanted = [text for matrix in (x, q, k, v, scores, weights, weights @ v) for text in numbers(matrix)]
    texts = [text.get_text() for text in ax.texts]
    cells = [text for text in texts if text.replace("−", "").replace(".", "").isdigit() or text == "−∞"]
    assert cells == wanted
    assert [text for text in texts if text in ("X", "Q", "K", "V", "scores", "weights", "output")] == [
        *("X", "Q", "K", "V", "scores", "weights", "output")
    ]


@pytest.mark.parametrize("T", [1, 3, 7])
def test_it_is_legible_alone_and_on_axes_given(rng, english, assert_legible, T):
    cache = attention_of(rng, T=T)[2]
    assert_legible(attention_matrices(cache, english[:T]).figure)
    figure, ax = plt.subplots(figsize=(9, 6))
    assert attention_matrices(cache, english[:T], ax=ax) is ax
    assert_legible(figure)


def test_heads_that_share_turned_keys_show_them(rng):
    layer = GroupedQueryAttention(8, 4, 2, rng, rotary=Rotary(2))
    x = rng.standard_normal((1, 3, 8))
    cache = layer.forward(x)[1]
    texts = [text.get_text() for text in attention_matrices(cache, WORDS, head=3).texts]
    assert texts[-6:] == numbers(cache["weights"][0, 3] @ (x[0] @ layer.value.weight.value)[:, 2:])
    assert {"= X W_Q, turned", "= X W_K, turned", "= X W_V"} <= set(texts)


def test_scores_that_would_be_wrong_are_refused(rng):
    cache = attention_of(rng, attention=ScaledDotProductAttention(scale=1.0))[2]
    with pytest.raises(ValueError, match=r"scale: .* give the scale that was used"):
        attention_matrices(cache, WORDS)
    attention_matrices(cache, WORDS, scale=1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": 2}, "head=2: must be one of 0 ... 1"),
        ({"sentence": 2}, "sentence=2: must be one of 0 ... 1"),
        ({"words": ["a"]}, "words has 1 words: .* asks for 3"),
        ({"cache": {"a": 1}}, "cache holds a: give that of a self-attention"),
    ],
)
def test_errors_name_argument_value_and_what_is_allowed(rng, options, message):
    with pytest.raises(ValueError, match=message):
        attention_matrices(**{"cache": attention_of(rng)[2], "words": WORDS, **options})
    assert not plt.get_fignums()
