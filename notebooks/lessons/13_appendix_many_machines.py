# %% [markdown]
# # 13 · Appendix: one batch on many machines
#
# **Goal.** Share a batch among machines without changing a digit of its gradient, and work out how far that goes.
#
# - **What you'll do:** Write the gradients of two shares of a batch, one turn of a ring all-reduce, and count what is
#   sent.
# - **What you'll learn:** Why shares are divided by the tokens of the whole; what limits data parallelism.
# - **What you'll need:** Lesson 09.
# - **On your own:** Two open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

from minitransformer.course import check, hint, predict, predictions, show_solution, show_source
from minitransformer.layers import CrossEntropy, Softmax, Unallocated
from minitransformer.models import PRESETS
from minitransformer.plotting import OKABE_ITO

# %% [markdown]
# ## 1 · Two shares, one gradient
#
# The loss is a mean over N tokens. Two workers have $N_1$ and $N_2$ of them. Their gradients shall simply *add* to that
# of the whole:
#
# $$ \nabla \mathcal{L} = \frac{1}{N} \sum_{\text{all tokens}} \nabla \ell . $$
#
# **By hand.** Worker 1 has one token, with $p - \mathrm{onehot} = (-0.6, 0.6)$; worker 2 has three tokens, each with
# $(-0.2, 0.2)$. The gradient of the whole mean is $\big((-0.6, 0.6) + 3 \cdot (-0.2, 0.2)\big) / 4 = (-0.3, 0.3)$. By rows:
# that of worker 1 is $(-0.15, 0.15)$, and each of worker 2's three is $(-0.05, 0.05)$; they sum to it.
#
# ### Exercise: two shares, one gradient

# %% exercise="shares_backward"

# %%
show_source(CrossEntropy.forward)

# %% [markdown]
# The argument `normalizer` is N of the whole batch.
#
# ## 2 · The ring
#
# Every *rank* holds the whole model and computes the gradient of its share; an **all-reduce** leaves the sum of all
# gradients with each of them, and each takes the same step. Put n ranks in a ring and cut the gradient into n pieces.
# In each of n - 1 turns every rank sends one piece to the next, which adds it to its own. Then every rank has one piece
# that is complete, and in n - 1 further turns these go round.
#
# **By hand.** n = 2, one number a piece. Rank 0 has [1, 2], rank 1 has [10, 20]. In turn 0 rank 0 sends piece 0, rank 1
# sends piece 1: now rank 0 has [1, 22], rank 1 has [11, 20]. Piece 1 is complete at rank 0, piece 0 at rank 1.
#
# ### Exercise: a turn of the ring

# %% exercise="ring_turn"

# %% [markdown]
# **Predict before you run.** Four ranks, a gradient of 1,000 numbers. How many numbers does each rank send in all? And
# with 100 ranks?

# %%
predict("numbers sent", "")


