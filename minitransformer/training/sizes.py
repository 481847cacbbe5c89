"""A run's checkpoint: its arrays must be those of the model that it describes. That is checked before they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..layers import Array, Unallocated
from ..models import LANGUAGE_MODELS, MODELS, build_model
from .checkpoint import CheckpointError, Shapes, load_checkpoint

# What version 0.1 called parts of a parameter's name, and what they are called now.
RENAMED_PARAMETERS = {"model.embedding.weight": "model.embedding.tokens.weight"}
RENAMED_PARTS = {
    "widen": "up_proj",
    "narrow": "down_proj",
    "gate": "gate_proj",
    "shift": "bias",
    "table": "weight",
    "ahead": "forward_layer",
    "back": "backward_layer",
    "input": "input_projection",
    "recurrent": "hidden_projection",
}


def load_run(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read (arrays, description) of a run's checkpoint, checked, its parameters under the names of today."""
    arrays, description = load_checkpoint(path, check_sizes)
    return {current_name(name): array for name, array in arrays.items()}, description


def current_name(name: str) -> str:
    """The name of today for an array of a checkpoint, which an older version may have written."""
    if not name.startswith("model."):
        return name
    if name in RENAMED_PARAMETERS:
        return RENAMED_PARAMETERS[name]
    return ".".join(RENAMED_PARTS.get(part, part) for part in name.split("."))


def check_sizes(path: Path, shapes: Shapes, description: dict[str, Any]) -> None:
    """CheckpointError unless the description is of a model and `shapes` has its parameters.

    Beside them there may be an optimizer's moments and a history's columns, and nothing else.

    The model is built without memory, and only if it has no more blocks than the file has arrays.
    """
    shapes = {current_name(name): shape for name, shape in shapes.items()}
    try:
        name = description["model"]
        config = (MODELS | LANGUAGE_MODELS)[name][1].from_dict(description["config"])
        for field, value in config.to_dict().items():
            if field.endswith(("blocks", "layers")) and value > len(shapes):
                raise ValueError(f"{field}={value}: the file has {len(shapes)} arrays")
        model = build_model(name, config, Unallocated())
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise CheckpointError(f"{path}: its description does not fit this program: {str(error)[:300]!r}") from None
    for parameter_name, parameter in model.named_parameters():
        stored = shapes.get(f"model.{parameter_name}")
        if stored != parameter.shape:
            got = "missing" if stored is None else f"of shape {stored}"
            raise CheckpointError(f"{path}: {parameter_name} is {got}: {name} needs {parameter.shape}")
    wanted = {f"model.{parameter}" for parameter, _ in model.named_parameters()}
    for stored_name, shape in shapes.items():
        moment, column = stored_name.startswith("optimizer."), stored_name.startswith("history.")
        if (moment and shape == (model.n_parameters(),)) or (column and len(shape) == 1) or stored_name in wanted:
            continue
        raise CheckpointError(f"{path}: {stored_name[:100]!r} of shape {shape} has no place in a {name}")
