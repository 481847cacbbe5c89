# %% [markdown]
# # 04 · Self-attention: a sentence asks itself
#
# **Goal.** Write $\mathrm{softmax}(QK^\top/\sqrt d)\,V$, take it apart, and take its gradient back to every input, with
# your own hands.
#
# - **What you'll do:** write self-attention in four lines and its backward in three pieces; step through a backward
#   with the debugger; shuffle a sentence.
# - **What you'll learn:** what queries, keys and values are; why the scores are divided by $\sqrt d$; the one trap in
#   softmax's gradient; what is computed in parallel and what is not.
# - **What you'll need:** lessons 01 and 03; the Jacobian of a function.
# - **On your own:** three open questions at the end.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, debug_session, hint, show_solution, show_source
from minitransformer.layers import (
    Array,
    Chain,
    Glorot,
    Identity,
    Linear,
    LSTMLayer,
    ScaledDotProductAttention,
    SelfAttention,
    Softmax,
    sinusoids,
)
from minitransformer.plotting import attention_map, attention_matrices, softmax_saturation
from minitransformer.verify import check_gradients, trace

# %% [markdown]
# ## 1 · Query, key, value
#
# In lesson 03 a decoder's state asked, and the encoder's states answered. Now the words of **one** sentence ask each
# other, and there is no recurrence any more. Each word's vector $x_t$ plays three parts, through three matrices:
#
# $$ q_t = x_t W_q \ \text{(what do I look for?)}, \quad k_t = x_t W_k \ \text{(what am I found by?)}, \quad
# v_t = x_t W_v \ \text{(what do I hand over?)} $$
#
# and then, for all words at once,
#
# $$ \mathrm{scores} = \frac{Q K^\top}{\sqrt d}, \qquad \mathrm{weights} = \mathrm{softmax}(\mathrm{scores}), \qquad
# Y = \mathrm{weights}\; V . $$
#
# Every word becomes a weighted average of the values of all words. On the board, with all numbers, for three words of
# four features:

# %%
rng = np.random.default_rng(2)
attention = SelfAttention(4, 1, Glorot(rng, np.float64), projection=Linear, output=Identity)
x = rng.standard_normal((1, 3, 4)).round(1)
y, cache = attention.forward(x)
axes = attention_matrices(cache, ["the", "cat", "sleeps"])

# %% [markdown]
# **Check one number by hand.** Take row *cat* of Q and row *sleeps* of K, multiply, sum, divide by $\sqrt 4$. It
# stands in row *cat*, column *sleeps* of the scores.
#
# ### Exercise: self-attention in four lines

# %% exercise="self_attention"

# %% [markdown]
# The package's, for any number of heads and with a mask. Between checks and bookkeeping you find your four lines:

# %%
show_source(ScaledDotProductAttention.forward)

# %% [markdown]
# Why three matrices and not one?
#
# **Predict before you run.** Let queries and keys be the vectors themselves ($W_q = W_k = I$, $D = 64$, random words).
# Where does each word look?

# %%
D = 64
words = rng.standard_normal((1, 7, D))
_, plain = ScaledDotProductAttention().forward(words[:, None], words[:, None], words[:, None])
print("weight of each word on itself:", plain["weights"][0, 0].diagonal().round(3))

# %% [markdown]
# Nothing is as similar to a vector as itself (you saw that in lesson 01). And scores would be symmetric: *it* would
# look at *car* just as much as *car* at *it*. $W_q$ and $W_k$ let a word look for something that it is not.
#
# ## 2 · Why $\sqrt d$
#
# Let the $d$ entries of $q$ and $k$ be independent, with mean 0 and variance 1. Then $q \cdot k$ is a sum of $d$
# products, each of variance 1, so it has variance $d$ and is of the order of $\sqrt d$.
#
# **Predict before you run.** Among ten keys, how large is the largest weight on average when $d = 1024$, with and
# without the division? And what does that do to the gradient?

# %%
q, k = rng.standard_normal((2, 10_000, 256))
products = (q * k).sum(axis=1)
print(f"d = 256: the variance of q k is {products.var():.0f}, that of q k / sqrt(d) {(products / 16).var():.2f}")
axes = softmax_saturation(np.random.default_rng(0))

