"""Byte-pair encoding (Sennrich et al. 2016, section 3.2): frequent words whole, rare words in parts.

Words start as characters. The most frequent pair of neighbours becomes a new piece, again and again::

    ▁ l o w e s t  ->  ▁ l o w es t  ->  ▁ l o w est  ->  ▁ lo w est  ->  ▁ low est  ->  ▁low est

The merges, in the order in which they were learned, then cut any text. ``▁`` stands for the blank before a word.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ..arguments import checked
from .vocabulary import PIECE, SPECIALS, Vocabulary, check_text, check_texts, stored

BOUNDARY = "▁"
_BOUNDARY_ITSELF = BOUNDARY + BOUNDARY  # the piece for a ▁ that stood in the text
_LONGEST_WORD = 64  # longer ones are cut: merging takes quadratic time
_CACHED_CHUNKS = 1 << 16

Pair = tuple[str, str]


def words_of(chunk: str) -> list[str]:
    """Cut a chunk between two spaces at elisions, hyphens and punctuation; the first word gets the ``▁``."""
    words = []
    boundary = BOUNDARY
    for part in PIECE.findall(chunk):
        if part == BOUNDARY:
            words += [boundary, _BOUNDARY_ITSELF] if boundary else [_BOUNDARY_ITSELF]
        else:
            words.append(boundary + part[:_LONGEST_WORD])
            words += [part[i : i + _LONGEST_WORD] for i in range(_LONGEST_WORD, len(part), _LONGEST_WORD)]
        boundary = ""
    return words or [BOUNDARY]


def chunks_of(text: str) -> list[str]:
    """The parts of a text between its spaces; the part between two spaces in a row is empty."""
    return check_text(text).split(" ") if text != "" else []


def symbols_of(word: str) -> list[str]:
    """The pieces of a word before any merge: its characters."""
    return [word] if word == _BOUNDARY_ITSELF else list(word)


def merge(symbols: list[str], pair: Pair) -> list[str]:
    """Replace every occurrence of the pair, from left to right, by one symbol."""
    left, right = pair
    merged: list[str] = []
    i, last = 0, len(symbols) - 1
    while i <= last:
        if i < last and symbols[i] == left and symbols[i + 1] == right:
            merged.append(left + right)
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


@checked
class BytePairVocabulary(Vocabulary):
    """Characters and the pieces that merges make of them.

    Text whose characters are known comes back exactly, whitespace included; an unknown character becomes `unk`.
    A piece never spans a space, nor a word and the punctuation beside it.

    Parameters
    ----------
    alphabet : iterable of str
        The pieces before any merge: ``▁`` and the characters.
    merges : iterable of (str, str)
        Pairs of pieces in the order in which they were learned.
    """

    kind = "byte_pair"

    def __init__(self, alphabet: Iterable[str], merges: Iterable[Pair]) -> None:
        self.alphabet = tuple(alphabet)
        self.merges = tuple(dict.fromkeys((left, right) for left, right in merges))
        # Two merges may make the same piece (a+bc, ab+c): it is one token.
        made = dict.fromkeys(left + right for left, right in self.merges)
        super().__init__(self.alphabet + tuple(made))
        for i, pair in enumerate(self.merges):
            for piece in pair:
                if piece not in self.token_id:
                    raise ValueError(f"merges[{i}] is {pair!r:.80}; {piece!r:.80} is no piece of this vocabulary")
        self._rank = {pair: rank for rank, pair in enumerate(self.merges)}
        self._pieces: dict[str, list[str]] = {}

    @classmethod
    def train(cls, texts: Iterable[str], size: int, min_frequency: int = 2) -> BytePairVocabulary:
        """Learn merges until there are `size` tokens or no pair occurs `min_frequency` times.

        Of pairs that are equally frequent the alphabetically first is merged.

        Parameters
        ----------
        texts : iterable of str
        size : int
            Number of tokens, the four special tokens and the characters included.
        min_frequency : int
            How often a pair must occur to be merged.
        """
        if min_frequency < 1:
            raise ValueError(f"min_frequency is {min_frequency}; allowed are whole numbers from 1")
        counts: Counter[str] = Counter()
        for chunk, n in Counter(chunk for text in check_texts(texts) for chunk in chunks_of(text)).items():
            for word in words_of(chunk):
                counts[word] += n
        alphabet = sorted({BOUNDARY}.union(*map(symbols_of, counts)))
        least = len(SPECIALS) + len(alphabet)
        if size < least:
            raise ValueError(
                f"size is {size}; the texts have {len(alphabet)} different characters, so at least {least} is needed"
            )
        return cls(alphabet, learn_merges(counts, size - least, min_frequency))

    def split(self, text: str) -> list[str]:
        """Cut text into the pieces that the merges make, and unknown characters."""
        known = self._pieces
        pieces: list[str] = []
        for chunk in chunks_of(text):
            cut = known.get(chunk)
            if cut is None:
                cut = [piece for word in words_of(chunk) for piece in self._merged(word)]
                if len(chunk) <= _LONGEST_WORD:
                    if len(known) >= _CACHED_CHUNKS:
                        known.clear()
                    known[chunk] = cut
            pieces += cut
        return pieces

    def _merged(self, word: str) -> list[str]:
        symbols = symbols_of(word)
        never = len(self._rank)
        while len(symbols) > 1:
            first = min(pairwise(symbols), key=lambda pair: self._rank.get(pair, never))
            if first not in self._rank:
                break
            symbols = merge(symbols, first)
        return symbols

    def join(self, pieces: Sequence[str]) -> str:
        """Put pieces together, ``▁`` becoming a space (none before the first word)."""
        text = "".join(BOUNDARY if p == _BOUNDARY_ITSELF else p.replace(BOUNDARY, " ") for p in pieces)
        return text.removeprefix(" ")

    def unknown(self, text: str) -> list[str]:
        return [BOUNDARY if piece == _BOUNDARY_ITSELF else piece for piece in super().unknown(text)]

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "alphabet": list(self.alphabet),
            "merges": [list(pair) for pair in self.merges],
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> BytePairVocabulary:
        merges = stored(d, "merges", list)
        for i, pair in enumerate(merges):
            if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(p, str) for p in pair)):
                raise ValueError(f"merges[{i}] of the stored vocabulary is {pair!r:.80}; it must be two strings")
        return cls(stored(d, "alphabet", list), merges)


def learn_merges(word_counts: Mapping[str, int], n_pieces: int, min_frequency: int = 2) -> list[Pair]:
    """Learn merges that make at most `n_pieces` new pieces, each the most frequent pair of its time.

    Parameters
    ----------
    word_counts : mapping of str to int
        How often each word occurs.
    n_pieces : int
    min_frequency : int
    """
    words = [symbols_of(word) for word in word_counts]
    frequency = list(word_counts.values())
    counts: Counter[Pair] = Counter()
    where: dict[Pair, set[int]] = {}  # the words that have, or once had, a pair
    for w, symbols in enumerate(words):
        for pair in pairwise(symbols):
            counts[pair] += frequency[w]
            where.setdefault(pair, set()).add(w)

    # The heap holds every count that a pair ever had; counts that are no longer true are skipped.
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    merges: dict[Pair, None] = {}  # a pair may come up again, when another merge makes one of its pieces
    made: set[str] = set()
    while heap and len(made) < n_pieces:
        negative, best = heapq.heappop(heap)
        if -negative != counts[best]:
            continue
        if counts[best] < min_frequency:
            break
        merges[best] = None
        made.add(best[0] + best[1])
        change: dict[Pair, int] = {}  # of counts, by this merge
        for w in where.pop(best):
            old, n = words[w], frequency[w]
            words[w] = merge(old, best)
            if len(words[w]) < len(old):
                for pair in pairwise(old):
                    change[pair] = change.get(pair, 0) - n
                for pair in pairwise(words[w]):
                    change[pair] = change.get(pair, 0) + n
                    where.setdefault(pair, set()).add(w)
        for pair, n in change.items():
            if n:
                counts[pair] += n
                if counts[pair] >= min_frequency:
                    heapq.heappush(heap, (-counts[pair], pair))
    return list(merges)
