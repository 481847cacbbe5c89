"""The list of bugs in the layers of T5, GPT and Llama."""

from __future__ import annotations

from minitransformer.layers import (
    ALiBi,
    DecodingState,
    GatedFeedForward,
    GroupedQueryAttention,
    LearnedPositions,
    RelativePositionBias,
    RMSNorm,
    Rotary,
    ScaledDotProductAttention,
    SelfAttention,
    SiLU,
    SinusoidalPositions,
    attention,
    grouped_query,
    relative,
    rotary,
)
from minitransformer.layers.decoding_state import GrowingBuffer

from .injection import bug

# fmt: off

# ---- norm, activation, feed-forward

RMS = "RMS normalization is what its definition says, vector by vector"
SILU = "SiLU is what its formula says, number by number, also where an exponential would overflow"
GATED = "a gated feed-forward layer bends its gate, and not what the gate lets through"

bug("RMS norm's gain factored out of the sum", RMSNorm, "backward",
    "dy_x_hat *= self.gain.value", "pass", "RMSNorm")
bug("RMS norm's gain left out of the input's gradient", RMSNorm, "backward",
    "dx = dy * self.gain.value", "dx = dy.copy()", "RMSNorm")
bug("RMS norm's gain gradient before normalization", RMSNorm, "backward",
    "self.gain.grad += column_sum(dy_x_hat)", "self.gain.grad += column_sum(dy_x_hat / inv_rms)", "RMSNorm")
bug("RMS norm's gain gradient assigned", RMSNorm, "backward",
    "self.gain.grad += column_sum", "self.gain.grad = column_sum", "RMSNorm", "assigned")
bug("root mean square taken for a constant", RMSNorm, "backward",
    "dx -= x_hat * row_mean(dy_x_hat)", "pass", "RMSNorm")
bug("RMS norm's projection summed, not averaged", RMSNorm, "backward",
    "row_mean(dy_x_hat)", "row_mean(dy_x_hat) * self.d_model", "RMSNorm")
bug("RMS norm's eps outside the root", RMSNorm, "forward",
    "1.0 / np.sqrt(row_mean(x * x) + self.eps)", "1.0 / (np.sqrt(row_mean(x * x)) + self.eps)", RMS)
bug("RMS norm subtracts the mean", RMSNorm, "forward",
    "inv_rms = 1.0", "x = x - row_mean(x)\ninv_rms = 1.0", RMS)
bug("RMS norm divides by the length of the vector", RMSNorm, "forward",
    "row_mean(x * x)", "self.d_model * row_mean(x * x)", RMS)
bug("SiLU's derivative without the product rule", SiLU, "backward", "s * (1.0 + x * (1.0 - s))", "s", "SiLU")
bug("SiLU's derivative with the sign of x forgotten", SiLU, "backward", "(1.0 + x *", "(1.0 - x *", "SiLU")
bug("sigmoid in place of SiLU", SiLU, "forward", "return x * s,", "return s + 0.0 * x,", SILU)
bug("tanh of x in place of x / 2", SiLU, "forward", "0.5 * x", "x", SILU)
bug("sigmoid by an exponential that overflows", SiLU, "forward",
    "0.5 * (1.0 + np.tanh(0.5 * x))", "1.0 / (1.0 + np.exp(-x))", SILU)
bug("gate and widened exchanged, forward", GatedFeedForward, "forward",
    "self.activation.forward(gate)\nwide, widen_cache = self.up_proj.forward(x)",
    "self.activation.forward(self.up_proj.forward(x)[0])\nwide, widen_cache = gate, self.up_proj.forward(x)[1]", GATED)
bug("gate and widened exchanged, backward", GatedFeedForward, "backward",
    'd_wide = d_product * cache["bent"]\nd_bent = d_product * cache["wide"]',
    'd_wide = d_product * cache["wide"]\nd_bent = d_product * cache["bent"]', "GatedFeedForward")
