# %% [markdown]
# # 07 · The encoder: a sentence reads itself
#
# **Goal.** Put attention and a feed-forward layer together into a block, blocks into a stack, and let sentences of
# different lengths run through it side by side without one noticing the other.
#
# - **What you'll do:** Run an encoder on padded batches with and without the padding mask, write the backward of the
#   feed-forward layer and of a whole stack, and check an encoder of your own against the complex step.
# - **What you'll learn:** What runs in parallel (positions) and what does not (blocks); why a mask is minus infinity
#   and why backward never mentions it; which part of an encoder holds most of its parameters.
# - **What you'll need:** Lessons 04 to 06: attention, heads, residuals, norms.
# - **On your own:** Three open questions at the end.

# %%
import numpy as np

from minitransformer.course import check, hint, show_solution, show_source
from minitransformer.data import pad_sequences
from minitransformer.layers import (
    Array,
    Encoder,
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PostNorm,
    SelfAttention,
    Softmax,
    padding_mask,
)
from minitransformer.models import Transformer, TransformerConfig, summary
from minitransformer.plotting import attention_map, draw, mask_map, parameter_parts, parameter_shares
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · One block: mix, then think
#
# An encoder block has two halves. **Attention** moves information between positions; the **feed-forward** layer works on
# each position by itself. Each half stands in a residual connection, and in the Transformer of 2017 a norm follows:
#
# $$ h = \mathrm{norm}\big(x + \mathrm{attention}(x, \mathrm{mask})\big), \qquad
#    y = \mathrm{norm}\big(h + \mathrm{max}(h W_1 + b_1, 0)\, W_2 + b_2\big) . $$
#
# In code the block is handed its two halves, already wrapped, and its backward is its forward read from below:

# %%
show_source(EncoderBlock.forward, EncoderBlock.backward)

# %% [markdown]
# Where it stands: the encoder is the left column. Its last output, the **memory**, is what the decoder reads (lesson 08).

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
# Block 2 needs the output of block 1: **the N blocks run one after another.** What runs in parallel is the *positions*: given
# the block's input, no position waits for another one's output. An LSTM has it the other way round: word t must wait for
# word t - 1.
#
# **Predict before you run.** We compute a block's twelve outputs one at a time, in random order. Which of the block's parts
# see the whole sentence, and which a single vector? How far off will the result be from the block's own?

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
print("largest difference:", np.abs(alone - one(x)).max())

print("\nsteps that must wait for each other:")
for T in (10, 100, 1000):
    print(f"   {T:4d} words   LSTM of one layer {T:4d}   encoder of six blocks {6:4d}")

# %% [markdown]
# A clock on two processor cores hardly shows it; a graphics card, which does thousands of products at once, lives from it. The
# price: every position compares itself with every other, T × T scores where the LSTM has T steps.
#
# ## 3 · Sentences of different lengths
#
# A batch is one array, so short sentences are filled up with **padding**. Nothing may look at it. The mask enters where
# the scores are:
#
# $$ \mathrm{weights} = \mathrm{softmax}\Big(\tfrac{q k^\top}{\sqrt{d}} + M\Big), \qquad
#    M_{ts} = \begin{cases} 0 & s \text{ is a word}\\ -\infty & s \text{ is padding} \end{cases} $$
#
# since $e^{-\infty} = 0$ exactly, and the rest of the row still sums to one. In this package a mask is boolean, and True means
# *may attend*.

# %%
show_source(padding_mask)

# %%
PAD = 0
words = {1: "the", 2: "cat", 3: "sees", 4: "a", 5: "dog", 6: "it", 7: "sleeps"}
ids = pad_sequences([[1, 2, 3, 4, 5], [6, 7]], PAD)  # (2, 5)
mask = padding_mask(ids, PAD)  # (B, S) -> (B, 1, 1, S): for every head and every query the same
print(ids, mask.shape)
keys = [words.get(i, "pad") for i in ids[1]]
ax = mask_map(mask[1, 0], queries=keys, keys=keys, title="The second sentence: who may look at whom")

# %% [markdown]
# The last three rows are padding's own queries. They are computed, since an array has no holes, and then read by nobody.
#
# ### Exercise: nothing for padding

# %% exercise="padding_softmax"

# %% [markdown]
# **Predict before you run.** We encode *it sleeps* once alone, and once beside the longer sentence, padded. By how much do the
# vectors of its two words differ, with the mask and without? And would a norm alone repair it?

# %%
table = rng.standard_normal((8, D))
encoder = Encoder([block(D, 4, 4 * D, rng) for _ in range(2)])