# %% [markdown]
# Where softmax has settled on one key its slope is zero, and nothing is learned through it. The $d$ in question is
# the length of the queries and keys that are multiplied: with several heads it is $d = n / h$, and not the model's
# width $n$ (lesson 05 measures the difference).
#
# ## 3 · The way back through softmax
#
# $y_i = e^{x_i} / \sum_j e^{x_j}$. Every score moves **every** weight of its row:
#
# $$ \frac{\partial y_i}{\partial x_j} = y_i(\delta_{ij} - y_j) \qquad\Rightarrow\qquad
# dx_j = \sum_i dy_i\, y_i (\delta_{ij} - y_j) = y_j \Big( dy_j - \sum_i dy_i\, y_i \Big). $$
#
# In words: a score is worth raising if its key gives *more than the average* of what is given now.
#
# ### Exercise: back through softmax

# %% exercise="softmax_backward"

# %% [markdown]
# The package's:

# %%
show_source(Softmax.backward)

# %% [markdown]
# **A trap when you test it.** Many people check a backward with an upstream gradient of ones. Here is a wrong rule,
# which takes the plain mean of $dy$ away instead of the mean weighted by $y$. Predict what both return for `dy = 1`
# everywhere.


# %%
def plain_mean(dy: Array, y: Array) -> Array:
    """A wrong backward of softmax."""
    return y * (dy - dy.mean(axis=-1, keepdims=True))


y, cache = Softmax().forward(rng.standard_normal(5))
for name, dy in (("dy = 1", np.ones(5)), ("dy random", rng.standard_normal(5))):
    print(f"{name:10} right {Softmax().backward(dy, cache).round(3)}   wrong {plain_mean(dy, y).round(3)}")

# %% [markdown]
# The weights sum to 1 whatever the scores are, so $\sum_i y_i$ has no gradient at all. With ones, a backward that
# returns nothing but zeros passes. **Test with random upstream gradients.**
#
# ## 4 · Back to queries and keys, then all of it
#
# $S = Q K^\top / \sqrt d$ is a matrix product, so $dQ = dS\, K / \sqrt d$ and $dK = dS^\top Q / \sqrt d$. And
# $Y = W V$ gives $dV = W^\top dY$, $dW = dY\, V^\top$.
#
# ### Exercise: back to queries and keys

# %% exercise="scores_backward"

# %% [markdown]
# ### Exercise: attention, the whole way back

# %% exercise="attention_backward"

# %%
show_source(ScaledDotProductAttention.backward)

# %% [markdown]
# Forward and backward are mirrors: read one from the top and the other from the bottom. In self-attention $x$ was
# used three times, as query, as key and as value, so its gradient is a sum of three (lesson 05). Everything together,
# checked entry by entry:

# %%
check_gradients(SelfAttention(6, 2, rng), rng.standard_normal((2, 3, 6)))

# %% [markdown]
# ## 5 · Stepping through
#
# Layers keep nothing that a call computes. What backward needs travels in the **cache**, by name, and prints itself
# as a tree:

# %%
attention = SelfAttention(6, 2, Glorot(rng, np.float64))
x = rng.standard_normal((2, 3, 6))
y, cache = attention.forward(x)
cache

# %% [markdown]
# `trace` runs a forward and a backward and writes down what went in and out of every layer:

# %%
trace(attention, x)

# %% [markdown]
# To stand *inside* a backward, put a breakpoint there. In JupyterLab: switch the debugger on (the bug at the top
# right), then click on a line number of a cell. Everywhere: run a cell with
#
# ```python
# import pdb; pdb.runcall(layer.backward, dy, cache)
# ```
#
# and type `n` (next line), `s` (step into), `p name` (print), `a` (arguments), `c` (go on). Here such a session is
# typed for you, in the backward that you have just written; change the commands and run it again.

# %%
commands = """
n
n
p q.shape, k.shape, v.shape
n
p dv.shape
n
n
n
p abs(d_scores.sum(axis=-1)).max()
p cache
"""
d_context = rng.standard_normal((2, 2, 3, 3))
dq, dk, dv = debug_session(commands, attention.attention.backward, d_context, cache["attention"])

# %% [markdown]
# Before the end the gradients of the scores were summed over each row: zero. Raising all scores of a row by the same
# amount changes no weight.
#
# ## 6 · Shuffled words
#
# **Predict before you run.** Put the words of a sentence in another order. What happens to the vectors that
# self-attention makes of them?

