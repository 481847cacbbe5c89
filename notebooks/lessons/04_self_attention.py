# %% [markdown]
# # 04 · Self-attention: a sentence asks itself
#
# **Goal.** Write $\mathrm{softmax}(QK^\top/\sqrt d)\,V$, take it apart, and take its gradient back to every input, with
# your own hands.
#
# - **What you'll do:** write attention for one query, then for a sentence; its backward first in twelve names, then in
#   six lines; step through a backward with the debugger; shuffle a sentence; find a bug.
# - **What you'll learn:** what queries, keys and values are; why the scores are divided by $\sqrt d$; the one trap in
#   softmax's gradient; what is computed in parallel and what is not.
# - **What you'll need:** lessons 00, 01 and 03; the Jacobian of a function.
# - **On your own:** three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import (
    check,
    debug_session,
    diagram,
    hint,
    predict,
    predictions,
    show_solution,
    show_source,
    versions,
)
from minitransformer.layers import (
    Array,
    Glorot,
    Identity,
    Linear,
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
# Every word becomes a weighted average of the values of all words. For one query by hand: $q = (\sqrt 2, 0)$, three
# keys
# $(0, 3)$, $(\log 2, 1)$, $(\log 5, 0)$, so $d = 2$, and three values 8, 16, 0.
#
# | | key 0 | key 1 | key 2 |
# |---|---|---|---|
# | $q \cdot k / \sqrt 2$ | $0$ | $\log 2$ | $\log 5$ |
# | $e^x$ | 1 | 2 | 5 |
# | weight | 1/8 | 2/8 | 5/8 |
# | weight · value | 1 | 4 | 0 |
#
# The context is 5.

# %% tags=["assert"]
q, k = np.array([2**0.5, 0.0]), np.array([[0.0, 3.0], [np.log(2), 1.0], [np.log(5), 0.0]])
powers = np.exp(k @ q / 2**0.5)
assert np.allclose(powers / powers.sum() @ np.array([8.0, 16.0, 0.0]), 5.0)

# %% [markdown]
# ### Exercise: one query

# %% exercise="one_query"

# %% [markdown]
# Now all words ask at once. With all numbers, for three words of four features:

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
# From here on $x$ is a **batch**, with the shape (B, T, D): B sentences, T words in each, D features of each word. The first
# axis only counts sentences, which have nothing to do with one another. NumPy's `@` multiplies the last two axes, one
# sentence at a time. So what is transposed is the last two axes alone; `.T` would turn all three.
#
# ### Exercise: self-attention

# %% exercise="self_attention"

# %% [markdown]
# Here is the package's version. Ignore heads and masks until lesson 05: between the checks you find your own lines.

# %%
show_source(ScaledDotProductAttention.forward)

# %% [markdown]
# Why three matrices and not one?
#
# **Predict before you run.** Let queries and keys be the vectors themselves ($W_q = W_k = I$, $D = 64$, random words).
# Where does each word look?

# %%
predict("where words look", "")

# %%
D = 64
words = rng.standard_normal((1, 7, D))
_, plain = ScaledDotProductAttention().forward(words[:, None], words[:, None], words[:, None])
print("weight of each word on itself:", plain["weights"][0, 0].diagonal().round(3))

# %% [markdown]
# With 64 features a random vector's product with itself is much larger than with any other (lesson 01). And the
# scores would be symmetric: the score of one word with another would be that of the other with the one. (The weights
# would not: each row is divided by its own sum.) $W_q$ and $W_k$ let a word look for something that it is not. $W_v$
# lets it hand on something other than what is looked for.
#
# ## 2 · Why $\sqrt d$
#
# Let the $d$ entries of $q$ and $k$ be independent, with mean 0 and variance 1. Then $q \cdot k$ is a sum of $d$
# products, each of variance 1, so it has variance $d$ and is of the order of $\sqrt d$.
#
# **Predict before you run.** Among ten keys, how large is the largest weight on average when $d = 1024$, with and
# without the division? And what does that do to the gradient?

# %%
predict("the largest weight", "")

# %%
q, k = rng.standard_normal((2, 10_000, 256))
products = (q * k).sum(axis=1)
print(f"d = 256: the variance of q k is {products.var():.0f}, that of q k / sqrt(d) {(products / 16).var():.2f}")
axes = softmax_saturation(np.random.default_rng(0))

# %% tags=["assert"]
assert abs(products.var() / 256 - 1) < 0.05

# %% [markdown]
# Where softmax has settled on one key its slope is nearly zero, and hardly anything is learned through it. The $d$ in
# question is the length of the queries and keys that are multiplied: with several heads it is $d = D / h$ for $h$
# heads, and not the model's width $D$ (lesson 05 measures the difference).
#
# ## 3 · The way back through softmax
#
# $y_i = e^{x_i} / \sum_j e^{x_j}$. Every score moves **every** weight of its row: it is in its own power, and in the
# sum. First the long way, as a matrix. For three scores and weights $y = (1/2, 1/4, 1/4)$ the first row of the Jacobian
# $\partial y_0 / \partial x_j$ is $(1/4, -1/8, -1/8)$. It sums to zero. Why must it?
#
# ### Exercise: softmax's Jacobian

# %% exercise="softmax_jacobian"

# %%
y = np.array([0.5, 0.25, 0.25])
jacobian = np.array([[0.25, -0.125, -0.125], [-0.125, 0.1875, -0.0625], [-0.125, -0.0625, 0.1875]])
dy = np.array([4.0, 8.0, 0.0])
print("dy times the Jacobian:", dy @ jacobian, "  the average of dy, weighted by y:", y @ dy)

# %% tags=["assert"]
assert np.allclose(jacobian, np.diag(y) - np.outer(y, y))
assert (dy @ jacobian).tolist() == [0, 1, -1]
assert y @ dy == 4

# %% [markdown]
# Nobody builds that matrix for a whole batch. Multiply it by $dy$ on paper, $dx_j = \sum_i dy_i\, \partial y_i /
# \partial x_j$, and simplify. The numbers above help: compare $dx$ with $dy$ and its average.
#
# ### Exercise: back through softmax

# %% exercise="softmax_backward"

# %% [markdown]
# $dx_j = y_j (dy_j - \sum_i y_i\, dy_i)$. In words: raising a score raises the loss if its $dy$ is *above the average*,
# and lowers it if it is below. The package's:

# %%
show_source(Softmax.backward)

# %% [markdown]
# **A trap when you test it.** Many people check a backward with an upstream gradient of ones. Here is a wrong rule,
# which takes the plain mean of $dy$ away instead of the mean weighted by $y$. Predict what both return for `dy = 1`
# everywhere.

# %%
predict("dy = 1", "")


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
# ## 4 · The whole way back
#
# Forward is a chain. Backward is its mirror: the same boxes from right to left, each with its $d$.

# %%
places = {"x": 0, "q, k, v": 2, "scores": 4.2, "weights": 6.6, "context": 8.8}
names = list(places)
axes = diagram(
    {
        **{name: (at, 1.4, name) for name, at in places.items()},
        **{f"d {name}": (at, 0, "dx" if name == "x" else f"d {name}") for name, at in places.items()},
    },
    [
        *zip(names, names[1:], ("W", "q kᵀ / √d", "softmax", "weights · v"), [""] * 4),
        *zip(
            [f"d {name}" for name in names[:0:-1]],
            [f"d {name}" for name in names[-2::-1]],
            [""] * 4,
            ("product", "softmax", "product, √d", "3 products"),
        ),
    ],
    title="The chain and its mirror. (v skips the scores: dv comes directly from d context)",
    size=(9.5, 3),
)

# %% [markdown]
# Write it in twelve names, one line each. Four rules do it: $Y = AB$ gives $dA = dY\,B^\top$ and $dB = A^\top dY$; a
# constant factor stays; softmax you have; and what is used three times has three gradients (here they are returned
# apart). The check looks at every name and names the first wrong line.
#
# ### Exercise: self-attention, step by step

# %% exercise="attention_steps_backward"

# %% [markdown]
# Now the part that every head shares, from the context to queries, keys and values, in at most six lines. It has the
# batch axis again, and there may be another number of keys, S, than of queries, T.
#
# ### Exercise: attention, the whole way back

# %% exercise="attention_backward"

# %%
show_source(ScaledDotProductAttention.backward)

# %% [markdown]
# Compare the forward of section 1, from its first line to its last, with this backward, from its last line to its
# first: they are mirrors. Everything together, with biases, checked entry by entry:

# %%
check_gradients(SelfAttention(6, 2, rng), rng.standard_normal((2, 3, 6)))

# %% [markdown]
# One line of the table is odd: the gradient of `key.bias` is zero up to rounding. A bias $b$ on all keys adds $q
# \cdot b$ to *all* scores of a query's row, and softmax takes that away. So a bias of the keys learns nothing, ever.
# (The bias of the queries does learn: it adds a different number for each key.)

# %% [markdown]
# ## 5 · Stepping through
#
# A layer does not store the results of a call. What backward needs travels in the **cache**, by name, and prints
# itself as a tree:

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
# typed for you, in the package's backward; change the commands and run it again.

# %%
commands = """
n
n
p q.shape, k.shape, v.shape
n
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

# %% tags=["assert"]
import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()) as screen:
    debug_session(commands, attention.attention.backward, d_context, cache["attention"])
assert "Error" not in screen.getvalue(), "the package's backward has other lines: count the n's again"

# %% [markdown]
# The last but one command summed the gradients of the scores over each row: zero, up to rounding. Raising all scores
# of a row by the same amount changes no weight.
#
# ## 6 · Shuffled words
#
# **Predict before you run.** Put the words of a sentence in another order. What happens to the vectors that
# self-attention makes of them? (In the code, `PE` is the table of lesson 02: `sinusoids(T, D)` has a vector for each
# position, sines in its even columns and cosines in its odd ones, which is added to the word's vector.)

# %%
predict("shuffled words", "")

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
# An LSTM needs the state before it can compute the next: $T$ steps that wait for each other. Self-attention needs
# nothing but $x$: all positions are rows of the same matrix products. Word 4 does not need the outputs of words 0 to 3:

# %%
D = 64
attention = SelfAttention(D, 1, Glorot(rng, np.float64))
x = rng.standard_normal((1, 9, D))
together = attention(x)[:, 4]
q = attention.query(x[:, 4:5])
weights = Softmax()(q @ attention.key(x).swapaxes(-1, -2) * D**-0.5)
by_itself = attention.output(weights @ attention.value(x))[:, 0]
print(f"word 4 by itself and together with all others: they differ by {abs(by_itself - together).max():.0e}")

# %% tags=["assert"]
assert np.allclose(by_itself, together, atol=1e-12)

# %% [markdown]
# Lecture notes sometimes say that "the N blocks run in parallel". They do not: block 2 reads what block 1 wrote. **The
# positions run in parallel; the blocks run one after another.** And there is a price: every word looks at every other,
# so twice the words are four times the scores.
#
# ## 8 · Find the bug
#
# At the end of a model stands softmax once more, as its logarithm: $\log p_i = x_i - \log \sum_j e^{x_j}$. Somebody
# wrote its backward. A classifier trains with it. Here is its loss, beside that of the same classifier with the right
# one.

# %%
broken, right = versions("log_softmax_backward")


def classifier_losses(rule, steps: int = 200, rate: float = 0.5) -> list[float]:
    """Ten clouds in five dimensions, one linear layer."""
    draw = np.random.default_rng(0)
    classes = draw.integers(0, 10, 300)
    points = draw.standard_normal((10, 5))[classes] + draw.standard_normal((300, 5))
    W, losses = np.zeros((5, 10)), []
    for _ in range(steps):
        logits = points @ W
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        losses.append(-log_p[np.arange(300), classes].mean())
        W = W - rate * points.T @ rule(-np.eye(10)[classes] / 300, log_p)
    return losses


curves = {"this code": classifier_losses(broken), "right": classifier_losses(right)}
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, losses in curves.items():
    ax.plot(losses, label=f"{name}: {losses[-1]:.2f} after {len(losses)} steps")
ax.set(xlabel="step", ylabel="loss")
_ = ax.legend()

# %% tags=["assert"]
assert min(curves["this code"]) < 0.6 * curves["this code"][0]
assert curves["this code"][10] < curves["right"][10]
assert curves["this code"][-1] > 1.5 * curves["right"][-1]
assert curves["this code"][-1] > 1.2 * min(curves["this code"])

# %% [markdown]
# It learns, at first even faster. Then the loss climbs, and one would blame the learning rate. Find the line and mend
# it.

# %% exercise="log_softmax_backward"

# %% [markdown]
# **What tells them apart?** Adding a constant to all logits changes no probability, so the gradient of a row must sum
# to zero:

# %%
log_p = np.log(np.array([[0.5, 0.25, 0.25]]))
for name, rule in (("this code", broken), ("right", right)):
    dx = rule(np.array([[-1.0, 0.0, 0.0]]), log_p)[0]
    print(f"{name:9} dx = {dx}, its sum {dx.sum():.2f}")

# %% [markdown]
# The code takes the diagonal of the Jacobian for the whole: it raises the right logit and never lowers another. In
# mlpack the backward of log-softmax left its sum out in a similar way (issue mlpack #2360); the one who reported it had
# compared with another library, and the project's Jacobian test shows an error of order one.

# %%
predictions(
    {
        "where words look": "Each at itself: more than 0.95 of the weight.",
        "the largest weight": "Without the division it is nearly 1, and the gradient nearly 0.",
        "dy = 1": "Both return zeros, so this test cannot tell them apart.",
        "shuffled words": "They are shuffled in the same way, and nothing else.",
    }
)

# %% [markdown]
# ## Summary
#
# - Query, key, value: three products of the same $x$. Scores divided by $\sqrt d$, softmax over the keys, average.
# - Softmax's backward takes away the average of $dy$, weighted by $y$; the gradient of a row of scores sums to zero.
# - Backward is the forward's mirror. What is used three times gets three gradients, which add up.
# - Without positions self-attention knows no order. Positions run in parallel, blocks do not.
#
# ## On your own
#
# 1. What is the rank of softmax's Jacobian for a row of five scores, and which direction does it send to zero?
# 2. Let all scores be 0. What does self-attention compute then? And if one score goes to infinity?
# 3. Add 1000 to all scores of a row. What should happen, and what happens in `np.exp(x) / np.exp(x).sum()`? Find the
#    line in `Softmax.forward` that takes care of it.

# %% [markdown] tags=["teacher"]
# **Answers.** 1. Rank 4 of 5: it sends $(1, \dots, 1)$ to zero, since equal additions change nothing. 2. The plain mean
# of the values; and if one score goes to infinity, that key's value alone. 3. Nothing should happen; `np.exp`
# overflows, and inf/inf is NaN. `Softmax.forward` takes each row's maximum away first.
