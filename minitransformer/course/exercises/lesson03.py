"""Exercises of lesson 03: attention of one query, its backward, and gradients that travel through time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import Array, Cache, DotAttention, Glorot, LSTMCell, Softmax
from ...verify import complex_step
from ..exercise import Exercise


def attend(query: Array, states: Array) -> tuple[Array, Array]:
    """Attention of the decoder's state (the query) to the encoder's states (keys and values): similarity by dot
    product, softmax, weighted average.

    query (B, D), states (B, S, D) -> context (B, D), weights (B, S).
    """
    scores = (states @ query[:, :, None])[:, :, 0]  # (B, S, D) (B, D, 1) -> (B, S)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    context = (weights[:, None] @ states)[:, 0]  # (B, 1, S) (B, S, D) -> (B, D)
    return context, weights


def attend_backward(d_context: Array, query: Array, states: Array, weights: Array) -> tuple[Array, Array]:
    """The gradients of the query and of the states, which are keys AND values.

    d_context (B, D), query (B, D), states (B, S, D), weights (B, S) -> d_query (B, D), d_states (B, S, D).
    """
    d_weights = (states @ d_context[:, :, None])[:, :, 0]  # (B, S)
    d_scores = Softmax().backward(d_weights, Cache(y=weights))  # (B, S)
    d_query = (d_scores[:, None] @ states)[:, 0]  # (B, D)
    d_values = weights[:, :, None] * d_context[:, None]  # (B, S, D)
    d_keys = d_scores[:, :, None] * query[:, None]  # (B, S, D)
    d_states = d_keys + d_values
    return d_query, d_states


_Six = tuple[Array, Array, Array, Array, Array, Array]


def lstm_step_backward(dh: Array, dc: Array, g: Array, i: Array, f: Array, o: Array, c: Array, c_next: Array) -> _Six:
    """Back through one step of an LSTM: c_next = f c + i g, h_next = o tanh(c_next), with g = tanh(a_g) and
    i, f, o = sigmoid(a_i, a_f, a_o).

    dh is the gradient of h_next, dc that of c_next by the next step's cell alone; all arrays (B, H)
    -> dc_whole, that of c_next by both paths, da_g, da_i, da_f, da_o, and dc_before, that of c, (B, H) each.
    """
    tanh_c = np.tanh(c_next)
    dc_whole = dc + dh * o * (1.0 - tanh_c**2)
    da_g = dc_whole * i * (1.0 - g**2)
    da_i = dc_whole * g * i * (1.0 - i)
    da_f = dc_whole * c * f * (1.0 - f)
    da_o = dh * tanh_c * o * (1.0 - o)
    dc_before = dc_whole * f
    return dc_whole, da_g, da_i, da_f, da_o, dc_before


def through_time_backward(dh: Array, hs: Array, U: Array) -> tuple[Array, Array]:
    """Back through all steps of the plain recurrence h_{t+1} = tanh(h_t U + x_t).

    dh (B, H) is the gradient of the last state, hs (T + 1, B, H) holds h_0 ... h_T, U (H, H)
    -> the gradient of h_0 (B, H), dU (H, H).
    """
    dU = np.zeros_like(U)
    for t in reversed(range(len(hs) - 1)):
        d_sum = dh * (1.0 - hs[t + 1] ** 2)
        dU += hs[t].T @ d_sum
        dh = d_sum @ U.T
    return dh, dU


def look_back(query: Array, states: Array, w: Array) -> Array:
    """Attention with Luong's general score: score_s = (query w) . state_s, softmax, weighted average of the states.

    query (B, K), states (B, S, D), w (K, D) -> context (B, D).
    """
    asked = query @ w  # (B, D)
    scores = (states @ asked[:, :, None])[:, :, 0]  # (B, S)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    context = (weights[:, None] @ states)[:, 0]
    return context


# Wrong answers, each of which a check must reject.


def _softmax_over_batch(query: Array, states: Array) -> tuple[Array, Array]:
    """The softmax runs over the sentences of the batch, not over the states of one sentence."""
    scores = (states @ query[:, :, None])[:, :, 0]
    powers = np.exp(scores - scores.max())
    weights = powers / powers.sum(axis=0, keepdims=True)
    return (weights[:, None] @ states)[:, 0], weights


def _no_exponential(query: Array, states: Array) -> tuple[Array, Array]:
    """Divides the scores by their sum, without the exponential: weights can be negative."""
    scores = (states @ query[:, :, None])[:, :, 0]
    weights = scores / scores.sum(axis=-1, keepdims=True)
    return (weights[:, None] @ states)[:, 0], weights


def _the_best_alone(query: Array, states: Array) -> tuple[Array, Array]:
    """Takes the most similar state alone, instead of an average of all."""
    scores = (states @ query[:, :, None])[:, :, 0]
    weights = (scores == scores.max(axis=-1, keepdims=True)).astype(states.dtype)
    return (weights[:, None] @ states)[:, 0], weights


def _scores_average(query: Array, states: Array) -> tuple[Array, Array]:
    """Averages with the scores themselves: the softmax is returned and not used."""
    scores = (states @ query[:, :, None])[:, :, 0]
    return (scores[:, None] @ states)[:, 0], attend(query, states)[1]


def _values_only(d_context: Array, query: Array, states: Array, weights: Array) -> tuple[Array, Array]:
    """The states' gradient as values alone; they were keys too."""
    d_query, _ = attend_backward(d_context, query, states, weights)
    return d_query, weights[:, :, None] * d_context[:, None]


