"""The list of bugs in the layers of T5, GPT and Llama."""

from __future__ import annotations

from minitransformer.layers import (
    ALiBi,
    DecodingState,
    Encoder,
    EncoderBlock,
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
    decoding_state,
    grouped_query,
    masks,
    relative,
    rotary,
)
from minitransformer.layers.decoding_state import GrowingBuffer

from .injection import bug, bugs

# fmt: off

# ---- norm, activation, feed-forward

RMS = "RMS normalization is what its definition says, vector by vector"
SILU = "SiLU is what its formula says, number by number, also where an exponential would overflow"
GATED = "a gated feed-forward layer activates its gate, and not what the gate lets through"

bug("RMS norm's gain factored out of the sum", RMSNorm, "backward",
    "token_mean(d_x_hat * x_hat)", "token_mean(d_rows * x_hat)", "RMSNorm")
bug("RMS norm's gain left out of the input's gradient", RMSNorm, "backward",
    "d_x_hat = d_rows * self.gain.value", "d_x_hat = d_rows", "RMSNorm")
bug("RMS norm's gain gradient before normalization", RMSNorm, "backward",
    "column_sum(d_rows * x_hat)", "column_sum(d_rows * x_hat / inv_rms)", "RMSNorm")
bug("RMS norm's gain gradient assigned", RMSNorm, "backward",
    "self.gain.grad += column_sum", "self.gain.grad = column_sum", "RMSNorm", "assigned")
bug("root mean square taken for a constant", RMSNorm, "backward",
    " - x_hat * token_mean(d_x_hat * x_hat)", "", "RMSNorm")
bug("RMS norm's projection summed, not averaged", RMSNorm, "backward",
    "token_mean(d_x_hat * x_hat)", "token_mean(d_x_hat * x_hat) * self.d_model", "RMSNorm")
bug("RMS norm's eps outside the root", RMSNorm, "forward",
    "np.sqrt(token_mean(rows * rows) + self.eps)", "(np.sqrt(token_mean(rows * rows)) + self.eps)", RMS)
bug("RMS norm subtracts the mean", RMSNorm, "forward",
    "inv_rms = 1.0", "rows = rows - token_mean(rows)\ninv_rms = 1.0", RMS)
bug("RMS norm divides by the length of the vector", RMSNorm, "forward",
    "token_mean(rows * rows)", "self.d_model * token_mean(rows * rows)", RMS)
bug("SiLU's derivative without the product rule", SiLU, "backward", "s + x * s * (1.0 - s)", "s", "SiLU")
bug("SiLU's derivative with the sign of x forgotten", SiLU, "backward", "s + x * s", "s - x * s", "SiLU")
bug("sigmoid in place of SiLU", SiLU, "forward", "return x * s,", "return s + 0.0 * x,", SILU)
bug("tanh of x in place of x / 2", SiLU, "forward", "0.5 * x", "x", SILU)
bug("sigmoid by an exponential that overflows", SiLU, "forward",
    "0.5 * (1.0 + np.tanh(0.5 * x))", "1.0 / (1.0 + np.exp(-x))", SILU)
bugs("gate and up projection exchanged, forward",
     [(GatedFeedForward, "forward", "self.gate_proj.forward(x)", "self.up_proj.forward(x)"),
      (GatedFeedForward, "forward", "up, up_cache = self.up_proj.forward(x)",
       "up, up_cache = self.gate_proj.forward(x)")], GATED)
bug("gate and up projection exchanged, backward", GatedFeedForward, "backward",
    'd_up = d_product * cache["activated"]\nd_activated = d_product * cache["up"]',
    'd_up = d_product * cache["up"]\nd_activated = d_product * cache["activated"]', "GatedFeedForward")
bug("gate added, not multiplied", GatedFeedForward, "forward", "activated * up", "activated + up", GATED)
bug("gradient through the gate forgotten", GatedFeedForward, "backward",
    'return dx + self.gate_proj.backward(d_gate, cache["gate_proj"])',
    'self.gate_proj.backward(d_gate, cache["gate_proj"])\nreturn dx', "GatedFeedForward")