bug("gate added, not multiplied", GatedFeedForward, "forward", "bent * wide", "bent + wide", GATED)
bug("gradient through the gate forgotten", GatedFeedForward, "backward",
    'return dx + self.gate.backward(d_gate, cache["gate_proj"])', 'self.gate.backward(d_gate, cache["gate_proj"])\nreturn dx',
    "GatedFeedForward")
bug("gate's activation not differentiated", GatedFeedForward, "backward",
    'self.activation.backward(d_bent, cache["activation"])', "d_bent", "GatedFeedForward")
bug("gradient of what was dropped, with a gate", GatedFeedForward, "backward",
    'self.dropout.backward(d_dropped, cache["dropout"])', "d_dropped", "GatedFeedForward")

# ---- relative positions

BUCKETS = "relative positions have the buckets that T5 gives them"
TABLE = "a relative bias is its table's number for head and bucket, also for the last positions alone"
ALIBI = "ALiBi takes its head's slope for every position of distance"
BIASED = "attention scales its scores as it is told, and adds its bias to them unscaled"
SHARED = "Encoder with one relative bias in two blocks"
UNSCALED = "SelfAttention with a relative bias and no scale"

bug("bidirectional buckets in a decoder", relative, "causal_bucket",
    "back, exact = max(-distance, 0), n_buckets // 2",
    "back, n_buckets, exact = max(-distance, 0), n_buckets // 2, n_buckets // 4", BUCKETS)
bug("distances counted from key to query", relative, "causal_bucket", "max(-distance, 0)", "max(distance, 0)", BUCKETS)
bug("what is ahead told apart from nothing", relative, "bidirectional_bucket",
    "half if distance > 0 else 0", "0", BUCKETS)
bug("ahead and behind exchanged", relative, "bidirectional_bucket", "distance > 0", "distance < 0", BUCKETS)
bug("far distances spread evenly, not by logarithm", relative, "causal_bucket",
    "max_distance**j * exact ** (far - j) > back**far",
    "exact + j * (max_distance - exact) / far > back", BUCKETS)
bug("far distances' edges rounded up", relative, "causal_bucket", "> back**far", ">= back**far", BUCKETS)
bug("all far distances in one bucket", relative, "causal_bucket", "bucket = exact", "bucket = n_buckets - 1", BUCKETS)
bug("last queries taken for the first", relative, "relative_buckets", "np.arange(S - T, S)", "np.arange(T)", TABLE)
bug("query and key exchanged in the bias", relative, "relative_buckets",
    "np.arange(S) - np.arange(S - T, S)[:, None]", "np.arange(S - T, S)[:, None] - np.arange(S)", TABLE)
bug("heads' biases exchanged", RelativePositionBias, "forward",
    "self.weight.value[buckets]", "self.weight.value[:, ::-1][buckets]", TABLE)
bug("bias's gradient assigned, so that the last block's is left", RelativePositionBias, "backward",
    "self.weight.grad[:, h] +=", "self.weight.grad[:, h] =", SHARED)
bug("bias's gradient of the first pair of each bucket", RelativePositionBias, "backward",
    "self.weight.grad[:, h] += np.bincount(flat, d_bias[0, h].reshape(-1), self.n_buckets)",
    "self.weight.grad[flat, h] += d_bias[0, h].reshape(-1)", "RelativePositionBias")
bug("bias's gradient of the first head for all", RelativePositionBias, "backward",
    "d_bias[0, h]", "d_bias[0, 0]", "RelativePositionBias")
bug("bias's gradient forgotten in attention", ScaledDotProductAttention, "backward",
    'self.bias.backward(d_scores.sum(axis=0, keepdims=True), cache["bias"])', "pass", SHARED)
bug("bias's gradient of the first sentence", ScaledDotProductAttention, "backward",
    "d_scores.sum(axis=0, keepdims=True)", "d_scores[:1]", UNSCALED)
bug("bias's gradient averaged over the sentences", ScaledDotProductAttention, "backward",
    "d_scores.sum(axis=0, keepdims=True)", "d_scores.mean(axis=0, keepdims=True)", UNSCALED)
