"""The built-in task: English sentences, each with its one correct French translation, from a bilingual grammar.

Nothing to download and millions of sentences: every template draws its words once and writes them in both languages.
Half of the sentences hold a pronoun that only the sense settles (`pronouns`), the others are in `sentences`. Held out:

    sentences     one in ten of those without such a pronoun, by a checksum of the English words
    noun pairs    one in seven of those between which a pronoun has to choose, by a checksum of the two nouns

so the training split never shows what the test split asks.

How many sentences there are: the choices of the pronoun sentences multiply to 18.7 million. Of all sentences, a sample
of 400,000 (seed 0) had 334,000 different ones; by how many of them came once and how many twice (Chao's estimate
S + f1^2 / 2 f2, a lower bound) there are at least 2.5 million, and the 18.7 million say how low a bound it is.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .phrases import Pick
from .pronouns import CONSTRUCTIONS, PronounSentence, draw_sentence, swap
from .sentences import TEMPLATES, word_forms
from .spelling import contract, detokenize

_IS_PRONOUN_SENTENCE = (True, False)
# Two nouns of one gender do not teach which of them is meant. But without such pairs the rule "take the gender that
# the wrong noun does not have" would suffice.
_GENDERS_MUST_DIFFER = (True, True, False)


@dataclass(frozen=True)
class Example:
    """One sentence in both languages, as tokens; in pronoun sentences also what "it" may refer to."""

    english: tuple[str, ...]
    french: tuple[str, ...]
    template: str  # name of the construction
    pronoun: int | None = None  # index of "it" in english
    antecedent: int | None = None  # index in english of the noun that "it" refers to
    distractor: int | None = None  # index in english of the other noun
    derivation: PronounSentence | None = field(default=None, repr=False, compare=False)

    @property
    def english_text(self) -> str:
        return detokenize(self.english, "english")

    @property
    def french_text(self) -> str:
        return detokenize(self.french, "french")

    @cached_property
    def french_pronoun(self) -> int | None:
        """Index in french of the *il* or *elle* that renders "it"; None without such a pronoun."""
        if self.pronoun is None:
            return None
        return max(i for i, token in enumerate(self.french) if token in ("il", "elle"))


def held_out(english: str) -> bool:
    """Whether this sentence (English tokens joined by spaces) is one of the tenth kept for the test split."""
    return zlib.crc32(english.encode()) % 10 == 0


def _dice(rng: np.random.Generator) -> Pick:
    # Python's generator draws a single number in a tenth of NumPy's time, and a sentence needs about 13 numbers.
    uniform = random.Random(int(rng.integers(1 << 62))).random

    def pick(options: Sequence[Any]) -> Any:
        return options[int(uniform() * len(options))]

    return pick


def _check_split(split: str) -> None:
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; it must be 'train' or 'test'")


Drawn = tuple[str, "PronounSentence | None", list[str], list[str]]  # template, derivation, English, French


def _draw(pick: Pick, split: str) -> Drawn:
    """One sentence of the split, from any template."""
    if pick(_IS_PRONOUN_SENTENCE):
        sentence = draw_sentence(pick, pick(CONSTRUCTIONS), split=split, differ=pick(_GENDERS_MUST_DIFFER))
        return _written(sentence)
    while True:
        template = pick(TEMPLATES)
        english, french = template(pick)
        if held_out(english) == (split == "test"):
            return template.__name__.strip("_"), None, english.split(), contract(french.split())


def _written(sentence: PronounSentence) -> Drawn:
    english, french = sentence.render()
    return sentence.construction.name, sentence, english.split(), contract(french.split())


def _example(drawn: Drawn) -> Example:
    template, sentence, english, french = drawn
    if sentence is None:
        return Example(tuple(english), tuple(french), template)
    return Example(
        tuple(english),
        tuple(french),
        template,
        pronoun=english.index("it"),
        antecedent=english.index(sentence.antecedent.english),
        distractor=english.index(sentence.distractor.english),
        derivation=sentence,
    )


class EnglishFrench:
    """The built-in English-to-French task: draws sentences, and knows every word that they can hold.

    Attributes
    ----------
    source_tokens, target_tokens
        All English and all French tokens, sorted; no special tokens among them.

    Notes
    -----
    Each call advances the generator that it is given by a single draw, and the same generator state gives the same
    sentences. The training split has no plain sentence that is `held_out`, and no ambiguous pronoun between two nouns
    that are held out as a pair (`pronouns.noun_pair_held_out`). The test split has nothing else, also of nouns,
    words and constructions that training shows, every one of them.
    """

    def __init__(self) -> None:
        self.source_tokens, self.target_tokens = word_forms()

    def sample(self, rng: np.random.Generator, n: int, split: str = "train") -> list[Example]:
        """`n` sentences from the whole grammar, half of them with an ambiguous pronoun."""
        _check_split(split)
        pick = _dice(rng)
        return [_example(_draw(pick, split)) for _ in range(n)]

    def sample_ids(
        self, rng: np.random.Generator, n: int, source_ids: dict[str, int], target_ids: dict[str, int]
    ) -> list[tuple[list[int], list[int]]]:
        """The sentences of `sample(rng, n)` as ids, for training, without all that training does not need."""
        pick = _dice(rng)
        source_id, target_id = source_ids.__getitem__, target_ids.__getitem__
        pairs = []
        for _ in range(n):
            _, _, english, french = _draw(pick, "train")
            pairs.append((list(map(source_id, english)), list(map(target_id, french))))
        return pairs

    def sample_hard(self, rng: np.random.Generator, n: int, split: str = "test") -> list[Example]:
        """Pronoun sentences in which a noun of the other gender stands between the antecedent and "it"."""
        return self._sample_pronouns(rng, n, split, nearest=False)

    def sample_easy(self, rng: np.random.Generator, n: int, split: str = "test") -> list[Example]:
        """Pronoun sentences in which the antecedent is the nearer noun; the other one still differs in gender."""
        return self._sample_pronouns(rng, n, split, nearest=True)

    @staticmethod
    def _sample_pronouns(rng: np.random.Generator, n: int, split: str, nearest: bool) -> list[Example]:
        _check_split(split)
        pick = _dice(rng)
        examples = []
        for _ in range(n):
            construction = pick(CONSTRUCTIONS)
            means = "y" if construction.x_first == nearest else "x"
            sentence = draw_sentence(pick, construction, means, split, differ=True)
            examples.append(_example(_written(sentence)))
        return examples

    def swap_antecedent(self, example: Example, rng: np.random.Generator) -> Example:
        """The sentence about a noun of the other gender: *il* becomes *elle* or the reverse, with all that agrees."""
        return self._swap(example, rng, antecedent=True)

    def swap_distractor(self, example: Example, rng: np.random.Generator) -> Example:
        """The noun that "it" does not mean exchanged for one of the other gender: the pronoun stays."""
        return self._swap(example, rng, antecedent=False)

    @staticmethod
    def _swap(example: Example, rng: np.random.Generator, antecedent: bool) -> Example:
        sentence = example.derivation
        if sentence is None:
            raise ValueError(f"example is {example.english_text!r}; only pronoun sentences have nouns to swap")
        role = sentence.means if antecedent else "xy".replace(sentence.means, "")
        return _example(_written(swap(_dice(rng), sentence, role)))