bug("gate's activation not differentiated", GatedFeedForward, "backward",
    'self.activation.backward(d_activated, cache["activation"])', "d_activated", "GatedFeedForward")
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
bug("bias scaled by sqrt(d)", ScaledDotProductAttention, "forward", "scores += bias", "scores += bias * self.scale_for(q)", BIASED)
bug("bias subtracted", ScaledDotProductAttention, "forward", "scores += bias", "scores -= bias", BIASED)
bug("scores scaled by sqrt(d), whatever was asked", ScaledDotProductAttention, "forward",
    "self.scale_for(q)", "q.shape[-1] ** -0.5", BIASED)
bug("gradients scaled by sqrt(d), whatever was asked", ScaledDotProductAttention, "backward",
    "self.scale_for(q)", "q.shape[-1] ** -0.5", UNSCALED)
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
bug("gradient turned forward again", Rotary, "backward", '-cache["sin"]', 'cache["sin"]', "Rotary")
bug("gradient not turned back", Rotary, "backward",
    'rotate(dy, cache["cos"], -cache["sin"])', "dy + 0.0", "Rotary")
bug("halves taken for pairs that are there already", rotary, "pairs_from_halves",
    "halves.swapaxes(-1, -2)", "halves", CONVERTED)
bug("halves converted across the heads", rotary, "pairs_from_halves",
    "weight.reshape(*rest, d_heads // d_head, 2, d_head // 2)", "weight.reshape(*rest, 1, 2, d_heads // 2)", CONVERTED)
bug("pairs brought to halves as halves to pairs", rotary, "halves_from_pairs",
    "d_head // 2, 2)", "2, d_head // 2)", CONVERTED)

# ---- grouped queries

GROUPED = "grouped-query attention is what its definition says: neighbouring query heads share a key head"
GROUP = "GroupedQueryAttention"

bugs("query heads of a group stand apart",
     [(GroupedQueryAttention, "forward", "q.reshape(B, H_kv, G * T, d)",
       "q.reshape(B, G, H_kv, T, d).swapaxes(1, 2).reshape(B, H_kv, G * T, d)"),
      (GroupedQueryAttention, "forward", "context.reshape(B, H, T, d)",
       "context.reshape(B, H_kv, G, T, d).swapaxes(1, 2).reshape(B, H, T, d)")], GROUPED)
bug("queries turned, keys not", GroupedQueryAttention, "forward",
    "k, key_rotary_cache = self.rotate(k, start)", "key_rotary_cache = Cache()", GROUPED)
bug("values turned too", GroupedQueryAttention, "forward",
    "if state is not None:", "v, _ = self.rotate(v, start)\nif state is not None:", GROUPED)
bug("a group's gradients in the order of positions, not of heads", GroupedQueryAttention, "backward",
    'cache["output"]), H).reshape', 'cache["output"]), H_kv).reshape', GROUP)
bug("keys' gradients averaged over the group", GroupedQueryAttention, "backward",
    "merge_heads(dk)", "merge_heads(dk) * H_kv / H", GROUP)
bug("queries' gradients taken apart by position, not by head", GroupedQueryAttention, "backward",
    "dq.reshape(B, H, T, d)", "dq.reshape(B, T, H, d).swapaxes(1, 2)", GROUP)
bug("values' gradients averaged over the group", GroupedQueryAttention, "backward",
    "merge_heads(dv)", "merge_heads(dv) * H_kv / H", GROUP)
bug("gradient through a group's values forgotten", GroupedQueryAttention, "backward",
    "dx = self.value.backward", "dx = 0.0 * self.value.backward", GROUP)
bug("gradient through a group's keys forgotten", GroupedQueryAttention, "backward",
    "dx = dx + self.key.backward", "self.key.backward", GROUP)
bug("keys' gradients not turned back", GroupedQueryAttention, "backward",
    'dk = self.rotate_backward(dk, cache["key_rotary"])', "pass", GROUP)
bug("queries' gradients not turned back", GroupedQueryAttention, "backward",
    'self.rotate_backward(dq.reshape(B, H, T, d), cache["query_rotary"])', "dq.reshape(B, H, T, d)", GROUP)

# ---- decoding: new positions alone, and the state that holds those before

STEPS = "what new positions give with a state is what forward gives for all"
TEXTS = "T5, GPT and Llama decode with a state what their forward gives"
ROWS = "chosen rows of a decoding state are those of everything in it, and it goes on with them"

