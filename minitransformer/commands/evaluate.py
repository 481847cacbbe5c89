"""`evaluate`: how good a trained model is on sentence pairs."""

from __future__ import annotations

import argparse
import math
from typing import Any

from ..data import evaluation_batches, read_aligned, read_pairs
from ..decoding import Translator
from ..training import evaluate
from .errors import CommandError
from .options import new_parser, number, report, say

Pairs = list[tuple[str, str]]


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "evaluate",
        run,
        "Measure a trained model on sentence pairs. Exact match, token accuracy and perplexity under teacher forcing; "
        "BLEU and chrF of greedy translations where sacrebleu is installed (extra: evaluate).",
    )
    parser.add_argument("run_folder", metavar="RUN", help="folder of a run, or its checkpoint")
    add_pair_options(parser)
    parser.add_argument("--batch-size", type=number(int, 1), default=64, help="sentences at a time")
    parser.add_argument("--limit", type=number(int, 1), help="look at the first so many pairs only")


def add_pair_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pairs", metavar="PAIRS.tsv", nargs="?", help="file with source TAB target in every line")
    parser.add_argument(
        "--source", metavar="FILE", help="in place of PAIRS.tsv: a file of source sentences, a line each"
    )
    parser.add_argument("--target", metavar="FILE", help="their translations, line by line")


def pairs_from(options: argparse.Namespace) -> Pairs:
    """Read the pairs that the options name."""
    if options.pairs and not (options.source or options.target):
        return read_pairs(options.pairs)
    if not options.pairs and options.source and options.target:
        return read_aligned(options.source, options.target)
    raise CommandError("give either PAIRS.tsv, or both --source and --target")


def run(options: argparse.Namespace) -> int:
    pairs = pairs_from(options)[: options.limit]
    translator = Translator.load(options.run_folder)
    numbers = measure(translator, pairs, options.batch_size)
    print(table(numbers))
    report(options, numbers)
    return 0


def measure(translator: Translator, pairs: Pairs, batch_size: int = 64) -> dict[str, Any]:
    """All measures of a translator on pairs of text."""
    source, target = translator.source_vocabulary, translator.target_vocabulary
    encoded = [(source.encode(a), target.encode(b)) for a, b in pairs]
    batches = evaluation_batches(encoded, batch_size, pad=translator.model.pad, start=translator.start, eos=target.eos)
    numbers = evaluate(translator.model, (batch for _, batch in batches), translator.model.pad)
    result: dict[str, Any] = {
        "pairs": len(pairs),
        "exact_match": numbers["exact_match"],
        "token_accuracy": numbers["token_accuracy"],
        "perplexity": math.exp(min(numbers["loss"], 700.0)),
    }
    return {**result, **bleu(translator, pairs, batch_size)}


def bleu(translator: Translator, pairs: Pairs, batch_size: int) -> dict[str, Any]:
    """BLEU and chrF by sacrebleu, one reference a pair; empty where it is not installed."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        say('note: no BLEU without sacrebleu: pip install "minitransformer[evaluate]"')
        return {}
    sources = list(dict.fromkeys(source for source, _ in pairs))  # a source with many targets is translated once
    translated = dict(zip(sources, translator.translate(sources, batch_size=batch_size)))
    hypotheses = [translated[source] for source, _ in pairs]
    references = [[target for _, target in pairs]]
    metric = BLEU()
    score = metric.corpus_score(hypotheses, references).score
    return {
        "bleu": score,
        "chrf": CHRF().corpus_score(hypotheses, references).score,
        "bleu_signature": str(metric.get_signature()),
    }


def table(numbers: dict[str, Any]) -> str:
    """The measures, a line each, for a person."""
    rows = [
        ("sentence pairs", f"{numbers['pairs']:,}"),
        ("exact match", f"{100 * numbers['exact_match']:.1f} %"),
        ("token accuracy", f"{100 * numbers['token_accuracy']:.1f} %"),
        ("perplexity", f"{numbers['perplexity']:.2f}"),
    ]
    if "bleu" in numbers:
        rows += [
            ("BLEU", f"{numbers['bleu']:.1f}  ({numbers['bleu_signature']})"),
            ("chrF", f"{numbers['chrf']:.1f}"),
        ]
    return "\n".join(f"{label:16s} {value}" for label, value in rows)
