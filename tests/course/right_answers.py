"""Right answers that are written in another way than the solutions: loops, einsum, other algebra."""

import math
from collections import defaultdict

import numpy as np

ANSWERS = defaultdict(list)


def answers(name):
    """Registers a right answer of this exercise."""

    def register(function):
        ANSWERS[name].append(function)
        return function

    return register


# Lesson 00


@answers("chain_backward")
def _(a, b, c):
    return 2 * a * b**2 + 2 * b * c, 2 * a**2 * b + 2 * a * c, 2 * a * b + 2 * c


@answers("chain_backward")
def _(a, b, c):
    triples = [(2 * (i * j + k) * j, 2 * (i * j + k) * i, 2 * (i * j + k)) for i, j, k in zip(a, b, c)]
    return tuple(np.array(column) for column in zip(*triples))


@answers("chain_backward")
def _(a, b, c):
    du = np.add(np.multiply(a, b), c)
    du += du
    return [du * b, du * a, du]


@answers("dense_backward")
def _(dy, x, w):
    return np.einsum("ne,de->nd", dy, w), np.einsum("nd,ne->de", x, dy), np.einsum("ne->e", dy)


@answers("dense_backward")
def _(dy, x, w):
    dw = sum(np.outer(a, d) for a, d in zip(x, dy))
    return np.array([w @ d for d in dy]), dw, np.ones(len(dy)) @ dy


@answers("dense_backward")
def _(dy, x, w):
    return np.tensordot(dy, w, axes=(1, 1)), dy.T.dot(x).T, np.add.reduce(dy)


@answers("loss_steps_backward")
def _(powers, total, p, targets):
    N, V = p.shape
    one_hot = np.eye(V)[targets]
    d_picked = -1 / (p * one_hot).sum(axis=1) / N
    d_p = one_hot * d_picked[:, None]
    d_inverse = np.einsum("nv,nv->n", d_p, powers)[:, None]
    d_total = -d_inverse * (1 / total) ** 2
    d_powers = d_p * (1 / total) + d_total
    return d_picked, d_p, d_inverse, d_total, d_powers, powers * d_powers


@answers("loss_steps_backward")
def _(powers, total, p, targets):
    N = len(p)
    one_hot = (np.arange(p.shape[1]) == targets[:, None]) * 1.0
    d_picked = -1 / N / np.take_along_axis(p, targets[:, None], axis=1)[:, 0]
    d_total = 1 / (N * total)
    d_powers = d_total - one_hot / (N * np.take_along_axis(powers, targets[:, None], axis=1))
    return d_picked, one_hot * d_picked[:, None], -total / N, d_total, d_powers, (p - one_hot) / N


@answers("loss_steps_backward")
def _(powers, total, p, targets):
    N, V = p.shape
    d_picked, d_p, d_inverse = np.zeros(N), np.zeros((N, V)), np.zeros((N, 1))
    for n, t in enumerate(targets):
        d_picked[n] = -1 / (N * p[n, t])
        d_p[n, t] = d_picked[n]
        d_inverse[n] = d_picked[n] * powers[n, t]
    d_total = -d_inverse / total / total
    d_powers = d_p / total
    d_powers += d_total
    return d_picked, d_p, d_inverse, d_total, d_powers, d_powers * powers


@answers("loss_backward")
def _(p, targets):
    return (p - np.eye(p.shape[1])[targets]) / len(p)


@answers("loss_backward")
def _(p, targets):
    return np.array([[(q - (v == t)) / len(p) for v, q in enumerate(row)] for row, t in zip(p, targets)])


@answers("loss_backward")
def _(p, targets):
    d_logits = p / len(p)
    np.subtract.at(d_logits, (np.arange(len(p)), targets), 1 / len(p))
    return d_logits


@answers("central_difference")
def _(f, x, h):
    slopes = []
    for i in range(x.size):
        up, down = x.copy(), x.copy()
        up.flat[i] += h
        down.flat[i] -= h
        slopes.append((f(up) - f(down)) / h / 2)
    return np.array(slopes).reshape(x.shape)


@answers("central_difference")
def _(f, x, h):
    steps = h * np.eye(x.size).reshape(-1, *x.shape)
    return np.array([f(x + step) - f(x - step) for step in steps]).reshape(x.shape) / (2 * h)


@answers("central_difference")
def _(f, x, h):
    x, gradient = x.copy(), np.empty(x.shape)
    for i, old in np.ndenumerate(x.copy()):
        x[i] = old + h
        above = f(x)
        x[i] = old - h
        gradient[i] = (above - f(x)) * 0.5 / h
        x[i] = old
    return gradient


@answers("descend")
def _(x, targets, w, b, rate, steps):
    w, b = w.copy(), b.copy()
    for _ in range(steps):
        d = _softmax(x @ w + b) - np.eye(len(b))[targets]
        w -= rate / len(x) * np.einsum("nd,nv->dv", x, d)
        b -= rate * d.mean(axis=0)
    return w, b


@answers("descend")
def _(x, targets, w, b, rate, steps):
    both, rows = np.vstack([w, b]), np.hstack([x, np.ones((len(x), 1))])
    for _ in range(steps):
        both = both - rate * rows.T @ (_softmax(rows @ both) - np.eye(len(b))[targets]) / len(x)
    return both[:-1], both[-1]


@answers("descend")
def _(x, targets, w, b, rate, steps):
    if steps == 0:
        return w, b
    logits = x @ w + b
    logits -= logits.max(axis=1, keepdims=True)
    d = (_softmax(logits) - np.eye(len(b))[targets]) / len(x)
    return ANSWERS["descend"][2](x, targets, w - rate * x.T @ d, b - rate * d.sum(axis=0), rate, steps - 1)


@answers("two_uses_backward")
def _(d_logits, h, g, w_a, w_b, w_c):
    d_sum = np.einsum("nv,ev->ne", d_logits, w_c) * (1 - g * g)
    dh = np.einsum("nv,dv->nd", d_logits, w_a) + np.einsum("ne,de->nd", d_sum, w_b)
    return dh, *(np.einsum("na,nb->ab", x, d) for x, d in ((h, d_logits), (h, d_sum), (g, d_logits)))


@answers("two_uses_backward")
def _(d_logits, h, g, w_a, w_b, w_c):
    D, both = h.shape[1], np.hstack([h, g])
    d_both = d_logits @ np.vstack([w_a, w_c]).T
    d_sum = d_both[:, D:] - d_both[:, D:] * g**2
    dh = d_both[:, :D] + d_sum @ w_b.T
    d_w = both.T @ d_logits
    return dh, d_w[:D], h.T @ d_sum, d_w[D:]


@answers("two_uses_backward")
def _(d_logits, h, g, w_a, w_b, w_c):
    dh, d_w_a, d_w_b, d_w_c = (np.zeros(z.shape) for z in (h, w_a, w_b, w_c))
    for n, d in enumerate(d_logits):
        d_sum = (w_c @ d) * (1 - g[n] ** 2)
        dh[n] = w_a @ d + w_b @ d_sum
        d_w_a += np.outer(h[n], d)
        d_w_b += np.outer(h[n], d_sum)
        d_w_c += np.outer(g[n], d)
    return [dh, d_w_a, d_w_b, d_w_c]


# Lesson 01


@answers("embed")
def _(ids, table):
    return np.eye(len(table), dtype=table.dtype)[ids] @ table


@answers("embed")
def _(ids, table):
    return np.take(table, ids, axis=0)


@answers("embed")
def _(ids, table):
    return np.array([[table[i] for i in row] for row in ids])


@answers("embed_backward")
def _(dy, ids, n):
    return np.einsum("btv,btd->vd", np.eye(n, dtype=dy.dtype)[ids], dy)


@answers("embed_backward")
def _(dy, ids, n):
    d_table = np.zeros((n, dy.shape[2]))
    for b in range(dy.shape[0]):
        for t in range(dy.shape[1]):
            d_table[ids[b, t]] += dy[b, t]
    return d_table


@answers("embed_backward")
def _(dy, ids, n):
    return np.stack([dy[ids == v].sum(axis=0) for v in range(n)])


@answers("unembed_backward")
def _(d_logits, x, table):
    return np.einsum("btv,vd->btd", d_logits, table), np.einsum("btv,btd->vd", d_logits, x)


