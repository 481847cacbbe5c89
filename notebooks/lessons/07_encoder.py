# %% [markdown]
# # 07 · The encoder: a sentence reads itself
#
# **Goal.** Put attention and a feed-forward layer together into a block, blocks into a stack, and let sentences of
# different lengths run through it side by side without one noticing the other.
#
# - **What you'll do:** Run an encoder on padded batches with and without the padding mask, write the backward of the
#   feed-forward layer and of a whole stack, find a bug, and check an encoder against the complex step.
# - **What you'll learn:** What runs in parallel (positions) and what does not (blocks); why a mask is minus infinity
#   and why backward never mentions it; which part of an encoder holds most of its parameters.
# - **What you'll need:** Lessons 04 to 06: attention, heads, residuals, norms.
# - **On your own:** Three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, diagram, hint, predict, predictions, show_solution, show_source, versions
from minitransformer.data import Batch, pad_sequences
from minitransformer.layers import (
    Array,
    Cache,
    CrossEntropy,
    Embedding,
    Encoder,
    EncoderBlock,
    FeedForward,
    Layer,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    PostNorm,
    ScaledDotProductAttention,
    SelfAttention,
    padding_mask,
)
from minitransformer.models import Transformer, TransformerConfig, summary
from minitransformer.plotting import OKABE_ITO, draw, mask_map, parameter_parts, parameter_shares
from minitransformer.training import ProgressBar, Trainer
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · One block: mix, then think
#
# An encoder block has two halves. **Attention** moves information between positions; the **feed-forward** layer works
# on each position by itself. Each half stands in a residual connection, and in the Transformer of 2017 a norm follows:
#
# $$ h = \mathrm{norm}\big(x + \mathrm{attention}(x, \mathrm{mask})\big), \qquad
#    y = \mathrm{norm}\big(h + \mathrm{max}(h W_1 + b_1, 0)\, W_2 + b_2\big) . $$
#
# In code the block is handed its two halves, already wrapped, and its backward is its forward read from below:

# %%
show_source(EncoderBlock.forward, EncoderBlock.backward)

# %% [markdown]
# Where it stands: the encoder is the left column. Its last output, the **memory**, is what the decoder reads (lesson
# 08).

# %%
whole = Transformer(TransformerConfig(source_vocab=50, d_model=16, n_heads=4, d_ff=64), np.random.default_rng(0))
ax = draw(whole)

# %% [markdown]
# ## 2 · What runs in parallel
#
# It is often said that a Transformer's *encoders run in parallel*. Look at the stack's loop:

# %%
show_source(Encoder.forward)

# %% [markdown]
# Block 2 needs the output of block 1: **the N blocks run one after another.** What runs in parallel is the *positions*:
# given the block's input, no position waits for another one's output. An LSTM has it the other way round: word t must
# wait for word t - 1.
#
# **Predict before you run.** We compute a block's twelve outputs one at a time, in random order. Which of the block's
# parts see the whole sentence, and which a single vector? How far off will the result be from the block's own?

# %%
predict("one at a time", "")

# %%
rng = np.random.default_rng(0)
D = 64


def block(D, H, F, rng):
    attention = PostNorm(SelfAttention(D, H, rng), LayerNorm(D, rng))
    feed_forward = PostNorm(FeedForward(D, F, rng), LayerNorm(D, rng))
    return EncoderBlock(attention, feed_forward)


one = block(D, 4, 4 * D, rng)
attention, norm = one.attention.sublayer, one.attention.norm
x = rng.standard_normal((1, 12, D))

alone = np.empty_like(x)
for t in rng.permutation(12):
    query = x[:, t : t + 1]  # a single position asks; keys and values are the whole input's
    mixed, _ = MultiHeadAttention.forward(attention, query, x)
    h = norm(query + mixed)
    alone[:, t : t + 1] = one.feed_forward(h)
difference = np.abs(alone - one(x)).max()
print("largest difference:", difference)

# %% tags=["assert"]
assert difference < 1e-5