def _keys_only(d_context: Array, query: Array, states: Array, weights: Array) -> tuple[Array, Array]:
    """The states' gradient as keys alone; they were values too."""
    d_query, d_states = attend_backward(d_context, query, states, weights)
    return d_query, d_states - weights[:, :, None] * d_context[:, None]


def _sigmoid_slope(d_context: Array, query: Array, states: Array, weights: Array) -> tuple[Array, Array]:
    """weights (1 - weights), the slope of a sigmoid: in a softmax every score moves every weight."""
    d_weights = (states @ d_context[:, :, None])[:, :, 0]
    d_scores = d_weights * weights * (1.0 - weights)
    d_states = weights[:, :, None] * d_context[:, None] + d_scores[:, :, None] * query[:, None]
    return (d_scores[:, None] @ states)[:, 0], d_states


def _softmax_skipped(d_context: Array, query: Array, states: Array, weights: Array) -> tuple[Array, Array]:
    """The gradient of the weights is passed on as that of the scores: the softmax has been left out."""
    d_scores = (states @ d_context[:, :, None])[:, :, 0]
    d_states = weights[:, :, None] * d_context[:, None] + d_scores[:, :, None] * query[:, None]
    return (d_scores[:, None] @ states)[:, 0], d_states


def _h_path_forgotten(dh: Array, dc: Array, g: Array, i: Array, f: Array, o: Array, c: Array, c_next: Array) -> _Six:
    """c_next reaches the loss through h_next as well; here only dc comes back."""
    _, *d_sums, dc_before = lstm_step_backward(np.zeros_like(dh), dc, g, i, f, o, c, c_next)
    return dc.copy(), d_sums[0], d_sums[1], d_sums[2], dh * np.tanh(c_next) * o * (1.0 - o), dc_before


def _cell_after(dh: Array, dc: Array, g: Array, i: Array, f: Array, o: Array, c: Array, c_next: Array) -> _Six:
    """The forget gate's gradient with the cell after the step; the gate multiplied the cell before it."""
    dc_whole, da_g, da_i, da_f, da_o, dc_before = lstm_step_backward(dh, dc, g, i, f, o, c, c_next)
    return dc_whole, da_g, da_i, da_f * c_next / c, da_o, dc_before


def _gates_without_slope(dh: Array, dc: Array, g: Array, i: Array, f: Array, o: Array, c: Array, c_next: Array) -> _Six:
    """The gradients of the gates, not of the sums: the slopes of sigmoid and tanh are missing."""
    dc_whole, *_, dc_before = lstm_step_backward(dh, dc, g, i, f, o, c, c_next)
    return dc_whole, dc_whole * i, dc_whole * g, dc_whole * c, dh * np.tanh(c_next), dc_before


def _nothing_is_forgotten(
    dh: Array, dc: Array, g: Array, i: Array, f: Array, o: Array, c: Array, c_next: Array
) -> _Six:
    """Hands the cell's gradient on whole; the forget gate lets only its part through."""
    dc_whole, da_g, da_i, da_f, da_o, _ = lstm_step_backward(dh, dc, g, i, f, o, c, c_next)
    return dc_whole, da_g, da_i, da_f, da_o, dc_whole.copy()


def _last_write_wins(dh: Array, hs: Array, U: Array) -> tuple[Array, Array]:
    """dU is assigned in every step; the same U is used in all of them, so their gradients add."""
    dU = np.zeros_like(U)
    for t in reversed(range(len(hs) - 1)):
        d_sum = dh * (1.0 - hs[t + 1] ** 2)
        dU = hs[t].T @ d_sum
        dh = d_sum @ U.T
    return dh, dU


def _slope_of_before(dh: Array, hs: Array, U: Array) -> tuple[Array, Array]:
    """The slope of tanh from h_t, its input's state, instead of its output h_{t+1}."""
    dU = np.zeros_like(U)
    for t in reversed(range(len(hs) - 1)):
        d_sum = dh * (1.0 - hs[t] ** 2)
        dU += hs[t].T @ d_sum
        dh = d_sum @ U.T
    return dh, dU


