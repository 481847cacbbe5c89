# %% [markdown]
# # 08 · The decoder: write without looking ahead
#
# **Goal.** Build the half that writes: it may look at what it has written so far, never at what comes, and at everything the
# encoder has read.
#
# - **What you'll do:** Mask the upper triangle, catch a model that cheats, follow gradients into the past and across to the
#   encoder, and watch cross-attention learn to read backwards.
# - **What you'll learn:** Why one forward pass trains all positions at once; where keys and values come from; why the encoder's
#   gradient is a sum over the decoder's blocks.
# - **What you'll need:** Lesson 07; softmax's backward (lesson 04).
# - **On your own:** Three open questions at the end.

# %%
import numpy as np

from minitransformer.course import check, hint, show_solution, show_source
from minitransformer.data import Batch, PairBatches, ToyTask
from minitransformer.layers import (
    Array,
    Cache,
    CrossEntropy,
    DecoderBlock,
    MultiHeadAttention,
    SelfAttention,
    causal_mask,
)
from minitransformer.models import GPT, GPTConfig, PreNormTransformer, TransformerConfig
from minitransformer.plotting import attention_grid, attention_map, attention_matrices, mask_map
from minitransformer.training import Adam, Constant, Trainer, WarmupCosine
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · Three sublayers
#
# A decoder block has one more part than an encoder block, between the two that you know:
#
# $$ h = x + \mathrm{attention}(x, \text{causal}), \qquad g = h + \mathrm{attention}(h \to \mathrm{memory}), \qquad
#    y = g + \mathrm{feedforward}(g) $$
#
# (with its norms, as in lesson 06). Backward is the mirror, and for the first time it returns **two** gradients: one goes down
# the decoder, the other crosses to the encoder.

# %%
show_source(DecoderBlock.forward, DecoderBlock.backward)

# %% [markdown]
# ## 2 · Minus infinity on the upper triangle
#
# The decoder predicts word t + 1 from the words 0 ... t. In training all positions are computed at once, so the words to be
# predicted stand in the input, one step to the right. The mask hides them:
#
# $$ \mathrm{weights} = \mathrm{softmax}\Big(\tfrac{q k^\top}{\sqrt{d}} + M\Big), \qquad
#    M = \begin{pmatrix} 0 & -\infty & -\infty\\ 0 & 0 & -\infty\\ 0 & 0 & 0 \end{pmatrix} $$
#
# Rows are queries, columns keys: $-\infty$ **above** the diagonal. The diagonal itself is open: the decoder's input is shifted,
# so position t holds a word that is already written.

# %%
show_source(causal_mask)

# %%
words = ["<s>", "the", "cat", "ran"]
ax = mask_map(causal_mask(4), queries=words, keys=words, title="Who may look at whom")

# %% [markdown]
# Number by number, one head of width 3 on these four words. Find the scores that are minus infinity, and the weights that
# they become:

# %%
rng = np.random.default_rng(0)
layer = SelfAttention(3, 1, rng)
_, cache = layer.forward(rng.standard_normal((1, 4, 3)), causal_mask(4))
ax = attention_matrices(cache, words)

# %% [markdown]
# The first row is always (1, 0, 0, 0): the first position has nobody but itself.
#
# ### Exercise: no look at the future

# %% exercise="causal_softmax"

# %% [markdown]
# ## 3 · What happens without it
#
# Text of random symbols: 8 of them, each equally likely, whatever came before. Nobody can predict it better than by guessing,
# with a loss of $\ln 8 = 2.079$ nats. We train the same small decoder twice, once with its mask and once without.
#
# **Predict before you run.** What loss does each reach? And which of the two would you rather have as a translator?

# %%
N_SYMBOLS = 8


class Cheating(GPT):
    """A decoder whose mask is open: everybody may look at everybody."""

    def forward(self, ids, rng=None):
        x, embedding_cache = self.embedding.forward(ids, rng=rng)
        y, decoder_cache = self.decoder.forward(x, None, rng=rng)
        logits, head_cache = self.head.forward(y)
        return logits, Cache(embedding=embedding_cache, decoder=decoder_cache, head=head_cache)


class RandomText:
    """A batch for every step: 32 texts of 12 symbols; what follows each symbol is the target."""

    def batch(self, step):
        text = np.random.default_rng([7, step]).integers(0, N_SYMBOLS, (32, 13))
        return Batch((text[:, :-1],), text[:, 1:], pad=-1)


small = GPTConfig(vocab=N_SYMBOLS, max_length=12, d_model=32, n_heads=4, n_blocks=1, dropout=0.0)
trained = {}
for kind in (GPT, Cheating):
    model = kind(small, np.random.default_rng(1))
    trainer = Trainer(model, Adam(), Constant(1e-2), CrossEntropy(pad=-1), seed=0)
    history = trainer.fit(RandomText(), 300)
    trained[kind.__name__] = model
    print(f"{kind.__name__:9s} loss at the end {np.mean([r['loss'] for r in history.steps[-20:]]):.3f}")
