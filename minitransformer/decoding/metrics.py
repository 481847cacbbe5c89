"""Metrics: how good one text is where another is the truth. Minimum Bayes risk uses them as its utility.

chrF = 5 P R / (4 P + R)     P, R: precision and recall of character n-grams, averaged over n = 1 ... 6
BLEU = min(1, exp(1 - |truth| / |text|)) (p_1 p_2 p_3 p_4)^(1/4)     p_n: precision of word n-grams
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from ..arguments import checked

Metric = Callable[[str, str], float]

CHARACTERS, WORDS = 6, 4  # the longest n-grams of chrF and of BLEU
BETA = 2.0  # chrF weighs recall as twice as important as precision


@checked
def exact_match(text: object, truth: object) -> float:
    """1 where the two are the same, else 0."""
    return float(text == truth)


@checked
def chrf(text: str, truth: str) -> float:
    """chrF of one sentence, 0 to 100, without regard to spaces.

    An n for which one of the two is too short is left out of both averages; the same as sacrebleu's default.
    Source: Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation".
    """
    precision = recall = 0.0
    orders = 0
    for ours, theirs in zip(_character_ngrams(text), _character_ngrams(truth)):
        if ours and theirs:
            matches = _matches(ours, theirs)
            precision += matches / ours.total()
            recall += matches / theirs.total()
            orders += 1
    if precision + recall == 0.0:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return 100.0 * (1.0 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


@checked
def sentence_bleu(text: str, truth: str) -> float:
    """BLEU of one sentence, 0 to 100, of words as mteval-v13a cuts them.

    The first n-gram length without a match counts as half a match, the next as a quarter, and so on; lengths that the
    text is too short for are left out. The same as sacrebleu's sentence_bleu.
    Source: Papineni et al. 2002; Chen and Cherry 2014, smoothing method 3.
    """
    ours, theirs = _words(text), _words(truth)
    logs, smoothed = [], 1.0
    for n in range(1, min(WORDS, len(ours)) + 1):
        matches: float = _matches(_ngrams(ours, n), _ngrams(theirs, n))
        if not matches and n == 1:
            return 0.0
        if not matches:
            smoothed *= 2.0
            matches = 1.0 / smoothed
        logs.append(math.log(matches / (len(ours) - n + 1)))
    if not logs:
        return 0.0
    brevity = min(0.0, 1.0 - len(theirs) / len(ours))
    return 100.0 * math.exp(brevity + sum(logs) / len(logs))


METRICS: dict[str, Metric] = {"chrf": chrf, "bleu": sentence_bleu, "exact": exact_match}


def _matches(ours: Counter, theirs: Counter) -> int:
    """n-grams in common, each as often as it is in both."""
    return sum(min(count, theirs[ngram]) for ngram, count in ours.items() if ngram in theirs)


@lru_cache(maxsize=1024)  # every sample is compared with every other
def _character_ngrams(text: str) -> list[Counter]:
    return [_ngrams("".join(text.split()), n) for n in range(1, CHARACTERS + 1)]


def _ngrams(sequence: Sequence[str], n: int) -> Counter:
    return Counter(tuple(sequence[i : i + n]) for i in range(len(sequence) - n + 1))


@lru_cache(maxsize=1024)
def _words(text: str) -> list[str]:
    """Words and punctuation, as the script mteval-v13a separates them."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, character in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(name, character)
    text = f" {text} "
    for pattern, apart in _APART:
        text = pattern.sub(apart, text)
    return text.split()


_APART = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),  # a full stop or comma, but between digits
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
