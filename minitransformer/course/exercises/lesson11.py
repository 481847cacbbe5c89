"""Lesson 11, T5, GPT and Llama: what they changed, backward, and how many parameters that makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...layers import Array, Cache, GatedFeedForward, RelativePositionBias, Unallocated
from ...layers.rotary import pairs_from_halves
from ...models import Llama, LlamaConfig
from ...verify import complex_step
from ..exercise import Exercise

# -- relative_bias_backward -----------------------------------------------------------------------------------------


def relative_bias_backward(d_scores: Array, buckets: Array, n_buckets: int) -> Array:
    """Backward of T5's bias: score[b, h, t, s] has table[buckets[t, s], h] added to it, the same in every sentence.

    d_scores (B, H, T, S), buckets (T, S) of integers below n_buckets -> d_table (n_buckets, H)
    """
    H = d_scores.shape[1]
    d_bias = d_scores.sum(axis=0)  # every sentence had the same bias
    d_table = np.zeros((n_buckets, H), d_scores.dtype)
    np.add.at(d_table, buckets, d_bias.transpose(1, 2, 0))  # (H, T, S) -> (T, S, H); a bucket has many pairs
    return d_table


def _relative_bias_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for B, H, T, S, n in ((2, 3, 5, 7, 4), (3, 2, 7, 5, 8), (2, 5, 3, 3, 4)):
        buckets = np.clip(np.arange(S) - np.arange(T)[:, None], -n // 2, n // 2 - 1) + n // 2
        cases.append((rng.standard_normal((B, H, T, S)), buckets, n))
    return cases


def _relative_bias_reference(d_scores: Array, buckets: Array, n_buckets: int) -> Array:
    layer = RelativePositionBias(d_scores.shape[1], np.random.default_rng(0), n_buckets)
    layer.weight.grad = np.zeros(layer.weight.shape)
    _, cache = layer.forward(*buckets.shape)
    layer.backward(d_scores.sum(axis=0, keepdims=True), Cache(cache, buckets=buckets))
    return layer.weight.grad


def _overwritten(d_scores: Array, buckets: Array, n_buckets: int) -> Array:
    """Assigned with `=` in place of added: of all the pairs in a bucket only the last one counts."""
    d_table = np.zeros((n_buckets, d_scores.shape[1]), d_scores.dtype)
    d_table[buckets] = d_scores.sum(axis=0).transpose(1, 2, 0)
    return d_table


def _bucket_mean(d_scores: Array, buckets: Array, n_buckets: int) -> Array:
    """Averaged over the pairs of a bucket instead of summed."""
    counts = np.bincount(buckets.reshape(-1), minlength=n_buckets)
    return relative_bias_backward(d_scores, buckets, n_buckets) / np.maximum(counts, 1)[:, None]


def _batch_mean(d_scores: Array, buckets: Array, n_buckets: int) -> Array:
    """Averaged over the sentences instead of summed."""
    return relative_bias_backward(d_scores, buckets, n_buckets) / len(d_scores)


def _first_of_batch(d_scores: Array, buckets: Array, n_buckets: int) -> Array:
    """Only the first sentence of the batch is counted."""
    return relative_bias_backward(d_scores[:1], buckets, n_buckets)


# -- grouped_backward -----------------------------------------------------------------------------------------------


def grouped_backward(d_keys: Array, n_kv_heads: int) -> Array:
    """The gradient of the key heads, when each is used by a whole group of query heads: query head h reads key head
    h // G, with G = H / n_kv_heads. The values' heads are treated alike.

    d_keys (B, H, S, d) what arrives from each query head, n_kv_heads a number -> (B, n_kv_heads, S, d)
    """
    B, H, S, d = d_keys.shape
    G = H // n_kv_heads
    groups = d_keys.reshape(B, n_kv_heads, G, S, d)
    return groups.sum(axis=2)


def _grouped_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [
        (rng.standard_normal((B, H, S, d)), n) for B, H, S, d, n in ((3, 8, 5, 7, 2), (3, 4, 2, 5, 4), (2, 9, 3, 2, 3))
    ]


def _grouped_reference(d_keys: Array, n_kv_heads: int) -> Array:
    B, H, S, d = d_keys.shape

    def upstream_times_outputs(keys: Array) -> complex:
        return (d_keys * np.repeat(keys, H // n_kv_heads, axis=1)).sum()

    return complex_step(upstream_times_outputs, np.ones((B, n_kv_heads, S, d)))


def _group_mean(d_keys: Array, n_kv_heads: int) -> Array:
    """The mean over the group; what was used several times gets the sum."""
    return grouped_backward(d_keys, n_kv_heads) / (d_keys.shape[1] // n_kv_heads)


def _first_of_group(d_keys: Array, n_kv_heads: int) -> Array:
    """Only the first query head of each group is counted."""
    return d_keys[:, :: d_keys.shape[1] // n_kv_heads].copy()


def _dealt_in_turn(d_keys: Array, n_kv_heads: int) -> Array:
    """Query head h is taken to read key head h % n_kv_heads: heads are dealt in turn, not in blocks."""
    B, H, S, d = d_keys.shape
    return d_keys.reshape(B, H // n_kv_heads, n_kv_heads, S, d).sum(axis=1)


def _last_of_group(d_keys: Array, n_kv_heads: int) -> Array:
    """Each query head of a group overwrites the one before: the last one stays."""
    G = d_keys.shape[1] // n_kv_heads
    return d_keys[:, G - 1 :: G].copy()


# -- permute_rope ---------------------------------------------------------------------------------------------------


def permute_rope(weight: Array, d_head: int) -> Array:
    """The weight of queries or keys from code that turns feature i of a head with feature i + d/2 ("halves"), reordered
    for code that turns 2i with 2i + 1 ("neighbours"). Its columns are the heads' features, head after head.

    weight (D, H d), d_head a number d -> (D, H d)
    """
    D, columns = weight.shape
    heads = weight.reshape(D, columns // d_head, 2, d_head // 2)
    return heads.swapaxes(2, 3).reshape(D, columns)


def _permute_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(rng.standard_normal((D, H * d)), d) for D, H, d in ((3, 2, 4), (5, 3, 6), (2, 5, 8))]


def _permute_reference(weight: Array, d_head: int) -> Array:
    return pairs_from_halves(weight, d_head)


def _over_all_heads(weight: Array, d_head: int) -> Array:
    """The halves of all columns are woven together, over the borders of the heads: right only for a single head."""
    D, columns = weight.shape
    heads = weight.reshape(D, 2, columns // 2)
    return heads.swapaxes(1, 2).reshape(D, columns)


def _to_halves(weight: Array, d_head: int) -> Array:
    """The other way round: from neighbours to halves."""
    D, columns = weight.shape
    return weight.reshape(D, columns // d_head, d_head // 2, 2).swapaxes(2, 3).reshape(D, columns)


def _not_reordered(weight: Array, d_head: int) -> Array:
    """As it was: each feature is then turned with the wrong one."""
    return weight.copy()


def _second_half_first(weight: Array, d_head: int) -> Array:
    """The second half comes first in each pair: the rotation then turns the other way."""
    D, columns = weight.shape
    return weight.reshape(D, columns // d_head, 2, d_head // 2)[:, :, ::-1].swapaxes(2, 3).reshape(D, columns)


# -- swiglu_backward ------------------------------------------------------------------------------------------------


def swiglu_backward(dy: Array, x: Array, Wg: Array, W1: Array, W2: Array) -> tuple[Array, ...]:
    """Backward of Llama's feed-forward layer, y = (silu(x Wg) * (x W1)) W2 with silu(z) = z / (1 + exp(-z)).

    dy (M, D), x (M, D), Wg (D, F), W1 (D, F), W2 (F, D) -> dx, dWg, dW1, dW2, shaped alike
    """
    gate, up = x @ Wg, x @ W1
    sigmoid = 1 / (1 + np.exp(-gate))
    activated = gate * sigmoid
    product = activated * up

    dW2 = product.T @ dy
    d_product = dy @ W2.T
    d_up = d_product * activated
    d_gate = d_product * up * sigmoid * (1 + gate * (1 - sigmoid))
    dW1 = x.T @ d_up
    dWg = x.T @ d_gate
    dx = d_up @ W1.T + d_gate @ Wg.T
    return dx, dWg, dW1, dW2


def _swiglu_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    def arrays(M: int, D: int, F: int) -> tuple[Any, ...]:
        return tuple(rng.standard_normal(shape) for shape in ((M, D), (M, D), (D, F), (D, F), (F, D)))

    return [arrays(3, 5, 7), arrays(7, 2, 3), arrays(2, 7, 5)]


def _swiglu_reference(dy: Array, x: Array, Wg: Array, W1: Array, W2: Array) -> tuple[Array, ...]:
    D, F = Wg.shape
    layer = GatedFeedForward(D, F, np.random.default_rng(0))
    for parameter, value in zip(layer.parameters(), (Wg, W1, W2)):
        parameter.value, parameter.grad = value, np.zeros_like(value)
    _, cache = layer.forward(x)
    return (layer.backward(dy, cache), *(parameter.grad for parameter in layer.parameters()))


def _swiglu_with(
    dy: Array, x: Array, Wg: Array, W1: Array, W2: Array, slope: Callable[[Array, Array], Array]
) -> tuple[Array, ...]:
    """The whole backward with another slope of silu, (gate, sigmoid) -> array."""
    gate, up = x @ Wg, x @ W1
    sigmoid = 1 / (1 + np.exp(-gate))
    d_product = dy @ W2.T
    d_up, d_gate = d_product * gate * sigmoid, d_product * up * slope(gate, sigmoid)
    dx = d_up @ W1.T + d_gate @ Wg.T
    return dx, x.T @ d_gate, x.T @ d_up, (gate * sigmoid * up).T @ dy


def _silu_as_sigmoid(dy: Array, x: Array, Wg: Array, W1: Array, W2: Array) -> tuple[Array, ...]:
    """The derivative of the sigmoid in place of that of z sigmoid(z)."""
    return _swiglu_with(dy, x, Wg, W1, W2, lambda gate, sigmoid: sigmoid * (1 - sigmoid))


def _silu_factor_only(dy: Array, x: Array, Wg: Array, W1: Array, W2: Array) -> tuple[Array, ...]:
    """z sigmoid(z) differentiated as if the sigmoid were a constant: the product rule is half done."""
    return _swiglu_with(dy, x, Wg, W1, W2, lambda gate, sigmoid: sigmoid)


def _one_use(dy: Array, x: Array, Wg: Array, W1: Array, W2: Array) -> tuple[Array, ...]:
    """x gets the gradient of one of its two uses: that of the gate is forgotten."""
    _, dWg, dW1, dW2 = swiglu_backward(dy, x, Wg, W1, W2)
    gate = x @ Wg
    d_up = (dy @ W2.T) * gate / (1 + np.exp(-gate))
    return d_up @ W1.T, dWg, dW1, dW2


def _exchanged(dy: Array, x: Array, Wg: Array, W1: Array, W2: Array) -> tuple[Array, ...]:
    """The gradients of the gate's and the other matrix are exchanged."""
    dx, dWg, dW1, dW2 = swiglu_backward(dy, x, Wg, W1, W2)
    return dx, dW1, dWg, dW2


