# %% [markdown]
# # 03 · What came before: LSTM, sequence to sequence, attention
#
# **Goal.** See attention where it was invented, as a short cut between two recurrent networks, and measure what it is a
# short cut *for*: the gradient's way back through time.
#
# - **What you'll do:** write attention for one query and its backward, take a gradient back through an LSTM, measure
#   how much of it arrives, train a translator that learns where to look, and find a bug.
# - **What you'll learn:** query, key and value in their first meaning; why $c$ in an LSTM is *added to*; what a
#   bottleneck costs.
# - **What you'll need:** lessons 00 and 01; the chain rule through a loop.
# - **On your own:** three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, diagram, hint, predict, predictions, show_solution, show_source, versions
from minitransformer.data import FreshBatches, PairBatches, ToyTask
from minitransformer.layers import (
    Array,
    Cache,
    CrossAttention,
    DotAttention,
    DotScore,
    Glorot,
    Layer,
    LSTMLayer,
    Softmax,
)
from minitransformer.models import LSTMConfig, Seq2SeqLSTM
from minitransformer.plotting import alignment_over_training, attention_map, draw, gradient_norms
from minitransformer.training import Every, ProgressBar, Trainer, WarmupCosine, evaluate
from minitransformer.verify import check_gradients, complex_step

# %% [markdown]
# ## 1 · Reading one word after the other
#
# Until about 2015 the translators in use were phrase-based, tables of phrases with their probabilities. Then, until
# 2017, they were two recurrent networks. The **encoder** reads the source word by word and keeps a state $h_t$; its
# last state is all that the **decoder** gets, and from it the target is written word by word:
#
# $$ h_{t+1} = f(h_t, x_t). $$
#
# The simplest $f$ is $\tanh(h_t U + x_t)$. Backward, the gradient of the last state goes back through *every* step. By
# hand: one unit, $U = 0.5$, three steps in which the states are $h_1 = 0.6$, $h_2 = 0.8$, $h_3 = 0$. The slope of tanh
# is
# $1 - \tanh^2$, so the slopes are $1 - h^2 = 0.64,\ 0.36,\ 1$, and $dh_3 = 1$ becomes
#
# - $dh_2 = 1 \cdot 1 \cdot 0.5 = 0.5$,
# - $dh_1 = 0.5 \cdot 0.36 \cdot 0.5 = 0.09$,
# - $dh_0 = 0.09 \cdot 0.64 \cdot 0.5 = 0.0288$.

# %%
axes = diagram(
    {**{f"h{t}": (2.2 * t, 0, f"h{t}" if t == 0 else f"h{t} = {h}") for t, h in enumerate((0, 0.6, 0.8, 0.0))}},
    [
        ("h0", "h1", "· 0.5, tanh", "dh0 = 0.0288"),
        ("h1", "h2", "· 0.5, tanh", "dh1 = 0.09"),
        ("h2", "h3", "· 0.5, tanh", "dh2 = 0.5"),
    ],
    title="Each step back multiplies by the slope of tanh and by U (dh3 = 1 comes in at the right)",
    size=(9, 1.8),
)

# %% tags=["assert"]
dh = 1.0
for state, wanted in ((0.0, 0.5), (0.8, 0.09), (0.6, 0.0288)):
    dh *= (1 - state**2) * 0.5
    assert np.isclose(dh, wanted)

# %% [markdown]
# One matrix is used in all steps: what is its gradient then? (Lesson 00: what is used several times gets the sum.)
# Derive one step, from $dh_{t+1}$ to $dh_t$ and to this step's part of $dU$; then write the loop.
#
# ### Exercise: back through time

# %% exercise="through_time_backward"