bug("bias's gradient scaled as the queries'", ScaledDotProductAttention, "backward",
    "self.bias.backward(d_scores", "self.bias.backward(scale * d_scores", SHARED)
bug("bias scaled by sqrt(d)", ScaledDotProductAttention, "forward", "scores += bias", "scores += bias * scale", BIASED)
bug("bias subtracted", ScaledDotProductAttention, "forward", "scores += bias", "scores -= bias", BIASED)
bug("scores scaled by sqrt(d), whatever was asked", ScaledDotProductAttention, "forward",
    "self.scale or q.shape[-1] ** -0.5", "q.shape[-1] ** -0.5", BIASED)
bug("gradients scaled by sqrt(d), whatever was asked", ScaledDotProductAttention, "backward",
    "self.scale or q.shape[-1] ** -0.5", "q.shape[-1] ** -0.5", UNSCALED)
bug("ALiBi rewards distance", ALiBi, "forward", "slopes[:, None, None] *", "-slopes[:, None, None] *", ALIBI)
bug("ALiBi of the last queries taken for the first", ALiBi, "forward", "np.arange(S - T, S)", "np.arange(T)", ALIBI)
bug("ALiBi with the slopes of another number of heads", relative, "alibi_slopes",
    "-8.0 * (h + 1) / power", "-8.0 * (h + 1) / (2 * power)", ALIBI)
bug("ALiBi's further heads repeat the first", relative, "alibi_slopes", "-4.0 * (2 * h + 1)", "-8.0 * (h + 1)", ALIBI)

# ---- rotary positions

ROTARY = "rotary positions turn neighbouring features by the angle of their position, pair by pair"
CONVERTED = "weights that pair feature i with i + d/2 give the same scores once they are converted"

bug("rotary pairs in halves", rotary, "rotate",
    "x[..., 0::2], x[..., 1::2]", "x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]", ROTARY)
bug("features turned the other way", rotary, "rotate",
    "even * cos - odd * sin\ny[..., 1::2] = even * sin + odd * cos",
    "even * cos + odd * sin\ny[..., 1::2] = odd * cos - even * sin", ROTARY)
bug("rotary positions counted from one", rotary, "rotations", "np.arange(length)", "np.arange(1, length + 1)", ROTARY)
bug("all pairs turn as fast", rotary, "rotations",
    "base ** (-np.arange(0, d_head, 2) / d_head)", "base ** (-np.zeros(d_head // 2))", ROTARY)
bug("frequencies of half the pairs", rotary, "rotations",
    "-np.arange(0, d_head, 2) / d_head", "-np.arange(d_head // 2) / d_head", ROTARY)
bug("base ignored", Rotary, "forward", "self.base, x.real.dtype", "10000.0, x.real.dtype", ROTARY)
bug("gradient turned forward again", Rotary, "backward", "-sin", "sin", "Rotary")
bug("gradient not turned back", Rotary, "backward", "return rotate(dy, cos, -sin)", "return dy + 0.0", "Rotary")
bug("halves taken for pairs that are there already", rotary, "pairs_from_halves",
    "halves.swapaxes(-1, -2)", "halves", CONVERTED)
bug("halves converted across the heads", rotary, "pairs_from_halves",
    "weight.reshape(*rest, d_heads // d_head, 2, d_head // 2)", "weight.reshape(*rest, 1, 2, d_heads // 2)", CONVERTED)
bug("pairs brought to halves as halves to pairs", rotary, "halves_from_pairs",
    "d_head // 2, 2)", "2, d_head // 2)", CONVERTED)

# ---- grouped queries

GROUPED = "grouped-query attention is what its definition says: neighbouring query heads share a key head"
GROUP = "GroupedQueryAttention"

bug("query heads of a group stand apart", GroupedQueryAttention, "forward",
    "np.repeat(k, G, axis=1), np.repeat(v, G, axis=1)", "np.tile(k, (1, G, 1, 1)), np.tile(v, (1, G, 1, 1))", GROUPED)
