"""Vocabularies: text -> pieces -> ids, and back without loss.

A vocabulary is a rule that cuts text into pieces and a numbered list of the pieces that it knows::

    "C'est l'homme."  --split-->  C'  est  l'  homme  .  --encode-->  7 5 9 12 4

Ids 0 to 3 are the same everywhere: padding, beginning of sequence, end of sequence, unknown.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..arguments import checked

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")


@checked
class Vocabulary(ABC):
    """A numbered list of pieces of text and the rule that cuts text into them.

    Parameters
    ----------
    tokens : iterable of str
        The pieces in the order of their ids, without the four special tokens, which come first by themselves.

    Attributes
    ----------
    tokens : tuple of str
        Every token; the index is the id.
    token_id : dict
        The id of every token.
    """

    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type[Vocabulary]]] = {}
    pad, bos, eos, unk = PAD, BOS, EOS, UNK

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Vocabulary.kinds[cls.kind] = cls

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = SPECIALS + tuple(tokens)
        self.token_id: dict[str, int] = {}
        for i, token in enumerate(self.tokens):
            if not isinstance(token, str) or not token:
                raise ValueError(f"tokens[{i - 4}] is {token!r:.80}; a token is a string that is not empty")
            if token in self.token_id:
                raise ValueError(f"tokens[{i - 4}] is {token!r:.80} once more; tokens are distinct, none of {SPECIALS}")
            self.token_id[token] = i

    @abstractmethod
    def split(self, text: str) -> list[str]:
        """Cut text into pieces, whether the vocabulary has them or not."""

    @abstractmethod
    def join(self, pieces: Sequence[str]) -> str:
        """Put pieces together again: the inverse of `split`."""

    @classmethod
    @abstractmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Vocabulary:
        """Rebuild the vocabulary that `to_dict` described."""

    def to_dict(self) -> dict[str, Any]:
        """Everything that makes this vocabulary, ready for JSON."""
        return {"kind": self.kind, "tokens": list(self.tokens[len(SPECIALS) :])}

    def encode(self, text: str) -> list[int]:
        """Ids of the text's pieces; no special tokens are added, and an unknown piece becomes `unk`."""
        return self.encode_tokens(self.split(text))

    def encode_tokens(self, tokens: Iterable[str]) -> list[int]:
        """Ids of a sentence that is already cut into tokens."""
        if isinstance(tokens, str):
            raise TypeError(f"tokens is the string {tokens!r:.80}; a list of tokens is needed (encode takes text)")
        token_id = self.token_id
        return [token_id.get(token, UNK) for token in tokens]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of a sequence of ids up to the first `eos`, without `pad` and `bos`."""
        pieces = []
        for i in self._checked(ids):
            if i == EOS:
                break
            if i not in (PAD, BOS):
                pieces.append(self.tokens[i])
        return self.join(pieces)

    def labels(self, ids: Iterable[int]) -> list[str]:
        """One printable label for each id, as for the axes of an attention map."""
        return [self.label(self.tokens[i]) for i in self._checked(ids)]

    def label(self, piece: str) -> str:
        """The printable form of one piece."""
        shown = "␣" if piece == " " else piece.strip() or piece
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)

    def unknown(self, text: str) -> list[str]:
        """The pieces of the text that the vocabulary lacks, each once, in order."""
        return list(dict.fromkeys(piece for piece in self.split(text) if piece not in self.token_id))

    def _checked(self, ids: Iterable[int]) -> list[int]:
        if not isinstance(ids, Iterable):
            raise TypeError(f"ids is {ids!r:.80}; a sequence of whole numbers is needed")
        checked = []
        for i in ids:
            if isinstance(i, bool) or not isinstance(i, (int, np.integer)):
                raise TypeError(f"ids contains {i!r:.80}; allowed are whole numbers")
            if not 0 <= i < len(self.tokens):
                raise ValueError(f"ids contains {i}; allowed are 0 to {len(self.tokens) - 1}")
            checked.append(int(i))
        return checked

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.kind, self.tokens))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} tokens)"


@checked
def vocabulary_from_dict(d: Mapping[str, Any]) -> Vocabulary:
    """Rebuild any vocabulary from what its `to_dict` returned.

    Raises
    ------
    ValueError
        If `d` is not such a description.
    """
    kind = d.get("kind") if isinstance(d, Mapping) else None
    if not isinstance(kind, str) or kind not in Vocabulary.kinds:
        raise ValueError(f"kind of vocabulary is {kind!r:.80}; allowed are {sorted(Vocabulary.kinds)}")
    return Vocabulary.kinds[kind].from_dict(d)


def stored(d: Mapping[str, Any], name: str, of: type) -> Any:
    """The entry `name` of a stored description, which must be of type `of`."""
    value = d.get(name)
    if not isinstance(value, of):
        raise ValueError(f"{name!r} of the stored vocabulary is a {type(value).__name__}; it must be a {of.__name__}")
    return value


def check_text(text: str) -> str:
    """Return the text, or raise TypeError where it is no string."""
    if not isinstance(text, str):
        raise TypeError(f"text is {text!r:.80}; a string is needed")
    return text


def check_texts(texts: Iterable[str]) -> Iterable[str]:
    """Return the texts, or raise TypeError where a single string was given in place of several."""
    if isinstance(texts, str):
        raise TypeError(f"texts is the string {texts[:40]!r}; a list of strings is needed")
    return texts


# Words may hold combining marks (the accent of a decomposed e-acute, the vowel signs of Hindi, the points of Hebrew)
# and the joiners of Persian and Indic scripts. Python's \w matches neither.
_MARK_BLOCKS = (*range(0x300, 0x3100), *range(0xA600, 0xAC00), *range(0xFB00, 0xFE30))
_MARKS = "".join(chr(c) for c in _MARK_BLOCKS if unicodedata.category(chr(c))[0] == "M")
_LETTER = rf"[\w{_MARKS}\u200c\u200d]"
_SPACE = "[ \u00a0\u202f\u2009]"
_CLITIC = rf"['’](?i:s|t|m|d|re|ve|ll)(?!{_LETTER}|['’])"

PIECE = re.compile(
    rf"(?<={_LETTER})-{_LETTER}+"  # what follows a hyphen: est|-ce, a|-t|-il, well|-known
    rf"|(?<={_LETTER}){_CLITIC}"  # English contractions: it|'s, we|'ll
    rf"|{_LETTER}+(?!{_CLITIC})['’](?={_LETTER})"  # elisions: l'|homme, qu'|il
    rf"|{_LETTER}+"
    rf"|{_SPACE}[?!:;»%]|«{_SPACE}"  # French punctuation keeps its space, whichever it is
    r"|\.{2,}"
    r"|\s+"
    r"|.",
    re.DOTALL,
)

JOINER = "⁀"  # between two pieces: no space here, though the rule would put one
_MARK_ITSELF = JOINER + JOINER  # the piece for a ⁀ that stood in the text
_NO_SPACE_AFTER = frozenset("([{“‘«¿¡$£")
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}”…»%")


def space_between(left: str, right: str) -> bool:
    """Whether the default rule puts a space between two pieces of a sentence."""
    if left[-1] in _NO_SPACE_AFTER or right[0] in _NO_SPACE_BEFORE:
        return False
    if left[-1].isspace() or right[0].isspace():
        return False
    elision = len(left) > 1 and left[-1] in "'’"
    clitic = len(right) > 1 and right[0] in "-'’" and right[1].isalpha()
    return not (elision or clitic)


@checked
class WordVocabulary(Vocabulary):
    """Words and punctuation marks.

    Elisions (``l'``), what follows a hyphen (``-vous``) and English contractions (``'s``) are pieces of their own.
    Pieces are put together by a rule (`space_between`). Where a text departs from the rule, `split` says so by a
    piece of its own, a joiner ``⁀`` for a missing space or a blank for an additional one, so words stay clean and
    a text whose pieces are known comes back exactly, whatever its whitespace.

    Parameters
    ----------
    tokens : iterable of str
        The pieces in the order of their ids, without the special tokens.
    lowercase : bool
        Whether text is lowercased before it is cut.

    Examples
    --------
    >>> vocabulary = WordVocabulary.build(["C'est l'homme."])
    >>> vocabulary.split("C'est l'homme.")
    ["C'", 'est', "l'", 'homme', '.']
    """

    kind = "word"

    def __init__(self, tokens: Iterable[str], lowercase: bool = False) -> None:
        super().__init__(tokens)
        self.lowercase = lowercase

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        min_count: int = 1,
        max_size: int | None = None,
        lowercase: bool = False,
    ) -> WordVocabulary:
        """Collect the pieces of texts, the most frequent first.

        Parameters
        ----------
        texts : iterable of str
        min_count : int
            How often a piece must occur to be known.
        max_size : int, optional
            The most tokens to keep, special tokens and the two marks of spacing included; at least 6.
        lowercase : bool
        """
        least = len(SPECIALS) + 2
        if min_count < 1:
            raise ValueError(f"min_count is {min_count}; allowed are whole numbers from 1")
        if max_size is not None and max_size < least:
            raise ValueError(f"max_size is {max_size}; allowed are None and whole numbers from {least}")
        cutter = cls((), lowercase)
        counts: Counter[str] = Counter()
        for text in check_texts(texts):
            counts.update(cutter.split(text))
        marks = [JOINER, " "]
        frequent = [p for p, n in counts.items() if n >= min_count and p not in marks]
        frequent.sort(key=lambda piece: (-counts[piece], piece))
        return cls((marks + frequent)[: None if max_size is None else max_size - len(SPECIALS)], lowercase)

    def split(self, text: str) -> list[str]:
        """Cut text into words, punctuation and, where the spacing is not by rule, marks of spacing."""
        check_text(text)
        if self.lowercase:
            text = text.lower()
        pieces: list[str] = []
        left, space = "", False
        for match in PIECE.finditer(text):
            body = match.group()
            if body == " " and left and match.end() < len(text):
                space = True
                continue
            # Other whitespace is kept character by character: each is a piece without spaces around it.
            for part in body if body.isspace() else (body,):
                if left and space != space_between(left, part):
                    pieces.append(" " if space else JOINER)
                pieces.append(_MARK_ITSELF if part == JOINER else part)
                left, space = part, False
        return pieces

    def join(self, pieces: Sequence[str]) -> str:
        """Put words and punctuation together, with spaces by rule and by mark."""
        text: list[str] = []
        left, joined = "", False
        for piece in pieces:
            if piece == JOINER:
                joined = True
                continue
            body = JOINER if piece == _MARK_ITSELF else piece
            if left and not joined and space_between(left, body):
                text.append(" ")
            text.append(body)
            left, joined = body, False
        return "".join(text)

    def encode(self, text: str) -> list[int]:
        return [self.token_id.get(piece, UNK) for piece in self._known_spacing(text)]

    def unknown(self, text: str) -> list[str]:
        lacking = (p for p in self._known_spacing(text) if p not in self.token_id)
        return list(dict.fromkeys(JOINER if p == _MARK_ITSELF else p for p in lacking))

    def _known_spacing(self, text: str) -> list[str]:
        """`split`, but a spacing that the vocabulary lacks never makes a known word or mark unknown."""
        pieces = []
        for piece in self.split(text):
            spaced = piece not in self.token_id and not piece.isspace() and piece.strip() != piece
            pieces += list(piece) if spaced else [piece]
        return [piece for piece in pieces if piece in self.token_id or piece not in (JOINER, " ")]

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"lowercase": self.lowercase}

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> WordVocabulary:
        return cls(stored(d, "tokens", list), stored(d, "lowercase", bool))


@checked
class CharacterVocabulary(Vocabulary):
    """Every character, spaces too, is a piece."""

    kind = "character"

    def __init__(self, tokens: Iterable[str]) -> None:
        super().__init__(tokens)
        for i, token in enumerate(self.tokens[len(SPECIALS) :]):
            if len(token) != 1:
                raise ValueError(f"tokens[{i}] is {token!r:.80}; a token is one character")

    @classmethod
    def build(cls, texts: Iterable[str]) -> CharacterVocabulary:
        """Collect the characters of texts, in the order of their code points."""
        return cls(sorted({c for text in check_texts(texts) for c in check_text(text)}))

    def split(self, text: str) -> list[str]:
        """The characters of a text."""
        return list(check_text(text))

    def join(self, pieces: Sequence[str]) -> str:
        """The text of a list of characters."""
        return "".join(pieces)

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> CharacterVocabulary:
        return cls(stored(d, "tokens", list))