# %% [markdown]
# Only the order of the additions differs. So for 1,000 words an LSTM of six layers needs at least 1,005 steps that wait
# for each other (layer 2 can follow one word behind layer 1); an encoder of six blocks needs 6. On two processor cores
# this hardly shows, since they compute few products at once. A graphics card computes thousands at once. The price:
# every position compares itself with every other, T × T scores where the LSTM has T steps.
#
# ## 3 · Sentences of different lengths
#
# A batch is one array, so short sentences are filled up with **padding**. Nothing may look at it. The mask enters where
# the scores are:
#
# $$ \mathrm{weights} = \mathrm{softmax}\Big(\tfrac{q k^\top}{\sqrt{d}} + M\Big), \qquad
#    M_{ts} = \begin{cases} 0 & s \text{ is a word}\\ -\infty & s \text{ is padding} \end{cases} $$
#
# **By hand.** One query, three keys, of which the third is padding. The scores are (1, 2, 5). Without the mask padding
# would win. With it they become (1, 2, -∞), and the weights are $(e^1, e^2, 0) / (e^1 + e^2)$:

# %%
print(
    (np.exp([1.0, 2.0, -np.inf]) / np.exp([1.0, 2.0]).sum()).round(3),
    "  without the mask",
    (np.exp([1.0, 2, 5]) / np.exp([1.0, 2, 5]).sum()).round(3),
)

# %% [markdown]
# $e^{-\infty} = 0$ exactly, and the rest of the row still sums to one. In this package a mask is boolean, and True
# means *may attend*. Here is a batch of two sentences, and the mask of the second:

# %%
PAD = 0
words = {1: "the", 2: "cat", 3: "sees", 4: "a", 5: "dog", 6: "it", 7: "sleeps"}
ids = pad_sequences([[1, 2, 3, 4, 5], [6, 7]], PAD)  # (2, 5)
mask = padding_mask(ids, PAD)  # (B, S) -> (B, 1, 1, S): for every head and every query the same
print(ids, mask.shape)
keys = [words.get(i, "pad") for i in ids[1]]
ax = mask_map(mask[1, 0], queries=keys, keys=keys, title="The second sentence: who may look at whom")

# %% [markdown]
# The last three rows are padding's own queries. They are computed, since an array has no holes, and then read by
# nobody.
#
# ### Exercise: nothing for padding

# %% exercise="padding_softmax"

# %% [markdown]
# The package's mask, and where it is added:

# %%
show_source(padding_mask)

# %% [markdown]
# **Predict before you run.** We encode *it sleeps* once alone, and once beside the longer sentence, padded. By how much
# do the vectors of its two words differ, with the mask and without? And would a norm alone repair it?

# %%
predict("alone and padded", "")

# %%
table = rng.standard_normal((8, D))
encoder = Encoder([block(D, 4, 4 * D, rng) for _ in range(2)])

alone = encoder(table[ids[1:, :2]])  # (1, 2, D)
masked = encoder(table[ids], mask)[1:, :2]
unmasked = encoder(table[ids])[1:, :2]
size = np.linalg.norm(alone)
off = {name: np.linalg.norm(y - alone) / size for name, y in (("masked", masked), ("unmasked", unmasked))}
print(f"with the mask     {off['masked']:.1e} of the vectors' length\nwithout           {off['unmasked']:.1e}")

# %%
figure, axes = plt.subplots(3, 1, figsize=(7.0, 3.0), layout="constrained", sharex=True)
panels = {"alone": alone, "padded, with the mask": masked, "padded, without": unmasked}
for ax, (title, y) in zip(axes, panels.items()):
    ax.imshow(y[0, :, :32], cmap="cividis", vmin=-2, vmax=2, aspect="auto")
    ax.set_yticks([0, 1], ["it", "sleeps"])
    ax.set_title(title, fontsize=9, loc="left")
label = axes[-1].set_xlabel("the first 32 numbers of each vector")

# %% tags=["assert"]
assert off["masked"] < 1e-5
assert off["unmasked"] > 0.3

# %% [markdown]
# Every half of these blocks *ends in a LayerNorm*, and without the mask the vectors are still wrong. The two are often
# named in one breath, but they do different things: **masking handles varied lengths; normalization keeps each vector's
# scale.**
#
# ## 4 · Backward never mentions the mask
#
# Here is the backward of attention. There is no mask in it:

# %%
show_source(ScaledDotProductAttention.backward)

# %% [markdown]
# Where a score is masked the weight w is 0. The gradient of the score has the factor w (lesson 04), and so has what the value gets.
#
# **Predict before you run.** The gradient arrives once at the words only, once at all positions. What does the padding
# get?

# %%
predict("what padding gets", "")

# %%
y, cache = encoder.forward(table[ids], mask)
dy = rng.standard_normal(y.shape)
is_word = (ids != PAD)[:, :, None]
for where, upstream in (("the words only", dy * is_word), ("all positions", dy)):
    reached = np.abs(encoder.backward(upstream, cache)[1, 2:]).max()
    print(f"gradient arriving at {where:14s}:  padding gets {reached:.3g}")

# %% [markdown]
# The second line is the danger: a loss, or a mean over positions, that counts padding sends gradients into it and into
# what it attends to. Whoever reads an encoder's output must mask too. The decoder's attention does (same mask), the
# loss does (lesson 09), and the mean of a sentence must.
#
# **By hand.** Three places, the third is padding: $y = (x_0 + x_1) / 2$. With $dy = 1$ the gradients of the three are
# (0.5, 0.5, 0).
#
# ### Exercise: the mean of a sentence, backward

# %% exercise="masked_mean_backward"

# %% [markdown]
# ## 5 · The feed-forward layer
#
# $$ y = \max(x W_1 + b_1, 0)\, W_2 + b_2, \qquad W_1 \in \mathbb{R}^{D \times F},\ W_2 \in \mathbb{R}^{F \times D},\ F = 4D $$
#
# The same two matrices for every position.
#
# **By hand.** One position, D = 1, F = 2: $x = 2$, $W_1 = (1, -1)$, $b = 0$, $W_2 = (3, 5)^\top$. Forward:
# $h = (2, -2)$, after ReLU $(2, 0)$, $y = 6$. Backward with $dy = 1$: $dW_2 = (2, 0)$; before ReLU $(3, 5)$ arrives,
# behind it is $(3, 0)$, since what ReLU shut in forward stays shut; $dW_1 = (6, 0)$, $dx = 3$.
#
# ### Exercise: the feed-forward layer, backward

# %% exercise="feed_forward_backward"

# %%
show_source(FeedForward.forward, FeedForward.backward)

# %% [markdown]
# **Predict before you run.** Attention gave the paper its title. Which share of an encoder block's parameters is
# attention's?

# %%
predict("attention's share", "")

# %%
full_size = block(512, 8, 2048, np.random.default_rng(0))
ax = parameter_shares({"encoder block of 2017": parameter_parts(full_size)}, title="What the parameters are for")
summary(full_size)

# %% [markdown]
# Attention has $4D^2$ weights: $3D^2$ for queries, keys and values and $D^2$ for the output projection. (Notes that
# count $3D^2$ have left out the projection $W_o$, which mixes the heads.) The feed-forward layer has
# $2 \cdot D \cdot 4D = 8D^2$: **two thirds** of the block.
#
# ## 6 · The stack, backward
#
# The stack is a loop, so its backward is the loop reversed, and each block is given *its own* cache.
#
# **By hand.** Two blocks $x + w x$ with numbers $w_1 = 2$, $w_2 = 3$, input $x = 1$: the outputs are 3 and 12. Backward
# with $dy = 1$: block 2 has $dw_2 = 3$ (its input) and gives $1 + 3 = 4$ back; block 1 has $dw_1 = 4 \cdot 1$ and gives
# $4 \cdot 3 = 12$ back.
#

# %%
ax = diagram(
    {
        "x": (0.0, 0.0, "x = 1"),
        "one": (3.0, 0.0, "block 1\n$x + 2x$"),
        "two": (6.5, 0.0, "block 2\n$x + 3x$"),
        "y": (9.5, 0.0, "y = 12"),
    },
    [("x", "one", "1", "4 + 4 · 2 = 12"), ("one", "two", "3", "1 + 1 · 3 = 4"), ("two", "y", "12", "1")],
    title="Forward in blue; backward in red: around the block, and through it",
    size=(9.0, 1.8),
)

