"""Optimizers: from a gradient to a step. Each works on one flat vector that holds all parameters of a model.

SGD     v = momentum v + g                       w = w - rate v
Adam    m = b1 m + (1 - b1) g                    w = w - rate m_hat / (sqrt(v_hat) + eps)
        v = b2 v + (1 - b2) g^2                  m_hat = m / (1 - b1^t), v_hat = v / (1 - b2^t)
AdamW   Adam, and before it w = w - rate decay w
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arguments import checked
from ..layers import Array

CHUNK = 1 << 15  # numbers at a time: all operands of a chunk stay in the processor's cache (up to 2 times faster)


class Optimizer:
    """Base of the optimizers. `step` changes the weights in place; `state` is what a checkpoint has to keep.

    Attributes
    ----------
    t : int
        Steps taken so far: one for each call of `step`, however many tensors the vector holds.
    moments : dict of str to array
        Running averages, as long as the weights.
    """

    names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.t = 0
        self.moments: dict[str, Array] = {}

    def step(self, value: Array, grad: Array, rate: float) -> None:
        """Move `value` (n,) against `grad` (n,), which stays as it is, with learning rate `rate`."""
        if not self.moments:
            self.moments = {name: np.zeros_like(value) for name in self.names}
        self.t += 1
        for part in chunks(len(value)):
            moments = {name: moment[part] for name, moment in self.moments.items()}
            self.update(value[part], grad[part], rate, **moments)

    def update(self, w: Array, g: Array, rate: float, **moments: Array) -> None:
        """The equation, on a part of the vector; writes into w and into the moments."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        return {"t": self.t, "moments": self.moments}

    def restore(self, state: dict[str, Any]) -> None:
        self.t = int(state["t"])
        self.moments = {name: np.array(moment) for name, moment in state["moments"].items()}


@checked
class SGD(Optimizer):
    """Stochastic gradient descent.

    Parameters
    ----------
    momentum : float
        0 <= momentum < 1; with 0 it is plain gradient descent.
    """

    names = ("v",)

    def __init__(self, momentum: float = 0.0) -> None:
        super().__init__()
        self.momentum = check_fraction("momentum", momentum)

    def update(self, w: Array, g: Array, rate: float, v: Array) -> None:  # type: ignore[override]
        v *= self.momentum
        v += g
        w -= rate * v


@checked
class Adam(Optimizer):
    """Adam: the mean gradient divided by the root of its mean square, both corrected for their start at 0.

    Parameters
    ----------
    beta1, beta2 : float
        Decay of the two running averages. The Transformer of 2017 has 0.9 and 0.98.
    eps : float
        Added to the root.

    Source: Kingma and Ba 2015, "Adam", algorithm 1.
    """

    names = ("m", "v")

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__()
        self.beta1, self.beta2 = check_fraction("beta1", beta1), check_fraction("beta2", beta2)
        if not 1e-38 <= eps < float("inf"):  # below, it is 0 in float32
            raise ValueError(f"eps={eps}: must be a finite number of at least 1e-38")
        self.eps = eps

    def update(self, w: Array, g: Array, rate: float, m: Array, v: Array) -> None:  # type: ignore[override]
        m *= self.beta1
        m += (1.0 - self.beta1) * g
        v *= self.beta2
        v += (1.0 - self.beta2) * (g * g)
        root = np.sqrt(v)
        root *= (1.0 - self.beta2**self.t) ** -0.5  # sqrt(v_hat)
        root += self.eps
        np.divide(m, root, out=root)
        root *= rate / (1.0 - self.beta1**self.t)
        w -= root


@checked
class AdamW(Adam):
    """Adam with weight decay that is decoupled from the gradient.

    Parameters
    ----------
    weight_decay : float
        Share of every weight that is taken away, times the learning rate, at least 0.
    beta1, beta2, eps
        As for `Adam`.

    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
    """

    def __init__(self, weight_decay: float = 0.01, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__(beta1, beta2, eps)
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay={weight_decay}: must be at least 0")
        self.weight_decay = weight_decay

    def update(self, w: Array, g: Array, rate: float, m: Array, v: Array) -> None:  # type: ignore[override]
        w *= 1.0 - rate * self.weight_decay
        super().update(w, g, rate, m, v)


@checked
def clip_by_global_norm(grad: Array, max_norm: float) -> float:
    """Scale `grad` (n,) in place to a norm of at most `max_norm`; return the norm that it had.

    Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", algorithm 1.
    """
    if not max_norm > 0.0:
        raise ValueError(f"max_norm={max_norm}: must be above 0")
    if grad.ndim != 1:
        raise ValueError(f"grad has shape {grad.shape}: must be one flat vector (n,)")
    norm = float(np.dot(grad, grad)) ** 0.5
    if norm > max_norm:  # False for NaN: what is not a number is not hidden by scaling
        grad *= max_norm / norm
    return norm


def as_optimizer(optimizer: Optimizer | type[Optimizer] | str | None) -> Optimizer:
    """An optimizer as it is; a name or a class means one with its defaults, None means `Adam()`."""
    known = {kind.__name__.lower(): kind for kind in (SGD, Adam, AdamW)}
    if isinstance(optimizer, str):
        if optimizer.lower() not in known:
            raise ValueError(f"optimizer={optimizer!r}: must be one of {', '.join(known)}")
        return known[optimizer.lower()]()
    if optimizer is None or isinstance(optimizer, type):
        return (optimizer or Adam)()
    return optimizer


def chunks(n: int) -> Iterator[slice]:
    """The slices of a vector of length n, CHUNK numbers each."""
    return (slice(start, start + CHUNK) for start in range(0, n, CHUNK))


def check_fraction(name: str, value: float) -> float:
    """Raise ValueError unless 0 <= value < 1."""
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name}={value}: must be at least 0 and below 1")
    return value
