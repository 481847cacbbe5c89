"""Noun phrases and verb phrases in both languages at once: the grammar below the sentence.

Every function returns a pair (English words, French words), separated by spaces. The French is still uncontracted
("je ai", "de le chat"): agreement, word order, negation and auxiliaries are done here, and `spelling.contract` does the
rest over the whole sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from .lexicon import Adjective, Noun, Verb
from .spelling import starts_with_vowel

Pair = tuple[str, str]  # English, French
Pick = Callable[[Any], Any]  # chooses one of a sequence

# A slot says with whom a verb agrees: the six pronouns, then noun phrases (m, f, m plural, f plural).
# English does not tell the speaker's gender: such a speaker is masculine in French, as in school grammar.
PRONOUNS = (("i", "je"), ("you", "tu"), ("he", "il"), ("she", "elle"), ("we", "nous"), ("they", "ils"))
_PERSON = (0, 1, 2, 2, 3, 4, 2, 2, 4, 4)  # column of the French conjugation
_THIRD = (False, False, True, True, False, False, True, True, False, False)  # English -s
_FEMININE = (False, False, False, True, False, False, False, True, False, True)
_PLURAL = (False, False, False, False, True, True, False, False, True, True)

_AVOIR = ("ai", "as", "a", "avons", "ont")
_ETRE = ("suis", "es", "est", "sommes", "sont")
_ETRE_IMPERFECT = ("étais", "étais", "était", "étions", "étaient")
_ETRE_FUTURE = ("serai", "seras", "sera", "serons", "seront")
_AM = ("am", "are", "is", "are", "are")
_WAS = ("was", "were", "was", "were", "were")

_ADVERBS = {"not": "pas", "never": "jamais", "often": "souvent", "always": "toujours"}

# masculine, feminine, plural
DETERMINERS = {
    "the": ("le", "la", "les"),
    "a": ("un", "une", ""),
    "some": ("", "", "des"),
    "this": ("ce", "cette", ""),
    "that": ("ce", "cette", ""),
    "these": ("", "", "ces"),
    "those": ("", "", "ces"),
    "my": ("mon", "ma", "mes"),
    "your": ("ton", "ta", "tes"),
    "his": ("son", "sa", "ses"),
    "her": ("son", "sa", "ses"),
    "our": ("notre", "notre", "nos"),
    "their": ("leur", "leur", "leurs"),
    "two": ("", "", "deux"),
    "three": ("", "", "trois"),
    "many": ("", "", "beaucoup de"),
    "which": ("quel", "quelle", "quels"),
}


def slot_of(noun: Noun, plural: bool = False) -> int:
    """The slot of a noun phrase with this head."""
    return 6 + (noun.gender == "f") + 2 * plural


def adjective_for(slot: int, adjective: Adjective) -> str:
    """The French adjective as it agrees with the subject in this slot."""
    return adjective.agree("f" if _FEMININE[slot] else "m", _PLURAL[slot])


@cache
def noun_group(noun: Noun, plural: bool, before: Adjective | None, after: Adjective | None) -> Pair:
    """A noun with its adjectives, without determiner; `before` and `after` say where an adjective stands in French."""
    english = noun.english_plural if plural else noun.english
    french = noun.french_plural if plural else noun.french
    liaison = noun.gender == "m" and not plural and starts_with_vowel(noun.french)
    if after:
        english = f"{after.english} {english}"
        french = f"{french} {after.agree(noun.gender, plural)}"
    if before:
        english = f"{before.english} {english}"
        french = f"{before.before_vowel if liaison else before.agree(noun.gender, plural)} {french}"
    return english, french


@lru_cache(maxsize=1 << 14)  # holds almost all phrases, in a few megabytes
def noun_phrase(
    noun: Noun,
    determiner: str,
    plural: bool = False,
    before: Adjective | None = None,
    after: Adjective | None = None,
    negated: bool = False,
) -> Pair:
    """Determiner, adjectives and noun. After a negated verb *un, une, des* become *de*."""
    english, french = noun_group(noun, plural, before, after)
    article = DETERMINERS[determiner][2 if plural else noun.gender == "f"]
    if determiner == "a":
        if english[0] in "aeiou":
            determiner = "an"
        if negated:
            article = "de"
    elif determiner == "some":
        if negated:
            determiner = "any"
        if negated or before:  # de belles voitures
            article = "de"
    elif determiner == "which" and plural and noun.gender == "f":
        article = "quelles"
    return f"{determiner} {english}", f"{article} {french}"


@cache
def clause(
    verb: Verb, slot: int, tense: str, adverb: str = "", clitic: str = "", preceding_object: int | None = None
) -> Pair:
    """The verb of a statement, without its subject: ("does not eat", "ne mange pas").

    `tense` is present, progressive (a French present), past (passé composé) or future. `adverb` is "", "not", "never",
    "often" or "always". `clitic` stands before the French verb (me, le, lui, y); a participle with *avoir* agrees with
    the object before it, given as its slot, one with *être* with the subject.
    """
    return _english_verb(verb, slot, tense, adverb), _french_verb(verb, slot, tense, adverb, clitic, preceding_object)


def _english_verb(verb: Verb, slot: int, tense: str, adverb: str) -> str:
    base, third, past = verb.english
    if tense == "progressive":
        words = [_AM[_PERSON[slot]], adverb, base.removesuffix("e") + "ing"]
    elif tense == "future":
        words = ["will", adverb, base]
    elif adverb == "not":
        do = "did" if tense == "past" else "does" if _THIRD[slot] else "do"
        words = [do, "not", base]
    else:
        words = [adverb, past if tense == "past" else third if _THIRD[slot] else base]
    return " ".join(filter(None, [*words, verb.particle]))


def _french_verb(verb: Verb, slot: int, tense: str, adverb: str, clitic: str, preceding_object: int | None) -> str:
    person = _PERSON[slot]
    participle = ""
    if tense == "past":
        finite = (_ETRE if verb.auxiliary == "être" else _AVOIR)[person]
        agrees_with = slot if verb.auxiliary == "être" else preceding_object
        participle = verb.participle
        if agrees_with is not None:
            participle += "e" * _FEMININE[agrees_with] + "s" * _PLURAL[agrees_with]
    elif tense == "future":
        finite = verb.future[person]
    else:
        finite = verb.present[person]
    ne = "ne" if adverb in ("not", "never") else ""
    return " ".join(filter(None, [ne, clitic, finite, _ADVERBS.get(adverb, ""), participle]))


@cache
def question(verb: Verb, slot: int, tense: str, preceding_object: int | None = None) -> tuple[Pair, Pair]:
    """The two parts of a question around its subject: (("does", "est-ce que"), ("look at", "regarde"))."""
    present = "does" if _THIRD[slot] else "do"
    do = {"future": "will", "past": "did"}.get(tense, present)
    base = f"{verb.english[0]} {verb.particle}".rstrip()
    return (do, "est-ce que"), (base, _french_verb(verb, slot, tense, "", "", preceding_object))


@cache
def copula(slot: int, tense: str, adverb: str = "") -> Pair:
    """The verb *to be*: ("was not", "ne était pas"); its past is the French imperfect, since it describes."""
    person = _PERSON[slot]
    if tense == "future":
        english, finite = f"will {adverb} be", _ETRE_FUTURE[person]
    elif tense == "past":
        english, finite = f"{_WAS[person]} {adverb}", _ETRE_IMPERFECT[person]
    else:
        english, finite = f"{_AM[person]} {adverb}", _ETRE[person]
    ne = "ne " if adverb in ("not", "never") else ""
    return " ".join(english.split()), f"{ne}{finite} {_ADVERBS.get(adverb, '')}".rstrip()


@cache
def existence(tense: str, plural: bool, negated: bool) -> Pair:
    """There is, there are: *il y a*."""
    be = (_WAS if tense == "past" else _AM)[4 if plural else 2]
    has = "avait" if tense == "past" else "a"
    if negated:
        return f"there {be} no", f"il ne y {has} pas de"
    return f"there {be}", f"il y {has}"


def together(*phrases: Pair) -> Pair:
    """Phrases one after another, in both languages; an empty one leaves no space."""
    english, french = zip(*phrases)
    return " ".join(filter(None, english)), " ".join(filter(None, french))