# %% [markdown]
# ### Exercise: a stack, backward

# %% exercise="stack_backward"

# %% [markdown]
# The package's:

# %%
show_source(Encoder.backward)

# %% [markdown]
# Does the whole hold together? `check_gradients` compares every entry of every parameter's gradient, and the input's,
# with the complex step $f'(x) = \mathrm{Im}\, f(x + ih) / h$, through two blocks, four residual additions, four norms
# and the mask (the `norm` behind the last block is that of pre-norm; in post-norm it does nothing):

# %%
small = Encoder([block(6, 3, 5, np.random.default_rng(i)) for i in range(2)])
check_gradients(small, np.random.default_rng(2).standard_normal((2, 5, 6)), mask)

# %% [markdown]
# ## 7 · Find the bug
#
# Somebody wrote an encoder with -10000 in the place of $-\infty$ (which may stay), and with one wrong line, and trained it to say which of two words comes more
# often in a sentence. The sentences have 3 to 8 words and are padded. Here is its loss, beside that of the right one.

# %%
broken, right = versions("encoder_weights")


class Own(ScaledDotProductAttention):
    """Attention whose weights come from a function of the exercise; softmax's backward is the package's."""

    weights_of, ids = None, None

    def forward(self, q, k, v, mask=None, rng=None):
        scores = np.matmul(q, k.swapaxes(-1, -2)) * self.scale_for(q)
        weights = type(self).weights_of(scores, type(self).ids, PAD).astype(q.dtype)
        cache = Cache(
            q=q, k=k, v=v, bias=None, softmax=Cache(y=weights), weights=weights, dropout=Cache(), dropped=weights
        )
        return np.matmul(weights, v), cache

    def backward(self, d_context, cache):
        q, k, v, w = (cache[name] for name in ("q", "k", "v", "weights"))
        d_scores = self.softmax.backward(np.matmul(d_context, v.swapaxes(-1, -2)), cache["softmax"]) * self.scale_for(q)
        return np.matmul(d_scores, k), np.matmul(d_scores.swapaxes(-1, -2), q), np.matmul(w.swapaxes(-1, -2), d_context)


class Reader(Layer):
    """Embedding, one block with Own attention, and the vector of the first word to two logits."""

    def __init__(self, rng):
        self.embedding = Embedding(4, 16, rng)
        self.block = EncoderBlock(
            PostNorm(SelfAttention(16, 2, rng, attention=Own()), LayerNorm(16, rng)),
            PostNorm(FeedForward(16, 32, rng), LayerNorm(16, rng)),
        )
        self.head = Linear(16, 2, rng)

    def forward(self, ids, rng=None):
        Own.ids = ids
        x, embedding = self.embedding.forward(ids)
        y, block = self.block.forward(x)
        logits, head = self.head.forward(y[:, :1])
        return logits, Cache(embedding=embedding, block=block, head=head, shape=y.shape)

    def backward(self, d_logits, cache):
        dy = np.zeros(cache["shape"], d_logits.dtype)
        dy[:, :1] = self.head.backward(d_logits, cache["head"])
        self.embedding.backward(self.block.backward(dy, cache["block"]), cache["embedding"])


class Sentences:
    """Words 2 and 3 in random order behind a word 1; the target says which of the two comes more often."""

    def batch(self, step, n=32):
        draw = np.random.default_rng([3, step])
        rows = [draw.integers(2, 4, 2 * draw.integers(1, 5) - 1) for _ in range(n)]  # an odd number: no draw
        ids = pad_sequences([[1, *row] for row in rows], PAD)
        return Batch((ids,), np.array([[int((row == 3).sum() > (row == 2).sum())] for row in rows]), pad=-1)


def train_reader(weights_of):
    Own.weights_of = staticmethod(weights_of)
    model = Reader(np.random.default_rng(0))
    history = Trainer(model, "adam", 3e-3, CrossEntropy(pad=-1)).fit(Sentences(), 250, [ProgressBar()])
    return model, np.convolve([record["loss"] for record in history.steps], np.ones(20) / 20, "valid")


