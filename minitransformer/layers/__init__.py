"""Layers: one operation a file, each with its equation, its `forward` and, beneath it, its `backward`."""

from .activations import GELU, ReLU, SiLU
from .attention import MultiHeadAttention, ScaledDotProductAttention, SelfAttention
from .attentional import AttentionalDecoder, AttentionalState, BridgedEncoder, InputFeedingDecoder
from .base import Array, Cache, Chain, Identity, Layer, Parameter
from .blocks import DecoderBlock, EncoderBlock
from .dropout import Dropout
from .embedding import Embedding, Unembedding
from .feed_forward import FeedForward, GatedFeedForward
from .grouped_query import GroupedQueryAttention
from .gru import GRU, BidirectionalGRU, GRULayer
from .initializers import Glorot, Init, Initializer, Normal, Unallocated, as_initializer
from .linear import Dense, Linear
from .loss import CrossEntropy
from .lstm import LSTM, BidirectionalLSTM, LSTMCell, LSTMLayer
from .masks import causal_mask, padding_mask
from .norm import LayerNorm, RMSNorm
from .positions import LearnedPositions, SinusoidalPositions, sinusoids
from .recurrent import BothDirections, RecurrentStack
from .recurrent_attention import AdditiveAttention, AdditiveScore, DotAttention, DotScore, MemoryAttention
from .relative import ALiBi, RelativePositionBias, bidirectional_bucket, causal_bucket
from .residual import PostNorm, PreNorm, Residual
from .rotary import Rotary, halves_from_pairs, pairs_from_halves
from .softmax import Softmax
from .stacks import Decoder, Encoder
from .state import State
from .summary import Summary, summary
from .tanh import Tanh
from .watch import first_not_finite, watch

__all__ = [
    "GELU",
    "GRU",
    "LSTM",
    "ALiBi",
    "AdditiveAttention",
    "AdditiveScore",
    "Array",
    "AttentionalDecoder",
    "AttentionalState",
    "BidirectionalGRU",
    "BidirectionalLSTM",
    "BothDirections",
    "BridgedEncoder",
    "Cache",
    "Chain",
    "CrossEntropy",
    "Decoder",
    "DecoderBlock",
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
    "InputFeedingDecoder",
    "LSTMCell",
    "LSTMLayer",
    "Layer",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "MemoryAttention",
    "MultiHeadAttention",
    "Normal",
    "Parameter",
    "PostNorm",
    "PreNorm",
    "RMSNorm",
    "ReLU",
    "RecurrentStack",
    "RelativePositionBias",
    "Residual",
    "Rotary",
    "ScaledDotProductAttention",
    "SelfAttention",
    "SiLU",
    "SinusoidalPositions",
    "Softmax",
    "State",
    "Summary",
    "Tanh",
    "Unallocated",
    "Unembedding",
    "as_initializer",
    "bidirectional_bucket",
    "causal_bucket",
    "causal_mask",
    "first_not_finite",
    "halves_from_pairs",
    "padding_mask",
    "pairs_from_halves",
    "sinusoids",
    "summary",
    "watch",
]
