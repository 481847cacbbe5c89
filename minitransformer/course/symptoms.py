"""Help by what a student sees: `symptoms("nan")` says where to look first, which mistakes look like that, and which
lesson has a bug of that kind.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial

from ..arguments import checked
from .attempts import attempt_all
from .checking import judge
from .hints import find_exercise
from .result import STAGES


@dataclass(frozen=True)
class Symptom:
    """What is seen, a pattern of the words for it, the stages at which a check meets it, what to look at first, and the
    museum's bugs of this kind: lesson, what was seen, and which check tells.
    """

    name: str
    words: str
    stages: tuple[str, ...]
    first: tuple[str, ...]
    museum: tuple[tuple[str, str, str], ...] = ()


SYMPTOMS = (
    Symptom(
        "nan or infinity",
        r"\bnans?\b|not a number|\binf|overflow|explod|blow",
        ("nan",),
        (
            "Take the largest score of a row away before exp.",
            "Is a row masked everywhere? Then softmax divides 0 by 0.",
            "A log or a division of 0? A root without epsilon?",
            "In training: a tenth of the rate, a warm-up, and clip the gradient.",
        ),
    ),
    Symptom(
        "an error or a wrong shape",
        r"shape|broadcast|mismatch|matmul|dimension|transpos|indexerror|error",
        ("shape", "type", "exception"),
        (
            "Write the shape behind every line, beginning with the arguments' in the docstring.",
            "A gradient has the shape of what it is the gradient of: dx as x, dW as W.",
            "For Y = A B only one order of the product fits: dA = dY Bᵀ and dB = Aᵀ dY.",
            "Was something broadcast forward? Then its gradient is summed over that axis.",
        ),
    ),
    Symptom(
        "the training looks too good, the outputs are wrong",
        r"too good|nonsense|gibberish|cheat|leak|repeats? itself|writes? |output.* wrong",
        (),
        (
            "Exchange a later word: nothing before it may change.",
            "Are targets shifted by one against what the decoder reads?",
            "Let the model read its own words, as greedy decoding does, and not only the true ones.",
        ),
        (
            (
                "08",
                "99 % accuracy, and nonsense when it writes",
                "exchange a later word, and the logits before it must stay",
            ),
            ("11", "a somewhat higher loss after weights were converted", "a converted model gives the same logits"),
        ),
    ),
    Symptom(
        "all is well in one test, and not in another",
        r"padd|batch|alone|length|prompt|only (with|for|in)|another test|one head|repeat",
        (),
        (
            "Compare a sentence alone and beside a longer one, padded.",
            "Test with ids that repeat, with three axes, with sizes that all differ.",
            "Divide by the number of tokens once, in the loss.",
        ),
        (
            ("01", "frequent words learn slowly", "ids that repeat, with numbers one can count"),
            ("06", "passes its gradient check on (N, D), and trains", "the same check on (B, T, D)"),
            ("07", "none: it learns as fast", "a sentence alone and padded"),
            ("09", "none in the curve", "the gradient of the whole batch"),
            ("10", "behind a long prompt short answers win", "two prompts of different length"),
        ),
    ),
    Symptom(
        "the loss does not fall, or stays too high",
        r"loss|learn|train|converge|stuck|slow|plateau|high",
        ("value",),
        (
            "Prove the gradient before you change anything else: check_gradients(layer, x).",
            "Train on one small batch again and again: the loss must go to nearly 0.",
            "Is any parameter's gradient zero? Is grad set to zero once a step, and added to within it?",
            "Then ten times the rate, and a tenth of it.",
        ),
        (
            (
                "00",
                "the loss falls nearly as well as with the right gradient",
                "a difference or complex step of that value",
            ),
            ("02", "it trains on random word vectors", "the gradient of the first parameter: it is zero"),
            ("03", "it learns, to a higher loss; every gradient check passes", "equal states must give that state"),
            ("04", "the loss falls, at first even faster, then climbs", "a row's gradient must sum to zero"),
            ("05", "a high loss where words must be told apart", "numbers coloured by their word"),
        ),
    ),
    Symptom(
        "a gradient or a number is wrong",
        r"gradient|number|\bvalues?\b|wrong (?!shape)|differ|\bsign\b|factor",
        ("value",),
        (
            "Compare got and wanted: is their ratio always the same? Then it is a factor, a sign or a mean for a sum.",
            "Is something used twice? Its gradients add.",
            "Take sizes of 1 or 2 and do it by hand.",
            "Test with a random upstream gradient, never with ones.",
        ),
    ),
    Symptom(
        "an input changes, or the dtype does",
        r"chang|mutat|overwr|in place|dtype|float(32|64)|memory",
        ("mutated", "dtype"),
        (
            "x += y writes into the caller's array; x = x + y does not.",
            "np.zeros(n) and np.sqrt(d) are float64: write np.zeros(n, x.dtype) and d**0.5.",
        ),
    ),
)


@checked
def symptoms(seen: str, exercise: str = "") -> None:
    """Print help for what you see.

    Parameters
    ----------
    seen : str
        In your words, such as "nan", "wrong shape" or "the loss does not fall".
    exercise : str
        An exercise's name: its known mistakes that look like that are printed as well.
    """
    found = [symptom for symptom in SYMPTOMS if re.search(symptom.words, seen.lower())]
    if not found:
        known = "; ".join(symptom.name for symptom in SYMPTOMS)
        raise ValueError(f"seen={seen!r}: no such symptom is known. Say it in words of one of these: {known}")
    mistakes = known_mistakes(exercise) if exercise else []
    for symptom in found[:2]:
        print(f"{symptom.name}\n  look first:")
        print(*(f"    {number}. {text}" for number, text in enumerate(symptom.first, 1)), sep="\n")
        alike = [reason for stage, reason in mistakes if stage in symptom.stages]
        if alike:
            print(f"  mistakes at {exercise} that look like that:")
            print(*(f"    - {reason}" for reason in alike), sep="\n")
        for lesson, looked, check in symptom.museum:
            print(f"  lesson {lesson} has a bug of this kind ({looked}). What tells: {check}.")
    if mistakes:
        counted = Counter(STAGES[stage] for stage, _ in mistakes)
        print(f"Where the known mistakes at {exercise} show: " + ", ".join(f"{s} ({n})" for s, n in counted.items()))


def known_mistakes(exercise: str) -> list[tuple[str, str]]:
    """Of each registered wrong answer of an exercise, the stage at which its check fails, and the mistake in words."""
    known = find_exercise(exercise)
    reasons = [" ".join((wrong.__doc__ or "").split()) for wrong in known.wrong]
    return [
        (judge(known, partial(attempt_all, wrong, exercise)).stage, reason)
        for wrong, reason in zip(known.wrong, reasons)
    ]
