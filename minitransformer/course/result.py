"""What a check found, as text and as HTML: the word PASS or NOT YET, and the first thing that is wrong."""

from __future__ import annotations

import html
from dataclasses import dataclass

# Blue and vermillion of Okabe and Ito, told apart in every common form of colour blindness; the words say it too.
COLOURS = {True: "#0072B2", False: "#D55E00"}
STAGES = {
    "pass": "",
    "name": "no such exercise",
    "stub": "still a stub",
    "exception": "it stops with an error",
    "type": "the kind of result",
    "shape": "the shape",
    "nan": "not a number",
    "value": "the numbers",
    "mutated": "an input is changed",
    "dtype": "the dtype",
    "limit": "stopped",
}


@dataclass(frozen=True)
class Result:
    """What `check` returns; true where the exercise passed.

    Attributes
    ----------
    name : str
        Of the exercise.
    stage : str
        "pass", or the first stage that failed, a key of `STAGES`.
    message : str
        What is wrong, in a sentence.
    details : tuple of (str, str)
        Got, wanted, the student's line, the inputs: a label and a text each.
    hints : bool
        Whether to say how to ask for a hint.
    """

    name: str
    stage: str
    message: str
    details: tuple[tuple[str, str], ...] = ()
    hints: bool = False

    @property
    def passed(self) -> bool:
        return self.stage == "pass"

    def __bool__(self) -> bool:
        return self.passed

    @property
    def verdict(self) -> str:
        return "PASS" if self.passed else "NOT YET"

    @property
    def headline(self) -> str:
        reason = STAGES.get(self.stage, self.stage)
        return f"{self.name}: {reason}" if reason else self.name

    def __repr__(self) -> str:
        width = max((len(label) for label, _ in self.details), default=0)
        lines = [f"{self.verdict}  {self.headline}", *(f"  {line}" for line in self.message.splitlines())]
        for label, text in self.details:
            first, *more = text.splitlines() or [""]
            lines += [f"  {label:{width}}  {first}", *(f"  {'':{width}}  {line}" for line in more)]
        if self.hints:
            lines.append(f'  A hint: hint("{self.name}")')
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        mark, style = ("&#10003;", "solid") if self.passed else ("&#8594;", "dashed")
        colour = COLOURS[self.passed]
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left; vertical-align: top">{html.escape(label)}</th>'
            f'<td style="text-align: left"><code style="white-space: pre-wrap">{html.escape(text)}</code></td></tr>'
            for label, text in self.details
        )
        table = f'<table style="margin: 0.4em 0">{rows}</table>' if rows else ""
        hint = f"<div>A hint: <code>hint(&quot;{html.escape(self.name)}&quot;)</code></div>" if self.hints else ""
        return (
            f'<div role="status" style="border-left: 6px {style} {colour}; padding: 0.3em 0.8em">'
            f'<div><b style="color: {colour}">{mark} {self.verdict}</b> &nbsp;{html.escape(self.headline)}</div>'
            f'<div style="white-space: pre-line">{html.escape(self.message)}</div>{table}{hint}</div>'
        )
