"""Llama: a stack of causal blocks whose queries and keys are turned by their positions.

ids -> embedding -> N x [ RMSNorm -> masked grouped-query attention with rotary positions -> add
                          RMSNorm -> SwiGLU -> add ] -> RMSNorm -> logits

    Llama       a head of its own
    TiedLlama   the head is the embedding's table: small ones, such as those of llama2.c
"""

from __future__ import annotations

from dataclasses import dataclass

from ..arguments import checked
from ..layers import (
    Embedding,
    Encoder,
    EncoderBlock,
    GatedFeedForward,
    GroupedQueryAttention,
    Init,
    Initializer,
    InputEmbedding,
    Layer,
    Linear,
    Normal,
    PreNorm,
    RMSNorm,
    Rotary,
    as_initializer,
)
from .config import Config, check_at_least, check_positive
from .decoder_only import DecoderOnly
from .parts import TIED, UNTIED, Tied, Untied


@dataclass(frozen=True)
class LlamaConfig(Config):
    """Sizes of a Llama.

    Parameters
    ----------
    vocab : int
        Number of ids.
    max_length : int
        Length of the texts that it is trained on. It can read longer ones, but was not taught to.
    d_model, n_heads, d_ff, n_blocks : int
        Width, query heads, width inside the feed-forward layers, blocks.
    n_kv_heads : int or None
        Key and value heads, which must divide n_heads; None: as many.
    base : float
        Of the rotary positions.
    eps : float
        Of the norms.
    """

    vocab: int = 32000
    max_length: int = 4096
    d_model: int = 4096
    n_heads: int = 32
    n_kv_heads: int | None = None
    d_ff: int = 11008
    n_blocks: int = 32
    base: float = 10000.0
    eps: float = 1e-5

    def __post_init__(self) -> None:
        check_at_least(self, 1, "vocab", "max_length", "d_model", "n_heads", "d_ff", "n_blocks")
        check_positive(self, "base", "eps")
        if self.d_model % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads}: must divide d_model={self.d_model}")
        if self.d_model // self.n_heads % 2:
            raise ValueError(f"n_heads={self.n_heads}: d_model / n_heads must be even, since features turn in pairs")
        if self.n_kv_heads is not None:
            check_at_least(self, 1, "n_kv_heads")
            if self.n_heads % self.n_kv_heads:
                raise ValueError(f"n_kv_heads={self.n_kv_heads}: must divide n_heads={self.n_heads}")

    @classmethod
    def llama2_7b(cls) -> LlamaConfig:
        """Touvron et al. 2023, "Llama 2"."""
        return cls()

    @classmethod
    def llama2_13b(cls) -> LlamaConfig:
        return cls(d_model=5120, n_heads=40, d_ff=13824, n_blocks=40)

    @classmethod
    def llama2_70b(cls) -> LlamaConfig:
        return cls(d_model=8192, n_heads=64, n_kv_heads=8, d_ff=28672, n_blocks=80)

    @classmethod
    def llama3_8b(cls) -> LlamaConfig:
        """Dubey et al. 2024, "The Llama 3 Herd of Models", table 3."""
        return cls(vocab=128256, max_length=8192, n_kv_heads=8, d_ff=14336, base=500000.0)

    @classmethod
    def stories260k(cls) -> LlamaConfig:
        """The smallest model of llama2.c; for `TiedLlama`."""
        return cls(vocab=512, max_length=512, d_model=64, n_heads=8, n_kv_heads=4, d_ff=172, n_blocks=5)


@checked
class Llama(DecoderOnly):
    """Llama with a head of its own, as the large ones have it.

    Parameters
    ----------
    config : LlamaConfig
    init : Initializer or np.random.Generator
        Draws the weights; a bare generator means `Normal(rng, std=0.02)`.
    head : Untied or Tied
        The head: weights of its own, or the embedding's table.

    Shapes: ids (B, T) -> logits (B, T, V).

    Source: Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models", section 2.2.
    """

    def __init__(self, config: LlamaConfig, init: Init, head: Untied | Tied = UNTIED) -> None:
        init = init if isinstance(init, Initializer) else Normal(init)
        tokens = Embedding(config.vocab, config.d_model, init)
        super().__init__(embedding=InputEmbedding(tokens), decoder=decoder(config, init), head=head.build(tokens, init))
        self.config = config


@checked
class TiedLlama(Llama):
    """Llama whose head is the embedding's table.

    Parameters
    ----------
    config : LlamaConfig
    init : Initializer or np.random.Generator
        As for `Llama`.

    Shapes: ids (B, T) -> logits (B, T, V).

    Source: as `Llama`; Press and Wolf 2017 for the head.
    """

    def __init__(self, config: LlamaConfig, init: Init) -> None:
        super().__init__(config, init, head=TIED)


def decoder(config: LlamaConfig, init: Initializer) -> Encoder:
    """N causal blocks and the last norm."""
    c, D = config, config.d_model
    rotary = Rotary(D // c.n_heads, c.base)

    def norm_and_add(sublayer: Layer) -> PreNorm:
        return PreNorm(sublayer, RMSNorm(D, init, c.eps))

    def output(d_in: int, d_out: int, init: Init) -> Linear:
        # 2 N branches add up on the residual path, which so begins as large as if it were one.
        return Linear(d_in, d_out, as_initializer(init).scaled((2 * c.n_blocks) ** -0.5))

    blocks = [
        EncoderBlock(
            attention=norm_and_add(
                GroupedQueryAttention(D, c.n_heads, c.n_kv_heads or c.n_heads, init, output=output, rotary=rotary)
            ),
            feed_forward=norm_and_add(GatedFeedForward(D, c.d_ff, init, output=output)),
        )
        for _ in range(c.n_blocks)
    ]
    return Encoder(blocks, norm=RMSNorm(D, init, c.eps))
