"""The GRU: one state h, a gate that says how much of it stays, and a gate that says how much of it is looked at.

    r, z = sigmoid(x W + h U + b), each with its own W, U and b
    n = tanh(x W_n + b_n + r (h U_n + b'_n))          h' = (1 - z) n + z h

The gates stand side by side in PyTorch's order (r, z, n).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...arguments import checked
from ..activations import sigmoid_in_place
from ..base import Array, Cache, Layer
from ..checks import check_gradients
from ..initializers import Init, as_initializer
from ..linear import Dense
from ..reductions import column_sum
from .lstm import check_layers
from .stack import Bidirectional, RecurrentStack, first_states, padded_steps, time_major


@checked
class GRULayer(Layer):
    """One layer of GRU over all steps of a sequence. A padded step leaves h alone, and puts it out.

    Parameters
    ----------
    d_in, d_hidden : int
        Features D of the input, and H of h.
    init : Initializer or np.random.Generator
        Draws W (D, 3 H) and U (H, 3 H). Both have a bias, zero at first: the one behind U matters for n only.

    Shapes: x (B, T, D), mask (B, T) boolean, True = a token, h (B, H), zero by default -> y (B, T, H), h. Backward
    takes the gradients of both, and returns the gradient of x, or, where h was given, of x and h.

    Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder", eqs. 5 to 8, with the reset
    gate behind the product with U, as Chung et al. 2014 and most libraries have it.
    """

    states = ("h",)

    def __init__(self, d_in: int, d_hidden: int, init: Init) -> None:
        if d_hidden < 1:
            raise ValueError(f"d_hidden={d_hidden}: a GRU needs at least 1 unit")
        init = as_initializer(init)
        self.d_in, self.d_hidden = d_in, d_hidden
        self.input_projection = Dense(d_in, 3 * d_hidden, init)
        self.hidden_projection = Dense(d_hidden, 3 * d_hidden, init)

    def forward(
        self, x: Array, mask: Array | None = None, *state: Array, rng: np.random.Generator | None = None
    ) -> tuple[tuple[Array, ...], Cache]:
        (h_first,) = first_states(state, self.states, x, self.d_hidden)
        padded = padded_steps(x, mask)
        B, T, _ = x.shape
        H, U, b = self.d_hidden, self.hidden_projection.weight.value, self.hidden_projection.bias.value
        sums, input_cache = self.input_projection.forward(
            time_major(x)
        )  # x W + b of all steps: (T, B, D) -> (T, B, 3 H)
        gates = sums.astype(np.result_type(sums, U, b, h_first), copy=False)
        h = np.empty((T + 1, B, H), gates.dtype)  # before the first step, and behind each
        seen = np.empty((T, B, H), gates.dtype)  # h U_n + b'_n, what the reset gate lets through
        h[0] = h_first
        for t in range(T):
            from_h = h[t] @ U
            from_h += b
            r, z, n = (gates[t, :, k * H : (k + 1) * H] for k in range(3))
            gates[t, :, : 2 * H] += from_h[:, : 2 * H]
            sigmoid_in_place(gates[t, :, : 2 * H])
            seen[t] = from_h[:, 2 * H :]
            n += r * seen[t]
            np.tanh(n, out=n)
            np.subtract(h[t], n, out=h[t + 1])  # h' = n + z (h - n)
            h[t + 1] *= z
            h[t + 1] += n
            if padded is not None:
                np.copyto(h[t + 1], h[t], where=padded[t])
        cache = Cache(input_projection=input_cache, gates=gates, h=h, seen=seen, padded=padded, given=bool(state))
        return (h[1:].swapaxes(0, 1), h[T]), cache  # (T, B, H) -> (B, T, H)

    def backward(self, d_output: tuple[Array, ...], cache: Cache) -> Any:
        gates, h, seen, padded = (cache[name] for name in ("gates", "h", "seen", "padded"))
        T, B, H = seen.shape
        check_gradients(self, d_output, ((B, T, H), (B, H)))
        dy, dh = d_output
        U = self.hidden_projection.weight.value
        r, z, n = (gates[..., k * H : (k + 1) * H] for k in range(3))
        # The slopes of h' of all steps at once: by the sum within n, by that of z, and of n's sum by that of r.
        dh_dn = (1.0 - z) * (1.0 - n * n)
        dh_dz = (h[:-1] - n) * (z * (1.0 - z))
        dn_dr = seen * (r * (1.0 - r))
        if padded is not None:  # a padded step moves nothing
            dh_dn *= ~padded
            dh_dz *= ~padded
            z = np.where(padded, z.dtype.type(1), z)
        d_gates, d_from_h = np.empty_like(gates), np.empty_like(gates)
        for t in reversed(range(T)):
            dh = dh + dy[:, t]
            dn = dh * dh_dn[t]
            d_gates[t, :, :H] = dn * dn_dr[t]
            d_gates[t, :, H : 2 * H] = dh * dh_dz[t]
            d_gates[t, :, 2 * H :] = dn
            d_from_h[t, :, : 2 * H] = d_gates[t, :, : 2 * H]
            d_from_h[t, :, 2 * H :] = dn * r[t]
            dh = dh * z[t] + d_from_h[t] @ U.T
        d_rows = d_from_h.reshape(T * B, 3 * H)
        self.hidden_projection.weight.grad += h[:-1].reshape(T * B, H).T @ d_rows  # of all steps in one product
        self.hidden_projection.bias.grad += column_sum(d_rows)
        dx = self.input_projection.backward(d_gates, cache["input_projection"]).swapaxes(0, 1)  # (T, B, D) -> (B, T, D)
        return (dx, dh) if cache["given"] else dx


@checked
class GRU(RecurrentStack):
    """Layers of GRU one above another, from the first token to the last.

    Parameters
    ----------
    d_in, d_hidden : int
        Features of the input, and of h in every layer.
    init : Initializer or np.random.Generator
    n_layers : int
    dropout : float
        Probability of dropping a number between two layers while training.

    Shapes: x (B, T, D), mask (B, T), h (B, N, H), zero by default -> y (B, T, H), h.
    """

    def __init__(self, d_in: int, d_hidden: int, init: Init, n_layers: int = 1, dropout: float = 0.0) -> None:
        init = as_initializer(init)
        check_layers(n_layers)
        widths = [d_in] + [d_hidden] * (n_layers - 1)
        super().__init__([GRULayer(width, d_hidden, init) for width in widths], dropout)


@checked
class BidirectionalGRU(RecurrentStack):
    """The same with two GRUs in every layer, one for each direction.

    Parameters
    ----------
    d_in, d_hidden : int
        Features of the input, and of h in every layer and direction.
    init, n_layers, dropout
        As for `GRU`.

    Shapes: x (B, T, D), mask (B, T), h (B, N, 2 H), zero by default -> y (B, T, 2 H), h.
    """

    def __init__(self, d_in: int, d_hidden: int, init: Init, n_layers: int = 1, dropout: float = 0.0) -> None:
        init = as_initializer(init)
        check_layers(n_layers)
        widths = [d_in] + [2 * d_hidden] * (n_layers - 1)
        layers = [Bidirectional(*(GRULayer(width, d_hidden, init) for _ in range(2))) for width in widths]
        super().__init__(layers, dropout)
