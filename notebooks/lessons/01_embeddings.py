# %% [markdown]
# # 01 · Embeddings: words become vectors
#
# **Goal.** Follow one number from a word's id to its vector and, on the way back, from the loss to exactly the rows
# of the table that were looked up.
#
# - **What you'll do:** Look up vectors, scatter gradients back, tie the output to the input, and watch words that are
#   used alike come together.
# - **What you'll learn:** Why a lookup is a matrix product; why its backward *adds*; what sharing a table does to its
#   gradient.
# - **What you'll need:** lesson 00; NumPy's indexing; the rule $Y = AB \Rightarrow dA = dY\,B^\top,\ dB = A^\top dY$.
# - **On your own:** Three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, diagram, hint, predict, predictions, show_solution, show_source, versions
from minitransformer.data import Batch, EnglishFrench, LanguageVocabulary, pad_sequences
from minitransformer.layers import Array, Chain, Dense, Embedding, Glorot, Tanh, Unallocated, Unembedding
from minitransformer.models import Transformer, TransformerConfig, summary
from minitransformer.plotting import embeddings_before_after, loss_curves
from minitransformer.training import Constant, ProgressBar, Trainer
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · From words to ids
#
# A model computes with numbers. So every word gets an **id**, a row number in a table, and the row is the word's
# vector, its **embedding**. The course has a small grammar that makes English sentences (and later their French
# translations):

# %%
grammar = EnglishFrench()
vocabulary = LanguageVocabulary(grammar.source_tokens, "english")
sentence = "the cat sees the dog , it is small ."
ids = np.array([vocabulary.encode(sentence)])
print(len(vocabulary.tokens), "words; ids of the sentence:", ids[0])

# %% [markdown]
# ## 2 · A lookup is a one-hot product
#
# Write word $v$ as a vector of $V$ zeros with a one at place $v$. Then
#
# $$ y_t = \mathrm{onehot}(id_t)\; E, \qquad E \in \mathbb{R}^{V \times D} $$
#
# is row $id_t$ of the table. So an embedding is a linear layer (lesson 00) with $E$ as its weight, whose input is
# nearly all zeros. Nobody multiplies by the zeros: the code takes rows. By hand, four words of two features and the ids
# 1, 3, 1:

# %%
E = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
onehot = np.array([[0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]])  # the one-hot rows of 1, 3, 1
print(onehot @ E)

# %% tags=["assert"]
assert (onehot @ E).tolist() == [[3, 4], [7, 8], [3, 4]]

# %% [markdown]
# ### Exercise: look up vectors

# %% exercise="embed"

# %%
show_source(Embedding.forward)

# %% [markdown]
# **Predict before you run.** 10,000 words, 256 features, a batch of 32 sentences of 32 words. How many
# multiplications does the one-hot product need, and how many the lookup?

# %%
predict("multiplications", "")

# %%
rng = np.random.default_rng(0)
V, D, B, T = 10_000, 256, 32, 32
print(f"multiplications: {B * T * V * D:,} and 0;  numbers in the one-hot array: {B * T * V:,}")

# %% [markdown]
# ## 3 · The way back: scatter-add
#
# The forward is $Y = O E$ with the one-hot rows $O$ (N × V), so the rule for products gives
#
# $$ dE = O^\top dY . $$
#
# By hand, with the ids 1, 3, 1 of above and $dy = (1, 2), (3, 4), (5, 6)$:
#
# **Predict before you run.** Which rows of $dE$ are not zero, and what is in them?

# %%
predict("rows of dE", "")

# %%
dy = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
print(onehot.T @ dy)
axes = diagram(
    {
        **{
            f"dy{t}": (1.8 * t, 1.6, f"dy of place {t}: id {i}\n({2 * t + 1}, {2 * t + 2})")
            for t, i in enumerate((1, 3, 1))
        },
        "row 1": (1.8, 0.3, "dE, row 1\n(6, 8)"),
        "row 3": (1.8, 2.9, "dE, row 3\n(3, 4)"),
    },
    [("dy0", "row 1", "", "(1, 2)"), ("dy1", "row 3", "", "(3, 4)"), ("dy2", "row 1", "", "+ (5, 6)")],
    title="Scatter-add: every place adds to the row of its word; rows 0 and 2 stay zero",
)

