"""`train`: a translator from a file of sentence pairs."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from ..data import (
    TASKS,
    BytePairVocabulary,
    CharacterVocabulary,
    DataError,
    PairBatches,
    Vocabulary,
    WordVocabulary,
    evaluation_batches,
    read_aligned,
    read_pairs,
    split_by_source,
)
from ..decoding import Translator
from ..files import whole_file
from ..training import Every, ProgressBar, evaluate
from .errors import CommandError
from .evaluate import Pairs, add_pair_options, columns_of, measure, pairs_from, table
from .options import (
    FRACTION,
    add_model_options,
    add_training_options,
    belonging,
    model_from,
    new_parser,
    number,
    path_name,
    refuse,
    report,
    say,
    setting,
    takes_ranks,
    trainer_from,
)
from .runs import InterruptedRun, add_run_options, fit_and_save, new_run

# Options that say where the pairs are.
SEVERAL = ("validation_pairs", "test_pairs")
DATA = ("pairs", "columns", "source", "target", "task", *SEVERAL)


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "train",
        run,
        "Train a translator on sentence pairs. Part of the pairs, by source sentence, is kept back for validation and "
        "for a test at the end; the test's pairs are written to RUN/test.tsv.",
    )
    add_pair_options(parser)
    parser.add_argument("--task", choices=tuple(TASKS), help="in place of PAIRS.tsv: pairs that are made, in parts")
    add_run_options(parser, out="runs/train")
    group = parser.add_argument_group("data")
    group.add_argument("--vocabulary", choices=("bpe", "word", "character"), default="bpe", help="what a token is")
    belonging(group, "--vocab-size", number(int, 64), 4000, "tokens of each vocabulary, at most")
    group.add_argument("--shared", action="store_true", help="one vocabulary for both languages, and one embedding")
    group.add_argument("--max-length", type=number(int, 1), default=100, help="pairs with more tokens are left out")
    for part, share in (("validation", 0.02), ("test", 0.05)):
        belonging(group, f"--{part}", FRACTION, share, f"share of the pairs kept back for {part}")
        group.add_argument(
            f"--{part}-pairs",
            metavar="FILE",
            type=path_name,
            nargs="+",
            help=f"pairs for {part} in place of such a share: FILE.tsv, or two files line by line",
        )
    add_model_options(
        parser, model="pre-norm", d_model=128, n_heads=4, d_ff=512, encoder_blocks=2, decoder_blocks=2, dropout=0.2
    )
    add_training_options(parser, steps=3500, batch_size=64, rate=2e-3, warmup=400, label_smoothing=0.1)
    takes_ranks(parser)


def run(options: argparse.Namespace) -> int:
    stopped = None
    if options.resume is not None:
        stopped = InterruptedRun(options, add_parser, "train", DATA, SEVERAL)
        stopped.options.arguments, options = options.arguments, stopped.options
    training, validation, test = parts_from(options)
    facts = {"task": "pairs", "data": digest(training, validation, test)}
    if stopped is None:
        folder = new_run(setting(options, "out"), options.overwrite)
        translator = new_translator(options, training)
    else:
        stopped.same("data", facts["data"], "these are not the sentence pairs that it began with")
        folder = stopped.folder
        translator = Translator.from_checkpoint(stopped.path, stopped.arrays, stopped.description)

    source, target, model = translator.source_vocabulary, translator.target_vocabulary, translator.model
    encoded = encode(translator, training, options.max_length)
    say(
        f"{len(encoded):,} pairs to train on, {len(validation):,} to validate, {len(test):,} to test; "
        f"{len(source):,} source and {len(target):,} target tokens; {model.n_parameters():,} parameters"
    )
    ids: dict[str, Any] = {"pad": model.pad, "start": translator.start, "eos": target.eos}
    batches = PairBatches(encoded, options.batch_size, seed=options.seed, **ids)
    trainer = trainer_from(options, model)
    if stopped is not None:
        stopped.restore(trainer)
    callbacks: list[Any] = [ProgressBar()]
    if validation:
        encoded_validation = encode(translator, validation, options.max_length)
        looking = [batch for _, batch in evaluation_batches(encoded_validation, 64, **ids)]
        callbacks.append(Every(batches.steps_per_epoch, lambda trainer: evaluate(model, looking, model.pad)))
    steps = options.steps if stopped is None else stopped.steps
    checkpoint = fit_and_save(options, folder, translator, trainer, batches, callbacks, steps, **facts)

    numbers: dict[str, Any] = {
        "seed": options.seed,
        "steps": trainer.step,
        "epochs": round(trainer.step / batches.steps_per_epoch, 2),
        "training_seconds": round(trainer.history.seconds, 2),
        "parameters": model.n_parameters(),
    }
    print(f"checkpoint  {checkpoint}")
    if test:
        write_pairs(folder / "test.tsv", test)
        numbers |= measure(translator, test)
        print(table(numbers))
    report(options, numbers)
    return 0


def parts_from(options: argparse.Namespace) -> tuple[Pairs, Pairs, Pairs]:
    """The pairs to train on, to validate and to test that the options describe."""
    if options.task:
        if options.pairs or options.columns or options.source or options.target:
            raise CommandError(
                f"--task {options.task}: makes its pairs; leave PAIRS.tsv, --columns, --source and --target out"
            )
        if options.task not in TASKS:  # as a checkpoint may say that was written elsewhere
            raise CommandError(f"--task {options.task}: there are {', '.join(TASKS)}")
        refuse(options, f"--task {options.task}", "validation", "validation_pairs", "test", "test_pairs")
        return TASKS[options.task]()
    pairs = pairs_from(options)
    files = {part: getattr(options, f"{part}_pairs") for part in ("validation", "test")}
    shares = {}
    for part, given in files.items():
        if given is not None:
            refuse(options, f"--{part}-pairs", part)
        shares[part] = setting(options, part) if given is None else 0.0
    if sum(shares.values()) >= 1:
        raise CommandError(
            f"--validation {shares['validation']} and --test {shares['test']}: nothing is left to train on"
        )
    try:
        training, *others = split_by_source(pairs, (1 - sum(shares.values()), *shares.values()), options.seed)
    except DataError:
        n = len({" ".join(source.casefold().split()) for source, _ in pairs})
        parts = [f"--{part} {share:g}" for part, share in shares.items() if share]
        none = " ".join(f"--{part} 0" for part, share in shares.items() if share)
        raise CommandError(
            f"{' and '.join(parts)}: {n} different source{'s' * (n != 1)} cannot be split into training and that; "
            f"give more pairs, or {none}"
        ) from None
    validation, test = (
        other if not given else read_part(part, given, options) for other, (part, given) in zip(others, files.items())
    )
    return training, validation, test


def read_part(part: str, files: list[str], options: argparse.Namespace) -> Pairs:
    """The pairs of one file, or of two, line by line."""
    if len(files) > 2:
        raise CommandError(
            f"--{part}-pairs {' '.join(files)}: give one file of pairs, or two that are read line by line"
        )
    return read_pairs(files[0], columns_of(options)) if len(files) == 1 else read_aligned(*files)


def new_translator(options: argparse.Namespace, training: Pairs) -> Translator:
    """An untrained translator, with vocabularies learned from the training pairs."""
    source, target = vocabularies(options, training)
    model = model_from(options, len(source), None if options.shared else len(target))
    start = target.bos if options.start == "bos" else target.eos
    return Translator(options.model, model, source, target, start)


def digest(*parts: Pairs) -> str:
    """What tells whether the pairs are the same ones, in the same parts and order."""
    text = "\n\n".join("\n".join(f"{source}\t{target}" for source, target in part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def vocabularies(options: argparse.Namespace, pairs: Pairs) -> tuple[Vocabulary, Vocabulary]:
    """Source and target vocabulary, learned from the training pairs; the same one twice where they share."""
    sources, targets = [a for a, _ in pairs], [b for _, b in pairs]
    if options.vocabulary == "character":
        refuse(options, "a character vocabulary", "vocab_size")
    size = setting(options, "vocab_size")

    def learn(texts: list[str]) -> Vocabulary:
        try:
            if options.vocabulary == "bpe":
                return BytePairVocabulary.train(texts, size)
            if options.vocabulary == "word":
                return WordVocabulary.build(texts, max_size=size)
            return CharacterVocabulary.build(texts)
        except ValueError as error:
            raise CommandError(f"--vocab-size {size}: {error}") from None

    if options.shared:
        both = learn(sources + targets)
        return both, both
    return learn(sources), learn(targets)


def encode(translator: Translator, pairs: Pairs, max_length: int) -> list[tuple[list[int], list[int]]]:
    """The pairs as ids, without those that are longer than `max_length` tokens on a side."""
    source, target = translator.source_vocabulary, translator.target_vocabulary
    encoded = [(source.encode(a), target.encode(b)) for a, b in pairs]
    short = [(a, b) for a, b in encoded if max(len(a), len(b)) <= max_length]
    if left_out := len(encoded) - len(short):
        say(f"note: {left_out:,} pairs of more than {max_length} tokens are left out")
    if not short:
        raise CommandError(f"--max-length {max_length}: no pair is that short")
    return short


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write pairs a line each, whole or not at all."""
    text = "".join(f"{source}\t{target}\n" for source, target in pairs)
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))
