"""`explore`: the attention explorer of one sentence, as one HTML file that opens in any browser."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from ..decoding import DecodingTrace, LanguageModel, Translator, look_inside, outcomes
from ..interventions import attention_paths
from ..pretrained import load
from .errors import CommandError
from .options import add_translator_option, new_parser, path_name, report
from .translate import note_unknown


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "explore",
        run,
        "Look at what every word attends to, and what every output word depends on. Translates one sentence and writes "
        "a page, complete in one file, with the attention weights of every layer and head, their gradients, and the "
        "output without a head or a weight. Of a language model it shows how the text is read.",
    )
    add_translator_option(parser)
    parser.add_argument("text", metavar="SENTENCE", help="the sentence to translate and look into")
    parser.add_argument("--out", metavar="FILE.html", type=path_name, default="explore.html", help="the file to write")


def run(options: argparse.Namespace) -> int:
    path = Path(options.out)
    if path.suffix.lower() not in (".html", ".htm"):
        raise CommandError(f"--out {options.out}: the page is a file whose name ends in .html")
    model = load(options.run_folder, ignore=options.ignore_key)
    try:
        look = inside(model, options.text)
    except ValueError as error:
        raise CommandError(str(error)) from None
    if isinstance(model, Translator):
        note_unknown(Counter(model.unknown(options.text)))
    from ..plotting import explore  # matplotlib takes a while to import

    try:
        explore(look).save(path)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror or error}") from None
    if isinstance(model, Translator):
        target = look.target if isinstance(look, DecodingTrace) else look["target"]
        source = look.source if isinstance(look, DecodingTrace) else look["source"]
        print(" ".join(target))
        words = {"source": source, "target": target}
    else:
        words = {"words": look["read"]}
    print(f"page        {path}")
    report(options, {**words, "page": str(path)})
    return 0


def inside(model: Translator | LanguageModel, text: str) -> Any:
    """What the page shows: all of it for Transformers, attention alone for recurrent models."""
    if isinstance(model, Translator) and not attention_paths(model.model):
        return model.look(text)
    return look_inside(model, text) | {"outcomes": outcomes(model, text)}