bug("rotary positions begin again at every call", Rotary, "forward",
    "cos[start:end], sin[start:end]", "cos[: end - start], sin[: end - start]", STEPS)
bug("keys' rotary positions begin again at every call", GroupedQueryAttention, "forward",
    "self.rotate(k, start)", "self.rotate(k, 0)", STEPS)
bug("queries' rotary positions begin again at every call", GroupedQueryAttention, "forward",
    "self.rotate(q, start)", "self.rotate(q, 0)", STEPS)
bug("context of a group taken apart by position, not by head", GroupedQueryAttention, "forward",
    "context.reshape(B, H, T, d)", "context.reshape(B, T, H, d).swapaxes(1, 2)", STEPS)
bug("heads and positions of a group mixed up", GroupedQueryAttention, "forward",
    "q.reshape(B, H_kv, G * T, d)", "q.swapaxes(1, 2).reshape(B, H_kv, G * T, d)", STEPS)
bug("a prompt sees what comes after it, in groups", GroupedQueryAttention, "forward",
    "mask_of_groups(mask, G)", "mask_of_groups(mask if state is None else None, G)", STEPS)
bug("a group's mask repeated row by row", grouped_query, "mask_of_groups",
    "np.concatenate([mask] * G, axis=-2)", "np.repeat(mask, G, axis=-2)", STEPS)
bug("keys kept before they are turned", GroupedQueryAttention, "forward",
    'k, key_rotary_cache = self.rotate(k, start)\nif state is not None:\n'
    '    k, v = state.append("k", k), state.append("v", v)',
    'if state is not None:\n    k, v = state.append("k", k), state.append("v", v)\n'
    "k, key_rotary_cache = self.rotate(k, start)", STEPS)
bug("a group's keys of the newest positions alone", GroupedQueryAttention, "forward",
    "k, v = state.append", "state.append", STEPS)
bug("a prompt sees what comes after it", SelfAttention, "forward",
    "cache, mask, rng", "cache, mask if state is None else None, rng", STEPS)
bug("new positions see the first ones alone", masks, "causal_mask", "length - new,", "0,", STEPS)
bug("keys of the newest positions alone", SelfAttention, "forward", "k, v = state.append", "state.append", STEPS)
bug("all blocks of an encoder keep one state", Encoder, "forward",
    "substate(state, i)", "substate(state, 0)", TEXTS)
bug("an encoder block forgets its state", EncoderBlock, "forward",
    ', state=substate(state, "attention")', "", TEXTS)
bug("sinusoids begin again at every call", SinusoidalPositions, "forward",
    "table[start : start + T]", "table[:T]", STEPS)
bug("learned positions begin again at every call", LearnedPositions, "forward",
    "self.weight.value[start:end]", "self.weight.value[:T]", STEPS)
bug("positions counted once a call", DecodingState, "advance", "before + n", "before + 1", STEPS)
bug("kept keys lost when the buffer grows", GrowingBuffer, "append",
    "longer[:, :, : self.length] = self.value", "longer[...] = 0.0", STEPS)
bug("new keys last first", GrowingBuffer, "append",
    "self.buffer[:, :, self.length : end] = new", "self.buffer[:, :, self.length : end] = new[:, :, ::-1]",
    STEPS)
bug("kept keys with the rest of their buffer", GrowingBuffer, "append", "return self.value", "return self.buffer",
    STEPS)
bug("every call begins anew under the name", DecodingState, "append", "if name not in self:", "if True:", STEPS)
bug("rows chosen of the outermost state alone", decoding_state, "_select",
    "return value.select(rows)", "return value", ROWS)
bug("the buffer's rows not chosen", decoding_state, "_select", "value.value[rows]", "value.value[: len(rows)]", ROWS)
bug("chosen rows of a buffer with what it has not filled", decoding_state, "_select",
    "value.value[rows]", "value.buffer[rows]", ROWS)
bug("a tuple's rows not chosen", decoding_state, "_select", "_select(item, rows) for item", "item for item", ROWS)
bug("chosen arrays keep their rows", decoding_state, "_select",
    "value[rows] if isinstance(value, np.ndarray) else value", "value", ROWS)
