"""What a layer must do besides having the right gradient: a backward may be the exact mirror of a wrong forward.

Each property is a function without arguments that raises AssertionError where it does not hold. Values are wanted by
definition, written as loops over numbers, never by the code that is under test.
"""

from __future__ import annotations

import math

import numpy as np

from minitransformer.layers import (
    GELU,
    Array,
    CrossEntropy,
    Decoder,
    DecoderBlock,
    Dropout,
    Embedding,
    Identity,
    InputEmbedding,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    ReLU,
    Residual,
    SelfAttention,
    SinusoidalPositions,
    Softmax,
    Unembedding,
    masks,
)

from .registry import _equal, _float64, _random, holds


def attention_by_definition(q: Array, k: Array, v: Array, mask: Array) -> tuple[Array, Array]:
    """One head by its definition: q (T, d), k and v (S, d), mask (T, S) -> context (T, d), weights (T, S)."""
    T, S = mask.shape
    weights, context = np.zeros((T, S)), np.zeros((T, v.shape[1]))
    for t in range(T):
        allowed = [s for s in range(S) if mask[t, s]]
        scores = [
            sum(float(q[t, i]) * float(k[s, i]) for i in range(q.shape[1])) / math.sqrt(q.shape[1]) for s in allowed
        ]
        highest = max(scores, default=0.0)
        total = sum(math.exp(score - highest) for score in scores)
        for s, score in zip(allowed, scores):
            weights[t, s] = math.exp(score - highest) / total
            context[t] += weights[t, s] * v[s]
    return context, weights


def cross_entropy_by_definition(logits: Array, targets: Array, pad: int, e: float) -> float:
    """The loss by its definition: logits (N, V), targets (N,) -> the mean over what is not padding."""
    V, losses = logits.shape[1], []
    for row, target in zip(logits, targets):
        if target == pad:
            continue
        log_total = math.log(sum(math.exp(float(z)) for z in row))
        truth = [e / V + (1.0 - e if v == target else 0.0) for v in range(V)]
        losses.append(-sum(q * (float(z) - log_total) for q, z in zip(truth, row)))
    return sum(losses) / len(losses)


@holds("attention is what its definition says, head by head")
def attention_is_its_definition() -> None:
    B, T, S, H, D = 2, 5, 7, 2, 6
    d = D // H
    layer = MultiHeadAttention(D, H, _float64(), projection=Linear, output=Identity)
    x, memory = _random(B, T, D), _random(B, S, D, seed=4)
    mask = np.random.default_rng(1).random((B, 1, T, S)) < 0.6
    mask[0, 0, 3] = False  # may attend to nothing
    y, cache = layer.forward(x, memory, mask)
    W_q, W_k, W_v = (parameter.value for parameter in layer.parameters())
    for b in range(B):
        q, k, v = x[b] @ W_q, memory[b] @ W_k, memory[b] @ W_v
        for h in range(H):
            features = slice(h * d, (h + 1) * d)  # each head has its own d neighbouring features
            context, weights = attention_by_definition(q[:, features], k[:, features], v[:, features], mask[b, 0])
            _equal(cache["weights"][b, h], weights, f"weights of sentence {b}, head {h}")
            _equal(y[b][:, features], context, f"output of sentence {b}, head {h}")


@holds("a query that may attend to nothing gets exactly zero, forward and backward")
def masked_rows_are_zero() -> None:
    layer = SelfAttention(6, 2, _float64(), projection=Linear, output=Identity)
    x, mask = _random(3, 5, 6), np.ones((3, 1, 5, 5), bool)
    mask[1] = False
    mask[0, 0, 2] = False
    with np.errstate(all="raise", under="ignore", invalid="ignore"):  # OpenBLAS raises "invalid" by chance
        y, cache = layer.forward(x, mask)
        dx = layer.backward(_random(3, 5, 6, seed=8), cache)
    for what, a in (("weights", cache["weights"][1]), ("output", y[1]), ("dx", dx[1]), ("output", y[0, 2])):
        assert not a.any(), f"{what} of what is wholly masked: {a.flat[0]}"
    weights = cache["weights"].sum(axis=-1)
    _equal(
        weights, np.broadcast_to(mask.any(axis=-1), weights.shape).astype(float), "sums of the rows of weights", 1e-14
    )


@holds("with the causal mask a later token changes nothing before it, and every token sees itself and all before it")
def causal_mask_is_causal() -> None:
    layer, T = SelfAttention(6, 2, _float64()), 7
    x, mask = _random(2, T, 6), masks.causal_mask(T)
    assert mask.shape == (1, 1, T, T), f"causal_mask({T}) has shape {mask.shape}, wanted {(1, 1, T, T)}"
    y, cache = layer.forward(x, mask)
    for t in range(1, T):
        changed = x.copy()
        changed[:, t:] += 3.0
        assert np.array_equal(layer.forward(changed, mask)[0][:, :t], y[:, :t]), f"tokens before {t} changed with it"
        assert (cache["weights"][:, :, t, : t + 1] > 0).all(), f"token {t} does not see all up to itself"


