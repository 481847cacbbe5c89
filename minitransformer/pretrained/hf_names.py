"""What Hugging Face calls every parameter of a T5, a GPT-2 and a Llama, and how it lies in their files.

Our linear maps are x W with W (d_in, d_out). PyTorch's are x W^T, but for GPT-2's, which are as ours; queries, keys and
values of GPT-2 stand side by side in one matrix; and Llama's queries and keys pair feature i with i + d/2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arguments import checked
from ..layers import Array, Parameter, Unembedding, halves_from_pairs, pairs_from_halves
from ..models import GPT, T5, Llama, T5v11, TiedLlama


@dataclass(frozen=True)
class Layout:
    """How a weight of ours lies in their files.

    Attributes
    ----------
    theirs, ours : callable
        An array in our layout -> the same in theirs, and back.
    transposed : bool
        Whether their shape is ours in reverse.
    """

    theirs: Callable[[Array], Array]
    ours: Callable[[Array], Array]
    transposed: bool


AS_IT_IS = Layout(lambda w: w, lambda w: w, False)
TRANSPOSED = Layout(lambda w: w.T, lambda w: w.T, True)


def halves(d_head: int) -> Layout:
    """For rotary queries and keys: they pair feature i of a head with i + d/2, we pair 2i with 2i + 1."""
    return Layout(lambda w: halves_from_pairs(w, d_head).T, lambda w: pairs_from_halves(w.T, d_head), True)


class Entry(NamedTuple):
    """One tensor of theirs.

    Attributes
    ----------
    name : str
        What they call it.
    parameters : list of Parameter
        What we have for it; several stand side by side in theirs.
    layout : Layout
    """

    name: str
    parameters: list[Parameter]
    layout: Layout

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of their tensor."""
        *rest, _ = self.parameters[0].shape
        shape = (*rest, sum(parameter.shape[-1] for parameter in self.parameters))
        return shape[::-1] if self.layout.transposed else shape

    @property
    def n_bytes(self) -> int:
        return sum(parameter.value.nbytes for parameter in self.parameters)

    def theirs(self) -> Array:
        """Our values in their layout."""
        arrays = [self.layout.theirs(parameter.value) for parameter in self.parameters]
        return np.ascontiguousarray(arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1))

    def fill(self, tensor: Array) -> None:
        """Set our parameters to the values of their tensor, and their gradients to zero."""
        start = 0
        for parameter in self.parameters:
            width = parameter.shape[-1]
            part = tensor if len(self.parameters) == 1 else tensor[..., start : start + width]
            parameter.value = np.ascontiguousarray(self.layout.ours(part))
            parameter.grad = np.zeros_like(parameter.value)
            start += width


@checked
def t5_names(model: Any) -> Iterator[Entry]:
    yield Entry("shared.weight", [model.target_embedding.tokens.weight], AS_IT_IS)
    yield from _own_head(model)
    for name, stack in (("encoder", model.encoder), ("decoder", model.decoder)):
        table = stack.blocks[0].attention.sublayer.attention.bias.weight
        yield Entry(f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight", [table], AS_IT_IS)
        yield Entry(f"{name}.final_layer_norm.weight", [stack.norm.scale.gain], AS_IT_IS)
        for i, block in enumerate(stack.blocks):
            attentions = [("SelfAttention", block.attention)]
            if name == "decoder":
                attentions.append(("EncDecAttention", block.cross_attention))
            for j, (theirs, ours) in enumerate(attentions):
                path = f"{name}.block.{i}.layer.{j}"
                yield Entry(f"{path}.layer_norm.weight", [ours.norm.gain], AS_IT_IS)
                for letter, part in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "output")):
                    yield Entry(f"{path}.{theirs}.{letter}.weight", [getattr(ours.sublayer, part).weight], TRANSPOSED)
            path, ours = f"{name}.block.{i}.layer.{len(attentions)}", block.feed_forward
            yield Entry(f"{path}.layer_norm.weight", [ours.norm.gain], AS_IT_IS)
            gated = (("wi_0", "gate_proj"), ("wi_1", "up_proj"), ("wo", "down_proj"))
            for theirs, part in gated if isinstance(model, T5v11) else (("wi", "up_proj"), ("wo", "down_proj")):
                weight = getattr(ours.sublayer, part).weight
                yield Entry(f"{path}.DenseReluDense.{theirs}.weight", [weight], TRANSPOSED)


