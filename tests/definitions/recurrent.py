"""What the recurrent layers must do besides having the right gradient, by definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minitransformer.layers import (
    LSTM,
    AdditiveAttention,
    Array,
    AttentionalHidden,
    Bidirectional,
    BidirectionalLSTM,
    DecodingState,
    DotAttention,
    GRULayer,
    Layer,
    Linear,
    LSTMCell,
    LSTMLayer,
    Unallocated,
)

from .registry import _equal, _float64, _random, holds

MASK = np.array([[True, True, False, False], [True] * 4, [True, False, False, False]])


def cell_by_definition(layer: LSTMLayer, x: Array, h: list[float], c: list[float]) -> tuple[list[float], list[float]]:
    """One step of one sentence, unit by unit: x (D,), h and c (H,) -> h' and c'."""
    H, W, U, b = (
        len(h),
        layer.input_projection.weight.value,
        layer.hidden_projection.weight.value,
        layer.input_projection.bias.value,
    )

    def total(gate: int, unit: int) -> float:
        column = gate * H + unit  # the gates stand side by side: g, i, f, o
        from_x = sum(float(x[j]) * float(W[j, column]) for j in range(len(x)))
        return from_x + sum(h[j] * float(U[j, column]) for j in range(H)) + float(b[column])

    def sigmoid(z: float) -> float:
        return 1.0 / (1.0 + math.exp(-z))

    c_next = [
        sigmoid(total(2, unit)) * c[unit] + sigmoid(total(1, unit)) * math.tanh(total(0, unit)) for unit in range(H)
    ]
    return [sigmoid(total(3, unit)) * math.tanh(c_next[unit]) for unit in range(H)], c_next


def lstm_by_definition(
    layer: LSTMLayer, x: Array, h: Any = None, c: Any = None
) -> tuple[Array, list[float], list[float]]:
    """Every step of one sentence without padding: x (T, D) -> y (T, H), h, c."""
    h, c = ([0.0] * layer.d_hidden if state is None else [float(s) for s in state] for state in (h, c))
    y = []
    for token in x:
        h, c = cell_by_definition(layer, token, h, c)
        y.append(h)
    return np.array(y), h, c


def both_by_definition(layer: Bidirectional, x: Array) -> tuple[Array, list[float], list[float]]:
    """Both directions of one sentence without padding: x (T, D) -> y (T, 2 H), h, c."""
    assert isinstance(layer.forward_layer, LSTMLayer)
    assert isinstance(layer.backward_layer, LSTMLayer)
    ahead, back = lstm_by_definition(layer.forward_layer, x), lstm_by_definition(layer.backward_layer, x[::-1])
    return np.concatenate([ahead[0], back[0][::-1]], axis=1), ahead[1] + back[1], ahead[2] + back[2]


def random_weights(layer: Layer) -> Any:
    """The same layer, its biases random too."""
    for n, parameter in enumerate(layer.parameters()):
        parameter.value = 0.7 * _random(*parameter.shape, seed=20 + n)
    return layer


@holds("an LSTM is what its equations say, step by step and unit by unit")
def lstm_is_its_equations() -> None:
    B, T, D, H = 3, 4, 5, 2
    x, h, c = _random(B, T, D), _random(B, H, seed=1), _random(B, H, seed=2)
    layer = random_weights(LSTMLayer(D, H, _float64()))
    (y, h_last, c_last), _ = layer.forward(x, None, h, c)
    (y_from_zero, *_), _ = layer.forward(x)
    for b in range(B):
        wanted = lstm_by_definition(layer, x[b], h[b], c[b])
        for what, got, by_hand in zip(("y", "h", "c"), (y[b], h_last[b], c_last[b]), wanted):
            _equal(got, np.array(by_hand), f"{what} of sentence {b}")
        _equal(y_from_zero[b], lstm_by_definition(layer, x[b])[0], f"y of sentence {b} from a state of zeros")
    cell = random_weights(LSTMCell(D, H, _float64()))
    (h_next, c_next), _ = cell.forward(x[:, 0], h, c)
    for b in range(B):
        by_hand = cell_by_definition(cell, x[b, 0], [*map(float, h[b])], [*map(float, c[b])])
        _equal(np.array([h_next[b], c_next[b]]), np.array(by_hand), f"one step of sentence {b}")


@holds("an LSTM's gates of +-1e4 are exactly open or closed in float32")
def lstm_gates_saturate() -> None:
    layer = LSTMLayer(1, 1, _float64())
    for parameter in layer.parameters():
        parameter.value = np.zeros(parameter.shape, np.float32)
    layer.input_projection.weight.value[0] = [1e4, 1e4, 1e4, 1e4]
    with np.errstate(all="raise", under="ignore", invalid="ignore"):  # OpenBLAS raises "invalid" by chance
        (y, _, c), cache = layer.forward(np.array([[[1.0], [1.0], [-1.0]]], np.float32))
        gradients = layer.backward((np.ones_like(y), np.ones_like(c), np.ones_like(c)), cache)
    _equal(y[0, :, 0], np.array([math.tanh(1), math.tanh(2), 0.0]), "y", 1e-6)
    assert np.isfinite(gradients).all(), "a gradient is not finite"


@holds("a padded step leaves an LSTM's state alone, bit for bit, and what stands there is never read")
def padded_step_leaves_the_state_alone() -> None:
    x, h, c = _random(3, 4, 5), _random(3, 2, seed=1), _random(3, 2, seed=2)
    layer = random_weights(LSTMLayer(5, 2, _float64()))
    (y, h_last, c_last), cache = layer.forward(x, MASK, h, c)
    other = np.where(MASK[:, :, None], x, 7.0)
    for what, got, wanted in zip(("y", "h", "c"), layer.forward(other, MASK, h, c)[0], (y, h_last, c_last)):
        assert np.array_equal(got, wanted), f"{what} changes with what stands at padding"
    for b, n in enumerate(MASK.sum(axis=1)):
        wanted_y, wanted_h, wanted_c = lstm_by_definition(layer, x[b, :n], h[b], c[b])
        _equal(y[b, :n], wanted_y, f"y of sentence {b}")
        _equal(np.array([h_last[b], c_last[b]]), np.array([wanted_h, wanted_c]), f"last state of sentence {b}")
        assert np.array_equal(y[b, n:], np.broadcast_to(h_last[b], y[b, n:].shape)), "the carried state is not put out"
    dx, *_ = layer.backward((_random(3, 4, 2), h, c), cache)
    assert not dx[~MASK].any(), "padding has a gradient"


@holds("in both directions padding is invisible, and the last states are those behind the last token and the first")
def both_directions_read_their_own_way() -> None:
    x = _random(3, 4, 5)
    stack = random_weights(BidirectionalLSTM(5, 2, _float64(), 2))
    (y, h, c), _ = stack.forward(x, MASK)
    for b, n in enumerate(MASK.sum(axis=1)):
        below = x[b, :n]
        for layer_number, layer in enumerate(stack.layers):
            below, wanted_h, wanted_c = both_by_definition(layer, below)
            _equal(h[b, layer_number], np.array(wanted_h), f"h of layer {layer_number}, sentence {b}")
            _equal(c[b, layer_number], np.array(wanted_c), f"c of layer {layer_number}, sentence {b}")
        _equal(y[b, :n], below, f"y of sentence {b}")


@holds("a stack of LSTMs gives each layer its own state, and drops between layers only")
def stacks_have_a_state_for_each_layer() -> None:
    x, h, c = _random(2, 4, 5), _random(2, 3, 2, seed=1), _random(2, 3, 2, seed=2)
    stack = random_weights(LSTM(5, 2, _float64(), 3, dropout=0.5))
    (y, h_last, c_last), _ = stack.forward(x, None, h, c)
    for b in range(2):
        below = x[b]
        for n, layer in enumerate(stack.layers):
            below, wanted_h, wanted_c = lstm_by_definition(layer, below, h[b, n], c[b, n])  # type: ignore[arg-type]
            _equal(np.array([h_last[b, n], c_last[b, n]]), np.array([wanted_h, wanted_c]), f"state of layer {n}")
        _equal(y[b], below, f"y of sentence {b}")
    rng = np.random.default_rng(0)
    (dropped, h_dropped, _), _ = stack.forward(x, None, h, c, rng=rng)
    assert np.array_equal(h_dropped[:, 0], h_last[:, 0]), "the first layer's input is dropped from"
    assert not np.array_equal(h_dropped[:, 1], h_last[:, 1]), "nothing is dropped between layers"
    assert np.array_equal(dropped[:, -1], h_dropped[:, -1]), "the last layer's output is dropped from"


@holds("an LSTM's forget gates begin open, and its other biases at zero")
def forget_gates_begin_open() -> None:
    bias = LSTMLayer(3, 2, _float64()).input_projection.bias.value
    _equal(bias, np.array([0.0, 0, 0, 0, 1, 1, 0, 0]), "biases g, i, f, o", 0.0)
    assert LSTMLayer(3, 2, Unallocated()).n_parameters() == 3 * 8 + 2 * 8 + 8


def recurrent_attention_by_definition(
    layer: DotAttention | AdditiveAttention, x: Array, memory: Array, allowed: list[int]
) -> tuple[Array, Array]:
    """One query: x (D,), memory (S, M) -> context (M,), weights (S,)."""
    weights, context = np.zeros(len(memory)), np.zeros(memory.shape[1])
    scores = []
    for s in allowed:
        if isinstance(layer, AdditiveAttention):
            W, U, v = layer.query.weight.value, layer.key.weight.value, layer.score.vector.weight.value  # type: ignore
            inside = [
                sum(x[j] * W[j, a] for j in range(len(x))) + sum(memory[s, j] * U[j, a] for j in range(len(memory[s])))
                for a in range(len(v))
            ]
            scores.append(sum(math.tanh(z) * float(v[a, 0]) for a, z in enumerate(inside)))
        else:
            key = memory[s] @ layer.key.weight.value if isinstance(layer.key, Linear) else memory[s]
            scores.append(sum(float(x[j]) * float(key[j]) for j in range(len(x))))
    total = sum(math.exp(score) for score in scores)
    for s, score in zip(allowed, scores):
        weights[s] = math.exp(score) / total
        context += weights[s] * memory[s]
    return context, weights


@holds("the attentions of Luong and Bahdanau are what their formulas say, query by query")
def recurrent_attention_is_its_definition() -> None:
    B, T, S, D, M = 2, 3, 4, 5, 6
    init, x = _float64(), _random(B, T, D)
    mask = np.random.default_rng(1).random((B, 1, T, S)) < 0.6
    mask[0, 0, 1] = False
    layers: tuple[tuple[Any, int], ...] = (
        (DotAttention(), D),
        (DotAttention(Linear(M, D, init)), M),
        (AdditiveAttention(D, M, 3, init), M),
    )
    for layer, width in layers:
        memory = _random(B, S, width, seed=4)
        context, cache = layer.forward(x, memory, mask)
        state = DecodingState()
        stepped = [layer.forward(x[:, [t]], memory, mask[:, :, [t]], state=state)[0] for t in range(T)]
        _equal(np.concatenate(stepped, axis=1), context, "steps", 1e-14)
        for b, t in np.ndindex(B, T):
            allowed = [s for s in range(S) if mask[b, 0, t, s]]
            wanted, weights = recurrent_attention_by_definition(layer, x[b, t], memory[b], allowed)
            _equal(context[b, t], wanted, f"context of query {t}, sentence {b}")
            _equal(cache["weights"][b, 0, t], weights, f"weights of query {t}, sentence {b}")


@holds("the attentional hidden state is tanh of context and state, in this order")
def attentional_state_is_its_formula() -> None:
    layer, context, h = AttentionalHidden(3, 2, _float64()), _random(2, 4, 3), _random(2, 4, 2, seed=1)
    W = layer.mix.weight.value
    _equal(layer(context, h), np.tanh(context @ W[:3] + h @ W[3:]), "y", 1e-14)


@holds("a GRU is what its equations say, step by step and unit by unit, and padding leaves its state alone")
def gru_is_its_equations() -> None:
    D, H = 5, 2
    layer = random_weights(GRULayer(D, H, _float64()))
    x, h_first = _random(3, 4, D), _random(3, H, seed=1)
    W, b, U, b_h = (parameter.value for parameter in layer.parameters())
    (y, h_last), _ = layer.forward(x, MASK, h_first)

    def sums(b_sentence: int, t: int, h: list[float], column: int) -> tuple[float, float]:
        from_x = sum(float(x[b_sentence, t, j]) * float(W[j, column]) for j in range(D)) + float(b[column])
        return from_x, sum(h[j] * float(U[j, column]) for j in range(H)) + float(b_h[column])

    for s in range(3):
        h = [float(z) for z in h_first[s]]
        for t in range(4):
            if MASK[s, t]:
                r, z = (
                    [1.0 / (1.0 + math.exp(-sum(sums(s, t, h, gate * H + unit)))) for unit in range(H)]
                    for gate in (0, 1)
                )
                from_x, from_h = zip(*(sums(s, t, h, 2 * H + unit) for unit in range(H)))
                n = [math.tanh(from_x[unit] + r[unit] * from_h[unit]) for unit in range(H)]
                h = [(1.0 - z[unit]) * n[unit] + z[unit] * h[unit] for unit in range(H)]
            _equal(y[s, t], np.array(h), f"y of step {t}, sentence {s}")
        _equal(h_last[s], np.array(h), f"last state of sentence {s}")
