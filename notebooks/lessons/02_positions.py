# %% [markdown]
# # 02 · Positions: telling the order of words
#
# **Goal.** Give every position a vector of its own, and see why sines and cosines in pairs make a shift of the sentence
# a rotation.
#
# - **What you'll do:** build the table of sines and cosines, find the matrix that moves it on, train a model with and
#   without positions, write two backward passes, and find a bug.
# - **What you'll learn:** why attention needs positions at all; why $n$ dimensions are $n/2$ frequencies; what a
#   learned table gains and loses.
# - **What you'll need:** lesson 01; the addition theorems of sine and cosine; a 2 × 2 rotation.
# - **On your own:** three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, hint, predict, predictions, show_solution, show_source, versions
from minitransformer.data import Batch, FreshBatches, PairBatches, ToyTask
from minitransformer.decoding import greedy
from minitransformer.layers import (
    Array,
    Chain,
    Dense,
    Embedding,
    Glorot,
    LearnedPositions,
    Rotary,
    SelfAttention,
    SinusoidalPositions,
    sinusoids,
)
from minitransformer.models import MinimalConfig, MinimalTransformer
from minitransformer.plotting import encoding_curves, encoding_heatmap, encoding_similarity, training_figure
from minitransformer.training import Every, ProgressBar, Trainer, WarmupCosine, evaluate
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · The problem: a bag of words
#
# A recurrent network reads word after word, so it knows the order. Attention (lessons 03 and 04) compares every word
# with every other and takes averages, and an average does not know in which order it was taken.
#
# **Predict before you run.** Self-attention reads *dog bites man*, then *man bites dog*. What happens to the vector
# that it makes of *dog*?

# %%
predict("dog", "")

# %%
rng = np.random.default_rng(0)
D = 64
attention = SelfAttention(D, 4, Glorot(rng, np.float64))
word = {name: rng.standard_normal(D) for name in ("dog", "bites", "man")}


def dog_after(sentence: str, positions: Array) -> Array:
    """What self-attention makes of the word dog in this sentence."""
    words = sentence.split()
    x = np.stack([word[name] for name in words])[None] + positions  # (1, T, D)
    return attention(x)[0, words.index("dog")]


for name, positions in (("without positions", np.zeros((3, D))), ("with sinusoids", sinusoids(3, D))):
    one, other = dog_after("dog bites man", positions), dog_after("man bites dog", positions)
    print(f"{name:18}: largest difference between the two vectors of dog {abs(one - other).max():.1e}")

# %% [markdown]
# Not *nearly* the same: the same, to rounding. Who bites whom cannot be known. The remedy is simple: a vector for each
# **position** is added to the word's vector, $x_t + PE_t$.
#
# ## 2 · Sines and cosines
#
# The Transformer of 2017 uses, for position $t$ and pair $i = 0 \dots D/2 - 1$,
#
# $$ PE[t, 2i] = \sin\frac{t}{10000^{2i/D}}, \qquad PE[t, 2i+1] = \cos\frac{t}{10000^{2i/D}} . $$
#
# Lecture notes often say "each dimension has its own frequency". It is not so: **$D$ dimensions are $D/2$
# frequencies, each a sine and a cosine.** Section 3 settles why that matters.
#
# By hand, $D = 4$: pair 0 turns by $t$, pair 1 by $t / 10000^{2/4} = t / 100$.
#
# | $t$ | $\sin t$ | $\cos t$ | $\sin t/100$ | $\cos t/100$ |
# |---|---|---|---|---|
# | 0 | 0 | 1 | 0 | 1 |
# | 1 | 0.84 | 0.54 | 0.01 | 1.00 |
# | 2 | 0.91 | -0.42 | 0.02 | 1.00 |
#
# ### Exercise: the table of sines and cosines

# %% exercise="position_table"

# %%
show_source(sinusoids)

# %% tags=["assert"]
assert sinusoids(3, 4).round(2).tolist() == [[0, 1, 0, 1], [0.84, 0.54, 0.01, 1.0], [0.91, -0.42, 0.02, 1.0]]

# %%
axes = encoding_heatmap(sinusoids(60, 64))

