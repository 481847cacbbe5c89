"""Cases of the recurrent layers: B = 3 sentences, T = 5 target and S = 4 source tokens, D = 6 features, H = 2 units.

One sentence is padded to its first token, one is whole; states are given and left out; stacks have several layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minitransformer.layers import (
    GRU,
    LSTM,
    AdditiveAttention,
    AdditiveScore,
    Array,
    AttentionalHidden,
    Bidirectional,
    BidirectionalGRU,
    BidirectionalLSTM,
    CrossAttention,
    DotAttention,
    DotScore,
    GRULayer,
    InputFeedingDecoder,
    Linear,
    LSTMCell,
    LSTMLayer,
    LuongDecoder,
    RecurrentEncoder,
    RecurrentStack,
    Tanh,
)

from .layers import P, float64, ragged_mask
from .registry import case

B, T, S, D, H, A, M = 3, 5, 4, 6, 2, 3, 7


def tokens(length: int) -> Array:
    """A mask (B, T) of sentences with 1, T - 2 and all T tokens."""
    return np.arange(length) < np.array([1, length - 2, length])[:, None]


def states(rng: np.random.Generator, *shape: int) -> tuple[Array, Array]:
    """h and c."""
    h, c = rng.standard_normal((2, *shape))
    return h, c


@case(Tanh)
def _tanh(rng: np.random.Generator) -> tuple[Any, ...]:
    return Tanh(), rng.standard_normal((B, T, D))


@case(LSTMLayer)
def _lstm_layer(rng: np.random.Generator) -> tuple[Any, ...]:
    return LSTMLayer(D, H, float64(rng)), rng.standard_normal((B, T, D))


@case(LSTMLayer, "from a given state, with padding")
def _lstm_layer_from_state(rng: np.random.Generator) -> tuple[Any, ...]:
    return LSTMLayer(D, H, float64(rng)), rng.standard_normal((B, T, D)), tokens(T), *states(rng, B, H)


@case(LSTMCell)
def _lstm_cell(rng: np.random.Generator) -> tuple[Any, ...]:
    return LSTMCell(D, H, float64(rng)), rng.standard_normal((B, D)), *states(rng, B, H)


@case(LSTM, "of three layers")
def _lstm(rng: np.random.Generator) -> tuple[Any, ...]:
    return LSTM(D, H, float64(rng), 3, P), rng.standard_normal((B, T, D)), tokens(T), *states(rng, B, 3, H)


@case(BidirectionalLSTM, "of two layers")
def _bidirectional_lstm(rng: np.random.Generator) -> tuple[Any, ...]:
    return BidirectionalLSTM(D, H, float64(rng), 2, P), rng.standard_normal((B, T, D)), tokens(T)


@case(Bidirectional)
def _both_directions(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    layer = Bidirectional(LSTMLayer(D, H, init), LSTMLayer(D, H, init))
    return layer, rng.standard_normal((B, T, D)), tokens(T), *states(rng, B, 2 * H)


@case(RecurrentStack, "with one layer used twice")
def _recurrent_stack(rng: np.random.Generator) -> tuple[Any, ...]:
    layer = LSTMLayer(H, H, float64(rng))
    return RecurrentStack([layer, layer], P), rng.standard_normal((B, T, H)), tokens(T), *states(rng, B, 2, H)


@case(DotScore)
def _dot_score(rng: np.random.Generator) -> tuple[Any, ...]:
    return DotScore(), rng.standard_normal((B, T, A)), rng.standard_normal((B, S, A))


@case(AdditiveScore)
def _additive_score(rng: np.random.Generator) -> tuple[Any, ...]:
    return AdditiveScore(A, float64(rng)), rng.standard_normal((B, T, A)), rng.standard_normal((B, S, A))


@case(CrossAttention, "with queries and keys of their own")
def _cross_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    layer = CrossAttention(DotScore(), Linear(D, A, init), Linear(M, A, init))
    return layer, rng.standard_normal((B, T, D)), rng.standard_normal((B, S, M)), ragged_mask(rng, B, T, S)


@case(DotAttention)
def _dot_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    x, memory = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))
    return DotAttention(), x, memory, ragged_mask(rng, B, T, S)


@case(DotAttention, "general")
def _general_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    layer = DotAttention(Linear(M, D, float64(rng)))
    return layer, rng.standard_normal((B, T, D)), rng.standard_normal((B, S, M)), tokens(S)[:, None, None]


@case(AdditiveAttention)
def _additive_attention(rng: np.random.Generator) -> tuple[Any, ...]:
    layer = AdditiveAttention(D, M, A, float64(rng))
    return layer, rng.standard_normal((B, T, D)), rng.standard_normal((B, S, M)), ragged_mask(rng, B, T, S)


@case(AttentionalHidden)
def _attentional_hidden(rng: np.random.Generator) -> tuple[Any, ...]:
    return AttentionalHidden(M, H, float64(rng)), rng.standard_normal((B, T, M)), rng.standard_normal((B, T, H))


@case(RecurrentEncoder)
def _recurrent_encoder(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    encoder = RecurrentEncoder(BidirectionalLSTM(D, H, init, 2, P), 3, 4, init)
    return encoder, rng.standard_normal((B, S, D)), tokens(S)[:, None, None]


def decoder_inputs(rng: np.random.Generator) -> tuple[Any, ...]:
    """x, memory, h, c and mask of a decoder of two layers."""
    x, memory = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, M))
    return x, memory, *states(rng, B, 2, H), tokens(S)[:, None, None]


@case(LuongDecoder)
def _luong_decoder(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    attention = DotAttention(Linear(M, H, init))
    decoder = LuongDecoder(LSTM(D, H, init, 2, P), attention, AttentionalHidden(M, H, init), P)
    return decoder, *decoder_inputs(rng)


@case(InputFeedingDecoder)
def _input_feeding_decoder(rng: np.random.Generator) -> tuple[Any, ...]:
    init = float64(rng)
    attention = AdditiveAttention(H, M, A, init)
    decoder = InputFeedingDecoder(LSTM(D + H, H, init, 2, P), attention, AttentionalHidden(M, H, init), P)
    return decoder, *decoder_inputs(rng)


@case(GRULayer)
def _gru_layer(rng: np.random.Generator) -> tuple[Any, ...]:
    return GRULayer(D, H, float64(rng)), rng.standard_normal((B, T, D)), tokens(T), rng.standard_normal((B, H))


@case(GRU, "of three layers")
def _gru(rng: np.random.Generator) -> tuple[Any, ...]:
    return GRU(D, H, float64(rng), 3, P), rng.standard_normal((B, T, D))


@case(BidirectionalGRU, "of two layers")
def _bidirectional_gru(rng: np.random.Generator) -> tuple[Any, ...]:
    h = rng.standard_normal((B, 2, 2 * H))
    return BidirectionalGRU(D, H, float64(rng), 2, P), rng.standard_normal((B, T, D)), tokens(T), h
