"""Models of llama2.c: one .bin file with a Llama's weights, and one with its tokenizer.

    7 x int32: D F N H H_kv V T      V is negative where the head is not tied
    float32, each for all N blocks at once: table, norms, W_q W_k W_v W_o, norms, gate, down, up, last norm,
    cosines and sines (T, d/2) each, head

Matrices are (d_out, d_in). Queries and keys pair neighbouring features, as ours do.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import checked
from ..layers import Layer, Parameter, Unallocated
from ..layers.rotary import rotations
from ..models import Llama, LlamaConfig, TiedLlama
from .errors import WeightsError
from .hf_config import table_of
from .hf_tensors import check_dtype
from .tokenizer import PretrainedTokenizer, of_merges

HEADER = struct.Struct("<7i")
MAGIC = 0x616B3432  # "ak42": versions 1 and 2
BOS, EOS = 1, 2
FIRST_BYTE = 3  # the id of byte 0: "<0x00>"


@checked
def read_llama2c(path: str | os.PathLike[str], dtype: DTypeLike = np.float32) -> Any:
    """The Llama in a .bin file of llama2.c (the float32 format that its `run.c` reads).

    Returns a TiedLlama, or a Llama where the head is one of its own. Raises WeightsError, which names the file, where
    it is cut short, too long, or something else.

    Source: llama2.c, `legacy_export` in export.py and `memory_map_weights` in run.c.
    """
    wanted = check_dtype(dtype)
    path = Path(path)
    try:
        model_class, config = _read_header(path)
        numbers = np.memmap(path, "<f4", "r", HEADER.size)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from None
    model = model_class(config, Unallocated())
    start = 0
    for shape, parameters in zip(_shapes(model_class, config), _parameters(model)):
        stop = start + math.prod(shape)
        stored = numbers[start:stop].reshape(shape)
        start = stop
        for parameter, part in zip(parameters, stored):
            value = part if part.ndim == 1 or parameter is table_of(model) else part.T
            parameter.value = np.array(value, wanted, order="C")
            parameter.grad = np.zeros_like(parameter.value)
        if not parameters:
            angles = np.stack(rotations(config.max_length, shape[-1] * 2, config.base, np.float32))
            if not np.allclose(stored, angles, rtol=0, atol=1e-2):
                raise WeightsError(f"{path}: its positions are not those of base {config.base:g}")
    return model


def _read_header(path: Path) -> tuple[Any, LlamaConfig]:
    """The class and the sizes of the model; WeightsError unless the file is exactly as long as they ask for."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        raise WeightsError(f"{path}: is no model of llama2.c: it has {size} bytes, and its header would have 28")
    D, F, N, H, H_kv, V, T = HEADER.unpack(header)
    if D == MAGIC:
        raise WeightsError(f"{path}: is of version {F} of llama2.c's format; only the one without a number is read")
    if min(D, F, N, H, H_kv, abs(V), T) < 1:
        raise WeightsError(f"{path}: is no model of llama2.c: its header says {D, F, N, H, H_kv, V, T}")
    try:
        config = LlamaConfig(abs(V), T, D, H, None if H_kv == H else H_kv, F, N, eps=1e-5)
    except ValueError as error:
        raise WeightsError(f"{path}: is no model of llama2.c: {error}") from None
    model_class = TiedLlama if V > 0 else Llama
    whole = HEADER.size + 4 * sum(map(math.prod, _shapes(model_class, config)))
    if size != whole:
        raise WeightsError(f"{path}: is no whole model of llama2.c: it has {size:,} bytes, its header wants {whole:,}")
    return model_class, config


