"""Interventions: change one thing inside a model while it runs, and see what its output becomes.

NoHead        w'[h] = 0                                        the head adds nothing
TakeWeight    w'[h, t, s] = w[h, t, s] - taken                 where told, w'[h, t, to] += taken, or w' /= sum(w')
Patch         y'[t] = activation                               such as what the layer gave for another sentence

An attention map says where a head looks. An intervention says what depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arguments import check_type, checked
from .layers import Array, Cache, GroupedQueryAttention, Layer, MultiHeadAttention
from .layers.hooks import forward_hooks, method_replaced

__all__ = ["NoHead", "Patch", "TakeWeight", "intervene", "recorded"]


class Intervention:
    """A change of one array inside a model, and its backward. `start` is the position of the array's first row."""

    where: str

    def forward(self, array: Array, start: int = 0) -> tuple[Array, Cache]:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dy: Array, cache: Cache) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no backward")


@checked
@dataclass(frozen=True)
class NoHead(Intervention):
    """Switch a head off: its weights are 0, and so is its context.

    Parameters
    ----------
    where : str
        The attention, by its path as in the cache: "encoder.blocks.1.attention".
    head : int
    """

    where: str
    head: int

    def forward(self, array: Array, start: int = 0) -> tuple[Array, Cache]:
        H = array.shape[1]
        on = ~one_hot("head", self.head, H)[:, :, None, None]  # (1, H, 1, 1)
        return array * on, Cache(on=on)

    def backward(self, dy: Array, cache: Cache) -> Array:
        return dy * cache["on"]


@checked
@dataclass(frozen=True, eq=False)
class TakeWeight(Intervention):
    """Take an attention weight away: the query no longer sees the key.

    The row then sums to less than 1, unless the weight is given to another key, or what is left is renormalized.

    Parameters
    ----------
    where : str
        The attention, by its path as in the cache: "encoder.blocks.1.attention".
    query, key : int or array (B,)
        Positions: who looks, and at what. In an array each sentence of the batch has its own.
    head : int, optional
        By default every head.
    amount : float or array (B,), optional
        How much is taken, or as much as there is; by default all of it.
    to : int or array (B,), optional
        The key that gets what was taken.
    renormalize : bool
        Whether what is left of the row is divided by its sum.
    """

    where: str
    query: int | Array
    key: int | Array
    head: int | None = None
    amount: float | Array | None = None
    to: int | Array | None = None
    renormalize: bool = False

    def __post_init__(self) -> None:
        if self.to is not None and self.renormalize:
            raise ValueError("renormalize=True: what was taken goes to the key `to`, or to the whole row")
        for name in ("query", "key", "to"):
            check_positions(name, getattr(self, name))
        if self.amount is not None and not np.all(np.asarray(self.amount) >= 0):
            raise ValueError(f"amount={self.amount}: must be at least 0")

    def forward(self, array: Array, start: int = 0) -> tuple[Array, Cache]:
        B, H, T, S = array.shape
        head = np.ones((1, H), bool) if self.head is None else one_hot("head", self.head, H)
        query = np.arange(start, start + T) == per_sentence("query", self.query, B)  # (B or 1, T)
        row = head[:, :, None, None] & query[:, None, :, None]  # (B or 1, H, T, 1)
        here = query.any(axis=1, keepdims=True)  # while decoding, a query that is still to come has keys to come
        key = one_hot("key", here * per_sentence("key", self.key, B), S)[:, None, None]  # (B or 1, 1, 1, S)
        to = None if self.to is None else one_hot("to", here * per_sentence("to", self.to, B), S)[:, None, None]
        most = np.inf if self.amount is None else per_sentence("amount", self.amount, B)[:, :, None, None]
        all_of_it = array.real <= most
        taken = np.where(all_of_it, array, most).astype(array.dtype) * (row & key)  # (B, H, T, S)
        y, total = array - taken, None
        if to is not None:
            y = y + to * taken.sum(axis=-1, keepdims=True)
        if self.renormalize:
            total = y.sum(axis=-1, keepdims=True)
            total = np.where(
                row & (total.real > 0), total, 1
            )  # other rows, and one with nothing left, stay as they are
            y = y / total
        return y, Cache(all_of_it=all_of_it, cell=row & key, to=to, total=total, row=row, y=y)

    def backward(self, dy: Array, cache: Cache) -> Array:
        y, to, total = cache["y"], cache["to"], cache["total"]
        if total is not None:  # y = x / sum(x), so dx = (dy - dy . y) / sum(x)
            dy = (dy - cache["row"] * (dy * y).sum(axis=-1, keepdims=True)) / total
        d_taken = -dy if to is None else (dy * to).sum(axis=-1, keepdims=True) - dy
        return dy + d_taken * (cache["cell"] & cache["all_of_it"])  # less than all of it is a constant


