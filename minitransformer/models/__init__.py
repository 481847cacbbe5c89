"""Models: each file one architecture, a recipe that reads as its diagram."""

from typing import Any

from ..arguments import checked
from ..layers import Init, Layer
from .config import Config
from .decoder_only import DecoderOnly
from .encoder_decoder import EncoderDecoder
from .gpt import GPT, GPTConfig
from .llama import Llama, LlamaConfig, TiedLlama
from .lstm import BahdanauLSTM, InputFeedingLSTM, LSTMConfig, Seq2SeqLSTM
from .minimal import MinimalConfig, MinimalTransformer
from .parts import Learned, Sinusoidal, Tied, Untied
from .presets import PRESETS
from .summary import Summary, summary
from .t5 import T5, T5Config, T5v11
from .transformer import PreNormTransformer, Transformer, TransformerConfig

# What a checkpoint calls each architecture, and what it takes to build it again: those from a source to a target ...
MODELS: dict[str, tuple[type[Layer], type[Config]]] = {
    "transformer": (Transformer, TransformerConfig),
    "pre-norm": (PreNormTransformer, TransformerConfig),
    "minimal": (MinimalTransformer, MinimalConfig),
    "t5": (T5, T5Config),
    "t5-v1.1": (T5v11, T5Config),
    "lstm": (Seq2SeqLSTM, LSTMConfig),
    "lstm-bahdanau": (BahdanauLSTM, LSTMConfig),
    "lstm-input-feeding": (InputFeedingLSTM, LSTMConfig),
}

# ... and those that go on with a text.
LANGUAGE_MODELS: dict[str, tuple[type[Layer], type[Config]]] = {
    "gpt": (GPT, GPTConfig),
    "llama": (Llama, LlamaConfig),
    "llama-tied": (TiedLlama, LlamaConfig),
}


@checked
def build_model(name: str, config: Config, init: Init) -> Any:
    """The model that MODELS or LANGUAGE_MODELS calls `name`; ValueError for a name or a config that does not fit."""
    known = MODELS | LANGUAGE_MODELS
    if name not in known:
        raise ValueError(f"name={name!r}: must be one of {', '.join(known)}")
    model_class, config_class = known[name]
    if not isinstance(config, config_class):
        raise ValueError(f"config is a {type(config).__name__}: model {name!r} takes a {config_class.__name__}")
    return model_class(config, init)  # type: ignore[call-arg, arg-type]


__all__ = [
    "GPT",
    "LANGUAGE_MODELS",
    "MODELS",
    "PRESETS",
    "T5",
    "BahdanauLSTM",
    "Config",
    "DecoderOnly",
    "EncoderDecoder",
    "GPTConfig",
    "InputFeedingLSTM",
    "LSTMConfig",
    "Learned",
    "Llama",
    "LlamaConfig",
    "MinimalConfig",
    "MinimalTransformer",
    "PreNormTransformer",
    "Seq2SeqLSTM",
    "Sinusoidal",
    "Summary",
    "T5Config",
    "T5v11",
    "Tied",
    "TiedLlama",
    "Transformer",
    "TransformerConfig",
    "Untied",
    "build_model",
    "summary",
]
