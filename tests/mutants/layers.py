"""The list of bugs in layers, masks and loss that the checks must catch."""

from __future__ import annotations

from minitransformer.layers import (
    GELU,
    CrossEntropy,
    Decoder,
    DecoderBlock,
    Dense,
    Dropout,
    Embedding,
    Encoder,
    EncoderBlock,
    FeedForward,
    InputEmbedding,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    ReLU,
    Residual,
    ScaledDotProductAttention,
    SelfAttention,
    Softmax,
    Unembedding,
    attention,
    masks,
    positions,
)

from .injection import bug, bugs

BY_DEFINITION = "attention is what its definition says, head by head"
CAUSAL = "with the causal mask a later token changes nothing before it, and every token sees itself and all before it"
PADDING = "padding is invisible, and nothing else is"
MASKED_ROWS = "a query that may attend to nothing gets exactly zero, forward and backward"
LARGE = "scores of +-1e4 in float32 stay finite and rows sum to one"
LOSS = "the loss is the mean over what is not padding, by definition"
SHARES = "the losses and gradients of a batch's shares add up to the batch's"
DROPOUT = "dropout drops the share it says, keeps the mean, and does nothing in evaluation"
SINUSOIDS = "sinusoids are what their formula says, number by number"
TIED = "Chain of an embedding tied to its unembedding"
SHARED_LOSS = "CrossEntropy with the normalizer of a larger batch"


# fmt: off

# ---- linear maps

bug("weight gradient with the wrong sign", Linear, "backward",
    "self.weight.grad += x.", "self.weight.grad -= x.", "Linear", "sign")
bug("weight gradient divided by the batch", Linear, "backward",
    ".T @ d_rows", ".T @ d_rows / dy.shape[0]", "Linear", "1/x.shape[0]")
bug("weight gradient divided by all positions", Linear, "backward",
    ".T @ d_rows", ".T @ d_rows / len(d_rows)", "Linear", "1/all positions of x")
bug("weight gradient times the number of tokens", Linear, "backward",
    ".T @ d_rows", ".T @ d_rows * dy.shape[1]", "Linear", "x.shape[1]")
bug("weight gradient assigned", Linear, "backward",
    "self.weight.grad += x", "self.weight.grad = x", "Linear", "assigned")
bug("weight gradient assigned in a layer that is used twice", Linear, "backward",
    "self.weight.grad += x", "self.weight.grad = x", "Chain of one layer used twice", "every use adds")
bug("weight gradient transposed", Linear, "backward",
    "x.reshape(-1, self.d_in).T @ d_rows", "d_rows.T @ x.reshape(-1, self.d_in)", "Linear square", "transpose")
bug("weight gradient transposed and reshaped until it fits", Linear, "backward",
    "x.reshape(-1, self.d_in).T @ d_rows", "(d_rows.T @ x.reshape(-1, self.d_in)).reshape(self.d_in, self.d_out)",
    "Linear", "transpose")
bug("weight gradient of the first sentence alone", Linear, "backward",
    "x.reshape(-1, self.d_in).T @ d_rows", "x[0].T @ dy[0]", "Linear")
bug("weight gradient forgotten", Linear, "backward",
    "self.weight.grad += x.reshape(-1, self.d_in).T @ d_rows", "pass", "Linear", "never adds")
bug("input gradient with the weight not transposed", Linear, "backward",
    "@ self.weight.value.T", "@ self.weight.value", "Linear square")
bug("input gradient with the weight not transposed, of another width", Linear, "backward",
    "@ self.weight.value.T", "@ self.weight.value", "Linear", "raised ValueError")
bug("input gradient zero", Linear, "backward",
    "return dx.reshape(x.shape)", "return 0.0 * dx.reshape(x.shape)", "Linear", "zeros")
bug("input gradient left as rows", Linear, "backward",
    "return dx.reshape(x.shape)", "return dx", "Linear", "a reshape is missing")
bug("input gradient reshaped where it must be transposed", Linear, "backward",
    "return dx.reshape(x.shape)", "return dx.reshape(x.shape[::-1]).T", "Linear", "reshape")
bug("upstream gradient changed in place", Linear, "backward",
    "d_rows = dy.reshape(-1, self.d_out)", "d_rows = dy.reshape(-1, self.d_out)\nd_rows *= 0.5", "Linear",
    "backward changed the upstream gradient in place")
bug("input changed in place", Linear, "forward",
    "y = flatten_tokens(x)", "x -= x.mean()\ny = flatten_tokens(x)", "Linear",
    "forward changed x in place")
