"""Does the model know what "it" is? Pronouns counted, nouns exchanged, and the head that links them found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data import Batch, EnglishFrench, Example, LanguageVocabulary, PairBatches, sequence_to_sequence_batch
from ..data.english_french.pronouns import noun_pair_held_out
from ..decoding import Translator
from ..layers import Array, Cache
from ..models import PreNormTransformer, TransformerConfig
from ..training import Adam, Callback, History, Trainer, WarmupCosine

STORED = Path(__file__).with_name("pronoun.npz")
SHOWROOM = "I got my car straight from the showroom, it was new."
IdPair = tuple[list[int], list[int]]


def id_pairs(translator: Translator, examples: Sequence[Example]) -> list[IdPair]:
    """Source and target ids of examples, without special tokens."""
    source, target = translator.source_vocabulary, translator.target_vocabulary
    return [(source.encode_tokens(e.english), target.encode_tokens(e.french)) for e in examples]


def translate_examples(translator: Translator, examples: Sequence[Example]) -> list[list[int]]:
    """Greedy translations of examples, as ids."""
    return translator.translate_ids([source for source, _ in id_pairs(translator, examples)], batch_size=250)


def exact_match(translator: Translator, examples: Sequence[Example]) -> float:
    """Share of examples whose greedy translation is the reference, word for word."""
    references = [target for _, target in id_pairs(translator, examples)]
    return float(np.mean([a == b for a, b in zip(translate_examples(translator, examples), references)]))


def pronouns(translator: Translator, examples: Sequence[Example]) -> list[str]:
    """What the greedy translation says for "it": the word where the reference has its il or elle."""
    tokens = translator.target_vocabulary.tokens
    return [
        tokens[ids[at]] if (at := example.french_pronoun) is not None and at < len(ids) else ""
        for example, ids in zip(examples, translate_examples(translator, examples))
    ]


def pronoun_accuracy(translator: Translator, examples: Sequence[Example]) -> float:
    """Share of examples in which the translation's pronoun is the right one."""
    wanted = [e.french[e.french_pronoun] if e.french_pronoun is not None else "" for e in examples]
    return float(np.mean([a == b for a, b in zip(pronouns(translator, examples), wanted)]))


@dataclass(frozen=True)
class NounExchange:
    """How often the pronoun changed when one noun was exchanged for one of the other gender."""

    antecedent: float
    distractor: float


def exchange_nouns(
    translator: Translator, grammar: EnglishFrench, examples: Sequence[Example], rng: np.random.Generator
) -> NounExchange:
    """Exchange the noun that "it" stands for, and then the other one, and see whether the pronoun follows."""
    before = pronouns(translator, examples)

    def flips(swap: Callable[[Example, np.random.Generator], Example]) -> float:
        after = pronouns(translator, [swap(example, rng) for example in examples])
        changed = [{a, b} == {"il", "elle"} for a, b in zip(before, after)]
        return float(np.mean(changed))

    return NounExchange(flips(grammar.swap_antecedent), flips(grammar.swap_distractor))


@dataclass(frozen=True)
class Head:
    """An attention head, and how it treats the two nouns when the pronoun asks.

    Attributes
    ----------
    kind : {"it", "adjective", "cross"}
        Who asks: "it" or the adjective said of it, in the encoder's self-attention; or the decoder, where it predicts
        il or elle, in encoder-decoder attention.
    block, head : int
    antecedent, distractor : float
        Average weight on each noun.
    links : float
        Share of sentences in which the antecedent has more than twice the distractor's weight.
    """

    kind: str
    block: int
    head: int
    antecedent: float
    distractor: float
    links: float

    def weights(self, cache: Cache) -> Array:
        """This head's attention map of the first sentence, (T, S)."""
        return attention_maps(cache, self.kind)[self.block][0, self.head]

    def __str__(self) -> str:
        where = "encoder-decoder attention" if self.kind == "cross" else "encoder"
        return f"{where}, block {self.block}, head {self.head}"  # counted from 0, as in the cache


def attention_maps(cache: Cache, kind: str) -> list[Array]:
    """The attention maps of one kind, (B, H, T, S) for each block; none where the encoder is an LSTM."""
    if kind == "cross":
        return [block["cross_attention"]["weights"] for block in cache["decoder"]["blocks"]]
    return [block["attention"]["weights"] for block in cache["encoder"].get("blocks", [])]


def asking(example: Example, kind: str) -> int:
    """The row of the attention map in which the two nouns are compared."""
    rows = {
        "it": example.pronoun,
        "adjective": len(example.english) - 2,  # every pronoun sentence ends in its adjective and a full stop
        "cross": example.french_pronoun,  # the decoder predicts the target's word t where it reads word t - 1
    }
    row = rows[kind]
    if row is None:
        raise ValueError(f"example is {example.english_text!r}: it has no pronoun to settle")
    return row


def measure_heads(translator: Translator, examples: Sequence[Example], kind: str) -> list[Head]:
    """Every head of one kind, if any, the best linking first, over pronoun sentences with their true translations."""
    seen = list(_nouns_seen(translator, examples, kind))
    if not seen:
        return []
    on_antecedent, on_distractor = zip(*seen)
    a, d = np.concatenate(on_antecedent, axis=-1), np.concatenate(on_distractor, axis=-1)  # (blocks, H, N)
    heads = [
        Head(kind, b, h, float(a[b, h].mean()), float(d[b, h].mean()), float((a[b, h] > 2 * d[b, h]).mean()))
        for b in range(a.shape[0])
        for h in range(a.shape[1])
    ]
    return sorted(heads, key=lambda head: head.antecedent - head.distractor, reverse=True)


