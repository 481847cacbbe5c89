"""A whole Transformer in one file of plain functions: forward, backward, training, decoding. It needs NumPy alone.

It is the encoder-decoder of "Attention Is All You Need" (2017) with the norms inside the residual branches (pre-norm).
Parameters `p` are a dict of arrays by name, gradients `g` a dict with the same names. A forward returns its output and
a cache. Its backward stands beneath it: it adds to `g` and returns the gradient of the input.

B sentences, S source and T target positions, D features, H heads of d = D / H features, V words.
"""

import numpy as np

PAD, EPS = 0, 1e-5

# -- pieces from the lessons ------------------------------------------------------------------------------------------


def embed_backward(dy, ids, n):
    """dy (B, T, D), ids (B, T) -> the gradient of the table (n, D). An id that repeats adds."""
    d_table = np.zeros((n, dy.shape[-1]), dy.dtype)
    np.add.at(d_table, ids, dy)
    return d_table


def position_table(length, d_model):
    """Sines in the even columns and cosines in the odd ones -> (length, d_model)."""
    angle = np.arange(length)[:, None] * 10000.0 ** (-np.arange(0, d_model, 2) / d_model)
    table = np.empty((length, d_model))
    table[:, 0::2], table[:, 1::2] = np.sin(angle), np.cos(angle)
    return table


def softmax_backward(dy, y):
    """The gradient of x, where y = softmax(x) over the last axis."""
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def split_heads(x, n_heads):
    """(B, T, D) -> (B, H, T, d)."""
    B, T, D = x.shape
    return x.reshape(B, T, n_heads, D // n_heads).swapaxes(1, 2)


def merge_heads(x):
    """(B, H, T, d) -> (B, T, D), the inverse of split_heads, and so the backward of it."""
    B, H, T, d = x.shape
    return x.swapaxes(1, 2).reshape(B, T, H * d)


def layer_norm_backward(dy, x_hat, inv_std, gain):
    """dy, x_hat (B, T, D), inv_std (B, T, 1), gain (D,) -> dx (B, T, D), d_gain (D,), d_bias (D,)."""
    d_gain, d_bias = (dy * x_hat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))
    d_hat = dy * gain
    along = (d_hat * x_hat).mean(axis=-1, keepdims=True)
    dx = inv_std * (d_hat - d_hat.mean(axis=-1, keepdims=True) - x_hat * along)
    return dx, d_gain, d_bias


def feed_forward_backward(dy, x, W1, b1, W2, b2):
    """Backward of y = max(x W1 + b1, 0) W2 + b2 -> dx, dW1, db1, dW2, db2."""
    rows, d_rows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    hidden = np.maximum(rows @ W1 + b1, 0)
    d_hidden = (d_rows @ W2.T) * (hidden > 0)
    dx = (d_hidden @ W1.T).reshape(x.shape)
    return dx, rows.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_rows, d_rows.sum(axis=0)


def causal_mask(length):
    """(T, T) boolean: position t may look at positions 0 ... t."""
    return np.tri(length, dtype=bool)


def smoothed_loss_backward(logits, targets, pad, e):
    """The gradient of the mean smoothed cross-entropy: logits (N, V), targets (N,) -> (N, V)."""
    V = logits.shape[-1]
    q = (1 - e) * np.eye(V, dtype=logits.dtype)[targets] + e / V
    counted = (targets != pad)[:, None].astype(logits.dtype)
    return (softmax(logits) - q) * counted / counted.sum()


def adam_step(w, g, m, v, t, rate, beta1, beta2, eps):
    """The t-th step of Adam, t from 1 -> new w, m, v."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return w - rate * m_hat / (np.sqrt(v_hat) + eps), m, v


# -- layers -----------------------------------------------------------------------------------------------------------


def softmax(x):
    """Over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def linear(p, name, x):
    """y = x W + b."""
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def linear_backward(p, g, name, dy, x):
    """-> dx."""
    d_rows = dy.reshape(-1, dy.shape[-1])
    g[f"{name}.weight"] += x.reshape(-1, x.shape[-1]).T @ d_rows
    g[f"{name}.bias"] += d_rows.sum(axis=0)
    return dy @ p[f"{name}.weight"].T


