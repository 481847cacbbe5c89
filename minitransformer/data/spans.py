"""Span corruption, T5's task without labels: some spans of a text are taken out, and the model gives them back.

text     Thank you for inviting me to your party last week
source   Thank you <X> me to your party <Y> week
target   <X> for inviting <Y> last <Z>
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Pair = tuple[list[int], list[int]]


def sentinels(last: int, n: int = 100) -> range:
    """The ids of <X>, <Y>, ...: the n highest of a vocabulary, from the last one down, as T5 has them (last=32099)."""
    if not 1 <= n <= last + 1:
        raise ValueError(f"n={n}: must be at least 1 and at most last + 1 = {last + 1}")
    return range(last, last - n, -1)


def random_spans(length: int, rng: np.random.Generator, density: float = 0.15, mean_span: float = 3.0) -> np.ndarray:
    """Which tokens are taken out, (length,) boolean: kept and taken spans take turns, and a kept one is first.

    The number of tokens taken, round(density length), and that of spans, round(taken / mean_span), are fixed; what is
    random is where the tokens are cut into spans, every cut as likely as any other.

    Source: Raffel et al. 2020, section 3.3.4; `random_spans_noise_mask` of their code.
    """
    if length < 2:
        raise ValueError(f"length={length}: at least 2 tokens are needed, one to keep and one to take out")
    if not 0.0 < density < 1.0:
        raise ValueError(f"density={density}: must be above 0 and below 1")
    if mean_span < 1.0:
        raise ValueError(f"mean_span={mean_span}: a span has at least 1 token")
    taken = min(max(round(length * density), 1), length - 1)
    n = min(max(round(taken / mean_span), 1), length - taken)
    kept_lengths, taken_lengths = random_parts(length - taken, n, rng), random_parts(taken, n, rng)
    lengths = np.stack([kept_lengths, taken_lengths], axis=1).reshape(-1)  # (n, 2) -> (2 n,): kept, taken, kept, ...
    return np.repeat(np.arange(2 * n) % 2 == 1, lengths)


def random_parts(total: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """`total` as a sum of n integers of at least 1, every such sum equally likely, (n,)."""
    cuts = np.sort(rng.choice(total - 1, n - 1, replace=False)) + 1
    return np.diff(cuts, prepend=0, append=total)


def corrupt_spans(ids: Sequence[int], taken: np.ndarray, marks: Sequence[int]) -> Pair:
    """Source and target of a text, `taken` (length,) saying which tokens are taken out, `marks` the sentinels.

    A sentinel stands in the source for each span, and in the target before it; where tokens follow the last span, one
    more sentinel closes the target. Raises ValueError where the sentinels do not suffice or the text has one.

    Source: Raffel et al. 2020, section 3.1.4, figure 2.
    """
    if len(taken) != len(ids):
        raise ValueError(f"taken has length {len(taken)}: the text has {len(ids)} tokens")
    known = set(marks)
    source: list[int] = []
    target: list[int] = []
    spans, inside = 0, False
    for token, out in zip(ids, taken):
        if int(token) in known:
            raise ValueError(f"ids holds {int(token)}: it is a sentinel, which a text must not have")
        if out and not inside:
            source.append(mark(marks, spans))
            target.append(mark(marks, spans))
            spans += 1
        (target if out else source).append(int(token))
        inside = bool(out)
    if spans and not inside:
        target.append(mark(marks, spans))
    return source, target


def mark(marks: Sequence[int], i: int) -> int:
    """The i-th sentinel; ValueError where there are too few."""
    if i >= len(marks):
        raise ValueError(f"marks has {len(marks)} sentinels: this text needs more; give shorter ones")
    return int(marks[i])


def restore_spans(source: Sequence[int], target: Sequence[int], marks: Sequence[int]) -> list[int]:
    """The text that `corrupt_spans` made source and target of; ValueError for a span that the target lacks."""
    known = set(marks)
    spans: dict[int, list[int]] = {}
    for token in target:
        if token in known:
            span = spans.setdefault(token, [])
        elif spans:
            span.append(token)
        else:
            raise ValueError(f"target begins with {token}: it must begin with a sentinel")
    text: list[int] = []
    for token in source:
        if token not in known:
            text.append(token)
        elif token in spans:
            text += spans[token]
        else:
            raise ValueError(f"target has no span for the sentinel {token} of the source")
    return text


class SpanCorruption:
    """Pairs of source and target from random pieces of a long text, for `FreshBatches`.

    Parameters
    ----------
    ids : sequence of int
        The text.
    length : int
        Tokens of a piece.
    marks : sequence of int
        The sentinels, which the text must not have; `sentinels(last_id)`.
    density : float
        Share of the tokens that are taken out.
    mean_span : float
        Mean length of a span.
    """

    def __init__(
        self, ids: Sequence[int], length: int, marks: Sequence[int], density: float = 0.15, mean_span: float = 3.0
    ) -> None:
        if not 2 <= length <= len(ids):
            raise ValueError(f"length={length}: must be at least 2 and at most that of the text, {len(ids)}")
        self.ids, self.length, self.marks = np.asarray(ids), length, marks
        self.density, self.mean_span = density, mean_span

    def __call__(self, rng: np.random.Generator, n: int) -> list[Pair]:
        """n pairs."""
        starts = rng.integers(0, len(self.ids) - self.length + 1, n)
        pieces = [self.ids[start : start + self.length] for start in starts]
        return [
            corrupt_spans(piece.tolist(), random_spans(self.length, rng, self.density, self.mean_span), self.marks)
            for piece in pieces
        ]
