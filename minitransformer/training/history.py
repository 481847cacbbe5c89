"""What a training run leaves behind: a record of every step and of every validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..arguments import checked

Record = dict[str, float]


@checked
@dataclass
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
