"""What recurrent layers share: padding, first states, both directions, and stacks.

A recurrent layer is called as (x, mask, *state) -> (y, *last state). LSTM has two states, h and c; GRU has one, h.

    Bidirectional   y_t = [forward_t; backward_t],  the backward layer reads the sequence from its end
    RecurrentStack   x -> layer 1 -> dropout -> layer 2 -> ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...arguments import checked
from ..base import Array, Cache, Layer
from ..checks import check_axes, check_gradients
from ..dropout import Dropout
from ..residual import as_tuple


@checked
class Bidirectional(Layer):
    """One layer reads the sequence from its start, another from its end; their outputs stand side by side.

    Parameters
    ----------
    forward_layer, backward_layer : Layer
        (x, mask, *state) -> (y, *last state), y (B, T, H) of both.

    Shapes: x (B, T, D), mask (B, T), each state (B, 2 H), that of the forward layer first -> y (B, T, 2 H), each last
    state (B, 2 H). The backward layer's last state is the one at the first token. Backward returns the gradient of x,
    or, where states were given, the tuple of it and theirs.

    Source: Schuster and Paliwal 1997, "Bidirectional Recurrent Neural Networks", section II.
    """

    def __init__(self, forward_layer: Layer, backward_layer: Layer) -> None:
        self.forward_layer, self.backward_layer = forward_layer, backward_layer
        self.d_hidden: int = forward_layer.d_hidden + backward_layer.d_hidden  # type: ignore[attr-defined]
        self.states: tuple[str, ...] = forward_layer.states  # type: ignore[attr-defined]

    def forward(
        self, x: Array, mask: Array | None = None, *state: Array, rng: np.random.Generator | None = None
    ) -> tuple[tuple[Array, ...], Cache]:
        check_axes("x", x, "B T D")
        padded_steps(x, mask)  # raises what it has to say of the mask
        check_states(state, self.states if state else (), (len(x), self.d_hidden))
        H: int = self.forward_layer.d_hidden  # type: ignore[attr-defined]
        reversed_mask = None if mask is None else mask[:, ::-1]
        (y_forward, *last_forward), forward_cache = self.forward_layer.forward(x, mask, *(s[:, :H] for s in state))
        (y_backward, *last_backward), backward_cache = self.backward_layer.forward(
            x[:, ::-1], reversed_mask, *(s[:, H:] for s in state)
        )
        y = np.concatenate([y_forward, y_backward[:, ::-1]], axis=-1)  # (B, T, H) twice -> (B, T, 2 H)
        last = [np.concatenate(pair, axis=-1) for pair in zip(last_forward, last_backward)]
        shapes = [array.shape for array in (y, *last)]
        return (y, *last), Cache(forward_layer=forward_cache, backward_layer=backward_cache, shapes=shapes)

    def backward(self, d_output: tuple[Array, ...], cache: Cache) -> Any:
        H: int = self.forward_layer.d_hidden  # type: ignore[attr-defined]
        check_gradients(self, d_output, cache["shapes"])
        dy, *d_last = d_output
        d_backward = (dy[:, ::-1, H:], *(d[:, H:] for d in d_last))
        dx_backward, *d_state_backward = as_tuple(self.backward_layer.backward(d_backward, cache["backward_layer"]))
        d_forward = (dy[..., :H], *(d[:, :H] for d in d_last))
        dx_forward, *d_state_forward = as_tuple(self.forward_layer.backward(d_forward, cache["forward_layer"]))
        dx = dx_forward + dx_backward[:, ::-1]  # both read x, so their gradients add
        d_state = [np.concatenate(pair, axis=-1) for pair in zip(d_state_forward, d_state_backward)]
        return (dx, *d_state) if d_state else dx


@checked
class RecurrentStack(Layer):
    """Recurrent layers one above another: each reads the outputs of the one below.

    Parameters
    ----------
    layers : sequence of Layer
        (x, mask, *state) -> (y, *last state) each.
    dropout : float
        Probability of dropping a number between two layers while training.

    Shapes: x (B, T, D), mask (B, T) boolean, True = a token and not padding, each state (B, N, H) for N layers
    -> y (B, T, H) of the last layer, each last state (B, N, H). Backward takes the gradients of all that forward
    returns, and returns the gradient of x, or, where states were given, the tuple of it and theirs.

    Source: Zaremba et al. 2014, "Recurrent Neural Network Regularization", section 3.2 (dropout between layers only).
    """

    def __init__(self, layers: Sequence[Layer], dropout: float = 0.0) -> None:
        if not layers:
            raise ValueError("layers=[]: a stack needs at least 1 layer")
        self.layers = list(layers)
        self.dropout = Dropout(dropout)
        self.d_hidden: int = layers[-1].d_hidden  # type: ignore[attr-defined]
        self.states: tuple[str, ...] = layers[0].states  # type: ignore[attr-defined]

    def forward(
        self, x: Array, mask: Array | None = None, *state: Array, rng: np.random.Generator | None = None
    ) -> tuple[tuple[Array, ...], Cache]:
        check_axes("x", x, "B T D")
        N, last, layer_caches, dropout_caches = len(self.layers), [], [], []
        if state:
            check_states(state, self.states, (len(x), N, self.d_hidden))
        for n, layer in enumerate(self.layers):
            if n:
                x, dropout_cache = self.dropout.forward(x, rng=rng)
                dropout_caches.append(dropout_cache)
            (x, *last_of_layer), layer_cache = layer.forward(x, mask, *(s[:, n] for s in state))
            layer_caches.append(layer_cache)
            last.append(last_of_layer)
        stacked = [np.stack(states, axis=1) for states in zip(*last)]  # N of (B, H) -> (B, N, H)
        shapes = [array.shape for array in (x, *stacked)]
        return (x, *stacked), Cache(layers=layer_caches, dropouts=dropout_caches, shapes=shapes)

    def backward(self, d_output: tuple[Array, ...], cache: Cache) -> Any:
        check_gradients(self, d_output, cache["shapes"])
        dx, *d_last = d_output
        d_states: list[list[Array]] = []
        for n in reversed(range(len(self.layers))):
            d_of_layer = (dx, *(d[:, n] for d in d_last))
            dx, *d_state_of_layer = as_tuple(self.layers[n].backward(d_of_layer, cache["layers"][n]))
            d_states.insert(0, d_state_of_layer)
            if n:
                dx = self.dropout.backward(dx, cache["dropouts"][n - 1])
        d_state = [np.stack(states, axis=1) for states in zip(*d_states)]
        return (dx, *d_state) if d_state else dx


def time_major(x: Array) -> Array:
    """(B, T, D) -> (T, B, D), contiguous: a step's rows are neighbours in memory."""
    return np.ascontiguousarray(x.swapaxes(0, 1))


