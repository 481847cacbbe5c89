"""config.json of Hugging Face: which of our models it describes, and how one of ours is described there.

Every key is accounted for. A *size* becomes a field of our configuration; a *fixed* key must have the value that our
layers are built for; what has no bearing on a logit or a gradient is *ignored*; any other key is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..layers import Initializer, Layer, Linear, Unembedding
from ..models import GPT, T5, GPTConfig, Llama, LlamaConfig, T5Config, T5v11, TiedLlama
from ..models.config import Config
from .errors import WeightsError, listed, shown

NEEDED = object()  # in place of a default

# Settings of training (dropout too), of decoding, of other tasks or of other programs, and remarks: no layer's output
# depends on them outside training. They were collected from public configurations of the three families.
IGNORED = (
    *("_name_or_path", "_commit_hash", "_attn_implementation_autoset", "_attn_implementation"),
    *("attn_implementation", "architectures", "model_type", "dtype", "torch_dtype", "transformers_version"),
    *("use_cache", "return_dict", "output_attentions", "output_hidden_states", "output_scores"),
    *("return_dict_in_generate", "initializer_range", "initializer_factor", "gradient_checkpointing"),
    *("torchscript", "use_bfloat16", "bos_token_id", "eos_token_id", "sep_token_id", "tokenizer_class", "prefix"),
    *("task_specific_params", "problem_type", "finetuning_task", "id2label", "label2id", "num_labels"),
    *("classifier_dropout", "tf_legacy_loss", "chunk_size_feed_forward", "max_length", "min_length", "do_sample"),
    *("early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p"),
    *("typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size"),
    *("encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "forced_bos_token_id"),
    *("forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens"),
    *("begin_suppress_tokens", "max_new_tokens", "min_new_tokens", "max_time", "penalty_alpha", "guidance_scale"),
    *("renormalize_logits", "num_assistant_tokens", "cache_implementation", "use_mems", "use_model_defaults"),
    *("_num_labels", "num_labels", "num_choices", "pos_weight", "label_smoothing", "loss_type", "keys_to_ignore"),
    *("decoder_start_token_id", "pad_token_id", "unk_token_id", "mask_token_id", "cls_token_id", "bos_token"),
    *("eos_token", "pad_token", "unk_token", "additional_special_tokens", "padding_side", "model_max_length"),
    *("output_past", "n_special", "predict_special_tokens", "vocab_file", "tokenizer", "tokenizer_file", "name"),
    *("author", "date", "created", "created_at", "license", "language", "version", "description", "tags", "base_model"),
    *("is_llama_config", "transformers.js_config", "unsloth_version", "unsloth_fixed", "_unsloth_fixed"),
    *("_flash_attn_2_enabled", "use_flash_attn", "use_flash_attention", "use_sdpa", "_attn_implementation_internal"),
    *("_experts_implementation", "xla_device", "use_xla", "max_sequence_length", "model_parallel", "flax_version"),
    *("trl_version", "peft_version", "torch_compile", "training_args", "seed", "fp16", "bf16", "is_training"),
    *("dropout", "dropout_p", "attention_dropout", "attn_dropout", "attn_pdrop", "embd_pdrop", "embd_dropout"),
    *("resid_dropout", "hidden_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "activation_dropout"),
    *("embed_dropout", "layerdrop", "summary_first_dropout", "classifier_dropout_prob"),
)

# Keys of every model, each with its allowed values.
FIXED: dict[str, tuple[Any, ...]] = {
    "add_cross_attention": (False,),
    "cross_attention_hidden_size": (None,),
    "is_decoder": (False, True),
    "pruned_heads": ({}, None),
    "tie_encoder_decoder": (False,),
    "quantization_config": (None,),  # the weights are in another form
    "quantization": (None,),
    "compression_config": (None,),
    "sliding_window": (None,),
    "use_sliding_window": (False, None),
    "rope_interleaved": (False,),
    "clip_qkv": (None,),
    "logit_scale": (None, 1.0),
    "final_logit_softcapping": (None,),
    "attn_logit_softcapping": (None,),
    "use_qk_norm": (False, None),
    "qk_layernorm": (False, None),
    "no_rope_layers": (None, []),
    "embedding_multiplier": (None, 1.0),
    "residual_multiplier": (None, 1.0),
    "attention_multiplier": (None,),
    "logits_scaling": (None, 1.0),
    "use_lora": (False, None),
}


@dataclass(frozen=True)
class Family:
    """How one `model_type` is read and written.

    Attributes
    ----------
    architecture : str
        The class of transformers that has the head.
    config : type
        Ours.
    sizes : dict
        Their key -> (our field, its default or NEEDED).
    fixed : dict
        Their key -> the values that it may have; the first is written.
    ignored : tuple of str
        Keys beside those of IGNORED.
    tied : bool
        Whether the head is the embedding's table unless config.json says otherwise.
    dropped : str
        Pattern of tensors that old files have beside the weights.
    """

    architecture: str
    config: type[Config]
    sizes: Mapping[str, tuple[str, Any]]
    fixed: Mapping[str, tuple[Any, ...]]
    ignored: tuple[str, ...]
    tied: bool
    dropped: str = "(?!)"
    special: tuple[str, ...] = field(default=())


T5_FAMILY = Family(
    architecture="T5ForConditionalGeneration",
    config=T5Config,
    sizes={
        "vocab_size": ("vocab", NEEDED),
        "d_model": ("d_model", NEEDED),
        "d_kv": ("d_kv", NEEDED),
        "num_heads": ("n_heads", NEEDED),
        "d_ff": ("d_ff", NEEDED),
        "num_layers": ("n_encoder_blocks", NEEDED),
        "num_decoder_layers": ("n_decoder_blocks", None),
        "relative_attention_num_buckets": ("n_buckets", 32),
        "relative_attention_max_distance": ("max_distance", 128),
        "dropout_rate": ("dropout", 0.1),
        "layer_norm_epsilon": ("eps", 1e-6),
        "pad_token_id": ("pad", 0),
    },
    fixed={"is_encoder_decoder": (True,)},
    ignored=("n_positions",),
    tied=True,
    dropped=r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",  # was never used
    special=("feed_forward_proj", "dense_act_fn", "is_gated_act", "scale_decoder_outputs", "tie_word_embeddings"),
)

GPT_FAMILY = Family(
    architecture="GPT2LMHeadModel",
    config=GPTConfig,
    sizes={
        "vocab_size": ("vocab", NEEDED),
        "n_positions": ("max_length", NEEDED),
        "n_embd": ("d_model", NEEDED),
        "n_head": ("n_heads", NEEDED),
        "n_layer": ("n_blocks", NEEDED),
        "n_inner": ("d_ff", None),
        "resid_pdrop": ("dropout", 0.1),
        "layer_norm_epsilon": ("eps", 1e-5),
    },
    fixed={
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "is_encoder_decoder": (False,),
    },
    ignored=(
        *("n_ctx", "reorder_and_upcast_attn", "summary_activation"),
        *("summary_proj_to_labels", "summary_type", "summary_use_proj"),
    ),
    tied=True,
    dropped=r"transformer\.h\.\d+\.(attn|crossattention)\.(bias|masked_bias)",  # the causal mask
    special=("tie_word_embeddings",),
)

LLAMA_FAMILY = Family(
    architecture="LlamaForCausalLM",
    config=LlamaConfig,
    sizes={
        "vocab_size": ("vocab", NEEDED),
        "max_position_embeddings": ("max_length", 2048),
        "hidden_size": ("d_model", NEEDED),
        "num_attention_heads": ("n_heads", NEEDED),
        "num_key_value_heads": ("n_kv_heads", None),
        "intermediate_size": ("d_ff", NEEDED),
        "num_hidden_layers": ("n_blocks", NEEDED),
        "rms_norm_eps": ("eps", 1e-6),
    },
    fixed={
        "hidden_act": ("silu",),
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "partial_rotary_factor": (1.0,),
        "is_encoder_decoder": (False,),
    },
    ignored=("pretraining_tp",),
    tied=False,
    dropped=r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.(inv_freq|cos_cached|sin_cached)",  # from rope_theta
    special=("rope_theta", "rope_scaling", "rope_parameters", "head_dim", "tie_word_embeddings"),
)

FAMILIES = {"t5": T5_FAMILY, "gpt2": GPT_FAMILY, "llama": LLAMA_FAMILY}


@dataclass(frozen=True)
class ModelDescription:
    """What config.json describes.

    Attributes
    ----------
    family : Family
    model : type
        Our class.
    config : Config
        Our sizes.
    tied : bool
        Whether the head is the embedding's table.
    head_scale : float
        Factor on what a tied head reads.
    """

    family: Family
    model: type[Layer]
    config: Any
    tied: bool
    head_scale: float = 1.0

    def n_blocks(self) -> int:
        return max(value for name, value in self.config.to_dict().items() if name.endswith("blocks"))

    def build(self, init: Initializer) -> Any:
        """The model, with the head that the weights were trained with."""
        model: Any = self.model(self.config, init)  # type: ignore[call-arg]
        if not self.tied and isinstance(model.head, Unembedding):
            model.head = Linear(self.config.d_model, self.config.vocab, init)
        elif self.tied and (not isinstance(model.head, Unembedding) or model.head.scale != self.head_scale):
            model.head = Unembedding(table_of(model), self.head_scale)
        return model


def table_of(model: Any) -> Any:
    """The table of a model's embedding, which a tied head shares."""
    embedding = getattr(model, "target_embedding", None) or model.embedding
    return getattr(embedding, "tokens", embedding).weight


