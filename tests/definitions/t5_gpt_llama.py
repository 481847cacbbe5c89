"""T5, GPT and Llama by their papers, text by text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minitransformer.layers import Array
from minitransformer.models import (
    GPT,
    T5,
    EncoderDecoder,
    GPTConfig,
    Llama,
    LlamaConfig,
    T5Config,
    T5v11,
    TiedLlama,
)
from minitransformer.verify.directions import check_directions

from .layers import attention_by_definition
from .registry import _equal, _float64, holds
from .variants import rotated_by_definition

Values = dict[str, Array]


def small(name: str) -> Any:
    """A small model of each recipe, with gains and shifts that are not 1 and 0."""
    init = _float64()
    t5_sizes = T5Config(9, 6, 5, 2, 5, 2, 2, n_buckets=8, max_distance=7, eps=0.1)
    llama_sizes = LlamaConfig(9, 12, 16, 4, 2, 5, 2, base=10.0, eps=0.1)
    model: Any = {
        "T5": lambda: T5(t5_sizes, init),
        "T5 v1.1": lambda: T5v11(t5_sizes, init),
        "GPT": lambda: GPT(GPTConfig(9, 12, 6, 2, 2), init),
        "Llama": lambda: Llama(llama_sizes, init),
        "tied Llama": lambda: TiedLlama(llama_sizes, init),
    }[name]()
    rng = np.random.default_rng(6)
    for parameter in model.parameters():
        parameter.value = parameter.value + 0.3 * rng.standard_normal(parameter.shape)
    return model


def rms_norm(gain: Array, x: Array, eps: float) -> Array:
    """Zhang and Sennrich 2019, eq. 4, on rows."""
    return gain * x / np.sqrt((x**2).sum(axis=-1, keepdims=True) / x.shape[-1] + eps)


def layer_norm(gain: Array, shift: Array, x: Array) -> Array:
    """Ba et al. 2016, on rows."""
    centred = x - x.sum(axis=-1, keepdims=True) / x.shape[-1]
    variance = (centred**2).sum(axis=-1, keepdims=True) / x.shape[-1]
    return gain * centred / np.sqrt(variance + 1e-5) + shift


def gelu(x: Array) -> Array:
    """The form with tanh."""
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def up_to_itself(T: int) -> Array:
    return np.array([[s <= t for s in range(T)] for t in range(T)])


def t5_bucket(distance: int, n: int, highest: int, both_ways: bool) -> int:
    """Raffel et al. 2020, section 2.1, with logarithms, away from whose edges it is exact."""
    bucket = 0
    if both_ways:
        n //= 2
        bucket, distance = (n if distance > 0 else 0), -abs(distance)
    back, exact = max(-distance, 0), n // 2
    if back < exact:
        return bucket + back
    far = math.log(back / exact) / math.log(highest / exact) * (n - exact)
    return bucket + min(exact + int(far + 1e-9), n - 1)


def t5_by_definition(model: Any, gated: bool, source: Array, target: Array) -> Array:
    """Logits (T, V) of one unpadded pair."""
    P: Values = {name: parameter.value for name, parameter in model.named_parameters()}
    c = model.config
    table = P["source_embedding.tokens.weight"]

    def attention(name: str, x: Array, memory: Array, mask: Array, bias: Array | None, both_ways: bool) -> Array:
        T, S = mask.shape
        q, k, v = (z @ P[f"{name}.{part}.weight"] for z, part in ((x, "query"), (memory, "key"), (memory, "value")))
        contexts = []
        for h in range(c.n_heads):
            head = slice(h * c.d_kv, (h + 1) * c.d_kv)
            added = np.zeros((S, T))
            for s, t in np.ndindex(S, T):
                if bias is not None:
                    added[s, t] = bias[t5_bucket(s - t, c.n_buckets, c.max_distance, both_ways), h]
            # Scores without a scale, and a bias: the bias of a pair as one more feature of each.
            root = math.sqrt(c.d_kv + T)
            wide_q = np.concatenate([q[:, head], np.eye(T)], axis=1) * root
            wide_k = np.concatenate([k[:, head], added], axis=1)
            contexts.append(attention_by_definition(wide_q, wide_k, v[:, head], mask)[0])
        return np.concatenate(contexts, axis=1) @ P[f"{name}.output.weight"]

    def normed(name: str, x: Array) -> Array:
        return rms_norm(P[f"{name}.gain"], x, c.eps)

    def feed_forward(name: str, x: Array) -> Array:
        x = normed(f"{name}.norm", x)
        wide = x @ P[f"{name}.up_proj.weight"]
        activated = gelu(x @ P[f"{name}.gate_proj.weight"]) * wide if gated else np.maximum(wide, 0.0)
        return activated @ P[f"{name}.down_proj.weight"]

    S, T = len(source), len(target)
    x, everything = table[source], np.ones((S, S), bool)
    bias = P["encoder.blocks.0.attention.attention.bias.weight"]
    for n in range(c.n_encoder_blocks):
        name = f"encoder.blocks.{n}"
        h = normed(f"{name}.attention.norm", x)
        x = x + attention(f"{name}.attention", h, h, everything, bias, both_ways=True)
        x = x + feed_forward(f"{name}.feed_forward", x)
    memory = normed("encoder.norm.scale", x)
    y, bias = table[target], P["decoder.blocks.0.attention.attention.bias.weight"]
    for n in range(c.n_decoder_blocks):
        name = f"decoder.blocks.{n}"
        h = normed(f"{name}.attention.norm", y)
        y = y + attention(f"{name}.attention", h, h, up_to_itself(T), bias, both_ways=False)
        h = normed(f"{name}.cross_attention.norm", y)
        y = y + attention(f"{name}.cross_attention", h, memory, np.ones((T, S), bool), None, both_ways=True)
        y = y + feed_forward(f"{name}.feed_forward", y)
    y = normed("decoder.norm.scale", y)
    return y @ P["head.weight"] if gated else y @ table.T / math.sqrt(c.d_model)


def gpt_by_definition(model: Any, ids: Array) -> Array:
    """Logits (T, V) of one text."""
    P: Values = {name: parameter.value for name, parameter in model.named_parameters()}
    D, H, T = model.config.d_model, model.config.n_heads, len(ids)

    def linear(name: str, x: Array) -> Array:
        return x @ P[f"{name}.weight"] + P[f"{name}.bias"]

    def normed(name: str, x: Array) -> Array:
        return layer_norm(P[f"{name}.gain"], P[f"{name}.bias"], x)

    x = P["embedding.tokens.weight"][ids] + P["embedding.positions.weight"][:T]
    for n in range(model.config.n_blocks):
        name = f"decoder.blocks.{n}.attention"
        q, k, v = (linear(f"{name}.{part}", normed(f"{name}.norm", x)) for part in ("query", "key", "value"))
        heads = [slice(h * D // H, (h + 1) * D // H) for h in range(H)]
        contexts = [attention_by_definition(q[:, h], k[:, h], v[:, h], up_to_itself(T))[0] for h in heads]
        x = x + linear(f"{name}.output", np.concatenate(contexts, axis=1))
        name = f"decoder.blocks.{n}.feed_forward"
        x = x + linear(f"{name}.down_proj", gelu(linear(f"{name}.up_proj", normed(f"{name}.norm", x))))
    return normed("decoder.norm", x) @ P["embedding.tokens.weight"].T


def llama_by_definition(model: Any, ids: Array) -> Array:
    """Logits (T, V) of one text."""
    P: Values = {name: parameter.value for name, parameter in model.named_parameters()}
    c, T = model.config, len(ids)
    d, G = c.d_model // c.n_heads, c.n_heads // c.n_kv_heads

    def normed(name: str, x: Array) -> Array:
        return rms_norm(P[f"{name}.gain"], x, c.eps)

    x = P["embedding.tokens.weight"][ids]
    for n in range(c.n_blocks):
        name = f"decoder.blocks.{n}.attention"
        h = normed(f"{name}.norm", x)
        q, k, v = (h @ P[f"{name}.{part}.weight"] for part in ("query", "key", "value"))
        contexts = []
        for head in range(c.n_heads):
            mine, ours = slice(head * d, (head + 1) * d), slice(head // G * d, (head // G + 1) * d)
            turned = rotated_by_definition(q[:, mine], c.base), rotated_by_definition(k[:, ours], c.base)
            contexts.append(attention_by_definition(*turned, v[:, ours], up_to_itself(T))[0])
        x = x + np.concatenate(contexts, axis=1) @ P[f"{name}.output.weight"]
        name = f"decoder.blocks.{n}.feed_forward"
        h = normed(f"{name}.norm", x)
        gated = silu(h @ P[f"{name}.gate_proj.weight"]) * (h @ P[f"{name}.up_proj.weight"])
        x = x + gated @ P[f"{name}.down_proj.weight"]
    return normed("decoder.norm", x) @ P.get("head.weight", P["embedding.tokens.weight"].T)


SOURCE = np.array([[3, 5, 2, 6, 7, 1, 4, 8, 2, 5], [4, 6, 1, 0, 0, 0, 0, 0, 0, 0]])
TARGET = np.array([[1, 8, 3, 3, 2, 6, 7, 8, 1], [1, 5, 4, 2, 2, 7, 6, 5, 3]])


def _translator_is_its_paper(name: str, gated: bool) -> None:
    model = small(name)
    logits = model(SOURCE, TARGET)
    for b, length in enumerate((10, 3)):  # by definition there is no padding
        wanted = t5_by_definition(model, gated, SOURCE[b, :length], TARGET[b])
        _equal(logits[b], wanted, f"logits of sentence {b}", 1e-11)


def _language_model_is_its_paper(name: str, by_definition: Callable[[Any, Array], Array]) -> None:
    model = small(name)
    logits = model(TARGET)
    for b, ids in enumerate(TARGET):
        _equal(logits[b], by_definition(model, ids), f"logits of text {b}", 1e-11)


@holds("T5 is what its paper says, sentence by sentence")
def t5_is_its_paper() -> None:
    _translator_is_its_paper("T5", gated=False)


@holds("T5 v1.1 is what its paper says, sentence by sentence")
def t5_v1_1_is_its_paper() -> None:
    _translator_is_its_paper("T5 v1.1", gated=True)


@holds("GPT-2 is what its paper says, text by text")
def gpt_is_its_paper() -> None:
    _language_model_is_its_paper("GPT", gpt_by_definition)


@holds("Llama is what its paper says, text by text")
def llama_is_its_paper() -> None:
    _language_model_is_its_paper("Llama", llama_by_definition)
    _language_model_is_its_paper("tied Llama", llama_by_definition)


@holds("the gradients of T5, GPT and Llama are their derivatives")
def recipe_gradients_are_derivatives() -> None:
    for name in ("T5", "T5 v1.1"):
        check_directions(small(name), SOURCE, TARGET, n=3).raise_if_failed()
    for name in ("GPT", "Llama", "tied Llama"):
        check_directions(small(name), TARGET, n=3).raise_if_failed()


@holds("T5, GPT and Llama have as many parameters as by hand")
def recipes_are_counted_by_hand() -> None:
    V, D, d, H, F, N = 9, 6, 5, 2, 5, 2
    attention, tables = 4 * D * H * d, V * D + 2 * 8 * H
    blocks = N * (3 * attention + 5 * D) + 2 * D  # three attentions and five norms a pair of blocks, two last norms
    # Sizes as in `small`.
    wanted = {"T5": tables + blocks + 2 * N * (2 * D * F), "T5 v1.1": tables + blocks + 2 * N * (3 * D * F) + V * D}
    dense = 4 * (D * D + D) + (D * 4 * D + 4 * D) + (4 * D * D + D)
    wanted["GPT"] = V * D + 12 * D + N * (dense + 4 * D) + 2 * D
    D = 16  # 4 query heads of 4 features, and 2 heads of keys and values
    wanted["tied Llama"] = V * D + N * (2 * D * D + 2 * D * 8 + 3 * D * F + 2 * D) + D
    wanted["Llama"] = wanted["tied Llama"] + V * D
    for name, by_hand in wanted.items():
        n = small(name).n_parameters()
        assert n == by_hand, f"{name} has {n} parameters, by hand there are {by_hand}"


@holds("T5, GPT and Llama decode with a state what their forward gives")
def recipes_step_as_they_run() -> None:
    for name in ("T5", "T5 v1.1", "GPT", "Llama"):
        model = small(name)
        if isinstance(model, EncoderDecoder):
            wanted, (state, _) = model(SOURCE, TARGET), model.start_decoding(SOURCE, 0)
        else:
            wanted, (state, _) = model(TARGET), model.start_decoding(TARGET)
        logits = [model.next_logits(part, state) for part in np.split(TARGET, [3, 4, 5, 7], axis=1)]
        scale = float(np.abs(wanted).max())
        _equal(np.concatenate(logits, axis=1), wanted, f"logits of {name}", 1e-13 * max(scale, 1.0))