# %% [markdown]
# Read it like a clock. The leftmost pair turns fastest, once in about six positions; to the right the hands turn ever
# more slowly, the last about once in 47,000 positions. Fast hands tell neighbours apart, slow hands tell the
# beginning from the end.
#
# The same as curves: each dimension is one curve, and the vector of a word is read off **all** curves at its position.

# %%
sentence = "I got my car straight from the showroom , it was new ."
words = sentence.split()
axes = encoding_curves(sinusoids(len(words), 16), position=3, words=words)

# %% [markdown]
# **Predict before you run.** How long is the vector of position 0, of position 1, of position 1,000?

# %%
predict("lengths", "")

# %%
table = sinusoids(1001, D)
print("lengths:", np.linalg.norm(table[[0, 1, 1000]], axis=1), " sqrt(D/2) =", (D / 2) ** 0.5)
angle = np.arctan2(table[1, 0::2], table[1, 1::2])  # of each pair, in radians a position
print(f"{D} dimensions, {len(np.unique(angle.round(12)))} frequencies")

# %% [markdown]
# In every pair $\sin^2 + \cos^2 = 1$, so all positions are vectors of one length, $\sqrt{D/2}$. A table of words drawn
# with variance $1/D$ has vectors of length 1, and the Transformer multiplies them by $\sqrt D$. The paper gives no
# reason. A common reading is that the words would otherwise drown in the positions.
#
# ## 3 · A shift is a rotation
#
# Each pair is a clock with one hand. Here are three of them, at $t = 3$ and three positions further on.

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for i, ax in enumerate(axes):
    rate = 10000.0 ** (-2 * i / 8)
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="0.7"))
    for t, colour in ((3, "#0072B2"), (6, "#D55E00")):
        ax.annotate("", (np.sin(t * rate), np.cos(t * rate)), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour})
        ax.text(1.15 * np.sin(t * rate), 1.15 * np.cos(t * rate), f"t={t}", color=colour, ha="center", va="center")
    ax.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal", title=f"pair {i}: turned by {3 * rate:.3f}")
    ax.axis("off")
_ = figure.suptitle("A shift by three positions turns each hand by its own angle, wherever it stood", fontsize=11)

# %% [markdown]
# Take one pair and call its angle $a$. Some positions further on it is $a + b$, and the addition theorems say
#
# $$ \sin(a+b) = \sin a \cos b + \cos a \sin b, \qquad \cos(a+b) = \cos a \cos b - \sin a \sin b . $$
#
# Both are linear in the row $[\sin a, \cos a]$: multiply it by a matrix that knows the **distance** and not the
# position. So "three words back" is one and the same linear map wherever you stand, and that is something a
# matrix can learn. In lesson 04 every word makes a *query* and a *key*, each by a matrix of its own, and the dot product of a query
# with a key says how much one word looks at another: so a word can look "three words back".
#
# ### Exercise: a shift is a rotation

# %% exercise="shift_matrix"

# %% [markdown]
# Does it need the pairs? Ask least squares for the best matrix $M$ with $PE[t+3] \approx PE[t]\,M$ for all $t$: once
# for the real table, once for the table of the misconception, where every column has a frequency of its own.
#
# **Predict before you run.** For which of the two is there such a matrix?

# %%
predict("a matrix that shifts", "")

# %%
T, D = 20_000, 6
angle = np.arange(T)[:, None] / 10000.0 ** (np.arange(D) / D)
own_frequencies = np.where(np.arange(D) % 2, np.cos(angle), np.sin(angle))

for name, table in (("pairs of sine and cosine", sinusoids(T, D)), ("a frequency for each column", own_frequencies)):
    M = np.linalg.lstsq(table[:-3], table[3:], rcond=None)[0]
    wrong, turns = abs(table[:-3] @ M - table[3:]).max(), abs(M @ M.T - np.eye(D)).max()
    print(f"{name:27}: worst error of PE[t] M {wrong:.0e};  M M^T differs from the identity by {turns:.0e}")

# %% [markdown]
# With pairs the shift is exact, and $M M^\top = I$: a rotation, which changes no length. Without them there is no such
# matrix. And since a rotation by the same matrix leaves dot products alone, $PE_s \cdot PE_t$ depends on $t - s$ only:

# %%
axes = encoding_similarity(sinusoids(60, 64))

# %% [markdown]
# Neighbours are the most alike, and the *trend* falls with the distance. It does not fall at every step:

# %%
similarity = sinusoids(60, 64)[0] @ sinusoids(60, 64).T
print(f"from one distance to the next, of 59: {int((np.diff(similarity) > 0).sum())} times the similarity rises")

# %% tags=["assert"]
assert int((np.diff(similarity) > 0).sum()) == 22

# %% [markdown]
#
# ## 4 · Learned positions
#
# GPT-2 does not compute its table, it **learns** it: $y = x + P_{0 \dots T-1}$, with $P$ a parameter of `max_length`
# rows. Forward it is the same addition. Backward, sinusoids have nothing to learn ($dx = dy$, and that is all), but
# row $t$ of $P$ was added to position $t$ of *every sentence* of the batch, and some rows to none.
#
# By hand: two sentences of two words of one feature, $dy = \begin{pmatrix} 1 & 2 \\ 10 & 20 \end{pmatrix}$, and
# `max_length` 3. Row 0 was added to the first word of both sentences. Which three numbers is the gradient of $P$? (The
# answer: 11, 22, 0.)
#
# ### Exercise: back to a learned table

# %% exercise="learned_positions_backward"

# %%
show_source(SinusoidalPositions.backward, LearnedPositions.backward)

# %%
check_gradients(LearnedPositions(7, 5, rng), rng.standard_normal((2, 3, 5)))

# %% [markdown]
# What it gains: any pattern at all. What it loses: a position that was never trained does not exist.

# %%
learned = LearnedPositions(16, 8, rng)
try:
    learned(np.zeros((1, 17, 8)))
except ValueError as error:
    print("learned:", error)
print("sinusoids:", SinusoidalPositions(8)(np.zeros((1, 17, 8))).shape)

# %% [markdown]
# ## 5 · Live: reversing a list
#
# The task: read *3 1 4 1 5*, write *5 1 4 1 3*. It is nothing but order. The model is the smallest Transformer there is
# (lessons 07 and 08 take it apart); here we only exchange one part, its positions. 600 steps each.
#
# **Predict before you run.** Without positions, will the model get no symbol right, some, or all? Which symbols of *3
# 1 4 1 5* does it know, and what does it not know?

# %%
predict("without positions", "")

# %%
task = ToyTask("reverse", n_symbols=8, min_length=5, max_length=8)
data = FreshBatches(task.sample, 32, seed=0)
held_out = PairBatches(task.sample(np.random.default_rng(1), 200, "test"), 200, seed=0).batch(0)


def train(positions) -> tuple[MinimalTransformer, Trainer]:
    """Train the minimal Transformer with these positions: init -> layer."""
    init = Glorot(np.random.default_rng(0))
    n = len(task.vocabulary.tokens)
    model = MinimalTransformer(MinimalConfig(n, n, d_model=32, n_heads=4), init)
    model.source_embedding.positions = positions(init)
    model.target_embedding.positions = positions(init)
    trainer = Trainer(model, schedule=WarmupCosine(5e-3, 600, 40))
    trainer.fit(data, 600, [ProgressBar(), Every(100, lambda trainer: evaluate(model, [held_out]))])
    return model, trainer


runs = {
    "none": train(lambda init: None),
    "sinusoids": train(lambda init: SinusoidalPositions(32)),
    "learned": train(lambda init: LearnedPositions(10, 32, init.scaled(32**0.5))),
}
sources = held_out.inputs[0]
for name, (model, trainer) in runs.items():
    last = trainer.history.validations[-1]
    written = greedy(model, sources, start=task.vocabulary.bos, eos=task.vocabulary.eos, max_new_tokens=12)
    same = [sorted(found.ids) == sorted(row[row > task.vocabulary.unk]) for found, row in zip(written, sources)]
    print(
        f"{name:10} symbols right {last['token_accuracy']:4.0%}, whole lists right {last['exact_match']:4.0%},"
        f" the right symbols in any order {np.mean(same):4.0%}"
    )