bug("input kept on the layer", Linear, "forward",
    "y = flatten_tokens(x)", "self.x = x\ny = flatten_tokens(x)", "Linear", "belongs in the cache")
bugs("input kept on the layer, and read from there",
    [(Linear, "forward", "y = flatten_tokens(x)", "self.x = x\ny = flatten_tokens(x)"),
     (Linear, "backward", 'x = cache["x"]', "x = self.x")],
    "Linear", "kept on the layer")
bug("backward returns a tuple of one", Linear, "backward",
    "return dx.reshape(x.shape)", "return (dx.reshape(x.shape),)", "Linear", "must return one array")
bug("backward returns nothing", Linear, "backward",
    "return dx.reshape(x.shape)", "pass", "Linear", "returned nothing")
bug("computed in float64", Linear, "forward",
    "flatten_tokens(x)", "flatten_tokens(x).astype(np.result_type(x, np.float64))", "Linear", "dtype change")
bug("bias gradient averaged over the rows", Dense, "backward",
    "column_sum(dy)", "column_sum(dy) / (dy.size / dy.shape[-1])", "Dense", "1/all positions of x")
bug("bias gradient summed over the sentences of the first position only", Dense, "backward",
    "column_sum(dy)", "dy[:, 0].sum(axis=0)", "Dense")
bug("bias gradient forgotten", Dense, "backward",
    "self.bias.grad += column_sum(dy)", "pass", "Dense", "never adds")
bug("bias gradient assigned", Dense, "backward",
    "self.bias.grad +=", "self.bias.grad =", "Dense", "assigned")
bug("bias gradient a number", Dense, "backward",
    "column_sum(dy)", "dy.sum()", "Dense", "the same number")
bug("bias gradient subtracted", Dense, "backward",
    "self.bias.grad +=", "self.bias.grad -=", "Dense", "sign")

# ---- activations

bug("ReLU masked by the gradient's sign", ReLU, "backward",
    "(y > 0)", "(dy > 0)", "ReLU")
bug("ReLU with at least in place of above", ReLU, "backward",
    "(y > 0)", "(y >= 0)", "ReLU")
bug("ReLU passed straight through", ReLU, "backward",
    "return dy * (y > 0)", "return dy", "ReLU")
bug("ReLU multiplied by its output", ReLU, "backward",
    "(y > 0)", "y", "ReLU")
bug("GELU without the 3 of the cube", GELU, "backward",
    "3.0 * self.cubic", "self.cubic", "GELU")
bug("GELU without half of the product rule", GELU, "backward",
    "1.0 + t + x * dt_du", "x * dt_du", "GELU")
bug("GELU with 1 - t in place of 1 - t^2", GELU, "backward",
    "1.0 - t * t", "1.0 - t", "GELU")
bug("GELU with a square in place of the cube", GELU, "forward",
    "u = x * x", "u = 1.0 * x", "GELU")
bug("GELU by the logistic approximation", GELU, "forward",
    "t = np.tanh(u)", "t = 2.0 / (1.0 + np.exp(-1.702 * x)) - 1.0",
    "activations are what their formulas say, number by number")

# ---- softmax

bug("softmax divided by the batch", Softmax, "backward",
    "return y * (dy", "return y / len(y) * (dy", "Softmax", "1/x.shape[0]")
bug("softmax without the sum over the row", Softmax, "backward",
    "(dy - row_sum(dy * y))", "dy", "Softmax")
bug("softmax with the sum of the upstream gradient alone", Softmax, "backward",
    "row_sum(dy * y)", "row_sum(dy)", "Softmax")
bug("softmax with its sum over the wrong axis", Softmax, "backward",
    "row_sum(dy * y)", "(dy * y).sum(axis=0, keepdims=True)", "Softmax")
bug("softmax as if each number were a logistic", Softmax, "backward",
    "(dy - row_sum(dy * y))", "dy * (1.0 - y)", "Softmax")
bug("softmax adds where it subtracts", Softmax, "backward",
    "dy - row_sum", "dy + row_sum", "Softmax")
bug("softmax writes into its cache", Softmax, "backward",
    "return y * (dy - row_sum(dy * y))", "dy = dy - row_sum(dy * y)\ny *= dy\nreturn y", "Softmax",
    "backward changed cache['y'] in place")
bug("softmax without the shift by the maximum", Softmax, "forward",
    "np.exp(x - np.maximum(row_max(x.real), LOWEST))", "np.exp(x)", LARGE)
bug("softmax shifted by the maximum of all rows", Softmax, "forward",
    "row_max(x.real)", "x.real.max(keepdims=True)", LARGE)
