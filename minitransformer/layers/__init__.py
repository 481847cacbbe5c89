"""Layers: one operation a file, each with its equation, its `forward` and, beneath it, its `backward`."""

from .activations import GELU, ReLU, SiLU, Tanh
from .attention import MultiHeadAttention, ScaledDotProductAttention, SelfAttention
from .base import Array, Cache, Layer, Parameter
from .blocks import Decoder, DecoderBlock, Encoder, EncoderBlock
from .containers import Chain, Identity
from .decoding_state import DecodingState
from .dropout import Dropout
from .embedding import Embedding, InputEmbedding, Unembedding
from .feed_forward import FeedForward, GatedFeedForward
from .grouped_query import GroupedQueryAttention
from .hooks import first_nonfinite, forward_hooks
from .initializers import Glorot, Init, Initializer, Normal, Unallocated, as_initializer
from .linear import Dense, Linear
from .loss import CrossEntropy
from .masks import causal_mask, padding_mask
from .norm import LayerNorm, RMSNorm
from .positions import LearnedPositions, SinusoidalPositions, sinusoids
from .recurrent import (
    GRU,
    LSTM,
    AdditiveAttention,
    AdditiveScore,
    AttentionalHidden,
    Bidirectional,
    BidirectionalGRU,
    BidirectionalLSTM,
    CrossAttention,
    DotAttention,
    DotScore,
    GRULayer,
    InputFeedingDecoder,
    LSTMCell,
    LSTMLayer,
    LuongDecoder,
    RecurrentEncoder,
    RecurrentStack,
)
from .relative import ALiBi, RelativePositionBias, bidirectional_bucket, causal_bucket
from .residual import PostNorm, PreNorm, Residual
from .rotary import Rotary, halves_from_pairs, pairs_from_halves
from .softmax import Softmax

__all__ = [
    "GELU",
    "GRU",
    "LSTM",
    "ALiBi",
    "AdditiveAttention",
    "AdditiveScore",
    "Array",
    "AttentionalHidden",
    "Bidirectional",
    "BidirectionalGRU",
    "BidirectionalLSTM",
    "Cache",
    "Chain",
    "CrossAttention",
    "CrossEntropy",
    "Decoder",
    "DecoderBlock",
    "DecodingState",
    "Dense",
    "DotAttention",
    "DotScore",
    "Dropout",
    "Embedding",
    "Encoder",
    "EncoderBlock",
    "FeedForward",
    "GRULayer",
    "GatedFeedForward",
    "Glorot",
    "GroupedQueryAttention",
    "Identity",
    "Init",
    "Initializer",
    "InputEmbedding",
    "InputFeedingDecoder",
    "LSTMCell",
    "LSTMLayer",
    "Layer",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "LuongDecoder",
    "MultiHeadAttention",
    "Normal",
    "Parameter",
    "PostNorm",
    "PreNorm",
    "RMSNorm",
    "ReLU",
    "RecurrentEncoder",
    "RecurrentStack",
    "RelativePositionBias",
    "Residual",
    "Rotary",
    "ScaledDotProductAttention",
    "SelfAttention",
    "SiLU",
    "SinusoidalPositions",
    "Softmax",
    "Tanh",
    "Unallocated",
    "Unembedding",
    "as_initializer",
    "bidirectional_bucket",
    "causal_bucket",
    "causal_mask",
    "first_nonfinite",
    "forward_hooks",
    "halves_from_pairs",
    "padding_mask",
    "pairs_from_halves",
    "sinusoids",
]