# %% tags=["assert"]
assert (onehot.T @ dy).tolist() == [[0, 0], [6, 8], [0, 0], [3, 4]]

# %% [markdown]
# Nobody builds $O$: start with zeros, and add each $dy_t$ to its row (a loop will do; `np.add.at` is NumPy's way). Test your function on ids that repeat.
#
# ### Exercise: scatter-add

# %% exercise="embed_backward"

# %% [markdown]
# $dE_v = \sum_{t\,:\,id_t = v} dy_t$: row $v$ **collects** the gradients of all places where word $v$ stands. Words
# that do not occur have a gradient of zero. The package's own:

# %%
show_source(Embedding.backward)

# %% [markdown]
# ## 4 · The output layer asks the opposite question
#
# At its end a model has a vector $x$ and wants a word. It compares $x$ with the vector of every word:
#
# $$ \mathrm{logits} = x\,E^\top, \qquad \mathrm{logits}_v = x \cdot E_v . $$
#
# The larger the dot product, the more probable the word. In reverse this is a plain matrix product, over all
# positions of the batch at once. By hand, one position, $x = (1, 2)$, three words, $d\mathrm{logits} = (0.2, 0.3, -0.5)$: the
# row of word 0 gets $0.2 \cdot (1, 2)$, that of word 1 $0.3 \cdot (1, 2)$, that of word 2 $-0.5 \cdot (1, 2)$.
#
# Mind the difference to section 3: there a position touched *one* row of the table. Here every position was compared
# with *every* row, so every row gets a gradient at every step.
#
# ### Exercise: back through the output layer

# %% exercise="unembed_backward"

# %% [markdown]
# ## 5 · Tied: one table, two roles
#
# Both tables have a row for each word, so why not use one? (Press and Wolf 2017; the Transformer of 2017, GPT-2 and
# the first T5, v1.0, do.) In this package tying *is* sharing the `Parameter` object:
#
# ```python
# first = Embedding(V, D, init)
# last = Unembedding(first.weight)
# ```
#
# What is used twice gets the **sum** of both gradients. This needs no code of its own, because every backward *adds* to
# `grad` and none overwrites it.
#
# ### Exercise: one table, two roles

# %% exercise="tied_backward"

# %%
show_source(Unembedding.forward, Unembedding.backward)

# %% [markdown]
# Is the package's sum right? A gradient check compares every entry with a derivative that comes from no backward at
# all (the complex step of lesson 00).


# %%
def tied_model(n: int, d_model: int, init) -> Chain:
    """ids -> vectors -> tanh(x W + b) -> logits, with one table at both ends."""
    first = Embedding(n, d_model, init)
    middle = Chain(linear=Dense(d_model, d_model, init), activation=Tanh())
    return Chain(embedding=first, middle=middle, head=Unembedding(first.weight))


check_gradients(tied_model(7, 5, rng), np.array([[1, 4, 1], [6, 1, 0]]))  # the ids repeat on purpose

# %% [markdown]
# How much does tying save? The Transformer of 2017 has 37,000 word pieces of 512 numbers, in *three* places: source,
# target, output.

# %%
counted = summary(Transformer(TransformerConfig.base(), Unallocated()))
one_table = 37_000 * 512
print(f"{counted.parameters:,} parameters; with three tables they would be {counted.parameters + 2 * one_table:,}")

# %% [markdown]
# ## 6 · Live: words that are used alike come together
#
# Nobody tells the model what a noun is. We only train it to predict the **next word** from the current one:
# `tied_model`, 32 features, 300 steps of 64 sentences. The table starts at random.