def norm(p, name, x):
    """LayerNorm: (B, T, D) -> (B, T, D)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    inv_std = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPS)
    x_hat = centred * inv_std
    return p[f"{name}.gain"] * x_hat + p[f"{name}.bias"], (x_hat, inv_std)


def norm_backward(p, g, name, dy, cache):
    """-> dx."""
    dx, d_gain, d_bias = layer_norm_backward(dy, *cache, p[f"{name}.gain"])
    g[f"{name}.gain"] += d_gain
    g[f"{name}.bias"] += d_bias
    return dx


def feed(p, name, x):
    """Up, ReLU, down: (B, T, D) -> (B, T, D). Its cache is x."""
    return linear(p, f"{name}.down_proj", np.maximum(linear(p, f"{name}.up_proj", x), 0)), x


def feed_backward(p, g, name, dy, x):
    """-> dx, with the gradients of the four arrays added to g."""
    names = [f"{name}.{part}" for part in ("up_proj.weight", "up_proj.bias", "down_proj.weight", "down_proj.bias")]
    dx, *gradients = feed_forward_backward(dy, x, *(p[key] for key in names))
    for key, gradient in zip(names, gradients):
        g[key] += gradient
    return dx


def multihead_attention(p, name, x, memory, n_heads, mask):
    """Attention: queries from x (B, T, D), keys and values from memory (B, S, D) -> y (B, T, D), cache.

    mask is boolean and broadcasts to (B, H, T, S); True means may attend.
    """
    q = split_heads(linear(p, f"{name}.query", x), n_heads)  # (B, H, T, d)
    k = split_heads(linear(p, f"{name}.key", memory), n_heads)  # (B, H, S, d)
    v = split_heads(linear(p, f"{name}.value", memory), n_heads)
    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5  # (B, H, T, S)
    weights = softmax(np.where(mask, scores, -np.inf))
    merged = merge_heads(weights @ v)  # (B, H, T, S) (B, H, S, d) -> (B, T, D)
    return linear(p, f"{name}.output", merged), (x, memory, q, k, v, weights, merged)


def multihead_attention_backward(p, g, name, dy, cache):
    """-> dx, d_memory."""
    x, memory, q, k, v, weights, merged = cache
    d_context = split_heads(linear_backward(p, g, f"{name}.output", dy, merged), q.shape[1])
    dv = weights.swapaxes(-1, -2) @ d_context
    d_weights = d_context @ v.swapaxes(-1, -2)
    d_scores = softmax_backward(d_weights, weights) * q.shape[-1] ** -0.5
    dq, dk = d_scores @ k, d_scores.swapaxes(-1, -2) @ q
    d_memory = linear_backward(p, g, f"{name}.value", merge_heads(dv), memory)
    d_memory = d_memory + linear_backward(p, g, f"{name}.key", merge_heads(dk), memory)
    return linear_backward(p, g, f"{name}.query", merge_heads(dq), x), d_memory


# -- blocks, encoder, decoder, model ----------------------------------------------------------------------------------


def encoder_block(p, name, x, n_heads, mask):
    """x (B, S, D) -> y (B, S, D), cache. Each of the two parts is x + f(norm(x))."""
    h, norm_1 = norm(p, f"{name}.attention.norm", x)
    attended, attention = multihead_attention(p, f"{name}.attention", h, h, n_heads, mask)
    x = x + attended
    h, norm_2 = norm(p, f"{name}.feed_forward.norm", x)
    fed, fed_cache = feed(p, f"{name}.feed_forward", h)
    return x + fed, (norm_1, attention, norm_2, fed_cache)


def encoder_block_backward(p, g, name, dy, cache):
    """-> dx."""
    norm_1, attention, norm_2, fed_cache = cache
    dh = feed_backward(p, g, f"{name}.feed_forward", dy, fed_cache)
    dx = dy + norm_backward(p, g, f"{name}.feed_forward.norm", dh, norm_2)
    d_queries, d_memory = multihead_attention_backward(p, g, f"{name}.attention", dx, attention)
    return dx + norm_backward(p, g, f"{name}.attention.norm", d_queries + d_memory, norm_1)


def decoder_block(p, name, x, memory, n_heads, mask, memory_mask):
    """x (B, T, D), memory (B, S, D) -> y (B, T, D), cache. Self-attention, attention to the memory, feed-forward."""
    h, norm_1 = norm(p, f"{name}.attention.norm", x)
    attended, attention = multihead_attention(p, f"{name}.attention", h, h, n_heads, mask)
    x = x + attended
    h, norm_2 = norm(p, f"{name}.cross_attention.norm", x)
    attended, cross = multihead_attention(p, f"{name}.cross_attention", h, memory, n_heads, memory_mask)
    x = x + attended
    h, norm_3 = norm(p, f"{name}.feed_forward.norm", x)
    fed, fed_cache = feed(p, f"{name}.feed_forward", h)
    return x + fed, (norm_1, attention, norm_2, cross, norm_3, fed_cache)


def decoder_block_backward(p, g, name, dy, cache):
    """-> dx, d_memory."""
    norm_1, attention, norm_2, cross, norm_3, fed_cache = cache
    dh = feed_backward(p, g, f"{name}.feed_forward", dy, fed_cache)
    dx = dy + norm_backward(p, g, f"{name}.feed_forward.norm", dh, norm_3)
    dh, d_memory = multihead_attention_backward(p, g, f"{name}.cross_attention", dx, cross)
    dx = dx + norm_backward(p, g, f"{name}.cross_attention.norm", dh, norm_2)
    d_queries, d_keys = multihead_attention_backward(p, g, f"{name}.attention", dx, attention)
    return dx + norm_backward(p, g, f"{name}.attention.norm", d_queries + d_keys, norm_1), d_memory


def blocks(p, stack):
    """The names of a stack's blocks, in order: encoder.blocks.0, encoder.blocks.1, ..."""
    n = len({name.split(".")[2] for name in p if name.startswith(f"{stack}.blocks.")})
    return [f"{stack}.blocks.{i}" for i in range(n)]


