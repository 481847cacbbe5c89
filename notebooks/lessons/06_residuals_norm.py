# %% [markdown]
# # 06 · Residuals, normalization, and how the gradient flows
#
# **Goal.** See what lets a deep stack train at all: a path on which the gradient is the identity, and vectors that
# keep their size.
#
# - **What you'll do:** write the backward of a residual connection and of two norms, follow gradients through 24
#   blocks, and train 12 blocks in four ways.
# - **What you'll learn:** what a residual connection really does to the gradient; what a norm takes away, forward and
#   backward; pre-norm and post-norm.
# - **What you'll need:** lessons 04 and 05; mean and variance.
# - **On your own:** three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, hint, show_solution, show_source
from minitransformer.data import Batch
from minitransformer.layers import (
    Array,
    Chain,
    Dense,
    Embedding,
    EncoderBlock,
    FeedForward,
    Glorot,
    LayerNorm,
    Normal,
    PostNorm,
    PreNorm,
    Residual,
    RMSNorm,
    SelfAttention,
)
from minitransformer.plotting import gradient_norms, loss_curves
from minitransformer.training import Every, Trainer, WarmupCosine, evaluate
from minitransformer.verify import check_gradients, trace

# %% [markdown]
# ## 1 · Add what you had
#
# A block does not replace its input, it adds to it (He et al. 2015):
#
# $$ y = x + f(x) \qquad\Rightarrow\qquad dx = dy + J_f^\top dy . $$
#
# The gradient comes twice: **around** the layer, unchanged, and **through** it. Whatever $f$ is, and however badly
# it was drawn, the first part is there.
#
# ### Exercise: back through a residual connection

# %% exercise="residual_backward"

# %%
show_source(Residual.forward, Residual.backward)

# %% [markdown]
# ## 2 · Twenty-four blocks
#
# A block of the encoder is attention, then a small feed-forward network for each position (lesson 07). We stack 24 of
# them, once bare and once with residual connections around every part, weights small as GPT-2 draws them, and send a
# random gradient of length 1 in at the end.
#
# **Predict before you run.** Each bare part multiplies the gradient by about 0.03. There are 48 parts.

# %%
D = 64
WRAPS = {
    "f(x)": lambda layer, norm: layer,
    "x + f(x)": lambda layer, norm: Residual(layer),
    "norm(x + f(x)), post-norm": lambda layer, norm: PostNorm(layer, norm),
    "x + f(norm(x)), pre-norm": lambda layer, norm: PreNorm(layer, norm),
}


def new_blocks(kind: str, n: int, d_model: int, init) -> list[EncoderBlock]:
    """n encoder blocks, every part of which is wrapped in the same way."""
    wrap = WRAPS[kind]
    return [
        EncoderBlock(
            attention=wrap(SelfAttention(d_model, 4, init), LayerNorm(d_model, init)),
            feed_forward=wrap(FeedForward(d_model, 2 * d_model, init), LayerNorm(d_model, init)),
        )
        for _ in range(n)
    ]


def flow(blocks: list[EncoderBlock]) -> tuple[list[Array], list[Array]]:
    """The vectors behind each block, and the gradients that arrive in front of each."""
    x = np.random.default_rng(1).standard_normal((4, 16, D))
    dy = np.random.default_rng(2).standard_normal(x.shape)
    dy /= np.linalg.norm(dy)
    xs, caches, dxs = [], [], []
    for block in blocks:
        x, cache = block.forward(x)
        xs.append(x)
        caches.append(cache)
    for block, cache in zip(reversed(blocks), reversed(caches)):
        dy = block.backward(dy, cache)
        dxs.append(dy)
    return xs, dxs[::-1]


def norms_of(arrays: list[Array]) -> list[float]:
    return [float(np.linalg.norm(array)) for array in arrays]


small = {
    kind: flow(new_blocks(kind, 24, D, Normal(np.random.default_rng(0), np.float64))) for kind in ("f(x)", "x + f(x)")
}
axes = gradient_norms(
    {kind: norms_of(dxs) for kind, (_, dxs) in small.items()},
    title="How much gradient arrives in front of each of 24 blocks",
    xlabel="block (0: the first)",
)

# %% [markdown]
# Why? One often reads: "because there are fewer zeros". Count them. And compare the direction of what arrives with
# what was sent in.

# %%
sent = np.random.default_rng(2).standard_normal((4, 16, D))
sent /= np.linalg.norm(sent)
print(f"{'':10} zeros in the gradient at block 0   its length   cosine with the gradient sent in")
for kind, (_, dxs) in small.items():
    first = dxs[0]
    length = np.linalg.norm(first)
    print(f"{kind:10} {np.mean(first == 0):33.0%} {length:12.1e} {np.sum(first * sent) / length:34.2f}")

