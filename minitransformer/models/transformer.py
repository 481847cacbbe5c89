"""The Transformer of 2017: the recipe of "Attention Is All You Need", and its pre-norm variant.

source -> embedding * sqrt(D) + sinusoids -> N x [ attention -> add & norm -> feed-forward -> add & norm ]
                                                                                              | memory
target -> embedding * sqrt(D) + sinusoids -> N x [ masked attention -> add & norm             |
                                                   -> attention to the memory -> add & norm <-+
                                                   -> feed-forward -> add & norm ] -> E^T -> logits
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..arguments import checked
from ..layers import (
    Decoder,
    DecoderBlock,
    Encoder,
    EncoderBlock,
    FeedForward,
    Init,
    InputEmbedding,
    Layer,
    LayerNorm,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    Residual,
    SelfAttention,
    as_initializer,
)
from .config import Config, check_at_least, check_part, check_probability
from .encoder_decoder import EncoderDecoder, token_embeddings
from .parts import SINUSOIDAL, TIED, Learned, Sinusoidal


@dataclass(frozen=True)
class TransformerConfig(Config):
    """Sizes of an encoder-decoder Transformer.

    Parameters
    ----------
    source_vocab : int
        Number of source ids.
    target_vocab : int or None
        Number of target ids; None: one vocabulary for both languages, and one embedding matrix.
    d_model, n_heads, d_ff : int
        Width, heads, width inside the feed-forward layers.
    n_encoder_blocks, n_decoder_blocks : int
    dropout : float
        Of embeddings, sublayers' outputs, attention weights and feed-forward activations.
    pad : int
        The id of padding.
    positions : Sinusoidal or Learned
        What is added to the embeddings of both sides: `Learned(max_length)` has a trainable vector for each position.
    """

    source_vocab: int
    target_vocab: int | None = None
    d_model: int = 512
    n_heads: int = 8
    d_ff: int = 2048
    n_encoder_blocks: int = 6
    n_decoder_blocks: int = 6
    dropout: float = 0.1
    pad: int = 0
    positions: Sinusoidal | Learned = SINUSOIDAL

    def __post_init__(self) -> None:
        check_at_least(self, 1, "source_vocab", "d_model", "n_heads", "d_ff", "n_encoder_blocks", "n_decoder_blocks")
        if self.target_vocab is not None:
            check_at_least(self, 1, "target_vocab")
        check_at_least(self, 0, "pad")
        check_probability(self, "dropout")
        check_part(self, "positions", Sinusoidal, Learned)
        check_heads(self.d_model, self.n_heads)

    @classmethod
    def base(cls, vocab: int = 37000) -> TransformerConfig:
        """The base model of Vaswani et al. 2017, table 3, with one vocabulary for both languages."""
        return cls(source_vocab=vocab)

    @classmethod
    def big(cls, vocab: int = 37000) -> TransformerConfig:
        """The big model of Vaswani et al. 2017, table 3."""
        return replace(cls.base(vocab), d_model=1024, n_heads=16, d_ff=4096, dropout=0.3)


@checked
class Transformer(EncoderDecoder):
    """The Transformer of 2017: post-norm, sinusoids, embeddings scaled by sqrt(D), and tied to the output.

    Parameters
    ----------
    config : TransformerConfig
    init : Initializer or np.random.Generator
        Draws the weights.
    residual : PostNorm or PreNorm
        How each sublayer is wrapped, as a class.

    Shapes: source (B, S), target (B, T) of ids -> logits (B, T, V).

    Source: Vaswani et al. 2017, "Attention Is All You Need".
    """

    def __init__(self, config: TransformerConfig, init: Init, residual: type[Residual] = PostNorm) -> None:
        init = as_initializer(init)
        c, D = config, config.d_model

        def wrap(sublayer: Layer) -> Layer:
            return residual(sublayer, LayerNorm(D, init), c.dropout)  # type: ignore[call-arg, arg-type]

        source_tokens, target_tokens = token_embeddings(c.source_vocab, c.target_vocab, D, init)
        super().__init__(
            source_embedding=InputEmbedding(source_tokens, c.positions.build(D, init), c.dropout),
            target_embedding=InputEmbedding(target_tokens, c.positions.build(D, init), c.dropout),
            encoder=Encoder(encoder_blocks(c, init, wrap), norm=residual.last_norm(LayerNorm(D, init))),
            decoder=Decoder(decoder_blocks(c, init, wrap), norm=residual.last_norm(LayerNorm(D, init))),
            head=TIED.build(target_tokens, init),
            pad=c.pad,
        )
        self.config = config


@checked
class PreNormTransformer(Transformer):
    """The same with the norms inside the residual branches, and one more at the end of each stack.

    It trains without warm-up tricks, since the path from the loss to every block has no norm on it.

    Parameters
    ----------
    config : TransformerConfig
    init : Initializer or np.random.Generator
        Draws the weights.

    Shapes: source (B, S), target (B, T) of ids -> logits (B, T, V).

    Source: Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture".
    """

    def __init__(self, config: TransformerConfig, init: Init) -> None:
        super().__init__(config, init, residual=PreNorm)


def encoder_blocks(config: TransformerConfig, init: Init, wrap: Callable[[Layer], Layer]) -> list[Layer]:
    """N blocks of the encoder, every part of which `wrap` puts into its residual connection."""
    c, D = config, config.d_model
    return [
        EncoderBlock(
            attention=wrap(SelfAttention(D, c.n_heads, init, c.dropout)),
            feed_forward=wrap(FeedForward(D, c.d_ff, init, c.dropout)),
        )
        for _ in range(c.n_encoder_blocks)
    ]


def decoder_blocks(config: TransformerConfig, init: Init, wrap: Callable[[Layer], Layer]) -> list[Layer]:
    """N blocks of the decoder, every part of which `wrap` puts into its residual connection."""
    c, D = config, config.d_model
    return [
        DecoderBlock(
            attention=wrap(SelfAttention(D, c.n_heads, init, c.dropout)),
            cross_attention=wrap(MultiHeadAttention(D, c.n_heads, init, c.dropout)),
            feed_forward=wrap(FeedForward(D, c.d_ff, init, c.dropout)),
        )
        for _ in range(c.n_decoder_blocks)
    ]


def check_heads(d_model: int, n_heads: int) -> None:
    """Raise ValueError unless sinusoids and heads both fit the width."""
    if d_model % 2:
        raise ValueError(f"d_model={d_model}: sinusoids come in pairs, so it must be even")
    if d_model % n_heads:
        raise ValueError(f"n_heads={n_heads}: must divide d_model={d_model}")
