"""Span corruption, T5's task without labels: some spans of a text are taken out, and the model gives them back.

text     Thank you for inviting me to your party last week
source   Thank you <X> me to your party <Y> week
target   <X> for inviting <Y> last <Z>
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from ...arguments import checked

Pair = tuple[list[int], list[int]]


@checked
def sentinels(last: int, n: int = 100) -> range:
    """The ids of <X>, <Y>, ...: the n highest of a vocabulary, from the last one down, as T5 has them (last=32099)."""
    if not 1 <= n <= last + 1:
        raise ValueError(f"n={n}: must be at least 1 and at most last + 1 = {last + 1}")
    return range(last, last - n, -1)


@checked
def random_spans(length: int, rng: np.random.Generator, density: float = 0.15, mean_span: float = 3.0) -> np.ndarray:
    """Which tokens are taken out, (length,) boolean. Kept and taken spans take turns, and a kept one is first.

    The number of tokens taken, round(density length), and the number of spans, round(taken / mean_span), are fixed.
    The places where the tokens are cut into spans are random, every cut as likely as any other.

    Source: Raffel et al. 2020, section 3.3.4; `random_spans_noise_mask` of their code.
    """
    if length < 2:
        raise ValueError(f"length={length}: at least 2 tokens are needed, one to keep and one to take out")
    check_spans(density, mean_span)
    taken = min(max(round(length * density), 1), length - 1)
    n = min(max(round(taken / mean_span), 1), length - taken)
    kept_lengths, span_lengths = random_parts(length - taken, n, rng), random_parts(taken, n, rng)
    lengths = np.stack([kept_lengths, span_lengths], axis=1).reshape(-1)  # (n, 2) -> (2 n,): kept, taken, kept, ...
    return np.repeat(np.arange(2 * n) % 2 == 1, lengths.astype(np.intp))


def check_spans(density: float, mean_span: float) -> None:
    if not 0.0 < density < 1.0:
        raise ValueError(f"density={density}: must be above 0 and below 1")
    if not mean_span >= 1.0:
        raise ValueError(f"mean_span={mean_span}: a span has at least 1 token")


def random_parts(total: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """`total` as a sum of n integers of at least 1, every such sum equally likely, (n,)."""
    cuts = np.sort(rng.choice(total - 1, n - 1, replace=False)) + 1
    return np.diff(cuts, prepend=0, append=total)


@checked
def corrupt_spans(ids: Sequence[int], spans: np.ndarray, sentinels: Sequence[int]) -> Pair:
    """Source and target of a text; `spans` (length,) says which tokens are taken out.

    A sentinel stands in the source in place of each span, and in the target before it. Where tokens follow the last
    span, one more sentinel closes the target. Raises ValueError if there are too few sentinels or the text has one.

    Source: Raffel et al. 2020, section 3.1.4, figure 2.
    """
    if len(spans) != len(ids):
        raise ValueError(f"spans has length {len(spans)}: the text has {len(ids)} tokens")
    if found := set(sentinels).intersection(ids):
        raise ValueError(f"ids holds {min(found)}: it is a sentinel, which a text must not have")
    unused = iter(sentinels)
    source: list[int] = []
    target: list[int] = []
    inside = False
    try:
        for inside, tokens in groupby(range(len(ids)), key=lambda i: bool(spans[i])):
            part = [int(ids[i]) for i in tokens]
            if inside:
                sentinel = int(next(unused))
                source.append(sentinel)
                target += [sentinel, *part]
            else:
                source += part
        if target and not inside:
            target.append(int(next(unused)))
    except StopIteration:
        raise ValueError(f"sentinels has {len(sentinels)} ids: this text needs more; give shorter texts") from None
    return source, target


@checked
def restore_spans(source: Sequence[int], target: Sequence[int], sentinels: Sequence[int]) -> list[int]:
    """The text that `corrupt_spans` made source and target of; ValueError for a span that the target lacks."""
    known = set(sentinels)
    spans: dict[int, list[int]] = {}
    for token in target:
        if token in known:
            span = spans.setdefault(token, [])
        elif spans:
            span.append(token)
        else:
            raise ValueError(f"target begins with {token}: it must begin with a sentinel")
    if lacking := [token for token in source if token in known and token not in spans]:
        raise ValueError(f"target has no span for the sentinel {lacking[0]} of the source")
    return [token for part in source for token in spans.get(part, [part])]


@checked
class SpanCorruption:
    """Pairs of source and target from random pieces of a long text, for `FreshBatches`.

    Parameters
    ----------
    ids : sequence of int
        The text.
    length : int
        Tokens of a piece.
    sentinels : sequence of int
        Ids that the text must not have; `sentinels(last_id)`.
    density : float
        Share of the tokens that are taken out.
    mean_span : float
        Mean length of a span.
    """

    def __init__(
        self, ids: Sequence[int], length: int, sentinels: Sequence[int], density: float = 0.15, mean_span: float = 3.0
    ) -> None:
        if not 2 <= length <= len(ids):
            raise ValueError(f"length={length}: must be at least 2 and at most that of the text, {len(ids)}")
        self.ids, self.length, self.sentinels = np.asarray(ids), length, sentinels
        check_spans(density, mean_span)
        self.density, self.mean_span = density, mean_span

    def __call__(self, rng: np.random.Generator, n: int) -> list[Pair]:
        """n pairs."""
        starts = rng.integers(0, len(self.ids) - self.length + 1, n)
        pieces = [self.ids[start : start + self.length] for start in starts]
        return [
            corrupt_spans(piece.tolist(), random_spans(self.length, rng, self.density, self.mean_span), self.sentinels)
            for piece in pieces
        ]
