"""Models: each file one architecture, a recipe that reads as its diagram."""

from typing import Any

from ..layers import Init, Layer
from .config import Config
from .decoder_only import DecoderOnly
from .encoder_decoder import EncoderDecoder
from .minimal import MinimalConfig, MinimalTransformer
from .transformer import PreNormTransformer, Transformer, TransformerConfig

# What a checkpoint calls each architecture, and what it takes to build it again.
MODELS: dict[str, tuple[type[Layer], type[Config]]] = {
    "transformer": (Transformer, TransformerConfig),
    "pre-norm": (PreNormTransformer, TransformerConfig),
    "minimal": (MinimalTransformer, MinimalConfig),
}


def build_model(name: str, config: Config, init: Init) -> Any:
    """The model that MODELS calls `name`; raises ValueError for a name or a config that does not fit."""
    if name not in MODELS:
        raise ValueError(f"model={name!r}: must be one of {', '.join(MODELS)}")
    model_class, config_class = MODELS[name]
    if not isinstance(config, config_class):
        raise ValueError(f"config is a {type(config).__name__}: model {name!r} takes a {config_class.__name__}")
    return model_class(config, init)  # type: ignore[call-arg, arg-type]


__all__ = [
    "MODELS",
    "Config",
    "DecoderOnly",
    "EncoderDecoder",
    "MinimalConfig",
    "MinimalTransformer",
    "PreNormTransformer",
    "Transformer",
    "TransformerConfig",
    "build_model",
]
