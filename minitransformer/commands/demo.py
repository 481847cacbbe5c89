"""`demo`: train a translator on the built-in task, test it on what it has never seen, look inside, save it all."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data import EnglishFrench, Example, FreshBatches, LanguageVocabulary
from ..decoding import Translator
from ..experiments.coreference import (
    SHOWROOM,
    Head,
    exact_match,
    exchange_nouns,
    forced_scores,
    like_the_showroom,
    measure_heads,
    pronoun_accuracy,
)
from ..training import Callback, Every, ProgressBar, Trainer
from .options import (
    add_model_options,
    add_training_options,
    model_from,
    new_parser,
    number,
    path_name,
    report,
    say,
    takes_ranks,
    trainer_from,
)
from .runs import leave_to_first_rank, new_run, save_run

# What each generator is for: a third number behind (seed, 0), so that none is a training batch's (seed, step).
LINKING = 0.9  # share of hard sentences in which a head must favour the antecedent to be said to link the two
LOOKING, TESTING, EXCHANGING, CHOOSING, MEASURING = range(1, 6)
SENTENCES = (
    SHOWROOM,
    "The statue did not fit in the box because it was too big.",
    "The statue did not fit in the box because it was too small.",
)


def add_parser(commands: Any) -> None:
    parser = new_parser(
        commands,
        "demo",
        run,
        "Train a translator on the built-in English-French task. Reports scores on held-out sentences, translates a "
        "few, and saves checkpoint and figures. Nothing is downloaded.",
    )
    parser.add_argument("--out", type=path_name, default="runs/demo", help="folder for checkpoint and figures")
    parser.add_argument("--examples", type=number(int, 1), default=1000, help="held-out sentences in each test")
    parser.add_argument("--no-figures", action="store_true", help="draw nothing")
    add_model_options(
        parser, model="pre-norm", d_model=64, n_heads=4, d_ff=128, encoder_blocks=2, decoder_blocks=1, dropout=0.0
    )
    add_training_options(parser, steps=5000, batch_size=32, rate=3e-3, warmup=200, label_smoothing=0.0)
    takes_ranks(parser)


def run(options: argparse.Namespace) -> int:
    folder = new_run(options.out, overwrite=True)
    grammar = EnglishFrench()
    translator = new_translator(options, grammar)
    trainer = trainer_from(options, translator.model)
    say(
        f"{translator.model.n_parameters():,} parameters, {len(translator.source_vocabulary):,} English and "
        f"{len(translator.target_vocabulary):,} French words, {trainer.n_workers} worker(s)"
    )

    numbers = train(options, grammar, translator, trainer)
    leave_to_first_rank()
    checkpoint = save_run(folder, translator, trainer, task="english-french", results=numbers)
    heads = best_heads(translator, grammar, options)
    say("Who finds the noun, in held-out sentences like the first below (average attention weights):")
    for head in heads:
        say(f"  {verdict_on(head)}")
    numbers["heads"] = [vars(head) for head in heads]

    print()
    for text, translation in zip(SENTENCES, translator.translate(SENTENCES)):
        print(f"  {text}\n  {translation}\n")
    print(table(numbers))
    print(f"\ncheckpoint  {checkpoint}")
    if not options.no_figures:
        from .demo_figures import draw_figures  # matplotlib takes a while to import, and is not always wanted

        for path in draw_figures(folder / "figures", translator, trainer.history, heads, options.examples):
            print(f"figure      {path}")
    print(f'\nNow try: minitransformer translate {options.out} "{SHOWROOM}"')
    report(options, numbers)
    return 0


def new_translator(options: argparse.Namespace, grammar: EnglishFrench) -> Translator:
    """An untrained translator for the grammar's two languages."""
    source = LanguageVocabulary(grammar.source_tokens, "english")
    target = LanguageVocabulary(grammar.target_tokens, "french")
    model = model_from(options, len(source), len(target))
    start = target.bos if options.start == "bos" else target.eos
    return Translator(options.model, model, source, target, start)