# %% [markdown]
# **Settled:** there is not one zero in either. In the bare stack there is a product of 48 Jacobians,
# $J_1^\top \cdots J_{48}^\top dy$: short, and in a direction that has nothing to do with $dy$. With residuals it is
#
# $$ (I + J_1^\top)(I + J_2^\top) \cdots (I + J_{48}^\top)\, dy = dy + \sum_i J_i^\top dy + \dots $$
#
# and the first term is $dy$ itself. **Residuals keep a path on which the gradient is the identity**; that is why
# depth trains.
#
# ## 3 · Normalization: keep the size
#
# Adding has a price: what is added to again and again grows. A **norm** brings every vector back to one size, and
# then lets the network choose a scale and a shift for each feature (Ba et al. 2016):
#
# $$ \hat x = \frac{x - \mathrm{mean}(x)}{\sqrt{\mathrm{var}(x) + \epsilon}}, \qquad
# y = \mathrm{gain} \odot \hat x + \mathrm{shift} $$
#
# Mean and variance are those of *one* position's $D$ numbers: over the last axis, and over nothing else.
#
# ### Exercise: layer normalization

# %% exercise="layer_norm"

# %%
show_source(LayerNorm.forward)

# %% [markdown]
# **Predict before you run.** Some notes say that normalization is there "because sentences differ in length". Take a
# sentence of three words, then the same with four padding vectors behind it. Which changes the three words' vectors:
# the norm, or attention without a mask?

# %%
rng = np.random.default_rng(0)
three = rng.standard_normal((1, 3, D))
padded = np.concatenate([three, np.ones((1, 4, D))], axis=1)
norm, attention = LayerNorm(D, Glorot(rng, np.float64)), SelfAttention(D, 4, Glorot(rng, np.float64))
mask = np.array([True] * 3 + [False] * 4)[None, None, None]

print(f"LayerNorm:                {abs(norm(padded)[:, :3] - norm(three)).max():.2f}")
print(f"attention without a mask: {abs(attention(padded)[:, :3] - attention(three)).max():.2f}")
print(f"attention with a mask:    {abs(attention(padded, mask)[:, :3] - attention(three)).max():.2f}")

# %% [markdown]
# **Settled:** lengths are the business of *masks* (lesson 07). A norm does not even know that there are other words.
# What it does know is the scale, and it takes it away:

# %%
for factor in (0.001, 1.0, 1000.0):
    y = norm(factor * three + 5.0)
    print(f"x times {factor:8}, plus 5:  y has mean {y.mean():5.2f}, standard deviation {y.std():.2f}")

# %% [markdown]
# (The first has become too short: the variance of such a small $x$ is less than $\epsilon = 10^{-5}$. That is what
# $\epsilon$ is for. Without it noise of any size would be blown up to 1, and a constant vector to NaN.)
#
# ## 4 · The way back: two directions are taken away
#
# Mean and variance are functions of $x$, so a change of one feature moves all of $\hat x$. With
# $\hat d = dy \odot \mathrm{gain}$:
#
# $$ dx = \frac{1}{\sigma} \Big( \hat d - \mathrm{mean}(\hat d) - \hat x\; \mathrm{mean}(\hat d \odot \hat x) \Big),
# \qquad d\mathrm{gain} = \sum dy \odot \hat x, \qquad d\mathrm{shift} = \sum dy . $$
#
# Read it as geometry: $x + c\,(1, \dots, 1)$ and $c\,x$ have the same $\hat x$, so there cannot be a gradient along
# these two directions. They are projected out. And $1/\sigma$: the larger $x$ was, the smaller the gradient that
# comes back.
#
# The gain stands **inside** the means. Pull it out to the front and you are right as long as all gains are 1, as they
# are in every fresh layer: a mistake that a test on a fresh layer never finds.
#
# ### Exercise: back through layer normalization

# %% exercise="layer_norm_backward"

# %%
show_source(LayerNorm.backward)

# %%
y, cache = norm.forward(three)
dx = norm.backward(rng.standard_normal(y.shape), cache)
print(f"dx along (1, ..., 1): {abs(dx.sum(axis=-1)).max():.0e}")
print(f"dx along x_hat:       {abs((dx * cache['x_hat']).sum(axis=-1)).max():.0e} (not exactly zero: there is eps)")
dy = rng.standard_normal(y.shape)
lengths = [np.linalg.norm(norm.backward(dy, norm.forward(factor * three)[1])) for factor in (1, 10, 100)]
print("length of dx for x, 10 x, 100 x:", np.round(lengths, 4))

# %% [markdown]
# T5 and Llama leave out the mean and the shift (RMSNorm, Zhang and Sennrich 2019):
# $\hat x = x / \sqrt{\mathrm{mean}(x^2) + \epsilon}$. What is left out forward is left out backward:
#
# ### Exercise: back through RMSNorm

# %% exercise="rms_norm_backward"

# %%
show_source(RMSNorm.backward)

# %%
check_gradients(PreNorm(FeedForward(5, 7, rng), RMSNorm(5, rng)), rng.standard_normal((2, 3, 5)))

# %% [markdown]
# ## 5 · Where the norm stands
#
# Two recipes: **post-norm** (2017), $y = \mathrm{norm}(x + f(x))$, with the norm on the residual path; **pre-norm**
# (GPT-2, T5, Llama), $y = x + f(\mathrm{norm}(x))$, with the norm inside the branch.
#
# **Predict before you look.** Weights are now drawn by Glorot's rule, which keeps the size of what passes through.
# Which of the four stacks lets its vectors grow with every block, and how fast? Which has a clear path from the end
# to the beginning?