def embedding(p, name, ids):
    """ids (B, T) -> (B, T, D): the vectors times sqrt(D), and the positions."""
    table = p[name]
    D = table.shape[-1]
    return table[ids] * D**0.5 + position_table(ids.shape[1], D).astype(table.dtype)


def encode(p, source, n_heads):
    """source (B, S) of ids -> memory (B, S, D), cache. Nobody attends to padding."""
    x, caches = embedding(p, "source_embedding.tokens.weight", source), []
    mask = (source != PAD)[:, None, None, :]  # (B, 1, 1, S)
    for name in blocks(p, "encoder"):
        x, cache = encoder_block(p, name, x, n_heads, mask)
        caches.append(cache)
    memory, last = norm(p, "encoder.norm", x)
    return memory, (source, caches, last)


def encode_backward(p, g, d_memory, cache):
    """The end of the way back."""
    source, caches, last = cache
    dx = norm_backward(p, g, "encoder.norm", d_memory, last)
    for name, block_cache in reversed(list(zip(blocks(p, "encoder"), caches))):
        dx = encoder_block_backward(p, g, name, dx, block_cache)
    name = "source_embedding.tokens.weight"
    g[name] += embed_backward(dx, source, len(p[name])) * dx.shape[-1] ** 0.5


def decode(p, target, memory, source, n_heads):
    """target (B, T) of ids, memory (B, S, D), source (B, S) -> logits (B, T, V), cache."""
    x, caches = embedding(p, "target_embedding.tokens.weight", target), []
    mask, memory_mask = causal_mask(target.shape[1]), (source != PAD)[:, None, None, :]
    for name in blocks(p, "decoder"):
        x, cache = decoder_block(p, name, x, memory, n_heads, mask, memory_mask)
        caches.append(cache)
    y, last = norm(p, "decoder.norm", x)
    return y @ p["target_embedding.tokens.weight"].T, (target, caches, last, y)


def decode_backward(p, g, d_logits, cache):
    """-> d_memory. The target's table was used twice: for the ids that are read, and for the logits."""
    target, caches, last, y = cache
    name = "target_embedding.tokens.weight"
    V, D = p[name].shape
    g[name] += d_logits.reshape(-1, V).T @ y.reshape(-1, D)
    dx, d_memory = norm_backward(p, g, "decoder.norm", d_logits @ p[name], last), 0
    for block, block_cache in reversed(list(zip(blocks(p, "decoder"), caches))):
        dx, d_read = decoder_block_backward(p, g, block, dx, block_cache)
        d_memory = d_memory + d_read  # every block read the same memory
    g[name] += embed_backward(dx, target, V) * D**0.5
    return d_memory