def fit(
    options: argparse.Namespace,
    grammar: EnglishFrench,
    translator: Translator,
    trainer: Trainer,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train on fresh sentences in every batch, with ten looks at held-out ones."""
    source_ids, target_ids = translator.source_vocabulary.token_id, translator.target_vocabulary.token_id
    batches = FreshBatches(
        lambda rng, n: grammar.sample_ids(rng, n, source_ids, target_ids),
        options.batch_size,
        seed=options.seed,
        pad=translator.model.pad,
        start=translator.start,
        eos=translator.target_vocabulary.eos,
    )
    # Not the test's: what is looked at while training could influence a choice.
    looking = held_out(grammar, generator(options, LOOKING), min(options.examples, 200))
    every = max(options.steps // 10, 1)
    look = Every(every, lambda trainer: glance(translator, looking))
    trainer.fit(batches, options.steps, [ProgressBar(), look, *callbacks])


def train(
    options: argparse.Namespace, grammar: EnglishFrench, translator: Translator, trainer: Trainer
) -> dict[str, Any]:
    """Train, and return the scores on held-out sentences."""
    fit(options, grammar, translator, trainer)
    say(f"trained {trainer.step:,} steps in {trainer.history.seconds:.0f} s; now the test")
    testing = held_out(grammar, generator(options, TESTING), options.examples)
    result: dict[str, Any] = {
        "seed": options.seed,
        "steps": trainer.step,
        "training_seconds": round(trainer.history.seconds, 2),
        "parameters": translator.model.n_parameters(),
        **scores(translator, testing),
    }
    flips = exchange_nouns(translator, grammar, testing["pronoun_hard"], generator(options, EXCHANGING))
    return {**result, "flips_with_antecedent": flips.antecedent, "flips_with_distractor": flips.distractor}


def held_out(grammar: EnglishFrench, rng: np.random.Generator, n: int) -> dict[str, list[Example]]:
    """n sentences of each kind that training never shows."""
    return {
        "exact_match": grammar.sample(rng, n, split="test"),
        "pronoun_hard": grammar.sample_hard(rng, n),
        "pronoun_easy": grammar.sample_easy(rng, n),
    }


def scores(translator: Translator, examples: dict[str, list[Example]]) -> dict[str, float]:
    """Greedy translations of held-out sentences: exact matches, and right pronouns where they are hard and easy."""
    return {
        "exact_match": exact_match(translator, examples["exact_match"]),
        "pronoun_hard": pronoun_accuracy(translator, examples["pronoun_hard"]),
        "pronoun_easy": pronoun_accuracy(translator, examples["pronoun_easy"]),
    }


def glance(translator: Translator, examples: dict[str, list[Example]]) -> dict[str, float]:
    """The same scores under teacher forcing, in a tenth of the time: a look while training goes on."""
    return {
        "exact_match": forced_scores(translator, examples["exact_match"])[0],
        "pronoun_hard": forced_scores(translator, examples["pronoun_hard"])[1],
        "pronoun_easy": forced_scores(translator, examples["pronoun_easy"])[1],
    }


def best_heads(translator: Translator, grammar: EnglishFrench, options: argparse.Namespace) -> list[Head]:
    """The head with most weight on the antecedent, in the encoder and in the decoder, for sentences like SHOWROOM.

    Heads specialise: each construction has its own. Chosen on training sentences, measured on held-out ones.
    """
    choosing = like_the_showroom(grammar, generator(options, CHOOSING), options.examples, "train")
    measuring = like_the_showroom(grammar, generator(options, MEASURING), options.examples, "test")
    best = []
    for kinds in (("it", "adjective"), ("cross",)):
        candidates = [head for kind in kinds for head in measure_heads(translator, choosing, kind)]
        if not candidates:  # an LSTM's encoder has none
            continue
        chosen = max(candidates, key=lambda head: head.antecedent - head.distractor)
        best += [
            head
            for head in measure_heads(translator, measuring, chosen.kind)
            if (head.block, head.head) == (chosen.block, chosen.head)
        ]
    return best


def verdict_on(head: Head) -> str:
    """A line about the best head; where it does not link the pronoun to its noun, it says so."""
    who = {"it": '"it"', "adjective": "the adjective", "cross": "il or elle"}[head.kind]
    numbers = (
        f"{head.antecedent:.2f} on the antecedent, {head.distractor:.2f} on the other noun, linked in {head.links:.0%}"
    )
    if head.links >= LINKING:
        return f"{who} finds the noun in {head}: {numbers}"
    return f"no head links {who} to the noun; nearest is {head}: {numbers}"


def table(numbers: dict[str, Any]) -> str:
    """The scores, a line each, for a person."""
    rows = (
        ("held-out sentences translated exactly", "exact_match"),
        ("right pronouns, the other noun nearer (hard)", "pronoun_hard"),
        ("right pronouns, the antecedent nearer (easy)", "pronoun_easy"),
        ("pronoun flips when the antecedent's gender does", "flips_with_antecedent"),
        ("pronoun flips when the other noun's gender does", "flips_with_distractor"),
    )
    return "\n".join(f"{label:50s} {100 * numbers[key]:6.1f} %" for label, key in rows)


def generator(options: argparse.Namespace, purpose: int) -> np.random.Generator:
    """A generator of its own for each purpose, the same one for the same seed."""
    return np.random.default_rng([options.seed, 0, 1000 + purpose])
