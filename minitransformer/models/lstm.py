"""What came before the Transformer: an LSTM that reads, an LSTM that writes, and attention between them.

source -> embedding -> LSTM in both directions -> memory, last h and c
                                                    |            | tanh(W . + b)
target -> embedding -> LSTM that begins there <-----|------------+
                        | h_t                       |
                        +-> attention to the memory-+ -> context_t -> tanh([context_t; h_t] W) -> linear -> logits
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arguments import checked
from ..layers import (
    LSTM,
    AdditiveAttention,
    Array,
    AttentionalHidden,
    BidirectionalLSTM,
    Cache,
    CrossAttention,
    DecodingState,
    Dense,
    DotAttention,
    Init,
    Initializer,
    InputEmbedding,
    InputFeedingDecoder,
    Linear,
    LuongDecoder,
    RecurrentEncoder,
    as_initializer,
)
from ..layers.decoding_state import substate
from .config import Config, check_at_least, check_probability
from .encoder_decoder import EncoderDecoder, token_embeddings


@dataclass(frozen=True)
class LSTMConfig(Config):
    """Sizes of a recurrent encoder-decoder with attention.

    Parameters
    ----------
    source_vocab : int
        Number of source ids.
    target_vocab : int or None
        Number of target ids; None: one vocabulary for both languages, and one embedding matrix.
    d_model : int
        Units of every LSTM: of the decoder, and of each of the encoder's two directions.
    d_embedding : int or None
        Length of an embedding; None: d_model.
    n_encoder_layers, n_decoder_layers : int
    dropout : float
        Of embeddings, between layers, and of what the head reads.
    pad : int
        The id of padding.
    """

    source_vocab: int
    target_vocab: int | None = None
    d_model: int = 256
    d_embedding: int | None = None
    n_encoder_layers: int = 1
    n_decoder_layers: int = 1
    dropout: float = 0.1
    pad: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, 1, "source_vocab", "d_model", "n_encoder_layers", "n_decoder_layers")
        check_at_least(self, 1, *(name for name in ("target_vocab", "d_embedding") if getattr(self, name) is not None))
        check_at_least(self, 0, "pad")
        check_probability(self, "dropout")

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return self.d_model if self.d_embedding is None else self.d_embedding


@checked
class Seq2SeqLSTM(EncoderDecoder):
    """The recurrent translator with Luong's attention (general), without input feeding.

    The decoder's LSTM does not read what was attended to, so all its steps attend at once, as a Transformer's do.

    Parameters
    ----------
    config : LSTMConfig
    init : Initializer or np.random.Generator
        Draws the weights.
    attention : callable, optional
        (config, init) -> CrossAttention; `luong_attention` by default.
    decoder : LuongDecoder or InputFeedingDecoder
        How the decoder's LSTM and the attention take turns, as a class.

    Shapes: source (B, S), target (B, T) of ids -> logits (B, T, V). What `encode` returns and `decode` takes is the
    tuple of memory (B, S, 2 D) and the decoder's first h and c, (B, N, D) each.

    Source: Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine Translation", section 3.
    """

    def __init__(
        self,
        config: LSTMConfig,
        init: Init,
        attention: Callable[[LSTMConfig, Initializer], CrossAttention] | None = None,
        decoder: type[LuongDecoder] = LuongDecoder,
    ) -> None:
        init = as_initializer(init)
        c, D, E = config, config.d_model, config.width
        source_tokens, target_tokens = token_embeddings(c.source_vocab, c.target_vocab, E, init)
        super().__init__(
            source_embedding=InputEmbedding(source_tokens, dropout=c.dropout),
            target_embedding=InputEmbedding(target_tokens, dropout=c.dropout),
            encoder=RecurrentEncoder(
                BidirectionalLSTM(E, D, init, c.n_encoder_layers, c.dropout), c.n_decoder_layers, D, init
            ),
            decoder=decoder(
                LSTM(E + decoder.d_fed(D), D, init, c.n_decoder_layers, c.dropout),
                (attention or luong_attention)(c, init),
                AttentionalHidden(2 * D, D, init),
                c.dropout,
            ),
            head=Dense(D, c.target_vocab or c.source_vocab, init),
            pad=c.pad,
        )
        self.config = config

    def decode(  # type: ignore[override]
        self,
        target: Array,
        memory: tuple[Array, ...],
        memory_mask: Array | None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        x, embedding_cache = self.target_embedding.forward(target, rng=rng)
        y, decoder_cache = self.decoder.forward(x, *memory, memory_mask, rng=rng, state=substate(state, "decoder"))
        logits, head_cache = self.head.forward(y)
        return logits, Cache(target_embedding=embedding_cache, decoder=decoder_cache, head=head_cache)

    def backward_decode(self, d_logits: Array, cache: Cache) -> tuple[Array, ...]:  # type: ignore[override]
        dy = self.head.backward(d_logits, cache["head"])
        dx, *d_memory = self.decoder.backward(dy, cache["decoder"])
        self.target_embedding.backward(dx, cache["target_embedding"])
        return tuple(d_memory)


@checked
class BahdanauLSTM(Seq2SeqLSTM):
    """The same with Bahdanau's additive attention.

    As in most libraries it is Luong's decoder with another score: the query is the state of the same step, where
    Bahdanau's is the one before, and the recurrent layer is an LSTM.

    Parameters
    ----------
    config : LSTMConfig
    init : Initializer or np.random.Generator

    Shapes: as `Seq2SeqLSTM`.

    Source: Bahdanau et al. 2015, "Neural Machine Translation by Jointly Learning to Align and Translate".
    """

    def __init__(self, config: LSTMConfig, init: Init) -> None:
        super().__init__(config, init, attention=bahdanau_attention)


@checked
class InputFeedingLSTM(Seq2SeqLSTM):
    """Luong's attention with input feeding: the decoder's LSTM also reads the attentional hidden state before it.

    Parameters
    ----------
    config : LSTMConfig
    init : Initializer or np.random.Generator

    Shapes: as `Seq2SeqLSTM`.

    Source: Luong et al. 2015, section 3.3.
    """

    def __init__(self, config: LSTMConfig, init: Init) -> None:
        super().__init__(config, init, decoder=InputFeedingDecoder)


def luong_attention(config: LSTMConfig, init: Initializer) -> CrossAttention:
    """Luong's general score: the encoder's two directions are twice as wide as the decoder."""
    return DotAttention(Linear(2 * config.d_model, config.d_model, init))


def bahdanau_attention(config: LSTMConfig, init: Initializer) -> CrossAttention:
    """Bahdanau's additive score."""
    D = config.d_model
    return AdditiveAttention(D, 2 * D, D, init)
