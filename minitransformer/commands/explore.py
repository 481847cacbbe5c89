"""`explore`: the attention explorer of one sentence, as one HTML file that opens in any browser."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..data import DataError
from ..decoding import DecodingTrace, LanguageModel, Translator
from ..pretrained import load_language_model
from ..training import CheckpointError
from .errors import CommandError
from .options import new_parser, report, say


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "explore",
        run,
        "Look at what every word attends to. Translates one sentence and writes a page, complete in one file, in which "
        "each word shows its attention weights in every layer and head of encoder and decoder. Of a language model it "
        "shows how the text is read.",
    )
    parser.add_argument("run_folder", metavar="RUN", help="folder of a run, or its checkpoint")
    parser.add_argument("text", metavar="SENTENCE", help="the sentence to translate and look into")
    parser.add_argument("--out", metavar="FILE.html", default="explore.html", help="the file to write")


def run(options: argparse.Namespace) -> int:
    path = Path(options.out)
    if path.suffix.lower() not in (".html", ".htm"):
        raise CommandError(f"--out {options.out}: the page is a file whose name ends in .html")
    model = load(options.run_folder)
    try:
        look = model.look(options.text) if isinstance(model, Translator) else read(model, options.text)
    except ValueError as error:
        raise CommandError(str(error)) from None
    if isinstance(model, Translator) and (unknown := model.source_vocabulary.unknown(options.text)):
        say(f"note: not in the vocabulary, translated as unknown: {', '.join(unknown)}")
    from ..plotting import explore  # matplotlib takes a while to import

    try:
        explore(look).save(path)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror or error}") from None
    if isinstance(look, DecodingTrace):
        print(" ".join(look.target))
        words = {"source": look.source, "target": look.target}
    else:
        words = {"words": look.words}
    print(f"page        {path}")
    report(options, {**words, "page": str(path)})
    return 0


def load(folder: str) -> Translator | LanguageModel:
    """The translator or language model of a run."""
    try:
        return Translator.load(folder)
    except CheckpointError as error:
        try:
            return load_language_model(folder)
        except (CheckpointError, DataError):
            raise error from None  # it is neither


def read(model: LanguageModel, text: str) -> Any:
    """What a language model does with a text, its tokens and the cache."""
    from ..plotting import Read

    ids = model.prompt_ids(text)
    longest = model.model.config.max_length  # type: ignore[attr-defined]
    if len(ids) > longest:
        raise ValueError(f"the text has {len(ids)} tokens: this model reads at most {longest}")
    vocabulary = model.vocabulary
    words = vocabulary.labels(ids) if hasattr(vocabulary, "labels") else [vocabulary.decode([i]) for i in ids]
    return Read(words, model.model.forward(np.array([ids]))[1])
