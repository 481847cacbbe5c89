# %% [markdown]
# # 08 · The decoder: write without looking ahead
#
# **Goal.** Build the half that writes: it may look at what it has written so far, never at what comes, and at
# everything the encoder has read.
#
# - **What you'll do:** Write the causal mask, catch a model that cheats, follow gradients into the past and across to
#   the encoder, and watch cross-attention learn to read backwards.
# - **What you'll learn:** Why one forward pass trains all positions at once; where keys and values come from; why the
#   encoder's gradient is a sum over the decoder's blocks.
# - **What you'll need:** Lesson 07; softmax's backward (lesson 04).
# - **On your own:** Three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, diagram, hint, predict, predictions, show_solution, show_source, versions
from minitransformer.data import Batch, PairBatches, ToyTask
from minitransformer.layers import (
    Array,
    Cache,
    CrossEntropy,
    DecoderBlock,
    MultiHeadAttention,
    SelfAttention,
)
from minitransformer.layers import causal_mask as the_mask  # your own will be called causal_mask
from minitransformer.models import GPT, GPTConfig, PreNormTransformer, TransformerConfig
from minitransformer.plotting import OKABE_ITO, attention_grid, attention_map, attention_matrices, mask_map
from minitransformer.training import Adam, Constant, ProgressBar, Trainer, WarmupCosine
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · Three sublayers
#
# A decoder block has one more part than an encoder block, between the two that you know:
#
# $$ h = x + \mathrm{attention}(x, \text{causal}), \qquad g = h + \mathrm{attention}(h \to \mathrm{memory}), \qquad
#    y = g + \mathrm{feedforward}(g) $$
#
# (with its norms, as in lesson 06). Backward is the mirror, and for the first time it returns **two** gradients: one
# goes down the decoder, the other crosses to the encoder.

# %%
show_source(DecoderBlock.forward, DecoderBlock.backward)

# %% [markdown]
# ## 2 · Minus infinity on the upper triangle
#
# The decoder predicts word t + 1 from the words 0 ... t. In training all positions are computed at once, so the words
# to be predicted stand in the input, one step to the right. The mask hides them:
#
# $$ \mathrm{weights} = \mathrm{softmax}\Big(\tfrac{q k^\top}{\sqrt{d}} + M\Big), \qquad
#    M = \begin{pmatrix} 0 & -\infty & -\infty\\ 0 & 0 & -\infty\\ 0 & 0 & 0 \end{pmatrix} $$
#
# Rows are queries, columns keys: $-\infty$ **above** the diagonal. The diagonal itself is open: the decoder's input is
# shifted, so position t holds a word that is already written.
#
# **By hand.** Three tokens. Query 0 may look at key 0 alone, query 1 at 0 and 1, query 2 at all three. Write the 3 × 3
# table with True and False. If all scores are 0, which weights does each row get? (1; 1/2, 1/2; 1/3, 1/3, 1/3.)
#
# ### Exercise: who may look at whom

# %% exercise="causal_mask"

# %%
show_source(the_mask)

# %%
words = ["<s>", "the", "cat", "ran"]
ax = mask_map(the_mask(4), queries=words, keys=words, title="Who may look at whom")

# %% [markdown]
# Number by number, one head of width 3 on these four words. Find the scores that are minus infinity, and the weights
# that they become:

# %%
rng = np.random.default_rng(0)
layer = SelfAttention(3, 1, rng)
_, cache = layer.forward(rng.standard_normal((1, 4, 3)), the_mask(4))
ax = attention_matrices(cache, words)

# %% [markdown]
# The first row is always (1, 0, 0, 0): the first position has nobody but itself.
#
# ## 3 · Find the bug: too good to be true
#
# A small decoder learns texts of eight symbols. It has no encoder, so its blocks have no middle sublayer (lesson 11 calls it a GPT). In eight of ten cases the next symbol is the one that follows in the
# circle 1, 2, ..., 8, 1; in the others it is drawn at random. So nobody can predict more than
# 0.8 + 0.2 / 8 = 82.5 % of them on average (on 200 texts it varies by about a point). Texts
# have different lengths and are padded. The mask is somebody's function. Here is its training, beside the right one.
#
# **Predict before you run.** Which of the two would you rather have, by its curve? Which by what it writes?

# %%
predict("curve or text", "")

# %%
PAD, N_SYMBOLS = 0, 8
broken, right = versions("decoder_mask")


class Masked(GPT):
    """A decoder whose mask comes from a function of the exercise."""

    mask_of = None

    def forward(self, ids, rng=None):
        x, embedding_cache = self.embedding.forward(ids, rng=rng)
        y, decoder_cache = self.decoder.forward(x, self.mask_of(ids, PAD), rng=rng)
        logits, head_cache = self.head.forward(y)
        return logits, Cache(embedding=embedding_cache, decoder=decoder_cache, head=head_cache)