def _not_transposed(dh: Array, hs: Array, U: Array) -> tuple[Array, Array]:
    """Multiplies by U on the way back, where it must be U^T."""
    dU = np.zeros_like(U)
    for t in reversed(range(len(hs) - 1)):
        d_sum = dh * (1.0 - hs[t + 1] ** 2)
        dU += hs[t].T @ d_sum
        dh = d_sum @ U
    return dh, dU


def _one_step_short(dh: Array, hs: Array, U: Array) -> tuple[Array, Array]:
    """Stops one step too early: the first step is left out."""
    return through_time_backward(dh, hs[1:], U)


def _weights_times_scores(query: Array, states: Array, w: Array) -> Array:
    """The weights are multiplied by the scores that they were made of: the context is no average of the states."""
    asked = query @ w  # (B, D)
    scores = (states @ asked[:, :, None])[:, :, 0]  # (B, S)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    context = ((weights * scores)[:, None] @ states)[:, 0]
    return context


def _without_softmax(query: Array, states: Array, w: Array) -> Array:
    """The scores themselves are the weights: the softmax is missing."""
    scores = (states @ (query @ w)[:, :, None])[:, :, 0]
    return (scores[:, None] @ states)[:, 0]


def _mean_of_states(query: Array, states: Array, w: Array) -> Array:
    """The plain mean of the states: the query is not used."""
    return states.mean(axis=1)


# Inputs, and the same gradients from the package's layers or by complex step.


def _attend_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((B, D)), rng.standard_normal((B, S, D))) for B, S, D in ((2, 3, 5), (3, 7, 2))]


def _look_back_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((B, K)), rng.standard_normal((B, S, D)), rng.standard_normal((K, D)))
        for B, K, S, D in ((2, 7, 3, 5), (3, 2, 7, 5))
    ]


def _attend_backward_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal(query.shape), query, states, attend(query, states)[1])
        for query, states in _attend_cases(rng)
    ]


def _lstm_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for B, H in ((2, 5), (3, 7)):
        dh, dc, c, *sums = rng.standard_normal((7, B, H))
        g = np.tanh(sums[0])
        i, f, o = (1.0 / (1.0 + np.exp(-a)) for a in sums[1:])
        cases.append((dh, dc, g, i, f, o, c, f * c + i * g))
    return cases


def _through_time_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = []
    for T, B, H in ((3, 2, 5), (7, 3, 2), (1, 2, 3)):
        U = rng.standard_normal((H, H)) * H**-0.5
        hs = [np.tanh(rng.standard_normal((B, H)))]
        for _ in range(T):
            hs.append(np.tanh(hs[-1] @ U + rng.standard_normal((B, H))))
        cases.append((rng.standard_normal((B, H)), np.stack(hs), U))
    return cases


def _attend_reference(d_context: Array, query: Array, states: Array, weights: Array) -> tuple[Array, Array]:
    layer = DotAttention()
    _, cache = layer.forward(query[:, None], states)
    d_query, d_states = layer.backward(d_context[:, None], cache)
    return d_query[:, 0], d_states


def _lstm_reference(
    dh: Array, dc: Array, g: Array, i: Array, f: Array, o: Array, c: Array, c_next: Array
) -> tuple[Array, ...]:
    """A cell whose input is the sums themselves: its W is the identity, its U and b are zero."""
    H = dh.shape[1]
    cell = LSTMCell(4 * H, H, Glorot(np.random.default_rng(0), np.float64))
    for parameter in cell.parameters():
        parameter.value[...] = 0
    cell.input_projection.weight.value[...] = np.eye(4 * H)
    sums = np.concatenate([np.arctanh(g), *(np.log(gate / (1.0 - gate)) for gate in (i, f, o))], axis=-1)
    _, cache = cell.forward(sums, np.zeros_like(c), c)
    d_sums, _, dc_before = cell.backward((dh, dc), cache)
    dc_whole = complex_step(lambda z: (dc * z + dh * o * np.tanh(z)).sum(), c_next)
    return (dc_whole, *np.split(d_sums, 4, axis=-1), dc_before)


def _through_time_reference(dh: Array, hs: Array, U: Array) -> tuple[Array, Array]:
    xs = np.arctanh(hs[1:]) - hs[:-1] @ U  # (T, B, H): what each step must have read

    def last(h: Array, V: Array) -> Any:
        for x in xs:
            h = np.tanh(h @ V + x)
        return (dh * h).sum()

    return complex_step(lambda h: last(h, U), hs[0]), complex_step(lambda V: last(hs[0], V), U)


def _attend_scaled(query: Array, states: Array) -> tuple[Array, Array]:
    """The scores are divided by sqrt(D); that comes with lesson 04, here they are plain dot products."""
    return attend(query * query.shape[-1] ** -0.5, states)


