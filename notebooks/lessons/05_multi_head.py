# %% [markdown]
# # 05 · Multi-head attention: several looks at once
#
# **Goal.** Split $n$ features into $h$ heads of $n/h$, see what that buys and what it costs, and take the
# gradient through the split and back.
#
# - **What you'll do:** split and merge heads, count weights and multiplications, write two backward passes, train one
#   head against two, and find a bug.
# - **What you'll learn:** why one softmax is not enough; what $h$ heads cost; how many weights the layer has;
#   $\sqrt{n/h}$, not $\sqrt n$.
# - **What you'll need:** lesson 04; reshape and swapaxes.
# - **On your own:** three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, hint, predict, predictions, show_solution, show_source
from minitransformer.course.exercises.lesson05 import found_code
from minitransformer.data import Batch
from minitransformer.layers import (
    Array,
    Chain,
    Dense,
    Embedding,
    Glorot,
    Identity,
    Linear,
    MultiHeadAttention,
    SelfAttention,
    SinusoidalPositions,
    Softmax,
    Unallocated,
)
from minitransformer.layers.attention import merge_heads as package_merge_heads
from minitransformer.layers.attention import split_heads as package_split_heads
from minitransformer.plotting import attention_grid, attention_map
from minitransformer.training import Every, ProgressBar, Trainer, WarmupCosine, evaluate
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · One softmax, one average
#
# A word often needs several things at once: a verb its subject *and* its object, a pronoun its noun *and* its number.
# One head has one row of weights, which sum to 1, and hands over **one** average:

# %%
v = np.eye(3)  # the values of three words: each is told from the others with certainty
for weights in ([0.5, 0.5, 0.0], [0.5, 0.0, 0.5]):
    print("weights", weights, "-> context", np.array(weights) @ v)

# %% [markdown]
# Look at two words and you get their mean. That *both* were there can be read off it, but **which was which** (the
# one before or the one three before, the subject or the object) only if the weights differ, and then as a difference
# in strength. With two heads there are two contexts, side by side, each with its own weights.
#
# ## 2 · Split and merge
#
# Head $j$ gets $d = n/h$ of the features of every word, those from $j d$ to $(j+1) d - 1$: $(B, T, n)$ becomes $(B, h, T, d)$.
# Then $h$ attentions run at once, in the same four lines as before: `@` does not care how many leading axes there
# are. Merging goes back the same way.
#
# By hand: three words of four features, numbered from 0 to 11, and two heads. Head 0 gets the first two features of
# every word, head 1 the last two:
#
# | | word 0 | word 1 | word 2 |
# |---|---|---|---|
# | $x$ | 0 1 2 3 | 4 5 6 7 | 8 9 10 11 |
# | head 0 | 0 1 | 4 5 | 8 9 |
# | head 1 | 2 3 | 6 7 | 10 11 |

# %% tags=["assert"]
assert package_split_heads(np.arange(12).reshape(1, 3, 4), 2)[0].tolist() == [
    [[0, 1], [4, 5], [8, 9]],
    [[2, 3], [6, 7], [10, 11]],
]

# %% [markdown]
# ### Exercise: deal features out to heads

# %% exercise="split_heads"

# %% [markdown]
# Afterwards the heads' contexts are put side by side again.
#
# ### Exercise: merge the heads

# %% exercise="merge_heads"

# %% [markdown]
# Both compute nothing, they only move numbers, and each undoes the other. So each is the other's **backward**: the
# gradient of $x$, when heads = split(x), is the merged gradient of the heads.

# %%
show_source(package_split_heads, package_merge_heads)

# %% [markdown]
# ## 3 · $h$ matrices $n \times n/h$, or one $n \times n$
#
# Lecture notes draw $h$ heads, each with its own three matrices of size $n \times n/h$. Written side by side these
# are three matrices $n \times n$. It is the same thing, in one product:

# %%
rng = np.random.default_rng(0)
B, T, n, h = 2, 5, 24, 4
x = rng.standard_normal((B, T, n))
per_head = [rng.standard_normal((n, n // h)) for _ in range(h)]

separately = np.stack([x @ w for w in per_head], axis=1)  # h products (B, T, n) (n, n/h) -> (B, h, T, n/h)
together = package_split_heads(x @ np.concatenate(per_head, axis=1), h)  # one product, then the split
print(separately.shape, "the same:", np.allclose(separately, together))

# %%
show_source(MultiHeadAttention.keys_and_values, MultiHeadAttention.attend)

# %% [markdown]
# **Predict before you run.** How do the number of weights and the number of multiplications grow from 1 head to 8?
# And how many weights does the layer have, $n^2$, $3n^2$ or $4n^2$? ($n = 512$, 64 words.)

# %%
predict("weights and products", "")

# %%
n, T = 512, 64
unallocated = Unallocated()  # counts without memory
print("heads   in the notes   4 projections   with biases      scores   multiplications for them")
for h in (1, 2, 4, 8):
    notes = SelfAttention(n, h, unallocated, projection=Linear, output=Identity).n_parameters()
    weights = SelfAttention(n, h, unallocated, projection=Linear, output=Linear).n_parameters()
    biases = SelfAttention(n, h, unallocated).n_parameters()
    products = h * T * T * (n // h)  # every head: T queries with T keys, each n/h long
    print(f"{h:5} {notes:14,} {weights:15,} {biases:13,} {h * T * T:11,} {products:26,}")
print("3 n^2 =", f"{3 * n * n:,}", "  4 n^2 =", f"{4 * n * n:,}")

# %% [markdown]
# **Settled:** the count does not depend on $h$. Notes that stop at the concatenation have $3n^2$ weights; the
# Transformer of 2017 multiplies the concatenation by one more matrix $W_o$ ($n \times n$), which lets the heads'
# findings mix: $4n^2$.
#
# What does grow with $h$ is the number of *scores*, and so of exponentials: few beside the products: as $h$ to $n$, whatever the
# length of the sentence.
#
# ## 4 · $\sqrt{n/h}$, not $\sqrt n$
#
# Notes that introduce $\sqrt n$ for one head and split later often forget to change it. A head's queries have
# $d = n/h$ entries, so their products are of the order of $\sqrt d$.
#
# **Predict before you run.** What happens to the weights if eight heads divide by $\sqrt n$?

# %%
predict("eight heads", "")

# %%
n, T = 512, 10
print("          scores' standard deviation   largest of 10 weights, on average")
print("heads      / sqrt(d)     / sqrt(n)          / sqrt(d)     / sqrt(n)")
for h in (1, 2, 4, 8, 16):
    d = n // h
    q, k = rng.standard_normal((2, 200, h, T, d))
    products = q @ k.swapaxes(-1, -2)
    spread = [(products * size**-0.5).std() for size in (d, n)]
    largest = [Softmax()(products * size**-0.5).max(axis=-1).mean() for size in (d, n)]
    print(f"{h:5} {spread[0]:13.2f} {spread[1]:13.2f} {largest[0]:18.2f} {largest[1]:13.2f}")

# %% [markdown]
# With $\sqrt n$ the more heads there are, the flatter they look: sixteen heads would begin as sixteen times nearly
# the same average.
#
# ## 5 · The way back
#
# From the end: $y = \mathrm{concat}(c_1 \dots c_h)\, W_o$ is a linear layer of the merged contexts.
#
# ### Exercise: back through the output projection

# %% exercise="output_backward"

# %% [markdown]
# Attention itself you have done (lesson 04): it has one more axis now, and not one line is different. At the
# beginning three projections read the same $x$, so three gradients come back to it.
#
# ### Exercise: three paths back to x

# %% exercise="projections_backward"

# %% [markdown]
# $dx = dQ\, W_q^\top + dK\, W_k^\top + dV\, W_v^\top$, with the heads of each merged first. The package's:

# %%
show_source(MultiHeadAttention.backward, SelfAttention.backward)

# %%
check_gradients(SelfAttention(6, 3, rng), rng.standard_normal((2, 5, 6)))

# %% [markdown]
# The key's bias adds the same number to all scores of a query, and softmax does not see that: its gradient is zero, and both numbers in
# its row are rounding. The error of a row is relative to the size of the other gradients.

# %% [markdown]
# ## 6 · Live: one head against two
#
# A task made for the point of section 1. Words are numbers from 1 to 6; at every position the model must name **two**
# of them, in order: the one before, and the one three before. 36 answers are possible. One layer of attention, 32
# features, 400 steps.
#
# **Predict before you run.** All three models have exactly the same number of parameters. How well can one head do?

# %%
predict("one head", "")

# %%
WORDS, LENGTH, D = 6, 12, 32


class TwoLooks:
    """A batch for every step: words, and for each position the pair (1 back, 3 back) as one number, 1 ... 36."""

    def batch(self, step: int) -> Batch:
        ids = np.random.default_rng([0, step]).integers(1, WORDS + 1, (64, LENGTH))
        targets = np.zeros_like(ids)  # 0: nothing to name
        targets[:, 3:] = 1 + (ids[:, 2:-1] - 1) * WORDS + (ids[:, :-3] - 1)
        return Batch((ids,), targets)


def new_model(n_heads: int) -> Chain:
    init = Glorot(np.random.default_rng(0))
    return Chain(
        tokens=Embedding(WORDS + 1, D, init, scale=D**0.5),
        positions=SinusoidalPositions(D),
        attention=SelfAttention(D, n_heads, init),
        head=Dense(D, WORDS * WORDS + 1, init),
    )


held_out = TwoLooks().batch(1_000_000)
models, final = {}, {}
for n_heads in (1, 2, 4):
    model = models[n_heads] = new_model(n_heads)
    trainer = Trainer(model, schedule=WarmupCosine(1e-2, 400, 40))
    history = trainer.fit(
        TwoLooks(), 400, [ProgressBar(), Every(100, lambda trainer: evaluate(trainer.model, [held_out]))]
    )
    right = ", ".join(f"{record['token_accuracy']:4.0%}" for record in history.validations)
    print(f"{n_heads} heads, {model.n_parameters():,} parameters: pairs right after 100, 200, 300, 400 steps: {right}")
    final[n_heads] = history.validations[-1]["token_accuracy"]

# %% tags=["assert"]
assert len({model.n_parameters() for model in models.values()}) == 1
assert 2 / 36 < final[1] < 0.7 < 0.9 < min(final[2], final[4])

# %% [markdown]
# Guessing is 1 in 36. One head has one row of weights: to name both words in order it would have to give them unequal
# weights, and the layer behind it would have to read strengths off a mean. Two heads give each word a place of its own.
# Where do they look? (The average over 64 lists, since here it is the position that matters, not the word.)

# %%
steps = [str(t) for t in range(LENGTH)]
weights = models[2].forward(*held_out.inputs)[1]["attention"]["weights"].mean(axis=0)  # (h, T, T)
axes = attention_grid(weights, steps, steps, title="Two heads, trained: one looks one back, the other three back")

# %%
weights = models[1].forward(*held_out.inputs)[1]["attention"]["weights"].mean(axis=0)
axes = attention_map(weights[0], steps, steps, title="One head, trained as long: mostly one back, and a smear")

# %% [markdown]
# Nobody told the heads to share the work. The loss did: here it is the easiest way down.
#
# ## 7 · Find the bug
#
# Somebody wrote attention with heads in ten lines. It was tested on the simplest task, to name the word that *stands
# here*. Then it was used. Here are the two layers, this code and the right one, on that task, and on naming the word
# *before*.
#
# **Predict before you look at the numbers.** Which test would you have chosen?

# %%
predict("a test", "")

# %%


class OneLook:
    """Sixteen of twenty words, and for each place the word that stands `back` places before."""

    def __init__(self, back: int) -> None:
        self.back = back

    def batch(self, step: int) -> Batch:
        ids = np.random.default_rng([1, step]).integers(1, 21, (32, 16))
        targets = np.zeros_like(ids)
        targets[:, self.back :] = ids[:, : 16 - self.back]
        return Batch((ids,), targets)


def losses_of(layer, back: int) -> list[float]:
    init = Glorot(np.random.default_rng(0))
    model = Chain(
        tokens=Embedding(21, D, init, scale=D**0.5),
        positions=SinusoidalPositions(D),
        attention=layer(D, 4, init),
        head=Dense(D, 21, init),
    )
    history = Trainer(model, schedule=WarmupCosine(5e-3, 300, 15)).fit(OneLook(back), 300, [ProgressBar()])
    return [record["loss"] for record in history.steps]


figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
ends = {}
for ax, (back, task) in zip(axes, ((0, "name the word that stands here"), (1, "name the word before"))):
    for name, layer in (("this code", found_code), ("right", SelfAttention)):
        losses = losses_of(layer, back)
        ends[name, back] = losses[-1]
        ax.plot(losses, label=f"{name}: {losses[-1]:.3f} after 300 steps")
    ax.set_title(task, fontsize=10, loc="left")
    ax.set(xlabel="step", ylabel="loss")
    ax.legend()

# %% tags=["assert"]
assert max(ends["this code", 0], ends["right", 0]) < 0.05
assert ends["this code", 1] > 5 * ends["right", 1]

# %% [markdown]
# On the easy task nobody can tell them apart. Find what is wrong, and mend it.

# %% exercise="multi_head"

# %% [markdown]
# **What tells them apart?** No shape, no error, no gradient check: the gradients are right for that other function. A
# picture does, of the twelve numbers from above, coloured by their word:

# %%
numbers = np.arange(12).reshape(1, 3, 4)
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
for ax, heads, title in (
    (axes[0], package_split_heads(numbers, 2)[0], "right: each head has two features of every word"),
    (axes[1], numbers.reshape(2, 3, 2), "this code: head 0 has word 0 and half of word 1"),
):
    ax.imshow(np.concatenate([head // 4 for head in heads], axis=1), cmap="Pastel1", vmin=0, vmax=8, aspect="auto")
    for head in range(2):
        for row in range(3):
            for column in range(2):
                ax.text(2 * head + column, row, heads[head][row, column], ha="center", va="center")
    ax.axvline(1.5, color="black")
    ax.set_xticks([0.5, 2.5], ["head 0", "head 1"])
    ax.set_yticks(range(3), [f"row {i}" for i in range(3)])
    ax.set_title(title, fontsize=10, loc="left")

# %% [markdown]
# And so does a test of what heads are for: change one word, and see whose output changes in what part.
#
# A reshape without the swap was in the code of a tutorial, where the heads are put together again. Its copy task trained
# all the same (pull request jsbaan/transformer-from-scratch #6). The question why the swap is needed is asked again and again (for example
# hyunwoongko/transformer #15).

# %%
predictions(
    {
        "weights and products": "Neither grows. The layer has 4n² weights.",
        "eight heads": "The scores spread less, and each head looks nearly equally at all words.",
        "one head": "It gets about one pair in five: the first word, and the second by a guess (1 in 6). Two heads get all pairs right.",
        "a test": "Numbers coloured by their word, or a task in which the place matters; not the easy task.",
    }
)

# %% [markdown]
# ## Summary
#
# - Heads split the features, not the words: reshape the last axis, then swap. Merging is the inverse, and its backward.
# - Weights and products do not depend on the number of heads: $4n^2$ with the output projection.
# - A head divides by $\sqrt{n/h}$, the root of the number of entries of its keys.
# - $x$ is read three times, so its gradient is a sum of three.
#
# ## On your own
#
# 1. Train the one head of section 6 for 3,000 steps (7.5 times as long). It gets better, and stays behind. Look
#    at its map again: how does it tell the two words apart?
# 2. In which rows of the map of two heads is the stripe missing, and why does nothing in the loss ask for it there?
# 3. Set `output=Identity` in `new_model`, so that there is no $W_o$. The output layer behind it reads the contexts
#    side by side. Does this task need $W_o$? When would a model need it?

# %% [markdown] tags=["teacher"]
# **Answers.** 1. It gives the two words unequal weights, and the layer behind reads the order off the strengths of a
# mean. 2. In the first rows: nothing is to be named before position 3, so no gradient asks for it there. 3. No: the
# head behind reads all contexts side by side. A model needs $W_o$ where the result is added to a residual path whose
# features have a meaning of their own (lesson 06).
