"""Published models by their names: which class and which sizes, to be counted or built."""

from __future__ import annotations

from ..layers import Layer
from .config import Config
from .gpt import GPT, GPTConfig
from .llama import Llama, LlamaConfig, TiedLlama
from .t5 import T5, T5Config
from .transformer import Transformer, TransformerConfig

PRESETS: dict[str, tuple[type[Layer], Config]] = {
    "transformer-base": (Transformer, TransformerConfig.base()),
    "transformer-big": (Transformer, TransformerConfig.big()),
    "t5-small": (T5, T5Config.small()),
    "t5-base": (T5, T5Config.base()),
    "gpt2": (GPT, GPTConfig.gpt2()),
    "gpt2-medium": (GPT, GPTConfig.gpt2_medium()),
    "gpt2-large": (GPT, GPTConfig.gpt2_large()),
    "gpt2-xl": (GPT, GPTConfig.gpt2_xl()),
    "stories260k": (TiedLlama, LlamaConfig.stories260k()),
    "llama-2-7b": (Llama, LlamaConfig.llama2_7b()),
    "llama-2-13b": (Llama, LlamaConfig.llama2_13b()),
    "llama-2-70b": (Llama, LlamaConfig.llama2_70b()),
    "llama-3-8b": (Llama, LlamaConfig.llama3_8b()),
}
