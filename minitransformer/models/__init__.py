"""Models: each file one architecture, a recipe that reads as its diagram."""

from .config import Config
from .encoder_decoder import EncoderDecoder
from .minimal import MinimalConfig, MinimalTransformer
from .transformer import PreNormTransformer, Transformer, TransformerConfig

__all__ = [
    "Config",
    "EncoderDecoder",
    "MinimalConfig",
    "MinimalTransformer",
    "PreNormTransformer",
    "Transformer",
    "TransformerConfig",
]
