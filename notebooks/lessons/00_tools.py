# %% [markdown]
# # 00 · Tools: gradients by hand, and how to check them
#
# **Goal.** Write a gradient by hand, prove it right, and train a model with it. Nothing about machine learning is
# presupposed.
#
# - **What you'll do:** apply the chain rule to arrays, take a loss apart, train a classifier in ten lines, and
#   differentiate without calculus.
# - **What you'll learn:** what `dy` means; why gradients of several uses add; linear, dense and feed-forward layers;
#   gradient descent; central differences and the complex step.
# - **What you'll need:** Python with NumPy, matrix products, partial derivatives.
# - **On your own:** three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import (
    check,
    diagram,
    hint,
    predict,
    predictions,
    show_solution,
    show_source,
    symptoms,
    versions,
)
from minitransformer.layers import Chain, CrossEntropy, Dense, Linear, Tanh
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · The chain rule, and what `dy` means
#
# Somewhere at the end of every computation stands one number, the **loss**. In this course `dy` is always the
# derivative of *the loss* with respect to `y`: how much the loss grows if `y` grows a little. So `dy` has the shape
# of `y`. A **backward pass** computes these derivatives for all values, from the last to the first.
#
# Take $f = (ab + c)^2$ with $a = 2$, $b = -3$, $c = 10$. Forward: $ab = -6$, $u = ab + c = 4$, $f = 16$. Backward:
#
# - $f = u^2$, so $du = 2u = 8$.
# - $u = ab + c$: a sum hands its gradient on unchanged, so $dc = 8$ and $d(ab) = 8$.
# - a product gives each factor the *other* factor times what comes from above: $da = 8 \cdot b$, $db = 8 \cdot a$.
#
# **Predict before you run:** which numbers are $da$ and $db$?

# %%
predict("da and db", "")

# %%
axes = diagram(
    {
        "a": (0, 2, "a"),
        "b": (0, 0, "b"),
        "ab": (2, 1, "a b"),
        "c": (2, -0.7, "c"),
        "u": (4, 0.3, "u = a b + c"),
        "f": (6, 0.3, "f = u²"),
        "loss": (7.6, 0.3, "loss"),
    },
    [
        ("a", "ab", "2", "da = -24"),
        ("b", "ab", "-3", "db = 16"),
        ("ab", "u", "-6", "8"),
        ("c", "u", "10", "dc = 8"),
        ("u", "f", "4", "du = 8"),
        ("f", "loss", "16", "1"),
    ],
    title="Above each arrow the value (forward), beneath it the derivative of the loss (backward)",
)

# %% tags=["assert"]
a, b, c = 2, -3, 10
assert (a * b, a * b + c, (a * b + c) ** 2) == (-6, 4, 16)
assert (2 * 4 * b, 2 * 4 * a, 2 * 4) == (-24, 16, 8)

# %% [markdown]
# Now for arrays, entry by entry. The stub says what comes in and what goes out, with shapes. Write the body; the cell
# beneath checks it. If it prints NOT YET, it also prints the reason. Try one wrong answer on purpose, to see what it
# prints.
#
# ### Exercise: the chain rule, once

# %% exercise="chain_backward"

# %% [markdown]
# `hint("chain_backward")` gives three hints, one after the other; `show_solution("chain_backward")` the solution. And
# `symptoms` gives help by what you see, in your own words:

# %%
symptoms("wrong numbers", "chain_backward")

