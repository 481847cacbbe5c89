"""The shape that all encoder-decoder models share; which layers fill it is each model's own recipe.

source ids -> embedding -> encoder -> memory
                                        |
target ids -> embedding -> decoder <----+  -> head -> logits
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers import Array, Cache, Layer, State, causal_mask, padding_mask


class EncoderDecoder(Layer):
    """An encoder reads the source, a decoder predicts each next token of the target.

    Parameters
    ----------
    source_embedding, target_embedding : Layer
        ids (B, S) -> (B, S, D), positions included.
    encoder : Layer
        (x, mask) -> memory (B, S, D).
    decoder : Layer
        (x, memory, mask, memory_mask) -> (B, T, D).
    head : Layer
        (B, T, D) -> logits (B, T, V).
    pad : int
        The source id that nobody attends to. Targets are padded on the right, where causality hides it.

    Shapes: source (B, S) and target (B, T) of ids -> logits (B, T, V). Logits at t predict what follows target
    tokens 0 ... t (teacher forcing: the true ones).
    """

    def __init__(
        self,
        source_embedding: Layer,
        target_embedding: Layer,
        encoder: Layer,
        decoder: Layer,
        head: Layer,
        pad: int = 0,
    ) -> None:
        self.source_embedding = source_embedding
        self.encoder = encoder
        self.target_embedding = target_embedding
        self.decoder = decoder
        self.head = head
        self.pad = pad

    def forward(self, source: Array, target: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_sentences(source, target)
        memory, encode_cache = self.encode(source, rng=rng)
        logits, decode_cache = self.decode(target, memory, padding_mask(source, self.pad), rng=rng)
        return logits, Cache({**encode_cache, **decode_cache})

    def backward(self, d_logits: Array, cache: Cache) -> None:
        d_memory = self.backward_decode(d_logits, cache)
        self.backward_encode(d_memory, cache)

    def encode(self, source: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        """The encoder's half: source (B, S) -> memory (B, S, D)."""
        x, embedding_cache = self.source_embedding.forward(source, rng=rng)
        memory, encoder_cache = self.encoder.forward(x, padding_mask(source, self.pad), rng=rng)
        return memory, Cache(source_embedding=embedding_cache, encoder=encoder_cache)

    def backward_encode(self, d_memory: Array, cache: Cache) -> None:
        dx = self.encoder.backward(d_memory, cache["encoder"])
        self.source_embedding.backward(dx, cache["source_embedding"])

    def decode(
        self, target: Array, memory: Array, memory_mask: Array, rng: np.random.Generator | None = None
    ) -> tuple[Array, Cache]:
        """The decoder's half: target (B, T), memory (B, S, D), memory_mask (B, 1, 1, S) -> logits (B, T, V)."""
        x, embedding_cache = self.target_embedding.forward(target, rng=rng)
        y, decoder_cache = self.decoder.forward(x, memory, causal_mask(target.shape[1]), memory_mask, rng=rng)
        logits, head_cache = self.head.forward(y)
        return logits, Cache(target_embedding=embedding_cache, decoder=decoder_cache, head=head_cache)

    def backward_decode(self, d_logits: Array, cache: Cache) -> Array:
        dy = self.head.backward(d_logits, cache["head"])
        dx, d_memory = self.decoder.backward(dy, cache["decoder"])
        self.target_embedding.backward(dx, cache["target_embedding"])
        return d_memory

    def begin(self, source: Array, start: int) -> tuple[State, Array]:
        """Before the first step of decoding: the state, which holds the memory, and the first ids to read (B, 1)."""
        check_sentences(source, source)
        memory, _ = self.encode(source)
        mask = padding_mask(source, self.pad)
        state = State(memory=memory, memory_mask=None if mask.all() else mask)
        return state, np.full((len(source), 1), start)

    def step(self, ids: Array, state: State, *others: Any) -> Array:
        """Logits (B, T, V) of the next T target ids (B, T); the state has the memory and all target ids before."""
        x = self.target_embedding.step(ids, state["target_embedding"])
        y = self.decoder.step(x, state["decoder"], state["memory"], state["memory_mask"])
        return self.head.step(y, state["head"])


def check_sentences(source: Array, target: Array) -> None:
    """Raise ValueError unless source and target are (B, S) and (B, T) with one and the same B."""
    for name, ids in (("source", source), ("target", target)):
        if np.ndim(ids) != 2 or 0 in np.shape(ids):
            raise ValueError(f"{name} has shape {np.shape(ids)}: give ids as (sentences, tokens), at least one of each")
    if len(source) != len(target):
        raise ValueError(f"target has {len(target)} sentences: the source has {len(source)}, and each needs its own")
