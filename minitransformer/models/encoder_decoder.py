"""The shape that all encoder-decoder models share; which layers fill it is each model's own recipe.

source ids -> embedding -> encoder -> memory
                                        |
target ids -> embedding -> decoder <----+  -> head -> logits
"""

from __future__ import annotations

import numpy as np

from ..arguments import checked
from ..layers import Array, Cache, DecodingState, Embedding, Initializer, Layer, causal_mask, padding_mask
from ..layers.checks import check_axes
from ..layers.decoding_state import substate
from ..layers.embedding import check_ids


@checked
class EncoderDecoder(Layer):
    """An encoder reads the source, a decoder predicts each next token of the target.

    Parameters
    ----------
    source_embedding, target_embedding : Layer
        (ids, start) -> (B, S, D), positions included: an `InputEmbedding`.
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
        self,
        target: Array,
        memory: Array,
        memory_mask: Array | None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        """The decoder's half: target (B, T), memory (B, S, D), memory_mask (B, 1, 1, S) -> logits (B, T, V).

        With a state, target holds the new ids alone, and the state what all ids before them left behind.
        """
        T = target.shape[1]
        start = 0 if state is None else state.advance(T)
        mask = causal_mask(start + T, T) if T > 1 else None  # a single position may look at all before it
        x, embedding_cache = self.target_embedding.forward(target, rng=rng, start=start)
        y, decoder_cache = self.decoder.forward(x, memory, mask, memory_mask, rng=rng, state=substate(state, "decoder"))
        logits, head_cache = self.head.forward(y)
        return logits, Cache(target_embedding=embedding_cache, decoder=decoder_cache, head=head_cache)

    def backward_decode(self, d_logits: Array, cache: Cache) -> Array:
        dy = self.head.backward(d_logits, cache["head"])
        dx, d_memory = self.decoder.backward(dy, cache["decoder"])
        self.target_embedding.backward(dx, cache["target_embedding"])
        return d_memory

    def start_decoding(self, source: Array, start: int) -> tuple[DecodingState, Array]:
        """Encode the source, once. Returns the state, which holds the memory, and the first ids to read (B, 1)."""
        check_sentences(source, source)
        if (tokens := getattr(self.target_embedding, "tokens", None)) is not None:
            check_ids("start", np.array([start]), tokens.n)
        memory, _ = self.encode(source)
        mask = padding_mask(source, self.pad)
        state = DecodingState(memory=memory, memory_mask=None if mask.all() else mask)
        return state, np.full((len(source), 1), start)

    def next_logits(self, ids: Array, state: DecodingState) -> Array:
        """Logits (B, T, V) of what follows the next T target ids (B, T); the state has all ids before them."""
        return self.decode(ids, state["memory"], state["memory_mask"], state=state)[0]


def token_embeddings(
    source_vocab: int, target_vocab: int | None, d_model: int, init: Initializer
) -> tuple[Embedding, Embedding]:
    """The source's and the target's tables, scaled by sqrt(D); one Parameter where target_vocab is None."""
    scale = d_model**0.5
    source = Embedding(source_vocab, d_model, init, scale)
    if target_vocab is None:
        return source, Embedding(source_vocab, d_model, init, scale, weight=source.weight)
    return source, Embedding(target_vocab, d_model, init, scale)


def check_sentences(source: Array, target: Array) -> None:
    """Raise ValueError unless source and target are (B, S) and (B, T) with one and the same B."""
    for name, ids in (("source", source), ("target", target)):
        check_axes(name, ids)
        if np.ndim(ids) != 2 or 0 in np.shape(ids):
            raise ValueError(f"{name} has shape {np.shape(ids)}: give ids as (sentences, tokens), at least one of each")
    if len(source) != len(target):
        raise ValueError(f"target has {len(target)} sentences: the source has {len(source)}, and each needs its own")
