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
# - **What you'll need:** NumPy's indexing; the rule $Y = AB \Rightarrow dA = dY\,B^\top,\ dB = A^\top dY$.
# - **On your own:** Three open questions at the end.

# %%
import time

import numpy as np

from minitransformer.course import check, hint, show_solution, show_source
from minitransformer.data import Batch, EnglishFrench, LanguageVocabulary, pad_sequences
from minitransformer.layers import Array, Chain, Dense, Embedding, Glorot, Tanh, Unallocated, Unembedding
from minitransformer.models import Transformer, TransformerConfig, summary
from minitransformer.plotting import embeddings_before_after, loss_curves
from minitransformer.training import Constant, Trainer
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
# $$ y_t = \mathrm{onehot}(id_t)\; E = E[id_t], \qquad E \in \mathbb{R}^{V \times D} $$
#
# so an embedding is a linear layer, with $E$ as its weight, whose input happens to be nearly all zeros. Nobody
# multiplies by the zeros: the code takes rows.

# %% [markdown]
# **Predict before you run.** 10,000 words, 256 features, a batch of 32 sentences of 32 words. How many
# multiplications does the one-hot product need, and how many the lookup? About how much faster will the lookup be?

# %%
rng = np.random.default_rng(0)
V, D, B, T = 10_000, 256, 32, 32
table = rng.standard_normal((V, D)).astype(np.float32)
many = rng.integers(0, V, (B, T))

start = time.perf_counter()
one_hot = np.eye(V, dtype=np.float32)[many.reshape(-1)]  # (B T, V): nearly all of it zeros
product = (one_hot @ table).reshape(B, T, D)
middle = time.perf_counter()
looked_up = table[many]
end = time.perf_counter()

print("the same numbers:", np.array_equal(product, looked_up))
print(f"multiplications: {B * T * V * D:,} and 0;  numbers in the one-hot array: {one_hot.size:,}")
print(f"the lookup is {(middle - start) / (end - middle):,.0f} times faster here")

# %% [markdown]
# ### Exercise: look up vectors

# %% exercise="embed"

# %%
show_source(Embedding.forward)

# %% [markdown]
# ## 3 · The way back: scatter-add
#
# The forward is $Y = O E$ with the one-hot rows $O$ (N × V), so the rule for products gives
#
# $$ dE = O^\top dY, \qquad \text{row } v:\quad dE_v = \sum_{t\,:\,id_t = v} dy_t . $$
#
# Row $v$ **collects** the gradients of all places where word $v$ stands. Words that do not occur have a gradient of
# zero.
#
# **Predict before you run.** In the sentence above *the* occurs twice. Let every $dy_t$ be all ones. What does
# `d_table[ids] += dy` put into the row of *the*?

# %%
the, cat, dog = (vocabulary.token_id[word] for word in ("the", "cat", "dog"))
dy = np.ones((1, ids.shape[1], 4))

buffered = np.zeros((len(vocabulary.tokens), 4))
buffered[ids] += dy
print("rows of        the                cat")
print("[ids] += dy   ", buffered[the], buffered[cat])

# %% [markdown]
# `d_table[ids] += dy` reads all rows, adds, and writes all rows: of two occurrences the second overwrites the first.
# No error is raised, and on sentences without repeated words it is even right.
#
# ### Exercise: scatter-add

# %% exercise="embed_backward"

# %% [markdown]
# The package's own, which flattens first since `np.add.at` is fast on flat arrays only:

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
# positions of the batch at once: $dx = d\mathrm{logits}\; E$ and $dE = d\mathrm{logits}^\top x$.
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
# T5 do.) In this package tying *is* sharing the `Parameter` object:
#
# ```python
# first = Embedding(V, D, init)
# last = Unembedding(first.weight)
# ```
#
# What is used twice gets the **sum** of both gradients. This needs no code of its own, because every backward *adds* to
# `grad` and none overwrites it. That is the first rule of the house.

# %%
show_source(Unembedding.forward, Unembedding.backward)

# %% [markdown]
# ### Exercise: one table, two roles

# %% exercise="tied_backward"

# %% [markdown]
# Is the package's sum right? A gradient check compares every entry with a derivative that comes from no backward at
# all (complex step, $f'(x) = \mathrm{Im} f(x + ih) / h$, exact to rounding). The ids repeat on purpose.


# %%
def tied_model(n: int, d_model: int, init) -> Chain:
    """ids -> vectors -> tanh(x W + b) -> logits, with one table at both ends."""
    first = Embedding(n, d_model, init)
    middle = Chain(linear=Dense(d_model, d_model, init), activation=Tanh())
    return Chain(embedding=first, middle=middle, head=Unembedding(first.weight))


check_gradients(tied_model(7, 5, rng), np.array([[1, 4, 1], [6, 1, 0]]))

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
history = trainer.fit(NextWords(), 300)
axes = loss_curves(history)

# %% [markdown]
# **Predict before you look.** Which of these groups will lie together: animals, things, adjectives, words like *my*
# and *the*, pronouns? What do the members of a group share, *as seen by this model*?

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
# drawn. Which word will be predicted after *cat*?

# %%
logits = before @ before.T
itself = logits.argmax(axis=1) == np.arange(len(before))
print(f"words that predict themselves as their own successor: {itself.mean():.0%}")

# %% [markdown]
# Nothing is as similar to a vector as itself. A tied table needs something between its two ends that changes the
# question from *what is this?* to *what comes next?* The rest of the course is about that something.
#
# ## On your own
#
# 1. `np.add.at` can be written as a product with the one-hot rows. For which $V$ and $N$ would that be the faster
#    way? Measure.
# 2. Train the model of section 6 untied (`Dense(32, V)` as its head). Do the input vectors group as clearly? Why
#    would tying help rare words? (How often does a rare word's row get a gradient, in each of the two roles?)
# 3. The Transformer multiplies what it looks up by $\sqrt D$. Its tables are drawn with variance $1/D$. What is the
#    length of a looked-up vector before and after? Keep the answer for lesson 02, where positions are added to it.