def draw_texts(step, n=32):
    draw = np.random.default_rng([7, step])
    texts = np.zeros((n, 13), int)
    texts[:, 0] = draw.integers(1, N_SYMBOLS + 1, n)
    for t in range(1, 13):
        texts[:, t] = np.where(
            draw.random(n) < 0.8, texts[:, t - 1] % N_SYMBOLS + 1, draw.integers(1, N_SYMBOLS + 1, n)
        )
    texts[np.arange(13) >= draw.integers(8, 14, n)[:, None]] = PAD
    return texts


class Texts:
    def batch(self, step):
        texts = draw_texts(step)
        return Batch((texts[:, :-1],), texts[:, 1:], pad=PAD)


def accuracy(model):
    texts = draw_texts(10_000, 200)
    right_ones = model(texts[:, :-1]).argmax(axis=-1) == texts[:, 1:]
    return right_ones[texts[:, 1:] != PAD].mean()


def write(model, text, n=8):
    """Greedy: the most probable next symbol, again and again."""
    for _ in range(n):
        text = [*text, int(model(np.array([text]))[0, -1].argmax())]
    return text


small = GPTConfig(vocab=N_SYMBOLS + 1, max_length=12, d_model=32, n_heads=4, n_blocks=1, dropout=0.0)
figure, ax = plt.subplots(figsize=(6.5, 3.0), layout="constrained")
trained, measured = {}, {}
for name, mask_of, colour in (("this code", broken, "vermillion"), ("right", right, "black")):
    model = Masked(small, np.random.default_rng(1))
    model.mask_of = mask_of
    history = Trainer(model, Adam(), Constant(1e-2), CrossEntropy(pad=PAD), seed=0).fit(Texts(), 200, [ProgressBar()])
    trained[name], measured[name] = model, accuracy(model)
    ax.plot([record["loss"] for record in history.steps], color=OKABE_ITO[colour], label=name)
    print(
        f"{name:10s} held-out symbols predicted {measured[name]:.1%}   writes on from 1 2 3: {write(model, [1, 2, 3])}"
    )
ax.set(xlabel="step", ylabel="loss", ylim=(0, None))
legend = ax.legend(frameon=False)

# %% tags=["assert"]
assert measured["this code"] > 0.95
assert 0.75 < measured["right"] < 0.85
assert write(trained["right"], [1, 2, 3]) == [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3]
assert write(trained["this code"], [1, 2, 3]) != write(trained["right"], [1, 2, 3])

# %% [markdown]
# The better curve belongs to the worse model. Find the line, and mend it:

# %% exercise="decoder_mask"

# %% [markdown]
# **What tells them apart?** Three signs. A number that is too good: 82.5 % is the limit, whatever the model, but for chance on few texts. Nonsense
# when it writes, since there is no future to copy from. And the exact test: exchange the *last* symbol of a text, and
# look at all logits before it.

# %%
text = draw_texts(0, 1)[:, :8]
other = text.copy()
other[0, -1] = other[0, -1] % N_SYMBOLS + 1
change = {}
for name, model in trained.items():
    difference = np.abs(model(text) - model(other))[0].max(axis=-1)
    change[name] = difference[:-1].max()
    print(f"{name:10s} largest change before the last: {change[name]:.2g}, at the last: {difference[-1]:.2g}")

# %% tags=["assert"]
assert change["right"] == 0
assert change["this code"] > 0.1

# %% [markdown]
# With the right mask it is exactly 0, bit for bit: $e^{-\infty}$ is 0, and 0 times anything finite adds nothing. This
# is why **one** forward pass over T positions is T training examples. The weights of the wrong one show the theft, one
# step to the right of the diagonal:

# %%
labels = [str(symbol) for symbol in text[0]]
_, cache = trained["this code"].forward(text)
axes = attention_grid(cache["decoder"]["blocks"][0]["attention"]["weights"][0], labels, labels, title="The wrong mask")

# %% [markdown]
# A public implementation was once reported with 98 % accuracy and translations that were nonsense: its decoder saw the
# future (attention-is-all-you-need-pytorch #19).
#
# ## 4 · Gradients flow to the past
#
# Forward, information flows from earlier to later positions only; backward, the gradient flows from later to earlier.
# The simplest causal attention is the one whose scores are all equal: every position takes the mean of all so far,
#
# $$ y_t = \frac{1}{t + 1} \sum_{s \le t} x_s . $$
#
# **By hand.** T = 2: $y_0 = x_0$ and $y_1 = (x_0 + x_1) / 2$. With $dy = (1, 4)$: $dx_0 = 1 + 4 / 2 = 3$ and
# $dx_1 = 4 / 2 = 2$.
#
# ### Exercise: gradients flow to the past