bug("softmax over the wrong axis", Softmax, "forward",
    "row_sum(y)", "y.sum(axis=-2, keepdims=True)", "softmax is what its definition says, row by row")
bug("softmax of a wholly masked row is NaN", Softmax, "forward",
    "np.maximum(row_sum(y), 0.5)", "row_sum(y)", MASKED_ROWS)
bug("softmax of a wholly masked row: -inf - -inf", Softmax, "forward",
    "np.maximum(row_max(x.real), LOWEST)", "row_max(x.real)", MASKED_ROWS)

# ---- layer normalization

bugs("gain factored out of the sums",
    [(LayerNorm, "backward", "d_x_hat = d_rows * self.gain.value", "d_x_hat = d_rows"),
     (LayerNorm, "backward", "* inv_std", "* inv_std * self.gain.value")],
    "LayerNorm", "right only while gain is all ones")
bug("gain missing from the second sum", LayerNorm, "backward",
    "token_mean(d_x_hat * x_hat)", "token_mean(d_rows * x_hat)", "LayerNorm", "right only while gain is all ones")
bug("mean's dependence on x forgotten", LayerNorm, "backward",
    "d_x_hat - token_mean(d_x_hat)", "d_x_hat", "LayerNorm", "all along the last axis")
bug("variance's dependence on x forgotten", LayerNorm, "backward",
    " - x_hat * token_mean(d_x_hat * x_hat)", "", "LayerNorm")
bug("both dependences forgotten", LayerNorm, "backward",
    "(d_x_hat - token_mean(d_x_hat) - x_hat * token_mean(d_x_hat * x_hat))", "d_x_hat", "LayerNorm")
bug("variance's term added", LayerNorm, "backward",
    "- x_hat * token_mean", "+ x_hat * token_mean", "LayerNorm")
bug("standard deviation forgotten", LayerNorm, "backward",
    " * inv_std", "", "LayerNorm")
bug("divided by the variance", LayerNorm, "backward",
    "* inv_std", "* inv_std * inv_std", "LayerNorm")
bug("gain's gradient is the bias's", LayerNorm, "backward",
    "column_sum(d_rows * x_hat)", "column_sum(d_rows)", "LayerNorm", "wanted gradient of bias")
bug("gain's gradient after its product with the gain", LayerNorm, "backward",
    "column_sum(d_rows * x_hat)", "column_sum(d_rows * x_hat * self.gain.value)", "LayerNorm", "wanted times gain")
bug("norm's bias gradient forgotten", LayerNorm, "backward",
    "self.bias.grad += column_sum(d_rows)", "pass", "LayerNorm", "never adds")
bug("gain's gradient assigned", LayerNorm, "backward",
    "self.gain.grad +=", "self.gain.grad =", "LayerNorm", "assigned")
bug("normalized input overwritten in the cache", LayerNorm, "backward",
    "x_hat * token_mean(d_x_hat * x_hat)", "np.multiply(x_hat, token_mean(d_x_hat * x_hat), out=x_hat)", "LayerNorm",
    "changed cache['x_hat'] in place")
bug("eps outside the root", LayerNorm, "forward",
    "np.sqrt(token_mean(x_hat * x_hat) + self.eps)", "(np.sqrt(token_mean(x_hat * x_hat)) + self.eps)",
    "layer normalization is what its definition says, vector by vector")
bug("variance over D - 1", LayerNorm, "forward",
    "token_mean(x_hat * x_hat)", "token_mean(x_hat * x_hat) * (self.d_model / (self.d_model - 1))",
    "layer normalization is what its definition says, vector by vector")
bug("standard deviation detached from the gradient's graph", LayerNorm, "forward",
    "x_hat * x_hat)", "(x_hat * x_hat).real)", "LayerNorm", "central differences agree")

# ---- dropout

bug("dropout's backward forgets the mask", Dropout, "backward",
    'return dy * cache["keep"] if "keep" in cache else dy', "return dy", "Dropout", "right without dropout")
bug("dropout's backward forgets the scale", Dropout, "backward",
    'dy * cache["keep"]', 'dy * (cache["keep"] > 0)', "Dropout", "got / wanted")
bug("dropout's backward scales twice", Dropout, "backward",
    'dy * cache["keep"]', 'dy * cache["keep"] ** 2', "Dropout", "got / wanted")
bug("dropout's backward draws another mask", Dropout, "backward",
    'cache["keep"] if', 'np.roll(cache["keep"], 1) if', "Dropout")
bugs("dropout's mask kept on the layer",
    [(Dropout, "forward", "return x * scaled_keep", "self.keep = scaled_keep\nreturn x * scaled_keep"),
     (Dropout, "backward", 'dy * cache["keep"]', "dy * self.keep")],
    "Dropout", "kept on the layer")