# %% [markdown]
# In one formula each: $ds_t = dh_{t+1} \odot (1 - h_{t+1}^2)$, then $dh_t = ds_t\, U^\top$ and $dU = \sum_t h_t^\top
# ds_t$.
#
# ## 2 · The LSTM: a cell that is added to
#
# Every step multiplies the gradient by $U^\top$ and by slopes of at most one. After forty steps it has mostly vanished;
# where $U$ is large and the slopes are near one, it can also explode. The LSTM (Hochreiter and Schmidhuber 1997; the
# forget gate $f$ is due to Gers et al. 2000) keeps a second state, the **cell** $c$, and *adds* to it, through gates
# between 0 and 1:
#
# $$ g = \tanh(a_g), \quad i, f, o = \sigma(a_i, a_f, a_o), \qquad
# c_{t+1} = f \odot c_t + i \odot g, \qquad h_{t+1} = o \odot \tanh(c_{t+1}) $$
#
# with $a = x_t W + h_t U + b$ for each of the four, with its own $W$, $U$ and $b$: the candidate $g$, the input gate $i$, the forget gate $f$ and
# the output gate $o$; $\odot$ multiplies entry by entry, and the slope of $\sigma$ is $\sigma (1 - \sigma)$. Backward it is a chain of six names, and each is checked. Begin with $c_{t+1}$: the
# loss sees it twice, through the next step's cell (the $dc$ that you are given) and through $h_{t+1}$.
#
# ### Exercise: back through one step of an LSTM

# %% exercise="lstm_step_backward"

# %% [markdown]
# Along the cell alone, from $dc_{t+1}$ to $dc_t$, the gradient is multiplied by the forget gate and by nothing else.
#
# The package's LSTM does the same for all steps of a sequence, with the slopes computed for all of them at once:

# %%
show_source(LSTMLayer.backward)

# %%
rng = np.random.default_rng(0)
mask = np.array([[True] * 5, [True] * 3 + [False] * 2])  # the second sentence has two words less
check_gradients(LSTMLayer(3, 2, rng), rng.standard_normal((2, 5, 3)), mask)

# %% [markdown]
# ## 3 · Attention: a short cut
#
# All of the source has to pass through one last state. Bahdanau (2015) and Luong (2015) let the decoder look back at
# **all** states of the encoder instead:
#
# | word | here |
# |---|---|
# | **query** | the decoder's state: *what do I need now?* |
# | **keys** | the encoder's states (of its last layer): *what is there?* |
# | **values** | the same encoder's states: *what is taken* |
# | **similarity** | dot product of the query with each key |
# | **softmax** | similarities become weights, positive, with sum 1 |
# | **weighted average** | of the values: the **context** |
#
# $$ s_j = q \cdot h_j, \qquad w = \mathrm{softmax}(s), \qquad \mathrm{context} = \sum_j w_j h_j $$
#
# ### Exercise: attention of one query

# %% exercise="attend"

# %%
show_source(DotScore.forward, CrossAttention.read)

# %% [markdown]
# Backward in three steps, from the last to the first: the average, the softmax, the dot products. The states are used
# twice, as keys and as values, so two gradients come back to them. The softmax's own backward is derived in lesson 04;
# here the package does it: `Softmax().backward(d_weights, Cache(y=weights))` gives the gradient of the scores.
#
# For one query and one of the states, in numbers: $w_j = 0.5$, $d\mathrm{context} = (2, 0)$, $q = (1, 1)$, and
# $ds_j = 0.3$ has come back through the softmax. As a value this state gets $0.5 \cdot (2, 0) = (1, 0)$, as a key
# $0.3 \cdot (1, 1) = (0.3, 0.3)$, together $(1.3, 0.3)$.
#
# ### Exercise: back through attention

# %% exercise="attend_backward"

# %% [markdown]
# In formulas: $dw_j = d\mathrm{context} \cdot h_j$, then $ds$ from the softmax, $dq = \sum_j ds_j\, h_j$ and
# $dh_j = w_j\, d\mathrm{context} + ds_j\, q$.
#
# ## 4 · The gradient against time
#
# Now measure. Four networks with 32 units read 40 random steps. A random gradient of length 1 comes in at the very
# end; we draw how much of it arrives at the input of each step.
#
# **Predict before you run.** An LSTM whose forget gates have the bias $b$ keeps about $\sigma(b)$ of the cell's
# gradient a step. $\sigma(1) = 0.73$ and $\sigma(3) = 0.95$: which share is left after 40 steps, by this rule? And with attention at the
# end?