class ConfigReader:
    """Reads values from config.json, and refuses those that our layers do not support."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path, self.content = path, content

    def wrong(self, key: str, allowed: str) -> WeightsError:
        return WeightsError(f"{self.path}: {key} is {shown(self.content.get(key))}: must be {allowed}")

    def expect(self, key: str, values: tuple[Any, ...]) -> Any:
        """The key's value, or the first allowed one where it is absent."""
        value = self.content.get(key, values[0])
        if not any(value == allowed and isinstance(value, bool) == isinstance(allowed, bool) for allowed in values):
            raise self.wrong(key, " or ".join(map(repr, values)))
        return value

    def size(self, key: str, default: Any) -> Any:
        if key not in self.content and default is NEEDED:
            raise WeightsError(f"{self.path}: lacks {key}")
        value = self.content.get(key, default)
        if value is None and default is None:
            return None
        kinds = (int, float) if isinstance(default, float) else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise self.wrong(key, "a number" if float in kinds else "a whole number")
        return value

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.expect(key, (default, not default)))


def read_config(path: Path, content: dict[str, Any], ignore: Collection[str] = ()) -> ModelDescription:
    """What a config.json describes; WeightsError, which names the key, for a setting that our layers do not support.

    Keys of `ignore` are left out; those that this program knows, and so checks, are not to be ignored.
    """
    reader = ConfigReader(path, content)
    model_type = content.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise reader.wrong("model_type", " or ".join(map(repr, FAMILIES)))
    family = FAMILIES[model_type]
    fixed = {**FIXED, **family.fixed}
    checked = {*fixed, *family.sizes, *family.special}
    if wrong := sorted(checked & set(ignore)):
        raise WeightsError(f"{path}: {listed(wrong)} is not to be ignored: the numbers depend on it")
    unknown = sorted(set(content) - checked - {*IGNORED, *family.ignored, *ignore})
    if unknown:
        raise WeightsError(
            f"{path}: has {listed(unknown)}, which this program does not know for a {model_type} "
            f"({unknown[0]!r:.60} is {shown(content[unknown[0]])}); where the numbers do not depend on it, say "
            f"ignore=[{unknown[0]!r:.60}], or --ignore-key {unknown[0]!r:.60}"
        )
    for key, values in fixed.items():
        reader.expect(key, values)
    sizes = {ours: reader.size(theirs, default) for theirs, (ours, default) in family.sizes.items()}
    try:
        return READERS[model_type](reader, family, sizes)
    except (ValueError, TypeError, ArithmeticError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path}: {error}") from None


