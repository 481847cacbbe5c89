"""One vector for all parameters and one for all gradients; every `Parameter` becomes a view into the two.

Adam, clipping and checkpoints then work on a single array, whatever the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..layers import Array, Parameter


def flatten_values(parameters: Sequence[Parameter]) -> Array:
    """Move all values into one new vector (n,), of which the parameters' values become views."""
    dtypes = {parameter.dtype for parameter in parameters}
    if len(dtypes) != 1:
        names = ", ".join(sorted(map(str, dtypes))) or "no parameters at all"
        raise ValueError(f"parameters have {names}: a flat vector needs one dtype")
    vector = np.concatenate([parameter.value.reshape(-1) for parameter in parameters])
    for parameter, view in views(vector, parameters):
        parameter.value = view
    return vector


def flatten_gradients(parameters: Sequence[Parameter]) -> Array:
    """Make the parameters' gradients views of one new vector of zeros (n,)."""
    vector = np.zeros(sum(parameter.size for parameter in parameters), parameters[0].dtype)
    for parameter, view in views(vector, parameters):
        parameter.grad = view
    return vector


def views(vector: Array, parameters: Sequence[Parameter]) -> Iterator[tuple[Parameter, Array]]:
    """Each parameter with its part of the vector, in its shape."""
    start = 0
    for parameter in parameters:
        yield parameter, vector[start : start + parameter.size].reshape(parameter.shape)
        start += parameter.size