# %% [markdown]
# Where you are asked to **predict**, write what you expect between the quotes of the next cell and run it. The end of
# the lesson shows it again, beside what came out.
#
# ## 2 · Linear and dense layers
#
# A **linear layer** multiplies each row of $x$ by a matrix of **weights**, $y = xW$. A **dense layer** also adds a
# **bias**, $y = xW + b$, the same for every row. By hand, two rows of two numbers and one output:
#
# $$ x = \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix},\quad W = \begin{pmatrix} 10 \\ 1 \end{pmatrix},\quad b = 5
# \quad\Rightarrow\quad y = \begin{pmatrix} 17 \\ 39 \end{pmatrix}. $$
#
# Let $dy = (1, 2)^\top$. The weight 10 met 1 in the first row and 3 in the second: it gets $1 \cdot 1 + 3 \cdot 2 =
# 7$. The other gets $2 \cdot 1 + 4 \cdot 2 = 10$. The bias was used in both rows: $1 + 2 = 3$. What is used several
# times gets the **sum**, since the loss changes through every one of these uses. And $dx$: in the first
# row 1 met the weight 10 and 2 met the weight 1, so with $dy_1 = 1$ it is $(10, 1)$; the second row is $(20, 2)$.

# %%
x, w = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[10.0], [1.0]])
print("y =", (x @ w + 5.0).ravel())

# %% tags=["assert"]
assert (x @ w + 5.0).ravel().tolist() == [17, 39]
assert (x.T @ np.array([1.0, 2.0])).tolist() == [7, 10]

# %% [markdown]
# Write the rule for any shapes. First let the shapes tell you which products are possible, then compare with the
# numbers above.
#
# ### Exercise: back through a dense layer

# %% exercise="dense_backward"

# %% [markdown]
# The rule for every product of matrices in this course: $Y = AB$ gives $dA = dY\,B^\top$ and $dB = A^\top dY$. In the
# package the layer stores its weight, and its backward *adds* to `weight.grad`:

# %%
show_source(Linear.forward, Linear.backward)

# %% [markdown]
# Its backward refuses a `dy` that cannot be right. Make such a mistake on purpose, and read what it says. (The ten
# messages that students meet most are explained in `docs/trouble.md`.)

# %%
layer = Linear(2, 1, np.random.default_rng(0))
y, cache = layer.forward(x)
try:
    layer.backward(np.array([[1.0, 2.0]]), cache)  # the transpose of what dy should be
except ValueError as error:
    print(error)

# %% tags=["assert"]
assert y.shape == (2, 1)

# %% [markdown]
# ## 3 · From scores to a loss
#
# A classifier gives a score, a **logit**, to each class. **Softmax** turns them into probabilities,
# $p_v = e^{x_v} / \sum_j e^{x_j}$, and the **cross-entropy** of the right class $t$ is the loss, $-\log p_t$: zero when
# the model is certain and right, large when it is certain and wrong. Three logits by hand:
#
# | logits | $e^x$ | $p$ |
# |---|---|---|
# | 0 | 1 | 0.1 |
# | $\log 3$ | 3 | 0.3 |
# | $\log 6$ | 6 | 0.6 |
#
# If class 0 is right, the loss is $-\log 0.1 = 2.3$. What is the gradient of the loss with respect to each logit? You
# will derive it.

# %% tags=["assert"]
p = np.exp(np.log([1.0, 3.0, 6.0]))
p /= p.sum()
assert np.allclose(p, [0.1, 0.3, 0.6])
assert round(-np.log(p[0]), 1) == 2.3

# %% [markdown]
# First the long way: one line for each name, from the last to the first. The check looks at each of them.
#
# ### Exercise: softmax and cross-entropy, step by step

# %% exercise="loss_steps_backward"

# %% [markdown]
# Long chains like this one can often be written as one formula (they **fuse**): on paper nearly everything cancels.
# Simplify $d\mathrm{logits}$ until a short formula is left. (Start from $\mathrm{loss} = \log \sum_j e^{x_j} - x_t$,
# for one row.)
#
# ### Exercise: the same in one line

# %% exercise="loss_backward"

# %% [markdown]
# In the example the gradient is $(-0.9, 0.3, 0.6)$. It sums to zero. A step against it raises the right logit and
# lowers the others.
#
# ## 4 · Gradient descent
#
# The gradient points uphill. So take a small step the other way, again and again:
# $w \leftarrow w - \mathrm{rate} \cdot dw$. That is all that "training" means.
#
# ### Exercise: training in ten lines

