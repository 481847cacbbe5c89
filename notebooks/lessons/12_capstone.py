# %% [markdown]
# # 12 · Capstone: a Transformer of your own
#
# **Goal.** One file, `my_transformer.py`, that holds a whole Transformer of yours: forward, backward, training and
# decoding, in plain functions that need NumPy alone.
#
# - **What you'll do:** Collect your functions of the lessons, put them together to a model, prove every gradient, train
#   it with your own Adam, and translate sentences that it has never seen.
# - **What you'll learn:** How the parts fit together, and which check finds which mistake.
# - **What you'll need:** Lessons 01 to 09. 19 functions and a class are to be written; six are given, and ten are from
#   the lessons.
#
# | track | hours | how |
# |---|---|---|
# | short | 2.5 | `FILL = "all"`: what you have not written comes from the solution. Write `multihead_attention`, both blocks, `greedy` and the layer |
# | whole | 4 | `FILL = "pieces"`: only the pieces of earlier lessons may come from their solutions |
# | open | as long as you like | `FILL = ""`: all of it is yours. Then change the model: section 8 |
#
# Six **gates** run the file, not this notebook. None of them needs the one before, so you can go on even if you are
# stuck. Gate 1: the file runs and has every function. Gate 2: with the package's weights, your forward gives the
# package's numbers. Gate 3: every gradient is right. Gate 4: three of your steps are the package's, and the toy task
# is learned, 95 % of unseen sequences. Gate 5: of 20 unseen sentences at least 17 are translated exactly. Gate 6: a layer class of yours keeps
# the package's contract. `minitransformer grade` runs the same gates.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import predict, predictions
from minitransformer.course.capstone import GATES, MISTAKES, collect, gate, toy_losses
from minitransformer.plotting import OKABE_ITO, attention_map

FILL = "pieces"

# %% [markdown]
# ## 1 · Collect
#
# `collect` writes the file from the notebooks in this folder (save them first) and from the cells that you have run
# here. Helper functions that yours use come along. If you have edited the file by hand, it is kept as a backup.

# %%
collect(fill=FILL)
gate(1)

# %% [markdown]
# ## 2 · Forward
#
# The model is the pre-norm Transformer of lesson 06. All its parameters are in one dict `p`, under the names that the
# package has, for example `decoder.blocks.0.cross_attention.query.weight`. So your model can be given the package's
# weights, and must then give the package's numbers: that is gate 2.
#
# Each forward returns its output and a **cache**. What is in the cache is up to you; only your own backward reads it.
#
# These are given. Read them: they show the style of the rest.

# %%
PAD, EPS = 0, 1e-5

# %% capstone="softmax linear linear_backward blocks embedding" given=true

# %% [markdown]
# **The parts of a block.** In a forward use no `abs`, `var` or `std`: gate 3 runs it with complex numbers.

# %% capstone="norm feed"

# %% [markdown]
# **Attention.** Seven steps: three projections, scores, mask, softmax, weighted values, merge, output. Which axis has
# length d, and which D?

# %% capstone="multihead_attention"

# %% [markdown]
# **Blocks.** Each part is $x + f(\mathrm{norm}(x))$; the encoder's block has two, the decoder's three. The encoder's
# output, the *memory*, is not normed again in the decoder.

# %% capstone="encoder_block decoder_block"

# %% [markdown]
# **Stacks and model.** Nobody may attend to padding of the source. The decoder's logits are products with the target's
# own table.

# %% capstone="encode decode forward"

# %%
collect(fill=FILL)
gate(2)

# %% [markdown]
# ## 3 · Backward
#
# Walk each forward from its last line to its first. What was used twice gets two gradients, which add. Count before you
# write: how often is `x` used in a decoder block? The memory? The target's table?
#
# The dict `g` has a zero array for each parameter; every backward *adds* to it.

# %% capstone="norm_backward feed_backward"

# %% capstone="multihead_attention_backward"

# %% capstone="encoder_block_backward decoder_block_backward"

# %% capstone="encode_backward decode_backward backward"

