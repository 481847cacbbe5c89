"""Small models of every kind that has a counterpart elsewhere, and files of llama2.c written byte by byte."""

import struct
from types import SimpleNamespace

import numpy as np

from minitransformer.layers import Glorot
from minitransformer.layers.rotary import rotations
from minitransformer.models import GPT, T5, GPTConfig, Llama, LlamaConfig, T5Config, T5v11, TiedLlama

T5_CONFIG = T5Config(23, 14, 5, 3, 11, 3, 2, n_buckets=8, max_distance=11, eps=1e-4, dropout=0.25)
LLAMA_CONFIG = LlamaConfig(23, 40, 36, 6, 3, 11, 2, base=500.0, eps=1e-4)
MODELS = {
    "t5": (T5, T5_CONFIG),
    "t5 v1.1": (T5v11, T5_CONFIG),
    "gpt2": (GPT, GPTConfig(23, 19, 15, 3, 2, dropout=0.25, eps=1e-4)),
    "gpt2, narrow": (GPT, GPTConfig(23, 19, 15, 3, 2, 11)),
    "llama": (Llama, LLAMA_CONFIG),
    "llama, tied": (TiedLlama, LLAMA_CONFIG),
}


def made(name, dtype=np.float32):
    """A model whose weights are all of order one, gains and biases too."""
    model_class, config = MODELS[name]
    rng = np.random.default_rng(1)
    model = model_class(config, Glorot(rng, dtype))
    for parameter in model.parameters():
        draw = 0.4 * rng.standard_normal(parameter.shape) + (1.0 if parameter.value.ndim == 1 else 0.0)
        parameter.value = draw.astype(dtype)
    return model


def inputs(model):
    ids = np.random.default_rng(2).integers(1, 23, (3, 13))
    return (ids[:, ::-1], ids) if isinstance(model, (T5, T5v11)) else (ids,)


def llama2c(model):
    """The bytes that llama2.c's own export would write: its `legacy_export`, line by line."""
    c = model.config
    d = c.d_model // c.n_heads
    own_head = not isinstance(model, TiedLlama)
    sizes = (c.d_model, c.d_ff, c.n_blocks, c.n_heads, c.n_kv_heads or c.n_heads)
    blocks = [
        SimpleNamespace(
            **vars(b.attention.sublayer), **vars(b.feed_forward.sublayer), norms=(b.attention.norm, b.feed_forward.norm)
        )
        for b in model.decoder.blocks
    ]
    parts = [model.embedding.tokens.weight.value]
    parts += [b.norms[0].gain.value for b in blocks]
    for name in ("query", "key", "value", "output"):
        parts += [getattr(b, name).weight.value.T for b in blocks]
    parts += [b.norms[1].gain.value for b in blocks]
    for name in ("gate_proj", "down_proj", "up_proj"):
        parts += [getattr(b, name).weight.value.T for b in blocks]
    parts += [model.decoder.norm.gain.value, *rotations(c.max_length, d, 10000.0)]
    parts += [model.head.weight.value.T] if own_head else []
    header = struct.pack("<7i", *sizes, -c.vocab if own_head else c.vocab, c.max_length)
    return header + b"".join(np.ascontiguousarray(part, "<f4").tobytes() for part in parts)


def llama2c_tokenizer(pieces):
    """The bytes of a tokenizer: (piece, score) in the order of their ids."""
    content = struct.pack("<i", max(len(piece) for piece, _ in pieces))
    return content + b"".join(struct.pack("<fi", score, len(piece)) + piece for piece, score in pieces)


def pieces(*learned):
    """Unknown, beginning, end, 256 bytes, then learned pieces, the best first."""
    special = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % i for i in range(256))]
    return [(piece, 0.0) for piece in special] + [(piece, -float(i)) for i, piece in enumerate(learned)]