# %%
predict("after 40 steps", "")

# %%
T, H = 40, 32
x = np.random.default_rng(1).standard_normal((8, T, H))
d_last = np.random.default_rng(2).standard_normal((8, H))
d_last /= np.linalg.norm(d_last)
zeros = np.zeros((8, T, H))


def by_step(dx: Array) -> Array:
    """The norm of the gradient at each step's input: (B, T, D) -> (T,)."""
    return np.sqrt((dx**2).sum(axis=(0, 2)))


def plain_recurrence() -> Array:
    """tanh(h U + x): forward through all steps, then back."""
    U = Glorot(np.random.default_rng(3), np.float64).matrix(H, H)
    h, hs = np.zeros((8, H)), []
    for t in range(T):
        h = np.tanh(h @ U + x[:, t])
        hs.append(h)
    dh, dx = d_last, np.empty_like(x)
    for t in reversed(range(T)):
        dx[:, t] = dh * (1.0 - hs[t] ** 2)
        dh = dx[:, t] @ U.T
    return by_step(dx)


def lstm(forget_bias: float) -> LSTMLayer:
    """An LSTM whose forget gates begin with this bias."""
    layer = LSTMLayer(H, H, Glorot(np.random.default_rng(3), np.float64))
    layer.input_projection.bias.value[2 * H : 3 * H] = forget_bias
    return layer


def last_state_alone(layer: LSTMLayer) -> Array:
    """The loss reads the last h."""
    _, cache = layer.forward(x)
    return by_step(layer.backward((zeros, d_last, np.zeros((8, H))), cache))


def with_attention(layer: LSTMLayer) -> Array:
    """The loss reads a context: the last h asks all states."""
    (y, last, _), cache = layer.forward(x)
    attention = DotAttention()
    _, attention_cache = attention.forward(last[:, None], y)
    d_query, d_states = attention.backward(d_last[:, None], attention_cache)
    return by_step(layer.backward((d_states, d_query[:, 0], np.zeros((8, H))), cache))


norms = {
    "tanh(h U + x)": plain_recurrence(),
    "LSTM, forget bias 1": last_state_alone(lstm(1.0)),
    "LSTM, forget bias 3": last_state_alone(lstm(3.0)),
    "LSTM, forget bias 1, and attention": with_attention(lstm(1.0)),
}
axes = gradient_norms(
    norms,
    title="How much gradient arrives at each step of 40",
    xlabel="step, from the first word (left) to the last (right)",
)
for name, values in norms.items():
    share = values[0] / values[-1]
    print(f"{name:35}: at the first step {values[0]:.1e}, at the last {values[-1]:.1e}: a share of {share:.1e}")

# %% tags=["assert"]
first = {name: values[0] for name, values in norms.items()}
assert first["tanh(h U + x)"] < 1e-4 * first["LSTM, forget bias 3"]
assert first["LSTM, forget bias 1, and attention"] > 100 * first["LSTM, forget bias 1"]

# %% [markdown]
# On a logarithmic axis a straight line is a constant factor a step: that is what "the gradient vanishes" means. A
# good forget gate makes the slope gentle. **Attention takes the slope away:** from any output to any input it is one
# step, however long the sentence is. Lesson 04 builds a whole model on this.
#
# ## 5 · Live: a translator that learns where to look
#
# The whole model: an encoder that reads in both directions, a decoder, and attention between them. The task is to
# reverse a list again; then we know where it *should* look.