@checked
def gpt_names(model: Any) -> Iterator[Entry]:
    yield Entry("transformer.wte.weight", [model.embedding.tokens.weight], AS_IT_IS)
    yield from _own_head(model)
    yield Entry("transformer.wpe.weight", [model.embedding.positions.weight], AS_IT_IS)
    norms = [("transformer.ln_f", model.decoder.norm)]
    for i, block in enumerate(model.decoder.blocks):
        path = f"transformer.h.{i}"
        norms += [(f"{path}.ln_1", block.attention.norm), (f"{path}.ln_2", block.feed_forward.norm)]
        attention, feed_forward = block.attention.sublayer, block.feed_forward.sublayer
        dense = [
            ("attn.c_attn", [attention.query, attention.key, attention.value]),
            ("attn.c_proj", [attention.output]),
            ("mlp.c_fc", [feed_forward.up_proj]),
            ("mlp.c_proj", [feed_forward.down_proj]),
        ]
        for theirs, ours in dense:
            yield Entry(f"{path}.{theirs}.weight", [layer.weight for layer in ours], AS_IT_IS)
            yield Entry(f"{path}.{theirs}.bias", [layer.bias for layer in ours], AS_IT_IS)
    for theirs, ours in norms:
        yield Entry(f"{theirs}.weight", [ours.gain], AS_IT_IS)
        yield Entry(f"{theirs}.bias", [ours.bias], AS_IT_IS)


@checked
def llama_names(model: Any) -> Iterator[Entry]:
    in_halves = halves(model.config.d_model // model.config.n_heads)
    yield Entry("model.embed_tokens.weight", [model.embedding.tokens.weight], AS_IT_IS)
    yield from _own_head(model)
    yield Entry("model.norm.weight", [model.decoder.norm.gain], AS_IT_IS)
    for i, block in enumerate(model.decoder.blocks):
        path, attention, feed_forward = f"model.layers.{i}", block.attention.sublayer, block.feed_forward.sublayer
        yield Entry(f"{path}.input_layernorm.weight", [block.attention.norm.gain], AS_IT_IS)
        yield Entry(f"{path}.post_attention_layernorm.weight", [block.feed_forward.norm.gain], AS_IT_IS)
        yield Entry(f"{path}.self_attn.q_proj.weight", [attention.query.weight], in_halves)
        yield Entry(f"{path}.self_attn.k_proj.weight", [attention.key.weight], in_halves)
        yield Entry(f"{path}.self_attn.v_proj.weight", [attention.value.weight], TRANSPOSED)
        yield Entry(f"{path}.self_attn.o_proj.weight", [attention.output.weight], TRANSPOSED)
        yield Entry(f"{path}.mlp.gate_proj.weight", [feed_forward.gate_proj.weight], TRANSPOSED)
        yield Entry(f"{path}.mlp.up_proj.weight", [feed_forward.up_proj.weight], TRANSPOSED)
        yield Entry(f"{path}.mlp.down_proj.weight", [feed_forward.down_proj.weight], TRANSPOSED)


def _own_head(model: Any) -> Iterator[Entry]:
    if not isinstance(model.head, Unembedding):
        yield Entry("lm_head.weight", [model.head.weight], TRANSPOSED)


NAMES: dict[type, Callable[[Any], Iterator[Entry]]] = {
    T5: t5_names,
    T5v11: t5_names,
    GPT: gpt_names,
    Llama: llama_names,
    TiedLlama: llama_names,
}


@checked
def names_of(model: Any) -> list[Entry]:
    """All tensors of a model; TypeError for a model without a counterpart at Hugging Face."""
    for model_class, names in NAMES.items():
        if type(model) is model_class:
            return list(names(model))
    known = ", ".join(model_class.__name__ for model_class in NAMES)
    raise TypeError(f"model is a {type(model).__name__}: those with a counterpart are {known}")


__all__ = ["Entry", "Layout", "gpt_names", "llama_names", "names_of", "t5_names"]
