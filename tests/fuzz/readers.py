"""Coverage-guided fuzzing of everything that reads a file. Whatever the bytes are: a result, or a documented error.

    pip install atheris
    python tests/fuzz/readers.py pairs -runs=200000 [folder of inputs that were found before]

Targets: `pairs` (lines, pairs, aligned files), `checkpoint` (any bytes), `signed` (a checkpoint whose digests are
right, so that what is behind them is reached), `translator` (a whole one with any description), `vocabulary`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))


def named(path: Path, error: Exception) -> None:
    assert str(path) in str(error), f"the message names no file: {error}"


def pairs(data: bytes) -> None:
    from minitransformer.data import DataError, read_aligned, read_pairs
    from minitransformer.data.reading import read_lines

    half = len(data) // 2
    one, two = FOLDER / "one", FOLDER / "two"
    one.write_bytes(data[:half])
    two.write_bytes(data[half:])
    for read in (lambda: read_lines(one), lambda: read_pairs(two), lambda: read_aligned(one, two)):
        try:
            read()
        except DataError as error:
            named(FOLDER, error)


def checkpoint(data: bytes) -> None:
    from minitransformer.training import CheckpointError, load_checkpoint

    path = FOLDER / "checkpoint"
    path.write_bytes(data)
    try:
        load_checkpoint(path)
    except CheckpointError as error:
        named(path, error)


def signed(data: bytes) -> None:
    """A manifest, and what follows it, up to a zero byte each; header and digest are made to fit."""
    from minitransformer.training import checkpoint as layout

    manifest, _, rest = data.partition(b"\0")
    header = layout._local_header(layout.MANIFEST, 0, len(manifest))
    checkpoint(header + manifest + rest + hashlib.sha256(manifest).hexdigest().encode())


def translator(data: bytes) -> None:
    """A checkpoint without a fault, but for its description."""
    from minitransformer.decoding import LanguageModel, Translator
    from minitransformer.training import CheckpointError, save_checkpoint

    path = FOLDER / "translator"
    try:
        description = json.loads(data)
        save_checkpoint(path, {"model.source_embedding.tokens.weight": np.zeros((7, 4), np.float32)}, description)
    except (ValueError, TypeError, RecursionError, AttributeError):
        return  # no JSON object
    for kind in (Translator, LanguageModel):
        try:
            kind.load(path)
        except CheckpointError as error:
            named(path, error)


def vocabulary(data: bytes) -> None:
    from minitransformer.data import vocabulary_from_dict

    try:
        stored = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        made = vocabulary_from_dict(stored)
    except ValueError:
        return
    assert vocabulary_from_dict(made.to_dict()) == made
    made.decode(made.encode(data.decode("utf-8", "replace")))


TARGETS: dict[str, Callable[[bytes], None]] = {
    f.__name__: f for f in (pairs, checkpoint, signed, translator, vocabulary)
}


def seeds(target: str) -> list[bytes]:
    """Good inputs, from which others are made."""
    from minitransformer.data import BytePairVocabulary, CharacterVocabulary, WordVocabulary
    from minitransformer.models import MinimalConfig, TransformerConfig
    from minitransformer.training import save_checkpoint

    if target == "pairs":
        return ["a\tb\nc d\té\r\nx\ty\tz".encode(), b"\xef\xbb\xbfa\tb\n\nc\td\n", "שלום\tمرحبا\n".encode()]
    words = ["the cat", "le chat"]
    made = (CharacterVocabulary.build(words), WordVocabulary.build(words), BytePairVocabulary.train(words, 30))
    if target == "vocabulary":
        return [json.dumps(v.to_dict()).encode() for v in made]
    if target == "translator":
        vocabularies = {"source_vocabulary": WordVocabulary("abc").to_dict(), "target_vocabulary": None, "start": 1}
        configs = {"minimal": MinimalConfig(7, 7, 4), "pre-norm": TransformerConfig(7, None, 4, 2, 6, 1, 1)}
        return [json.dumps({"model": m, "config": c.to_dict(), **vocabularies}).encode() for m, c in configs.items()]
    save_checkpoint(FOLDER / "seed", {"w": np.arange(3.0), "none": np.zeros((0, 2))}, {"step": 1})
    whole = (FOLDER / "seed").read_bytes()
    if target == "checkpoint":
        return [whole]
    start = whole.index(b"{")
    end = whole.index(b"PK", start)
    return [whole[start:end] + b"\0" + whole[end:-64]]


def main() -> None:
    import atheris

    target = sys.argv[1]
    with atheris.instrument_imports(include=["minitransformer"]):
        import minitransformer.cli  # noqa: F401  (all of the package, so that its branches are seen)
    corpus = Path(tempfile.mkdtemp())
    for i, seed in enumerate(seeds(target)):
        (corpus / str(i)).write_bytes(seed)
    atheris.Setup([sys.argv[0], *sys.argv[2:], str(corpus)], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