bug("dropout does not scale up", Dropout, "forward",
    "(65536 / (65536 - dropped))", "(1)", DROPOUT)
bug("dropout scales down", Dropout, "forward",
    "65536 / (65536 - dropped)", "(65536 - dropped) / 65536", DROPOUT)
bug("dropout keeps what it should drop", Dropout, "forward",
    ">= dropped", "< dropped", DROPOUT)
bug("dropout goes on in evaluation", Dropout, "forward",
    "if rng is None or self.p == 0.0:\n    return x, Cache(shape=x.shape)",
    "rng = rng or np.random.default_rng(0)", DROPOUT)
bug("one dropout mask for the whole batch", Dropout, "forward",
    "65536, x.shape,", "65536, x.shape[1:],", DROPOUT)
bug("dropout's mask in float64", Dropout, "forward",
    "x.real.dtype.type(", "np.float64(", "Dropout", "dtype change")

# ---- embeddings

bug("embedding assigns rows: G[ids] = dy", Embedding, "backward",
    "np.add.at(d_weight, flat_ids.reshape(-1), dy.reshape(-1))", "d_weight[flat_ids.reshape(-1)] = dy.reshape(-1)",
    "Embedding", "id repeats")
bug("embedding adds once an id: G[ids] += dy", Embedding, "backward",
    "np.add.at(d_weight, flat_ids.reshape(-1), dy.reshape(-1))", "d_weight[flat_ids.reshape(-1)] += dy.reshape(-1)",
    "Embedding", "id repeats")
bug("embedding averages over repeated ids", Embedding, "backward",
    "self.weight.grad += d_weight.reshape(V, D)",
    'counts = np.maximum(np.bincount(cache["ids"].reshape(-1), minlength=V), 1)\n'
    "self.weight.grad += d_weight.reshape(V, D) / counts[:, None]",
    "Embedding", "id repeats")
bug("embedding's backward forgets its scale", Embedding, "backward",
    "if self.scale != 1.0:\n    d_weight *= self.scale", "pass", "Embedding", "1/scale")
bug("embedding's backward scales twice", Embedding, "backward",
    "d_weight *= self.scale", "d_weight *= self.scale * self.scale", "Embedding", "scale")
bug("embedding's gradient assigned", Embedding, "backward",
    "self.weight.grad += d_weight", "self.weight.grad = d_weight", "Embedding", "assigned")
bug("embedding's gradient assigned over the unembedding's", Embedding, "backward",
    "self.weight.grad += d_weight", "self.weight.grad = d_weight", TIED, "gradient of tokens alone")
bug("embedding's ids shifted by one", Embedding, "backward",
    "self.weight.grad += d_weight.reshape(V, D)", "self.weight.grad += np.roll(d_weight.reshape(V, D), 1, axis=0)",
    "Embedding", "shifted by one along axis 0")
bug("embedding's gradient reshaped as its transpose", Embedding, "backward",
    "d_weight.reshape(V, D)", "d_weight.reshape(D, V).T", "Embedding", "reshape")
bug("embedding returns a gradient of its ids", Embedding, "backward",
    "self.weight.grad += d_weight.reshape(V, D)", "self.weight.grad += d_weight.reshape(V, D)\nreturn dy",
    "Embedding", "must return None")
bug("embedding forgets its scale in forward", Embedding, "forward",
    "if self.scale != 1.0:\n    y *= self.scale", "pass", "Embedding", "scale")
bug("unembedding adds nothing to the tied weight", Unembedding, "backward",
    "self.weight.grad += d_rows.T @ x.reshape(-1, D)", "pass", TIED, "gradient of tokens alone")
bug("unembedding's gradient assigned", Unembedding, "backward",
    "self.weight.grad +=", "self.weight.grad =", "Unembedding", "assigned")
bug("unembedding's input gradient without scale", Unembedding, "backward",
    "return dx * self.scale if self.scale != 1.0 else dx", "return dx", "Unembedding", "1/scale")
bug("unembedding's weight gradient scaled twice", Unembedding, "backward",
    "@ x.reshape(-1, D)", "@ x.reshape(-1, D) * self.scale", "Unembedding", "scale")
bug("unembedding's weight gradient transposed and reshaped", Unembedding, "backward",
    "d_rows.T @ x.reshape(-1, D)", "(x.reshape(-1, D).T @ d_rows).reshape(V, D)", "Unembedding", "transpose")