# %%
task = ToyTask("reverse", n_symbols=10, min_length=4, max_length=10)
data = FreshBatches(task.sample, 48, seed=0)
held_out = PairBatches(task.sample(np.random.default_rng(1), 200, "test"), 200, seed=0).batch(0)
nine = next(pair for pair in task.sample(np.random.default_rng(4), 50, "test") if len(pair[0]) == 9)
example = PairBatches([nine], 1, seed=0).batch(0)


def new_model() -> Seq2SeqLSTM:
    config = LSTMConfig(source_vocab=len(task.vocabulary.tokens), d_model=48, dropout=0.0)
    return Seq2SeqLSTM(config, Glorot(np.random.default_rng(0)))


axes = draw(new_model())

# %% [markdown]
# For comparison: the same model with nothing to look at. Its decoder has only the state in which the encoder ended.


# %%
class NothingToLookAt(Layer):
    """A context of zeros, in place of attention."""

    def forward(self, x: Array, memory: Array, mask: Array | None = None, rng=None, state=None) -> tuple[Array, Cache]:
        return np.zeros((*x.shape[:2], memory.shape[-1]), x.dtype), Cache(x=x, memory=memory)

    def backward(self, d_context: Array, cache: Cache) -> tuple[Array, Array]:
        return np.zeros_like(cache["x"]), np.zeros_like(cache["memory"])


# %% [markdown]
# **Predict before you run.** 250 steps each. A list of ten symbols out of ten has $10 \cdot \log_2 10 = 33$ bits, and
# the last states are 96 numbers $h$ (48 of each direction) and 96 numbers $c$: room enough. Will the model without attention get there as well?

# %%
predict("without attention", "")

# %%
snapshots = {}


def look(trainer: Trainer) -> dict:
    """Keep the attention map of one example, and measure on lists that were never trained on."""
    _, cache = trainer.model.forward(*example.inputs)
    weights = cache["decoder"]["blocks"][0]["cross_attention"]["weights"]  # (1, 1, T, S): one sentence, one head
    snapshots[trainer.step] = weights[0, 0]
    return evaluate(trainer.model, [held_out])


without = new_model()
without.decoder.cross_attention = NothingToLookAt()
model = new_model()
runs = {
    "without attention": (without, lambda trainer: evaluate(trainer.model, [held_out])),
    "with attention": (model, look),
}
for name, (trained, action) in runs.items():
    trainer = Trainer(trained, schedule=WarmupCosine(5e-3, 250, 25))
    for record in trainer.fit(data, 250, [ProgressBar(), Every(25, action)]).validations[1::2]:
        right, whole = record["token_accuracy"], record["exact_match"]
        print(f"{name:17}  step {record['step']:3}: symbols right {right:4.0%}, whole lists right {whole:4.0%}")

# %% [markdown]
# After the same number of steps it is far behind. All that was read has to pass through two vectors, and survive every step until
# it is needed, forward and backward. Where does the other model look?

# %%
source, target = (task.vocabulary.labels(row) for row in (example.inputs[0][0], example.targets[0]))
last = max(snapshots)
axes = attention_map(snapshots[last], target, source, title="To write the word of a row, it looks here")

# %% [markdown]
# Nobody gave it this diagonal. It is an **alignment**: which source word each target word was made from. While it
# trained:

# %%
axes = alignment_over_training({step: snapshots[step] for step in (25, 50, last)}, target, source)

# %% [markdown]
# **What remains.** The short cut is there, but both networks still go word by word: step $t + 1$ cannot begin before
# step $t$ has ended, in training as in use. Lesson 04 keeps the short cut and drops the recurrence.
#
# ## 6 · Find the bug
#
# Luong's second score has a matrix in it, $s_j = (q W) \cdot h_j$. Somebody wrote attention with it. Four states hold a
# key and one of three classes each; the query is one of the keys, and the model must name the class that stands beside
# it. Nobody wrote a backward here: the gradients are complex steps, so they are exact for whatever the code computes.

# %%
broken, right = versions("look_back")


