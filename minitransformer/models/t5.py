"""T5: an encoder-decoder Transformer that knows positions only as a bias on the scores, one table for each stack.

source -> embedding -> N x [ RMSNorm -> attention + bias -> add, RMSNorm -> feed-forward -> add ] -> RMSNorm
                                                                                                         | memory
target -> embedding -> N x [ RMSNorm -> masked attention + bias -> add                                   |
                             RMSNorm -> attention to the memory -> add <---------------------------------+
                             RMSNorm -> feed-forward -> add ] -> RMSNorm -> logits

    T5      ReLU, the head is the embedding's table, x / sqrt(D)
    T5v11   gated GELU, a head of its own: v1.1, FLAN-T5

No biases, and no sqrt(d) under the scores. One vocabulary and one table for both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..arguments import checked
from ..layers import (
    GELU,
    Chain,
    Decoder,
    DecoderBlock,
    Dropout,
    Embedding,
    Encoder,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    Init,
    Initializer,
    InputEmbedding,
    Layer,
    Linear,
    MultiHeadAttention,
    PreNorm,
    RelativePositionBias,
    RMSNorm,
    ScaledDotProductAttention,
    SelfAttention,
    as_initializer,
    bidirectional_bucket,
    causal_bucket,
)
from .config import Config, check_at_least, check_positive, check_probability
from .encoder_decoder import EncoderDecoder
from .parts import UNTIED, Tied, Untied


@dataclass(frozen=True)
class T5Config(Config):
    """Sizes of a T5. The presets of v1.0 are for `T5`, those of v1.1 for `T5v11`.

    Parameters
    ----------
    vocab : int
        Number of ids, of both sides.
    d_model, d_kv, n_heads, d_ff : int
        Width, width of a head (which need not be d_model / n_heads), heads, width inside the feed-forward layers.
    n_encoder_blocks, n_decoder_blocks : int
    n_buckets, max_distance : int
        Of the relative positions: how many numbers a head has, and from where on distances share the last one.
    dropout : float
        Of embeddings, sublayers' and stacks' outputs, attention weights and feed-forward activations.
    eps : float
        Of the norms.
    pad : int
        The id of padding, with which T5 begins its targets too.
    """

    vocab: int = 32128
    d_model: int = 512
    d_kv: int = 64
    n_heads: int = 8
    d_ff: int = 2048
    n_encoder_blocks: int = 6
    n_decoder_blocks: int = 6
    n_buckets: int = 32
    max_distance: int = 128
    dropout: float = 0.1
    eps: float = 1e-6
    pad: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "vocab", "d_model", "d_kv", "n_heads", "d_ff", "n_encoder_blocks", "n_decoder_blocks")
        check_positive(self, "eps")
        check_at_least(self, 4, "n_buckets")
        check_at_least(self, 1, "max_distance")
        check_at_least(self, 0, "pad")
        check_probability(self, "dropout")

    @classmethod
    def small(cls) -> T5Config:
        """Raffel et al. 2020, section 3.7, as are base to xxl."""
        return cls()

    @classmethod
    def base(cls) -> T5Config:
        return cls(d_model=768, n_heads=12, d_ff=3072, n_encoder_blocks=12, n_decoder_blocks=12)

    @classmethod
    def large(cls) -> T5Config:
        return cls(d_model=1024, n_heads=16, d_ff=4096, n_encoder_blocks=24, n_decoder_blocks=24)

    @classmethod
    def xl(cls) -> T5Config:
        """What the paper calls 3B."""
        return cls(d_model=1024, d_kv=128, n_heads=32, d_ff=16384, n_encoder_blocks=24, n_decoder_blocks=24)

    @classmethod
    def xxl(cls) -> T5Config:
        """What the paper calls 11B."""
        return cls(d_model=1024, d_kv=128, n_heads=128, d_ff=65536, n_encoder_blocks=24, n_decoder_blocks=24)

    @classmethod
    def v1_1_small(cls) -> T5Config:
        """google/t5-v1_1-small, whose sizes FLAN-T5 small has too; likewise base to xxl."""
        return cls(n_heads=6, d_ff=1024, n_encoder_blocks=8, n_decoder_blocks=8)

    @classmethod
    def v1_1_base(cls) -> T5Config:
        return cls(d_model=768, n_heads=12, d_ff=2048, n_encoder_blocks=12, n_decoder_blocks=12)

    @classmethod
    def v1_1_large(cls) -> T5Config:
        return cls(d_model=1024, n_heads=16, d_ff=2816, n_encoder_blocks=24, n_decoder_blocks=24)

    @classmethod
    def v1_1_xl(cls) -> T5Config:
        return cls(d_model=2048, n_heads=32, d_ff=5120, n_encoder_blocks=24, n_decoder_blocks=24)

    @classmethod
    def v1_1_xxl(cls) -> T5Config:
        return cls(d_model=4096, n_heads=64, d_ff=10240, n_encoder_blocks=24, n_decoder_blocks=24)


@checked
class T5(EncoderDecoder):
    """T5 v1.0: ReLU, and logits from the embedding's own table.

    Parameters
    ----------
    config : T5Config
    init : Initializer or np.random.Generator
        Draws the weights.
    feed_forward : callable
        (config, init) -> Layer, the feed-forward layer of a block.
    head : Tied or Untied, optional
        By default the table, with the logits divided by sqrt(D).

    Shapes: source (B, S), target (B, T) of ids -> logits (B, T, V).

    Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer".
    """

    def __init__(
        self,
        config: T5Config,
        init: Init,
        feed_forward: Callable[[T5Config, Initializer], Layer] | None = None,
        head: Tied | Untied | None = None,
    ) -> None:
        init = as_initializer(init)
        c, D = config, config.d_model
        feed_forward = feed_forward or relu_feed_forward
        # The table's numbers are of order one: T5 scales what leaves the model, not what enters it.
        tokens = Embedding(c.vocab, D, init.scaled(D**0.5))

        def embedding() -> InputEmbedding:
            return InputEmbedding(Embedding(c.vocab, D, init, weight=tokens.weight), dropout=c.dropout)

        super().__init__(
            source_embedding=embedding(),
            target_embedding=embedding(),
            encoder=encoder(c, init, feed_forward),
            decoder=decoder(c, init, feed_forward),
            head=(head or Tied(scale=D**-0.5)).build(tokens, init),
            pad=c.pad,
        )
        self.config = config


@checked
class T5v11(T5):
    """T5 v1.1, as FLAN-T5 has it: a gated GELU, and a head of its own.

    Parameters
    ----------
    config : T5Config
    init : Initializer or np.random.Generator
        Draws the weights.

    Shapes: source (B, S), target (B, T) of ids -> logits (B, T, V).

    Source: Shazeer 2020, "GLU Variants Improve Transformer"; the T5 authors' release notes of v1.1.
    """

    def __init__(self, config: T5Config, init: Init) -> None:
        super().__init__(config, init, feed_forward=gated_gelu_feed_forward, head=UNTIED)


def relu_feed_forward(config: T5Config, init: Initializer) -> Layer:
    """Of v1.0."""
    return FeedForward(config.d_model, config.d_ff, init, config.dropout, projection=Linear)


def gated_gelu_feed_forward(config: T5Config, init: Initializer) -> Layer:
    """Of v1.1."""
    return GatedFeedForward(config.d_model, config.d_ff, init, config.dropout, activation=GELU())


def encoder(config: T5Config, init: Initializer, feed_forward: Callable[[T5Config, Initializer], Layer]) -> Encoder:
    """N blocks, all with one bias for what is behind and ahead."""
    c = config
    bias = RelativePositionBias(c.n_heads, init, c.n_buckets, c.max_distance, bidirectional_bucket)
    blocks = [
        EncoderBlock(
            attention=norm_and_add(c, init, attention(SelfAttention, c, init, bias)),
            feed_forward=norm_and_add(c, init, feed_forward(c, init)),
        )
        for _ in range(c.n_encoder_blocks)
    ]
    return Encoder(blocks, norm=last_norm(c, init))


def decoder(config: T5Config, init: Initializer, feed_forward: Callable[[T5Config, Initializer], Layer]) -> Decoder:
    """N blocks, all with one bias for what is behind; attention to the memory has none."""
    c = config
    bias = RelativePositionBias(c.n_heads, init, c.n_buckets, c.max_distance, causal_bucket)
    blocks = [
        DecoderBlock(
            attention=norm_and_add(c, init, attention(SelfAttention, c, init, bias)),
            cross_attention=norm_and_add(c, init, attention(MultiHeadAttention, c, init, None)),
            feed_forward=norm_and_add(c, init, feed_forward(c, init)),
        )
        for _ in range(c.n_decoder_blocks)
    ]
    return Decoder(blocks, norm=last_norm(c, init))


def attention(kind: Any, config: T5Config, init: Initializer, bias: Layer | None) -> MultiHeadAttention:
    """Self-attention or attention to the memory, without biases, its scores unscaled."""
    c = config
    heads = ScaledDotProductAttention(c.dropout, scale=1.0, bias=bias)
    layer = kind(c.d_model, c.n_heads, init, projection=Linear, output=Linear, attention=heads, d_head=c.d_kv)
    # What other models divide the scores by is in the queries' first weights, so that softmax begins as soft.
    layer.query = Linear(c.d_model, c.n_heads * c.d_kv, init.scaled(c.d_kv**-0.5))
    return layer


def norm_and_add(config: T5Config, init: Initializer, sublayer: Layer) -> PreNorm:
    return PreNorm(sublayer, RMSNorm(config.d_model, init, config.eps), config.dropout)


def last_norm(config: T5Config, init: Initializer) -> Chain:
    """Behind the last block of a stack."""
    return Chain(scale=RMSNorm(config.d_model, init, config.eps), dropout=Dropout(config.dropout))