INPUT = "InputEmbedding with learned positions and dropout"
SUM = "an input embedding adds the position's vector to the id's, and drops from their sum"
bug("input embedding's dropout forgotten in backward", InputEmbedding, "backward",
    'self.dropout.backward(dy, cache["dropout"])', "dy", INPUT, "right without dropout")
bug("input embedding's positions get no gradient", InputEmbedding, "backward",
    'dx = self.positions.backward(dx, cache["positions"])', "pass", INPUT, "never adds")
bug("input embedding's positions get the gradient before dropout", InputEmbedding, "backward",
    "self.positions.backward(dx", "self.positions.backward(dy", INPUT, "right without dropout")
bug("input embedding's ids get no gradient", InputEmbedding, "backward",
    'self.tokens.backward(dx, cache["tokens"])', "pass", INPUT, "never adds")
bug("input embedding's dropout forgotten", InputEmbedding, "forward",
    "self.dropout.forward(x, rng=rng)", "self.dropout.forward(x)", SUM)
bug("input embedding drops from the ids' vectors alone", InputEmbedding, "forward",
    "x, tokens_cache = self.tokens.forward(ids)",
    "x, tokens_cache = self.tokens.forward(ids)\nx, _ = self.dropout.forward(x, rng=rng)\nrng = None", SUM)
bug("input embedding does not hand on where it begins", InputEmbedding, "forward", "start=start", "start=0", SUM)

# ---- positions

bug("learned positions average over the batch", LearnedPositions, "backward",
    "dy.sum(axis=0)", "dy.mean(axis=0)", "LearnedPositions", "1/x.shape[0]")
bug("learned positions of the first sentence alone", LearnedPositions, "backward",
    "dy.sum(axis=0)", "dy[0]", "LearnedPositions")
bug("learned positions assigned", LearnedPositions, "backward",
    "+= dy.sum", "= dy.sum", "LearnedPositions", "assigned")
bug("learned positions counted from the end", LearnedPositions, "backward",
    "[start : start + T]", "[-T:]", "LearnedPositions")
bug("learned positions off by one", LearnedPositions, "backward",
    "[start : start + T]", "[start + 1 : start + T + 1]", "LearnedPositions", "shifted by one along axis 0")
bug("sinusoids with n frequencies in place of n/2", positions, "sinusoids",
    "np.arange(0, d_model, 2) / d_model", "np.arange(0, d_model, 2) / (2 * d_model)", SINUSOIDS)
bug("sinusoids with base 1000", positions, "sinusoids",
    "10000.0", "1000.0", SINUSOIDS)
bug("sine and cosine exchanged", positions, "sinusoids",
    "np.sin(angle)", "np.cos(angle)", SINUSOIDS)
bug("sinusoids in halves, not in pairs", positions, "sinusoids",
    "table[:, 0::2] = np.sin(angle)\ntable[:, 1::2] = np.cos(angle)",
    "table[:] = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)", SINUSOIDS)
bug("positions counted from one", positions, "sinusoids",
    "np.arange(length)[:, None]", "np.arange(1, length + 1)[:, None]", SINUSOIDS)

# ---- attention

ATTENTION = "ScaledDotProductAttention"
bug("dV with the undropped weights", ScaledDotProductAttention, "backward",
    'cache["dropped"]', 'cache["weights"]', ATTENTION, "right without dropout")
bug("dropout of the weights forgotten in backward", ScaledDotProductAttention, "backward",
    'self.dropout.backward(d_dropped, cache["dropout"])', "d_dropped * 1.0", ATTENTION, "right without dropout")
bug("scale forgotten in backward", ScaledDotProductAttention, "backward",
    "self.scale_for(q)", "1.0", ATTENTION, "sqrt(q.shape[3])")
bug("scale forgotten in dk", ScaledDotProductAttention, "backward",
    "q * scale", "q", ATTENTION, "sqrt(q.shape[3])")
bug("scale forgotten in dq", ScaledDotProductAttention, "backward",
    "matmul_heads(d_scores, k) * scale", "matmul_heads(d_scores, k)", ATTENTION, "sqrt(q.shape[3])")
bug("scale applied twice to dk", ScaledDotProductAttention, "backward",
    "q * scale", "q * scale * scale", ATTENTION, "1/sqrt(q.shape[3])")
bug("divided by d in place of its root in backward", ScaledDotProductAttention, "backward",
    "self.scale_for(q)", "self.scale_for(q) ** 2", ATTENTION, "1/sqrt(q.shape[3])")
bug("dK computed as Q^T dS and reshaped", ScaledDotProductAttention, "backward",
    "dk = matmul_heads(d_scores.swapaxes(-1, -2), q * scale)",
    "dk = np.matmul((q * scale).swapaxes(-1, -2), d_scores).reshape(k.shape)", ATTENTION, "transpose")
