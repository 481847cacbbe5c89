"""One vector for all parameters and one for all gradients; every `Parameter` becomes a view into the two.

Adam, clipping and checkpoints then work on a single array, whatever the model.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import checked
from ..layers import Array, Parameter


@checked
def flatten_values(parameters: Sequence[Parameter]) -> Array:
    """Move all values into one new vector (n,), of which the parameters' values become views."""
    dtypes = {parameter.dtype for parameter in parameters}
    if len(dtypes) != 1:
        names = ", ".join(sorted(map(str, dtypes))) or "no parameters at all"
        raise ValueError(f"parameters have {names}: a flat vector needs one dtype")
    vector = shared_vector(sum(parameter.size for parameter in parameters), parameters[0].dtype)
    np.concatenate([parameter.value.reshape(-1) for parameter in parameters], out=vector)
    for parameter, view in views(vector, parameters):
        parameter.value = view
    return vector


@checked
def flatten_gradients(parameters: Sequence[Parameter], vector: Array | None = None) -> Array:
    """Make the parameters' gradients views of one vector (n,): the one that is given, or a new one of zeros."""
    if not len(parameters):
        raise ValueError("parameters is empty: a vector needs at least one")
    if vector is None:
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


def shared_vector(n: int, dtype: DTypeLike) -> Array:
    """A vector of zeros (n,) that this process and those forked from it all see, whoever writes."""
    dtype = np.dtype(dtype)
    return np.frombuffer(mmap.mmap(-1, max(n * dtype.itemsize, 1)), dtype, n)