# %% exercise="causal_mean_backward"

# %% [markdown]
# For a real layer we ask its backward the same question, one output at a time: a gradient of random direction at
# position t alone; how large is what arrives at each position s?

# %%
T, D = 6, 8
attention = SelfAttention(D, 2, rng)
x = rng.standard_normal((1, T, D))
_, cache = attention.forward(x, the_mask(T))
reach = np.zeros((T, T))
for t in range(T):
    dy = np.zeros_like(x)
    dy[0, t] = rng.standard_normal(D)
    reach[t] = np.linalg.norm(attention.backward(dy, cache)[0], axis=-1)
at = [f"x{t}" for t in range(T)]
ax = attention_map(reach, [f"dy{t}" for t in range(T)], at, title="Norm of what arrives at each x")
ax.set(xlabel="arrives at", ylabel="gradient at one output")
ax.images[0].colorbar.set_label("norm")

# %% [markdown]
# The same triangle as the mask's. No line of the backward mentions the mask: where a weight is 0, so is the gradient of
# its score.
#
# ## 5 · Attention to the memory
#
# The second sublayer asks the encoder. **Queries come from the decoder, keys and values from the memory**:
#
# $$ q = h W_q, \qquad k = \mathrm{memory}\, W_k, \qquad v = \mathrm{memory}\, W_v, \qquad
#    \mathrm{context} = \mathrm{softmax}\Big(\tfrac{q k^\top}{\sqrt d}\Big) v $$
#
# with T × S weights: no causal mask here (the source is fully known), only the source's padding mask. Mind the scale:
# it is $\sqrt{d}$ of *one head*, d = D/H, not $\sqrt{D}$.
#
# **By hand.** One query, two places of memory, d = D = 1, all matrices 1. Let the memory be (0, 2) and x = 0: the
# scores are (0, 0), the weights (0.5, 0.5), y = 1. With $dy = 1$ the values get $dv = (0.5, 0.5)$. The weights get
# $(0, 2)$, so the scores get $0.5 \cdot (0 - 1, 2 - 1) = (-0.5, 0.5)$. The query gets $-0.5 \cdot 0 + 0.5 \cdot 2 = 1$,
# the keys get $0$, since $q = 0$.
#
# ### Exercise: backward to both sides
#
# Count first: how often is the memory used?

# %% exercise="cross_attention_backward"

# %%
show_source(MultiHeadAttention.forward, MultiHeadAttention.backward)

# %% [markdown]
# ## 6 · Which memory?
#
# Some drawings connect encoder block 1 with decoder block 1, block 2 with block 2, and so on. **Predict before you
# run.** In a model with three blocks a side: what do the three cross-attentions have as the input of their keys?

# %%
predict("keys of three blocks", "")

# %%
config = TransformerConfig(
    source_vocab=11, d_model=12, n_heads=3, d_ff=20, n_encoder_blocks=3, n_decoder_blocks=3, dropout=0.0
)
model = PreNormTransformer(config, np.random.default_rng(0))
source, target = rng.integers(1, 11, (2, 5)), rng.integers(1, 11, (2, 4))
_, cache = model.forward(source, target)
memory = cache["decoder"]["memory"]
for n, block in enumerate(cache["decoder"]["blocks"]):
    asked = block["cross_attention"]["key"]["x"]
    print(f"decoder block {n}: keys are made of the final memory, the very same array: {asked is memory}")

# %% [markdown]
# **Every decoder block reads the *final* output of the encoder.** The encoder must be finished before the decoder
# begins, and can then be kept: a translator encodes the source once. What happens on the way back to something that was
# used N times?
#
# **By hand.** Two blocks, everything a number: $k_1 = 2m$, $v_1 = m$, $k_2 = 3m$, $v_2 = -m$. All four gradients are 1.
# Then $dm = 2 + 1 + 3 - 1 = 5$.

# %%
ax = diagram(
    {
        "memory": (0.0, 1.0, "memory m"),
        "one": (3.5, 2.0, "block 1\n$k = 2m$, $v = m$"),
        "two": (3.5, 0.0, "block 2\n$k = 3m$, $v = -m$"),
    },
    [("memory", "one", "m", "2 + 1"), ("memory", "two", "m", "3 - 1")],
    title="One memory, read twice: dm = (2 + 1) + (3 - 1) = 5",
)

# %% [markdown]
# ### Exercise: one memory for all blocks

# %% exercise="memory_backward"

# %% [markdown]
# A decoder block against the complex step, with both masks: look for the row `memory`.