bug("softmax's backward skipped", ScaledDotProductAttention, "backward",
    'self.softmax.backward(d_weights, cache["softmax"])', 'd_weights * cache["weights"]', ATTENTION)
bug("dk and dv exchanged", ScaledDotProductAttention, "backward",
    "return dq, dk, dv", "return dq, dv, dk", ATTENTION, "wanted gradient of v")
bug("two gradients in place of three", ScaledDotProductAttention, "backward",
    "return dq, dk, dv", "return dq, dk", ATTENTION, "2 gradients")
bug("dq from q", ScaledDotProductAttention, "backward",
    "dq = matmul_heads(d_scores, k)", "dq = matmul_heads(d_scores, v)", ATTENTION)
bug("dropout before the softmax is undone", ScaledDotProductAttention, "forward",
    "context = matmul_heads(dropped, v)", "context = matmul_heads(weights, v)", ATTENTION)
bug("scores unscaled", ScaledDotProductAttention, "scale_for",
    "q.shape[-1] ** -0.5", "1.0", BY_DEFINITION)
bug("scores divided by sqrt(D), not sqrt(d)", ScaledDotProductAttention, "scale_for",
    "q.shape[-1] ** -0.5", "(q.shape[-1] * q.shape[1]) ** -0.5", BY_DEFINITION)
bug("mask forgotten", ScaledDotProductAttention, "forward",
    "if mask is not None:", "if False:", CAUSAL)
bug("mask multiplied after the softmax", ScaledDotProductAttention, "forward",
    "scores += additive(mask, scores.real.dtype)", "scores *= mask", BY_DEFINITION)
bug("mask inverted", attention, "additive",
    "np.where(mask, zero, minus_infinity)", "np.where(mask, minus_infinity, zero)", BY_DEFINITION)
bug("-1e9 in place of -inf", attention, "additive",
    "-np.inf", "-1e9", MASKED_ROWS)
bug("-1e4 in place of -inf", attention, "additive",
    "-np.inf", "-20.0", CAUSAL)
bug("heads split by a reshape alone", attention, "split_heads",
    "x.reshape(B, T, n_heads, D // n_heads).swapaxes(1, 2)", "x.reshape(B, n_heads, T, D // n_heads)",
    "MultiHeadAttention")
bug("heads merged by a reshape alone", attention, "merge_heads",
    "x.swapaxes(1, 2).reshape(B, T, H * d)", "x.reshape(B, T, H * d)", "MultiHeadAttention")
bugs("heads split and merged by a reshape alone",
    [(attention, "split_heads", "x.reshape(B, T, n_heads, D // n_heads).swapaxes(1, 2)",
      "x.reshape(B, n_heads, T, D // n_heads)"),
     (attention, "merge_heads", "x.swapaxes(1, 2).reshape(B, T, H * d)", "x.reshape(B, T, H * d)")],
    BY_DEFINITION)
bugs("heads interleaved",
    [(attention, "split_heads", "x.reshape(B, T, n_heads, D // n_heads).swapaxes(1, 2)",
      "x.reshape(B, T, D // n_heads, n_heads).transpose(0, 3, 1, 2)"),
     (attention, "merge_heads", "x.swapaxes(1, 2).reshape(B, T, H * d)",
      "x.transpose(0, 2, 3, 1).reshape(B, T, H * d)")],
    BY_DEFINITION)
bug("memory's gradient through the keys forgotten", MultiHeadAttention, "backward",
    "d_memory = d_memory + self.key", "self.key", "MultiHeadAttention")
bug("memory's gradient through the values forgotten", MultiHeadAttention, "backward",
    "d_memory = d_memory + self.key", "d_memory = self.key", "MultiHeadAttention")
bug("x and memory exchanged in backward", MultiHeadAttention, "backward",
    "return dx, d_memory", "return d_memory, dx", "MultiHeadAttention", "shape")
bug("query and key caches exchanged", MultiHeadAttention, "attend",
    "query=query_cache,", 'query=cache["key"],\nkey=query_cache,', "MultiHeadAttention")
bug("output projection skipped in backward", MultiHeadAttention, "backward",
    'self.output.backward(dy, cache["output"])', "dy", "MultiHeadAttention", "never adds")
bug("queries, keys and values from the memory", MultiHeadAttention, "forward",
    "self.attend(x,", "self.attend(memory[:, : x.shape[1]],", BY_DEFINITION)
bug("keys and values exchanged", MultiHeadAttention, "keys_and_values",
    "k, key_cache = self.key.forward(memory)\nv, value_cache = self.value.forward(memory)",
    "v, key_cache = self.key.forward(memory)\nk, value_cache = self.value.forward(memory)", BY_DEFINITION)