@holds("padding is invisible, and nothing else is")
def padding_is_invisible() -> None:
    ids = np.array([[4, 2, 5, 0, 0], [3, 1, 0, 0, 0]])
    mask = masks.padding_mask(ids, 0)
    assert mask.shape == (2, 1, 1, 5), f"padding_mask has shape {mask.shape}, wanted (2, 1, 1, 5)"
    layer, x, memory = MultiHeadAttention(6, 2, _float64()), _random(2, 4, 6), _random(2, 5, 6, seed=4)
    y, cache = layer.forward(x, memory, mask)
    other = np.where((ids == 0)[:, :, None], 7.0, memory)
    _equal(layer.forward(x, other, mask)[0], y, "other content of the padding changes the output")
    weights = cache["weights"].transpose(0, 3, 1, 2).reshape(2, 5, -1)
    assert (weights[ids != 0] > 0).all(), "what is not padding is not attended to"


@holds("softmax is what its definition says, row by row")
def softmax_is_its_definition() -> None:
    x = _random(3, 2, 5)
    y = Softmax()(x)
    for index in np.ndindex(3, 2):
        total = sum(math.exp(z) for z in x[index])
        _equal(y[index], np.array([math.exp(z) / total for z in x[index]]), f"row {index}", 1e-15)


@holds("scores of +-1e4 in float32 stay finite and rows sum to one")
def large_scores_are_finite() -> None:
    x = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]], np.float32)
    with np.errstate(all="raise", under="ignore", invalid="ignore"):  # OpenBLAS raises "invalid" by chance
        y, cache = Softmax().forward(x)
        dx = Softmax().backward(np.array([[1, 2, 3]] * 3, np.float32), cache)
        loss, loss_cache = CrossEntropy(pad=-1, label_smoothing=0.1).forward(x, np.array([2, 0, 1]))
        d_logits = CrossEntropy(pad=-1, label_smoothing=0.1).backward(1.0, loss_cache)
    assert all(np.isfinite(a).all() for a in (y, dx, loss, d_logits)), "not finite"
    _equal(y.sum(axis=-1), np.ones(3, np.float32), "sums of the rows", 1e-6)


@holds("layer normalization is what its definition says, vector by vector")
def layer_norm_is_its_definition() -> None:
    D, x = 5, _random(3, 2, 5) * 0.01  # small, so that eps shows
    layer = LayerNorm(D, _float64())
    layer.gain.value, layer.bias.value = _random(D, seed=1), _random(D, seed=2)
    y = layer(x)
    for index in np.ndindex(3, 2):
        mean = sum(x[index]) / D
        variance = sum((z - mean) ** 2 for z in x[index]) / D
        wanted = [
            g * (z - mean) / math.sqrt(variance + 1e-5) + b
            for z, g, b in zip(x[index], layer.gain.value, layer.bias.value)
        ]
        _equal(y[index], np.array(wanted), f"vector {index}")


@holds("activations are what their formulas say, number by number")
def activations_are_their_formulas() -> None:
    x = np.array([-3.0, -0.5, 0.0, 0.5, 2.0])
    _equal(ReLU()(x), np.array([0.0, 0.0, 0.0, 0.5, 2.0]), "ReLU", 0.0)
    gelu = [z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) for z in x]
    _equal(GELU()(x), np.array(gelu), "GELU", 1e-15)


@holds("the loss is the mean over what is not padding, by definition")
def loss_is_its_definition() -> None:
    logits, targets = _random(3, 5, 7), np.array([[2, 6, 1, 0, 0], [5, 0, 0, 0, 0], [1, 2, 3, 4, 0]])
    for e in (0.0, 0.3):
        loss, _ = CrossEntropy(pad=0, label_smoothing=e).forward(logits, targets)
        wanted = cross_entropy_by_definition(logits.reshape(-1, 7), targets.reshape(-1), 0, e)
        _equal(loss, np.float64(wanted), f"label_smoothing={e}", 1e-13)


@holds("the losses and gradients of a batch's shares add up to the batch's")
def loss_of_shares_adds() -> None:
    logits, targets = _random(4, 3, 7), np.array([[2, 6, 0], [5, 0, 0], [1, 2, 3], [4, 4, 4]])
    layer, N = CrossEntropy(pad=0, label_smoothing=0.1), 9
    whole, cache = layer.forward(logits, targets)
    shares = [layer.forward(logits[part], targets[part], N) for part in (slice(0, 1), slice(1, 4))]
    _equal(np.sum([loss for loss, _ in shares]), whole, "the losses")
    gradients = [layer.backward(1.0, share) for _, share in shares]
    _equal(np.concatenate(gradients), layer.backward(1.0, cache), "the gradients")