# %%
large = {kind: flow(new_blocks(kind, 24, D, Glorot(np.random.default_rng(0), np.float64))) for kind in WRAPS}
figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
forward = {kind: norms_of(xs) for kind, (xs, _) in large.items()}
backward = {kind: norms_of(dxs) for kind, (_, dxs) in large.items()}
gradient_norms(
    forward, axes[0], "Forward: the vectors behind each block", "block (0: the first)", "norm of all vectors"
)
axes[1] = gradient_norms(backward, axes[1], "Backward: the gradient in front of each block", "block (0: the first)")

# %% [markdown]
# $x + f(x)$ alone lets vectors *and* gradients grow with every block: with residuals only, a deep stack does not
# vanish, it explodes. Both norms hold the size, forward and backward. So are the two recipes the same? Compare
# directions, as in section 2: how much of the gradient that was sent in is still there?

# %%
print("cosine of the gradient with the one sent in, in front of block")
print(f"{'':28}" + "".join(f"{n:7}" for n in (23, 19, 15, 11, 7, 3, 0)))
for kind, (_, dxs) in large.items():
    cosines = [np.sum(dxs[n] * sent) / np.linalg.norm(dxs[n]) for n in (23, 19, 15, 11, 7, 3, 0)]
    print(f"{kind:28}" + "".join(f"{cosine:7.2f}" for cosine in cosines))

# %% [markdown]
# With pre-norm the gradient that was sent in can still be seen at the very beginning: the path of slope 1 leads all
# the way. Plain residuals have that path too, but the other terms have grown to nearly a hundred million times its
# size and drown it. Post-norm stands *on* the path, 48 times, and every time it rescales and projects. The size is
# right; the identity is gone.
#
# ## 6 · Live: twelve blocks
#
# The simplest task there is: **name the word that stands here.** Eight words, twelve blocks between question and
# answer, 100 steps. With two blocks all four kinds can do it.
#
# **Predict before you run.** Which of the four can do it with twelve?

# %%
WORDS, WIDTH = 8, 32


class SameWord:
    """A batch for every step: words, and the same words to be named."""

    def batch(self, step: int) -> Batch:
        ids = np.random.default_rng([0, step]).integers(1, WORDS + 1, (32, 10))
        return Batch((ids,), ids)


def train(kind: str, n_blocks: int) -> Trainer:
    init = Glorot(np.random.default_rng(0))
    blocks = {f"block_{i}": block for i, block in enumerate(new_blocks(kind, n_blocks, WIDTH, init))}
    tokens = Embedding(WORDS + 1, WIDTH, init, scale=WIDTH**0.5)
    model = Chain(tokens=tokens, **blocks, norm=LayerNorm(WIDTH, init), head=Dense(WIDTH, WORDS + 1, init))
    trainer = Trainer(model, schedule=WarmupCosine(2e-3, 100, 10))
    held_out = SameWord().batch(1_000_000)
    trainer.fit(SameWord(), 100, [Every(25, lambda trainer: evaluate(model, [held_out]))])
    return trainer


for kind in WRAPS:
    print(f"2 blocks, {kind:26}: words right {train(kind, 2).history.validations[-1]['token_accuracy']:4.0%}")

# %%
trainers = {kind: train(kind, 12) for kind in WRAPS}
for kind, trainer in trainers.items():
    print(f"12 blocks, {kind:26}: words right {trainer.history.validations[-1]['token_accuracy']:4.0%}")

figure, axes = plt.subplots(2, 2, figsize=(9.0, 5.6), layout="constrained", sharey=True)
for ax, (kind, trainer) in zip(axes.flat, trainers.items()):
    loss_curves(trainer.history, ax, log=False)
    ax.set_title(kind, fontsize=10, loc="left")

# %% [markdown]
# Residuals alone are not enough: what they let through grows. With a norm as well the stack learns, and it matters
# where the norm stands. Post-norm gets there too, given more steps (the second open question).
#
# ## 7 · One after another
#
# What a stack is: a loop. `trace` writes down each layer as it runs. Part 1 reads what part 0 wrote, so **blocks
# run one after another; it is the positions that run in parallel** (lesson 04).

# %%
parts = [PreNorm(FeedForward(8, 16, rng), LayerNorm(8, rng)) for _ in range(2)]
trace(Chain(part_0=parts[0], part_1=parts[1]), rng.standard_normal((2, 3, 8)))

# %% [markdown]
# ## On your own
#
# 1. Draw section 5 with `Normal` (0.02) in place of `Glorot`. Which curves change, and which hardly do? What does
#    GPT-2's small initialization replace?
# 2. Train post-norm with 12 blocks for 400 steps, with a warm-up of 10 and of 100 steps. Which is ahead after 100?
# 3. In section 4 the gradient was divided by ten where $x$ was ten times as large. A weight matrix in front of a norm
#    can grow without any effect forward. What happens to its steps of learning then?