# %%
def ring_all_reduce(gradients):
    """gradients (n, P) -> every rank's sum (n, P), and the share of a gradient that each rank sent."""
    n, P = gradients.shape
    pieces, sent = gradients.reshape(n, n, P // n).copy(), 0.0
    for turn in range(2 * (n - 1)):
        moved = [((r + 1) % n, (r - turn) % n, pieces[r, (r - turn) % n].copy()) for r in range(n)]
        for to, i, piece in moved:
            pieces[to, i] = pieces[to, i] + piece if turn < n - 1 else piece
        sent += 1 / n
    return pieces.reshape(n, P), sent


ratios = {}
for n in (2, 4, 100):
    gradients = np.random.default_rng(0).standard_normal((n, 1000))
    sums, ratios[n] = ring_all_reduce(gradients)
    print(
        f"{n:4d} ranks: each sent {ratios[n]:.2f} of a gradient; off by {np.abs(sums - gradients.sum(axis=0)).max():.0e}"
    )

# %% tags=["assert"]
assert all(np.isclose(sent, 2 * (n - 1) / n) for n, sent in ratios.items())

# %% [markdown]
# Through each link goes $2 (n - 1) / n$ of the gradient: less than twice its size, whatever n. No other way sends less
# (Patarasuk and Yuan 2009). The package does it with `mpiexec -n 4 minitransformer train PAIRS.tsv --out runs/mine`.
#
# ## 3 · What share of the time computes?
#
# A token costs about $6P$ operations, two for each of the P weights on the way forward and four on the way back. With T
# tokens in the whole batch and 4 bytes a number:
#
# $$ \mathrm{compute} = \frac{6 P\, T / n}{\text{operations a second}}, \qquad
#    \mathrm{sending} = \frac{2\,(n - 1)}{n} \cdot \frac{4 P}{\text{bytes a second}} . $$
#
# **Predict before you run.** Llama-2-70B has ten times as many weights as Llama-2-7B, so ten times as much to send.
# Both have batches of 4 million tokens (Touvron et al. 2023). Which spends the larger share of its time on sending?
#
# The machine is *assumed*: 150 TFLOPS and a link of 25 GB/s. The weights are counted in the classes that run.

# %%
predict("7B or 70B", "")

# %%
RANKS, FLOPS, BYTES = (2, 8, 64, 512), 150e12, 25e9
TOKENS = {"transformer-base": 25_000, "llama-2-7b": 4_000_000, "llama-2-70b": 4_000_000}
sizes = {name: PRESETS[name][0](PRESETS[name][1], Unallocated()).n_parameters() for name in TOKENS}


def efficiency(P, T, n):
    compute, sending = 6 * P * T / n / FLOPS, 2 * (n - 1) / n * 4 * P / BYTES
    return compute / (compute + sending)


print(f"{'':18s}{'P':>15s}{'T':>11s}   n =" + "".join(f"{n:8,}" for n in RANKS))
for name, T in TOKENS.items():
    print(f"{name:18s}{sizes[name]:15,}{T:11,}      " + "".join(f"{efficiency(sizes[name], T, n):8.1%}" for n in RANKS))

# %% tags=["assert"]
assert np.isclose(efficiency(sizes["llama-2-7b"], 4e6, 512), efficiency(sizes["llama-2-70b"], 4e6, 512))

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
n = np.geomspace(1, 2048, 200)
for name, label, colour in (
    ("llama-2-7b", "Llama-2-7B and 70B", "blue"),
    ("transformer-base", "2017, base", "vermillion"),
):
    ax.plot(n, efficiency(sizes[name], TOKENS[name], n), color=OKABE_ITO[colour], label=label)
ax.set_xscale("log", base=2)
ax.yaxis.set_major_formatter(PercentFormatter(1.0))
ax.set(xlabel="ranks that share one batch", ylabel="share of the time that computes", ylim=(0, 1.03))
legend = ax.legend(frameon=False)

# %% [markdown]
# 7B and 70B have the same line: **P cancels**. What counts is T/n, the tokens that a rank has between two all-reduces.
# (Left out: the time that any message takes, waiting for the slowest rank, and sending while still computing.)
#
# **And memory?** Every rank holds weight, gradient and Adam's two moments in float32: 16 bytes a weight.

# %%
for name, P in sizes.items():
    print(
        f"{name:18s}{16 * P / 1e9:10,.1f} GB on every rank, with the moments cut among 512 of them {(8 + 8 / 512) * P / 1e9:8,.1f} GB"
    )

# %% [markdown]
# Data parallelism divides the tokens, not the model. Where the model does not fit, gradients and weights must be cut as
# well (ZeRO, stages 2 and 3), or the model itself. This package has only the moments cut, `Sharded(Adam(), ranks)`.

# %%
predictions(
    {
        "numbers sent": "1,500 with 4 ranks, 1,980 with 100: never more than twice the gradient.",
        "7B or 70B": "Both the same: the size cancels.",
    }
)

# %% [markdown]
# ## Summary
#
# - Divide each share by the tokens of the whole; then gradients add.
# - A ring sends less than two gradients through each link, whatever the number of ranks.
# - The share of time that computes depends on tokens a rank, not on the model's size.
#
# ## On your own
#
# 1. Another accelerator, in place of this one, computes twice as fast on the same link. Is it more, or less efficient? Why?
# 2. How many ranks does it take until Llama-2-70B fits into 80 GB each, with its moments cut?

# %% tags=["assert"]
from minitransformer.course.exercises import find  # the numbers worked by hand

pieces = find("ring_turn").solution(np.array([[[1.0], [2]], [[10], [20]]]), 0)
assert pieces[..., 0].tolist() == [[1, 22], [11, 20]]
assert np.allclose((np.array([-0.6, 0.6]) + 3 * np.array([-0.2, 0.2])) / 4, [-0.3, 0.3])

# %% [markdown] tags=["teacher"]
# **Answers.** 1. Less: it computes in half the time and sends in the same; but a step still takes less time. 2. No
# number: 8 bytes a weight stay on every rank, which is about 552 GB.

# %% tags=["assert"]
assert round(8 * sizes["llama-2-70b"] / 1e9) == 552
