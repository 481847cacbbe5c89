"""What a comparison found, as sentences and as a table: both are computed from its numbers, and name who wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .comparison import Candidate, Comparison

ENOUGH = 0.9  # the quality whose time and steps are compared
ALIKE = 1.05  # ratios below are no difference: a clock is not finer


def conclusions(comparison: Comparison) -> list[str]:
    """A sentence for each question that was measured; where one cannot be answered, it is left out."""
    a, b = comparison.candidates
    found = [_quality(comparison), _way_there(comparison), _speed(a, b), _encoder(a, b), _answer(a, b)]
    return [sentence for sentence in [*found, _longer(comparison), _kept(a, b)] if sentence]


def steps_to_reach(candidate: Candidate, measure: str, enough: float = ENOUGH) -> tuple[int, float] | None:
    """Steps and seconds of training at the first look that found this quality; None where none did."""
    for look in candidate.history.validations:
        if look[measure] >= enough:
            return int(look["step"]), look["seconds"]
    return None


def table(comparison: Comparison) -> str:
    """The measures of both, side by side."""
    a, b = comparison.candidates
    rows: list[tuple[str, str, str]] = [("", a.name, b.name)]

    def row(label: str, values: Sequence[Any], form: str) -> None:
        rows.append((label, *("never" if value is None else format(value, form) for value in values)))  # type: ignore[arg-type]

    ways = [steps_to_reach(c, comparison.measure) for c in (a, b)]
    lasts = [c.history.validations[-1] for c in (a, b)]
    row("parameters", [c.parameters for c in (a, b)], ",")
    row("whole sentences right", [last["exact_match"] for last in lasts], ".1%")
    row("tokens right", [last["token_accuracy"] for last in lasts], ".1%")
    row("loss, nats a token", [last["loss"] for last in lasts], ".4f")
    row("seconds of training", [c.history.seconds for c in (a, b)], ".1f")
    what = {"exact_match": "sentences", "token_accuracy": "tokens"}[comparison.measure]
    row(f"steps to 90 % of {what}", [way and way[0] for way in ways], ",")
    row(f"seconds to 90 % of {what}", [way and way[1] for way in ways], ".1f")
    for n in a.seconds_per_step:
        row(f"milliseconds a step, length {n}", [1000 * c.seconds_per_step[n] for c in (a, b)], ".1f")
    for when in a.encoder_reach:
        for n in sorted(a.encoder_reach[when])[-3::2]:
            row(f"encoder's reach over {n}, {when}", [c.encoder_reach[when][n] for c in (a, b)], ".1e")
    for when in a.answer_reach:
        n = max(a.answer_reach[when])
        row(f"answer's reach, length {n}, {when}", [c.answer_reach[when][n] for c in (a, b)], ".2f")
    for n in a.exact_match:
        unseen = ", unseen" if n > comparison.longest else ""
        row(f"right of length {n}{unseen}", [c.exact_match[n] for c in (a, b)], ".1%")
    row("numbers kept a target token", [c.kept_per_token for c in (a, b)], ",")
    row("numbers kept a source token", [c.kept_per_source_token for c in (a, b)], ",")
    widths = [max(len(line[i]) for line in rows) for i in range(3)]
    return "\n".join(f"{x:{widths[0]}}  {y:>{widths[1]}}  {z:>{widths[2]}}" for x, y, z in rows)


def _quality(comparison: Comparison) -> str:
    a, b = comparison.candidates
    first, second = (c.history.validations[-1][comparison.measure] for c in (a, b))
    what = {"exact_match": "held-out sentences", "token_accuracy": "held-out tokens"}[comparison.measure]
    after = f"After {comparison.steps:,} steps on the same batches"
    if first == second:
        return f"{after}, both have {_percent(first)} of the {what} right."
    return f"{after}, the {a.name} has {_percent(first)} of the {what} right, the {b.name} {_percent(second)}."


def _way_there(comparison: Comparison) -> str:
    parts = []
    for candidate in comparison.candidates:
        way = steps_to_reach(candidate, comparison.measure)
        when = "never" if way is None else f"after {way[0]:,} steps and {way[1]:.0f} s"
        parts.append(f"by the {candidate.name} {when}")
    return f"{100 * ENOUGH:.0f} % is reached {', '.join(parts)}."


def _speed(a: Candidate, b: Candidate) -> str:
    lengths = sorted(a.seconds_per_step)
    parts = []
    for n in dict.fromkeys((lengths[0], lengths[-1])):
        slow, fast = sorted((a, b), key=lambda c: -c.seconds_per_step[n])
        ratio = slow.seconds_per_step[n] / fast.seconds_per_step[n]
        if ratio < ALIKE:
            parts.append(f"at length {n} equally fast")
        else:
            parts.append(f"at length {n} the {fast.name} is {ratio:.1f} times as fast")
    return f"A step (forward, loss, backward of 16 sentences): {', '.join(parts)}."


def _encoder(a: Candidate, b: Candidate) -> str:
    far = max(a.encoder_reach["trained"])
    parts = [
        f"in the {c.name} {_power(c.encoder_reach['untrained'][far])} untrained, "
        f"{_power(c.encoder_reach['trained'][far])} trained"
        for c in (a, b)
    ]
    more = a if a.encoder_reach["trained"][far] > b.encoder_reach["trained"][far] else b
    return (
        f"Where the last source token gets a gradient of 1 through the encoder, one {far} tokens before it gets, "
        f"{'; '.join(parts)}: more arrives in the {more.name}."
    )


def _answer(a: Candidate, b: Candidate) -> str:
    if not a.answer_reach:
        return ""
    far = max(a.answer_reach["trained"])
    reaches = [[c.answer_reach[when][far] for when in ("untrained", "trained")] for c in (a, b)]
    parts = [f"{x:.2f} untrained, {y:.2f} trained in the {c.name}" for c, (x, y) in zip((a, b), reaches)]
    more = a if a.answer_reach["trained"][far] > b.answer_reach["trained"][far] else b
    return (
        "Attention is a short way in both: of the gradient of the output that has to name the first of "
        f"{far} tokens, that token gets {'; '.join(parts)}: more in the {more.name}."
    )


def _longer(comparison: Comparison) -> str:
    a, b = comparison.candidates
    longer = [n for n in a.exact_match if n > comparison.longest]
    if not longer:
        return ""
    means = [sum(c.exact_match[n] for n in longer) / len(longer) for c in (a, b)]
    both = ", ".join(f"the {c.name} {_percent(mean)}" for c, mean in zip((a, b), means))
    winner = "neither is better" if means[0] == means[1] else f"the {(a, b)[means[0] < means[1]].name} is better"
    return (
        f"Of sentences of {min(longer)} to {max(longer)} tokens, where training ended at {comparison.longest}, "
        f"right are: {both}; {winner}."
    )


def _kept(a: Candidate, b: Candidate) -> str:
    parts = [
        f"the {c.name} keeps {c.kept_per_token or 'no'} numbers for each token written and {c.kept_per_source_token} "
        "for each that it reads"
        for c in (a, b)
    ]
    return f"While decoding, {', '.join(parts)}."


def _percent(share: float) -> str:
    """99.96 % is not 100 %."""
    return f"{100 * share:.1f} %" if 0 < share < 1 and round(100 * share, 1) < 100 else f"{100 * share:.4g} %"


def _power(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.01 else f"{ratio:.0e}"
