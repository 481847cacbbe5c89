# %% [markdown]
# # 02 · Positions: telling the order of words
#
# **Goal.** Give every position a vector of its own, and see why sines and cosines in pairs make a shift of the sentence
# a rotation.
#
# - **What you'll do:** build the table of sines and cosines, find the matrix that moves it on, train a model with and
#   without positions, and write two backward passes.
# - **What you'll learn:** why attention needs positions at all; why $n$ dimensions are $n/2$ frequencies; what a
#   learned table gains and loses.
# - **What you'll need:** lesson 01; the addition theorems of sine and cosine; a 2 × 2 rotation.
# - **On your own:** three open questions at the end.

# %%
import numpy as np

from minitransformer.course import check, hint, show_solution, show_source
from minitransformer.data import FreshBatches, PairBatches, ToyTask
from minitransformer.decoding import greedy
from minitransformer.layers import (
    Array,
    Glorot,
    LearnedPositions,
    Rotary,
    SelfAttention,
    SinusoidalPositions,
    sinusoids,
)
from minitransformer.models import MinimalConfig, MinimalTransformer
from minitransformer.plotting import encoding_curves, encoding_heatmap, encoding_similarity, training_figure
from minitransformer.training import Every, Trainer, WarmupCosine, evaluate
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
# ### Exercise: the table of sines and cosines

# %% exercise="position_table"

# %%
show_source(sinusoids)

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
table = sinusoids(1001, D)
print("lengths:", np.linalg.norm(table[[0, 1, 1000]], axis=1), " sqrt(D/2) =", (D / 2) ** 0.5)
angle = np.arctan2(table[1, 0::2], table[1, 1::2])  # of each pair, in radians a position
print(f"{D} dimensions, {len(np.unique(angle.round(12)))} frequencies")

# %% [markdown]
# In every pair $\sin^2 + \cos^2 = 1$, so all positions are vectors of one length, $\sqrt{D/2}$. The words must not
# drown in that: a table drawn with variance $1/D$ has vectors of length 1, and so the Transformer multiplies them by
# $\sqrt D$.
#
# ## 3 · A shift is a rotation
#
# Take one pair and call its angle $a$. Ten positions further on it is $a + b$, and the addition theorems say
#
# $$ [\sin(a+b),\ \cos(a+b)] = [\sin a,\ \cos a] \begin{bmatrix} \cos b & -\sin b \\ \sin b & \cos b \end{bmatrix} . $$
#
# The matrix knows the **distance** and not the position. So "three words back" is one and the same linear map
# wherever you stand, and that is something a query matrix can learn.
#
# ### Exercise: a shift is a rotation

# %% exercise="shift_matrix"

# %% [markdown]
# Does it need the pairs? Ask least squares for the best matrix $M$ with $PE[t+3] \approx PE[t]\,M$ for all $t$: once
# for the real table, once for the table of the misconception, where every column has a frequency of its own.
#
# **Predict before you run.** For which of the two is there such a matrix?

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
# The nearer, the more alike. A head that does nothing but compare positions already looks at the neighbourhood.
#
# ## 4 · Learned positions
#
# GPT-2 does not compute its table, it **learns** it: $y = x + P_{0 \dots T-1}$, with $P$ a parameter of `max_length`
# rows. Forward it is the same addition. Backward, sinusoids have nothing to learn ($dx = dy$, and that is all), but
# row $t$ of $P$ was added to position $t$ of *every sentence* of the batch:
#
# $$ dx = dy, \qquad dP_t = \sum_b dy_{b,t} . $$
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
    trainer.fit(data, 600, [Every(100, lambda trainer: evaluate(model, [held_out]))])
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

# %%
for name in ("none", "learned"):
    figure = training_figure(runs[name][1].history)
    figure.suptitle(f"positions: {name}", fontsize=10, x=0.02, ha="left")

# %% [markdown]
# Without positions the model sees a bag: in more than half of the lists it writes just the symbols that are there,
# and never once in the right order. With positions, of either kind, the order is there too.
#
# Which is better? Here the learned table is quicker: 10 positions are soon learned, and every vector may become what
# the task needs. In longer texts the positions far out are rare, and a computed table has them for nothing.
#
# And what did it learn? Compare its table with the sinusoids above: no waves. For ten positions it is enough that no
# two rows are alike.

# %%
axes = encoding_heatmap(runs["learned"][0].source_embedding.positions.weight.value)

# %% [markdown]
# ## 6 · Turning instead of adding
#
# If a shift is a rotation, why not rotate the vectors themselves? Llama does (Su et al. 2021): queries and keys are
# turned, pair by pair, by the angle of their position. The product of the two then depends on their distance alone,
# and nothing is added to the words. Lesson 11 comes back to it. Its backward belongs here, since you have all that it
# needs:
#
# $$ y = x R_\theta \quad\Rightarrow\quad dx = dy\, R_\theta^\top = dy\, R_{-\theta} $$
#
# The gradient **turns back**.
#
# ### Exercise: back through a rotation

# %% exercise="rotate_backward"

# %%
show_source(Rotary.forward, Rotary.backward)

# %% [markdown]
# **Predict before you run.** Query *q* stands at position 3, key *k* at position 1. Both move on by 20 positions.
# Does their dot product change when positions are *added*? When the vectors are *turned*?

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
# ## On your own
#
# 1. Replace the base 10,000 by 10. How far apart must two positions be until their vectors are (nearly) the same
#    again? What does `encoding_similarity` show?
# 2. Test the models of section 5 on lists of 9 symbols, one more than in training (raise `max_length` in
#    `LearnedPositions` first: its last row is then never trained). Which of the two goes on better, and does either
#    go on well?
# 3. $PE_s \cdot PE_t$ depends on the distance, but $(x_s + PE_s) W_q W_k^\top (x_t + PE_t)^\top$ has four parts.
#    Which of them depends on the distance alone?