def _attend_not_divided(query: Array, states: Array) -> tuple[Array, Array]:
    """Powers without their sum: the weights of a row must sum to 1."""
    weights = np.exp(np.einsum("bd,bsd->bs", query, states))
    return np.einsum("bs,bsd->bd", weights, states), weights


EXERCISES = [
    Exercise(
        name="attend",
        lesson="03",
        difficulty=2,
        importance=5,
        minutes=6,
        package=("DotScore.forward", "CrossAttention.read"),
        title="Attention of one query",
        solution=attend,
        cases=_attend_cases,
        wrong=(
            _softmax_over_batch,
            _no_exponential,
            _the_best_alone,
            _scores_average,
            _attend_scaled,
            _attend_not_divided,
        ),
        hints=(
            "Three lines: a score for each state (how similar is it to the query?), a softmax that makes weights of "
            "the scores, an average of the states with those weights.",
            "scores[b, s] = query[b] . states[b, s], so (B, S, D) times (B, D, 1). The softmax runs over s; take the "
            "row's maximum away first, so that no exponential overflows.",
            "context = (weights[:, None] @ states)[:, 0]: (B, 1, S) times (B, S, D), then drop the axis of length 1.",
        ),
        backward=False,
        reference=None,
    ),
    Exercise(
        name="attend_backward",
        lesson="03",
        difficulty=4,
        importance=4,
        minutes=12,
        package=("DotScore.backward", "CrossAttention.read_backward"),
        title="Back through attention",
        solution=attend_backward,
        cases=_attend_backward_cases,
        wrong=(_values_only, _keys_only, _sigmoid_slope, _softmax_skipped),
        hints=(
            "Go through the forward's three lines from the last to the first. The states occur in two of them, so "
            "their gradient is a sum of two parts.",
            "context = sum_s w_s state_s gives d_w_s = d_context . state_s, and w_s d_context for the state as a "
            "value. Then the softmax, as the text says. score_s = query . state_s gives the rest.",
            "d_query = sum_s d_scores_s state_s; the state as a key gets d_scores_s query. Return d_query and the sum "
            "of the two parts of the states.",
        ),
        backward=True,
        reference=_attend_reference,
    ),
    Exercise(
        name="lstm_step_backward",
        lesson="03",
        difficulty=4,
        importance=2,
        minutes=15,
        package=("LSTMCell.backward", "LSTMLayer.backward"),
        title="Back through one step of an LSTM",
        solution=lstm_step_backward,
        cases=_lstm_cases,
        wrong=(_h_path_forgotten, _cell_after, _gates_without_slope, _nothing_is_forgotten),
        hints=(
            "Begin with c_next: the loss sees it twice, by the next step (dc) and through h_next = o tanh(c_next).",
            "With the whole dc: a product gives each factor the other one's value, so the gate f gets dc c, i gets dc "
            "g, g gets dc i, and o gets dh tanh(c_next). Then back through the sigmoid, s (1 - s), or the tanh, 1 - "
            "g^2.",
            "dc_whole = dc + dh * o * (1 - np.tanh(c_next)**2); the cell before gets dc_whole * f; and, for example, "
            "da_f = dc_whole * c * f * (1 - f).",
        ),
        backward=True,
        reference=_lstm_reference,
    ),
    Exercise(
        name="through_time_backward",
        lesson="03",
        difficulty=3,
        importance=4,
        minutes=12,
        title="Back through time",
        solution=through_time_backward,
        cases=_through_time_cases,
        wrong=(_last_write_wins, _slope_of_before, _not_transposed, _one_step_short),
        hints=(
            "A loop over the steps from the last to the first. Each turns the gradient of h_{t+1} into that of h_t, "
            "and adds its part to dU: all steps share one U.",
            "tanh's slope is 1 - tanh^2, and hs[t + 1] IS the tanh. The sum h_t U then gives dU += h_t^T d_sum and "
            "dh = d_sum U^T.",
            "for t in reversed(range(len(hs) - 1)): d_sum = dh * (1 - hs[t + 1]**2), then the two products.",
        ),
        backward=True,
        reference=_through_time_reference,
    ),
    Exercise(
        name="look_back",
        lesson="03",
        difficulty=2,
        importance=3,
        minutes=6,
        title="Find the bug",
        solution=look_back,
        cases=_look_back_cases,
        wrong=(_weights_times_scores, _without_softmax, _mean_of_states),
        broken=_weights_times_scores,
        hints=(
            "Let all states be the same vector. What must the context be, and what is it?",
            "The weights sum to 1. Do the numbers that the states are multiplied by?",
            "The context is an average of the states with the weights, and with nothing else.",
        ),
        backward=False,
    ),
]