# %%
class NextWords:
    """A batch for every step: sentences of the grammar, and the same shifted by one."""

    def batch(self, step: int) -> Batch:
        sentences = grammar.sample(np.random.default_rng([0, step]), 64)
        ids = pad_sequences([vocabulary.encode_tokens(example.english) for example in sentences])
        return Batch((ids[:, :-1],), ids[:, 1:])


model = tied_model(len(vocabulary.tokens), 32, Glorot(np.random.default_rng(1)))
table = model.embedding.weight
before = table.value.copy()
trainer = Trainer(model, schedule=Constant(5e-3))
history = trainer.fit(NextWords(), 300, [ProgressBar()])
axes = loss_curves(history)

# %% [markdown]
# **Predict before you look.** Which of these groups will lie together: animals, things, adjectives, words like *my*
# and *the*, pronouns? What do the members of a group share, *as seen by this model*?

# %%
predict("groups", "")

# %%
groups = {
    "animals": ["cat", "dog", "goat", "hen", "bird"],
    "things": ["car", "house", "book", "lamp", "statue", "box", "letter", "guitar"],
    "adjectives": ["big", "small", "new", "old", "heavy"],
    "determiners": ["the", "my", "his", "her"],
    "pronouns": ["i", "we", "they", "he", "she"],
}
words = [word for group in groups.values() for word in group]
rows = [vocabulary.token_id[word] for word in words]
axes = embeddings_before_after(before[rows], table.value[rows], words, groups)


