# %% [markdown]
# # 06 · Residuals, normalization, and how the gradient flows
#
# **Goal.** See what lets a deep stack train at all: a path on which the gradient is the identity, and vectors that
# keep their size.
#
# - **What you'll do:** write the backward of a residual connection and of a norm, in nine names and in one line; follow
#   gradients through 24 blocks; train 12 blocks in four ways; find a bug.
# - **What you'll learn:** what a residual connection really does to the gradient; what a norm takes away, forward and
#   backward; pre-norm and post-norm.
# - **What you'll need:** lessons 04 and 05; mean and variance.
# - **On your own:** three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, diagram, hint, predict, predictions, show_solution, show_source, versions
from minitransformer.data import Batch
from minitransformer.layers import (
    Array,
    Cache,
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
from minitransformer.training import Every, ProgressBar, Trainer, WarmupCosine, evaluate
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · Add what you had
#
# A block does not replace its input, it adds to it (He et al. 2015):
#
# $$ y = x + f(x) . $$
#
# In the exercise the layer is $f(x) = \tanh(xW)$. By hand, one number, $W = 2$, $x = 0$, so the slope of tanh is 1: a
# step of $x$ moves $y$ by 1 directly and by $2$ through the layer. With $dy = 5$ what is $dx$?
#
# ### Exercise: back through a residual connection

# %% exercise="residual_backward"

# %% [markdown]
# $dx = dy + J_f^\top dy$ (above: $5 + 10$), where $J_f$, the Jacobian, holds the slopes of every output of $f$ by every input. The gradient comes twice: **around** the layer, unchanged, and **through**
# it. Whatever $f$ is, and however badly it was drawn, the first part is there.

# %%
axes = diagram(
    {"x": (0, 0, "x = 0"), "f": (2, 1, "tanh(2 x)"), "+": (4, 0, "+"), "y": (6, 0, "y")},
    [("x", "f", "0", "10"), ("f", "+", "0", "5"), ("x", "+", "0", "5"), ("+", "y", "0", "dy = 5")],
    title="Around and through: dx = 5 + 10",
    size=(7, 2.4),
)

# %%
show_source(Residual.forward, Residual.backward)

# %% [markdown]
# ## 2 · Twenty-four blocks
#
# A block of the encoder is attention, then a small feed-forward network for each position (lesson 07). We stack 24 of
# them, once bare and once with residual connections around every part, and send a random gradient of length 1 in at the
# end. The weights are drawn in two ways: small, with a standard deviation of 0.02 as in GPT-2, and by Glorot's rule,
# which keeps the size of what passes through one matrix.
#
# **Predict before you run.** Small weights: each bare part multiplies the gradient by about 0.025. There are 48 parts.
# And by Glorot's rule: what will $x + f(x)$ do, if $f(x)$ is as large as $x$?

# %%
predict("48 parts", "")

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


def flow(blocks: list[EncoderBlock]) -> tuple[list[Array], list[Array], float]:
    """The vectors behind each block, the gradients in front of each, and how many numbers behind ReLU are zero."""
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
    zeros = np.mean([cache["feed_forward"]["activation"]["y"] == 0 for cache in caches])
    return xs, dxs[::-1], float(zeros)


def norms_of(arrays: list[Array]) -> list[float]:
    return [float(np.linalg.norm(array)) for array in arrays]


def both_ways(init) -> dict[str, tuple]:
    return {
        kind: flow(new_blocks(kind, 24, D, init(np.random.default_rng(0), np.float64))) for kind in ("f(x)", "x + f(x)")
    }


draws = {"small weights (0.02)": both_ways(Normal), "Glorot's rule": both_ways(Glorot)}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for ax, (draw, found) in zip(axes, draws.items()):
    gradient_norms(
        {kind: norms_of(dxs) for kind, (_, dxs, _) in found.items()},
        ax,
        f"{draw}: gradient in front of each block",
        "block (0: the first)",
    )

# %% [markdown]
# The same numbers as a table. One often reads that residuals help "because there are fewer zeros". Zeros come from
# ReLU, so count them there. And compare the direction of what arrives with what was sent in.

# %%
sent = np.random.default_rng(2).standard_normal((4, 16, D))
sent /= np.linalg.norm(sent)
print(f"{'':32} zeros behind ReLU   length at block 0   cosine with the gradient sent in")
lengths, cosines = {}, {}
for draw, found in draws.items():
    for kind, (_, dxs, zeros) in found.items():
        lengths[draw, kind] = np.linalg.norm(dxs[0])
        cosines[draw, kind] = np.sum(dxs[0] * sent) / lengths[draw, kind]
        numbers = f"{lengths[draw, kind]:19.1e} {cosines[draw, kind]:33.2f}"
        print(f"{draw:21} {kind:10} {zeros:17.0%} {numbers}")

# %% tags=["assert"]
assert lengths["small weights (0.02)", "f(x)"] < 1e-70
assert 0.9 < lengths["small weights (0.02)", "x + f(x)"] < 1.1
assert cosines["small weights (0.02)", "x + f(x)"] > 0.98
assert 1e-6 < lengths["Glorot's rule", "f(x)"] < 1e-4
assert 1e7 < lengths["Glorot's rule", "x + f(x)"] < 1e8
assert all(0.4 < zeros < 0.6 for found in draws.values() for _, _, zeros in found.values())

# %% [markdown]
# **Settled:** about half of the numbers behind ReLU are zero in every stack, so that is not it. In the bare stack there
# is a product of 48 Jacobians, $J_1^\top \cdots J_{48}^\top dy$: in a direction that has nothing to do with $dy$, and
# short. How short depends on the weights. With residuals it is
#
# $$ (I + J_1^\top)(I + J_2^\top) \cdots (I + J_{48}^\top)\, dy = dy + \sum_i J_i^\top dy + \dots $$
#
# and the first term is $dy$ itself. **Residuals keep a path on which the gradient is the identity.** With small weights
# that term is nearly all: the gradient arrives as it was sent. With Glorot's the other terms grow to nearly a hundred
# million times its size and drown it.
#
# ## 3 · Normalization: keep the size
#
# So adding has a price: what is added to again and again grows. A **norm** brings every vector back to one size, and
# then lets the network choose a scale and a shift for each feature (Ba et al. 2016):
#
# $$ \hat x = \frac{x - \mathrm{mean}(x)}{\sqrt{\mathrm{var}(x) + \epsilon}}, \qquad
# y = \mathrm{gain} \odot \hat x + \mathrm{shift} $$
#
# Mean and variance are those of *one* position's $D$ numbers: over the last axis, and over nothing else.
#
# By hand, $x = (1, 0, 0, 0)$: the mean is 1/4, what is left is $(3, -1, -1, -1) / 4$, the mean of its squares $12/64 =
# 3/16$, its root 0.433. So $\hat x = (1.732, -0.577, -0.577, -0.577)$. Whoever divides the squares by $D - 1$ gets
# 1.500 in place of 1.732: a norm describes these four numbers, it does not estimate anything from them.

# %% tags=["assert"]
x = np.array([1.0, 0.0, 0.0, 0.0])
assert np.round((x - x.mean()) / x.std(), 3).tolist() == [1.732, -0.577, -0.577, -0.577]
assert round(float(((x - x.mean()) / x.std(ddof=1))[0]), 3) == 1.5

# %% [markdown]
# ### Exercise: layer normalization

# %% exercise="layer_norm"

# %%
show_source(LayerNorm.forward)

# %% [markdown]
# **Predict before you run.** Some notes say that normalization is there "because sentences differ in length". Take a
# sentence of three words, then the same with four padding vectors behind it. Which changes the three words' vectors:
# the norm, or attention without a mask?

# %%
predict("the norm or attention", "")

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
# Mean and variance are functions of $x$, so a change of one feature moves all of $\hat x$. First in nine names, one
# line each. Two things are used in all features of a row, the mean and the $1/\mathrm{std}$: their gradients are sums.
#
# ### Exercise: layer normalization, step by step

# %% exercise="layer_norm_steps_backward"

# %% [markdown]
# Now put the last six lines together on paper, from $d\hat x$ to $dx$, and write $\hat x \cdot \mathrm{std}$ for the centred $x$. Nearly everything cancels.
# There is a short cut, too: $x + c\,(1, \dots, 1)$ and $c\,x$ have the same $\hat x$ (but for $\epsilon$), so there
# cannot be a gradient along these two directions.
#
# ### Exercise: dx in one line

# %% exercise="layer_norm_backward"

# %% [markdown]
# With $\hat d = dy \odot \mathrm{gain}$: $\; dx = \frac{1}{\mathrm{std}} \big( \hat d - \mathrm{mean}(\hat d) -
# \hat x\; \mathrm{mean}(\hat d \odot \hat x) \big)$. Two directions are projected out. And $1/\mathrm{std}$: the larger $x$
# was, the smaller the gradient that comes back.
#
# The gain stands **inside** the means. Pull it out to the front and you are right as long as all gains are 1, as they
# are in every fresh layer: a mistake that a test on a fresh layer never finds.

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
# ## 5 · Where the norm stands
#
# Two recipes: **post-norm** (2017), $y = \mathrm{norm}(x + f(x))$, with the norm on the residual path; **pre-norm**
# (GPT-2, T5, Llama), $y = x + f(\mathrm{norm}(x))$, with the norm inside the branch.
#
# **Predict before you look.** All weights are now drawn by Glorot's rule. Which of the four stacks lets its vectors
# grow with every block, and how fast? Which has a clear path from the end to the beginning?

# %%
predict("four stacks", "")

# %%
large = {kind: flow(new_blocks(kind, 24, D, Glorot(np.random.default_rng(0), np.float64))) for kind in WRAPS}
figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
forward = {kind: norms_of(xs) for kind, (xs, _, _) in large.items()}
backward = {kind: norms_of(dxs) for kind, (_, dxs, _) in large.items()}
gradient_norms(
    forward, axes[0], "Forward: the vectors behind each block", "block (0: the first)", "norm of all vectors"
)
axes[1] = gradient_norms(backward, axes[1], "Backward: the gradient in front of each block", "block (0: the first)")

# %% [markdown]
# $x + f(x)$ alone lets vectors *and* gradients grow with every block: with residuals only, a deep stack does not
# vanish, it explodes. Post-norm keeps the size as it is, forward and backward; with pre-norm the vectors grow slowly, by about
# the same amount a block, since what is added has been normed. So are the two recipes the same? Compare
# directions, as in section 2: how much of the gradient that was sent in is still there?

# %%
print("cosine of the gradient with the one sent in, in front of block")
print(f"{'':28}" + "".join(f"{n:7}" for n in (23, 19, 15, 11, 7, 3, 0)))
arrived = {}
for kind, (_, dxs, _) in large.items():
    arrived[kind] = [np.sum(dxs[n] * sent) / np.linalg.norm(dxs[n]) for n in (23, 19, 15, 11, 7, 3, 0)]
    print(f"{kind:28}" + "".join(f"{cosine:7.2f}" for cosine in arrived[kind]))

# %% tags=["assert"]
assert arrived["x + f(norm(x)), pre-norm"][-1] > 0.2
assert all(abs(cosines[-1]) < 0.05 for kind, cosines in arrived.items() if "pre-norm" not in kind)

# %% [markdown]
# With pre-norm the gradient that was sent in can still be seen at the very beginning: the path of slope 1 leads all
# the way. Plain residuals have that path too, but the other terms drown it. Post-norm stands *on* the path, 48 times,
# and every time it rescales and projects. The size is right; the identity is gone.
#
# ## 6 · Live: twelve blocks
#
# The simplest task there is: **name the word that stands here.** Eight words, twelve blocks between question and
# answer, 100 steps. With two blocks all four kinds can do it, nearly or quite.
#
# **Predict before you run.** Which of the four can do it with twelve?

# %%
predict("twelve blocks", "")

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
    trainer.fit(SameWord(), 100, [ProgressBar(), Every(25, lambda trainer: evaluate(model, [held_out]))])
    return trainer


for kind in WRAPS:
    print(f"2 blocks, {kind:26}: words right {train(kind, 2).history.validations[-1]['token_accuracy']:4.0%}")

# %%
trainers = {kind: train(kind, 12) for kind in WRAPS}
for kind, trainer in trainers.items():
    print(f"12 blocks, {kind:26}: words right {trainer.history.validations[-1]['token_accuracy']:4.0%}")

# %% tags=["assert"]
words_right = {kind: trainer.history.validations[-1]["token_accuracy"] for kind, trainer in trainers.items()}
assert max(words_right["f(x)"], words_right["x + f(x)"]) < 0.5
assert 0.5 < words_right["norm(x + f(x)), post-norm"] < words_right["x + f(norm(x)), pre-norm"]
assert words_right["x + f(norm(x)), pre-norm"] > 0.99

# %%

figure, axes = plt.subplots(2, 2, figsize=(9.0, 5.6), layout="constrained", sharey=True)
for ax, (kind, trainer) in zip(axes.flat, trainers.items()):
    loss_curves(trainer.history, ax, log=False)
    ax.set_title(kind, fontsize=10, loc="left")

# %% [markdown]
# Guessing is 1 in 8, 12.5 %. Residuals alone are not enough, and here they help nothing: their gradients grow with every block, and a
# last norm, which all four models have, cannot mend that. With a norm in every block as well the stack learns, and it matters
# where the norm stands. Post-norm gets there too, given more steps (the second open question).
#
# ## 7 · Find the bug: the norm of T5 and Llama
#
# T5 and Llama leave out the mean and the shift (RMSNorm, Zhang and Sennrich 2019):
# $\hat x = x / \sqrt{\mathrm{mean}(x^2) + \epsilon}$, $y = \mathrm{gain} \odot \hat x$. Somebody wrote its backward and
# checked it on rows, arrays (N, D), to twelve digits. Then it went into a model that reads sentences, (B, T, D). Here
# is its loss, beside that of the same model with the right backward: six pre-norm blocks, the task of section 6.

# %%
broken, right = versions("rms_norm_backward")


class Norm(RMSNorm):
    """RMSNorm with a backward from outside."""

    rule = staticmethod(right)

    def backward(self, dy: Array, cache: Cache) -> Array:
        x_hat = cache["x_hat"].reshape(dy.shape)
        inv_rms = cache["inv_rms"].reshape(*dy.shape[:-1], 1)
        dx, d_gain = self.rule(dy, x_hat, inv_rms, self.gain.value)
        self.gain.grad += d_gain
        return dx


class Broken(Norm):
    rule = staticmethod(broken)


def losses_with(norm) -> list[float]:
    init = Glorot(np.random.default_rng(0))
    blocks = {f"block_{i}": PreNorm(FeedForward(WIDTH, 2 * WIDTH, init), norm(WIDTH, init)) for i in range(6)}
    tokens = Embedding(WORDS + 1, WIDTH, init, scale=WIDTH**0.5)
    model = Chain(tokens=tokens, **blocks, norm=norm(WIDTH, init), head=Dense(WIDTH, WORDS + 1, init))
    history = Trainer(model, schedule=WarmupCosine(1e-3, 60, 10)).fit(SameWord(), 60, [ProgressBar()])
    return [record["loss"] for record in history.steps]


curves = {"this code": losses_with(Broken), "right": losses_with(Norm)}
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, losses in curves.items():
    ax.semilogy(losses, label=f"{name}: {losses[-1]:.3f} after 60 steps")
ax.set(xlabel="step", ylabel="loss")
_ = ax.legend()

# %% [markdown]
# Find the line and mend it.

# %% exercise="rms_norm_backward"

# %% [markdown]
# **What tells them apart?** A gradient check on an array with as many axes as the model's:

# %%
for shape in ((4, 5), (2, 3, 5)):
    print(
        f"this code on {shape!s:9}:", "PASS" if check_gradients(Broken(5, rng), rng.standard_normal(shape)) else "FAIL"
    )

# %% tags=["assert"]
draw = np.random.default_rng(0)
assert check_gradients(Broken(5, draw), draw.standard_normal((4, 5)))
assert not check_gradients(Broken(5, draw), draw.standard_normal((2, 3, 5)))
assert curves["this code"][-1] < 0.5 * curves["this code"][0]
assert curves["this code"][-1] > 2 * curves["right"][-1]

# %% [markdown]
# `axis=1` is the last axis of a row and the axis of the positions in a sentence. FlagGems had a backward of a norm that
# was right for two axes only (issue FlagGems #5392). The other mistake of this lesson, $D - 1$ for $D$, stands in many
# models that copied one notebook: someone measured 1.500 where 1.732 was due (BERT-pytorch #30). A calculation by hand finds
# $D - 1$; an array with three axes finds `axis=1`. The package's:

# %%
show_source(RMSNorm.backward)

# %%
predictions(
    {
        "48 parts": "0.025 to the power of 48 is about 1e-77. With Glorot's rule x + f(x) grows: 48 times the root of 2 would be 1.7e7, and it is up to nearly 1e8.",
        "the norm or attention": "Attention without a mask. The norm knows nothing of other words.",
        "four stacks": "x + f(x) grows by a factor a block, pre-norm by about the same amount a block, post-norm not at all. Pre-norm has the clear path.",
        "twelve blocks": "Pre-norm; post-norm is on the way; the two without a norm in the blocks cannot.",
    }
)

# %% [markdown]
# ## Summary
#
# - $y = x + f(x)$: the gradient goes around and through. The path around is the identity.
# - A norm keeps sizes; its backward takes two directions away and divides by the size that $x$ had.
# - Residuals alone explode with weights of full size; a norm inside the branch (pre-norm) keeps the path clear.
# - Check a backward on arrays of every number of axes that it will meet.
#
# ## On your own
#
# 1. Draw section 5 with `Normal` (0.02) in place of `Glorot`. Which curves change, and which hardly do? What does
#    GPT-2's small initialization replace?
# 2. Train post-norm with 12 blocks for 400 steps, with a warm-up of 10 and of 100 steps. Which is ahead after 100?
# 3. In section 4 the gradient was divided by ten where $x$ was ten times as large. Let a weight matrix stand in front
#    of a norm, and multiply it by ten: the output stays the same. How large is the matrix's gradient then, and how much
#    does one step of gradient descent change the direction of the matrix?

# %% [markdown] tags=["teacher"]
# **Answers.** 1. The stacks without a norm change most: bare vanishes much faster, residual alone no longer grows.
# Those with a norm hardly change. A small initialization replaces the norm at the beginning of training. 2. With the
# longer warm-up; without it the first steps of post-norm are too large for its blocks near the output. 3. A tenth, and
# relative to the matrix a hundredth: the larger the matrix, the slower it turns. So a norm makes its own learning rate.
