"""Blocks and stacks: which input goes where, and what the caches are called."""

import numpy as np

from minitransformer.layers import (
    Decoder,
    DecoderBlock,
    Encoder,
    EncoderBlock,
    Glorot,
    Identity,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    Residual,
    SelfAttention,
    causal_mask,
)

RNG = np.random.default_rng(0)
X, MEMORY = RNG.standard_normal((2, 5, 6)), RNG.standard_normal((2, 7, 6))


def init():
    return Glorot(np.random.default_rng(1), np.float64)


def encoder_block():
    return EncoderBlock(Residual(SelfAttention(6, 2, init())), Residual(Linear(6, 6, init())))


def decoder_block():
    attention, cross_attention = Residual(SelfAttention(6, 2, init())), Residual(MultiHeadAttention(6, 2, init()))
    return DecoderBlock(attention, cross_attention, Residual(Linear(6, 6, init())))


def test_an_encoder_block_is_attention_then_feed_forward():
    block, mask = encoder_block(), causal_mask(5)
    assert np.array_equal(block(X, mask), block.feed_forward(block.attention(X, mask)))


def test_a_decoder_block_is_attention_then_attention_to_the_memory_then_feed_forward():
    block, mask, memory_mask = decoder_block(), causal_mask(5), RNG.random((2, 1, 5, 7)) < 0.7
    wanted = block.feed_forward(block.cross_attention(block.attention(X, mask), MEMORY, memory_mask))
    assert np.array_equal(block(X, MEMORY, mask, memory_mask), wanted)


def test_blocks_of_an_encoder_run_one_after_another_and_the_norm_last():
    a, b, norm = encoder_block(), encoder_block(), LayerNorm(6, init())
    assert np.array_equal(Encoder([a, b], norm)(X), norm(b(a(X))))


def test_every_decoder_block_reads_the_same_memory():
    a, b = decoder_block(), decoder_block()
    assert np.array_equal(Decoder([a, b])(X, MEMORY), b(a(X, MEMORY), MEMORY))


def test_a_stack_without_a_norm_has_none():
    assert isinstance(Encoder([encoder_block()]).norm, Identity)
    assert isinstance(Decoder([decoder_block()]).norm, Identity)


def test_a_decoder_without_blocks_owes_the_memory_a_gradient_of_zero():
    y, cache = Decoder([]).forward(X, MEMORY)
    dx, d_memory = Decoder([]).backward(y, cache)
    assert np.array_equal(dx, X)
    assert d_memory.shape == MEMORY.shape
    assert not d_memory.any()


def test_attention_maps_are_found_by_their_path():
    _, cache = Decoder([decoder_block(), decoder_block()]).forward(X, MEMORY)
    for i in range(2):
        assert cache["blocks"][i]["attention"]["weights"].shape == (2, 2, 5, 5)
        assert cache["blocks"][i]["cross_attention"]["weights"].shape == (2, 2, 5, 7)


def test_the_gradients_of_a_memory_that_several_blocks_read_add():
    a, b = decoder_block(), decoder_block()
    stack = Decoder([a, b])
    y, cache = stack.forward(X, MEMORY)
    dy = RNG.standard_normal(y.shape)
    _, d_memory = stack.backward(dy, cache)
    h, a_cache = a.forward(X, MEMORY)
    _, b_cache = b.forward(h, MEMORY)
    dh, from_b = b.backward(dy, b_cache)
    _, from_a = a.backward(dh, a_cache)
    np.testing.assert_allclose(d_memory, from_a + from_b, rtol=1e-13, atol=1e-14)
