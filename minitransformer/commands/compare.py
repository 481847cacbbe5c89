"""`compare`: an LSTM with attention beside a Transformer with as many parameters, on the same batches."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from ..data import (
    BOS,
    EOS,
    PAD,
    Batch,
    BytePairVocabulary,
    EnglishFrench,
    FreshBatches,
    LanguageVocabulary,
    PairBatches,
    ToyTask,
    evaluation_batches,
    read_pairs,
    sequence_to_sequence_batch,
    split_by_source,
)
from ..data.vocabulary import SPECIALS
from ..layers import Unallocated
from ..models import EncoderDecoder, LSTMConfig, TransformerConfig, build_model
from ..training import Callback, Comparison, Task, Trainer, compare, findings, matched
from ..training.findings import reached
from . import compare_joeynmt
from .errors import CommandError
from .options import add_training_options, new_parser, number, refuse, report, say, trainer_from
from .runs import new_run

LSTMS = ("lstm", "lstm-bahdanau", "lstm-input-feeding")
TRANSFORMERS = ("pre-norm", "transformer")
HELD_OUT, OF_LENGTH, SENTENCES = 500, 200, 16  # sentences: held out, of each length, and for the choice of a head
SHOWN = (  # with its translation
    "I got my car straight from the showroom, it was new.",
    "J'ai eu ma voiture directement du salon, elle était neuve.",
)
# What each generator is for: a number behind the seed.
TESTING, MAKING = 1, 2


@dataclass(frozen=True)
class Material:
    """A task, how many ids its sides have, and the words of the sentence whose alignment is drawn."""

    task: Task
    source_vocab: int
    target_vocab: int | None  # None: one vocabulary for both
    source: Sequence[str]
    target: Sequence[str]


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
        "pairs", metavar="PAIRS.tsv", nargs="?", help="sentence pairs, source TAB target; without: --task"
    )
    parser.add_argument(
        "--task",
        choices=("reverse", "english-french", "joeynmt"),
        help="reverse: lists of symbols, made freshly; english-french: the built-in grammar of `demo`; joeynmt: the "
        "reversal task of Joey NMT beside its published BLEU, with settings of its own (default: reverse)",
    )
    parser.add_argument("--out", default="runs/compare", help="folder for the figure")
    parser.add_argument("--no-figure", action="store_true", help="draw nothing")
    compare_joeynmt.add_options(parser)
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
        return compare_joeynmt.run(options)
    if options.models:
        raise CommandError(f"--models {' '.join(options.models)}: only --task joeynmt has such a setting")
    folder = None if options.no_figure else new_run(options.out, overwrite=True)
    material, models, comparison = measured(options)
    found = findings(comparison)
    print(table(comparison))
    print("\n" + "\n".join(found))
    numbers = {"seed": options.seed, **comparison.to_dict(), "findings": found}
    if folder is not None:
        import matplotlib

        matplotlib.use("Agg")  # a command opens no windows
        from ..plotting import save  # matplotlib takes a while to import

        path = save(page(material, models, comparison), folder / "comparison.png")
        print(f"\nfigure      {path}")
        numbers["figure"] = str(path)
    report(options, numbers)
    return 0


def measured(options: argparse.Namespace) -> tuple[Material, dict[str, EncoderDecoder], Comparison]:
    """Train and measure the two models that the options describe."""
    if options.pairs is not None:
        material = from_pairs(options)
    else:
        material = english_french(options) if options.task == "english-french" else reversal(options)
    models = contenders(options, material.source_vocab, material.target_vocab)
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


def page(material: Material, models: Mapping[str, EncoderDecoder], comparison: Comparison) -> Any:
    """The figure, with the findings beneath it."""
    from ..plotting import comparison_figure

    title = " and ".join(
        f"{name} ({model.n_parameters():,} parameters, width {model.config.d_model})"  # type: ignore[attr-defined]
        for name, model in models.items()
    )
    return comparison_figure(comparison, material.target, material.source, " ".join(findings(comparison)), title)


def picture(*arguments: str) -> Any:
    """The figure of a run with these options, as one would type them."""
    top = argparse.ArgumentParser()
    add_parser(top.add_subparsers())
    return page(*measured(top.parse_args(["compare", *arguments])))


def contenders(options: argparse.Namespace, source_vocab: int, target_vocab: int | None) -> dict[str, EncoderDecoder]:
    """The two models that the options describe, the LSTM as wide as its parameters are those of the other."""
    try:
        config = TransformerConfig(
            source_vocab,
            target_vocab,
            options.d_model,
            options.n_heads,
            options.d_ff,
            options.encoder_blocks,
            options.decoder_blocks,
            options.dropout,
        )
        transformer = build_model(options.transformer, config, np.random.default_rng(options.seed))
        sizes = {"n_encoder_layers": options.lstm_layers, "n_decoder_layers": options.lstm_layers}
        like = LSTMConfig(source_vocab, target_vocab, dropout=options.dropout, **sizes)
        like = matched(options.lstm, like, transformer.n_parameters())
    except ValueError as error:
        raise CommandError(f"these sizes make no model: {error}") from None
    difference = build_model(options.lstm, like, Unallocated()).n_parameters() / transformer.n_parameters() - 1
    if abs(difference) > 0.02:
        say(f"note: at its nearest width, {like.d_model}, the LSTM has {100 * difference:+.1f} % parameters")
    lstm = build_model(options.lstm, like, np.random.default_rng(options.seed))
    return {"LSTM": lstm, "Transformer": transformer}


def reversal(options: argparse.Namespace) -> Material:
    """Lists of symbols to be reversed, fresh ones in every batch."""
    refuse(options, "a reversal", "vocab_size")
    n_symbols, longest = options.symbols or 20, options.longest or 12
    toy = ToyTask("reverse", n_symbols, 1, longest)
    held_out = toy.sample(np.random.default_rng([options.seed, TESTING]), HELD_OUT, "test")
    vocabulary = toy.vocabulary

    def of_length(length: int) -> Batch:
        rng = np.random.default_rng([options.seed, MAKING, length])
        return batch_of(ToyTask("reverse", n_symbols, length, length).sample(rng, OF_LENGTH, "test"))

    beyond = np.linspace(longest + 1, 2 * longest, 12).round().astype(int).tolist()
    try:
        for length in range(2, 9):  # of short ones there are few, and perhaps none is held out
            of_length(length)
    except ValueError as error:
        raise CommandError(f"--symbols {n_symbols}: too few: {error}") from None
    alike, shown = of_length(longest).shares(2)
    source = [*shown.inputs[0][0]]
    task = Task(
        batches=FreshBatches(toy.sample, options.batch_size, seed=options.seed),
        held_out=[batch for _, batch in evaluation_batches(held_out, 64)],
        sentence=Batch(tuple(ids[:1] for ids in shown.inputs), shown.targets[:1]),
        alike=alike,
        symbols=range(len(SPECIALS), len(SPECIALS) + n_symbols),
        of_length=of_length,
        lengths=sorted({max(2, longest // 4), max(2, longest // 2), longest, *beyond}),
        longest=longest,
    )
    return Material(task, len(vocabulary), None, vocabulary.labels(source), vocabulary.labels([*shown.targets[0]]))


def english_french(options: argparse.Namespace) -> Material:
    """Sentences of the built-in grammar, fresh ones in every batch."""
    refuse(options, "--task english-french", "symbols", "longest", "vocab_size")
    grammar = EnglishFrench()
    english = LanguageVocabulary(grammar.source_tokens, "english")
    french = LanguageVocabulary(grammar.target_tokens, "french")
    examples = grammar.sample(np.random.default_rng([options.seed, TESTING]), HELD_OUT, "test")
    ids = [(english.encode(example.english_text), french.encode(example.french_text)) for example in examples]
    task = Task(
        batches=FreshBatches(
            lambda rng, n: grammar.sample_ids(rng, n, english.token_id, french.token_id),
            options.batch_size,
            seed=options.seed,
        ),
        held_out=[batch for _, batch in evaluation_batches(ids, 64)],
        sentence=batch_of([(english.encode(SHOWN[0]), french.encode(SHOWN[1]))]),
        alike=batch_of(ids[:SENTENCES]),
        symbols=range(len(SPECIALS), min(len(english), len(french))),
    )
    words = (side.labels([*side.encode(text), side.eos]) for side, text in zip((english, french), SHOWN))
    return Material(task, len(english), len(french), *words)


def from_pairs(options: argparse.Namespace) -> Material:
    """Sentence pairs of a file, with one vocabulary of byte pairs for both languages."""
    refuse(options, "PAIRS.tsv", "symbols", "longest")
    pairs = read_pairs(options.pairs)
    training, held_out = split_by_source(pairs, (0.9, 0.1), options.seed)
    size = options.vocab_size or 4000
    try:
        vocabulary = BytePairVocabulary.train([text for pair in training for text in pair], size)
    except ValueError as error:
        raise CommandError(f"--vocab-size {size}: {error}") from None
    ids = [[(vocabulary.encode(a), vocabulary.encode(b)) for a, b in part] for part in (training, held_out[:HELD_OUT])]
    shown = min(ids[1], key=lambda pair: abs(len(pair[0]) - 9) + abs(len(pair[1]) - 9))
    task = Task(
        batches=PairBatches(ids[0], options.batch_size, seed=options.seed),
        held_out=[batch for _, batch in evaluation_batches(ids[1], 64)],
        sentence=batch_of([shown]),
        alike=batch_of(ids[1][:SENTENCES]),
        symbols=range(len(SPECIALS), len(vocabulary)),
        measure="token_accuracy",
    )
    words = [vocabulary.labels([*side, vocabulary.eos]) for side in shown]
    return Material(task, len(vocabulary), None, *words)


def batch_of(pairs: Any) -> Batch:
    return sequence_to_sequence_batch(pairs, pad=PAD, start=BOS, eos=EOS)


def table(comparison: Comparison) -> str:
    """The measures of both, side by side."""
    a, b = comparison.contenders
    rows: list[tuple[str, str, str]] = [("", a.name, b.name)]

    def row(label: str, values: Sequence[Any], form: str) -> None:
        rows.append((label, *("never" if value is None else format(value, form) for value in values)))  # type: ignore[arg-type]

    ways = [reached(c, comparison.measure) for c in (a, b)]
    lasts = [c.history.validations[-1] for c in (a, b)]
    row("parameters", [c.parameters for c in (a, b)], ",")
    row("whole sentences right", [last["exact_match"] for last in lasts], ".1%")
    row("tokens right", [last["token_accuracy"] for last in lasts], ".1%")
    row("loss, nats a token", [last["loss"] for last in lasts], ".4f")
    row("seconds of training", [c.history.seconds for c in (a, b)], ".1f")
    what = {"exact_match": "sentences", "token_accuracy": "tokens"}[comparison.measure]
    row(f"steps to 90 % of {what}", [way and way[0] for way in ways], ",")
    row(f"seconds to 90 % of {what}", [way and way[1] for way in ways], ".1f")
    for n in a.seconds_per_step:
        row(f"milliseconds a step, length {n}", [1000 * c.seconds_per_step[n] for c in (a, b)], ".1f")
    for when in a.encoder_reach:
        for n in sorted(a.encoder_reach[when])[-3::2]:
            row(f"encoder's reach over {n}, {when}", [c.encoder_reach[when][n] for c in (a, b)], ".1e")
    for when in a.answer_reach:
        n = max(a.answer_reach[when])
        row(f"answer's reach, length {n}, {when}", [c.answer_reach[when][n] for c in (a, b)], ".2f")
    for n in a.exact_match:
        unseen = ", unseen" if n > comparison.longest else ""
        row(f"right of length {n}{unseen}", [c.exact_match[n] for c in (a, b)], ".1%")
    row("numbers kept a target token", [c.kept_per_token for c in (a, b)], ",")
    row("numbers kept a source token", [c.kept_per_source_token for c in (a, b)], ",")
    widths = [max(len(line[i]) for line in rows) for i in range(3)]
    return "\n".join(f"{x:{widths[0]}}  {y:>{widths[1]}}  {z:>{widths[2]}}" for x, y, z in rows)


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
