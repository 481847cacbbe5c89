"""What the layers of T5, GPT and Llama must do besides having the right gradient, by definition."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from minitransformer.layers import (
    GELU,
    ALiBi,
    Array,
    DecodingState,
    GatedFeedForward,
    GroupedQueryAttention,
    Layer,
    LearnedPositions,
    Linear,
    RelativePositionBias,
    RMSNorm,
    Rotary,
    ScaledDotProductAttention,
    SelfAttention,
    SiLU,
    SinusoidalPositions,
    causal_mask,
    masks,
    relative,
    rotary,
)

from .layers import attention_by_definition
from .registry import _equal, _float64, _random, holds


@holds("RMS normalization is what its definition says, vector by vector")
def rms_norm_is_its_definition() -> None:
    D, x = 5, _random(3, 2, 5) * 0.001 + 0.002  # small, so that eps shows, and not centred
    layer = RMSNorm(D, _float64(), eps=1e-5)
    layer.gain.value = _random(D, seed=1)
    y = layer(x)
    for index in np.ndindex(3, 2):
        rms = math.sqrt(sum(z * z for z in x[index]) / D + 1e-5)
        _equal(y[index], np.array([g * z / rms for z, g in zip(x[index], layer.gain.value)]), f"vector {index}")


@holds("SiLU is what its formula says, number by number, also where an exponential would overflow")
def silu_is_its_formula() -> None:
    x = np.array([-3.0, -0.5, 0.0, 0.5, 2.0])
    _equal(SiLU()(x), np.array([z / (1 + math.exp(-z)) for z in x]), "SiLU", 1e-15)
    with np.errstate(all="raise", under="ignore"):
        y = SiLU()(np.array([-1e4, 1e4], np.float32))
    _equal(y, np.array([0.0, 1e4], np.float32), "far from zero", 0.0)


@holds("a gated feed-forward layer activates its gate, and not what the gate lets through")
def gated_feed_forward_is_its_formula() -> None:
    x = _random(3, 4)
    for layer, activation in (
        (GatedFeedForward(4, 5, _float64()), lambda z: z / (1 + math.exp(-z))),
        (
            GatedFeedForward(4, 5, _float64(), activation=GELU()),
            lambda z: z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
        ),
    ):
        gate, up, down = (parameter.value for parameter in layer.parameters())
        activated = np.array([[activation(float(z)) for z in row] for row in x @ gate])
        _equal(layer(x), (activated * (x @ up)) @ down, "output")


# Buckets by hand: 8 of them, up to a distance of 16. In a decoder 4 exact ones, then edges at 4, 5.7, 8, 11.3. In an
# encoder each direction has 2 exact ones, then edges at 2 and 5.7.
BACK = [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7]
EITHER_WAY = [0, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]


@holds("relative positions have the buckets that T5 gives them")
def buckets_are_by_hand() -> None:
    for n in range(18):
        ahead = 0 if n == 0 else 4 + EITHER_WAY[n]
        causal, both = relative.causal_bucket, relative.bidirectional_bucket
        wanted = {"back": (causal, -n, BACK[n]), "a decoder's ahead": (causal, n, 0)}
        wanted |= {"behind": (both, -n, EITHER_WAY[n]), "ahead": (both, n, ahead)}
        for where, (bucket, distance, by_hand) in wanted.items():
            got = bucket(distance, 8, 16)
            assert got == by_hand, f"{n} {where}: bucket {got}, by hand {by_hand}"


@holds("a relative bias is its table's number for head and bucket, also for the last positions alone")
def relative_bias_is_its_table() -> None:
    for bucket in (relative.bidirectional_bucket, relative.causal_bucket):
        layer = RelativePositionBias(3, _float64(), 8, 16, bucket)
        for T, S in ((9, 9), (4, 9), (1, 9)):
            bias = layer(T, S)
            assert bias.shape == (1, 3, T, S), f"shape {bias.shape}, wanted {(1, 3, T, S)}"
            for h, t, s in np.ndindex(3, T, S):
                wanted = layer.weight.value[bucket(s - (S - T + t), 8, 16), h]
                _equal(bias[0, h, t, s], wanted, f"head {h}, query {t} of the last {T}, key {s}", 0.0)


@holds("ALiBi takes its head's slope for every position of distance")
def alibi_is_its_definition() -> None:
    # Press et al. 2022: 1/4 ... 1/256 for four heads; for three those of two, then the first of those of four.
    for slopes in ([1 / 4, 1 / 16, 1 / 64, 1 / 256], [1 / 16, 1 / 256, 1 / 4]):
        for T, S in ((5, 5), (2, 5)):
            bias = ALiBi(len(slopes))(T, S)
            for h, t, s in np.ndindex(len(slopes), T, S):
                distance = S - T + t - s
                if distance >= 0:
                    _equal(bias[0, h, t, s], np.float64(-slopes[h] * distance), f"head {h}, query {t}, key {s}", 1e-15)


@holds("attention scales its scores as it is told, and adds its bias to them unscaled")
def biased_attention_is_its_definition() -> None:
    B, H, T, d = 2, 2, 4, 3
    q, k, v = (_random(B, H, T, d, seed=seed) for seed in range(3))
    bias = RelativePositionBias(H, _float64(), 4, 5)
    bias.weight.value = _random(4, H, seed=9)
    up_to_itself = np.tri(T, dtype=bool)
    for scale in (1.0, 0.3, None):
        context, _ = ScaledDotProductAttention(scale=scale, bias=bias).forward(q, k, v, causal_mask(T))
        factor = d**-0.5 if scale is None else scale
        for b, h in np.ndindex(B, H):
            # The bias of a pair is one more feature: q' = [q, e_t], k' = [k, column s of the bias].
            added = bias(T, T)[0, h].T
            root = math.sqrt(d + T)
            wide_q = np.concatenate([q[b, h] * factor * root, np.eye(T) * root], axis=1)
            wide_k = np.concatenate([k[b, h], added], axis=1)
            wanted, _ = attention_by_definition(wide_q, wide_k, v[b, h], up_to_itself)
            _equal(context[b, h], wanted, f"scale={scale}, sentence {b}, head {h}")


def rotated_by_definition(x: Array, base: float) -> Array:
    """Pairs of neighbouring features of x (T, d), turned by their position's angle."""
    T, d = x.shape
    y = np.empty((T, d))
    for t in range(T):
        for i in range(d // 2):
            z = complex(x[t, 2 * i], x[t, 2 * i + 1]) * complex(
                math.cos(t * base ** (-2 * i / d)), math.sin(t * base ** (-2 * i / d))
            )
            y[t, 2 * i], y[t, 2 * i + 1] = z.real, z.imag
    return y


@holds("rotary positions turn neighbouring features by the angle of their position, pair by pair")
def rotary_is_its_definition() -> None:
    x = _random(2, 3, 5, 6)
    y = Rotary(6, base=100.0)(x)
    for index in np.ndindex(2, 3):
        _equal(y[index], rotated_by_definition(x[index], 100.0), f"head {index}")


@holds("weights that pair feature i with i + d/2 give the same scores once they are converted")
def converted_halves_are_pairs() -> None:
    T, D, H, d, base = 5, 4, 2, 6, 10.0
    x, W_q, W_k = _random(T, D), _random(D, H * d, seed=1), _random(D, H * d, seed=2)
    turn = Rotary(d, base)

    def in_halves(q: Array) -> Array:
        y = np.empty_like(q)
        for t in range(T):
            for i in range(d // 2):
                a, b, angle = q[t, i], q[t, i + d // 2], t * base ** (-2 * i / d)
                y[t, i] = a * math.cos(angle) - b * math.sin(angle)
                y[t, i + d // 2] = a * math.sin(angle) + b * math.cos(angle)
        return y

    for h in range(H):
        head = slice(h * d, (h + 1) * d)
        wanted = in_halves((x @ W_q)[:, head]) @ in_halves((x @ W_k)[:, head]).T
        q, k = ((x @ rotary.pairs_from_halves(W, d))[:, head][None, None] for W in (W_q, W_k))
        _equal((turn(q) @ turn(k).swapaxes(-1, -2))[0, 0], wanted, f"scores of head {h}")
    _equal(rotary.halves_from_pairs(rotary.pairs_from_halves(W_q, d), d), W_q, "there and back", 0.0)


@holds("grouped-query attention is what its definition says: neighbouring query heads share a key head")
def grouped_query_attention_is_its_definition() -> None:
    B, T, D, H, H_kv, d = 2, 5, 6, 6, 2, 4
    layer = GroupedQueryAttention(D, H, H_kv, _float64(), rotary=Rotary(d, 10.0), d_head=d)
    x, up_to_itself = _random(B, T, D), np.tri(T, dtype=bool)
    y, cache = layer.forward(x, causal_mask(T))
    W_q, W_k, W_v, W_o = (parameter.value for parameter in layer.parameters())
    for b in range(B):
        contexts = []
        for h in range(H):
            of_query, of_key = slice(h * d, (h + 1) * d), slice(h // 3 * d, (h // 3 + 1) * d)
            q, k = (
                rotated_by_definition(x[b] @ W_q[:, of_query], 10.0),
                rotated_by_definition(x[b] @ W_k[:, of_key], 10.0),
            )
            context, weights = attention_by_definition(q, k, x[b] @ W_v[:, of_key], up_to_itself)
            _equal(cache["weights"][b, h], weights, f"weights of sentence {b}, head {h}")
            contexts.append(context)
        _equal(y[b], np.concatenate(contexts, axis=1) @ W_o, f"output of sentence {b}")


@holds("what new positions give with a state is what forward gives for all")
def steps_are_forward() -> None:
    B, T, D, init = 2, 9, 6, _float64()
    bias = RelativePositionBias(2, init, 4, 5, relative.causal_bucket)
    layers: dict[str, tuple[Layer, tuple[Array, ...]]] = {
        "self-attention": (SelfAttention(D, 2, init), (causal_mask(T),)),
        "self-attention with a relative bias": (
            SelfAttention(D, 2, init, projection=Linear, attention=ScaledDotProductAttention(0.0, 1.0, bias)),
            (causal_mask(T),),
        ),
        "self-attention with ALiBi": (
            SelfAttention(D, 2, init, attention=ScaledDotProductAttention(bias=ALiBi(2))),
            (causal_mask(T),),
        ),
        "grouped-query attention": (
            GroupedQueryAttention(D, 6, 2, init, rotary=Rotary(4, 10.0), d_head=4),
            (causal_mask(T),),
        ),
    }
    x = _random(B, T, D)
    for parts in ((1,) * T, (3, 1, 4, 1)):
        starts = np.cumsum((0, *parts))
        for name, (layer, others) in layers.items():
            wanted, _ = layer.forward(x, *others)
            state, got = DecodingState(), []
            for start, end in pairwise(starts):
                mask = masks.causal_mask(end, end - start) if end - start > 1 else None
                got.append(layer.forward(x[:, start:end], mask, state=state)[0])
            _equal(np.concatenate(got, axis=1), wanted, f"{name}, {parts} at a time", 1e-13)
        for positions in (SinusoidalPositions(D), LearnedPositions(T, D, init)):
            got = [positions.forward(x[:, start:end], start=start)[0] for start, end in pairwise(starts)]
            _equal(np.concatenate(got, axis=1), positions(x), f"{type(positions).__name__}, {parts} at a time", 1e-13)


@holds("chosen rows of a decoding state are those of everything in it, and it goes on with them")
def chosen_rows_go_on() -> None:
    memory, h, fed = _random(3, 4, 5), _random(3, 2), _random(3, 1, 2)
    k, new = _random(3, 2, 3, 4), _random(3, 2, 1, 4, seed=4)
    state = DecodingState(memory=(memory, h), fed=fed, mask=None)
    for part in (k[:, :, :1], k[:, :, 1:]):  # the second leaves room in the buffer
        state["blocks"][0].append("k", part)
    state.advance(3)
    for index in ([2, 0], [1, 1, 2], [True, False, True]):
        rows = np.array(index)
        chosen = state.select(rows)
        for got, whole in zip((*chosen["memory"], chosen["fed"]), (memory, h, fed)):
            _equal(got, whole[rows], f"rows {index}", 0.0)
        _equal(chosen["blocks"][0]["k"].value, k[rows], f"rows {index} of a buffer", 0.0)
        wanted = np.concatenate([k, new], axis=2)[rows]
        _equal(
            chosen["blocks"][0].append("k", new[rows]), wanted, f"rows {index} of a buffer, and one position more", 0.0
        )
        assert chosen.advance(1) == 3, "the positions so far are not counted any more"
    _equal(state["blocks"][0]["k"].value, k, "what the rows were chosen from", 0.0)
