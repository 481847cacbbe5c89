"""`translate`: sentences in, translations out, a line each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from ..decoding import Translator
from .options import new_parser, number, report, say


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "translate",
        run,
        "Translate text with a trained model. Without TEXT it reads standard input, a sentence a line; an empty line "
        "stays empty.",
    )
    parser.add_argument("run_folder", metavar="RUN", help="folder of a run, or its checkpoint")
    parser.add_argument("text", metavar="TEXT", nargs="*", help="sentences to translate")
    parser.add_argument("--max-new-tokens", type=number(int, 1), help="most tokens of a translation")
    parser.add_argument("--batch-size", type=number(int, 1), default=64, help="lines translated at a time")


def run(options: argparse.Namespace) -> int:
    translator = Translator.load(options.run_folder)
    numbers: list[dict[str, str]] = []
    for lines in _batches(options.text or _standard_input(), options.batch_size):
        for line in lines:
            _name_unknown(translator, line)
        translations = translator.translate(lines, options.max_new_tokens, options.batch_size)
        for line, translation in zip(lines, translations):
            numbers.append({"source": line, "translation": translation})
            print(translation, flush=True)
    report(options, {"translations": numbers})
    return 0


def _standard_input() -> Iterator[str]:
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    return (line.rstrip("\r\n") for line in sys.stdin)


def _batches(lines: Sequence[str] | Iterator[str], n: int) -> Iterator[list[str]]:
    """Up to n lines at a time; a person who types gets an answer to each."""
    n = 1 if not isinstance(lines, list) and sys.stdin.isatty() else n
    rest = iter(lines)
    while batch := list(islice(rest, n)):
        yield batch


def _name_unknown(translator: Translator, text: str) -> None:
    if unknown := translator.source_vocabulary.unknown(text):
        say(f"note: not in the vocabulary, translated as unknown: {', '.join(unknown)}")
