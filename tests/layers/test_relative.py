"""Relative biases: one table that several attentions share, lengths of its own, and what is refused."""

import numpy as np
import pytest

from minitransformer.layers import (
    ALiBi,
    Encoder,
    EncoderBlock,
    Glorot,
    Identity,
    Linear,
    RelativePositionBias,
    Residual,
    ScaledDotProductAttention,
    SelfAttention,
    bidirectional_bucket,
    causal_bucket,
)
from minitransformer.layers.relative import alibi_slopes


def init(dtype=np.float64):
    return Glorot(np.random.default_rng(0), dtype)


def stack(biases):
    blocks = [
        EncoderBlock(
            Residual(
                SelfAttention(
                    4,
                    2,
                    Glorot(np.random.default_rng(i), np.float64),
                    projection=Linear,
                    attention=ScaledDotProductAttention(scale=1.0, bias=bias),
                )
            ),
            Identity(),
        )
        for i, bias in enumerate(biases)
    ]
    return Encoder(blocks)


def test_a_shared_table_gathers_the_gradients_that_separate_tables_have():
    one = RelativePositionBias(2, init(), 8, 10)
    separate = [RelativePositionBias(2, init(), 8, 10) for _ in range(3)]  # of equal numbers
    shared_stack, separate_stack = stack([one] * 3), stack(separate)
    x, dy = np.random.default_rng(1).standard_normal((2, 5, 6, 4))
    for model in (shared_stack, separate_stack):
        _, cache = model.forward(x)
        model.backward(dy, cache)
    np.testing.assert_allclose(one.weight.grad, sum(bias.weight.grad for bias in separate), rtol=1e-12)
    assert shared_stack.n_parameters() == separate_stack.n_parameters() - 2 * one.weight.size


def test_buckets_of_the_published_sizes():
    # Raffel et al. 2020: 32 buckets, up to a distance of 128. In a decoder 16 are exact.
    assert [causal_bucket(-n, 32, 128) for n in (0, 1, 15, 16, 17, 127, 128, 5000)] == [0, 1, 15, 16, 16, 31, 31, 31]
    assert [bidirectional_bucket(n, 32, 128) for n in (-5000, -7, 0, 1, 7, 8, 5000)] == [15, 7, 0, 17, 23, 24, 31]


def test_farther_is_never_a_lower_bucket():
    for n_buckets, max_distance in ((32, 128), (8, 5), (4, 100)):
        back = [causal_bucket(-n, n_buckets, max_distance) for n in range(300)]
        assert back == sorted(back)
        assert set(back) <= set(range(n_buckets))
        assert back[-1] == n_buckets - 1


def test_the_bias_has_the_dtype_of_its_table():
    assert RelativePositionBias(2, init(np.float32))(3, 5).dtype == np.float32


def test_alibi_leaves_float32_scores_in_float32():
    q = np.ones((1, 3, 4, 2), np.float32)
    context, cache = ScaledDotProductAttention(bias=ALiBi(3)).forward(q, q, q)
    assert context.dtype == cache["weights"].dtype == np.float32
    # Equal scores: only the distance tells keys apart, so the weights of two neighbours differ by exp(slope).
    np.testing.assert_allclose(cache["weights"][0, 0, 3, 1:] / cache["weights"][0, 0, 3, :3], np.exp(1 / 16), rtol=1e-5)


def test_the_slopes_are_those_of_the_paper():
    assert alibi_slopes(8) == [2.0**-n for n in range(1, 9)]
    assert alibi_slopes(12) == [2.0**-n for n in range(1, 9)] + [2.0**-n for n in (0.5, 1.5, 2.5, 3.5)]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: RelativePositionBias(2, init(), n_buckets=6), "n_buckets=6"),
        (lambda: RelativePositionBias(2, init(), n_buckets=0), "n_buckets=0"),
        (lambda: RelativePositionBias(2, init(), 32, max_distance=16), "max_distance=16"),
        (lambda: ALiBi(0), "n_heads=0"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
