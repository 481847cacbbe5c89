"""What the two architectures are compared on: a reversal, the built-in grammar, pairs of a file; and the figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    sequence_to_sequence_batch,
    split_by_source,
)
from ..data.vocabulary import SPECIALS
from ..models import EncoderDecoder, LSTMConfig, TransformerConfig, build_model
from .comparison import Comparison, Task, matched

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


def candidates(
    transformer: str, config: TransformerConfig, lstm: str, lstm_layers: int = 1, seed: int = 0
) -> dict[str, EncoderDecoder]:
    """A Transformer, and an LSTM of the width at which it has about as many parameters; ValueError for wrong sizes.

    Parameters
    ----------
    transformer, lstm : str
        What MODELS calls them.
    config : TransformerConfig
    lstm_layers : int
        Layers on both sides.
    seed : int
    """
    larger = build_model(transformer, config, np.random.default_rng(seed))
    layers = {"n_encoder_layers": lstm_layers, "n_decoder_layers": lstm_layers}
    like = LSTMConfig(config.source_vocab, config.target_vocab, dropout=config.dropout, **layers)
    like = matched(lstm, like, larger.n_parameters())
    return {"LSTM": build_model(lstm, like, np.random.default_rng(seed)), "Transformer": larger}


def reversal(n_symbols: int = 20, longest: int = 12, batch_size: int = 32, seed: int = 0) -> Material:
    """Lists of symbols to be reversed, fresh ones in every batch; ValueError where there are too few symbols."""
    toy = ToyTask("reverse", n_symbols, 1, longest)
    held_out = toy.sample(np.random.default_rng([seed, TESTING]), HELD_OUT, "test")
    vocabulary = toy.vocabulary

    def of_length(length: int) -> Batch:
        rng = np.random.default_rng([seed, MAKING, length])
        return batch_of(ToyTask("reverse", n_symbols, length, length).sample(rng, OF_LENGTH, "test"))

    beyond = np.linspace(longest + 1, 2 * longest, 12).round().astype(int).tolist()
    for length in range(2, 9):  # of short ones there are few, and perhaps none is held out
        of_length(length)
    alike, shown = of_length(longest).shares(2)
    source = [*shown.inputs[0][0]]
    task = Task(
        batches=FreshBatches(toy.sample, batch_size, seed=seed),
        held_out=[batch for _, batch in evaluation_batches(held_out, 64)],
        sentence=Batch(tuple(ids[:1] for ids in shown.inputs), shown.targets[:1]),
        alike=alike,
        symbols=range(len(SPECIALS), len(SPECIALS) + n_symbols),
        of_length=of_length,
        lengths=sorted({max(2, longest // 4), max(2, longest // 2), longest, *beyond}),
        longest=longest,
    )
    return Material(task, len(vocabulary), None, vocabulary.labels(source), vocabulary.labels([*shown.targets[0]]))


def english_french(batch_size: int = 32, seed: int = 0) -> Material:
    """Sentences of the built-in grammar, fresh ones in every batch."""
    grammar = EnglishFrench()
    english = LanguageVocabulary(grammar.source_tokens, "english")
    french = LanguageVocabulary(grammar.target_tokens, "french")
    examples = grammar.sample(np.random.default_rng([seed, TESTING]), HELD_OUT, "test")
    ids = [(english.encode(example.english_text), french.encode(example.french_text)) for example in examples]
    task = Task(
        batches=FreshBatches(
            lambda rng, n: grammar.sample_ids(rng, n, english.token_id, french.token_id),
            batch_size,
            seed=seed,
        ),
        held_out=[batch for _, batch in evaluation_batches(ids, 64)],
        sentence=batch_of([(english.encode(SHOWN[0]), french.encode(SHOWN[1]))]),
        alike=batch_of(ids[:SENTENCES]),
        symbols=range(len(SPECIALS), min(len(english), len(french))),
    )
    words = (side.labels([*side.encode(text), side.eos]) for side, text in zip((english, french), SHOWN))
    return Material(task, len(english), len(french), *words)


def from_pairs(
    pairs: Sequence[tuple[str, str]], vocab_size: int = 4000, batch_size: int = 32, seed: int = 0
) -> Material:
    """Sentence pairs, with one vocabulary of byte pairs for both languages; ValueError where that is too small."""
    training, held_out = split_by_source(pairs, (0.9, 0.1), seed)
    vocabulary = BytePairVocabulary.train([text for pair in training for text in pair], vocab_size)
    ids = [[(vocabulary.encode(a), vocabulary.encode(b)) for a, b in part] for part in (training, held_out[:HELD_OUT])]
    shown = min(ids[1], key=lambda pair: abs(len(pair[0]) - 9) + abs(len(pair[1]) - 9))
    task = Task(
        batches=PairBatches(ids[0], batch_size, seed=seed),
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


def drawn(material: Material, comparison: Comparison) -> dict[str, Any]:
    """The three figures by name."""
    from ..plotting import comparison_figures

    return comparison_figures(comparison, material.target, material.source)