# %%
decoder_block = PreNormTransformer(config, np.random.default_rng(3)).decoder.blocks[0]
memory_mask = np.array([[True, True, True, False, False], [True] * 5])[:, None, None]
check_gradients(
    decoder_block,
    rng.standard_normal((2, 4, 12)),
    rng.standard_normal((2, 5, 12)),
    the_mask(4),
    memory_mask,
)

# %% [markdown]
# ## 7 · Reading backwards
#
# Both halves together, on a task whose alignment we know: write the source in reverse.
#
# **Predict before you run.** Sketch the cross-attention map (rows: words to write, columns: source) of a model that has
# understood the task.

# %%
predict("the map", "")

# %%
task = ToyTask("reverse", n_symbols=10, min_length=3, max_length=7)
ids = task.vocabulary
pairs = task.sample(np.random.default_rng(0), 8000)
config = TransformerConfig(
    len(ids), d_model=32, n_heads=2, d_ff=64, n_encoder_blocks=1, n_decoder_blocks=1, dropout=0.0
)
model = PreNormTransformer(config, np.random.default_rng(0))
batches = PairBatches(pairs, 64, seed=0, pad=ids.pad, start=ids.bos, eos=ids.eos)
trainer = Trainer(model, Adam(0.9, 0.98), WarmupCosine(1e-2, steps=500, warmup=50), CrossEntropy(pad=ids.pad))
history = trainer.fit(batches, 500, [ProgressBar()])
print(f"loss: first step {history.steps[0]['loss']:.2f}, last {history.steps[-1]['loss']:.3f}")

# %%
example, answer = task.sample(np.random.default_rng(5), 1, split="test")[0]
source, target = np.array([[*example, ids.eos]]), np.array([[ids.bos, *answer]])
logits, cache = model.forward(source, target)
print("source   ", *ids.labels(example))
print("predicted", *ids.labels(logits[0].argmax(axis=-1)))
axes = attention_grid(
    cache["decoder"]["blocks"][0]["cross_attention"]["weights"][0],
    [*ids.labels(answer), "<eos>"],
    [*ids.labels(example), "<eos>"],
    title="Cross-attention: a row for each word to write",
)

# %% [markdown]
# Nobody told the model which symbol belongs to which: the loss did, through the gradient that crosses from the decoder
# to the encoder.

# %%
predictions(
    {
        "curve or text": "The curve of the wrong one is better, and what it writes is nonsense.",
        "keys of three blocks": "All three read the final memory, the very same array.",
        "the map": "An anti-diagonal: what is read last is written first. For the row of <eos> the task asks nothing.",
    }
)

# %% [markdown]
# ## Summary
#
# - The causal mask: query t sees keys 0 ... t. It is exact, and it makes one pass T training examples.
# - A training number that is too good is a leak until proved otherwise; exchange a later word and look at the earlier
#   logits.
# - Cross-attention: queries from the decoder, keys and values from the encoder's final output. Its backward has two
#   sides.
# - Every decoder block reads the same memory, so their gradients add.
#
# ## On your own
#
# 1. In section 3 let the mask hide *only* the next symbol, but not those after it. What accuracy do you expect? Try it.
# 2. Exchange the two inputs of cross-attention: queries from the memory, keys and values from the decoder. Which error
#    do you get when T and S differ? When T = S there is no error: what is wrong then?
# 3. While decoding, a new word is added at the end. Which keys and values of the earlier positions change? Why does the
#    same not hold in the encoder?

# %% tags=["assert"]
from minitransformer.course.exercises import find  # the numbers worked by hand

assert find("causal_mean_backward").solution(np.array([[[1.0], [4.0]]])).ravel().tolist() == [3.0, 2.0]
one = np.ones((1, 1))
dx, d_memory = find("cross_attention_backward").solution(
    np.ones((1, 1, 1)), np.zeros((1, 1, 1)), np.array([[[0.0], [2.0]]]), one, one, one
)
assert (dx.item(), d_memory.ravel().tolist()) == (1.0, [0.5, 0.5])
blocks = np.ones((2, 1, 1, 1)), np.ones((2, 1, 1, 1)), np.array([[[2.0]], [[3.0]]]), np.array([[[1.0]], [[-1.0]]])
assert find("memory_backward").solution(*blocks).item() == 5.0

# %% [markdown] tags=["teacher"]
# **Answers.** 1. More than 82.5 %: the symbol after the next tells which symbol was likely between, so part of the future
# leaks still. A mask that hides one word is no mask.
# 2. Where T and S differ, the output has S positions in place of T, and the residual sum fails. Where T = S nothing
#    fails: position t then holds a mean of
# decoder vectors chosen by memory t, without a causal mask, so later words leak. 3. None: each position saw only those
# before it, so its vectors do not change; that is why keys and values can be kept. In the encoder every position sees
# all others, so a new word changes all of them.