# %% tags=["assert"]
finals = {name: trainer.history.validations[-1] for name, (_, trainer) in runs.items()}
assert finals["none"]["exact_match"] == 0
assert finals["sinusoids"]["exact_match"] > 0.8
assert finals["learned"]["exact_match"] > 0.95

# %%
for name in ("none", "learned"):
    figure = training_figure(runs[name][1].history)
    figure.suptitle(f"positions: {name}", fontsize=10, x=0.02, ha="left")

# %% [markdown]
# Without positions the model sees a bag. "Symbols right" is counted while the right symbols before it are given, so it can rule out
# what was written already: half of the symbols are right. On its own it often writes the symbols that are there ("in any order"), and
# never once a whole list in the right order. With positions most lists are right (sinusoids) or all of them (learned).
#
# Which is better? Here the learned table: 10 positions are soon learned, and every vector may become what the task
# needs. In longer texts the positions far out are rare, and a computed table has them for nothing.
#
# And what did it learn? Compare its table with the sinusoids above: no waves. For ten positions it is enough that no
# two rows are alike.

# %%
axes = encoding_heatmap(runs["learned"][0].source_embedding.positions.weight.value)

# %% [markdown]
# ## 6 · Turning instead of adding
#
# If a shift is a rotation, why not rotate the vectors themselves? Llama does (Su et al. 2021): queries and keys are
# turned, pair by pair, each pair by an angle that grows with the position. The product of the two then depends on their positions only through the distance,
# and nothing is added to the words. Lesson 11 comes back to it. Its backward belongs here, since you have all that it
# needs. For one pair, $y_0 = x_0 \cos\theta - x_1 \sin\theta$ and $y_1 = x_0 \sin\theta + x_1 \cos\theta$.
#
# By hand: a quarter turn, $\theta = 90°$, makes $(y_0, y_1) = (-x_1, x_0)$. Let $dy = (5, 7)$. Then $x_1$ went into
# $y_0$ with a minus: $dx_1 = -5$, and $dx_0 = 7$. Which rotation takes $(5, 7)$ to $(7, -5)$?
#
# ### Exercise: back through a rotation

# %% exercise="rotate_backward"

# %% [markdown]
# $dx = dy\, R_\theta^\top = dy\, R_{-\theta}$: the gradient **turns back**. The package's own:

# %%
show_source(Rotary.forward, Rotary.backward)

# %% [markdown]
# **Predict before you run.** Query *q* stands at position 3, key *k* at position 1. Both move on by 20 positions.
# Does their dot product change when positions are *added*? When the vectors are *turned*?

# %%
predict("added or turned", "")

# %%
q, k = rng.standard_normal((2, 16))
rotary = Rotary(16)


def product(t: int, s: int) -> tuple[float, float]:
    """q at position t with k at position s: once with positions added, once with vectors turned."""
    PE = sinusoids(64, 16)
    turned_q, turned_k = (rotary(np.tile(z, (1, 1, 64, 1)))[0, 0] for z in (q, k))
    return float((q + PE[t]) @ (k + PE[s])), float(turned_q[t] @ turned_k[s])


for t, s in ((3, 1), (23, 21)):
    added, turned = product(t, s)
    print(f"positions {t:2} and {s:2}: added {added:8.4f}, turned {turned:8.4f}")

# %% [markdown]
# ## 7 · Find the bug
#
# Words and positions together: $y = \sqrt D\,E[ids] + PE$. Somebody wrote its backward. A small model trains with it:
# one layer of attention names the word *before* the one that stands there, of 20 words. Here is its loss, beside that
# of the same model with the right backward.

# %%
broken, right = versions("input_backward")


class Input(Embedding):
    """sqrt(D) E[ids] + PE, with a backward from outside."""

    def __init__(self, n: int, d_model: int, init, rule) -> None:
        super().__init__(n, d_model, init, scale=d_model**0.5)
        self.rule = rule

    def forward(self, ids: Array, rng=None):
        y, cache = super().forward(ids)
        return y + sinusoids(ids.shape[1], self.d_model, y.dtype), cache

    def backward(self, dy: Array, cache) -> None:
        self.weight.grad += self.rule(dy, cache["ids"], self.n)


