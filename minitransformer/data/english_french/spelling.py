"""What happens where French words meet, and how sentences are cut into tokens and put together again.

A sentence is first written down as a beginner would think it, "je ai vu le chat de la homme", and `contract` turns that
into what is said: "j' ai vu le chat de l' homme". A word that elides no longer fuses: de + le chat is "du chat", but
de + l'homme stays "de l'homme".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_VOWELS = frozenset("aeiouyàâéèêëîïôûùœh")
# The h of these words is "aspirated": it counts as a consonant (le héros, but l'héroïne and l'homme).
_ASPIRATED = frozenset(("héros", "hibou", "hiboux"))

_BEFORE_VOWEL = {
    **{word: word[:-1] + "'" for word in ("je", "me", "te", "ne", "le", "la", "de", "que")},
    "ma": "mon",
    "ta": "ton",
    "sa": "son",
    "ce": "cet",
}
_FUSED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}
_CHANGING = frozenset(_BEFORE_VOWEL) | {"les"}


def starts_with_vowel(word: str) -> bool:
    """Whether a French word makes the word before it elide."""
    return word[:1] in _VOWELS and word not in _ASPIRATED


def contract(words: Sequence[str]) -> list[str]:
    """French words with elision (l', j', qu'), liaison forms (mon, cet) and contraction (du, aux) carried out."""
    said = list(words)
    # From the right, because fusing shortens the list. Few words can change: only those are looked at.
    for i in reversed([i for i, word in enumerate(said) if word in _CHANGING]):
        word = said[i]
        if word in _BEFORE_VOWEL and i + 1 < len(said) and starts_with_vowel(said[i + 1]):
            said[i] = _BEFORE_VOWEL[word]
        elif i and (said[i - 1], word) in _FUSED:
            said[i - 1 : i + 1] = [_FUSED[said[i - 1], word]]
    return said


# -- tokens and text ------------------------------------------------------------------------------------------------

_CAPITALISED = {"i": "I", "french": "French", "italian": "Italian"}

_TOKENS = {
    "english": re.compile(r"\w+(?:['-]\w+)*|[^\w\s]"),
    # aujourd'hui is one word; otherwise everything up to an apostrophe is an elided word (l', qu', jusqu')
    "french": re.compile(r"aujourd'hui\b|\w+'(?=\w)|\w+(?:-\w+)*|[^\w\s]"),
}
_APOSTROPHES = str.maketrans("\u2019\u2018\u02bc\u2032", "''''")


def _check(language: str) -> None:
    if language not in _TOKENS:
        raise ValueError(f"language is {language!r}; it must be 'english' or 'french'")


def tokenize(text: str, language: str) -> list[str]:
    """Lower-cased words, elided words ("l'") and punctuation marks, each a token of its own."""
    _check(language)
    return _TOKENS[language].findall(text.translate(_APOSTROPHES).lower())


def detokenize(tokens: Sequence[str], language: str) -> str:
    """The sentence as a person writes it: capital letter, no space before a comma or after an elision."""
    _check(language)
    french = language == "french"
    text = ""
    for token in tokens:
        if not french:
            token = _CAPITALISED.get(token, token)
        closes = token in (",", ".") or (token in ("?", "!", ";", ":") and not french)
        elided = french and text.endswith("'")
        text += token if not text or closes or elided else " " + token
    return text[:1].upper() + text[1:]