# -- llama_parameters -----------------------------------------------------------------------------------------------


def llama_parameters(vocab: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int, n_blocks: int) -> int:
    """How many numbers a Llama trains: an embedding, n_blocks blocks (attention with n_kv_heads key and value heads of
    width d_model / n_heads, SwiGLU, two RMSNorms), a last RMSNorm and a head of its own. There are no biases.

    All arguments are integers -> an integer
    """
    d_kv = n_kv_heads * d_model // n_heads  # all key heads side by side
    attention = 2 * d_model * d_model + 2 * d_model * d_kv  # queries and output; keys and values
    feed_forward = 3 * d_model * d_ff  # gate, up, down
    block = attention + feed_forward + 2 * d_model
    return 2 * vocab * d_model + n_blocks * block + d_model


def _llama_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases: list[tuple[Any, ...]] = [(32000, 8192, 64, 8, 28672, 80)]
    for n_heads, n_kv_heads in ((6, 2), (5, 1)):
        d_head, vocab, d_ff, n_blocks = 2 * rng.integers(1, 9), *rng.integers(2, 99, 2), rng.integers(2, 9)
        cases.append((int(vocab), int(n_heads * d_head), n_heads, n_kv_heads, int(d_ff), int(n_blocks)))
    return cases


def _llama_reference(vocab: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int, n_blocks: int) -> int:
    config = LlamaConfig(vocab, d_model=d_model, n_heads=n_heads, n_kv_heads=n_kv_heads, d_ff=d_ff, n_blocks=n_blocks)
    return Llama(config, Unallocated()).n_parameters()


