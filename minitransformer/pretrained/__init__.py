"""Pretrained models: T5, GPT-2 and Llama from the files of Hugging Face and llama2.c, and back."""

from .errors import WeightsError
from .hf_folder import from_pretrained, save_pretrained
from .hf_names import Layout, gpt_names, llama_names, names_of, t5_names
from .language_model import PretrainedLanguageModel, load_language_model
from .llama2c import Llama2cTokenizer, read_llama2c
from .tokenizer import PretrainedTokenizer, read_tokenizer
from .translator import PretrainedTranslator, load, load_translator

__all__ = [
    "Layout",
    "Llama2cTokenizer",
    "PretrainedLanguageModel",
    "PretrainedTokenizer",
    "PretrainedTranslator",
    "WeightsError",
    "from_pretrained",
    "gpt_names",
    "llama_names",
    "load",
    "load_language_model",
    "load_translator",
    "names_of",
    "read_llama2c",
    "read_tokenizer",
    "save_pretrained",
    "t5_names",
]
