"""The sizes that are measured: what a step works on, for our side and PyTorch's alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minitransformer.data import Batch
from minitransformer.layers import CrossEntropy, Glorot, Layer, Normal
from minitransformer.models import GPT, GPTConfig, LSTMConfig, Seq2SeqLSTM, Transformer, TransformerConfig


@dataclass(frozen=True)
class Size:
    """A model and its batch.

    Attributes
    ----------
    kind : {"transformer", "gpt", "lstm"}
        The encoder-decoder of 2017, GPT-2, or the recurrent translator with attention.
    batch, length : int
        Sentences of a step, and tokens of each, source and target alike.
    wanted : tuple of float
        How many times as fast as PyTorch we mean to be: one worker against one thread, two against two, two ranks
        against two.
    overhead : float or None
        How many times as long as its matrix products alone a step of one worker may take.
    """

    kind: str
    batch: int
    length: int
    vocab: int
    d_model: int
    n_heads: int
    n_blocks: int
    d_ff: int
    dropout: float = 0.1
    label_smoothing: float = 0.1
    wanted: tuple[float, ...] | None = None
    overhead: float | None = None

    def __str__(self) -> str:
        what = {"transformer": "encoder-decoder", "gpt": "GPT", "lstm": "LSTM encoder-decoder with attention"}[
            self.kind
        ]
        blocks = f"{self.n_blocks} + {self.n_blocks}" if self.kind != "gpt" else f"{self.n_blocks}"
        heads = f", {self.n_heads} heads, {self.d_ff} within" if self.kind != "lstm" else ""
        drop = f"dropout {self.dropout}" if self.dropout else "no dropout"
        return (
            f"{what}, {blocks} blocks, width {self.d_model}{heads}, batch {self.batch} x {self.length}, "
            f"{self.vocab:,} ids, {drop}"
        )


SIZES = {
    "S": Size("transformer", 64, 12, 200, 64, 4, 2, 256, wanted=(1.4, 1.5, 2.0), overhead=1.35),
    "M": Size("transformer", 64, 20, 4000, 128, 8, 3, 512, wanted=(1.3, 1.5, 1.8), overhead=1.25),
    "L": Size("transformer", 64, 32, 8000, 256, 8, 3, 1024, wanted=(1.25, 1.4, 1.4), overhead=1.2),
    "G": Size("gpt", 12, 64, 65, 128, 4, 4, 512, 0.0, 0.0, wanted=(1.05, 1.25, 1.3), overhead=1.25),
    "R": Size("lstm", 64, 20, 4000, 128, 1, 1, 128),
}
SHORT = {  # as small as shows that everything still runs
    "S": replace(SIZES["S"], batch=6, length=5, vocab=17, d_model=8, n_heads=2, d_ff=12),
    "G": replace(SIZES["G"], batch=3, length=7, vocab=11, d_model=8, n_heads=2, n_blocks=2, d_ff=12),
    "R": replace(SIZES["R"], batch=6, length=5, vocab=17, d_model=8),
}


def new_model(size: Size, seed: int = 0, max_length: int | None = None, dtype: DTypeLike = np.float32) -> Any:
    """Our model of this size; `max_length` is for decoding with a GPT beyond what it is trained on."""
    init = Glorot(np.random.default_rng(seed), dtype)
    if size.kind == "gpt":
        config = GPTConfig(
            size.vocab, max_length or size.length, size.d_model, size.n_heads, size.n_blocks, size.d_ff, size.dropout
        )
        return GPT(config, Normal(np.random.default_rng(seed), dtype))
    if size.kind == "lstm":
        return Seq2SeqLSTM(
            LSTMConfig(
                size.vocab,
                None,
                size.d_model,
                n_encoder_layers=size.n_blocks,
                n_decoder_layers=size.n_blocks,
                dropout=size.dropout,
            ),
            init,
        )
    return Transformer(
        TransformerConfig(
            size.vocab, None, size.d_model, size.n_heads, size.d_ff, size.n_blocks, size.n_blocks, size.dropout
        ),
        init,
    )


def new_batch(size: Size, seed: int = 1) -> Batch:
    """Random ids; no padding, so that every side has the same work whatever it does about padding."""
    rng = np.random.default_rng(seed)
    first = 0 if size.kind == "gpt" else 1  # 0 is padding where there is any
    ids = rng.integers(first, size.vocab, (size.batch, size.length + 1))
    if size.kind == "gpt":
        return Batch((ids[:, :-1],), ids[:, 1:], pad=-1)
    return Batch((rng.integers(first, size.vocab, (size.batch, size.length)), ids[:, :-1]), ids[:, 1:])


def new_loss(size: Size) -> Layer:
    return CrossEntropy(-1 if size.kind == "gpt" else 0, size.label_smoothing)