def _all_heads_have_keys(vocab: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int, n_blocks: int) -> int:
    """Keys and values are counted as if every query head had its own."""
    return llama_parameters(vocab, d_model, n_heads, n_heads, d_ff, n_blocks)


def _three_squares(vocab: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int, n_blocks: int) -> int:
    """Attention is counted as 3 d_model^2: every head with its own keys, and no output projection."""
    block = 3 * d_model**2 + 3 * d_model * d_ff + 2 * d_model
    return 2 * vocab * d_model + n_blocks * block + d_model


def _no_gate(vocab: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int, n_blocks: int) -> int:
    """Two matrices in the feed-forward layer: the gate is forgotten."""
    return llama_parameters(vocab, d_model, n_heads, n_kv_heads, d_ff, n_blocks) - n_blocks * d_model * d_ff


def _tied(vocab: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int, n_blocks: int) -> int:
    """The head is counted as if it were the embedding's table."""
    return llama_parameters(vocab, d_model, n_heads, n_kv_heads, d_ff, n_blocks) - vocab * d_model


def _last_norm_forgotten(vocab: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int, n_blocks: int) -> int:
    """The norm behind the last block is forgotten."""
    return llama_parameters(vocab, d_model, n_heads, n_kv_heads, d_ff, n_blocks) - d_model