bug("queries turned, keys not", GroupedQueryAttention, "forward",
    "self.rotary.forward(split_heads(k, H // G))", "split_heads(k, H // G), Cache()", GROUPED)
bug("values turned too", GroupedQueryAttention, "forward",
    "v = split_heads(v, H // G)", "v = self.rotary(split_heads(v, H // G))", GROUPED)
bug("sum over the group forgotten: its first head's gradient", grouped_query, "sum_groups",
    ".sum(axis=2)", "[:, :, 0]", GROUP)
bug("mean over the group", grouped_query, "sum_groups", ".sum(axis=2)", ".mean(axis=2)", GROUP)
bug("sum over the key heads, not the group", grouped_query, "sum_groups",
    "dx.reshape(B, H // group, group, T, d).sum(axis=2)", "dx.reshape(B, group, H // group, T, d).sum(axis=1)", GROUP)
bug("values' gradients not summed over the group", GroupedQueryAttention, "backward",
    "sum_groups(dk, G), sum_groups(dv, G)", "sum_groups(dk, G), dv[:, ::G]", GROUP)
bug("keys' gradients not turned back", GroupedQueryAttention, "backward",
    'dk = self.rotary.backward(dk, cache["key_rotary"])', "pass", GROUP)
bug("queries' gradients not turned back", GroupedQueryAttention, "backward",
    'dq = self.rotary.backward(dq, cache["query_rotary"])', "pass", GROUP)

# ---- steps

STEPS = "what steps give for new positions is what forward gives for all"

bug("rotary offset forgotten in a step", Rotary, "step", "cos[start : start + T], sin[start : start + T]",
    "cos[:T], sin[:T]", STEPS)
bug("one rotary count for queries and keys", GroupedQueryAttention, "step",
    'state["key_rotary"]', 'state["query_rotary"]', STEPS)
bug("groups mixed up in a step", GroupedQueryAttention, "step",
    "q.reshape(B, H_kv, G * T, d)", "q.reshape(B, G, H_kv * T, d).reshape(B, H_kv, G * T, d)[:, ::-1]", STEPS)
bug("a prompt sees what comes after it, in groups", GroupedQueryAttention, "step",
    "if T > 1 else None", "if T < 1 else None", STEPS)
bug("a group's mask repeated row by row", GroupedQueryAttention, "step",
    "np.tile(causal_mask(k.shape[2], T), (1, 1, G, 1))", "np.repeat(causal_mask(k.shape[2], T), G, axis=2)", STEPS)
bug("keys kept before they are turned", GroupedQueryAttention, "step",
    'k = state.extend("k", k)', 'k = state.extend("k", split_heads(self.key(x), H_kv))', STEPS)
bug("a prompt sees what comes after it", SelfAttention, "step", "if T > 1 else None", "if T < 1 else None", STEPS)
bug("new positions see the first ones alone", attention, "causal_mask", "length - new,", "0,", STEPS)
bug("keys of the newest positions alone", SelfAttention, "step",
    'state.extend("kv", qkv[:, H:])', "qkv[:, H:]", STEPS)
bug("sinusoids begin again at every step", SinusoidalPositions, "step",
    "table[start : start + T]", "table[:T]", STEPS)
bug("learned positions begin again at every step", LearnedPositions, "step",
    "self.weight.value[start : start + T]", "self.weight.value[:T]", STEPS)
bug("positions counted once a step", DecodingState, "advance", "before + n", "before + 1", STEPS)
bug("kept keys lost when the buffer grows", GrowingBuffer, "extend",
    "longer[:, :, : self.length] = self.value", "longer[...] = 0.0", STEPS)
bug("new keys last first", GrowingBuffer, "extend",
    "self.buffer[:, :, self.length : end] = new", "self.buffer[:, :, self.length : end] = new[:, :, ::-1]", STEPS)
