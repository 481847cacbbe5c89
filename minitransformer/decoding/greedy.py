"""Greedy decoding: at every position take the most probable next token, and stop at the end of the sentence."""

from __future__ import annotations

import numpy as np

from ..layers import Array
from ..models import DecoderOnly, EncoderDecoder


def greedy(
    model: EncoderDecoder | DecoderOnly,
    source: Array,
    *,
    start: int | None,
    eos: int,
    max_new_tokens: int = 100,
) -> list[list[int]]:
    """Translate sentences, or go on from prompts, greedily.

    Parameters
    ----------
    model : EncoderDecoder or DecoderOnly
    source : array of ids (B, S)
        Sentences, padded with the model's `pad`; for a decoder-only model prompts, all of one length.
    start : int or None
        What the decoder reads first: BOS, or EOS as in lecture notes; None for a decoder-only model.
    eos : int
        Ends a sentence.
    max_new_tokens : int
        Most tokens of a sentence, `eos` not counted.

    Returns
    -------
    list of list of int
        The new ids of each sentence, without start and eos.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens}: must be at least 1")
    state, ids = model.begin(source, start)  # type: ignore[arg-type]
    unfinished = np.arange(len(source))  # where in the batch the rows of `ids` belong
    sentences: list[list[int]] = [[] for _ in range(len(source))]
    for _ in range(max_new_tokens):
        logits = model.step(ids, state)
        chosen = logits[:, -1].argmax(axis=-1)
        for row, token in zip(unfinished, chosen):
            if token != eos:
                sentences[row].append(int(token))
        going_on = chosen != eos
        unfinished = unfinished[going_on]
        if not len(unfinished):
            break
        ids = chosen[going_on, None]
        if not going_on.all():
            state = state.select(going_on)
    return sentences