# %% exercise="descend"

# %% [markdown]
# Two kinds of data: three clouds, and two classes of which one lies around the other.
#
# **Predict before you run.** A dense layer cuts the plane by straight lines. Which of the two can it learn?

# %%
predict("straight lines", "")

# %%
rng = np.random.default_rng(0)
N = 240
clouds = rng.integers(0, 3, N)
around = rng.integers(0, 2, N)
angle = rng.uniform(0, 2 * np.pi, N)
points = {
    "three clouds": (np.array([[0, 2], [2, -1], [-2, -1]])[clouds] + 0.6 * rng.standard_normal((N, 2)), clouds),
    "one around the other": (
        np.stack([np.cos(angle), np.sin(angle)], axis=1) * (0.5 + 1.5 * around + 0.2 * rng.standard_normal(N))[:, None],
        around,
    ),
}


def train(model: Chain, x, targets, rate: float, steps: int) -> list[float]:
    """Gradient descent for any model of the package: forward, backward, a step. Returns the loss of every step."""
    loss, losses = CrossEntropy(pad=-1), []  # no class is padding
    for _ in range(steps):
        logits, cache = model.forward(x)
        value, loss_cache = loss.forward(logits, targets)
        for parameter in model.parameters():
            parameter.grad[...] = 0.0
        model.backward(loss.backward(1.0, loss_cache), cache)
        for parameter in model.parameters():
            parameter.value -= rate * parameter.grad
        losses.append(float(value))
    return losses


def accuracy(model, x, targets) -> float:
    return float((model(x).argmax(axis=1) == targets).mean())


for name, (x, targets) in points.items():
    model = Chain(dense=Dense(2, int(targets.max()) + 1, rng))
    losses = train(model, x, targets, rate=1.0, steps=100)
    print(f"{name:22} loss {losses[0]:.2f} -> {losses[-1]:.2f}, right {accuracy(model, x, targets):4.0%}")

# %% [markdown]
# Straight lines do not go around. The remedy is a **feed-forward** network: a dense layer, an **activation** (a
# nonlinear function applied to each number, here tanh), a second dense layer. The same loop trains it; only the model
# changed.

# %%
x, targets = points["one around the other"]
models = {
    "one dense layer": Chain(dense=Dense(2, 2, rng)),
    "dense, tanh, dense": Chain(up=Dense(2, 16, rng), activation=Tanh(), down=Dense(16, 2, rng)),
}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
grid = np.stack(np.meshgrid(np.linspace(-3, 3, 60), np.linspace(-3, 3, 60)), axis=-1)
for ax, (name, model) in zip(axes[1:], models.items()):
    losses = train(model, x, targets, rate=1.0, steps=300)
    axes[0].plot(losses, label=name)
    difference_of_logits = model(grid.reshape(-1, 2)) @ np.array([-1.0, 1.0])
    ax.contourf(grid[..., 0], grid[..., 1], difference_of_logits.reshape(60, 60) > 0, cmap="Blues", alpha=0.5)
    ax.scatter(*x.T, c=targets, s=8, cmap="Blues", edgecolor="0.3", linewidth=0.5)
    ax.set_title(f"{name}: {accuracy(model, x, targets):.0%} right", fontsize=10, loc="left")
axes[0].set(xlabel="step", ylabel="loss")
_ = axes[0].legend()
right = {name: accuracy(model, x, targets) for name, model in models.items()}

# %% tags=["assert"]
assert right["one dense layer"] < 0.8 < 0.95 < right["dense, tanh, dense"]

# %% [markdown]
# A Transformer is made of such layers, and of attention between them. Lesson 01 begins with its first layer.
#
# ## 5 · Is my gradient right?
#
# A derivative is a limit of differences. So a computer can find it without calculus, from values of $f$ alone. It is
# slow (two values of $f$ for every entry), and it is a judge that does not share your mistakes.
#
# By hand, $f(x) = x^2$ at $x = 3$ with $h = 0.1$: $(9.61 - 8.41) / 0.2 = 6$.
#
# ### Exercise: a gradient without calculus

