"""The vocabulary of a language of the built-in grammar: its words, cut and joined by the language's own rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...arguments import checked
from ..vocabulary import Vocabulary, stored
from .spelling import detokenize, tokenize


@checked
class LanguageVocabulary(Vocabulary):
    """Lower-cased words of English or French, elisions (l', qu') and punctuation marks on their own.

    Parameters
    ----------
    tokens : iterable of str
        The words in the order of their ids, without the special tokens.
    language : {"english", "french"}
        Whose rules cut a text into words and write words as a text.
    """

    kind = "language"

    def __init__(self, tokens: Iterable[str], language: str) -> None:
        super().__init__(tokens)
        tokenize("", language)  # raises ValueError for a language that has no rules
        self.language = language

    def split(self, text: str) -> list[str]:
        return tokenize(text, self.language)

    def join(self, pieces: Sequence[str]) -> str:
        return detokenize(list(pieces), self.language)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "language": self.language}

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> LanguageVocabulary:
        return cls(stored(d, "tokens", list), stored(d, "language", str))
