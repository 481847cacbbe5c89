"""One small case, or several, for every layer: what the gradient checks, the tests and the injected bugs run on.

Sizes differ, so that no two axes can be mistaken for one another: B = 3 sentences, T = 5 target and S = 7 source
tokens, D = 6 features, F = 13 inside, V = 17 ids; where there are heads, B = 5, T = 7, S = 11 and H = 2 heads of d = 3.
Ids repeat, dropout is on, some queries may attend to nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minitransformer.layers import (
    GELU,
    ALiBi,
    Array,
    Chain,
    CrossEntropy,
    Decoder,
    DecoderBlock,
    Dense,
    Dropout,
    Embedding,
    Encoder,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    Glorot,
    GroupedQueryAttention,
    Identity,
    InputEmbedding,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    RelativePositionBias,
    ReLU,
    Residual,
    RMSNorm,
    Rotary,
    ScaledDotProductAttention,
    SelfAttention,
    SiLU,
    SinusoidalPositions,
    Softmax,
    Unembedding,
    causal_bucket,
    causal_mask,
)

from .registry import case

B, T, S, D, F, V = 3, 5, 7, 6, 13, 17
H, d = 2, 3
P = 0.3  # dropout


def float64(rng: np.random.Generator) -> Glorot:
    """The initializer of cases."""
    return Glorot(rng, np.float64)


def ids(rng: np.random.Generator, *shape: int, n: int = V) -> Array:
    """Random ids that repeat, 0 (padding) among them, and never the last one, which nobody looks up."""
    drawn = rng.integers(1, n - 1, shape)
    drawn.flat[: drawn.size // 3] = drawn.flat[-(drawn.size // 3) :]
    drawn[..., -1] = np.where(np.arange(drawn[..., -1].size).reshape(drawn[..., -1].shape) % 2, 0, drawn[..., -1])
    return drawn


def ragged_mask(rng: np.random.Generator, sentences: int, queries: int, keys: int) -> Array:
    """A random mask (B, 1, T, S): one query in each sentence, and all of the last sentence, may attend to nothing."""
    mask = rng.random((sentences, 1, queries, keys)) < 0.7
    mask[:, :, 2] = False
    mask[-1] = False
    return mask


@case(Identity)
def _identity(rng: np.random.Generator) -> tuple[Any, ...]:
    return Identity(), rng.standard_normal((B, T, D))


@case(Linear)
def _linear(rng: np.random.Generator) -> tuple[Any, ...]:
    return Linear(D, F, float64(rng)), rng.standard_normal((B, T, D))


@case(Linear, "square")
def _linear_square(rng: np.random.Generator) -> tuple[Any, ...]:
    return Linear(D, D, float64(rng)), rng.standard_normal((B, T, D))


@case(Dense)
def _dense(rng: np.random.Generator) -> tuple[Any, ...]:
    return Dense(D, F, float64(rng)), rng.standard_normal((B, T, D))


@case(Chain)
def _chain(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    chain = Chain(up=Dense(D, F, init), activation=GELU(), dropout=Dropout(P), down=Linear(F, D, init))
    return chain, rng.standard_normal((B, T, D))


@case(Chain, "of one layer used twice")
def _used_twice(rng: np.random.Generator) -> tuple[Any, ...]:
    shared = Dense(D, D, float64(rng))
    return Chain(first=shared, activation=GELU(), second=shared), rng.standard_normal((B, T, D))


@case(Chain, "of an embedding tied to its unembedding")
def _tied(rng: np.random.Generator) -> tuple[Any, ...]:
    tokens = Embedding(V, D, float64(rng), scale=D**0.5)
    return Chain(tokens=tokens, activation=GELU(), head=Unembedding(tokens.weight, scale=D**-0.5)), ids(rng, B, T)


@case(ReLU)
def _relu(rng: np.random.Generator) -> tuple[Any, ...]:
    return ReLU(), rng.standard_normal((B, T, F))


@case(GELU)
def _gelu(rng: np.random.Generator) -> tuple[Any, ...]:
    return GELU(), rng.standard_normal((B, T, F))


@case(Softmax)
def _softmax(rng: np.random.Generator) -> tuple[Any, ...]:
    return Softmax(), rng.standard_normal((B, T, S))


@case(LayerNorm)
def _layer_norm(rng: np.random.Generator) -> tuple[Any, ...]:
    return LayerNorm(D, float64(rng)), rng.standard_normal((B, T, D))


@case(Dropout)
def _dropout(rng: np.random.Generator) -> tuple[Any, ...]:
    return Dropout(P), rng.standard_normal((B, T, D))


@case(Embedding)
def _embedding(rng: np.random.Generator) -> tuple[Any, ...]:
    return Embedding(V, D, float64(rng), scale=2.5), ids(rng, B, T)


@case(InputEmbedding, "with learned positions and dropout")
def _input_embedding(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    return InputEmbedding(Embedding(V, D, init, 0.7), LearnedPositions(S, D, init), P), ids(rng, B, T)


@case(InputEmbedding, "without positions")
def _input_embedding_alone(rng: np.random.Generator) -> tuple[Any, ...]:
    return InputEmbedding(Embedding(V, D, float64(rng))), ids(rng, B, T)


@case(Unembedding)
def _unembedding(rng: np.random.Generator) -> tuple[Any, ...]:
    table = Embedding(V, D, float64(rng)).weight
    return Unembedding(table, scale=0.4), rng.standard_normal((B, T, D))


@case(SinusoidalPositions)
def _sinusoidal_positions(rng: np.random.Generator) -> tuple[Any, ...]:
    return SinusoidalPositions(D), rng.standard_normal((B, T, D))


@case(LearnedPositions)
def _learned_positions(rng: np.random.Generator) -> tuple[Any, ...]:
    return LearnedPositions(S, D, float64(rng)), rng.standard_normal((B, T, D))


@case(ScaledDotProductAttention)
def _scaled_dot_product_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    q, k, v = (rng.standard_normal((5, H, length, width)) for length, width in ((7, d), (11, d), (11, d)))
    return ScaledDotProductAttention(P), q, k, v, ragged_mask(rng, 5, 7, 11)


@case(MultiHeadAttention)
def _multi_head_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    x, memory = rng.standard_normal((5, 7, D)), rng.standard_normal((5, 11, D))
    return MultiHeadAttention(D, H, float64(rng), P), x, memory, ragged_mask(rng, 5, 7, 11)


@case(MultiHeadAttention, "of lecture notes")
def _multi_head_attention_minimal(rng: np.random.Generator) -> tuple[Any, ...]:
    x, memory = rng.standard_normal((5, 7, D)), rng.standard_normal((5, 11, D))
    return MultiHeadAttention(D, H, float64(rng), projection=Linear, output=Identity), x, memory


@case(SelfAttention)
def _self_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    return SelfAttention(D, H, float64(rng), P), rng.standard_normal((5, 7, D)), causal_mask(7)


@case(FeedForward)
def _feed_forward(rng: np.random.Generator) -> tuple[Any, ...]:
    return FeedForward(D, F, float64(rng), P), rng.standard_normal((B, T, D))


@case(FeedForward, "with GELU and no biases")
def _feed_forward_gelu(rng: np.random.Generator) -> tuple[Any, ...]:
    return FeedForward(D, F, float64(rng), P, GELU(), Linear), rng.standard_normal((B, T, D))


# Wrappers, blocks and stacks pass gradients on; what is inside their parts has cases of its own. So around attention
# their parts are light and small: B = 2 sentences, T = 3 and S = 5 tokens, one head of D = 4 features.


def block_inputs(rng: np.random.Generator) -> tuple[Any, ...]:
    """x, memory, mask and memory_mask of a small decoder."""
    memory_mask = ragged_mask(rng, 2, 3, 5)
    return rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 4)), causal_mask(3), memory_mask


def attention_to_memory(init: Glorot) -> MultiHeadAttention:
    """Attention without biases and output projection."""
    return MultiHeadAttention(4, 1, init, P, Linear, Identity)


@case(Residual)
def _residual(rng: np.random.Generator) -> tuple[Any, ...]:
    return Residual(FeedForward(D, F, float64(rng), P), P), rng.standard_normal((B, T, D))


@case(Residual, "around attention to a memory")
def _residual_of_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    x, memory, _, mask = block_inputs(rng)
    return Residual(attention_to_memory(init), P), x, memory, mask


@case(PreNorm)
def _pre_norm(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    return PreNorm(FeedForward(D, F, init, P), LayerNorm(D, init), P), rng.standard_normal((B, T, D))


@case(PreNorm, "around attention to a memory")
def _pre_norm_of_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    x, memory, _, mask = block_inputs(rng)
    return PreNorm(attention_to_memory(init), LayerNorm(4, init), P), x, memory, mask


@case(PostNorm)
def _post_norm(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    return PostNorm(FeedForward(D, F, init, P), LayerNorm(D, init), P), rng.standard_normal((B, T, D))


@case(PostNorm, "around attention to a memory")
def _post_norm_of_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    x, memory, _, mask = block_inputs(rng)
    return PostNorm(attention_to_memory(init), LayerNorm(4, init), P), x, memory, mask


def encoder_block(init: Glorot) -> EncoderBlock:
    """Enough of a block to have every gradient pass through it."""
    return EncoderBlock(
        attention=Residual(SelfAttention(4, 1, init, P, Linear, Identity), P),
        feed_forward=PostNorm(Linear(4, 4, init), LayerNorm(4, init), P),
    )


def decoder_block(init: Glorot) -> DecoderBlock:
    """The same for a decoder."""
    return DecoderBlock(
        attention=Residual(SelfAttention(4, 1, init, P, Linear, Identity), P),
        cross_attention=Residual(attention_to_memory(init), P),
        feed_forward=PreNorm(Linear(4, 4, init), LayerNorm(4, init), P),
    )


@case(EncoderBlock)
def _encoder_block(rng: np.random.Generator) -> tuple[Any, ...]:
    return encoder_block(float64(rng)), rng.standard_normal((2, 3, 4)), ragged_mask(rng, 2, 3, 3)


@case(DecoderBlock)
def _decoder_block(rng: np.random.Generator) -> tuple[Any, ...]:
    return decoder_block(float64(rng)), *block_inputs(rng)


@case(Encoder)
def _encoder(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    stack = Encoder([encoder_block(init), encoder_block(init)], norm=LayerNorm(4, init))
    return stack, rng.standard_normal((2, 3, 4)), ragged_mask(rng, 2, 3, 3)


@case(Encoder, "with one block used twice")
def _encoder_shared(rng: np.random.Generator) -> tuple[Any, ...]:
    block = encoder_block(float64(rng))
    return Encoder([block, block]), rng.standard_normal((2, 3, 4)), ragged_mask(rng, 2, 3, 3)


@case(Decoder)
def _decoder(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    stack = Decoder([decoder_block(init), decoder_block(init)], norm=LayerNorm(4, init))
    return stack, *block_inputs(rng)


@case(CrossEntropy)
def _cross_entropy(rng: np.random.Generator) -> tuple[Any, ...]:
    return CrossEntropy(pad=0, label_smoothing=0.2), rng.standard_normal((B, T, V)), ids(rng, B, T)


@case(CrossEntropy, "with the normalizer of a larger batch")
def _cross_entropy_of_a_share(rng: np.random.Generator) -> tuple[Any, ...]:
    return CrossEntropy(pad=3), rng.standard_normal((B, T, V)), ids(rng, B, T), 41


# What T5, GPT and Llama have more. Heads need not be d = D / H wide, and there are fewer of keys than of queries.


@case(RMSNorm)
def _rms_norm(rng: np.random.Generator) -> tuple[Any, ...]:
    return RMSNorm(D, float64(rng)), rng.standard_normal((B, T, D))


@case(SiLU)
def _silu(rng: np.random.Generator) -> tuple[Any, ...]:
    return SiLU(), rng.standard_normal((B, T, F))


@case(GatedFeedForward)
def _gated_feed_forward(rng: np.random.Generator) -> tuple[Any, ...]:
    return GatedFeedForward(D, F, float64(rng), P), rng.standard_normal((B, T, D))


@case(GatedFeedForward, "with GELU and biases")
def _gated_feed_forward_gelu(rng: np.random.Generator) -> tuple[Any, ...]:
    return GatedFeedForward(D, F, float64(rng), P, GELU(), Dense), rng.standard_normal((B, T, D))


@case(RelativePositionBias)
def _relative_position_bias(rng: np.random.Generator) -> tuple[Any, ...]:
    return RelativePositionBias(H, float64(rng), n_buckets=8, max_distance=6), 7, 11


@case(RelativePositionBias, "of a decoder")
def _relative_position_bias_causal(rng: np.random.Generator) -> tuple[Any, ...]:
    return RelativePositionBias(H, float64(rng), n_buckets=4, max_distance=6, bucket_function=causal_bucket), 11, 11


@case(SelfAttention, "with a relative bias and no scale")
def _self_attention_of_t5(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    attention = ScaledDotProductAttention(P, scale=1.0, bias=RelativePositionBias(H, init, 4, 5))
    layer = SelfAttention(D, H, init, projection=Linear, output=Linear, attention=attention, d_head=5)
    return layer, rng.standard_normal((5, 7, D)), ragged_mask(rng, 5, 7, 7)


@case(Encoder, "with one relative bias in two blocks")
def _encoder_of_t5(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    bias = RelativePositionBias(2, init, 4, 3)

    def block() -> EncoderBlock:
        attention = SelfAttention(
            4, 2, init, projection=Linear, output=Identity, attention=ScaledDotProductAttention(P, 0.6, bias)
        )
        return EncoderBlock(Residual(attention, P), Identity())

    return Encoder([block(), block()]), rng.standard_normal((2, 5, 4)), ragged_mask(rng, 2, 5, 5)


@case(ALiBi, "in attention")
def _alibi(rng: np.random.Generator) -> tuple[Any, ...]:
    q, k, v = (rng.standard_normal((5, 3, 7, d)) for _ in range(3))
    return ScaledDotProductAttention(P, bias=ALiBi(3)), q, k, v, causal_mask(7)


@case(Rotary)
def _rotary(rng: np.random.Generator) -> tuple[Any, ...]:
    return Rotary(6, base=10.0), rng.standard_normal((B, H, T, 6))


@case(GroupedQueryAttention)
def _grouped_query_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    layer = GroupedQueryAttention(D, 6, 2, float64(rng), P, rotary=Rotary(4, base=10.0), d_head=4)
    return layer, rng.standard_normal((3, 5, D)), causal_mask(5)


@case(GroupedQueryAttention, "with one key head and biases")
def _multi_query_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    layer = GroupedQueryAttention(D, 3, 1, float64(rng), P, Dense, Dense)
    return layer, rng.standard_normal((5, 7, D)), ragged_mask(rng, 5, 7, 7)
