"""The shape that all decoder-only models share: one stack of causal blocks that predicts each next token.

ids -> embedding -> N causal blocks -> norm -> head -> logits
"""

from __future__ import annotations

import numpy as np

from ..arguments import checked
from ..layers import Array, Cache, DecodingState, Encoder, Layer, causal_mask
from ..layers.checks import check_axes
from ..layers.decoding_state import substate


@checked
class DecoderOnly(Layer):
    """A language model: what follows, given all that came before.

    Parameters
    ----------
    embedding : Layer
        (ids, start) -> (B, T, D): an `InputEmbedding`, with positions where they are added to the embeddings.
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

    def forward(
        self, ids: Array, rng: np.random.Generator | None = None, state: DecodingState | None = None
    ) -> tuple[Array, Cache]:
        """ids (B, T) -> logits (B, T, V). With a state, ids are the new ones alone, and it has all ids before them."""
        check_ids_rank(ids)
        T = ids.shape[1]
        start = 0 if state is None else state.advance(T)
        mask = causal_mask(start + T, T) if T > 1 else None  # a single position may look at all before it
        x, embedding_cache = self.embedding.forward(ids, rng=rng, start=start)
        y, decoder_cache = self.decoder.forward(x, mask, rng=rng, state=substate(state, "decoder"))
        logits, head_cache = self.head.forward(y)
        return logits, Cache(embedding=embedding_cache, decoder=decoder_cache, head=head_cache)

    def backward(self, d_logits: Array, cache: Cache) -> None:
        dy = self.head.backward(d_logits, cache["head"])
        dx = self.decoder.backward(dy, cache["decoder"])
        self.embedding.backward(dx, cache["embedding"])

    def start_decoding(self, prompt: Array, start: None = None) -> tuple[DecodingState, Array]:
        """An empty state and the first ids to read, the prompts (B, T)."""
        if start is not None:
            raise ValueError(f"start={start}: a decoder-only model goes on from the prompt; give None")
        check_ids_rank(prompt)
        return DecodingState(), prompt

    def next_logits(self, ids: Array, state: DecodingState) -> Array:
        """Logits (B, T, V) of what follows the next T ids (B, T); the state has all ids before them."""
        return self.forward(ids, state=state)[0]


def check_ids_rank(ids: Array) -> None:
    """Raise ValueError unless ids are (B, T), at least one of each."""
    check_axes("ids", ids)
    if np.ndim(ids) != 2 or 0 in np.shape(ids):
        raise ValueError(f"ids have shape {np.shape(ids)}: give them as (texts, tokens), at least one of each")