@holds("dropout drops the share it says, keeps the mean, and does nothing in evaluation")
def dropout_keeps_the_mean() -> None:
    x, rng = np.ones((200, 500)), np.random.default_rng(0)
    y, _ = Dropout(0.2).forward(x, rng=rng)
    assert abs((y == 0).mean() - 0.2) < 0.01, f"drops {(y == 0).mean():.3f} of the numbers, wanted 0.2"
    assert abs(y.mean() - 1.0) < 0.01, f"the mean of ones is {y.mean():.3f}"
    assert len(np.unique(y[:, 0])) == 2, "all sentences drop the same numbers"
    assert Dropout(0.2).forward(x)[0] is x, "evaluation changes the input"


@holds("sinusoids are what their formula says, number by number")
def sinusoids_are_their_formula() -> None:
    T, D = 7, 6
    y = SinusoidalPositions(D)(np.zeros((1, T, D)))[0]
    for t in range(T):
        for i in range(D // 2):
            angle = t / 10000 ** (2 * i / D)
            _equal(
                y[t, 2 * i : 2 * i + 2], np.array([math.sin(angle), math.cos(angle)]), f"position {t}, pair {i}", 1e-14
            )


@holds("an embedding looks up and scales, and its unembedding compares with the same table")
def embeddings_look_up() -> None:
    layer, ids = Embedding(7, 3, _float64(), scale=2.0), np.array([[6, 0, 6], [1, 2, 5]])
    table = layer.weight.value
    wanted = [[[2.0 * table[i, j] for j in range(3)] for i in row] for row in ids]
    _equal(layer(ids), np.array(wanted), "looked up", 0.0)
    x = _random(2, 3)
    logits = [[0.5 * sum(x[n, j] * table[v, j] for j in range(3)) for v in range(7)] for n in range(2)]
    _equal(Unembedding(layer.weight, scale=0.5)(x), np.array(logits), "compared", 1e-14)


@holds("an input embedding adds the position's vector to the id's, and drops from their sum")
def input_embedding_is_its_formula() -> None:
    ids, init = np.array([[6, 0, 6], [1, 2, 5]]), _float64()
    tokens, positions = Embedding(7, 4, init), LearnedPositions(6, 4, init)
    layer, start = InputEmbedding(tokens, positions, 0.5), 2
    wanted = np.array(
        [[tokens.weight.value[i] + positions.weight.value[start + t] for t, i in enumerate(row)] for row in ids]
    )
    _equal(layer.forward(ids, start=start)[0], wanted, "sum", 1e-15)
    dropped, _ = layer.forward(ids, np.random.default_rng(0), start)
    assert 0 < (dropped == 0).mean() < 1, "training drops nothing, or all"
    _equal(dropped, np.where(dropped == 0, 0.0, 2.0 * wanted), "what is left, scaled up", 1e-14)


@holds("the blocks of a decoder use each its own mask")
def decoder_masks_are_their_own() -> None:
    B, T, S, D = 2, 5, 7, 6
    init = _float64()
    block = DecoderBlock(
        attention=Residual(SelfAttention(D, 2, init)),
        cross_attention=Residual(MultiHeadAttention(D, 2, init)),
        feed_forward=Identity(),
    )
    mask, memory_mask = masks.causal_mask(T), np.random.default_rng(1).random((B, 1, T, S)) < 0.6
    _, cache = Decoder([block, block]).forward(_random(B, T, D), _random(B, S, D, seed=4), mask, memory_mask)
    for i, part in enumerate(cache["blocks"]):
        for name, allowed in (("attention", mask), ("cross_attention", memory_mask)):
            weights = part[name]["weights"]
            assert np.array_equal(weights > 0, np.broadcast_to(allowed, weights.shape)), f"{name} of block {i}"


@holds("residual wrappers add where they say, and norm where they say")
def residuals_are_their_formulas() -> None:
    x, f, norm = _random(2, 3, 5), Linear(5, 5, _float64()), LayerNorm(5, _float64())
    norm.gain.value, norm.bias.value = _random(5, seed=1), _random(5, seed=2)
    weight = f.weight.value

    def normed(v: Array) -> Array:
        mean = v.sum(axis=-1, keepdims=True) / 5
        return (
            norm.gain.value * (v - mean) / np.sqrt(((v - mean) ** 2).sum(axis=-1, keepdims=True) / 5 + 1e-5)
            + norm.bias.value
        )

    _equal(Residual(f)(x), x + x @ weight, "Residual")
    _equal(PreNorm(f, norm)(x), x + normed(x) @ weight, "PreNorm")
    _equal(PostNorm(f, norm)(x), normed(x + x @ weight), "PostNorm")
