"""`compare`: an LSTM with attention beside a Transformer with as many parameters, on the same batches."""

from __future__ import annotations

import argparse
from typing import Any

from tqdm import tqdm

from ..data import DataError, read_pairs
from ..experiments import Comparison, compare, conclusions, joeynmt, table
from ..experiments.materials import Material, candidates, drawn, english_french, from_pairs, reversal
from ..models import EncoderDecoder, TransformerConfig
from ..training import Callback, Trainer
from .errors import CommandError
from .evaluate import add_columns_option, columns_of
from .options import add_training_options, new_parser, number, path_name, refuse, report, say, trainer_from
from .runs import new_run

LSTMS = ("lstm", "lstm-bahdanau", "lstm-input-feeding")
TRANSFORMERS = ("pre-norm", "transformer")
JOEYNMT_FLAGS = ("--task", "--models", "--seed", "--json", "--workers")


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "compare",
        run,
        "Compare what came before with the Transformer. Trains an LSTM with attention and a Transformer of as many "
        "parameters on the same batches, and shows quality against steps and time, the time of a step as sentences "
        "grow, how far gradients reach, alignments, and sentences longer than in training.",
    )
    parser.add_argument(
        "pairs",
        metavar="PAIRS.tsv",
        type=path_name,
        nargs="?",
        help="sentence pairs, source TAB target; without: --task",
    )
    add_columns_option(parser)
    parser.add_argument(
        "--task",
        choices=("reverse", "english-french", "joeynmt"),
        help="reverse: lists of symbols, made freshly; english-french: the built-in grammar of `demo`; joeynmt: the "
        "reversal task of Joey NMT beside its published BLEU, with settings of its own (default: reverse)",
    )
    parser.add_argument("--out", type=path_name, default="runs/compare", help="folder for the figure")
    parser.add_argument("--no-figure", action="store_true", help="draw nothing")
    parser.add_argument(
        "--models",
        metavar="NAME",
        choices=tuple(joeynmt.SETUPS),
        nargs="+",
        help=f"of --task joeynmt these only: {', '.join(joeynmt.SETUPS)} (default: all)",
    )
    group = parser.add_argument_group("data")
    group.add_argument("--symbols", type=number(int, 2), help="different symbols in what is reversed (default: 20)")
    group.add_argument("--longest", type=number(int, 2), help="most symbols of a training source (default: 12)")
    group.add_argument("--vocab-size", type=number(int, 64), help="tokens of the pairs' vocabulary (default: 4000)")
    group = parser.add_argument_group("models")
    group.add_argument("--lstm", choices=LSTMS, default="lstm", help="the recurrent one; its width follows")
    group.add_argument("--transformer", choices=TRANSFORMERS, default="pre-norm", help="the other")
    group.add_argument("--d-model", type=number(int, 2), default=64, help="the Transformer's width")
    group.add_argument("--n-heads", type=number(int, 1), default=4, help="attention heads")
    group.add_argument("--d-ff", type=number(int, 1), default=128, help="width inside feed-forward layers")
    group.add_argument("--encoder-blocks", type=number(int, 1), default=2, help="blocks of the Transformer's encoder")
    group.add_argument("--decoder-blocks", type=number(int, 1), default=2, help="blocks of the Transformer's decoder")
    group.add_argument("--lstm-layers", type=number(int, 1), default=1, help="layers of the LSTMs on both sides")
    group.add_argument("--dropout", type=number(float, 0, 1, below=True), default=0.0, help="probability of dropping")
    add_training_options(parser, steps=2000, batch_size=32, rate=3e-3, warmup=200, label_smoothing=0.0)