# %% [markdown]
# Gate 3 changes each number of each parameter by an imaginary $10^{-20}$, runs your forward, and compares. It
# forgives nothing above $10^{-10}$. At its end it compares your gradient with the package's, since a wrong forward
# with its own right gradient passes the complex step.

# %%
collect(fill=FILL)
gate(3)

# %% [markdown]
# ## 4 · Training
#
# The first weights are given. `training_step` is yours: forward, loss, backward, and your `adam_step` for every
# parameter.

# %% capstone="new_parameters" given=true

# %% capstone="training_step"

# %% [markdown]
# Gate 4 compares three steps with the package's trainer, and then trains on a toy task, to reverse sequences of
# symbols. **Predict before you run.** Which of the two parts would notice an Adam without bias correction?

# %%
predict("bias correction", "")

# %%
collect(fill=FILL)
gate(4)

# %% [markdown]
# ## 5 · Translation
#
# `greedy` encodes once, reads `start`, and appends the most probable next word until every sentence has its `eos`. It
# runs the decoder on all words so far at each step; lesson 10 says how a cache avoids that.

# %% capstone="greedy alignment"

# %% [markdown]
# Gate 5 trains your model on two constructions of the grammar and lets it translate 20 sentences about pairs of nouns
# that training never shows. Then it draws your decoder's alignment, from your cache: the mean over the heads.

# %%
collect(fill=FILL)
gate(5, draw=attention_map)

# %% [markdown]
# ## 6 · A layer of your own
#
# Until now your model was functions. The package is made of **layers**, classes under one **contract**, and every layer
# that keeps it can stand in every model. Four rules:
#
# - `self` holds parameters and sizes, nothing that a call computes. Each parameter is a `Parameter`: an array `value`,
#   and an array `grad` of the same shape.
# - `forward(x, rng=None)` returns the output and a `Cache` with all that backward needs, such as `Cache(x=x, s=s)`.
#   `rng` is for dropout; most layers ignore it.
# - `backward(dy, cache)` reads it by name, `cache["x"]`, **adds** to each `grad`, and returns `dx`.
# - Neither changes an array that it is given. Both work for any number of axes in front of the last, in float32, in
#   float64, and forward also with complex numbers.
#
# The layer is a **gated linear unit**, $y = (xW) \odot \sigma(xV)$, where $\sigma(z) = 1 / (1 + e^{-z})$ has the slope
# $\sigma(z)\,(1 - \sigma(z))$. One product carries the numbers, the other says how much of each passes. $W$ is
# the parameter `weight`, $V$ the parameter `gate`. SwiGLU in Llama is its relative (lesson 11).
#
# **By hand.** All are numbers: $x = 1$, $W = 2$, $V = 0$. The gate is $\sigma(0) = 1/2$, so $y = 1$. With $dy = 1$: $W$ gets
# $1 \cdot 1/2$, $V$ gets $2 \cdot 1/4$. And $x$, which is used twice?

# %%
from minitransformer.layers import Array, Cache, Layer, Parameter

# %% capstone="GatedLinear"

# %%
collect(fill=FILL)
gate(6)

# %% tags=["assert"]
from minitransformer.course.my_layer import GatedLinear as Own

own = Own(1, 1, np.random.default_rng(0))
own.weight.value[...], own.gate.value[...] = 2.0, 0.0
y, cache = own.forward(np.ones((1, 1)))
dx = own.backward(np.ones((1, 1)), cache)
assert (y.item(), own.weight.grad.item(), own.gate.grad.item(), dx.item()) == (1.0, 0.5, 0.5, 1.0)

# %% [markdown]
# Gate 6 compares your class with the definition, on arrays with two, three and four axes. All of them go forward before the
# first goes backward. The package's own judge takes your class, too. Once gate 6 passes, try
# `check_gradients(GatedLinear(3, 5, rng), rng.standard_normal((2, 4, 3)))`, with `check_gradients` from
# `minitransformer.verify`.
#
# ## 7 · The museum, unlabelled
#
# Here are twelve files, each the solution with one line changed: the mistakes of the lessons before, without their
# names.
#
# **Predict before you run.** How many of them does each gate reject? Which kind of mistake passes gate 2 and not gate
# 3? And can a loss curve tell?

# %%
predict("the museum", "")