def _read_t5(reader: ConfigReader, family: Family, sizes: dict[str, Any]) -> ModelDescription:
    if sizes["n_decoder_blocks"] is None:
        sizes["n_decoder_blocks"] = sizes["n_encoder_blocks"]
    kind = reader.expect("feed_forward_proj", ("relu", "gated-gelu"))
    gated = kind == "gated-gelu"
    reader.expect("is_gated_act", (gated,))
    reader.expect("dense_act_fn", ("gelu_new", "gelu_pytorch_tanh") if gated else ("relu",))
    tied = reader.flag("tie_word_embeddings", True)
    scaled = reader.flag("scale_decoder_outputs", tied)
    if scaled and not tied:
        raise reader.wrong("scale_decoder_outputs", "false where tie_word_embeddings is")
    config = T5Config(**sizes)
    return ModelDescription(family, T5v11 if gated else T5, config, tied, config.d_model**-0.5 if scaled else 1.0)


def _read_gpt(reader: ConfigReader, family: Family, sizes: dict[str, Any]) -> ModelDescription:
    return ModelDescription(family, GPT, GPTConfig(**sizes), reader.flag("tie_word_embeddings", family.tied))


def _read_llama(reader: ConfigReader, family: Family, sizes: dict[str, Any]) -> ModelDescription:
    base = reader.size("rope_theta", 10000.0)
    for key in ("rope_scaling", "rope_parameters"):
        rope = reader.content.get(key)
        if rope is None:
            continue
        if not isinstance(rope, dict):
            raise reader.wrong(key, "null or an object")
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default":
            raise WeightsError(f"{reader.path}: rope_type of {key} is {shown(kind)}: must be 'default'")
        if extra := sorted(set(rope) - {"rope_type", "type", "rope_theta"}):
            raise WeightsError(f"{reader.path}: {key} has {listed(extra)}, which this program does not know")
        base = rope.get("rope_theta", base)
    head_dim = reader.size("head_dim", None)
    if head_dim is not None and head_dim * sizes["n_heads"] != sizes["d_model"]:
        raise reader.wrong("head_dim", f"hidden_size / num_attention_heads = {sizes['d_model']} / {sizes['n_heads']}")
    tied = reader.flag("tie_word_embeddings", family.tied)
    return ModelDescription(family, TiedLlama if tied else Llama, LlamaConfig(**sizes, base=base), tied)


