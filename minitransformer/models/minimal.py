"""The Transformer as lecture notes draw it: nothing but embeddings, attention, residual additions and one linear layer.

    source -> embedding + sinusoids -> N x [ self-attention -> add ] -> memory
                                                                          |
    target -> embedding + sinusoids -> N x [ masked self-attention -> add |
                                             -> attention to the memory <-+ -> add ] -> linear -> logits

No norms, no feed-forward layers, no biases, no output projections: an attention cell is 3 D^2 numbers, with one
head or with many.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..arguments import checked
from ..layers import (
    Decoder,
    DecoderBlock,
    Embedding,
    Encoder,
    EncoderBlock,
    Identity,
    Init,
    InputEmbedding,
    Linear,
    MultiHeadAttention,
    Residual,
    SelfAttention,
    SinusoidalPositions,
    as_initializer,
)
from .config import Config, check_at_least
from .encoder_decoder import EncoderDecoder
from .transformer import check_heads


@dataclass(frozen=True)
class MinimalConfig(Config):
    """Sizes of a minimal Transformer.

    Parameters
    ----------
    source_vocab, target_vocab : int
        Numbers of source and of target ids.
    d_model, n_heads : int
        Width and heads.
    n_encoder_blocks, n_decoder_blocks : int
    pad : int
        The id of padding.
    """

    source_vocab: int
    target_vocab: int
    d_model: int = 64
    n_heads: int = 1
    n_encoder_blocks: int = 1
    n_decoder_blocks: int = 1
    pad: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "source_vocab", "target_vocab", "d_model", "n_heads")
        check_at_least(self, 1, "n_encoder_blocks", "n_decoder_blocks")
        check_at_least(self, 0, "pad")
        check_heads(self.d_model, self.n_heads)


@checked
class MinimalTransformer(EncoderDecoder):
    """The smallest encoder-decoder Transformer: separate embeddings, plain residual additions, 3 D^2 an attention.

    Parameters
    ----------
    config : MinimalConfig
    init : Initializer or np.random.Generator
        Draws the weights.

    Shapes: source (B, S), target (B, T) of ids -> logits (B, T, V).
    """

    def __init__(self, config: MinimalConfig, init: Init) -> None:
        init = as_initializer(init)
        c, D = config, config.d_model

        def self_attention() -> Residual:
            return Residual(SelfAttention(D, c.n_heads, init, projection=Linear, output=Identity))

        def cross_attention() -> Residual:
            return Residual(MultiHeadAttention(D, c.n_heads, init, projection=Linear, output=Identity))

        def embedding(vocab: int) -> InputEmbedding:
            # Scaled to be as large as the sinusoids; the paper's sqrt(D) does the same.
            return InputEmbedding(Embedding(vocab, D, init, scale=D**0.5), SinusoidalPositions(D))

        super().__init__(
            source_embedding=embedding(c.source_vocab),
            target_embedding=embedding(c.target_vocab),
            encoder=Encoder(
                [EncoderBlock(attention=self_attention(), feed_forward=Identity()) for _ in range(c.n_encoder_blocks)]
            ),
            decoder=Decoder(
                [
                    DecoderBlock(attention=self_attention(), cross_attention=cross_attention(), feed_forward=Identity())
                    for _ in range(c.n_decoder_blocks)
                ]
            ),
            head=Linear(D, c.target_vocab, init),
            pad=c.pad,
        )
        self.config = config
