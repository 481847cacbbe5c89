"""What a training run leaves behind: a record of every step and of every validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..arguments import checked
from ..layers.display import html_table

Record = dict[str, float]


@checked
@dataclass(repr=False)
class History:
    """The course of a training run, as plain lists of numbers.

    Attributes
    ----------
    steps : list of dict
        `step` (from 1), `loss` (nats a token), `learning_rate`, `tokens` (targets in the batch), `seconds` (since
        the start), `gradient_norm` (before clipping).
    validations : list of dict
        `step`, `seconds`, and whatever the validation measured.
    """

    steps: list[Record] = field(default_factory=list)
    validations: list[Record] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "validations": self.validations}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """The inverse of `to_dict`; raises ValueError where there are no such lists."""
        for name in ("steps", "validations"):
            if not isinstance(values.get(name), list):
                raise ValueError(f"{name}={values.get(name)!r:.80}: must be a list of records")
        return cls(list(values["steps"]), list(values["validations"]))

    @property
    def seconds(self) -> float:
        """How long training took so far."""
        return self.steps[-1]["seconds"] if self.steps else 0.0

    def __repr__(self) -> str:
        return "\n".join([self._heading(), *(", ".join(map(" ".join, row)) for row in self._measured())])

    def _repr_html_(self) -> str:
        measured = self._measured()
        head = [name for name, _ in measured[-1]] if measured else []
        return html_table(head, [[n for _, n in row] for row in measured], self._heading())

    def _heading(self) -> str:
        if not self.steps:
            return "History: no steps yet"
        first, last = self.steps[0]["loss"], self.steps[-1]["loss"]
        return f"History: {len(self.steps):,} steps in {self.seconds:.3g} s, loss {first:.4g} to {last:.4g}"

    def _measured(self) -> list[list[tuple[str, str]]]:
        """The validations as texts, of many those at the end."""
        return [[(name, f"{n:.4g}" if n % 1 else f"{n:,.0f}") for name, n in v.items()] for v in self.validations[-20:]]
