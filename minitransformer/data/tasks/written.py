"""Published tasks whose pairs are made by a rule, not collected: sums, dates, and sequences to reverse.

addition   5 3 5 + 6 1        ->  5 9 6
dates      3rd of May 1979    ->  1979-05-03
reverse    17 4 33 9          ->  9 33 4 17
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import numpy as np

from ..batches import check_whole
from ..pairs import Pair
from .joeynmt import joeynmt_reversal

Parts = tuple[list[Pair], list[Pair], list[Pair]]

MONTHS = ["January", "February", "March", "April", "May", "June"]
MONTHS += ["July", "August", "September", "October", "November", "December"]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
FIRST_YEAR, LAST_YEAR = 1950, 2049  # a year of two digits lies in this range
EPOCH = date(FIRST_YEAR, 1, 1).toordinal()
N_DATES = date(LAST_YEAR, 12, 31).toordinal() - EPOCH + 1


def addition(seed: int = 0, digits: int = 3, sizes: tuple[int, int, int] = (45_000, 2_500, 2_500)) -> Parts:
    """Sums of two numbers, the question written backwards; no two questions have the same two numbers.

    Parameters
    ----------
    seed : int
    digits : int
        Most digits of a number: their count is drawn first, so that short numbers are as frequent as long ones.
    sizes : (int, int, int)
        Pairs to train on, to validate and to test.

    Raises
    ------
    ValueError
        If there are not so many sums.

    Source: Keras, examples/addition_rnn.py ("Sequence to sequence learning for performing number addition"), whose
    50,000 questions are these 45,000 and, for its validation, the other 5,000.
    """
    rng = np.random.default_rng(check_whole("seed", seed, 0))
    largest = 10**digits
    if sum(sizes) > largest * (largest + 1) // 4:
        raise ValueError(f"sizes is {sizes}; numbers of {digits} digits have too few sums for {sum(sizes):,} pairs")
    seen: set[tuple[int, int]] = set()
    pairs: list[Pair] = []
    while len(pairs) < sum(sizes):
        a, b = (int(rng.integers(10 ** rng.integers(1, digits + 1))) for _ in range(2))
        both = (min(a, b), max(a, b))
        if both not in seen:
            seen.add(both)
            pairs.append((f"{a}+{b}"[::-1], str(a + b)))
    return _cut(pairs, sizes)


def dates(seed: int = 0, sizes: tuple[int, int, int] = (20_000, 1_000, 2_000)) -> Parts:
    """Dates from 1950 to 2049 as people write them, in twelve ways, and as ISO 8601; each date in one part only.

    Parameters
    ----------
    seed : int
    sizes : (int, int, int)
        Pairs to train on, to validate and to test.
    """
    rng = np.random.default_rng(check_whole("seed", seed, 0))
    if sum(sizes) > N_DATES:
        raise ValueError(f"sizes is {sizes}; there are {N_DATES:,} dates")
    days = rng.permutation(N_DATES)[: sum(sizes)]
    ways = rng.integers(len(WAYS), size=len(days))
    written = (date.fromordinal(EPOCH + int(day)) for day in days)
    return _cut([(WAYS[way](day), day.isoformat()) for way, day in zip(ways, written)], sizes)


def reverse() -> Parts:
    """Joey NMT's sequences to be reversed: 50,000 of up to 25 symbols to train on, others of up to 30 for the rest.

    Source: Joey NMT, scripts/generate_reverse_task.py and its tutorial; see `joeynmt_reversal`.
    """
    task = joeynmt_reversal()

    def texts(pairs: Sequence[tuple[list[int], list[int]]]) -> list[Pair]:
        return [(task.vocabulary.decode(source), task.vocabulary.decode(target)) for source, target in pairs]

    return texts(task.training), texts(task.validation), texts(task.test)


TASKS: dict[str, Callable[[], Parts]] = {"addition": addition, "dates": dates, "reverse": reverse}


def _ordinal(n: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st, ..."""
    ending = "th" if n in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def _month(day: date) -> str:
    return MONTHS[day.month - 1]


def _weekday(day: date) -> str:
    return WEEKDAYS[day.weekday()]


# Names are written out here, because strftime writes them in the machine's language.
WAYS: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d.day} {_month(d)} {d.year}",  # 3 May 1979
    lambda d: f"{_month(d)} {d.day}, {d.year}",  # May 3, 1979
    lambda d: f"{_weekday(d)}, {_month(d)} {d.day}, {d.year}",  # Thursday, May 3, 1979
    lambda d: f"{_weekday(d)[:3]} {d.day} {_month(d)[:3]} {d.year}",  # Thu 3 May 1979
    lambda d: f"{_ordinal(d.day)} of {_month(d)} {d.year}",  # 3rd of May 1979
    lambda d: f"{_weekday(d)} the {_ordinal(d.day)} of {_month(d)}, {d.year}",  # Thursday the 3rd of May, 1979
    lambda d: f"{d.day}-{_month(d)[:3]}-{d.year % 100:02d}",  # 3-May-79
    lambda d: f"{d.day:02d}.{d.month:02d}.{d.year}",  # 03.05.1979: with dots the day is first
    lambda d: f"{d.month}/{d.day}/{d.year}",  # 5/3/1979: with slashes the month is
    lambda d: f"{d.month:02d}/{d.day:02d}/{d.year % 100:02d}",  # 05/03/79
    lambda d: f"{_month(d)[:3].lower()} {d.day} {d.year}",  # may 3 1979
    lambda d: f"{d.year} {_month(d).upper()} {d.day}",  # 1979 MAY 3
)


def _cut(pairs: list[Pair], sizes: tuple[int, int, int]) -> Parts:
    training, validation, test = sizes
    cuts = np.cumsum([0, training, validation, test]).tolist()
    return pairs[: cuts[1]], pairs[cuts[1] : cuts[2]], pairs[cuts[2] : cuts[3]]
