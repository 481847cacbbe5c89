"""The shape that all decoder-only models share: one stack of causal blocks that predicts each next token.

ids -> embedding -> N causal blocks -> norm -> head -> logits
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers import Array, Cache, Encoder, Layer, State, causal_mask


class DecoderOnly(Layer):
    """A language model: what follows, given all that came before.

    Parameters
    ----------
    embedding : Layer
        ids (B, T) -> (B, T, D), positions included where they are added to the embeddings.
    decoder : Encoder
        (x, mask) -> (B, T, D): blocks without attention to a memory, here under the causal mask.
    head : Layer
        (B, T, D) -> logits (B, T, V).

    Shapes: ids (B, T) -> logits (B, T, V). Logits at t predict what follows ids 0 ... t.
    """

    pad = -1  # nobody's id: texts are cut to one length, not filled up to it

    def __init__(self, embedding: Layer, decoder: Encoder, head: Layer) -> None:
        self.embedding = embedding
        self.decoder = decoder
        self.head = head

    def forward(self, ids: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_ids_rank(ids)
        x, embedding_cache = self.embedding.forward(ids, rng=rng)
        y, decoder_cache = self.decoder.forward(x, causal_mask(ids.shape[1]), rng=rng)
        logits, head_cache = self.head.forward(y)
        return logits, Cache(embedding=embedding_cache, decoder=decoder_cache, head=head_cache)

    def backward(self, d_logits: Array, cache: Cache) -> None:
        dy = self.head.backward(d_logits, cache["head"])
        dx = self.decoder.backward(dy, cache["decoder"])
        self.embedding.backward(dx, cache["embedding"])

    def begin(self, prompt: Array, start: None = None) -> tuple[State, Array]:
        """Before the first step of decoding: an empty state and the first ids to read, the prompts (B, T)."""
        if start is not None:
            raise ValueError(f"start={start}: a decoder-only model goes on from the prompt; give None")
        check_ids_rank(prompt)
        return State(), prompt

    def step(self, ids: Array, state: State, *others: Any) -> Array:
        """Logits (B, T, V) of the next T ids (B, T); the state has all ids before."""
        x = self.embedding.step(ids, state["embedding"])
        y = self.decoder.step(x, state["decoder"])
        return self.head.step(y, state["head"])


def check_ids_rank(ids: Array) -> None:
    """Raise ValueError unless ids are (B, T), at least one of each."""
    if np.ndim(ids) != 2 or 0 in np.shape(ids):
        raise ValueError(f"ids have shape {np.shape(ids)}: give them as (texts, tokens), at least one of each")