@checked
@dataclass(frozen=True, eq=False)
class Patch(Intervention):
    """Put an activation in place of a layer's output at one position (activation patching).

    Parameters
    ----------
    where : str
        The layer, by its path: "encoder.blocks.0" is the whole block. A path with a residual connection means the sum.
    position : int or array (B,)
        In an array each sentence of the batch has its own.
    activation : array (D,) or (B, D)
        Such as what `recorded` has of another sentence: `outputs[-1][0, 8]`.

    Source: Vig et al. 2020, "Investigating Gender Bias in Language Models Using Causal Mediation Analysis"; Meng et
    al. 2022, "Locating and Editing Factual Associations in GPT".
    """

    where: str
    position: int | Array
    activation: Array

    def __post_init__(self) -> None:
        check_positions("position", self.position)
        if self.activation.ndim not in (1, 2) or self.activation.dtype.kind not in "fc":
            found = f"shape {self.activation.shape} and dtype {self.activation.dtype}"
            raise ValueError(f"activation has {found}: give floating numbers, (D,) or (B, D)")

    def forward(self, array: Array, start: int = 0) -> tuple[Array, Cache]:
        B, T, D = array.shape
        if self.activation.shape not in ((D,), (B, D)):
            raise ValueError(f"activation has shape {self.activation.shape}: the layer's is ({D},), or ({B}, {D})")
        new = self.activation.astype(array.dtype).reshape(-1, 1, D)  # (B or 1, 1, D)
        here = np.arange(start, start + T) == per_sentence("position", self.position, B)  # (B or 1, T)
        return np.where(here[:, :, None], new, array), Cache(here=here[:, :, None])

    def backward(self, dy: Array, cache: Cache) -> Array:
        return dy * ~cache["here"]  # the activation is a constant


@checked
@contextmanager
def intervene(model: Layer, *interventions: Intervention) -> Iterator[None]:
    """Within the `with` block the model runs with these changes: forward, backward, and while decoding with a state.

    Each is made where the model computes, so that all that comes later sees it; several are made in their order.
    Afterwards the model is what it was, also after an error. A layer that stands in two places is changed in both.
    Positions count from 0, and a query that no sentence reaches changes nothing. Begin decoding inside the block.

    Raises ValueError where a path, a head or a key does not exist.

        with intervene(translator.model, NoHead("encoder.blocks.1.attention", head=3)):
            print(translator.translate(["The cat sleeps."]))
    """
    with ExitStack() as changes:
        first = _first_positions(model, changes)
        for intervention in interventions:
            check_type("interventions", intervention, Intervention)
            if isinstance(intervention, Patch):
                layer, shape = layer_at(model, intervention.where), None
            else:
                attention = attention_at(model, intervention.where)
                # The softmax of grouped queries has them one below the other, (B, H_kv, G T, S).
                layer, shape = attention.attention.softmax, attention.n_heads
            forward, backward = _with_change(layer, intervention, shape, first)
            changes.enter_context(method_replaced(layer, "forward", forward))
            changes.enter_context(method_replaced(layer, "backward", backward))
        yield


