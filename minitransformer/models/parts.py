"""Parts of a model that a configuration chooses, as small objects that a checkpoint stores by name.

positions   Sinusoidal(), Learned(max_length)
head        Tied(), Untied()
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..arguments import check_finite, checked
from ..layers import Embedding, Init, Layer, LearnedPositions, Linear, SinusoidalPositions, Unembedding


@checked
@dataclass(frozen=True)
class Part:
    """Base of the parts. `build` makes the layer."""

    def to_dict(self) -> dict[str, Any]:
        return {"part": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class Sinusoidal(Part):
    """Sines and cosines, without parameters: `SinusoidalPositions`."""

    def build(self, d_model: int, init: Init) -> Layer:
        return SinusoidalPositions(d_model)


@checked
@dataclass(frozen=True)
class Learned(Part):
    """A trainable vector for each of `max_length` positions: `LearnedPositions`."""

    max_length: int

    def __post_init__(self) -> None:
        if not isinstance(self.max_length, int) or self.max_length < 1:
            raise ValueError(f"max_length={self.max_length!r}: must be an integer of at least 1")

    def build(self, d_model: int, init: Init) -> Layer:
        return LearnedPositions(self.max_length, d_model, init)


@checked
@dataclass(frozen=True)
class Tied(Part):
    """The head is the embedding's table: `Unembedding`. `scale` is a factor on the logits."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        check_finite("scale", self.scale)

    def build(self, tokens: Embedding, init: Init) -> Layer:
        return Unembedding(tokens.weight, self.scale)


@dataclass(frozen=True)
class Untied(Part):
    """The head has weights of its own: `Linear`, without a bias."""

    def build(self, tokens: Embedding, init: Init) -> Layer:
        return Linear(tokens.d_model, tokens.n, init)


SINUSOIDAL, TIED, UNTIED = Sinusoidal(), Tied(), Untied()  # they are frozen, so one of each serves all

PARTS: dict[str, type[Part]] = {part.__name__: part for part in (Sinusoidal, Learned, Tied, Untied)}


def part_from_dict(values: dict[str, Any]) -> Part:
    """The inverse of `Part.to_dict`; ValueError for a part that is not known, or for values that it does not take."""
    settings = dict(values)
    name = settings.pop("part")
    if name not in PARTS:
        raise ValueError(f"part={name!r:.80}: must be one of {', '.join(PARTS)}")
    try:
        return PARTS[name](**settings)
    except TypeError:
        raise ValueError(f"{name} does not take {', '.join(map(repr, settings)) or 'nothing'}") from None