print(f"guessing  {np.log(N_SYMBOLS):.3f}")

# %% [markdown]
# The cheat has learned to copy the next symbol from its own input. When it has to *write*, there is no next symbol to copy, and
# it is worthless. A training loss that is too good to be true is the classic sign of a leaking mask.
#
# Its weights show the theft, one step to the right of the diagonal:

# %%
text = RandomText().batch(0).inputs[0][:1]
labels = [str(symbol) for symbol in text[0]]
_, cache = trained["Cheating"].forward(text)
axes = attention_grid(
    cache["decoder"]["blocks"][0]["attention"]["weights"][0], labels, labels, title="Without the mask"
)

# %% [markdown]
# With the mask causality is not approximate. **Predict before you run.** We exchange the *last* symbol of a text. How many of
# the logits before it change, and by how much?

# %%
other = text.copy()
other[0, -1] = (other[0, -1] + 1) % N_SYMBOLS
for name, model in trained.items():
    difference = np.abs(model(text) - model(other))[0].max(axis=-1)
    print(f"{name:9s} largest change before the last: {difference[:-1].max():.2g}, at the last: {difference[-1]:.2g}")

# %% [markdown]
# Exactly 0, bit for bit: $e^{-\infty}$ is 0 and 0 times anything finite adds nothing. This is why **one** forward pass over T
# positions is T training examples.
#
# ## 4 · Gradients flow to the past
#
# Forward, information flows from earlier to later positions only; backward, the gradient flows from later to earlier. The
# simplest causal attention is the one whose scores are all equal: every position takes the mean of all so far,
#
# $$ y_t = \frac{1}{t + 1} \sum_{s \le t} x_s . $$
#
# ### Exercise: gradients flow to the past

# %% exercise="causal_mean_backward"

# %% [markdown]
# For a real layer we ask its backward the same question, one output at a time: a gradient of random direction at position t
# alone; how large is what arrives at each position s?

# %%
T, D = 6, 8
attention = SelfAttention(D, 2, rng)
x = rng.standard_normal((1, T, D))
_, cache = attention.forward(x, causal_mask(T))
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
# The same triangle as the mask's. No line of the backward mentions it: where a weight is 0, so is its gradient.
#
# ## 5 · Attention to the memory
#
# The second sublayer asks the encoder. **Queries come from the decoder, keys and values from the memory**:
#
# $$ q = h W_q, \qquad k = \mathrm{memory}\, W_k, \qquad v = \mathrm{memory}\, W_v, \qquad
#    \mathrm{context} = \mathrm{softmax}\Big(\tfrac{q k^\top}{\sqrt d}\Big) v $$
#
# with T × S weights: no causal mask here (the source is fully known), only the source's padding mask. Mind the scale: it is
# $\sqrt{d}$ of *one head*, d = D/H, not $\sqrt{D}$.

# %%
show_source(MultiHeadAttention.forward, MultiHeadAttention.backward)

# %% [markdown]
# Backward: the memory was used twice, as keys and as values, so it gets two gradients, and they add.
#
# ### Exercise: backward to both sides

# %% exercise="cross_attention_backward"

# %% [markdown]
# ## 6 · Which memory?
#
# Some drawings connect encoder block 1 with decoder block 1, block 2 with block 2, and so on. **Predict before you run.** In a
# model with three blocks a side: what do the three cross-attentions have as the input of their keys?

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
# **Every decoder block reads the *final* output of the encoder.** The encoder must be finished before the decoder begins, and can
# then be kept: a translator encodes the source once. On the way back the N gradients meet again:
#
# $$ d\,\mathrm{memory} = \sum_{n=1}^{N} \big( dk_n W_{k,n}^\top + dv_n W_{v,n}^\top \big) $$
#
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
    causal_mask(4),
    memory_mask,
)

# %% [markdown]
# ## 7 · Reading backwards
#
# Both halves together, on a task whose alignment we know: write the source in reverse.
#
# **Predict before you run.** Sketch the cross-attention map (rows: words to write, columns: source) of a model that has
# understood the task. Which cell of the row of `<eos>` is bright?

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
history = trainer.fit(batches, 500)
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
# Nobody told the model which symbol belongs to which: the loss did, through the gradient that crosses from the decoder to the
# encoder.
#
# ## On your own
#
# 1. In section 3 let the cheat's mask hide *only* the next symbol, but not those after it. What loss do you expect on random
#    text, and what on text in which every symbol comes twice in a row?
# 2. Swap the arguments of cross-attention (queries from the memory, keys and values from the decoder). Which error do you get, or
#    which silent leak if T = S?
# 3. During decoding a new word is added at the end. Which keys and values of the earlier positions change? Why does the same
#    not hold in the encoder?