# %% exercise="central_difference"

# %% [markdown]
# **Predict before you run.** How does the error change when $h$ gets smaller and smaller?
#
# There is a better way, the **complex step**, where $f$ can take complex numbers: $f(x + ih) = f(x) + ih f'(x) -
# \dots$, so $f'(x) = \mathrm{Im}\, f(x + ih) / h$. There is no difference of two nearly equal numbers, so no digits
# are lost.

# %%
predict("error against h", "")


# %%
def f(x):
    return np.exp(x) / (1.0 + x * x)


at, slope = 1.5, np.exp(1.5) * (1.0 - 1.5) ** 2 / (1.0 + 1.5**2) ** 2
hs = 10.0 ** np.arange(-20, 0, 0.5)
errors = {
    "one side: (f(x + h) - f(x)) / h": [abs((f(at + h) - f(at)) / h - slope) for h in hs],
    "central: (f(x + h) - f(x - h)) / 2h": [abs((f(at + h) - f(at - h)) / (2 * h) - slope) for h in hs],
    "complex step: Im f(x + ih) / h": [abs(f(at + 1j * h).imag / h - slope) for h in hs],
}
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, error in errors.items():
    ax.loglog(hs, np.maximum(error, 1e-17), label=name)
ax.set(xlabel="h", ylabel="error of the derivative")
_ = ax.legend()
for name, error in errors.items():
    print(f"{name:38} best error {min(error):.0e} at h = {hs[int(np.argmin(error))]:.0e}")

# %% tags=["assert"]
best = [min(error) for error in errors.values()]
assert best[0] > 20 * best[1] > 20 * 1e-14
assert max(errors["complex step: Im f(x + ih) / h"][:20]) < 1e-15

# %% [markdown]
# Read the figure from the right. With a large $h$ the formula is not exact: the error falls with $h$ (one side) or
# with $h^2$ (central). With a small $h$ two nearly equal numbers are subtracted and their digits cancel: the error
# rises again. In between is the bottom of a V. The complex step has no such bottom: it is exact to rounding for every
# small $h$. The package checks each of its layers in this way, and so can you:

# %%
check_gradients(Chain(up=Dense(2, 5, rng), activation=Tanh(), down=Dense(5, 3, rng)), rng.standard_normal((4, 2)))

# %% [markdown]
# ## 6 · Find the bug
#
# Somebody built a model with a short cut: `h = tanh(x w)` goes to the logits directly, and also through a second
# layer, `g = tanh(h w_b)`, `logits = h w_a + g w_c`. One of its gradients is wrong. It trains, and here is its loss,
# beside that of the same model with the right gradients.
#
# **Predict before you run.** Will you see a difference?

# %%
predict("the bug in the curve", "")

# %%
broken, right_one = versions("two_uses_backward")


def train_with(backward, seed: int) -> list[float]:
    """The loss of 150 steps with this backward, for the points around each other."""
    draw = np.random.default_rng(seed)
    w, w_a, w_b, w_c = (draw.standard_normal(s) * s[0] ** -0.5 for s in ((3, 6), (6, 2), (6, 8), (8, 2)))
    x_1 = np.concatenate([x, np.ones((N, 1))], axis=1)  # a column of ones: its weights are the bias
    losses = []
    for _ in range(150):
        h = np.tanh(x_1 @ w)
        g = np.tanh(h @ w_b)
        powers = np.exp(h @ w_a + g @ w_c)
        p = powers / powers.sum(axis=1, keepdims=True)
        losses.append(-np.log(p[np.arange(N), targets]).mean())
        dh, d_w_a, d_w_b, d_w_c = backward((p - np.eye(2)[targets]) / N, h, g, w_a, w_b, w_c)
        w, w_a, w_b, w_c = (
            old - 0.5 * d for old, d in ((w, x_1.T @ (dh * (1 - h**2))), (w_a, d_w_a), (w_b, d_w_b), (w_c, d_w_c))
        )
    return losses


