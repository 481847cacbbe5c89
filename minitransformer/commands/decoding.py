"""Options that choose a decoder, for the commands that translate, and the decoder that they describe."""

from __future__ import annotations

import argparse
from typing import Any

from ..decoding import METRICS, Beam, Greedy, MinimumBayesRisk, Sampling, Strategy
from .errors import CommandError
from .options import belonging, number, refuse, setting

DECODERS = ("greedy", "beam", "mbr", "sample")
BEAM = ("num_beams", "length_penalty")
DRAWING = ("temperature", "top_k", "top_p")
RISK = ("samples", "utility")


def add_decoder_options(parser: argparse.ArgumentParser) -> None:
    """`--decoder` and what belongs to each; the names that Hugging Face's `generate` has are as there."""
    group = parser.add_argument_group("decoder")
    group.add_argument(
        "--decoder",
        choices=DECODERS,
        default="greedy",
        help="how the output is chosen: the most probable token each time, beam search, minimum Bayes risk, at random",
    )
    belonging(group, "--num-beams", number(int, 1), 4, "beam: hypotheses that are kept")
    group.add_argument(
        "--length-penalty",
        type=float,
        help="beam: exponent of the length by which log-probabilities are divided; above 0 favours long sentences "
        "(default: 1)",
    )
    add_drawing_options(group, "mbr and sample")


def add_drawing_options(group: Any, of: str) -> None:
    belonging(group, "--temperature", number(float, 1e-6), 1.0, f"{of}: below 1 more careful, above 1 wilder")
    group.add_argument("--top-k", type=number(int, 1), help=f"{of}: draw from the k most probable tokens only")
    group.add_argument(
        "--top-p",
        type=number(float, 1e-9, 1),
        help=f"{of}: draw from the most probable tokens that make up this share only",
    )
    belonging(group, "--samples", number(int, 1), 32, "mbr: how many candidates are drawn for a sentence")
    belonging(group, "--utility", _utility, "chrf", f"mbr: what is expected of a candidate: {', '.join(METRICS)}")


def decoder_from(options: argparse.Namespace, wanted: int = 1) -> Strategy:
    """The decoder that the options describe, for so many translations of a sentence.

    Raises CommandError for an option that belongs to another decoder, or has no effect.
    """
    try:
        if options.decoder == "greedy":
            refuse(options, "greedy decoding", *BEAM, *DRAWING, *RISK)
            if wanted > 1:
                raise CommandError(f"--nbest {wanted}: greedy decoding finds one translation of a sentence")
            return Greedy()
        if options.decoder == "beam":
            refuse(options, "beam search", *DRAWING, *RISK)
            return Beam(setting(options, "num_beams"), options.length_penalty, wanted)
        if options.decoder == "mbr":
            refuse(options, "minimum Bayes risk", *BEAM)
            return risk_from(options, wanted)
        refuse(options, "sampling", *BEAM, *RISK)
        return sampling_from(options, wanted)
    except ValueError as error:
        raise CommandError(f"--decoder {options.decoder}: {error}") from None


def sampling_from(options: argparse.Namespace, n: int) -> Sampling:
    return Sampling(options.seed, setting(options, "temperature"), options.top_k, options.top_p, n)


def risk_from(options: argparse.Namespace, wanted: int = 1) -> MinimumBayesRisk:
    samples = sampling_from(options, setting(options, "samples"))
    return MinimumBayesRisk(samples, METRICS[setting(options, "utility")], wanted)


def _utility(name: str) -> str:
    if name not in METRICS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(METRICS)}")
    return name