# %%
D, T = 64, 7
attention = SelfAttention(D, 4, Glorot(rng, np.float64))
x = rng.standard_normal((1, T, D))
order = np.array([3, 0, 6, 1, 5, 2, 4])

difference = attention(x[:, order]) - attention(x)[:, order]
print(f"attention(shuffled) - shuffled(attention):              {abs(difference).max():.0e}")
PE = sinusoids(T, D)
difference = attention(x[:, order] + PE) - attention(x + PE)[:, order]
print(f"the same, with positions added after the shuffling:     {abs(difference).max():.0e}")

# %% [markdown]
# Shuffle the words and the outputs are shuffled, nothing else: self-attention is **permutation equivariant**. Seen as
# a map, the rows and columns change places:

# %%
names = np.array(["I", "got", "my", "car", "from", "the", "showroom"])
w = attention.forward(x)[1]["weights"][0, 0]
w_shuffled = attention.forward(x[:, order])[1]["weights"][0, 0]
print("the map of the shuffled sentence is the shuffled map:", np.allclose(w_shuffled, w[np.ix_(order, order)]))
figure, axes = plt.subplots(1, 2, figsize=(9.0, 4.2), layout="constrained")
for ax, weights, words, title in (
    (axes[0], w, names, "One head, the words in order"),
    (axes[1], w_shuffled, names[order], "The same head, the words shuffled"),
):
    attention_map(weights, words, words, ax=ax, title=title, annotate=False)

# %% [markdown]
# Find *car* in both: it looks at the same words with the same weights. (The weights of this head are random, so it
# looks here and there. Training is what gives it something to look for.)
#
# ## 7 · What runs in parallel
#
# An LSTM needs the state before it can compute the next. Self-attention needs nothing but $x$: all positions are rows
# of the same matrix products. Lecture notes sometimes say that "the N blocks run in parallel". They do not: block 2
# reads what block 1 wrote. **The positions run in parallel; the blocks run one after another.**
#
# **Predict before you run.** Twice as many words: how much longer does the LSTM take, and how much longer does
# attention?

# %%
D = 64
lstm, attention = LSTMLayer(D, D, rng), SelfAttention(D, 1, rng)


def milliseconds(layer, T: int) -> float:
    """The best of five forwards of 8 sentences."""
    x = rng.standard_normal((8, T, D)).astype(np.float32)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        layer.forward(x)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


print("words   LSTM: one step after another   self-attention: all words at once   scores")
for T in (16, 32, 64, 128, 256, 512):
    print(f"{T:5} {milliseconds(lstm, T):27.2f} ms {milliseconds(attention, T):32.2f} ms {T * T:8,}")

# %%
x = rng.standard_normal((1, 9, D)).astype(np.float32)
together = attention.forward(x)[0][:, 4]
q = attention.query(x[:, 4:5])
weights = Softmax()(q @ attention.key(x).swapaxes(-1, -2) * D**-0.5)
by_itself = attention.output(weights @ attention.value(x))[:, 0]
print("word 4 computed without the other outputs is the same:", np.allclose(by_itself, together, atol=1e-6))

# %% [markdown]
# The price: every word looks at every other, so the scores are $T \times T$ numbers. Four times the words are sixteen
# times the scores, and the time of attention in the table catches up with that of the LSTM as sentences grow.
#
# And blocks? Each reads what the one before it wrote, so their times add up:

# %%
for n in (1, 2, 4, 8):
    stack = Chain(**{f"block_{i}": SelfAttention(D, 1, rng) for i in range(n)})
    print(f"{n} blocks of attention, 64 words: {milliseconds(stack, 64):5.2f} ms")

# %% [markdown]
# ## On your own
#
# 1. Build the Jacobian of softmax for a row of five scores as a matrix (`np.diag(y) - np.outer(y, y)`). What is its
#    rank, and which direction does it send to zero?
# 2. Let all scores be 0. What does self-attention compute then? And if one score goes to infinity?
# 3. Add 1000 to all scores of a row. What should happen, and what happens in `np.exp(x) / np.exp(x).sum()`? Find the
#    line in `Softmax.forward` that takes care of it.