def forward(p, source, target, n_heads):
    """source (B, S), target (B, T) of ids -> logits (B, T, V), cache. Logits at t predict target t + 1."""
    memory, encoded = encode(p, source, n_heads)
    logits, decoded = decode(p, target, memory, source, n_heads)
    return logits, (encoded, decoded)


def backward(p, d_logits, cache):
    """d_logits (B, T, V) -> g, the gradient of every parameter by its name."""
    encoded, decoded = cache
    g = {name: np.zeros_like(value) for name, value in p.items()}
    d_memory = decode_backward(p, g, d_logits, decoded)
    encode_backward(p, g, d_memory, encoded)
    return g


# -- training and decoding --------------------------------------------------------------------------------------------


def new_parameters(rng, source_vocab, target_vocab, d_model, d_ff, n_blocks, dtype=np.float32):
    """Random weights: Glorot for matrices, variance 1 / D for tables; gains 1, biases 0."""
    p = {}

    def add_linear(name, d_in, d_out):
        bound = (6 / (d_in + d_out)) ** 0.5
        p[f"{name}.weight"] = rng.uniform(-bound, bound, (d_in, d_out)).astype(dtype)
        p[f"{name}.bias"] = np.zeros(d_out, dtype)

    def add_norm(name):
        p[f"{name}.gain"], p[f"{name}.bias"] = np.ones(d_model, dtype), np.zeros(d_model, dtype)

    for side, vocab, stack, attentions in (
        ("source", source_vocab, "encoder", ["attention"]),
        ("target", target_vocab, "decoder", ["attention", "cross_attention"]),
    ):
        p[f"{side}_embedding.tokens.weight"] = (rng.standard_normal((vocab, d_model)) * d_model**-0.5).astype(dtype)
        for block in [f"{stack}.blocks.{i}" for i in range(n_blocks)]:
            for attention in attentions:
                for part in ("query", "key", "value", "output"):
                    add_linear(f"{block}.{attention}.{part}", d_model, d_model)
                add_norm(f"{block}.{attention}.norm")
            add_linear(f"{block}.feed_forward.up_proj", d_model, d_ff)
            add_linear(f"{block}.feed_forward.down_proj", d_ff, d_model)
            add_norm(f"{block}.feed_forward.norm")
        add_norm(f"{stack}.norm")
    return p


def training_step(p, state, source, target, targets, n_heads, rate):
    """Forward, loss, backward, Adam; changes p and state in place -> the loss, a mean over words.

    state is {} before the first step. It keeps the number of steps t, and m and v by the parameters' names.
    """
    logits, cache = forward(p, source, target, n_heads)
    rows, flat = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    g = backward(p, smoothed_loss_backward(rows, flat, PAD, 0.0).reshape(logits.shape), cache)
    t = state["t"] = state.get("t", 0) + 1
    for name in p:
        m, v = state.get(name, (0.0, 0.0))
        p[name], *state[name] = adam_step(p[name], g[name], m, v, t, rate, 0.9, 0.98, 1e-8)
    right = softmax(rows)[np.arange(len(flat)), flat]
    return -np.log(right[flat != PAD]).mean()


def greedy(p, source, n_heads, start, eos, max_length):
    """The most probable next word, again and again: source (B, S) -> B lists of ids, without start and eos."""
    memory, _ = encode(p, source, n_heads)
    ids = np.full((len(source), 1), start)
    while ids.shape[1] <= max_length and not (ids == eos).any(axis=1).all():
        logits, _ = decode(p, ids, memory, source, n_heads)
        ids = np.concatenate([ids, logits[:, -1].argmax(axis=-1)[:, None]], axis=1)
    return [row[: row.index(eos)] if eos in row else row for row in ids[:, 1:].tolist()]


def alignment(p, source, target, n_heads):
    """Where the last decoder block looks: source (B, S), target (B, T) -> its cross-attention (B, H, T, S)."""
    _, (_, (_, caches, *_)) = forward(p, source, target, n_heads)
    *_, weights, _ = caches[-1][3]
    return weights