def _nouns_seen(translator: Translator, examples: Sequence[Example], kind: str) -> Iterator[tuple[Array, Array]]:
    """For each batch the weights on antecedent and distractor, (blocks, H, B)."""
    for part, batch in teacher_forced(translator, examples):
        source, target = batch.inputs
        _, cache = translator.model.forward(source, target)
        if not attention_maps(cache, kind):
            return
        rows = np.arange(len(part))
        antecedent, distractor = np.array([(e.antecedent, e.distractor) for e in part]).T
        asked = np.array([asking(e, kind) for e in part])
        weights = np.stack(attention_maps(cache, kind))[:, rows, :, asked]  # (blocks, B, H, T, S) -> (B, blocks, H, S)
        yield tuple(  # type: ignore[misc]
            np.moveaxis(weights[rows, :, :, nouns], 0, -1)  # (B, blocks, H) -> (blocks, H, B)
            for nouns in (antecedent, distractor)
        )


def teacher_forced(
    translator: Translator, examples: Sequence[Example], batch_size: int = 250
) -> Iterator[tuple[Sequence[Example], Batch]]:
    """Examples and their batches, in order."""
    pad, eos = translator.model.pad, translator.target_vocabulary.eos
    for first in range(0, len(examples), batch_size):
        part = examples[first : first + batch_size]
        pairs = id_pairs(translator, part)
        yield part, sequence_to_sequence_batch(pairs, pad=pad, start=translator.start, eos=eos)


def forced_scores(translator: Translator, examples: Sequence[Example]) -> tuple[float, float]:
    """(exact match, right pronouns) when each word is predicted from the true ones before it.

    The first is the exact match of greedy translations, without translating (see `training.evaluation`).
    """
    exact: list[bool] = []
    pronoun: list[bool] = []
    for part, batch in teacher_forced(translator, examples):
        right = (translator.model(*batch.inputs).argmax(axis=-1) == batch.targets) | (batch.targets == batch.pad)
        exact += right.all(axis=1).tolist()
        pronoun += [bool(right[row, e.french_pronoun]) for row, e in enumerate(part) if e.french_pronoun is not None]
    return float(np.mean(exact)), float(np.mean(pronoun)) if pronoun else 0.0


def pronoun_translator(
    seed: int = 0, steps: int = 1200, n_examples: int = 15_000, callbacks: Sequence[Callback] = ()
) -> tuple[Translator, History]:
    """A small translator, trained in seconds on sentences with a pronoun that only the sense settles.

    Its encoder has two blocks of one head each: in the first "it" can read the adjective, in the second find the noun
    of which that may be said. A third of the sentences have two nouns of one gender, in which the rule "the gender that
    the other noun does not have" is wrong.

    Parameters
    ----------
    seed : int
        Of the first weights.
    steps : int
    n_examples : int
        Hard sentences, and easy ones, of the training split.
    callbacks : sequence of Callback
    """
    grammar, rng = EnglishFrench(), np.random.default_rng(0)
    examples = [*grammar.sample_hard(rng, n_examples, "train"), *grammar.sample_easy(rng, n_examples, "train")]
    same_gender = [grammar.swap_distractor(example, rng) for example in examples[::2]]
    examples += [e for e in same_gender if e.derivation and not noun_pair_held_out(e.derivation.x, e.derivation.y)]
    translator = _untrained(grammar, seed)
    french = translator.target_vocabulary
    batches = PairBatches(id_pairs(translator, examples), 32, seed=0, start=french.bos, eos=french.eos)
    schedule = WarmupCosine(3e-3, steps, warmup=min(100, steps))
    trainer = Trainer(translator.model, Adam(0.9, 0.98), schedule, seed=seed)
    return translator, trainer.fit(batches, steps, callbacks)


def stored_pronoun_translator() -> Translator:
    """What `pronoun_translator(seed=1)` trained on one machine, with weights rounded to 16 bits.

    It is stored since another processor adds in another order, and 1,200 steps make another model of that.
    """
    translator = _untrained(EnglishFrench(), seed=1)
    vector, used = np.load(STORED)["weights"], 0
    for parameter in translator.model.parameters():
        parameter.assign(vector[used : used + parameter.size].reshape(parameter.shape).astype(parameter.dtype))
        used += parameter.size
    return translator


def _untrained(grammar: EnglishFrench, seed: int) -> Translator:
    english = LanguageVocabulary(grammar.source_tokens, "english")
    french = LanguageVocabulary(grammar.target_tokens, "french")
    config = TransformerConfig(
        len(english), len(french), d_model=64, n_heads=1, d_ff=128, n_encoder_blocks=2, n_decoder_blocks=1, dropout=0.0
    )
    model = PreNormTransformer(config, np.random.default_rng(seed))
    return Translator("pre-norm", model, english, french, start=french.bos)


def like_the_showroom(grammar: EnglishFrench, rng: np.random.Generator, n: int, split: str) -> list[Example]:
    """n hard sentences in which somebody got one thing straight from another."""
    found: list[Example] = []
    while len(found) < n:
        found += [e for e in grammar.sample_hard(rng, 10 * n, split) if "straight" in e.english]
    return found[:n]
