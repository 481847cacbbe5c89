"""`evaluate`: how good a trained model is on sentence pairs."""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

from ..data import evaluation_batches, read_aligned, read_pairs
from ..decoding import Greedy, Strategy, Translator
from ..pretrained import load_translator
from ..training import evaluate
from .decoding import add_decoder_options, decoder_from
from .errors import CommandError
from .options import add_translator_option, new_parser, number, path_name, report, say

Pairs = list[tuple[str, str]]


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "evaluate",
        run,
        "Measure a trained model on sentence pairs. Exact match and mean log-probability of its translations, token "
        "accuracy and perplexity under teacher forcing; BLEU and chrF where sacrebleu is installed (extra: evaluate).",
    )
    add_translator_option(parser)
    add_pair_options(parser)
    parser.add_argument("--batch-size", type=number(int, 1), default=64, help="sentences at a time")
    parser.add_argument("--limit", type=number(int, 1), help="look at the first so many pairs only")
    add_decoder_options(parser)


def add_pair_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pairs",
        metavar="PAIRS.tsv",
        type=path_name,
        nargs="?",
        help="file with source TAB target in every line; also .csv, .jsonl, an export of Anki, any of them compressed",
    )
    add_columns_option(parser)
    parser.add_argument(
        "--source",
        metavar="FILE",
        type=path_name,
        help="in place of PAIRS.tsv: a file of source sentences, a line each",
    )
    parser.add_argument("--target", metavar="FILE", type=path_name, help="their translations, line by line")


def add_columns_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--columns",
        metavar="SOURCE,TARGET",
        type=two_columns,
        help="columns of PAIRS.tsv: numbers from 1, or names that it has (default: 1,2)",
    )


def two_columns(text: str) -> str:
    """A converter for argparse: two columns with a comma between them."""
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is not two columns, such as 2,4 or english,french")
    return ",".join(names)


def columns_of(options: argparse.Namespace) -> list[str] | None:
    """The columns that the options name."""
    return None if options.columns is None else options.columns.split(",")


def pairs_from(options: argparse.Namespace) -> Pairs:
    """Read the pairs that the options name."""
    if options.pairs and not (options.source or options.target):
        return read_pairs(options.pairs, columns_of(options))
    if options.columns:
        raise CommandError(f"--columns {options.columns}: are those of PAIRS.tsv: give it")
    if not options.pairs and options.source and options.target:
        return read_aligned(options.source, options.target)
    raise CommandError("give either PAIRS.tsv, or both --source and --target")


def run(options: argparse.Namespace) -> int:
    decoder = decoder_from(options)
    pairs = pairs_from(options)[: options.limit]
    translator = load_translator(options.run_folder, ignore=options.ignore_key)
    numbers = measure(translator, pairs, options.batch_size, decoder)
    print(table(numbers))
    report(options, numbers)
    return 0


def measure(
    translator: Translator, pairs: Pairs, batch_size: int = 64, decoder: Strategy | None = None
) -> dict[str, Any]:
    """All measures of a translator on pairs of text; translations are the decoder's, by default greedy."""
    return {**forced(translator, pairs, batch_size), **decoded(translator, pairs, decoder or Greedy(), batch_size)}


def forced(translator: Translator, pairs: Pairs, batch_size: int = 64) -> dict[str, Any]:
    """Token accuracy and perplexity of the true translations, and their mean log-probability."""
    source, target = translator.source_vocabulary, translator.target_vocabulary
    encoded = [(source.encode(a), target.encode(b)) for a, b in pairs]
    batches = evaluation_batches(encoded, batch_size, pad=translator.model.pad, start=translator.start, eos=target.eos)
    numbers = evaluate(translator.model, (batch for _, batch in batches), translator.model.pad)
    tokens = sum(len(ids) + 1 for _, ids in encoded)  # and eos
    return {
        "pairs": len(pairs),
        "token_accuracy": numbers["token_accuracy"],
        "perplexity": math.exp(min(numbers["loss"], 700.0)),
        "reference_log_probability": -numbers["loss"] * tokens / len(pairs),
    }


def decoded(translator: Translator, pairs: Pairs, decoder: Strategy, batch_size: int = 64) -> dict[str, Any]:
    """What the decoder's translations are like: exact match, means of log-probability and score, time, BLEU, chrF."""
    sources = list(dict.fromkeys(source for source, _ in pairs))  # a source with many targets is translated once
    began = time.process_time()
    best = [found[0] for found in translator.decode(sources, decoder, batch_size=batch_size)]
    seconds = time.process_time() - began
    of = dict(zip(sources, best))
    right = [of[source].ids == translator.target_vocabulary.encode(target) for source, target in pairs]
    numbers = {
        "exact_match": sum(right) / len(right),
        "log_probability": sum(one.log_probability for one in best) / len(best),
        "score": sum(one.score for one in best) / len(best),
        "tokens": sum(len(one.ids) for one in best) / len(best),
        "seconds_per_sentence": seconds / len(best),
    }
    return {**numbers, **bleu([of[source].text for source, _ in pairs], [target for _, target in pairs])}


def bleu(hypotheses: list[str], references: list[str]) -> dict[str, Any]:
    """BLEU, also of lower-cased text, and chrF, each with sacrebleu's signature; empty where it is not installed."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        say('note: no BLEU without sacrebleu: pip install "minitransformer[evaluate]"')
        return {}
    metrics = {"bleu": BLEU(), "bleu_lowercase": BLEU(lowercase=True), "chrf": CHRF()}
    scores = {name: metric.corpus_score(hypotheses, [references]).score for name, metric in metrics.items()}
    return scores | {f"{name}_signature": str(metric.get_signature()) for name, metric in metrics.items()}


def readable(number: float) -> str:
    """Two decimals, or where it is too large to be read like that, three digits and a power of ten."""
    return f"{number:.2f}" if abs(number) < 1e6 else f"{number:.2e}"


def table(numbers: dict[str, Any]) -> str:
    """The measures, a line each, for a person."""
    rows = [
        ("sentence pairs", f"{numbers['pairs']:,}"),
        ("exact match", f"{100 * numbers['exact_match']:.1f} %"),
        ("token accuracy", f"{100 * numbers['token_accuracy']:.1f} %"),
        ("perplexity", readable(numbers["perplexity"])),
        ("log-probability", f"{readable(numbers['log_probability'])} a sentence"),
    ]
    if "bleu" in numbers:
        rows += [
            ("BLEU", f"{numbers['bleu']:.1f}  ({numbers['bleu_signature']})"),
            ("in lower case", f"{numbers['bleu_lowercase']:.1f}  ({numbers['bleu_lowercase_signature']})"),
            ("chrF", f"{numbers['chrf']:.1f}"),
        ]
    return "\n".join(f"{label:16s} {value}" for label, value in rows)
