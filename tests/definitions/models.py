"""What the Transformers of lecture notes, of 2017 and with pre-norm must be, by their papers, sentence by sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minitransformer.layers import Array
from minitransformer.models import MinimalConfig, MinimalTransformer, PreNormTransformer, Transformer, TransformerConfig
from minitransformer.verify.directions import check_directions

from .layers import attention_by_definition
from .registry import _equal, _float64, holds


def logits_by_definition(model: Any, style: str, source: Array, target: Array) -> Array:
    """Logits (T, V) for one unpadded sentence pair, from the recipe of the paper; style: minimal, post or pre."""
    P = {name: parameter.value for name, parameter in model.named_parameters()}
    D, H = model.config.d_model, model.config.n_heads
    source_table = P["source_embedding.tokens.weight"]
    target_table = P.get("target_embedding.tokens.weight", source_table)

    def positions(length: int) -> Array:
        angles = [[t / 10000 ** (2 * (i // 2) / D) for i in range(D)] for t in range(length)]
        return np.array([[math.cos(a) if i % 2 else math.sin(a) for i, a in enumerate(row)] for row in angles])

    def linear(name: str, x: Array) -> Array:
        return x @ P[f"{name}.weight"] + P.get(f"{name}.bias", 0.0)

    def norm(name: str, x: Array) -> Array:
        centred = x - x.sum(axis=-1, keepdims=True) / D
        variance = (centred**2).sum(axis=-1, keepdims=True) / D
        return P[f"{name}.gain"] * centred / np.sqrt(variance + 1e-5) + P[f"{name}.bias"]

    def attention(name: str, x: Array, memory: Array | None, mask: Array) -> Array:
        memory = x if memory is None else memory  # self-attention
        q, k, v = linear(f"{name}.query", x), linear(f"{name}.key", memory), linear(f"{name}.value", memory)
        heads = [slice(h * D // H, (h + 1) * D // H) for h in range(H)]
        y = np.concatenate([attention_by_definition(q[:, h], k[:, h], v[:, h], mask)[0] for h in heads], axis=1)
        return y if style == "minimal" else linear(f"{name}.output", y)

    def feed_forward(name: str, x: Array) -> Array:
        return linear(f"{name}.down_proj", np.maximum(linear(f"{name}.up_proj", x), 0.0))

    def sublayer(f: Callable[..., Array], name: str, x: Array, *others: Any) -> Array:
        if style == "pre":
            return x + f(name, norm(f"{name}.norm", x), *others)
        total = x + f(name, x, *others)
        return norm(f"{name}.norm", total) if style == "post" else total

    S, T = len(source), len(target)
    x = source_table[source] * math.sqrt(D) + positions(S)
    for n in range(model.config.n_encoder_blocks):
        x = sublayer(attention, f"encoder.blocks.{n}.attention", x, None, np.ones((S, S), bool))
        if style != "minimal":
            x = sublayer(feed_forward, f"encoder.blocks.{n}.feed_forward", x)
    memory = norm("encoder.norm", x) if style == "pre" else x
    y = target_table[target] * math.sqrt(D) + positions(T)
    up_to_itself = np.array([[s <= t for s in range(T)] for t in range(T)])
    for n in range(model.config.n_decoder_blocks):
        y = sublayer(attention, f"decoder.blocks.{n}.attention", y, None, up_to_itself)
        y = sublayer(attention, f"decoder.blocks.{n}.cross_attention", y, memory, np.ones((T, S), bool))
        if style != "minimal":
            y = sublayer(feed_forward, f"decoder.blocks.{n}.feed_forward", y)
    if style == "pre":
        y = norm("decoder.norm", y)
    return linear("head", y) if style == "minimal" else y @ target_table.T


def small_models() -> list[tuple[str, Any]]:
    """(style, model) of the three recipes, with gains and shifts that are not 1 and 0."""
    init = _float64()
    models = [
        ("minimal", MinimalTransformer(MinimalConfig(7, 9, 4, 2, 2, 2), init)),
        ("post", Transformer(TransformerConfig(9, None, 4, 2, 5, 2, 2), init)),
        ("pre", PreNormTransformer(TransformerConfig(7, 9, 4, 2, 5, 2, 2), init)),
    ]
    rng = np.random.default_rng(6)
    for _, model in models:
        for parameter in model.parameters():
            parameter.value = parameter.value + 0.3 * rng.standard_normal(parameter.shape)
    return models


def _model_is_its_recipe(wanted_style: str) -> None:
    source, target = np.array([[3, 5, 2, 6], [4, 6, 0, 0]]), np.array([[1, 8, 3], [1, 5, 4]])
    for style, model in small_models():
        if style == wanted_style:
            logits = model(source, target)
            for b, length in enumerate((4, 2)):  # by definition there is no padding
                wanted = logits_by_definition(model, style, source[b, :length], target[b])
                _equal(logits[b], wanted, f"logits of sentence {b}")


@holds("the minimal Transformer is what its diagram says, sentence by sentence")
def minimal_model_is_its_recipe() -> None:
    _model_is_its_recipe("minimal")


@holds("the Transformer of 2017 is what its paper says, sentence by sentence")
def model_of_2017_is_its_recipe() -> None:
    _model_is_its_recipe("post")


@holds("the pre-norm Transformer is what its paper says, sentence by sentence")
def pre_norm_model_is_its_recipe() -> None:
    _model_is_its_recipe("pre")


@holds("the gradient of a whole model is its derivative")
def model_gradients_are_derivatives() -> None:
    source, target = np.array([[3, 5, 2, 6], [4, 6, 0, 0]]), np.array([[1, 8, 3], [1, 5, 4]])
    for _, model in small_models():
        check_directions(model, source, target, n=5).raise_if_failed()


@holds("a tied table is one matrix, counted once")
def tied_tables_are_counted_once() -> None:
    V, U, D, F = 50, 40, 8, 12
    attention, feed_forward, norm = 4 * D * D + 4 * D, 2 * D * F + F + D, 2 * D
    blocks = (attention + feed_forward + 2 * norm) + (2 * attention + feed_forward + 3 * norm)
    for model_class, norms in ((Transformer, 0), (PreNormTransformer, 2)):
        for target_vocab, table in ((None, V * D), (U, V * D + U * D)):
            model = model_class(TransformerConfig(V, target_vocab, D, 2, F, 1, 1), _float64())
            n, wanted = model.n_parameters(), table + blocks + norms * norm
            assert n == wanted, f"{model_class.__name__} has {n} parameters, by hand there are {wanted}"