def _one_norm_a_block(vocab: int, d_model: int, n_heads: int, n_kv_heads: int, d_ff: int, n_blocks: int) -> int:
    """One norm a block; it has two."""
    return llama_parameters(vocab, d_model, n_heads, n_kv_heads, d_ff, n_blocks) - n_blocks * d_model


EXERCISES = [
    Exercise(
        name="relative_bias_backward",
        lesson="11",
        difficulty=3,
        importance=2,
        minutes=10,
        optional=True,
        package=("RelativePositionBias.backward",),
        title="T5's positions, backward",
        solution=relative_bias_backward,
        cases=_relative_bias_cases,
        reference=_relative_bias_reference,
        wrong=(_overwritten, _bucket_mean, _batch_mean, _first_of_batch),
        hints=(
            "One number of the table was added to many scores: in every sentence, and at every pair in its bucket. "
            "What happens to the gradient of a number that was used many times?",
            "Sum over the sentences; then it is an embedding's backward, with buckets in the place of ids: repeated "
            "buckets add.",
            "np.add.at(d_table, buckets, d_scores.sum(axis=0).transpose(1, 2, 0)), d_table being zeros (n_buckets, H).",
        ),
        backward=True,
    ),
    Exercise(
        name="grouped_backward",
        lesson="11",
        difficulty=2,
        importance=3,
        minutes=10,
        package=("GroupedQueryAttention.backward",),
        title="One key head for a group, backward",
        solution=grouped_backward,
        cases=_grouped_cases,
        reference=_grouped_reference,
        wrong=(_group_mean, _first_of_group, _dealt_in_turn, _last_of_group),
        hints=(
            "With 6 query heads and 2 key heads, which query heads read key head 0? It was used that many times.",
            "Cut the axis of heads into (n_kv_heads, G). Over which of the two do gradients add?",
            "d_keys.reshape(B, n_kv_heads, G, S, d).sum(axis=2)",
        ),
        backward=True,
    ),
    Exercise(
        name="permute_rope",
        lesson="11",
        difficulty=3,
        importance=3,
        minutes=15,
        package=("pairs_from_halves",),
        title="Find the bug: halves against neighbours",
        solution=permute_rope,
        broken=_over_all_heads,
        cases=_permute_cases,
        reference=_permute_reference,
        wrong=(_over_all_heads, _to_halves, _not_reordered, _second_half_first),
        hints=(
            "Number the columns of two heads with d = 4: 0 1 2 3 | 4 5 6 7. Which pairs does the other code turn? In "
            "which order must they stand here?",
            "Wanted are 0 2 1 3 | 4 6 5 7: the reordering stays within each head.",
            "reshape to (D, H, 2, d/2), exchange the last two axes, and back.",
        ),
        backward=False,
    ),
    Exercise(
        name="swiglu_backward",
        lesson="11",
        difficulty=3,
        importance=3,
        minutes=15,
        package=("GatedFeedForward.backward",),
        title="SwiGLU, backward",
        solution=swiglu_backward,
        cases=_swiglu_cases,
        reference=_swiglu_reference,
        wrong=(_silu_as_sigmoid, _silu_factor_only, _one_use, _exchanged),
        hints=(
            "Name the parts: gate = x Wg, activated = silu(gate), up = x W1, product = activated * up, y = product W2. "
            "Go back through them in reverse; x was used twice.",
            "A product of two arrays: each factor's gradient is d_product times the other factor. "
            "silu(z) = z s with s = sigmoid(z), and s' = s (1 - s).",
            "silu'(z) = s + z s (1 - s); d_up = d_product * activated; d_gate = d_product * up * silu'(gate); "
            "dx = d_up W1^T + d_gate Wg^T.",
        ),
        backward=True,
    ),
    Exercise(
        name="llama_parameters",
        lesson="11",
        difficulty=2,
        importance=3,
        minutes=15,
        optional=True,
        title="Counting to 70 billion",
        solution=llama_parameters,
        cases=_llama_cases,
        reference=_llama_reference,
        wrong=(_all_heads_have_keys, _three_squares, _no_gate, _tied, _last_norm_forgotten, _one_norm_a_block),
        hints=(
            "Count one block: four matrices of attention, two of which are narrower; three of the feed-forward "
            "layer; two norms of one number a feature.",
            "A head is d_model / n_heads up, so keys and values are n_kv_heads * d_model / n_heads up together.",
            "2 vocab d_model + n_blocks (2 d_model^2 + 2 d_model d_kv + 3 d_model d_ff + 2 d_model) + d_model",
        ),
        backward=False,
    ),
]