def lookup_losses(rule, steps: int = 150, rate: float = 0.5) -> list[float]:
    draw = np.random.default_rng(0)
    W, V = 0.5 * draw.standard_normal((3, 6)), 0.5 * draw.standard_normal((6, 3))
    row, losses = np.arange(32), []
    for _ in range(steps):
        keys, classes = draw.standard_normal((32, 4, 3)), draw.integers(0, 3, (32, 4))
        states = np.concatenate([keys, np.eye(3)[classes]], axis=-1)  # (B, S, 6)
        asked = draw.integers(0, 4, 32)

        def loss(W, V, query=keys[row, asked], states=states, wanted=classes[row, asked]):
            powers = np.exp(rule(query, states, W) @ V)
            return -np.log(powers[row, wanted] / powers.sum(axis=1)).mean()

        losses.append(loss(W, V))
        dW = complex_step(lambda z, V=V: loss(z, V), W)
        dV = complex_step(lambda z, W=W: loss(W, z), V)
        W, V = W - rate * dW, V - rate * dV
    return losses


curves = {"this code": lookup_losses(broken), "right": lookup_losses(right)}
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, losses in curves.items():
    ax.plot(losses, label=f"{name}: {np.mean(losses[-20:]):.2f} in the end")
ax.set(xlabel="step", ylabel="loss")
_ = ax.legend()

# %% tags=["assert"]
end = {name: np.mean(losses[-20:]) for name, losses in curves.items()}
assert 1.3 * end["right"] < end["this code"] < 0.6 * np.log(3)

# %% [markdown]
# It learns: guessing would cost $\log 3 = 1.10$. Find the line and mend it.

# %% exercise="look_back"

# %% [markdown]
# **What tells them apart?** No gradient check: the gradients were exact, for a wrong function. A property of the
# *forward* does. An average of equal vectors is that vector, whatever the weights are:

# %%
state = np.array([1.0, 2.0])
for name, rule in (("this code", broken), ("right", right)):
    print(f"{name:9} three states (1, 2):", rule(np.ones((1, 2)), np.tile(state, (1, 3, 1)), np.eye(2))[0])

# %% [markdown]
# A notebook of the course Practical_RL described attention in this way: the weights are multiplied by the scores that they
# were made of. A student handed in code with this extra factor (pull request Practical_RL #429). It trains, since
# large scores and large weights go together.

# %%
predictions(
    {
        "after 40 steps": "By the rule 3e-6 and 0.13. It is more, about 1e-4 and more than half, since the gates are not all alike and h is a second path. With attention the slope is gone.",
        "without attention": "No: less than half of the whole lists are right after 250 steps.",
    }
)

# %% [markdown]
# ## Summary
#
# - Back through time is a loop: slope, product with $U^\top$, and a sum for the one $U$ of all steps.
# - An LSTM's cell is added to; along it the gradient is multiplied by the forget gate alone.
# - Attention: a query, keys and values; scores, softmax, average. From every output to every input it is one step.
# - A gradient check compares backward with forward. It cannot know that the forward is another one than you wanted.
#
# ## On your own
#
# 1. Set the forget bias to 0 and to 6 in section 4. What happens, and why not simply take 6? (What can such a cell
#    not do?)
# 2. In section 5 use lists of 4 to 16 symbols. How much longer does each of the two models need?
# 3. `BahdanauLSTM` has the additive score $v \cdot \tanh(W x + U h)$. Look at its source, and train it in place of
#    `Seq2SeqLSTM`. Does the alignment come sooner?

# %% [markdown] tags=["teacher"]
# **Answers.** 1. With 0 half of the cell is lost in each step and the gradient vanishes; with 6 nearly all is kept
# ($\sigma(6) = 0.998$) and arrives. But a cell that keeps everything cannot make room for something new. 2. Without
# attention the model needs many times as many steps, or does not get there; with it the longer lists cost little. 3. It
# also finds the diagonal. When it comes depends on the seed and the rate, so compare several seeds.