def _with_change(
    layer: Layer, intervention: Intervention, n_heads: int | None, first: Callable[[], int]
) -> tuple[Callable[..., tuple[Any, Cache]], Callable[..., Any]]:
    """The layer's forward and backward with the change behind the one, and before the other."""
    layer_forward, layer_backward = layer.forward, layer.backward

    def forward(*inputs: Any, **options: Any) -> tuple[Any, Cache]:
        array, layer_cache = layer_forward(*inputs, **options)
        seen = array if n_heads is None else array.reshape(len(array), n_heads, -1, array.shape[-1])
        changed, cache = intervention.forward(seen, first())
        return changed.reshape(array.shape), Cache(before=layer_cache, change=cache, shape=seen.shape)

    def backward(dy: Array, cache: Cache, *others: Any) -> Any:
        d_array = intervention.backward(dy.reshape(cache["shape"]), cache["change"])
        return layer_backward(d_array.reshape(dy.shape), cache["before"], *others)

    return forward, backward


def _first_positions(model: Layer, changes: ExitStack) -> Callable[[], int]:
    """What tells the position of the first row that a layer is given: above 0 while decoding with a state."""
    if not hasattr(model, "next_logits"):
        return lambda: 0
    next_logits, first = model.next_logits, [0]

    def counted(ids: Array, state: Any) -> Array:
        first.append(state.get("positions", 0))
        try:
            return next_logits(ids, state)
        finally:
            first.pop()

    changes.enter_context(method_replaced(model, "next_logits", counted))
    return lambda: first[-1]


@checked
@contextmanager
def recorded(model: Layer, where: str) -> Iterator[list[Array]]:
    """Within the `with` block, the list that it gives collects the output of the layer at this path, call by call.

        with recorded(translator.model, "encoder.blocks.0") as outputs:
            translator.look("I got my house straight from the showroom, it was new.")
        outputs[-1]  # (B, T, D)

    Raises ValueError where there is no such path.
    """
    wanted, outputs = layer_at(model, where), []

    def keep(path: str, layer: Layer, output: Any) -> None:
        if layer is wanted:
            outputs.append(output)

    with forward_hooks(model, keep):
        yield outputs


def layer_at(model: Layer, where: str) -> Layer:
    """The layer at a path; with its residual connection where it has one."""
    found = next((layer for path, layer in model.named_layers() if path == where), None)
    if found is None:
        paths = [path for path, _ in model.named_layers() if path.count(".") <= where.count(".") and path]
        raise ValueError(f"where={where!r:.80}: must be a path in the model, such as {', '.join(paths[-3:])}")
    return found


def attention_paths(model: Layer) -> list[str]:
    """The paths of all multi-head and grouped-query attentions, in the order in which they run."""
    return [
        path for path, layer in model.named_layers() if isinstance(layer, (MultiHeadAttention, GroupedQueryAttention))
    ]


def attention_at(model: Layer, where: str) -> Any:
    """The attention at a path; ValueError where there is none."""
    for path, layer in model.named_layers():
        if path == where and isinstance(layer, (MultiHeadAttention, GroupedQueryAttention)):
            return layer
    names = ", ".join(attention_paths(model)) or "nothing, for it has none"
    raise ValueError(f"where={where!r:.80}: must be an attention of the model: {names:.400}")


def one_hot(name: str, index: int | Array, n: int) -> Array:
    """(B or 1, n), True at the index; ValueError where it is not below n."""
    index = np.reshape(index, (-1, 1))
    if not np.all((index >= 0) & (index < n)):
        raise ValueError(f"{name}={int(index[(index < 0) | (index >= n)][0])}: must be at least 0 and below {n}")
    return np.arange(n) == index


def per_sentence(name: str, values: Any, B: int) -> Array:
    """One value, or one for each of B sentences, as (B or 1, 1); ValueError for another number of them."""
    if np.size(values) not in (1, B):
        raise ValueError(f"{name} has {np.size(values)} entries: give one, or one for each of {B} sentences")
    return np.reshape(values, (-1, 1))


def check_positions(name: str, positions: Any) -> None:
    """Raise TypeError or ValueError unless these are integers of at least 0: one, (B,), or None."""
    if positions is None:
        return
    array = np.asarray(positions)
    if array.dtype.kind not in "iu" or array.ndim > 1 or not array.size:
        raise TypeError(f"{name} has shape {array.shape} and dtype {array.dtype}: give an integer, or (B,) integers")
    if array.min() < 0:
        raise ValueError(f"{name}={array.min()}: positions count from 0")