def _shapes(model_class: type[Layer], config: LlamaConfig) -> list[tuple[int, ...]]:
    """The shapes of the arrays in the file, in their order."""
    c, D, F, N, d = config, config.d_model, config.d_ff, config.n_blocks, config.d_model // config.n_heads
    kv = (c.n_kv_heads or c.n_heads) * d
    attention = [(N, D), (N, D, D), (N, kv, D), (N, kv, D), (N, D, D)]
    feed_forward = [(N, D), (N, F, D), (N, D, F), (N, F, D)]
    shapes = [(1, c.vocab, D), *attention, *feed_forward, (1, D), (2, c.max_length, d // 2)]
    return shapes if model_class is TiedLlama else [*shapes, (1, c.vocab, D)]


def _parameters(model: Any) -> list[list[Parameter]]:
    """The parameters of each array in the file; cosines and sines have none."""
    attention = [block.attention for block in model.decoder.blocks]
    forward = [block.feed_forward for block in model.decoder.blocks]
    projections = [
        [getattr(layer.sublayer, name).weight for layer in attention] for name in ("query", "key", "value", "output")
    ]
    maps = [
        [getattr(layer.sublayer, name).weight for layer in forward] for name in ("gate_proj", "down_proj", "up_proj")
    ]
    parameters = [
        *([model.embedding.tokens.weight], [layer.norm.gain for layer in attention], *projections),
        *([layer.norm.gain for layer in forward], *maps, [model.decoder.norm.gain], []),
    ]
    return parameters if isinstance(model, TiedLlama) else [*parameters, [model.head.weight]]


@checked
class Llama2cTokenizer:
    """The tokenizer of llama2.c: of two neighbouring pieces, always those whose union has the best score are joined.

    Parameters
    ----------
    pieces : iterable of bytes
        The index is the id: 0 unknown, 1 beginning, 2 end, then the 256 bytes, then all others.
    scores : iterable of float

    Source: llama2.c, `encode` and `decode` in run.c, which do what SentencePiece does.
    """

    begin, never = BOS, ()
    stops = frozenset((BOS, EOS))  # the beginning of the next text ends this one

    def __init__(self, pieces: Iterable[bytes], scores: Iterable[float]) -> None:
        self.pieces, self.scores = list(pieces), list(scores)
        self.ids: dict[bytes, int] = {}
        for i, piece in enumerate(self.pieces):
            self.ids.setdefault(piece, i)

    @classmethod
    def read(cls, path: str | os.PathLike[str], n: int) -> Llama2cTokenizer:
        """Read a tokenizer of n tokens (the file does not say how many); WeightsError where it has more or fewer."""
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from None
        pieces, scores, at = [], [], 4  # after the length of the longest piece
        try:
            for _ in range(n):
                score, length = struct.unpack_from("<fi", content, at)
                if not 0 <= length <= len(content) - at - 8:
                    raise struct.error
                pieces.append(content[at + 8 : at + 8 + length])
                scores.append(score)
                at += 8 + length
        except struct.error:
            raise WeightsError(
                f"{path}: is no tokenizer of llama2.c with {n:,} tokens: it ends in number {len(pieces):,}"
            ) from None
        if at != len(content):
            raise WeightsError(
                f"{path}: is no tokenizer of llama2.c with {n:,} tokens: {len(content) - at:,} bytes are left"
            )
        if not all(math.isfinite(score) for score in scores):
            raise WeightsError(f"{path}: is no tokenizer of llama2.c: a score is not finite")
        return cls(pieces, scores)

    def encode(self, text: str) -> list[int]:
        """The beginning, then the ids of a text, which is taken to begin with a blank as every word does."""
        ids: list[int] = []
        for character in f" {text}" if text else "":
            piece = character.encode("utf-8")
            known = self.ids.get(piece)
            ids += [FIRST_BYTE + byte for byte in piece] if known is None else [known]
        while True:
            best, place = -math.inf, -1
            for i in range(len(ids) - 1):
                union = self.ids.get(self.pieces[ids[i]] + self.pieces[ids[i + 1]])
                if union is not None and self.scores[union] > best:
                    best, place = self.scores[union], i
            if place < 0:
                return [BOS, *ids]
            ids[place : place + 2] = [self.ids[self.pieces[ids[place]] + self.pieces[ids[place + 1]]]]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; bytes that are no character yet become U+FFFD."""
        text = bytearray()
        before = None
        for i in ids:
            if i not in self.stops:
                piece = self._bytes(int(i))
                # The blank before the first word is no part of the text.
                text += piece[1:] if before == BOS and piece.startswith(b" ") else piece
            before = i
        return text.decode("utf-8", "replace")

    def _bytes(self, i: int) -> bytes:
        is_byte = FIRST_BYTE <= i < FIRST_BYTE + 256 and self.pieces[i] == b"<0x%02X>" % (i - FIRST_BYTE)
        return bytes([i - FIRST_BYTE]) if is_byte else self.pieces[i]

    def to_pretrained(self) -> PretrainedTokenizer:
        """The same tokenizer as a tokenizer.json; ValueError for pieces that such a file cannot hold."""
        names = ["<unk>", "<s>", "</s>", *(piece.decode("utf-8") for piece in self.pieces[FIRST_BYTE:])]
        if len(set(names)) < len(names):
            raise ValueError("a tokenizer.json has every piece once; this tokenizer has some twice")
        ids = {name: i for i, name in enumerate(names)}
        merges = []  # the best score first; of one union, all ways to come by it
        for name in sorted(names[FIRST_BYTE + 256 :], key=lambda name: -self.scores[ids[name]]):
            cuts = ((name[:i], name[i:]) for i in range(1, len(name)))
            merges += [[a, b] for a, b in cuts if a in ids and b in ids]
        return of_merges(ids, merges, begin="<s>", end="</s>")

    def __len__(self) -> int:
        return len(self.pieces)
