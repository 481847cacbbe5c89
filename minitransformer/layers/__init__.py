"""Layers: one operation a file, each with its equation, its `forward` and, beneath it, its `backward`."""

from .activations import GELU, ReLU
from .attention import MultiHeadAttention, ScaledDotProductAttention, SelfAttention
from .base import Array, Cache, Chain, Identity, Layer, Parameter
from .blocks import DecoderBlock, EncoderBlock
from .dropout import Dropout
from .embedding import Embedding, Unembedding
from .feed_forward import FeedForward
from .initializers import Glorot, Init, Initializer, Normal, Unallocated, as_initializer
from .linear import Dense, Linear
from .loss import CrossEntropy
from .masks import causal_mask, padding_mask
from .norm import LayerNorm
from .positions import LearnedPositions, SinusoidalPositions, sinusoids
from .residual import PostNorm, PreNorm, Residual
from .softmax import Softmax
from .stacks import Decoder, Encoder
from .state import State
from .watch import first_not_finite, watch

__all__ = [
    "GELU",
    "Array",
    "Cache",
    "Chain",
    "CrossEntropy",
    "Decoder",
    "DecoderBlock",
    "Dense",
    "Dropout",
    "Embedding",
    "Encoder",
    "EncoderBlock",
    "FeedForward",
    "Glorot",
    "Identity",
    "Init",
    "Initializer",
    "Layer",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "MultiHeadAttention",
    "Normal",
    "Parameter",
    "PostNorm",
    "PreNorm",
    "ReLU",
    "Residual",
    "ScaledDotProductAttention",
    "SelfAttention",
    "SinusoidalPositions",
    "Softmax",
    "State",
    "Unallocated",
    "Unembedding",
    "as_initializer",
    "causal_mask",
    "first_not_finite",
    "padding_mask",
    "sinusoids",
    "watch",
]