alone = encoder(table[ids[1:, :2]])  # (1, 2, D)
masked = encoder(table[ids], mask)[1:, :2]
unmasked = encoder(table[ids])[1:, :2]
size = np.linalg.norm(alone)
print(f"with the mask     {np.linalg.norm(masked - alone) / size:.1e} of the vectors' length")
print(f"without           {np.linalg.norm(unmasked - alone) / size:.1e}")

# %% [markdown]
# Every half of these blocks *ends in a LayerNorm*, and without the mask the vectors are still wrong. The two are often named in
# one breath, but they do different things: **masking handles varied lengths; normalization keeps each vector's scale.**
#
# Here is where the weight went, in the first head of the first block:

# %%
_, cache = encoder.forward(table[ids])
_, masked_cache = encoder.forward(table[ids], mask)
for title, kept in (("without the mask", cache), ("with the mask", masked_cache)):
    weights = kept["blocks"][0]["attention"]["weights"][1, 0]  # (T, S) of the second sentence
    ax = attention_map(weights[:2], keys[:2], keys, title=title, vmax=1.0)

# %% [markdown]
# ## 4 · Backward never mentions the mask
#
# Here is attention's backward. There is no mask in it:

# %%
show_source(Softmax.backward)

# %% [markdown]
# A masked weight is $w = 0$, and softmax's backward, $ds = w \odot (dw - \sum dw\, w)$, has the factor $w$: the gradient of a
# masked score is exactly 0 by itself. So nothing flows back to padding, as long as nobody reads padding's own outputs:
#
# **Predict before you run.** The gradient arrives once at the words only, once at all positions. What does the padding get?

# %%
y, cache = encoder.forward(table[ids], mask)
dy = rng.standard_normal(y.shape)
is_word = (ids != PAD)[:, :, None]
for where, upstream in (("the words only", dy * is_word), ("all positions", dy)):
    dx = encoder.backward(upstream, cache)
    print(f"gradient arriving at {where:14s}:  padding gets {np.abs(dx[1, 2:]).max():.3g}")

# %% [markdown]
# The second line is the danger: a loss, or a mean over positions, that counts padding sends gradients into it and into what it
# attends to. Whoever reads an encoder's output must mask too. The decoder's attention does (same mask), the loss does
# (lesson 09), and the mean of a sentence must.
#
# ### Exercise: the mean of a sentence, backward

# %% exercise="masked_mean_backward"

# %% [markdown]
# ## 5 · The feed-forward layer
#
# $$ y = \max(x W_1 + b_1, 0)\, W_2 + b_2, \qquad W_1 \in \mathbb{R}^{D \times F},\ W_2 \in \mathbb{R}^{F \times D},\ F = 4D $$
#
# The same two matrices for every position. Its backward is two linear layers with a gate between them: what ReLU shut in forward
# stays shut.

# %%
show_source(FeedForward.forward, FeedForward.backward)

# %% [markdown]
# ### Exercise: the feed-forward layer, backward

# %% exercise="feed_forward_backward"

# %% [markdown]
# **Predict before you run.** Attention gave the paper its title. Which share of an encoder block's parameters is attention's?

# %%
full_size = block(512, 8, 2048, np.random.default_rng(0))
ax = parameter_shares({"encoder block of 2017": parameter_parts(full_size)}, title="What the parameters are for")
summary(full_size)

# %% [markdown]
# Attention has $4D^2$ weights: $3D^2$ for queries, keys and values and $D^2$ for the output projection. (Notes that count
# $3D^2$ have left out the projection $W_o$, which mixes the heads.) The feed-forward layer has $2 \cdot D \cdot 4D = 8D^2$: **two
# thirds** of the block.
#
# ## 6 · The stack, backward
#
# The stack is a loop, so its backward is the loop reversed, and each block is given *its own* cache:

# %%
show_source(Encoder.backward)

# %% [markdown]
# ### Exercise: a stack, backward

# %% exercise="stack_backward"

# %% [markdown]
# Does the whole hold together? `check_gradients` compares every entry of every parameter's gradient, and the input's, with the
# complex step $f'(x) = \mathrm{Im}\, f(x + ih) / h$, through two blocks, four residual additions, four norms and the mask:

# %%
small = Encoder([block(6, 3, 5, np.random.default_rng(i)) for i in range(2)])
check_gradients(small, np.random.default_rng(2).standard_normal((2, 5, 6)), mask)

# %% [markdown]
# ## On your own
#
# 1. A sentence that is nothing but padding: what should its attention weights be, and what are they here? Try
#    `Softmax()(np.full((1, 3), -np.inf))` and find the line that makes it so.
# 2. Instead of $-\infty$ some code adds $-10^9$, other code $-10^4$. When is that not enough? Construct scores in float32 for which
#    padding gets weight.
# 3. Take the feed-forward layers out of `encoder` (`Identity()`): which questions about a *single* word can it then still
#    answer? What does an attention-only stack do to a sentence of one word?
