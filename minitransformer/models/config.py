"""What the configurations of all models share: they are plain frozen data that a checkpoint stores as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

from .parts import Part, part_from_dict

C = TypeVar("C", bound="Config")


@dataclass(frozen=True)
class Config:
    """Base of the models' configurations."""

    def to_dict(self) -> dict[str, Any]:
        return {name: v.to_dict() if isinstance(v, Part) else v for name, v in vars(self).items()}

    @classmethod
    def from_dict(cls: type[C], values: dict[str, Any]) -> C:
        """The inverse of `to_dict`; raises ValueError for a key that is too many or missing."""
        if not isinstance(values, Mapping):
            raise ValueError(f"values={values!r:.80}: must be a dict, such as to_dict of a {cls.__name__} gives")
        known = {field.name for field in fields(cls)}
        if surplus := sorted(str(name) for name in set(values) - known):
            raise ValueError(f"{cls.__name__} has no {', '.join(surplus):.200}: it has {', '.join(sorted(known))}")
        needed = [field.name for field in fields(cls) if field.default is MISSING]
        if missing := [name for name in needed if name not in values]:
            raise ValueError(f"{cls.__name__} needs {', '.join(missing)}: given are {', '.join(values) or 'none'}")
        parts = {name: part_from_dict(v) for name, v in values.items() if isinstance(v, dict) and "part" in v}
        return cls(**{**values, **parts})


def check_at_least(config: Any, lowest: int, *names: str) -> None:
    """Raise ValueError unless each named value is an integer of at least `lowest`."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise ValueError(f"{name}={value!r}: must be an integer of at least {lowest}")


def check_probability(config: Any, *names: str) -> None:
    """Raise ValueError unless each named value is in [0, 1)."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
            raise ValueError(f"{name}={value!r}: must be at least 0 and below 1")


def check_positive(config: Any, *names: str) -> None:
    """Raise ValueError unless each named value is a finite number above 0."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, (int, float)) or not 0.0 < value < float("inf"):
            raise ValueError(f"{name}={value!r}: must be a finite number above 0")


def check_part(config: Any, name: str, *allowed: type[Part]) -> None:
    """Raise TypeError unless the named value is a part of one of these kinds."""
    if not isinstance(getattr(config, name), allowed):
        kinds = " or ".join(f"{kind.__name__}()" for kind in allowed)
        raise TypeError(f"{name}={getattr(config, name)!r:.80}: must be {kinds}")
