"""The LSTM: a cell c that is added to, and gates that say what enters it, what stays and what is seen of it.

    g = tanh(x W_g + h U_g + b_g)          i, f, o = sigmoid(x W + h U + b), each with its own W, U and b
    c' = f c + i g                         h' = o tanh(c')

The gates stand side by side in the order (g, i, f, o): the three sigmoids are neighbours, and so are the three that
change c. PyTorch's order is (i, f, g, o).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arguments import checked
from ..activations import sigmoid_in_place
from ..base import Array, Cache, Layer
from ..checks import check_axes, check_gradients
from ..initializers import Init, as_initializer
from ..linear import Dense, Linear
from .stack import Bidirectional, RecurrentStack, first_states, padded_steps, time_major


@checked
class LSTMLayer(Layer):
    """One layer of LSTM over all steps of a sequence.

    A padded step leaves h and c alone, and its output is the h that is carried past it. So y[:, -1] is the last h
    also of a shorter sentence.

    Parameters
    ----------
    d_in, d_hidden : int
        Features D of the input, and H of h and c.
    init : Initializer or np.random.Generator
        Draws W (D, 4 H) and U (H, 4 H). Biases are zero at first, but for the forget gate's, which is 1, so that c
        is kept until there is a reason not to.

    Shapes: x (B, T, D), mask (B, T) boolean, True = a token, h and c (B, H), zero by default -> y (B, T, H), h, c.
    Backward takes the gradients of all three, and returns the gradient of x, or, where h and c were given, of x, h, c.

    Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; the forget gate: Gers et al. 2000, "Learning to
    Forget"; its bias of 1: Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network Architectures".
    """

    states = ("h", "c")

    def __init__(self, d_in: int, d_hidden: int, init: Init) -> None:
        if d_hidden < 1:
            raise ValueError(f"d_hidden={d_hidden}: an LSTM needs at least 1 unit")
        init = as_initializer(init)
        self.d_in, self.d_hidden = d_in, d_hidden
        self.input_projection = Dense(d_in, 4 * d_hidden, init)
        self.hidden_projection = Linear(d_hidden, 4 * d_hidden, init)
        bias = self.input_projection.bias.value
        if bias.flags.writeable:  # it is not where the model is only counted
            bias[2 * d_hidden : 3 * d_hidden] = 1.0

    def forward(
        self, x: Array, mask: Array | None = None, *state: Array, rng: np.random.Generator | None = None
    ) -> tuple[tuple[Array, ...], Cache]:
        h_first, c_first = first_states(state, self.states, x, self.d_hidden)
        padded = padded_steps(x, mask)
        B, T, _ = x.shape
        H, U = self.d_hidden, self.hidden_projection.weight.value
        sums, input_cache = self.input_projection.forward(
            time_major(x)
        )  # x W + b of all steps: (T, B, D) -> (T, B, 4 H)
        gates = sums.astype(np.result_type(sums, U, h_first, c_first), copy=False)
        h, c = np.empty((2, T + 1, B, H), gates.dtype)  # before the first step, and behind each
        tanh_c = np.empty((T, B, H), gates.dtype)
        h[0], c[0] = h_first, c_first
        for t in range(T):
            gates[t] += h[t] @ U
            np.tanh(gates[t, :, :H], out=gates[t, :, :H])
            sigmoid_in_place(gates[t, :, H:])
            g, i, f, o = split_gates(gates[t])
            np.multiply(f, c[t], out=c[t + 1])
            c[t + 1] += i * g
            np.tanh(c[t + 1], out=tanh_c[t])
            np.multiply(o, tanh_c[t], out=h[t + 1])
            if padded is not None:
                np.copyto(h[t + 1], h[t], where=padded[t])
                np.copyto(c[t + 1], c[t], where=padded[t])
        cache = Cache(
            input_projection=input_cache, gates=gates, h=h, c=c, tanh_c=tanh_c, padded=padded, given=bool(state)
        )
        return (h[1:].swapaxes(0, 1), h[T], c[T]), cache  # (T, B, H) -> (B, T, H)

    def backward(self, d_output: tuple[Array, ...], cache: Cache) -> Any:
        gates, h, c, tanh_c, padded = (cache[name] for name in ("gates", "h", "c", "tanh_c", "padded"))
        T, B, H = tanh_c.shape
        check_gradients(self, d_output, ((B, T, H), (B, H), (B, H)))
        dy, dh, dc = d_output
        U = self.hidden_projection.weight.value
        g, i, f, o = split_gates(gates)
        # The slopes of all steps at once: of c' by the sums of g, i and f, of h' by that of o, of h' by c'.
        d_gates = np.empty_like(gates)
        d_sums = split_gates(d_gates)
        d_sums[0][...] = i * (1.0 - g * g)
        d_sums[1][...] = g * (i * (1.0 - i))
        d_sums[2][...] = c[:-1] * (f * (1.0 - f))
        d_sums[3][...] = tanh_c * (o * (1.0 - o))
        dh_dc = o * (1.0 - tanh_c * tanh_c)
        if padded is not None:  # a padded step moves nothing
            d_gates *= ~padded
            dh_dc *= ~padded
            f = np.where(padded, f.dtype.type(1), f)
        for t in reversed(range(T)):
            dh = dh + dy[:, t]
            dc = dc + dh * dh_dc[t]
            by_gate = d_gates[t].reshape(B, 4, H)  # (B, 4 H) -> (B, 4, H), a view
            by_gate[:, :3] *= dc[:, None]
            by_gate[:, 3] *= dh
            dc = dc * f[t]
            carried = dh * padded[t] if padded is not None else None
            dh = d_gates[t] @ U.T
            if carried is not None:
                dh += carried
        d_rows = d_gates.reshape(T * B, 4 * H)
        self.hidden_projection.weight.grad += h[:-1].reshape(T * B, H).T @ d_rows  # of all steps in one product
        dx = self.input_projection.backward(d_gates, cache["input_projection"]).swapaxes(0, 1)  # (T, B, D) -> (B, T, D)
        return (dx, dh, dc) if cache["given"] else dx


class LSTMCell(LSTMLayer):
    """One step of an LSTM: (x, h, c) -> (h', c').

    Shapes: x (B, D), h and c (B, H) -> h' and c' (B, H). Backward takes the gradients of both, and returns those of
    x, h and c.
    """

    def forward(  # type: ignore[override]
        self, x: Array, h: Array, c: Array, rng: np.random.Generator | None = None
    ) -> tuple[tuple[Array, ...], Cache]:
        check_axes("x", x)
        if x.ndim != 2:
            raise ValueError(f"x has shape {x.shape}: give (B, D), one step")
        (_, h, c), cache = super().forward(x[:, None], None, h, c)  # (B, D) -> (B, 1, D)
        return (h, c), cache

    def backward(self, d_output: tuple[Array, ...], cache: Cache) -> tuple[Array, Array, Array]:
        _, *shape = cache["tanh_c"].shape  # (1, B, H)
        check_gradients(self, d_output, [tuple(shape)] * 2)
        dh, dc = d_output
        dx, dh, dc = super().backward((np.zeros_like(dh)[:, None], dh, dc), cache)
        return dx[:, 0], dh, dc


@checked
class LSTM(RecurrentStack):
    """Layers of LSTM one above another, from the first token to the last.

    Parameters
    ----------
    d_in, d_hidden : int
        Features of the input, and of h and c in every layer.
    init : Initializer or np.random.Generator
    n_layers : int
    dropout : float
        Probability of dropping a number between two layers while training.

    Shapes: x (B, T, D), mask (B, T), h and c (B, N, H), zero by default -> y (B, T, H), h, c.
    """

    def __init__(self, d_in: int, d_hidden: int, init: Init, n_layers: int = 1, dropout: float = 0.0) -> None:
        init = as_initializer(init)
        check_layers(n_layers)
        widths = [d_in] + [d_hidden] * (n_layers - 1)
        super().__init__([LSTMLayer(width, d_hidden, init) for width in widths], dropout)


@checked
class BidirectionalLSTM(RecurrentStack):
    """The same with two LSTMs in every layer, one for each direction.

    Parameters
    ----------
    d_in, d_hidden : int
        Features of the input, and of h and c in every layer and direction.
    init, n_layers, dropout
        As for `LSTM`.

    Shapes: x (B, T, D), mask (B, T), h and c (B, N, 2 H), zero by default -> y (B, T, 2 H), h, c.
    """

    def __init__(self, d_in: int, d_hidden: int, init: Init, n_layers: int = 1, dropout: float = 0.0) -> None:
        init = as_initializer(init)
        check_layers(n_layers)
        widths = [d_in] + [2 * d_hidden] * (n_layers - 1)
        layers = [Bidirectional(*(LSTMLayer(width, d_hidden, init) for _ in range(2))) for width in widths]
        super().__init__(layers, dropout)


def split_gates(gates: Array) -> list[Array]:
    """(..., 4 H) -> four views (..., H): g, i, f, o."""
    H = gates.shape[-1] // 4
    return [gates[..., k * H : (k + 1) * H] for k in range(4)]


def check_layers(n_layers: int) -> None:
    """Raise ValueError unless there is a layer."""
    if n_layers < 1:
        raise ValueError(f"n_layers={n_layers}: there must be at least 1 layer")