@answers("unembed_backward")
def _(d_logits, x, table):
    return d_logits.dot(table), sum(d.T @ rows for d, rows in zip(d_logits, x))


@answers("unembed_backward")
def _(d_logits, x, table):
    return np.matmul(d_logits, table), np.tensordot(d_logits, x, axes=((0, 1), (0, 1)))


@answers("tied_backward")
def _(d_embedded, ids, d_logits, x, table):
    one_hot = np.eye(len(table))[ids]
    return np.einsum("btv,btd->vd", d_logits, x) + np.einsum("btv,btd->vd", one_hot, d_embedded)


@answers("tied_backward")
def _(d_embedded, ids, d_logits, x, table):
    d_table = np.zeros_like(table)
    for row, d, logits, inputs in zip(ids, d_embedded, d_logits, x):
        d_table += logits.T @ inputs
        for i, vector in zip(row, d):
            d_table[i] += vector
    return d_table


@answers("tied_backward")
def _(d_embedded, ids, d_logits, x, table):
    first = np.array([d_embedded[ids == v].sum(axis=0) for v in range(len(table))])
    return first + (d_logits.swapaxes(1, 2) @ x).sum(axis=0)


@answers("sparse_step")
def _(table, ids, dx, rate):
    return table - rate * np.eye(len(table))[ids].T @ dx


@answers("sparse_step")
def _(table, ids, dx, rate):
    new = table.copy()
    for i, gradient in zip(ids, dx):
        new[i] -= rate * gradient
    return new


@answers("sparse_step")
def _(table, ids, dx, rate):
    step = np.zeros_like(table)
    np.add.at(step, ids, dx)
    return table - rate * step


# Lesson 02


@answers("position_table")
def _(length, d_model):
    table = np.zeros((length, d_model))
    for t in range(length):
        for i in range(d_model // 2):
            table[t, 2 * i] = math.sin(t / 10000 ** (2 * i / d_model))
            table[t, 2 * i + 1] = math.cos(t / 10000 ** (2 * i / d_model))
    return table


@answers("position_table")
def _(length, d_model):
    rates = np.exp(-math.log(10000.0) * np.arange(0, d_model, 2) / d_model)
    angle = np.outer(np.arange(length), rates)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, d_model)


@answers("position_table")
def _(length, d_model):
    turns = np.exp(1j * np.arange(length)[:, None] * 10000.0 ** (-np.arange(0, d_model, 2) / d_model))
    table = np.empty((length, d_model))
    table[:, ::2], table[:, 1::2] = turns.imag, turns.real
    return table


@answers("shift_matrix")
def _(distance, d_model):
    M = np.eye(d_model)
    even = np.arange(0, d_model, 2)
    b = distance * 10000.0 ** (-even / d_model)
    M[even, even] = M[even + 1, even + 1] = np.cos(b)
    M[even, even + 1] = -np.sin(b)
    M[even + 1, even] = np.sin(b)
    return M


