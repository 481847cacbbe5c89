"""What a picture of attention is drawn from: an array of weights, a cache, or what a translator did with a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .style import Array, as_numbers

START = "(start)"  # what a decoder reads before the first word


def attention_in(node: Any, path: str = "") -> Iterator[tuple[str, Array]]:
    """Every attention in a cache: its dotted path and its weights (B, H, T, S), or (B, T, S) of one head."""
    if isinstance(node, Mapping):
        weights = node.get("weights")
        if isinstance(weights, np.ndarray) and weights.ndim in (3, 4):
            yield path, weights  # what lies deeper holds the same ones
            return
        parts: Any = node.items()
    elif isinstance(node, Sequence) and not isinstance(node, str):
        parts = enumerate(node)
    else:
        return
    for name, value in parts:
        yield from attention_in(value, f"{path}.{name}" if path else str(name))


def is_array(weights: Any) -> bool:
    """Whether these are weights themselves, and neither a cache nor what `Translator.look` returns."""
    return not isinstance(weights, Mapping) and not hasattr(weights, "cache")


def heads_of(weights: Any, queries: Any, keys: Any, where: str | None) -> tuple[Any, Any, Any]:
    """(weights, queries, keys): an array as it is; of a cache or a look the heads (H, T, S) of its first sentence.

    `where` is the dotted path of the attention in the cache; None: the last attention to the source where there is
    one, else the last of all. Words that are not given are the look's own.
    """
    if is_array(weights):
        if where is not None:
            raise ValueError(f"where={where!r}: weights is an array, in which there are no paths; leave where out")
        return as_numbers("weights", weights), queries, keys
    found = dict(attention_in(getattr(weights, "cache", weights)))
    if not found:
        raise ValueError("weights holds no attention: give an array, or a cache or look of a model with attention")
    crossing = [path for path in found if "cross_attention" in path]
    where = (crossing or [*found])[-1] if where is None else where
    if where not in found:
        raise ValueError(f"where={where!r}: must be one of {', '.join(found)}")
    heads = found[where][0] if found[where].ndim == 4 else found[where][:1]
    source, target = getattr(weights, "source", None), getattr(weights, "target", None)
    read = getattr(weights, "words", None) or (target and [START, *target[:-1]])
    own = (target, source) if where in crossing else (source, source) if "encoder" in where else (read, read)
    return heads, own[0] if queries is None else queries, own[1] if keys is None else keys


def one_head(weights: Any, queries: Any, keys: Any, where: str | None, head: int | None) -> tuple[Any, Any, Any]:
    """As `heads_of`, and of the heads one (T, S), or their mean where `head` is None."""
    maps, queries, keys = heads_of(weights, queries, keys, where)
    if is_array(weights):
        if head is not None:
            raise ValueError(f"head={head}: weights is an array, of one head; give weights[{head}] and leave head out")
        return maps, queries, keys
    if head is not None and not 0 <= head < len(maps):
        raise ValueError(f"head={head}: must be one of 0 ... {len(maps) - 1}")
    return maps.mean(axis=0) if head is None else maps[head], queries, keys