def run(options: argparse.Namespace) -> int:
    if options.pairs is not None and options.task is not None:
        raise CommandError(f"--task {options.task}: PAIRS.tsv is given; leave one of them out")
    if options.task == "joeynmt":
        return run_joeynmt(options)
    if options.models:
        raise CommandError(f"--models {' '.join(options.models)}: only --task joeynmt has such a setting")
    folder = None if options.no_figure else new_run(options.out, overwrite=True)
    material, _, comparison = measured(options)
    found = conclusions(comparison)
    print(table(comparison))
    print("\n" + "\n".join(found))
    numbers = {"seed": options.seed, **comparison.to_dict(), "conclusions": found}
    if folder is not None:
        import matplotlib

        matplotlib.use("Agg")  # a command opens no windows
        from ..plotting import save  # matplotlib takes a while to import

        figures = drawn(material, comparison).items()
        paths = [str(save(figure, folder / f"comparison_{name}.png")) for name, figure in figures]
        print("\nfigures     " + "\n            ".join(paths))
        numbers["figures"] = paths
    report(options, numbers)
    return 0


def run_joeynmt(options: argparse.Namespace) -> int:
    """Joey NMT's reversal task, which has settings of its own."""
    for word in options.arguments:
        if word.startswith("--") and word.split("=")[0] not in JOEYNMT_FLAGS:
            raise CommandError(
                f"{word}: --task joeynmt has settings of its own; it takes {', '.join(JOEYNMT_FLAGS[1:])}"
            )
    rows = joeynmt.measure_all(options.models or tuple(joeynmt.SETUPS), options.seed, options.workers)
    print(joeynmt.table(rows))
    print("\n" + joeynmt.verdict(rows))
    report(options, {"seed": options.seed, "published": joeynmt.PUBLISHED, "models": rows})
    return 0


def measured(options: argparse.Namespace) -> tuple[Material, dict[str, EncoderDecoder], Comparison]:
    """Train and measure the two models that the options describe."""
    material = material_from(options)
    try:
        config = TransformerConfig(
            material.source_vocab,
            material.target_vocab,
            options.d_model,
            options.n_heads,
            options.d_ff,
            options.encoder_blocks,
            options.decoder_blocks,
            options.dropout,
        )
        models = candidates(options.transformer, config, options.lstm, options.lstm_layers, options.seed)
    except ValueError as error:
        raise CommandError(f"these sizes make no model: {error}") from None
    lstm, transformer = models.values()
    difference = lstm.n_parameters() / transformer.n_parameters() - 1
    if abs(difference) > 0.02:
        width = lstm.config.d_model  # type: ignore[attr-defined]
        say(f"note: at its nearest width, {width}, the LSTM has {100 * difference:+.1f} % parameters")
    with Bar(2 * options.steps) as bar:
        comparison = compare(
            models,
            material.task,
            lambda model: trainer_from(options, model),
            options.steps,
            callbacks=[bar],
            seed=options.seed,
        )
    return material, models, comparison


def material_from(options: argparse.Namespace) -> Material:
    """What the options say is trained on; CommandError for an option that belongs to other data."""
    common = {"batch_size": options.batch_size, "seed": options.seed}
    if options.pairs is not None:
        refuse(options, "PAIRS.tsv", "symbols", "longest")
        size = options.vocab_size or 4000
        try:
            return from_pairs(read_pairs(options.pairs, columns_of(options)), size, **common)
        except DataError:
            raise
        except ValueError as error:
            raise CommandError(f"--vocab-size {size}: {error}") from None
    if options.task == "english-french":
        refuse(options, "--task english-french", "symbols", "longest", "vocab_size")
        return english_french(**common)
    refuse(options, "a reversal", "vocab_size")
    n_symbols = options.symbols or 20
    try:
        return reversal(n_symbols, options.longest or 12, **common)
    except ValueError as error:
        raise CommandError(f"--symbols {n_symbols}: too few: {error}") from None


class Bar(Callback):
    """One bar over the steps of both models."""

    def __init__(self, steps: int) -> None:
        self.bar: Any = tqdm(total=steps, desc="training both", unit="step", disable=None, dynamic_ncols=True)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def on_step(self, trainer: Trainer, record: Any) -> None:
        self.bar.update()