figure, ax = plt.subplots(figsize=(6.5, 3.0), layout="constrained")
trained = {}
for name, weights_of, colour in (("this code", broken, "vermillion"), ("right", right, "black")):
    trained[name], curve = train_reader(weights_of)
    ax.plot(curve, color=OKABE_ITO[colour], label=f"{name}: {curve[-1]:.3f} at the end")
ax.set(xlabel="step", ylabel="loss", ylim=(0, None))
legend = ax.legend(frameon=False)

# %% [markdown]
# Both learn. Find the line, and mend it:

# %% exercise="encoder_weights"

# %% [markdown]
# **What tells them apart?** Encode a sentence alone and in a batch with a longer one:

# %%
short, beside = [1, 2, 2, 3], [1, 3, 3, 3, 2, 2, 3, 3]
gap = {}
for name, weights_of in (("this code", broken), ("right", right)):
    Own.weights_of, model = staticmethod(weights_of), trained[name]
    one, both = model(np.array([short])), model(pad_sequences([short, beside], PAD))
    gap[name] = np.abs(one[0] - both[0]).max()
    print(f"{name:10s} its logits differ by {gap[name]:.1e}")

# %% tags=["assert"]
assert gap["this code"] > 1e-2
assert gap["right"] < 1e-5

# %% [markdown]
# With scores of T × T a mask on the queries fits as well as one on the keys, and with -10000 in place of $-\infty$ no
# NaN betrays it. It was so in a much copied implementation (hyunwoongko/transformer PR #40). The test is short:
# **padding must change nothing.**

# %%
predictions(
    {
        "one at a time": "Only attention sees the sentence. The difference is rounding.",
        "alone and padded": "With the mask by rounding; without it by more than half of their length. A norm does not repair it.",
        "what padding gets": "Exactly nothing, and something: whoever reads the output must mask too.",
        "attention's share": "A third.",
    }
)

# %% [markdown]
# ## Summary
#
# - A block mixes positions (attention) and then works on each one (feed-forward). Positions run in parallel, blocks do
#   not.
# - Padding: minus infinity in the columns of the scores. Backward needs no mask.
# - The feed-forward layer has two thirds of a block's weights.
# - A stack's backward is its loop reversed.
#
# ## On your own
#
# 1. A sentence that is nothing but padding: what should its attention weights be, and what are they here? Try
#    `Softmax()(np.full((1, 3), -np.inf))` and find the line that makes it so.
# 2. Instead of $-\infty$ some code adds $-10^9$, other code $-10^4$. When is that not enough? Construct scores in
#    float32 for which padding gets weight.
# 3. Take the feed-forward layers out of `encoder` (`Identity()`): which questions about a *single* word can it then
#    still answer? What does an attention-only stack do to a sentence of one word?

# %% tags=["assert"]
from minitransformer.course.exercises import find  # the numbers worked by hand

by_hand = find("masked_mean_backward").solution(np.ones((1, 1)), np.array([[True, True, False]]))
assert by_hand.ravel().tolist() == [0.5, 0.5, 0.0]
dx, dW1, _, dW2, _ = find("feed_forward_backward").solution(
    np.ones((1, 1, 1)), np.full((1, 1, 1), 2.0), np.array([[1.0, -1]]), np.zeros(2), np.array([[3.0], [5]]), np.zeros(1)
)
assert (dx.item(), dW1.tolist(), dW2.tolist()) == (3.0, [[6.0, 0.0]], [[2.0], [0.0]])
x_1 = 1 + 2 * 1
assert (x_1, x_1 + 3 * x_1) == (3, 12)
assert abs(full_size.feed_forward.n_parameters() / full_size.n_parameters() - 2 / 3) < 0.01

# %% [markdown] tags=["teacher"]
# **Answers.** 1. The package gives 0 to all: a query that may attend to nothing gets a context of exactly 0. Without
# care it is 0/0, which is NaN; the line that avoids it is in `Softmax.forward`. 2. When the true scores themselves are
# that small: in float32 `-1e4 + s` keeps s only to about 0.001, so a row of nothing but masked scores is nearly uniform
# and gives padding weight. 3. It can still tell words apart by their vectors, but on a single word attention is linear:
# values and output projection, with weight 1. Without the ReLU no condition on one word can be computed, beside what
# norms do.
