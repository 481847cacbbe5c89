"""GPT-2: one stack of causal blocks with learned positions, the norms inside the residual branches.

ids -> embedding + positions -> N x [ LayerNorm -> masked attention -> add
                                      LayerNorm -> feed-forward (GELU) -> add ] -> LayerNorm -> E^T -> logits
"""

from __future__ import annotations

from dataclasses import dataclass

from ..arguments import checked
from ..layers import (
    GELU,
    Dense,
    Embedding,
    Encoder,
    EncoderBlock,
    FeedForward,
    Init,
    Initializer,
    InputEmbedding,
    Layer,
    LayerNorm,
    LearnedPositions,
    Normal,
    PreNorm,
    SelfAttention,
    as_initializer,
)
from .config import Config, check_at_least, check_part, check_positive, check_probability
from .decoder_only import DecoderOnly
from .parts import TIED, Tied, Untied


@dataclass(frozen=True)
class GPTConfig(Config):
    """Sizes of a GPT-2.

    Parameters
    ----------
    vocab : int
        Number of ids.
    max_length : int
        Number of positions.
    d_model, n_heads, n_blocks : int
        Width, heads, blocks.
    d_ff : int or None
        Width inside the feed-forward layers; None: 4 d_model.
    dropout : float
        Of embeddings, sublayers' outputs and attention weights.
    eps : float
        Of the norms.
    head : Tied or Untied
        `Tied()` as GPT-2 has it, or `Untied()`: a head with weights of its own.
    """

    vocab: int = 50257
    max_length: int = 1024
    d_model: int = 768
    n_heads: int = 12
    n_blocks: int = 12
    d_ff: int | None = None
    dropout: float = 0.1
    eps: float = 1e-5
    head: Tied | Untied = TIED

    def __post_init__(self) -> None:
        check_at_least(self, 1, "vocab", "max_length", "d_model", "n_heads", "n_blocks")
        if self.d_ff is not None:
            check_at_least(self, 1, "d_ff")
        check_probability(self, "dropout")
        check_positive(self, "eps")
        check_part(self, "head", Tied, Untied)
        if self.d_model % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads}: must divide d_model={self.d_model}")

    @classmethod
    def gpt2(cls) -> GPTConfig:
        """Radford et al. 2019, table 2, first row; its heads are 64 wide in all sizes."""
        return cls()

    @classmethod
    def gpt2_medium(cls) -> GPTConfig:
        return cls(d_model=1024, n_heads=16, n_blocks=24)

    @classmethod
    def gpt2_large(cls) -> GPTConfig:
        return cls(d_model=1280, n_heads=20, n_blocks=36)

    @classmethod
    def gpt2_xl(cls) -> GPTConfig:
        return cls(d_model=1600, n_heads=25, n_blocks=48)

    @classmethod
    def nano(cls, vocab: int, max_length: int) -> GPTConfig:
        """What minGPT calls gpt-nano."""
        return cls(vocab, max_length, d_model=48, n_heads=3, n_blocks=3)

    @classmethod
    def cpu(cls, vocab: int, max_length: int = 64) -> GPTConfig:
        """What nanoGPT trains on a laptop: letters of Shakespeare, without dropout."""
        return cls(vocab, max_length, d_model=128, n_heads=4, n_blocks=4, dropout=0.0)


@checked
class GPT(DecoderOnly):
    """GPT-2: learned positions, pre-norm, GELU, biases, and by default a head that is the embedding's table.

    Parameters
    ----------
    config : GPTConfig
    init : Initializer or np.random.Generator
        Draws the weights; a bare generator means GPT-2's own, `Normal(rng, std=0.02)`.

    Shapes: ids (B, T) with T <= max_length -> logits (B, T, V).

    Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
    """

    def __init__(self, config: GPTConfig, init: Init) -> None:
        init = init if isinstance(init, Initializer) else Normal(init)
        c, D = config, config.d_model

        def norm_and_add(sublayer: Layer) -> PreNorm:
            return PreNorm(sublayer, LayerNorm(D, init, c.eps), c.dropout)

        def output(d_in: int, d_out: int, init: Init) -> Dense:
            # 2 N branches add up on the residual path, which so begins as large as if it were one.
            return Dense(d_in, d_out, as_initializer(init).scaled((2 * c.n_blocks) ** -0.5))

        tokens = Embedding(c.vocab, D, init)
        blocks = [
            EncoderBlock(
                attention=norm_and_add(SelfAttention(D, c.n_heads, init, c.dropout, output=output)),
                feed_forward=norm_and_add(FeedForward(D, c.d_ff or 4 * D, init, activation=GELU(), output=output)),
            )
            for _ in range(c.n_blocks)
        ]
        super().__init__(
            embedding=InputEmbedding(tokens, LearnedPositions(c.max_length, D, init), c.dropout),
            decoder=Encoder(blocks, norm=LayerNorm(D, init, c.eps)),
            head=c.head.build(tokens, init),
        )
        self.config = config