class OneBack:
    """A batch for every step: words 1 ... 20, and for each place the word before."""

    def batch(self, step: int) -> Batch:
        ids = np.random.default_rng([0, step]).integers(1, 21, (32, 10))
        return Batch((ids,), np.concatenate([np.zeros_like(ids[:, :1]), ids[:, :-1]], axis=1))


def losses_with(rule) -> list[float]:
    init = Glorot(np.random.default_rng(0))
    model = Chain(tokens=Input(21, 16, init, rule), attention=SelfAttention(16, 1, init), head=Dense(16, 21, init))
    history = Trainer(model, schedule=WarmupCosine(1e-2, 300, 20)).fit(OneBack(), 300, [ProgressBar()])
    return [record["loss"] for record in history.steps]


curves = {"this code": losses_with(broken), "right": losses_with(right)}
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, losses in curves.items():
    ax.plot(losses, label=f"{name}: {losses[-1]:.2f} after 300 steps")
ax.set(xlabel="step", ylabel="loss")
_ = ax.legend()

# %% tags=["assert"]
assert curves["this code"][-1] < 0.5 * curves["this code"][0]
assert curves["right"][-1] < 0.1 * curves["this code"][-1]

# %% [markdown]
# It learns. It would be taken for a model that is too small. Find the line and mend it.

# %% exercise="input_backward"

# %% [markdown]
# **What tells them apart?** The gradient of the first parameter, the one that is farthest from the loss:

# %%
dy, ids = rng.standard_normal((2, 3, 4)), np.array([[1, 3, 1], [0, 2, 1]])
for name, rule in (("this code", broken), ("right", right)):
    print(f"{name:9} largest entry of the table's gradient: {abs(rule(dy, ids, 5)).max():.2f}")

# %% [markdown]
# A constant that is *added* has no gradient of its own, and yet it must let the gradient of the other term through. In
# ESPnet's first Transformer (pull request espnet #465) the positions were computed as a constant, with all that they
# were added to, and so nothing beneath them was trained: neither the embedding nor the layers that read the sound. It
# still recognized speech, to its author's surprise, since random vectors are told apart by the layers above. A print of
# every parameter's gradient after one step shows it at once.

# %%
predictions(
    {
        "dog": "It is the same vector, to rounding.",
        "lengths": "All have the same length, the root of D/2.",
        "a matrix that shifts": "For the pairs of sine and cosine; it is a rotation.",
        "without positions": "Some symbols, and no whole list: it knows which symbols there are, not their order.",
        "added or turned": "Added: it changes. Turned: it stays.",
    }
)

# %% [markdown]
# ## Summary
#
# - Attention alone is blind to order. A vector for each position is added.
# - $D$ dimensions are $D/2$ frequencies; a shift turns each pair by its own angle.
# - A learned table may become anything, but ends at `max_length`; its backward sums over the batch.
# - The backward of a rotation turns back.
#
# ## On your own
#
# 1. Replace the base 10,000 by 10. How far apart must two positions be until their vectors are (nearly) the same
#    again? What does `encoding_similarity` show?
# 2. Test the models of section 5 on lists of 9 symbols, one more than in training (raise `max_length` in
#    `LearnedPositions` first: its last row is then never trained). Which of the two goes on better, and does either
#    go on well?
# 3. $PE_s \cdot PE_t$ depends on the distance, but $(x_s + PE_s) W_q W_k^\top (x_t + PE_t)^\top$ has four parts.
#    Does any of them depend on the distance alone? For which $A = W_q W_k^\top$? (The matrices $W_q$ and $W_k$ make queries and
#    keys of words: lesson 04.)

# %% [markdown] tags=["teacher"]
# **Answers.** 1. The slowest hand then turns once in less than 63 positions, so all hands are near their start again
# soon after; `encoding_similarity` shows stripes that come back. 2. Neither goes on well. The learned table has a last
# row that was never trained; the sinusoids are defined there, but the model never saw those vectors. 3. Only
# $PE_s W_q W_k^\top PE_t^\top$ can, and only if $W_q W_k^\top$ commutes with the rotations (as the identity does).
