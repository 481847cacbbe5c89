"""`translate`: sentences in, translations out, a line each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..data.pairs import check_encoding, decode_line
from ..decoding import Beam, Sampling, Strategy, Translation, Translator
from .decoding import add_decoder_options, decoder_from
from .errors import CommandError
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
    parser.add_argument(
        "--scores",
        action="store_true",
        help="before each translation its score, its log-probability, and tabs",
    )
    parser.add_argument(
        "--nbest",
        type=number(int, 1),
        metavar="N",
        help="the N best translations of each sentence with their scores, and an empty line",
    )
    add_decoder_options(parser)
    group = parser.add_argument_group("picture")
    group.add_argument(
        "--picture",
        metavar="FILE",
        help="of one TEXT: with --decoder beam the tree of the search, with --decoder sample the distribution that the "
        "next word is drawn from; PNG, SVG or PDF",
    )
    group.add_argument(
        "--after", metavar="WORDS", help="how the translation begins whose next word is drawn (default: not yet begun)"
    )


def run(options: argparse.Namespace) -> int:
    if options.nbest and options.scores:
        raise CommandError("--scores: --nbest gives the scores already")
    decoder = decoder_from(options, options.nbest or 1)
    if options.picture or options.after is not None:
        check_picture(options)
    translator = Translator.load(options.run_folder)
    if options.picture:
        draw(options, translator, decoder)
    numbers: list[dict[str, Any]] = []
    sentences = 0  # before this batch, so that the draws of each line are its own
    for lines in _batches(options.text or _standard_input(), options.batch_size):
        for line in lines:
            _name_unknown(translator, line)
        found = translator.decode(lines, decoder, options.max_new_tokens, options.batch_size, first=sentences)
        sentences += len(lines)
        for line, translations in zip(lines, found):
            numbers.append(as_json(options, line, translations))
            for one in translations:
                scores = f"{one.score:.4f}\t{one.log_probability:.4f}\t" if options.nbest or options.scores else ""
                print(f"{scores}{one.text}", flush=True)
            if options.nbest:
                print(flush=True)
    report(options, {"translations": numbers})
    return 0


def as_json(options: argparse.Namespace, line: str, translations: Sequence[Translation]) -> dict[str, Any]:
    """What the JSON object says of one sentence."""

    def facts(one: Translation) -> dict[str, Any]:
        return {"translation": one.text, "score": one.score, "log_probability": one.log_probability}

    best = {"source": line, **facts(translations[0])}
    return {**best, "nbest": [facts(one) for one in translations]} if options.nbest else best


def check_picture(options: argparse.Namespace) -> None:
    """Raise CommandError where there is no such picture."""
    if not options.picture:
        raise CommandError(f"--after {options.after}: belongs to --picture")
    if options.decoder not in ("beam", "sample"):
        raise CommandError(f"--picture {options.picture}: --decoder {options.decoder} has none; beam and sample do")
    if options.after is not None and options.decoder != "sample":
        raise CommandError(f"--after {options.after}: --decoder {options.decoder} has no such setting")
    if len(options.text) != 1 or not options.text[0].strip():
        raise CommandError(f"--picture {options.picture}: give one TEXT to draw")
    if Path(options.picture).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise CommandError(f"--picture {options.picture}: must end in .png, .svg or .pdf")


def draw(options: argparse.Namespace, translator: Translator, decoder: Strategy) -> None:
    """Save the picture that was asked for."""
    from ..plotting import beam_tree, next_word, save  # matplotlib takes a while to import

    if isinstance(decoder, Beam):
        ax = beam_tree(translator.beam_tree(options.text[0], decoder, options.max_new_tokens))
    else:
        assert isinstance(decoder, Sampling)
        logits, words = translator.next_word(options.text[0], options.after or "")
        ax = next_word(logits, words, decoder.temperature, decoder.top_k, decoder.top_p)
    try:
        say(f"picture: {save(ax.figure, options.picture)}")  # type: ignore[arg-type]
    except OSError as error:
        raise CommandError(f"--picture {options.picture}: {error.strerror or error}") from None


def _standard_input() -> Iterator[str]:
    """The lines of standard input, read as files are: DataError names a line that is no UTF-8 text."""
    if sys.stdin is None or sys.stdin.closed:
        raise CommandError("standard input is closed: give the text as an argument, or a sentence a line")
    try:
        for number, line in enumerate(sys.stdin.buffer, 1):
            where = f"standard input:{number}"
            yield decode_line((check_encoding(line, where) if number == 1 else line).rstrip(b"\r\n"), where)
    except OSError as error:  # a directory, a terminal that was closed
        raise CommandError(f"standard input: cannot be read: {error.strerror or error}") from None


def _batches(lines: Sequence[str] | Iterator[str], n: int) -> Iterator[list[str]]:
    """Up to n lines at a time; a person who types gets an answer to each."""
    n = 1 if not isinstance(lines, list) and sys.stdin is not None and sys.stdin.isatty() else n
    rest = iter(lines)
    while batch := list(islice(rest, n)):
        yield batch


def _name_unknown(translator: Translator, text: str) -> None:
    if unknown := translator.source_vocabulary.unknown(text):
        say(f"note: not in the vocabulary, translated as unknown: {', '.join(unknown)}")