READERS: dict[str, Any] = {"t5": _read_t5, "gpt2": _read_gpt, "llama": _read_llama}


def write_config(model: Any) -> dict[str, Any]:
    """config.json of one of our models, as transformers reads it."""
    model_type = next(name for name, family in FAMILIES.items() if isinstance(model.config, family.config))
    family, config = FAMILIES[model_type], model.config.to_dict()
    tied = isinstance(model.head, Unembedding)
    content: dict[str, Any] = {
        "architectures": [family.architecture],
        "model_type": model_type,
        "torch_dtype": str(table_of(model).dtype),
        **{theirs: config[ours] for theirs, (ours, _) in family.sizes.items()},
        **{key: values[0] for key, values in family.fixed.items()},
        "tie_word_embeddings": tied,
    }
    if model_type == "t5":
        gated = isinstance(model, T5v11)
        content |= {"feed_forward_proj": "gated-gelu" if gated else "relu", "decoder_start_token_id": config["pad"]}
        if tied and model.head.scale == 1.0:
            content["scale_decoder_outputs"] = False
    elif model_type == "gpt2":
        content |= {"embd_pdrop": config["dropout"], "attn_pdrop": config["dropout"]}
    else:
        content |= {
            "num_key_value_heads": config["n_kv_heads"] or config["n_heads"],
            "head_dim": config["d_model"] // config["n_heads"],
            "rope_theta": config["base"],
            "rope_scaling": None,
        }
        del content["partial_rotary_factor"]
    return content


# Buffers that files have beside the weights: masks, positions. What they hold follows from the configuration.
BUFFERS = re.compile(r"(.*\.)?(masked_bias|position_ids|attention_mask|causal_mask)")
BASES = {"t5": "", "gpt2": "transformer.", "llama": "model."}
FIRST = {
    "t5": r"(shared|encoder|decoder)\.",
    "gpt2": r"(wte|wpe|ln_f|h\.\d+)\.",
    "llama": r"(embed_tokens|norm|layers\.\d+|rotary_emb)\.",
}


def canonical(family: Family, name: str) -> str:
    """A tensor's name in the class with the head.

    The first word, of the model beneath the head, may be left out or added; wrappers put words of their own before it.
    """
    model_type = next(key for key, one in FAMILIES.items() if one is family)
    name = re.sub(r"^((module|_orig_mod)\.)+", "", name)
    bare = re.sub(rf"^((transformer|model)\.)+(?=lm_head\.|{FIRST[model_type]})", "", name)
    return BASES[model_type] + bare if re.match(FIRST[model_type], bare) else bare