curves = {name: train_with(backward, 1) for name, backward in (("this code", broken), ("right", right_one))}
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, losses in curves.items():
    ax.semilogy(losses, label=f"{name}: {losses[-1]:.3f} after 150 steps")
ax.set(xlabel="step", ylabel="loss")
_ = ax.legend()
# %% tags=["assert"]
assert 20 * curves["this code"][-1] < curves["this code"][0]
assert curves["right"][-1] < curves["this code"][-1] < 2 * curves["right"][-1]

# %% [markdown]
# Both fall to nearly nothing. Without the second curve nobody would suspect anything; with it one would call the
# difference chance. Here is the code. Find the line, mend it, and let it be checked. (A gradient check tells which
# gradient is wrong: differences of the number $\sum d\mathrm{logits} \cdot \mathrm{logits}$ with respect to one entry
# of each array.)

# %% exercise="two_uses_backward"

# %% [markdown]
# **What tells them apart?** The loss curve does not show it, and the gradients of the three weights are right. Only
# `dh` is wrong. A gradient check of `h` shows it at once:

# %%
h0, w_a, w_b, w_c = (rng.standard_normal(shape) for shape in ((3, 4), (4, 2), (4, 8), (8, 2)))
d_logits = rng.standard_normal((3, 2))
g0 = np.tanh(h0 @ w_b)
for name, backward in (("this code", broken), ("right", right_one)):
    dh = backward(d_logits, h0, g0, w_a, w_b, w_c)[0]
    moved = h0.copy()
    moved[0, 0] += 1e-5
    back = h0.copy()
    back[0, 0] -= 1e-5
    values = [(d_logits * (h @ w_a + np.tanh(h @ w_b) @ w_c)).sum() for h in (moved, back)]
    print(f"{name:10} dh[0, 0] = {dh[0, 0]:8.5f}, by differences {(values[0] - values[1]) / 2e-5:8.5f}")

# %% [markdown]
# This is a common mistake of hand-written gradients. In the lecture in which he builds micrograd, Andrej Karpathy
# wrote `=` for `+=` in one operation and left a note about it (nn-zero-to-hero #52); the first version of the library
# gave a wrong gradient to a value that is used twice, and its author reports that his toy problem had converged all
# the same (micrograd #2). The rule of this course: **backward adds.**

# %%
predictions(
    {
        "da and db": "da = 8 · (-3) = -24, db = 8 · 2 = 16.",
        "straight lines": "The three clouds; not one class around the other: no straight line goes around.",
        "error against h": "It falls, and below some h it rises again, since digits cancel. The complex step's does not rise.",
        "the bug in the curve": "Hardly: both losses fall to nearly nothing.",
    }
)

# %% [markdown]
# ## Summary
#
# - `dy` is the derivative of the loss with respect to `y` and has its shape.
# - Sum: the gradient goes on unchanged. Product: times the other factor. Matrix product: $dA = dY\,B^\top$,
#   $dB = A^\top dY$. What is used several times gets the sum.
# - Softmax with cross-entropy: $(p - \mathrm{onehot}) / N$.
# - A loss that falls proves nothing. A gradient check does.
#
# ## On your own
#
# 1. Add 1,000 to all logits. What should the probabilities be, and what does `np.exp` give? Mend `descend`.
# 2. Which rate is too large for the clouds? What does the loss do then, and why?
# 3. Replace tanh by the identity, $f(x) = x$, in "dense, tanh, dense". What can it learn now, and why?

# %% [markdown] tags=["teacher"]
# **Answers.** 1. The same probabilities: the common factor $e^{1000}$ cancels. `np.exp(1000)` is infinite, and inf/inf
# is NaN. Subtract each row's maximum before the exponential. 2. From about 10 on the loss jumps up and down: a step
# overshoots the valley that the gradient describes only at its own place. 3. Only straight cuts: $xW_1W_2$ is one
# matrix. The activation is what makes two layers more than one.