def padded_steps(x: Array, mask: Array | None) -> Array | None:
    """mask (B, T), True = token -> (T, B, 1), True = padding; None where there is none.

    Raises TypeError unless the mask is boolean, ValueError unless it is (B, T).
    """
    if mask is None:
        return None
    if not isinstance(mask, np.ndarray) or mask.dtype.kind != "b":
        got = f"dtype {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"mask is of {got}: it must be a boolean array in which True means a token")
    if mask.shape != x.shape[:2]:
        raise ValueError(f"mask has shape {mask.shape}: it must be (B, T)={x.shape[:2]}")
    return None if mask.all() else ~mask.T[:, :, None]  # (B, T) -> (T, B, 1)


def check_states(state: Sequence[Array], names: Sequence[str], shape: tuple[int, ...]) -> None:
    """Raise TypeError unless all are arrays of numbers, ValueError unless there is one of this shape for each name."""
    for name, array in zip(names, state):
        check_axes(name, array)
    shapes = [np.shape(s) for s in state]
    if shapes != [shape] * len(names):
        raise ValueError(f"{', '.join(names)} have shapes {shapes}: give {len(names)} of {shape}, or none")


def first_states(state: Sequence[Array], names: Sequence[str], x: Array, d_hidden: int) -> Sequence[Array]:
    """The states before the first step: those given, or zeros (B, H)."""
    check_axes("x", x, "B T D")
    if not state:
        return [np.zeros((len(x), d_hidden), x.dtype)] * len(names)
    check_states(state, names, (len(x), d_hidden))
    return state
