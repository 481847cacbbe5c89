"""`explore`: the attention explorer of one sentence, as one HTML file that opens in any browser."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..decoding import Translator
from .errors import CommandError
from .options import new_parser, report, say


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "explore",
        run,
        "Look at what every word attends to. Translates one sentence and writes a page, complete in one file, in which "
        "each word shows its attention weights in every layer and head of encoder and decoder.",
    )
    parser.add_argument("run_folder", metavar="RUN", help="folder of a run, or its checkpoint")
    parser.add_argument("text", metavar="SENTENCE", help="the sentence to translate and look into")
    parser.add_argument("--out", metavar="FILE.html", default="explore.html", help="the file to write")


def run(options: argparse.Namespace) -> int:
    path = Path(options.out)
    if path.suffix.lower() not in (".html", ".htm"):
        raise CommandError(f"--out {options.out}: the page is a file whose name ends in .html")
    translator = Translator.load(options.run_folder)
    if unknown := translator.source_vocabulary.unknown(options.text):
        say(f"note: not in the vocabulary, translated as unknown: {', '.join(unknown)}")
    try:
        look = translator.look(options.text)
    except ValueError as error:
        raise CommandError(str(error)) from None
    from ..plotting import explore  # matplotlib takes a while to import

    try:
        explore(look).save(path)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror or error}") from None
    print(" ".join(look.target))
    print(f"page        {path}")
    report(options, {"source": look.source, "target": look.target, "page": str(path)})
    return 0
