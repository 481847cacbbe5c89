"""Positions as a number added to every score, by how far the key is from the query.

T5      score[t, s] += table[bucket(s - t), h]      near distances have a bucket each, far ones share
ALiBi   score[t, s] += -slope_h (t - s)             nothing is learned: far keys are worth less

One such layer may serve every attention of a stack.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ..arguments import checked
from .base import Array, Cache, Layer, Parameter
from .checks import check_gradient
from .initializers import Init, as_initializer


@checked
def causal_bucket(distance: int, n_buckets: int, max_distance: int) -> int:
    """The bucket of a key at `distance` = s - t: for decoders, where the key is never behind the query.

    Half of the buckets are for the distances 0, 1, 2, ... back, one each; the other half are spread by logarithm up to
    `max_distance`, and the last one has all that is farther. What is ahead shares bucket 0: it is masked anyway.

    Source: Raffel et al. 2020, section 2.1, and `_relative_position_bucket` of their code.
    """
    back, exact = max(-distance, 0), n_buckets // 2
    if back < exact:
        return back
    if back >= max_distance:
        return n_buckets - 1
    far = n_buckets - exact
    bucket = exact
    # The largest j < far with exact (max_distance / exact)^(j / far) <= back. Powers of integers, since a logarithm is
    # rounded and a distance on the edge may then land in the bucket before its own.
    while bucket < n_buckets - 1:
        j = bucket + 1 - exact
        if max_distance**j * exact ** (far - j) > back**far:
            break
        bucket += 1
    return bucket


@checked
def bidirectional_bucket(distance: int, n_buckets: int, max_distance: int) -> int:
    """The bucket of a key at `distance` = s - t: for encoders. Half of the buckets are for what is ahead.

    Source: as `causal_bucket`.
    """
    half = n_buckets // 2
    ahead = half if distance > 0 else 0
    return ahead + causal_bucket(-abs(distance), half, max_distance)


Bucket = Callable[[int, int, int], int]


@lru_cache(maxsize=256)
def relative_buckets(T: int, S: int, bucket: Bucket, n_buckets: int, max_distance: int) -> Array:
    """The bucket of every pair of the last T of S queries and the S keys, (T, S), read-only."""
    by_distance = _buckets_by_distance(1 << S.bit_length(), bucket, n_buckets, max_distance)
    distance = np.arange(S) - np.arange(S - T, S)[:, None]  # (T, S), s - t
    buckets = by_distance[distance + len(by_distance) // 2]
    buckets.flags.writeable = False
    return buckets


@lru_cache(maxsize=64)
def _buckets_by_distance(reach: int, bucket: Bucket, n_buckets: int, max_distance: int) -> Array:
    """The buckets of the distances -reach ... reach, (2 reach + 1,)."""
    return np.array([bucket(distance, n_buckets, max_distance) for distance in range(-reach, reach + 1)])


@checked
class RelativePositionBias(Layer):
    """A learned number for every head and bucket of distances, the bias of an attention's scores.

    Parameters
    ----------
    n_heads : int
    init : Initializer or np.random.Generator
        Draws the table.
    n_buckets : int
    max_distance : int
        From here on all distances share the last bucket.
    bucket_function : callable
        (s - t, n_buckets, max_distance) -> bucket: `bidirectional_bucket` in an encoder, `causal_bucket` in a decoder.

    Shapes: lengths T and S -> (1, H, T, S), for the last T of S positions; `weight` (n_buckets, H). Where several
    attentions have the same layer, their gradients add up in its one weight.

    Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.1.
    """

    def __init__(
        self,
        n_heads: int,
        init: Init,
        n_buckets: int = 32,
        max_distance: int = 128,
        bucket_function: Bucket = bidirectional_bucket,
    ) -> None:
        if n_buckets < 4 or n_buckets % 4:
            raise ValueError(f"n_buckets={n_buckets}: must be a multiple of 4, two directions of near and far")
        if max_distance <= n_buckets // 2:
            raise ValueError(f"max_distance={max_distance}: must be above n_buckets / 2 = {n_buckets // 2}")
        self.n_heads, self.n_buckets, self.max_distance = n_heads, n_buckets, max_distance
        self.bucket_function = bucket_function
        self.weight = Parameter(as_initializer(init).embedding(n_buckets, n_heads))

    def forward(self, T: int, S: int, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        buckets = relative_buckets(T, S, self.bucket_function, self.n_buckets, self.max_distance)
        bias = self.weight.value[buckets]  # (T, S) -> (T, S, H)
        return bias.transpose(2, 0, 1)[None], Cache(buckets=buckets)  # (T, S, H) -> (1, H, T, S)

    def backward(self, d_bias: Array, cache: Cache) -> None:
        check_gradient(self, d_bias, (1, self.n_heads, *cache["buckets"].shape))
        flat = cache["buckets"].reshape(-1)  # (T, S) -> (T S,)
        for h in range(self.n_heads):  # a bucket has many pairs, and every one adds
            self.weight.grad[:, h] += np.bincount(flat, d_bias[0, h].reshape(-1), self.n_buckets)


@checked
class ALiBi(Layer):
    """Attention with linear biases: every head takes a penalty for distance, each with its own slope.

    It is for causal attention, and has no parameters, so a model may read texts longer than it was trained on.

    Parameters
    ----------
    n_heads : int
        H. The slopes are 2^(-8/H), 2^(-16/H), ..., 2^-8; where H is no power of two, those of the next lower power, and
        between them every other one of twice that.

    Shapes: lengths T and S -> (1, H, T, S), for the last T of S positions, float64: the scores keep their own dtype.

    Source: Press et al. 2022, "Train Short, Test Long", section 3, and their code for the slopes.
    """

    def __init__(self, n_heads: int) -> None:
        if n_heads < 1:
            raise ValueError(f"n_heads={n_heads}: must be at least 1")
        self.n_heads = n_heads

    def forward(self, T: int, S: int, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        slopes = np.array(alibi_slopes(self.n_heads))
        distance = np.arange(S) - np.arange(S - T, S)[:, None]  # (T, S), s - t
        return (slopes[:, None, None] * np.minimum(distance, 0))[None], Cache()  # (H, 1, 1) (T, S) -> (1, H, T, S)

    def backward(self, d_bias: Array, cache: Cache) -> None:
        return None


def alibi_slopes(n_heads: int) -> list[float]:
    """The slope of every head."""
    power = 1 << (n_heads.bit_length() - 1)  # the largest power of two that is not above H
    slopes = [2.0 ** (-8.0 * (h + 1) / power) for h in range(power)]
    return slopes + [2.0 ** (-4.0 * (2 * h + 1) / power) for h in range(n_heads - power)]