# %%
CHOSEN = [0, 1, 3, 5, 7, 9, 10, 12, 13, 15, 16, 19]
print("file      " + "".join(f"{i:5d}" for i in range(len(CHOSEN))))
seen = {number: [bool(gate(number, mistake=m)) for m in CHOSEN] for number in (2, 3)}
for number, passed in seen.items():
    print(f"gate {number}    " + "".join("    ." if ok else "    X" for ok in passed), f"  {GATES[number]}")

# %% tags=["assert"]
assert sum(seen[3]) == 2
assert not all(b for a, b in zip(seen[2], seen[3]) if a)

# %% [markdown]
# `X` means rejected. The complex step alone is not enough: a wrong forward with *its own* right gradient passes it,
# and only the comparison with the package's gradient at the end of gate 3 rejects it. Two files pass both gates:
# their gradients are right and their steps are wrong. Try gate 4 on them.

# %%
figure, ax = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
end = {}
for i, colour in ((None, "black"), (0, "sky blue"), (1, "vermillion"), (9, "green")):
    smooth = np.convolve(toy_losses(None if i is None else CHOSEN[i]), np.ones(10) / 10, "valid")
    end[i] = smooth[-1]
    ax.plot(smooth, color=OKABE_ITO[colour], label="the solution" if i is None else f"file {i}")
ax.set(xlabel="step", ylabel="loss (mean of 10 steps)", ylim=(0, None), title="Every one of these losses falls")
legend = ax.legend(frameon=False)
print("loss at the end: " + ", ".join(f"{'solution' if i is None else i} {x:.2f}" for i, x in end.items()))

# %% tags=["assert"]
assert abs(end[9] - end[None]) < 0.1
assert end[None] + 0.3 < end[1] < end[0] < 3

# %% [markdown]
# The loss falls in all of these. File 9 has the solution's curve. File 1 is slower than the solution. File 0 ends far
# above the others, and nothing in its curve says whether its code is wrong or its model too small. A loss curve is no
# test: this is why gates 2 and 3 come before training.
#
# **Your turn.** Name the mistake in each of the twelve. `gate(2, mistake=CHOSEN[0])` runs one of them; write a test of
# your own that tells it from the solution.

# %% tags=["teacher"]
for i, m in enumerate(CHOSEN):
    print(f"{i:2d}  gate {MISTAKES[m].gate}  {MISTAKES[m].reason}")

# %%
predictions(
    {
        "bias correction": "The first: three steps are compared number by number.",
        "the museum": "Gate 3 rejects ten. Wrong backwards pass gate 2 and not gate 3. A loss curve cannot tell.",
    }
)

# %% [markdown]
# ## What you have now
#
# A Transformer in one file whose every gradient is checked, and which translates. The project's own, of at most 350
# lines, is `minitransformer/course/my_transformer.py`: compare it with yours, function by function.
#
# ## 8 · On your own
#
# 1. Make it post-norm (lesson 06). Which lines change, forward and backward? Does gate 4 still pass?
# 2. Give `greedy` a cache of keys and values. How much faster is a sentence of 30 words?
# 3. Remove the sinusoids. Which gate notices, and can the model still reverse?
# 4. `GatedLinear` twice as wide has twice the numbers. Put it into a feed-forward layer of the same number of
#    parameters as one with ReLU (`FeedForward`, F = 4 D). How wide may it be?

# %% [markdown] tags=["teacher"]
# **Answers.** 1: in each block the norm moves behind the sum, `x = norm(x + f(x))`, and the last norms of both stacks
# are removed; on the way back the norm comes first and its result goes both around and through. Gate 2 then fails,
# since its model is pre-norm, and so do the comparisons with the package in gates 3 and 4; gate 3's complex step
# holds, and the toy task is still learned. 2: without a cache step t computes t positions, so n words cost n²/2 of
# them; with it n. The gain depends on the machine. 3: gate 2, at `encode`. Self-attention without positions does not
# know the order of the source (lesson 04), so it cannot reverse. 4: with ReLU there are
# $2 \cdot D \cdot F = 8 D^2$ weights, with the gate $3 D F$, so $F = 8 D / 3$. Llama takes that, rounded.