bug("self-attention forgets that x is the memory too", SelfAttention, "backward",
    "return dx + d_memory", "return dx", "SelfAttention")
bug("self-attention counts the memory twice", SelfAttention, "backward",
    "return dx + d_memory", "return dx + 2.0 * d_memory", "SelfAttention")
bug("self-attention takes the mean of its two gradients", SelfAttention, "backward",
    "return dx + d_memory", "return 0.5 * (dx + d_memory)", "SelfAttention", "1/")

# ---- feed-forward, residuals, blocks, stacks

bug("feed-forward forgets its dropout in backward", FeedForward, "backward",
    'self.dropout.backward(d_dropped, cache["dropout"])', "d_dropped", "FeedForward", "right without dropout")
bug("feed-forward forgets its activation in backward", FeedForward, "backward",
    'self.activation.backward(d_activated, cache["activation"])', "d_activated", "FeedForward")
bug("residual path forgotten", Residual, "backward",
    "add_to_first(dy, self.sublayer.backward(dfx, cache))", "self.sublayer.backward(dfx, cache)", "Residual",
    "lacks exactly the upstream gradient")
bug("residual path counted twice", Residual, "backward",
    "add_to_first(dy,", "add_to_first(2.0 * dy,", "Residual", "the upstream gradient once too often")
bug("residual dropout forgotten in backward", Residual, "backward",
    'self.residual_dropout.backward(dy, cache["residual_dropout"])', "dy", "Residual", "right without dropout")
bug("dropout applied to the residual path in backward", Residual, "backward",
    "add_to_first(dy,", "add_to_first(dfx,", "Residual", "right without dropout")
bug("residual adds the gradient to the memory's too", Residual, "backward",
    "return add_to_first(dy, self.sublayer.backward(dfx, cache))",
    "return tuple(dy.mean() + d for d in self.sublayer.backward(dfx, cache))",
    "Residual around attention to a memory")
bug("residual forgets to add in forward", Residual, "forward",
    "x + dropped", "1.0 * dropped", "Residual", "the upstream gradient once too often")
bug("pre-norm's residual path forgotten", PreNorm, "backward",
    "dy + self.norm", "self.norm", "PreNorm", "lacks exactly the upstream gradient")
bug("pre-norm's norm skipped in backward", PreNorm, "backward",
    'self.norm.backward(dh, cache["norm"])', "dh", "PreNorm", "never adds")
bug("pre-norm loses the memory's gradient", PreNorm, "backward",
    "return (dx, *d_others) if d_others else dx", "return dx", "PreNorm around attention to a memory",
    "must return a tuple of 2")
bug("pre-norm adds the normed x", PreNorm, "forward",
    "x + dropped", "h + dropped", "PreNorm")
bug("post-norm's norm skipped in backward", PostNorm, "backward",
    'self.norm.backward(dy, cache["norm"])', "dy", "PostNorm", "never adds")
bug("post-norm's gradient passes by the norm", PostNorm, "backward",
    "super().backward(d_total, cache)", "super().backward(d_total, cache) + dy", "PostNorm",
    "the upstream gradient once too often")
bug("encoder block skips its feed-forward in backward", EncoderBlock, "backward",
    'self.feed_forward.backward(dy, cache["feed_forward"])', "dy", "EncoderBlock", "never adds")
bug("decoder block gives the wrong gradient to self-attention", DecoderBlock, "backward",
    "self.attention.backward(dh,", "self.attention.backward(dg,", "DecoderBlock")
bug("decoder block's self-attention without its mask", DecoderBlock, "forward",
    "self.attention.forward(x, mask,", "self.attention.forward(x, None,",
    "the blocks of a decoder use each its own mask")
bug("encoder runs its blocks forward in backward", Encoder, "backward",
    'zip(reversed(self.blocks), reversed(cache["blocks"]))', 'zip(self.blocks, cache["blocks"])', "Encoder")
bug("encoder's caches in the wrong order", Encoder, "backward",
    'reversed(cache["blocks"])', 'cache["blocks"]', "Encoder")
bug("encoder's last norm skipped in backward", Encoder, "backward",
    'self.norm.backward(dy, cache["norm"])', "dy", "Encoder", "never adds")
bug("memory's gradient from the last visited block only", Decoder, "backward",
    "d_memory += d_memory_of_block", "d_memory = d_memory_of_block", "Decoder")
bug("memory's gradient averaged over the blocks", Decoder, "backward",
    "return dx, d_memory", "return dx, d_memory / len(self.blocks)", "Decoder", "1/")