# %%
def nearest(word: str, vectors: Array, n: int = 5) -> list[str]:
    """The words whose vectors point most nearly in the same direction."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit[vocabulary.token_id[word]]
    return [vocabulary.tokens[i] for i in np.argsort(-likeness)[1 : n + 1]]


print(f"{'':8} {'before training':45} after")
for word in ("cat", "big", "my", "we", "sees"):
    print(f"{word:8} {', '.join(nearest(word, before)):45} {', '.join(nearest(word, table.value))}")

# %% [markdown]
# The model never saw a dictionary. Words that have the same neighbours got like gradients, step after step, and so like
# vectors: *you shall know a word by the company it keeps* (Firth 1957).
#
# **Predict before you run.** Leave out the middle layer, so that logits $= E[id]\,E^\top$, with the table as it was
# drawn. Which word will be predicted after *cat*? And with five words, if the vectors had 4 features only?

# %%
predict("after cat", "")

# %%
shares = {}
for D in (4, 64):
    itself = []
    for seed in range(200):
        words = np.random.default_rng(seed).standard_normal((5, D))
        itself.append((words @ words.T).argmax(axis=1) == np.arange(5))
    shares[D] = np.mean(itself)
    print(f"five random words of {D:2} features: {shares[D]:4.0%} have their largest logit at themselves")
itself = (before @ before.T).argmax(axis=1) == np.arange(len(before))
print(f"our table before training, 32 features: {itself.mean():.0%}")

# %% tags=["assert"]
assert 0.75 < shares[4] < 0.87
assert shares[64] > 0.999
assert itself.mean() > 0.99

# %% [markdown]
# $E_v \cdot E_v$ is a squared length, and $E_v \cdot E_w$ a length times a length times a cosine. With many features
# all lengths are nearly the same and all cosines small, so a word is most similar to itself. With few features a longer
# vector can win. A tied table therefore needs something between its two ends that changes the question from *what is
# this?* to *what comes next?* The rest of the course is about that something.
#
# ## 7 · Find the bug
#
# A large table is updated by rows: only those that were looked up have a gradient. Somebody wrote such a step. A small
# model that predicts the next word, $\mathrm{logits} = E[id]\,W$, trains with it. Here is its loss, beside that of
# the same model with a right step.

# %%
broken, right = versions("sparse_step")


def next_word_losses(step, steps: int = 100, rate: float = 10.0) -> list[float]:
    """The loss of a model whose table is updated by `step`."""
    draw, V = np.random.default_rng(2), len(vocabulary.tokens)
    E, W = 0.1 * draw.standard_normal((V, 16)), 0.1 * draw.standard_normal((16, V))
    losses = []
    for i in range(steps):
        batch = NextWords().batch(i)
        now, after = batch.inputs[0].ravel(), batch.targets.ravel()
        now, after = now[after > 0], after[after > 0]  # 0 is padding
        x = E[now]
        p = np.exp(x @ W)
        p /= p.sum(axis=1, keepdims=True)
        losses.append(-np.log(p[np.arange(len(now)), after]).mean())
        d_logits = p.copy()
        d_logits[np.arange(len(now)), after] -= 1.0
        d_logits /= len(now)
        E, W = step(E, now, d_logits @ W.T, rate), W - rate * x.T @ d_logits
    return losses


curves = {"this code": next_word_losses(broken), "right": next_word_losses(right)}
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, losses in curves.items():
    ax.plot(losses, label=f"{name}: {losses[-1]:.2f} after {len(losses)} steps")
ax.set(xlabel="step", ylabel="loss")
_ = ax.legend()
# %% tags=["assert"]
assert curves["this code"][-1] < 0.8 * curves["this code"][0]
assert curves["this code"][-1] > 1.1 * curves["right"][-1]

# %% [markdown]
# It learns, only less. One would try another learning rate. Find the line and mend it.

# %% exercise="sparse_step"

# %% [markdown]
# **What tells them apart?** A batch in which an id repeats, with numbers that one can count:

# %%
for name, step in (("this code", broken), ("right", right)):
    print(
        f"{name:9} ids 1, 3, 1, each with a gradient of 1, rate 1:",
        step(np.zeros((4, 1)), np.array([1, 3, 1]), np.ones((3, 1)), 1.0).ravel(),
    )

# %% [markdown]
# `table[ids] -= g` reads all rows, subtracts, and writes all rows: of two occurrences the second overwrites the first.
# No error is raised, and without repeated ids it is right. The same line was in the automatic differentiation of
# HIPS autograd (issue autograd #39), and later somebody wanted it back since it is faster (its pull request 136).

# %%
predictions(
    {
        "multiplications": "2,621,440,000 for the product, none for the lookup.",
        "rows of dE": "1 and 3. Row 1 is the sum of two: (6, 8).",
        "groups": "Words with the same neighbours: animals, things, adjectives, pronouns, and words like my.",
        "after cat": "cat itself. With 4 features a longer vector can win.",
    }
)

# %% [markdown]
# ## Summary
#
# - A lookup is a product with one-hot rows; its backward adds each $dy_t$ to the row of its word.
# - At the output every position is compared with every row, so every row gets a gradient.
# - One table in two roles gets the sum of both gradients.
# - Words that are used alike get like gradients, and so like vectors.
#
# ## On your own
#
# 1. `np.add.at` can be written as a product with the one-hot rows. For which $V$ and $N$ would that be the faster
#    way? Measure.
# 2. Train the model of section 6 untied (`Dense(32, len(vocabulary.tokens), init)` as its head). Do the input vectors group as clearly? Why
#    would tying help rare words? (How often does a rare word's row get a gradient, in each of the two roles?)
# 3. The Transformer multiplies what it looks up by $\sqrt D$. Its tables are drawn with variance $1/D$. What is the
#    length of a looked-up vector before and after? Keep the answer for lesson 02, where positions are added to it.

# %% [markdown] tags=["teacher"]
# **Answers.** 1. The product needs $N V D$ multiplications, the scatter-add $N D$ additions. NumPy's products are
# so much faster for each operation that for small $V$ (some tens) the product wins. 2. They group as well. Tied, a
# rare word's row also gets a gradient as an output, at every step; untied, only where the word occurs. 3. A row of
# variance $1/D$ has the length 1 on average, after the multiplication $\sqrt D$.