@answers("shift_matrix")
def _(distance, d_model):
    M = np.zeros((d_model, d_model))
    for i in range(d_model // 2):
        b = distance / 10000 ** (2 * i / d_model)
        M[2 * i][2 * i] = M[2 * i + 1][2 * i + 1] = math.cos(b)
        M[2 * i][2 * i + 1], M[2 * i + 1][2 * i] = -math.sin(b), math.sin(b)
    return M


@answers("shift_matrix")
def _(distance, d_model):
    rates = 10000.0 ** (-np.arange(0, d_model, 2) / d_model)
    cos, sin = np.cos(distance * rates), np.sin(distance * rates)
    return np.kron(np.diag(cos), np.eye(2)) + np.kron(np.diag(sin), [[0, -1], [1, 0]])


@answers("learned_positions_backward")
def _(dy, max_length):
    return np.pad(dy.sum(axis=0), ((0, max_length - dy.shape[1]), (0, 0)))


@answers("learned_positions_backward")
def _(dy, max_length):
    d_table = np.zeros((max_length, dy.shape[2]))
    for sentence in dy:
        d_table[: len(sentence)] += sentence
    return d_table


@answers("learned_positions_backward")
def _(dy, max_length):
    d_table = np.zeros((max_length, dy.shape[2]), dy.dtype)
    np.add.at(d_table, np.broadcast_to(np.arange(dy.shape[1]), dy.shape[:2]), dy)
    return d_table


@answers("rotate_backward")
def _(dy, angle):
    turned = (dy[..., 0::2] + 1j * dy[..., 1::2]) * np.exp(-1j * angle)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(dy.shape)


@answers("rotate_backward")
def _(dy, angle):
    dx = np.zeros(dy.shape)
    for t in range(dy.shape[1]):
        for i in range(dy.shape[2] // 2):
            c, s = math.cos(angle[t, i]), math.sin(angle[t, i])
            dx[:, t, 2 * i : 2 * i + 2] = dy[:, t, 2 * i : 2 * i + 2] @ np.array([[c, -s], [s, c]])
    return dx


@answers("rotate_backward")
def _(dy, angle):
    pairs = dy.reshape(*dy.shape[:2], -1, 2)
    back = np.moveaxis(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), (0, 1), (-2, -1))
    return np.einsum("btpi,tpij->btpj", pairs, back).reshape(dy.shape)


@answers("input_backward")
def _(dy, ids, n):
    return np.sqrt(dy.shape[-1]) * np.einsum("btn,btd->nd", np.eye(n)[ids], dy)


@answers("input_backward")
def _(dy, ids, n):
    return np.array([dy[ids == i].sum(axis=0) * dy.shape[-1] ** 0.5 for i in range(n)])


@answers("input_backward")
def _(dy, ids, n):
    table = np.zeros((n, dy.shape[-1]), dy.dtype)
    for i, gradient in zip(ids.ravel(), dy.reshape(-1, dy.shape[-1])):
        table[i] += gradient
    table *= math.sqrt(dy.shape[-1])
    return table


# Lesson 03


def _softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


@answers("attend")
def _(query, states):
    weights = _softmax(np.einsum("bd,bsd->bs", query, states))
    return np.einsum("bs,bsd->bd", weights, states), weights


@answers("attend")
def _(query, states):
    contexts, all_weights = [], []
    for q, keys in zip(query, states):
        weights = _softmax(keys @ q)
        contexts.append(weights @ keys)
        all_weights.append(weights)
    return np.array(contexts), np.array(all_weights)


@answers("attend")
def _(query, states):
    scores = (query[:, None, :] * states).sum(axis=2)
    scores -= scores.mean(axis=1, keepdims=True)
    weights = np.exp(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
    return (weights[..., None] * states).sum(axis=1), weights


@answers("attend_backward")
def _(d_context, query, states, weights):
    d_w = np.einsum("bd,bsd->bs", d_context, states)
    jacobian = np.einsum("bs,st->bst", weights, np.eye(weights.shape[1])) - np.einsum("bs,bt->bst", weights, weights)
    d_s = np.einsum("bs,bst->bt", d_w, jacobian)
    d_states = np.einsum("bs,bd->bsd", weights, d_context) + np.einsum("bs,bd->bsd", d_s, query)
    return np.einsum("bs,bsd->bd", d_s, states), d_states


@answers("attend_backward")
def _(d_context, query, states, weights):
    d_query, d_states = np.zeros(query.shape), np.zeros(states.shape)
    for b in range(len(query)):
        mean = d_context[b] @ (weights[b] @ states[b])
        for s in range(states.shape[1]):
            d_score = weights[b, s] * (d_context[b] @ states[b, s] - mean)
            d_query[b] += d_score * states[b, s]
            d_states[b, s] = d_score * query[b] + weights[b, s] * d_context[b]
    return d_query, d_states


@answers("attend_backward")
def _(d_context, query, states, weights):
    d_w = (states * d_context[:, None]).sum(-1)
    d_s = weights * d_w
    d_s -= weights * d_s.sum(-1, keepdims=True)
    d_states = np.stack([weights, d_s], axis=-1) @ np.stack([d_context, query], axis=1)
    return (d_s[..., None] * states).sum(1), d_states


@answers("lstm_step_backward")
def _(dh, dc, g, i, f, o, c, c_next):
    t = np.tanh(c_next)
    dc = dc + dh * o - dh * o * t * t
    return dc, dc * (i - i * g * g), dc * g * (i - i * i), dc * c * (f - f * f), dh * t * (o - o * o), f * dc


@answers("lstm_step_backward")
def _(dh, dc, g, i, f, o, c, c_next):
    found = np.zeros((6, *dh.shape))
    for n in np.ndindex(dh.shape):
        whole = dc[n] + dh[n] * o[n] / math.cosh(c_next[n]) ** 2
        found[(0, *n)], found[(5, *n)] = whole, whole * f[n]
        found[(1, *n)] = whole * i[n] * (1 - g[n] ** 2)
        found[(2, *n)] = whole * g[n] * i[n] * (1 - i[n])
        found[(3, *n)] = whole * c[n] * f[n] * (1 - f[n])
        found[(4, *n)] = dh[n] * math.tanh(c_next[n]) * o[n] * (1 - o[n])
    return tuple(found)


@answers("lstm_step_backward")
def _(dh, dc, g, i, f, o, c, c_next):
    whole = np.add(dc, dh * o * np.cosh(c_next) ** -2.0)
    gates = np.stack([i, f, o])
    above = np.stack([whole * g, whole * c, dh * np.tanh(c_next)])
    return [whole, whole * i * (1 - g) * (1 + g), *(above * gates * (1 - gates)), whole * f]


@answers("through_time_backward")
def _(dh, hs, U):
    dU = 0.0 * U
    for before, after in zip(hs[-2::-1], hs[:0:-1]):
        d_sum = dh - dh * after * after
        dU = dU + np.einsum("bi,bj->ij", before, d_sum)
        dh = np.einsum("bj,ij->bi", d_sum, U)
    return dh, dU


@answers("through_time_backward")
def _(dh, hs, U):
    if len(hs) == 1:
        return dh, np.zeros_like(U)
    d_sum = dh * (1 - np.square(hs[-1]))
    first, dU = ANSWERS["through_time_backward"][1](d_sum @ U.T, hs[:-1], U)
    return first, dU + hs[-2].T @ d_sum


@answers("through_time_backward")
def _(dh, hs, U):
    T = len(hs) - 1
    sums = np.zeros(hs[1:].shape)
    for t in range(T):
        sums[T - 1 - t] = dh * (1 - hs[T - t] ** 2)
        dh = sums[T - 1 - t].dot(U.transpose())
    return dh, np.tensordot(hs[:-1], sums, axes=((0, 1), (0, 1)))


@answers("look_back")
def _(query, states, w):
    return np.einsum("bs,bsd->bd", _softmax(np.einsum("bk,kd,bsd->bs", query, w, states)), states)


@answers("look_back")
def _(query, states, w):
    return np.array([_softmax(keys @ (q @ w)) @ keys for q, keys in zip(query, states)])


@answers("look_back")
def _(query, states, w):
    scores = np.matmul(states @ w.T, query[..., None])
    powers = np.exp(scores)
    return (powers * states).sum(axis=1) / powers.sum(axis=1)


# Lesson 04


@answers("self_attention")
def _(x, w_q, w_k, w_v):
    q, k, v = (np.einsum("btd,de->bte", x, w) for w in (w_q, w_k, w_v))
    return np.einsum("bts,bse->bte", _softmax(np.einsum("bte,bse->bts", q, k) / np.sqrt(q.shape[-1])), v)


@answers("self_attention")
def _(x, w_q, w_k, w_v):
    sentences = []
    for words in x:
        q, k, v = words @ w_q, words @ w_k, words @ w_v
        sentences.append(np.array([_softmax(k @ one / math.sqrt(k.shape[1])) @ v for one in q]))
    return np.stack(sentences)


@answers("self_attention")
def _(x, w_q, w_k, w_v):
    scores = x @ (w_q @ w_k.T) @ x.transpose(0, 2, 1) / w_q.shape[1] ** 0.5
    return (_softmax(scores) @ x) @ w_v


@answers("softmax_backward")
def _(dy, y):
    dx = y * dy
    dx -= y * dx.sum(axis=-1, keepdims=True)
    return dx


@answers("softmax_backward")
def _(dy, y):
    jacobian = y[..., None] * np.eye(y.shape[-1]) - y[..., None] * y[..., None, :]
    return (jacobian @ dy[..., None])[..., 0]


@answers("softmax_backward")
def _(dy, y):
    return y * dy - y * np.einsum("...s,...s->...", dy, y)[..., None]


@answers("one_query")
def _(q, k, v):
    return np.einsum("s,se->e", _softmax(np.einsum("sd,d->s", k, q) / math.sqrt(len(q))), v)


@answers("one_query")
def _(q, k, v):
    powers = [math.exp(sum(a * b for a, b in zip(q, key)) / len(q) ** 0.5) for key in k]
    return sum(power * value for power, value in zip(powers, v)) / sum(powers)


@answers("one_query")
def _(q, k, v):
    scores = k.dot(q) / np.sqrt(q.size)
    return np.exp(scores - np.log(np.exp(scores).sum())) @ v


@answers("softmax_jacobian")
def _(y):
    return y[:, None] * (np.eye(len(y)) - y)


@answers("softmax_jacobian")
def _(y):
    return np.array([[a * ((i == j) - b) for j, b in enumerate(y)] for i, a in enumerate(y)])


@answers("softmax_jacobian")
def _(y):
    jacobian = -np.einsum("i,j->ij", y, y)
    jacobian[np.arange(len(y)), np.arange(len(y))] += y
    return jacobian


@answers("attention_steps_backward")
def _(d_context, x, q, k, v, weights, w_q, w_k, w_v):
    d_weights = np.einsum("td,sd->ts", d_context, v)
    d_scores = weights * d_weights
    d_scores -= weights * d_scores.sum(axis=1, keepdims=True)
    d_products = d_scores / np.sqrt(q.shape[1])
    heads = np.einsum("ts,sd->td", d_products, k), np.einsum("ts,td->sd", d_products, q), weights.T @ d_context
    dx = [np.einsum("td,ed->te", d, w) for d, w in zip(heads, (w_q, w_k, w_v))]
    return (heads[2], d_weights, d_scores, d_products, *heads[:2], *dx, *(np.einsum("te,td->ed", x, d) for d in heads))


@answers("attention_steps_backward")
def _(d_context, x, q, k, v, weights, w_q, w_k, w_v):
    T, d = q.shape
    dv, d_weights, d_scores = np.zeros((T, d)), np.zeros((T, T)), np.zeros((T, T))
    dq, dk = np.zeros((T, d)), np.zeros((T, d))
    for t in range(T):
        w = weights[t]
        d_weights[t] = v @ d_context[t]
        d_scores[t] = (np.diag(w) - np.outer(w, w)) @ d_weights[t]
        dv += np.outer(w, d_context[t])
        dq[t] = d_scores[t] @ k / math.sqrt(d)
        dk += np.outer(d_scores[t], q[t]) / math.sqrt(d)
    dx, dw = (dq @ w_q.T, dk @ w_k.T, dv @ w_v.T), (x.T @ dq, x.T @ dk, x.T @ dv)
    return [dv, d_weights, d_scores, d_scores / math.sqrt(d), dq, dk, *dx, *dw]


@answers("attention_steps_backward")
def _(d_context, x, q, k, v, weights, w_q, w_k, w_v):
    context = weights @ v
    d_scores = weights * (d_context @ v.T - (d_context * context).sum(axis=1)[:, None])
    dq, dk, dv = (d.dot(z) for d, z in ((d_scores, k), (d_scores.T, q), (weights.T, d_context)))
    dq, dk = dq * q.shape[1] ** -0.5, dk * q.shape[1] ** -0.5
    outer = [d @ w.T for d, w in ((dq, w_q), (dk, w_k), (dv, w_v))]
    inner = [(d.T @ x).T for d in (dq, dk, dv)]
    return (dv, d_context @ v.T, d_scores, d_scores * q.shape[1] ** -0.5, dq, dk, *outer, *inner)


@answers("log_softmax_backward")
def _(dy, log_p):
    return dy - np.exp(log_p) * np.einsum("nv->n", dy)[:, None]


@answers("log_softmax_backward")
def _(dy, log_p):
    return np.array([d @ (np.eye(len(d)) - np.exp(row)) for d, row in zip(dy, log_p)])


@answers("log_softmax_backward")
def _(dy, log_p):
    p = np.exp(log_p)
    of_p = dy / p
    return p * of_p - p * (of_p * p).sum(axis=1, keepdims=True)


@answers("attention_backward")
def _(d_context, q, k, v, weights):
    d_weights = np.einsum("btd,bsd->bts", d_context, v)
    d_scores = weights * d_weights / np.sqrt(q.shape[-1])
    d_scores -= weights * d_scores.sum(axis=-1, keepdims=True)
    dq, dk = np.einsum("bts,bsd->btd", d_scores, k), np.einsum("bts,btd->bsd", d_scores, q)
    return dq, dk, np.einsum("bts,btd->bsd", weights, d_context)


@answers("attention_backward")
def _(d_context, q, k, v, weights):
    dq, dk, dv = np.zeros(q.shape), np.zeros(k.shape), np.zeros(v.shape)
    for b in range(len(q)):
        for t in range(q.shape[1]):
            w = weights[b, t]
            d_scores = (np.diag(w) - np.outer(w, w)) @ (v[b] @ d_context[b, t]) / math.sqrt(q.shape[2])
            dq[b, t] = d_scores @ k[b]
            dk[b] += np.outer(d_scores, q[b, t])
            dv[b] += np.outer(w, d_context[b, t])
    return dq, dk, dv


@answers("attention_backward")
def _(d_context, q, k, v, weights):
    context = weights @ v
    advantage = d_context @ v.transpose(0, 2, 1) - (d_context * context).sum(axis=-1, keepdims=True)
    d_scores = weights * advantage * q.shape[-1] ** -0.5
    return d_scores @ k, d_scores.transpose(0, 2, 1) @ q, weights.transpose(0, 2, 1) @ d_context


# Lesson 05


@answers("split_heads")
def _(x, n_heads):
    return np.stack(np.split(x, n_heads, axis=-1), axis=1)


@answers("split_heads")
def _(x, n_heads):
    B, T, _D = x.shape
    return x.reshape(B, T, n_heads, -1).transpose(0, 2, 1, 3)


@answers("split_heads")
def _(x, n_heads):
    d = x.shape[2] // n_heads
    heads = np.empty((len(x), n_heads, x.shape[1], d))
    for h in range(n_heads):
        heads[:, h] = x[:, :, h * d : (h + 1) * d]
    return heads


@answers("merge_heads")
def _(heads):
    return np.concatenate(list(heads.transpose(1, 0, 2, 3)), axis=-1)


@answers("merge_heads")
def _(heads):
    B, H, T, d = heads.shape
    dx = np.zeros((B, T, H * d))
    for h in range(H):
        dx[..., h * d : (h + 1) * d] = heads[:, h]
    return dx


@answers("merge_heads")
def _(heads):
    moved = np.moveaxis(heads, 1, 2)
    return moved.reshape(*moved.shape[:2], -1)


@answers("multi_head")
def _(q, k, v, n_heads):
    parts = [np.split(z, n_heads, axis=2) for z in (q, k, v)]
    heads = [_softmax(a @ b.transpose(0, 2, 1) / math.sqrt(a.shape[2])) @ c for a, b, c in zip(*parts)]
    return np.concatenate(heads, axis=2)


@answers("multi_head")
def _(q, k, v, n_heads):
    q, k, v = (z.reshape(*z.shape[:2], n_heads, -1) for z in (q, k, v))
    weights = _softmax(np.einsum("bthd,bshd->bhts", q, k) / np.sqrt(q.shape[-1]))
    return np.einsum("bhts,bshd->bthd", weights, v).reshape(*q.shape[:2], -1)


@answers("multi_head")
def _(q, k, v, n_heads):
    y, d = np.zeros(q.shape), q.shape[2] // n_heads
    for h in range(n_heads):
        own = slice(h * d, (h + 1) * d)
        for b in range(len(q)):
            y[b, :, own] = _softmax(q[b, :, own] @ k[b, :, own].T * d**-0.5) @ v[b, :, own]
    return y


@answers("output_backward")
def _(dy, context, w_o):
    _B, H, _T, d = context.shape
    per_head = w_o.reshape(H, d, -1)
    d_w_o = np.einsum("bhtd,bte->hde", context, dy)
    return np.einsum("bte,hde->bhtd", dy, per_head), d_w_o.reshape(w_o.shape)


@answers("output_backward")
def _(dy, context, w_o):
    d = context.shape[3]
    parts = [w_o[h * d : (h + 1) * d] for h in range(context.shape[1])]
    d_context = np.stack([dy @ w.T for w in parts], axis=1)
    d_w_o = [sum(c.T @ g for c, g in zip(context[:, h], dy)) for h in range(len(parts))]
    return d_context, np.concatenate(d_w_o)


@answers("output_backward")
def _(dy, context, w_o):
    _B, H, _T, _d = context.shape
    merged = np.concatenate([context[:, h] for h in range(H)], axis=2)
    d_merged = np.matmul(dy, w_o.transpose())
    return np.stack(np.split(d_merged, H, axis=2), axis=1), (merged.transpose(0, 2, 1) @ dy).sum(0)


@answers("projections_backward")
def _(dq, dk, dv, x, w_q, w_k, w_v):
    _B, H, _T, d = dq.shape
    weights = [w.reshape(-1, H, d) for w in (w_q, w_k, w_v)]
    dx = sum(np.einsum("bhtd,ehd->bte", g, w) for g, w in zip((dq, dk, dv), weights))
    return (dx, *(np.einsum("bte,bhtd->ehd", x, g).reshape(w_q.shape) for g in (dq, dk, dv)))


@answers("projections_backward")
def _(dq, dk, dv, x, w_q, w_k, w_v):
    merged = [np.concatenate([g[:, h] for h in range(g.shape[1])], axis=2) for g in (dq, dk, dv)]
    together = np.concatenate(merged, axis=2)
    dx = together @ np.concatenate([w_q, w_k, w_v], axis=1).T
    d_w = np.tensordot(x, together, axes=((0, 1), (0, 1)))
    return (dx, *np.split(d_w, 3, axis=1))


@answers("projections_backward")
def _(dq, dk, dv, x, w_q, w_k, w_v):
    dx = np.zeros_like(x)
    d_weights = []
    for gradient, weight in ((dq, w_q), (dk, w_k), (dv, w_v)):
        rows = np.moveaxis(gradient, 1, 2).reshape(*x.shape[:2], -1)
        dx += rows @ weight.T
        d_weights.append(sum(a.T @ b for a, b in zip(x, rows)))
    return (dx, *d_weights)


# Lesson 06


@answers("residual_backward")
def _(dy, x, w):
    y = np.tanh(x @ w)
    through = dy - dy * y * y
    return dy + np.einsum("bte,de->btd", through, w), np.einsum("btd,bte->de", x, through)


@answers("residual_backward")
def _(dy, x, w):
    through = dy / np.cosh(x @ w) ** 2
    dx = through @ w.T
    dx += dy
    return dx, sum(a.T @ b for a, b in zip(x, through))


@answers("residual_backward")
def _(dy, x, w):
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for b in range(len(x)):
        for t in range(x.shape[1]):
            slope = 1 - np.tanh(x[b, t] @ w) ** 2
            dx[b, t] = (np.eye(len(w)) + w * slope) @ dy[b, t]
            dw += np.outer(x[b, t], slope * dy[b, t])
    return dx, dw


@answers("layer_norm")
def _(x, gain, shift, eps):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * gain + shift


@answers("layer_norm")
def _(x, gain, shift, eps):
    mean = np.einsum("btd->bt", x)[..., None] / x.shape[-1]
    variance = (x * x).mean(axis=-1, keepdims=True) - mean**2
    return gain * (x - mean) * (variance + eps) ** -0.5 + shift


@answers("layer_norm")
def _(x, gain, shift, eps):
    y = np.empty(x.shape)
    for b, sentence in enumerate(x):
        for t, v in enumerate(sentence):
            centred = v - sum(v) / len(v)
            y[b, t] = centred / math.sqrt(centred @ centred / len(v) + eps) * gain + shift
    return y


@answers("layer_norm_steps_backward")
def _(dy, centred, std, gain):
    D = dy.shape[1]
    hat, d_hat = centred / std, dy * gain
    d_inverse = np.einsum("nd,nd->n", d_hat, centred)[:, None]
    d_centred = (d_hat - hat * (d_hat * hat).mean(axis=1, keepdims=True)) / std
    d_mean = -np.einsum("nd->n", d_centred)[:, None]
    d_std = -d_inverse * std**-2.0
    d_gain = np.einsum("nd,nd->d", dy, hat)
    return dy.sum(0), d_gain, d_hat, d_inverse, d_std, d_std / (2 * std), d_centred, d_mean, d_centred + d_mean / D


@answers("layer_norm_steps_backward")
def _(dy, centred, std, gain):
    N, D = dy.shape
    d_hat, d_centred, dx = np.zeros((N, D)), np.zeros((N, D)), np.zeros((N, D))
    d_inverse, d_std, d_variance, d_mean = (np.zeros((N, 1)) for _ in range(4))
    for n in range(N):
        d_hat[n] = gain * dy[n]
        d_inverse[n] = d_hat[n] @ centred[n]
        d_std[n] = -d_inverse[n] / std[n] / std[n]
        d_variance[n] = d_std[n] / std[n] / 2
        d_centred[n] = d_hat[n] / std[n] + 2 / D * d_variance[n] * centred[n]
        d_mean[n] = -sum(d_centred[n])
        dx[n] = d_centred[n] + d_mean[n] / D
    return [np.ones(N) @ dy, sum(dy * centred / std), d_hat, d_inverse, d_std, d_variance, d_centred, d_mean, dx]


@answers("layer_norm_steps_backward")
def _(dy, centred, std, gain):
    inverse = 1 / std
    d_hat = gain * dy
    d_inverse = (centred * d_hat).sum(1, keepdims=True)
    d_variance = -0.5 * d_inverse * inverse**3
    d_centred = d_hat * inverse
    d_centred += centred * d_variance * (2 / dy.shape[1])
    dx = d_centred - d_centred.mean(axis=1, keepdims=True)
    sums = np.add.reduce(dy), np.add.reduce(dy * centred * inverse)
    return (*sums, d_hat, d_inverse, 2 * std * d_variance, d_variance, d_centred, -d_centred.sum(1)[:, None], dx)


@answers("layer_norm_backward")
def _(dy, x_hat, inv_std, gain):
    D = dy.shape[-1]
    d_hat = dy * gain
    sums = d_hat.sum(-1, keepdims=True) + x_hat * (d_hat * x_hat).sum(-1, keepdims=True)
    d_gain = np.einsum("btd,btd->d", dy, x_hat)
    return inv_std / D * (D * d_hat - sums), d_gain, dy.reshape(-1, D).sum(axis=0)


@answers("layer_norm_backward")
def _(dy, x_hat, inv_std, gain):
    D = dy.shape[-1]
    dx = np.zeros(dy.shape)
    for b in range(dy.shape[0]):
        for t in range(dy.shape[1]):
            jacobian = (np.eye(D) - 1 / D - np.outer(x_hat[b, t], x_hat[b, t]) / D) * inv_std[b, t]
            dx[b, t] = jacobian @ (gain * dy[b, t])
    return dx, sum(sum(dy * x_hat)), sum(sum(dy))


@answers("layer_norm_backward")
def _(dy, x_hat, inv_std, gain):
    # Step by step, with the variance and the mean as names of their own.
    D = dy.shape[-1]
    d_hat = dy * gain
    centred = x_hat / inv_std
    d_variance = (d_hat * centred).sum(-1, keepdims=True) * -0.5 * inv_std**3
    d_centred = d_hat * inv_std + d_variance * 2 * centred / D
    return d_centred - d_centred.mean(-1, keepdims=True), (dy * x_hat).sum(0).sum(0), dy.sum(0).sum(0)


@answers("rms_norm_backward")
def _(dy, x_hat, inv_rms, gain):
    along = np.einsum("btd,d,btd->bt", dy, gain, x_hat)[..., None] / dy.shape[-1]
    return inv_rms * (dy * gain - x_hat * along), np.einsum("btd,btd->d", dy, x_hat)


@answers("rms_norm_backward")
def _(dy, x_hat, inv_rms, gain):
    x = x_hat / inv_rms
    d_hat = dy * gain
    d_square = (d_hat * x).sum(-1, keepdims=True) * -0.5 * inv_rms**3
    return d_hat * inv_rms + d_square * 2 * x / x.shape[-1], (dy * x_hat).sum(0).sum(0)


@answers("rms_norm_backward")
def _(dy, x_hat, inv_rms, gain):
    D = dy.shape[-1]
    projector = np.eye(D) - x_hat[..., :, None] * x_hat[..., None, :] / D
    dx = (projector @ (gain * dy)[..., None])[..., 0]
    dx *= inv_rms
    return dx, (dy * x_hat).reshape(-1, D).sum(axis=0)


# Lesson 07


@answers("padding_softmax")
def _(scores, ids, pad):
    powers = np.exp(scores) * (ids != pad)[:, None, None, :]
    return powers / powers.sum(axis=-1, keepdims=True)


@answers("padding_softmax")
def _(scores, ids, pad):
    weights = np.zeros_like(scores)
    for b in range(len(scores)):
        words = np.flatnonzero(ids[b] != pad)
        powers = np.exp(scores[b][..., words])
        weights[b][..., words] = powers / powers.sum(-1, keepdims=True)
    return weights


@answers("padding_softmax")
def _(scores, ids, pad):
    masked = scores - 1e9 * (ids == pad)[:, np.newaxis, np.newaxis]
    masked = masked - np.max(masked, -1, keepdims=True)
    return (np.exp(masked) / np.exp(masked).sum(-1)[..., None]).astype(scores.dtype)


@answers("masked_mean_backward")
def _(dy, is_word):
    dx = np.zeros((*is_word.shape, dy.shape[1]), dy.dtype)
    for b, words in enumerate(is_word):
        dx[b, words] = dy[b] / words.sum().astype(dy.dtype)
    return dx


@answers("masked_mean_backward")
def _(dy, is_word):
    return np.einsum("bd,bs->bsd", dy / is_word.sum(1, keepdims=True).astype(dy.dtype), is_word.astype(dy.dtype))


@answers("masked_mean_backward")
def _(dy, is_word):
    return np.where(is_word[..., None], (dy / np.count_nonzero(is_word, axis=1)[:, None])[:, None], 0).astype(dy.dtype)


@answers("feed_forward_backward")
def _(dy, x, W1, b1, W2, b2):
    before = x @ W1 + b1
    d_before = np.where(before > 0, dy @ W2.T, 0)
    hidden = before * (before > 0)
    return (
        d_before @ W1.T,
        np.einsum("btd,btf->df", x, d_before),
        d_before.sum((0, 1)),
        np.einsum("btf,btd->fd", hidden, dy),
        dy.sum((0, 1)),
    )


@answers("feed_forward_backward")
def _(dy, x, W1, b1, W2, b2):
    dx, dW1, db1, dW2, db2 = (np.zeros_like(a) for a in (x, W1, b1, W2, b2))
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            h = np.maximum(x[b, t] @ W1 + b1, 0)
            dh = W2 @ dy[b, t] * (h > 0)
            dW2 += np.outer(h, dy[b, t])
            db2 += dy[b, t]
            dW1 += np.outer(x[b, t], dh)
            db1 += dh
            dx[b, t] = W1 @ dh
    return dx, dW1, db1, dW2, db2


@answers("feed_forward_backward")
def _(dy, x, W1, b1, W2, b2):
    h = np.clip(x @ W1 + b1, 0, None)
    dh = np.tensordot(dy, W2, (2, 1))
    dh[h == 0] = 0
    axes = ([0, 1], [0, 1])
    return [
        np.tensordot(dh, W1, (2, 1)),
        np.tensordot(x, dh, axes),
        dh.sum(0).sum(0),
        np.tensordot(h, dy, axes),
        dy.sum(0).sum(0),
    ]


@answers("stack_backward")
def _(dy, xs, W):
    def back(n, dx):
        if n < 0:
            return dx, []
        d = dx / np.cosh(xs[n] @ W[n]) ** 2
        first, others = back(n - 1, dx + d @ W[n].T)
        return first, [*others, xs[n].T @ d]

    dx, dW = back(len(W) - 1, dy)
    return dx, np.array(dW)


@answers("stack_backward")
def _(dy, xs, W):
    dx, dW = dy.copy(), []
    for x, w in zip(xs[::-1], W[::-1]):
        d = dx - dx * np.tanh(x @ w) ** 2
        dW.insert(0, np.einsum("md,me->de", x, d))
        dx = dx + np.einsum("me,de->md", d, w)
    return dx, np.stack(dW)


@answers("stack_backward")
def _(dy, xs, W):
    N, _D, _ = W.shape
    dW = np.empty_like(W)
    for n in range(N - 1, -1, -1):
        d = dy * (1 - np.square(np.tanh(np.dot(xs[n], W[n]))))
        dW[n] = np.dot(xs[n].T, d)
        dy = np.add(dy, np.dot(d, W[n].T))
    return dy, dW


@answers("encoder_weights")
def _(scores, ids, pad):
    powers = np.exp(scores) * (ids != pad)[:, None, None, :]
    return powers / powers.sum(axis=-1, keepdims=True)


@answers("encoder_weights")
def _(scores, ids, pad):
    scores = np.where((ids != pad)[:, None, None, :], scores, -np.inf)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@answers("encoder_weights")
def _(scores, ids, pad):
    masked = scores.copy()
    for b, row in enumerate(ids):
        masked[b, :, :, row == pad] = -1e6
    e = np.exp(masked - masked.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# Lesson 08


@answers("causal_mask")
def _(length):
    t = np.arange(length)
    return t[:, None] >= t


@answers("causal_mask")
def _(length):
    return np.tril(np.ones((length, length))).astype(bool)


@answers("causal_mask")
def _(length):
    return np.array([[s <= t for s in range(length)] for t in range(length)])


@answers("decoder_mask")
def _(ids, pad):
    B, T = ids.shape
    mask = np.zeros((B, 1, T, T), bool)
    for b in range(B):
        for t in range(T):
            mask[b, 0, t, : t + 1] = ids[b, : t + 1] != pad
    return mask


@answers("decoder_mask")
def _(ids, pad):
    t = np.arange(ids.shape[1])
    return np.logical_and((t[:, None] >= t)[None, None], (ids != pad)[:, None, None])


@answers("decoder_mask")
def _(ids, pad):
    blocked = np.triu(np.ones((ids.shape[1],) * 2, bool), 1)[None, None] | (ids == pad)[:, None, None, :]
    return ~blocked


@answers("causal_mean_backward")
def _(dy):
    dx = np.zeros_like(dy)
    for t in range(dy.shape[1]):
        dx[:, : t + 1] += dy[:, t : t + 1] / (t + 1)
    return dx


@answers("causal_mean_backward")
def _(dy):
    T = dy.shape[1]
    weights = (np.tri(T) / np.arange(1, T + 1)[:, None]).astype(dy.dtype)
    return np.einsum("ts,btd->bsd", weights, dy)


@answers("causal_mean_backward")
def _(dy):
    dx = np.empty_like(dy)
    left = np.zeros_like(dy[:, 0])
    for t in range(dy.shape[1] - 1, -1, -1):
        left = left + dy[:, t] / (t + 1)
        dx[:, t] = left
    return dx


@answers("cross_attention_backward")
def _(dy, x, memory, Wq, Wk, Wv):
    d = Wq.shape[1]
    q, k, v = x @ Wq / math.sqrt(d), memory @ Wk, memory @ Wv
    w = np.exp(np.einsum("btd,bsd->bts", q, k))
    w = w / w.sum(-1, keepdims=True)
    dw = np.einsum("btd,bsd->bts", dy, v)
    ds = w * dw - w * np.einsum("bts,bts->bt", w, dw)[..., None]
    dx = np.einsum("bts,bsd->btd", ds, k) @ Wq.T / math.sqrt(d)
    return dx, np.einsum("bts,btd->bsd", ds, q) @ Wk.T + np.einsum("bts,btd->bsd", w, dy) @ Wv.T


@answers("cross_attention_backward")
def _(dy, x, memory, Wq, Wk, Wv):
    dx, d_memory = np.zeros_like(x), np.zeros_like(memory)
    scale = Wq.shape[1] ** -0.5
    for b in range(len(x)):
        k, v = memory[b] @ Wk, memory[b] @ Wv
        dk, dv = np.zeros_like(k), np.zeros_like(v)
        for t in range(x.shape[1]):
            q = x[b, t] @ Wq
            s = k @ q * scale
            w = np.exp(s - s.max())
            w /= w.sum()
            dw = v @ dy[b, t]
            ds = w * (dw - w @ dw) * scale
            dv += np.outer(w, dy[b, t])
            dk += np.outer(ds, q)
            dx[b, t] = Wq @ (ds @ k)
        d_memory[b] = dk @ Wk.T + dv @ Wv.T
    return dx, d_memory


@answers("cross_attention_backward")
def _(dy, x, memory, Wq, Wk, Wv):
    A = Wq @ Wk.T * Wq.shape[1] ** -0.5  # scores = x A memory^T
    s = x @ A @ memory.transpose(0, 2, 1)
    w = np.exp(s - s.max(-1, keepdims=True))
    w /= w.sum(-1, keepdims=True)
    dw = dy @ Wv.T @ memory.transpose(0, 2, 1)
    ds = w * (dw - (w * dw).sum(-1, keepdims=True))
    return ds @ memory @ A.T, ds.transpose(0, 2, 1) @ x @ A + w.transpose(0, 2, 1) @ (dy @ Wv.T)


@answers("memory_backward")
def _(dk, dv, Wk, Wv):
    return np.einsum("nbsd,ned->bse", dk, Wk) + np.einsum("nbsd,ned->bse", dv, Wv)


@answers("memory_backward")
def _(dk, dv, Wk, Wv):
    return (dk @ Wk.swapaxes(1, 2)[:, None]).sum(axis=0) + (dv @ Wv.swapaxes(1, 2)[:, None]).sum(axis=0)


@answers("memory_backward")
def _(dk, dv, Wk, Wv):
    both = np.concatenate([dk, dv])
    wide = np.concatenate(list(both), axis=-1)  # (B, S, 2 N d)
    return wide @ np.concatenate([w.T for w in (*Wk, *Wv)])


# Lesson 09


@answers("teacher_forcing")
def _(ids, start, eos):
    rows = [[start, *row, eos] for row in ids.tolist()]
    return np.array([row[:-1] for row in rows]), np.array([row[1:] for row in rows])


@answers("teacher_forcing")
def _(ids, start, eos):
    whole = np.pad(ids, ((0, 0), (1, 1)), constant_values=((0, 0), (start, eos)))
    return whole[:, :-1], whole[:, 1:]


@answers("teacher_forcing")
def _(ids, start, eos):
    B, T = ids.shape
    read, answer = np.empty((B, T + 1), ids.dtype), np.empty((B, T + 1), ids.dtype)
    read[:, 0], read[:, 1:], answer[:, :-1], answer[:, -1] = start, ids, ids, eos
    return read, answer


@answers("smoothed_loss_backward")
def _(logits, targets, pad, e):
    N, V = logits.shape
    rows = [n for n in range(N) if targets[n] != pad]
    d_logits = np.zeros_like(logits)
    for n in rows:
        p = np.exp(logits[n]) / np.exp(logits[n]).sum()
        d_logits[n] = p - e / V
        d_logits[n, targets[n]] -= 1 - e
        d_logits[n] /= len(rows)
    return d_logits


@answers("smoothed_loss_backward")
def _(logits, targets, pad, e):
    V = logits.shape[1]
    q = ((1 - e) * np.eye(V)[targets] + e / V).astype(logits.dtype)
    p = np.exp(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    return np.where((targets != pad)[:, None], p - q, 0) / np.count_nonzero(targets != pad)


@answers("smoothed_loss_backward")
def _(logits, targets, pad, e):
    kept = np.nonzero(targets != pad)[0]
    z = logits[kept] - logits[kept].max(1, keepdims=True)
    d = np.exp(z) / np.exp(z).sum(1, keepdims=True) - logits.dtype.type(e / logits.shape[1])
    d[np.arange(len(kept)), targets[kept]] -= 1 - e
    out = np.zeros(logits.shape, logits.dtype)
    out[kept] = d / len(kept)
    return out


@answers("adam_step")
def _(w, g, m, v, t, rate, beta1, beta2, eps):
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g * g - v)
    return w - rate * (m / (1 - beta1**t)) / (eps + (v / (1 - beta2**t)) ** 0.5), m, v


@answers("adam_step")
def _(w, g, m, v, t, rate, beta1, beta2, eps):
    m, v = beta1 * m + g - beta1 * g, beta2 * v + (1 - beta2) * np.square(g)
    root = (1 - beta2**t) ** 0.5
    step = rate * root / (1 - beta1**t)
    return w - step * m / (np.sqrt(v) + eps * root), m, v


@answers("adam_step")
def _(w, g, m, v, t, rate, beta1, beta2, eps):
    new = [np.empty_like(w) for _ in range(3)]
    for i in range(len(w)):
        new[1][i] = beta1 * m[i] + (1 - beta1) * g[i]
        new[2][i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2
        new[0][i] = w[i] - rate * new[1][i] / (1 - beta1**t) / ((new[2][i] / (1 - beta2**t)) ** 0.5 + eps)
    return tuple(new)


def _adam(w, g, m, v, t, rate):
    m, v = 0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g * g
    return w - rate * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.98**t)) + 1e-8), m, v


@answers("train_step")
def _(w, m, v, t, x, targets, pad, rate, clip):
    z = x @ w
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    counted = (targets != pad).astype(w.dtype)
    n = counted.sum()
    loss = -(log_p[np.arange(len(x)), targets] * counted).sum() / n
    g = x.T @ ((np.exp(log_p) - np.eye(w.shape[1], dtype=w.dtype)[targets]) * counted[:, None]) / n
    return loss, *_adam(w, g * min(1, clip / np.linalg.norm(g)), m, v, t, rate)


@answers("train_step")
def _(w, m, v, t, x, targets, pad, rate, clip):
    loss, g, n = w.dtype.type(0), np.zeros_like(w), 0
    for row, target in zip(x, targets):
        if target != pad:
            p = np.exp(row @ w)
            p = p / p.sum()
            loss = loss - np.log(p[target])
            p[target] -= 1
            g += np.outer(row, p)
            n += 1
    g /= n
    norm = np.sqrt(np.sum(g**2))
    if norm > clip:
        g *= clip / norm
    return loss / n, *_adam(w, g, m, v, t, rate)


@answers("train_step")
def _(w, m, v, t, x, targets, pad, rate, clip):
    kept = targets != pad
    x, targets = x[kept], targets[kept]
    z = x @ w
    z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss = np.mean(-np.log(np.take_along_axis(p, targets[:, None], 1)))
    np.put_along_axis(p, targets[:, None], np.take_along_axis(p, targets[:, None], 1) - 1, 1)
    g = np.einsum("nd,nv->dv", x, p) / len(x)
    g = g / max(1.0, np.linalg.norm(g) / clip)
    return loss, *_adam(w, g, m, v, t, rate)


@answers("accumulated_gradient")
def _(gradients, n_tokens):
    return sum(n * g for n, g in zip(n_tokens.tolist(), gradients)) / n_tokens.sum().item()


@answers("accumulated_gradient")
def _(gradients, n_tokens):
    return np.average(gradients, axis=0, weights=n_tokens).astype(gradients.dtype)


@answers("accumulated_gradient")
def _(gradients, n_tokens):
    share = (n_tokens / n_tokens.sum()).astype(gradients.dtype)
    return np.einsum("k,kp->p", share, gradients)


# Lesson 09b


@answers("choice_gradient")
def _(logits, one, other, position):
    d_logits = np.zeros_like(logits)
    for b, t in enumerate(position):
        d_logits[b, t, one] += 1
        d_logits[b, t, other] -= 1
    return d_logits


@answers("choice_gradient")
def _(logits, one, other, position):
    _B, T, V = logits.shape
    choice = (np.eye(V)[one] - np.eye(V)[other]).astype(logits.dtype)
    return (np.arange(T) == position[:, None])[..., None] * choice


@answers("choice_gradient")
def _(logits, one, other, position):
    B, T, V = logits.shape
    flat = np.zeros(B * T * V, logits.dtype)
    start = (np.arange(B) * T + position) * V
    flat[start + one], flat[start + other] = 1, -1
    return flat.reshape(B, T, V)


@answers("take_away")
def _(weights, head, query, key):
    left = np.array(weights)
    for b, (t, s) in enumerate(zip(query, key)):
        left[b, head, t, s] = 0
    return left


@answers("take_away")
def _(weights, head, query, key):
    _B, H, T, S = weights.shape
    there = (np.arange(T) == query[:, None])[:, None, :, None] & (np.arange(S) == key[:, None])[:, None, None, :]
    there = there & (np.arange(H) == head)[None, :, None, None]
    return np.where(there, 0, weights)


@answers("take_away")
def _(weights, head, query, key):
    kept = np.ones(weights.shape, weights.dtype)
    kept[np.arange(len(kept)), head, query, key] -= 1
    return weights * kept


# Lesson 10


@answers("nucleus")
def _(logits, temperature, top_p):
    p = np.exp(logits / temperature)
    p = p / p.sum()
    kept, total = [], 0.0
    for word in np.argsort(p)[::-1]:
        if total >= top_p:
            break
        kept.append(word)
        total += p[word]
    out = np.zeros_like(p)
    out[kept] = p[kept] / p[kept].sum()
    return out


@answers("nucleus")
def _(logits, temperature, top_p):
    z = logits / temperature
    p = np.exp(z - np.log(np.exp(z).sum()))
    larger = (p[None, :] > p[:, None]).astype(p.dtype) @ p
    p = np.where(larger < top_p, p, 0)
    return p / p.sum()


@answers("nucleus")
def _(logits, temperature, top_p):
    p = np.exp((logits - np.max(logits)) / temperature)
    p /= np.sum(p)
    down = np.sort(p)[::-1]
    n = int(np.searchsorted(np.cumsum(down), top_p)) + 1
    p = p * (p >= down[min(n, len(p)) - 1])
    return p / np.sum(p)


@answers("beam_step")
def _(scores, log_p):
    K, V = log_p.shape
    ways = [(float(scores[k]) + float(log_p[k, w]), k, w) for k in range(K) for w in range(V)]
    ways = sorted(ways, reverse=True)[:K]
    found = np.array([s for s, _, _ in ways], dtype=log_p.dtype)
    return np.array([k for _, k, _ in ways]), np.array([w for _, _, w in ways]), found


@answers("beam_step")
def _(scores, log_p):
    totals = log_p + scores.reshape(-1, 1)
    best = totals.ravel().argsort()[::-1][: len(scores)]
    parents, words = np.unravel_index(best, totals.shape)
    return parents, words, totals[parents, words]


@answers("beam_step")
def _(scores, log_p):
    totals = (log_p.T + scores).T.copy()
    parents, words, found = [], [], []
    for _ in scores:
        k, w = divmod(int(totals.argmax()), totals.shape[1])
        parents.append(k)
        words.append(w)
        found.append(totals[k, w])
        totals[k, w] = -np.inf
    return np.array(parents), np.array(words), np.array(found)


@answers("minimum_risk")
def _(utility, p):
    return max(range(len(p)), key=lambda i: float(sum(utility[i] * p)))


@answers("minimum_risk")
def _(utility, p):
    return int(np.argmin(-np.einsum("ij,j->i", utility, p)))


@answers("minimum_risk")
def _(utility, p):
    return int(np.argmax((utility * p).sum(axis=1)))


@answers("expected_risk_backward")
def _(logits, risk):
    d_logits = np.zeros_like(logits)
    for b in range(len(logits)):
        p = np.exp(logits[b]) / np.exp(logits[b]).sum()
        d_logits[b] = (np.diag(p) - np.outer(p, p)) @ risk[b]
    return d_logits


@answers("expected_risk_backward")
def _(logits, risk):
    p = np.exp(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    return p * risk - p * np.einsum("bn,bn->b", p, risk)[:, None]


@answers("expected_risk_backward")
def _(logits, risk):
    e = np.exp(logits)
    total = e.sum(axis=1)
    mean = (e * risk).sum(axis=1) / total
    return e * (risk - mean[:, None]) / total[:, None]


@answers("length_score")
def _(log_p, lengths, n_prompt, alpha):
    return np.array([p / float(n - n_prompt) ** alpha for p, n in zip(log_p.tolist(), lengths.tolist())], log_p.dtype)


@answers("length_score")
def _(log_p, lengths, n_prompt, alpha):
    return (log_p * np.power((lengths - n_prompt).astype(float), -alpha)).astype(log_p.dtype)


@answers("length_score")
def _(log_p, lengths, n_prompt, alpha):
    new = np.subtract(lengths, n_prompt).astype(log_p.dtype)
    return log_p * np.exp(-alpha * np.log(new))


# Lesson 11


@answers("relative_bias_backward")
def _(d_scores, buckets, n_buckets):
    d_table = np.zeros((n_buckets, d_scores.shape[1]), d_scores.dtype)
    for t in range(buckets.shape[0]):
        for s in range(buckets.shape[1]):
            d_table[buckets[t, s]] += d_scores[:, :, t, s].sum(axis=0)
    return d_table


@answers("relative_bias_backward")
def _(d_scores, buckets, n_buckets):
    onehot = np.eye(n_buckets, dtype=d_scores.dtype)[buckets]
    return np.einsum("tsn,bhts->nh", onehot, d_scores)


@answers("relative_bias_backward")
def _(d_scores, buckets, n_buckets):
    rows = [d_scores[:, :, buckets == n].sum(axis=(0, 2)) for n in range(n_buckets)]
    return np.stack(rows)


@answers("grouped_backward")
def _(d_keys, n_kv_heads):
    G = d_keys.shape[1] // n_kv_heads
    return np.stack([d_keys[:, n * G : (n + 1) * G].sum(axis=1) for n in range(n_kv_heads)], axis=1)


@answers("grouped_backward")
def _(d_keys, n_kv_heads):
    B, H, S, d = d_keys.shape
    out = np.zeros((B, n_kv_heads, S, d), d_keys.dtype)
    for h in range(H):
        out[:, h // (H // n_kv_heads)] += d_keys[:, h]
    return out


@answers("grouped_backward")
def _(d_keys, n_kv_heads):
    return np.add.reduceat(d_keys, np.arange(0, d_keys.shape[1], d_keys.shape[1] // n_kv_heads), axis=1)


@answers("permute_rope")
def _(weight, d_head):
    order = np.arange(d_head).reshape(2, -1).T.ravel()
    starts = np.arange(0, weight.shape[1], d_head)
    return weight[:, (starts[:, None] + order).ravel()]


@answers("permute_rope")
def _(weight, d_head):
    out = np.empty_like(weight)
    for start in range(0, weight.shape[1], d_head):
        head = weight[:, start : start + d_head]
        out[:, start : start + d_head : 2] = head[:, : d_head // 2]
        out[:, start + 1 : start + d_head : 2] = head[:, d_head // 2 :]
    return out


@answers("permute_rope")
def _(weight, d_head):
    heads = np.split(weight, weight.shape[1] // d_head, axis=1)
    woven = [np.stack(np.split(head, 2, axis=1), axis=-1).reshape(len(weight), -1) for head in heads]
    return np.concatenate(woven, axis=1)


@answers("swiglu_backward")
def _(dy, x, Wg, W1, W2):
    g, u = x @ Wg, x @ W1
    s = 1 / (1 + np.exp(-g))
    h = dy @ W2.T
    dg, du = h * u * (s + g * s * (1 - s)), h * g * s
    return np.einsum("mf,df->md", dg, Wg) + np.einsum("mf,df->md", du, W1), x.T @ dg, x.T @ du, (g * s * u).T @ dy


@answers("swiglu_backward")
def _(dy, x, Wg, W1, W2):
    grads = [np.zeros_like(a) for a in (x, Wg, W1, W2)]
    for m in range(len(x)):
        g, u = Wg.T @ x[m], W1.T @ x[m]
        s = 0.5 * (1 + np.tanh(g / 2))
        h = W2 @ dy[m]
        du, dg = h * g * s, h * u * s * (1 + g - g * s)
        grads[0][m] = Wg @ dg + W1 @ du
        grads[1] += np.outer(x[m], dg)
        grads[2] += np.outer(x[m], du)
        grads[3] += np.outer(g * s * u, dy[m])
    return tuple(grads)


@answers("swiglu_backward")
def _(dy, x, Wg, W1, W2):
    both = x @ np.concatenate([Wg, W1], axis=1)
    g, u = np.split(both, 2, axis=1)
    s = np.reciprocal(1 + np.exp(-g))
    silu = g * s
    h = np.dot(dy, W2.T)
    d_both = np.concatenate([h * u * (silu + s * (1 - silu)), h * silu], axis=1)
    d_w = x.T @ d_both
    F = Wg.shape[1]
    return d_both @ np.concatenate([Wg, W1], axis=1).T, d_w[:, :F], d_w[:, F:], np.dot((silu * u).T, dy)


@answers("llama_parameters")
def _(vocab, d_model, n_heads, n_kv_heads, d_ff, n_blocks):
    total = vocab * d_model
    for _ in range(n_blocks):
        total += 2 * d_model**2 + 2 * d_model * (d_model // n_heads) * n_kv_heads + 3 * d_ff * d_model + 2 * d_model
    return total + d_model + d_model * vocab


@answers("llama_parameters")
def _(vocab, d_model, n_heads, n_kv_heads, d_ff, n_blocks):
    d_head = d_model // n_heads
    shapes = [(d_model, n_heads * d_head), (n_heads * d_head, d_model), *[(d_model, n_kv_heads * d_head)] * 2]
    shapes += [(d_model, d_ff)] * 2 + [(d_ff, d_model), (d_model, 1), (d_model, 1)]
    return 2 * vocab * d_model + d_model + n_blocks * sum(a * b for a, b in shapes)


@answers("llama_parameters")
def _(vocab, d_model, n_heads, n_kv_heads, d_ff, n_blocks):
    per_feature = 2 * d_model + 2 * n_kv_heads * (d_model // n_heads) + 3 * d_ff + 2
    return d_model * (2 * vocab + 1 + n_blocks * per_feature)


# Lesson 13


@answers("shares_backward")
def _(logits_1, targets_1, logits_2, targets_2, pad):
    logits, targets = np.concatenate([logits_1, logits_2]), np.concatenate([targets_1, targets_2])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p[np.arange(len(p)), targets] -= 1
    p[targets == pad] = 0
    p /= np.count_nonzero(targets != pad)
    return p[: len(logits_1)], p[len(logits_1) :]


@answers("shares_backward")
def _(logits_1, targets_1, logits_2, targets_2, pad):
    n = sum(int((targets != pad).sum()) for targets in (targets_1, targets_2))
    found = []
    for logits, targets in ((logits_1, targets_1), (logits_2, targets_2)):
        d = np.zeros_like(logits)
        for i in np.flatnonzero(targets != pad):
            e = np.exp(logits[i] - logits[i].max())
            d[i] = e / e.sum() / n
            d[i, targets[i]] -= 1 / n
        found.append(d)
    return tuple(found)


@answers("shares_backward")
def _(logits_1, targets_1, logits_2, targets_2, pad):
    def mean_gradient(z, t):
        p = np.exp(z - np.log(np.exp(z).sum(1, keepdims=True)))
        n = np.count_nonzero(t != pad)
        return n, (p - np.eye(z.shape[1], dtype=z.dtype)[t]) * (t != pad)[:, None] / n

    (n_1, g_1), (n_2, g_2) = mean_gradient(logits_1, targets_1), mean_gradient(logits_2, targets_2)
    return g_1 * (n_1 / (n_1 + n_2)), g_2 * (n_2 / (n_1 + n_2))


@answers("ring_turn")
def _(pieces, turn):
    n = len(pieces)
    sent = np.zeros_like(pieces)
    ranks = np.arange(n)
    sent[(ranks + 1) % n, (ranks - turn) % n] = pieces[ranks, (ranks - turn) % n]
    return pieces + sent


@answers("ring_turn")
def _(pieces, turn):
    n = len(pieces)
    after = [[piece.copy() for piece in rank] for rank in pieces]
    for to in range(n):
        i = (to - 1 - turn) % n
        after[to][i] = pieces[to][i] + pieces[to - 1][i]
    return np.array(after)


@answers("ring_turn")
def _(pieces, turn):
    n = len(pieces)
    mask = np.roll(np.eye(n, dtype=bool), 1 + turn, axis=0)[..., None]
    return pieces + np.roll(pieces, 1, axis=0) * mask
