"""`decoders`: one model, the same sentences, and every way to choose the output."""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import Any

import numpy as np

from ..data import EnglishFrench
from ..decoding import Beam, Greedy, Strategy, Translator
from .decoding import add_drawing_options, risk_from, sampling_from
from .errors import CommandError
from .evaluate import Pairs, add_pair_options, decoded, forced, pairs_from
from .options import new_parser, number, report, say


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "decoders",
        run,
        "Compare the ways to choose the output: greedy, beam search, minimum Bayes risk, sampling. Each translates the "
        "same sentences with the same model; BLEU and chrF where sacrebleu is installed (extra: evaluate).",
    )
    parser.add_argument("run_folder", metavar="RUN", help="folder of a run, or its checkpoint")
    add_pair_options(parser)
    parser.add_argument(
        "--built-in",
        type=number(int, 1),
        metavar="N",
        help="in place of PAIRS.tsv: N held-out sentences of the demo's task",
    )
    parser.add_argument("--limit", type=number(int, 1), help="look at the first so many pairs only")
    parser.add_argument("--batch-size", type=number(int, 1), default=64, help="sentences at a time")
    group = parser.add_argument_group("decoders")
    group.add_argument(
        "--num-beams", type=number(int, 2), nargs="+", default=[4, 16], metavar="K", help="widths of the beams"
    )
    group.add_argument("--length-penalty", type=float, default=1.0, help="of the beams: the exponent of the length")
    add_drawing_options(group, "mbr and sample")


def run(options: argparse.Namespace) -> int:
    pairs = sentences_from(options)
    decoders = decoders_from(options)
    translator = Translator.load(options.run_folder)
    rows = []
    for name, decoder in decoders.items():
        say(f"{name} ...")
        rows.append({"decoder": name, **decoded(translator, pairs, decoder, options.batch_size)})
    reference = forced(translator, pairs, options.batch_size)["reference_log_probability"]
    print(table(rows))
    print(f"\n{len(pairs):,} pairs; the mean log-probability of their true translations is {reference:.2f}")
    if "bleu" in rows[0]:
        print(f"BLEU: {rows[0]['bleu_signature']}")
    for line in curses(rows):
        print(line)
    report(options, {"pairs": len(pairs), "reference_log_probability": reference, "decoders": rows})
    return 0


def sentences_from(options: argparse.Namespace) -> Pairs:
    """The pairs to translate."""
    if options.built_in is None:
        return pairs_from(options)[: options.limit]
    if options.pairs or options.source or options.target or options.limit:
        raise CommandError(f"--built-in {options.built_in}: leave PAIRS.tsv, --source, --target and --limit out")
    rng = np.random.default_rng([options.seed, 0, 1002])  # those that `demo` tests on
    examples = EnglishFrench().sample(rng, options.built_in, split="test")
    return [(example.english_text, example.french_text) for example in examples]


def decoders_from(options: argparse.Namespace) -> dict[str, Strategy]:
    """What is compared, by name."""
    try:
        decoders: dict[str, Strategy] = {"greedy": Greedy()}
        decoders |= {f"beam {k}": Beam(k, options.length_penalty) for k in options.num_beams}
        risk = risk_from(options)
        decoders[f"MBR of {risk.samples.num_return_sequences}"] = risk
        decoders["sampling"] = sampling_from(options, 1)
    except ValueError as error:
        raise CommandError(f"these make no decoder: {error}") from None
    return decoders


def table(rows: list[dict[str, Any]]) -> str:
    """A decoder a line, for a person."""
    scored = "bleu" in rows[0]
    lines = [f"{'':10s}{'BLEU   chrF   ' if scored else ''}exact   log P    score  tokens  ms a sentence"]
    for row in rows:
        quality = f"{row['bleu']:5.1f}  {row['chrf']:5.1f}  " if scored else ""
        lines.append(
            f"{row['decoder']:10s}{quality}{100 * row['exact_match']:5.1f}  {row['log_probability']:6.2f}  "
            f"{row['score']:7.3f}  {row['tokens']:6.2f}  {1000 * row['seconds_per_sentence']:13.1f}"
        )
    return "\n".join(lines)


def curses(rows: list[dict[str, Any]]) -> list[str]:
    """A sentence for each wider beam that finds better scores and makes worse translations than the one before."""
    beams = [row for row in rows if row["decoder"].startswith("beam") and "bleu" in row]
    return [
        f"{wide['decoder']} finds better scores than {narrow['decoder']} ({wide['score']:.3f}, {narrow['score']:.3f}) "
        f"and translates worse: BLEU {wide['bleu']:.2f}, {narrow['bleu']:.2f}"
        for narrow, wide in pairwise(beams)
        if wide["score"] > narrow["score"] and wide["bleu"] < narrow["bleu"]
    ]