# ---- loss

bug("loss averaged over tokens forward and sentences backward", CrossEntropy, "backward",
    'cache["normalizer"]', "shape[0]", "CrossEntropy", "got / wanted")
bug("loss not averaged in backward", CrossEntropy, "backward",
    'float(d_loss) / cache["normalizer"]', "float(d_loss)", "CrossEntropy", "nonzero ids of targets")
bug("upstream gradient of the loss ignored", CrossEntropy, "backward",
    "float(d_loss)", "1.0", "CrossEntropy", "the upstream gradient")
bug("given normalizer ignored in backward", CrossEntropy, "backward",
    'cache["normalizer"]', "len(truth)", SHARED_LOSS, "got / wanted")
bug("label smoothing forgotten in backward", CrossEntropy, "backward",
    "d_rows -= e / V", "pass", "CrossEntropy")
bug("label smoothing forgotten at the target", CrossEntropy, "backward",
    "-= 1.0 - e", "-= 1.0", "CrossEntropy")
bug("loss's gradient with the wrong sign", CrossEntropy, "backward",
    "d_rows *= float", "d_rows *= -float", "CrossEntropy", "sign")
bug("log-probabilities overwritten in the cache", CrossEntropy, "backward",
    "np.exp(log_p)", "np.exp(log_p, out=log_p)", "CrossEntropy", "changed cache['log_p'] in place")
bug("logits overwritten", CrossEntropy, "forward",
    "rows = logits.reshape(-1, V)[counted]",
    "rows = logits.reshape(-1, V)\nrows -= row_max(rows.real)\nrows = rows[counted]",
    "CrossEntropy", "in place")
bug("padding gets a gradient", CrossEntropy, "backward",
    "np.zeros((int(np.prod(shape)), V), d_rows.dtype)", "np.full((int(np.prod(shape)), V), 1e-3, d_rows.dtype)",
    "CrossEntropy")
bug("targets found by value", CrossEntropy, "backward",
    "d_rows[np.arange(len(truth)), truth] -=", "d_rows[:, truth] -=", "CrossEntropy")
bug("gradients of the first rows, whichever count", CrossEntropy, "backward",
    "d_rows[counted]", "d_rows[: len(counted)]", "CrossEntropy")
bugs("padding in the denominator",
    [(CrossEntropy, "forward", "N = len(counted) if", "N = targets.size if")],
    LOSS)
bugs("padding counted",
    [(CrossEntropy, "forward", "targets.reshape(-1) != self.pad", "targets.reshape(-1) >= 0")],
    LOSS)
bug("targets shifted by one", CrossEntropy, "forward",
    "truth, e = targets.reshape(-1)[counted]", "truth, e = np.roll(targets.reshape(-1), 1)[counted]", LOSS)
bug("label smoothing spread over all but one id", CrossEntropy, "forward",
    "(e / V) * row_sum", "(e / (V - 1)) * row_sum", LOSS)
bug("loss summed, not averaged", CrossEntropy, "forward",
    ".sum() / N", ".sum()", LOSS)
bug("loss without the shift by the maximum", CrossEntropy, "forward",
    "rows - row_max(rows.real)", "rows - 0.0", LARGE)
bug("given normalizer ignored", CrossEntropy, "forward",
    "N = len(counted) if normalizer is None else normalizer", "N = len(counted)", SHARES)

# ---- masks

bug("causal mask one too far: the next token is seen", masks, "causal_mask",
    "length - new,", "length - new + 1,", CAUSAL)
bug("causal mask one too short: a token does not see itself", masks, "causal_mask",
    "length - new,", "length - new - 1,", CAUSAL)
bug("causal mask transposed: only the future is seen", masks, "causal_mask",
    "np.tri(new, length, length - new, dtype=bool)", "np.tri(length, dtype=bool).T", CAUSAL)
bug("causal mask all true", masks, "causal_mask",
    "np.tri(new, length, length - new, dtype=bool)", "np.ones((new, length), dtype=bool)", CAUSAL)
bug("padding mask inverted", masks, "padding_mask",
    "ids != pad", "ids == pad", PADDING)
bug("padding mask on the queries", masks, "padding_mask",
    "[:, None, None, :]", "[:, None, :, None]", PADDING)
bug("padding mask of the first sentence for all", masks, "padding_mask",
    "return (ids != pad)", "return (ids[[0] * len(ids)] != pad)", PADDING)
bug("padding mask one token short", masks, "padding_mask",
    "return (ids != pad)", "return (np.roll(ids, -1, axis=1) != pad)", PADDING)
