"""Sentences in which only the sense tells what "it" stands for: "I got my car straight from the showroom, it was new."

French must choose between *il* and *elle*, so the reader has to find out which of the two nouns "it" stands for. Word
order does not tell: every construction exists with either noun first, and either may be meant. What tells is

    the predicate   only a fruit is ripe, only a place is crowded
    the role        what does not fit is too big, what it does not fit in is too small; who escapes is fast

and then the gender of that noun, which is a matter of the French dictionary.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from .lexicon import (
    ADJECTIVES,
    ANIMALS,
    CONTAINERS,
    FRUITS,
    FURNITURE,
    GOODS,
    OPENINGS,
    PEOPLE,
    PLACES,
    SHOPS,
    Adjective,
    Noun,
    Verb,
    adjectives,
    nouns,
    verbs,
)
from .phrases import PRONOUNS, Pair, Pick, clause, noun_phrase, slot_of


@dataclass(frozen=True, eq=False)
class Construction:
    """One pattern in both languages: {x} and {y} are the two nouns, {p} what is said of "it"."""

    name: str
    english: str
    french: str
    x_nouns: tuple[Noun, ...]
    y_nouns: tuple[Noun, ...]
    fits_x: tuple[Adjective, ...]  # said of {x}
    fits_y: tuple[Adjective, ...]  # said of {y}
    verbs: tuple[Verb, ...] = ()  # what {s} did

    @cached_property
    def train_pairs(self) -> tuple[tuple[Noun, Noun], ...]:
        """The pairs of nouns that training may show."""
        return tuple(pair for pair in self._pairs() if not noun_pair_held_out(*pair))

    @cached_property
    def test_pairs(self) -> tuple[tuple[Noun, Noun], ...]:
        """The pairs of nouns that are held out."""
        return tuple(pair for pair in self._pairs() if noun_pair_held_out(*pair))

    def _pairs(self) -> list[tuple[Noun, Noun]]:
        return [(x, y) for x in self.x_nouns for y in self.y_nouns if x is not y]

    @property
    def x_first(self) -> bool:
        """Whether {x} is named before {y}, which is then nearer to the pronoun."""
        return self.english.index("{x}") < self.english.index("{y}")


_SALT = "3484 "


def noun_pair_held_out(one: Noun, other: Noun) -> bool:
    """Whether sentences about these two nouns, in any roles, belong to the test split (about one pair in seven)."""
    # The salt was chosen so that every construction keeps pairs of each (gender, gender) in either split.
    return zlib.crc32((_SALT + " ".join(sorted((one.english, other.english)))).encode()) % 8 == 0


# -- the constructions ----------------------------------------------------------------------------------------------

_PACKED = nouns("violin computer mirror umbrella guitar lamp statue clock")
_GOODS_ARE = adjectives("expensive heavy broken") + (ADJECTIVES["new (brand)"],)
_FRUITS_ARE = adjectives("ripe juicy rotten")
_ANIMALS_ARE = adjectives("tired nervous aggressive")
_PLACES_ARE = adjectives("crowded lively deserted")
_CONTAINERS_ARE = adjectives("open deep full")
_FURNITURE_ARE = adjectives("wobbly low")
_LOCATING = verbs("find", "forget", "leave", "hide", "see")


def _both_orders(
    name: str,
    x_first: Pair,
    y_first: Pair,
    nouns_of: tuple[tuple[Noun, ...], tuple[Noun, ...]],
    x_first_fits: tuple[tuple[Adjective, ...], tuple[Adjective, ...]],
    y_first_fits: tuple[tuple[Adjective, ...], tuple[Adjective, ...]] | None = None,
    verbs_of: tuple[Verb, ...] = (),
) -> tuple[Construction, Construction]:
    return (
        Construction(f"{name}, x first", *x_first, *nouns_of, *x_first_fits, verbs_of),
        Construction(f"{name}, y first", *y_first, *nouns_of, *(y_first_fits or x_first_fits), verbs_of),
    )


def _located(name: str, preposition: Pair, *rest: Any) -> tuple[Construction, Construction]:
    at, à = preposition
    return _both_orders(
        name,
        (f"{{s}} {{v}} {{x}} {at} {{y}} , it was {{p}} .", f"{{s}} {{v}} {{x}} {à} {{y}} , {{it}} était {{p}} ."),
        (
            f"{at} {{y}} {{s}} {{v}} {{x}} , it was {{p}} .",
            f"{à} {{y}} , {{s}} {{v}} {{x}} , {{it}} était {{p}} .",
        ),
        *rest,
    )


CONSTRUCTIONS = (
    *_both_orders(
        "bought from",
        (
            "{s} {v} {x} straight from {y} , it was {p} .",
            "{s} {v} {x} directement de {y} , {it} était {p} .",
        ),
        ("{y} sold {io} {x} , it was {p} .", "{y} {io} a vendu {x} , {it} était {p} ."),
        (GOODS, SHOPS),
        (_GOODS_ARE, _PLACES_ARE),
        None,
        verbs("get"),
    ),
    *_located(
        "goods at a place",
        ("at", "à"),
        (GOODS, PLACES),
        (_GOODS_ARE, _PLACES_ARE),
        None,
        verbs("find", "forget", "leave", "see", "buy", "lose"),
    ),
    *_located(
        "fruit at a place",
        ("at", "à"),
        (FRUITS, nouns("market shop hotel station school factory")),
        (_FRUITS_ARE, _PLACES_ARE),
        None,
        verbs("find", "forget", "leave", "see", "buy"),
    ),
    *_located(
        "fruit in a container", ("in", "dans"), (FRUITS, CONTAINERS), (_FRUITS_ARE, _CONTAINERS_ARE), None, _LOCATING
    ),
    *_located(
        "fruit on furniture",
        ("on", "sur"),
        (FRUITS, FURNITURE),
        (_FRUITS_ARE, _FURNITURE_ARE),
        None,
        verbs("find", "forget", "leave", "see"),
    ),
    *_located(
        "animal under furniture",
        ("under", "sous"),
        (ANIMALS, FURNITURE),
        (_ANIMALS_ARE, _FURNITURE_ARE),
        None,
        verbs("find", "see"),
    ),
    *_both_orders(
        "fit in",
        (
            "{x} did not fit in {y} because it was too {p} .",
            "{x} ne tenait pas dans {y} parce que {it} était trop {p} .",
        ),
        (
            "{y} could not hold {x} because it was too {p} .",
            "{y} ne pouvait pas contenir {x} parce que {it} était trop {p} .",
        ),
        (_PACKED, CONTAINERS),
        (adjectives("big wide long"), adjectives("small narrow short")),
    ),
    *_both_orders(
        "fit in, present",
        (
            "{x} does not fit in {y} because it is too {p} .",
            "{x} ne tient pas dans {y} parce que {it} est trop {p} .",
        ),
        (
            "{y} cannot hold {x} because it is too {p} .",
            "{y} ne peut pas contenir {x} parce que {it} est trop {p} .",
        ),
        (_PACKED, CONTAINERS),
        (adjectives("big wide long"), adjectives("small narrow short")),
    ),
    *_both_orders(
        "go through",
        (
            "{x} did not go through {y} because it was too {p} .",
            "{x} ne passait pas par {y} parce que {it} était trop {p} .",
        ),
        (
            "{y} did not let {x} through because it was too {p} .",
            "{y} ne laissait pas passer {x} parce que {it} était trop {p} .",
        ),
        (FURNITURE, OPENINGS),
        (adjectives("big wide"), adjectives("small narrow")),
    ),
    *_both_orders(
        "break",
        ("{x} broke {y} because it was too {p} .", "{x} a cassé {y} parce que {it} était trop {p} ."),
        (
            "{y} gave way under {x} because it was too {p} .",
            "{y} a cédé sous {x} parce que {it} était trop {p} .",
        ),
        (_PACKED, FURNITURE),
        (adjectives("heavy big"), adjectives("fragile old")),
    ),
    *_both_orders(
        "catch",
        ("{x} caught {y} because it was {p} .", "{x} a attrapé {y} parce que {it} était {p} ."),
        ("{y} escaped from {x} because it was {p} .", "{y} a échappé à {x} parce que {it} était {p} ."),
        (ANIMALS, ANIMALS),
        (adjectives("fast"), adjectives("slow")),
        (adjectives("slow"), adjectives("fast")),
    ),
    *_both_orders(
        "frighten",
        ("{x} frightened {y} because it was {p} .", "{x} a effrayé {y} parce que {it} était {p} ."),
        ("{y} avoided {x} because it was {p} .", "{y} a évité {x} parce que {it} était {p} ."),
        (ANIMALS, ANIMALS),
        (adjectives("aggressive noisy"), adjectives("shy nervous")),
    ),
)

# -- drawing and rendering ------------------------------------------------------------------------------------------

DATIVES = (("me", "me"), ("you", "te"), ("him", "lui"), ("her", "lui"), ("us", "nous"), ("them", "leur"))
_DETERMINERS = ("the", "the", "the", "this", "that", "my", "your", "his", "her", "our", "their")
_DETERMINERS_OF_PLACES = ("the", "the", "the", "this", "that", "our")
_PUBLIC = frozenset(PLACES + OPENINGS)
_WHO = tuple((who, slot) for slot, who in enumerate(PRONOUNS)) * 2 + tuple(
    (noun_phrase(noun, "the"), slot_of(noun)) for noun in PEOPLE
)


class PronounSentence(NamedTuple):
    """Every choice that makes one pronoun sentence; `render` writes it in both languages."""

    construction: Construction
    x: Noun
    y: Noun
    means: str  # "x" or "y": the noun that "it" stands for
    predicate: Adjective
    x_determiner: str
    y_determiner: str
    who: tuple[Pair, int] | None  # the subject and its slot
    verb: Verb | None
    to_whom: Pair

    @property
    def antecedent(self) -> Noun:
        return self.x if self.means == "x" else self.y

    @property
    def distractor(self) -> Noun:
        return self.y if self.means == "x" else self.x

    def render(self) -> Pair:
        """The English and the (uncontracted) French sentence."""
        gender = self.antecedent.gender
        subject = did = ("", "")
        if self.who and self.verb:
            subject, slot = self.who
            did = clause(self.verb, slot, "past")
        it = ("it", "il" if gender == "m" else "elle")
        said = (self.predicate.english, self.predicate.agree(gender))
        x, y = noun_phrase(self.x, self.x_determiner), noun_phrase(self.y, self.y_determiner)
        english, french = (
            pattern.format(x=x[i], y=y[i], p=said[i], it=it[i], s=subject[i], v=did[i], io=self.to_whom[i])
            for i, pattern in enumerate((self.construction.english, self.construction.french))
        )
        return english, french


def draw_sentence(
    pick: Pick, construction: Construction, means: str | None = None, split: str = "train", differ: bool = False
) -> PronounSentence:
    """A sentence of this construction; `differ` asks for two nouns of different gender."""
    pairs = construction.train_pairs if split == "train" else construction.test_pairs
    x, y = pick(pairs)
    while differ and x.gender == y.gender:
        x, y = pick(pairs)
    means = means or pick(("x", "y"))
    has_subject = "{s}" in construction.english
    return PronounSentence(
        construction,
        x,
        y,
        means,
        pick(construction.fits_x if means == "x" else construction.fits_y),
        pick(_DETERMINERS),
        pick(_DETERMINERS_OF_PLACES if y in _PUBLIC else _DETERMINERS),
        pick(_WHO) if has_subject else None,
        pick(construction.verbs) if has_subject else None,
        pick(DATIVES) if "{io}" in construction.english else ("", ""),
    )


def swap(pick: Pick, sentence: PronounSentence, role: str) -> PronounSentence:
    """The sentence with the noun in `role` ("x" or "y") exchanged for one of the other gender.

    The new pair of nouns comes from the same split as the old one where the construction has such a pair, else from the
    other.
    """
    construction = sentence.construction
    old, kept = (sentence.x, sentence.y) if role == "x" else (sentence.y, sentence.x)
    candidates = construction.x_nouns if role == "x" else construction.y_nouns
    others = [noun for noun in candidates if noun.gender != old.gender and noun is not kept]
    split = noun_pair_held_out(old, kept)
    same_split = [noun for noun in others if noun_pair_held_out(noun, kept) == split]
    new = pick(same_split or others)
    return sentence._replace(x=new) if role == "x" else sentence._replace(y=new)
