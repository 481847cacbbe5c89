# %% [markdown]
# # 09 · Training: from a pair of sentences to a step
#
# **Goal.** Turn sentence pairs into gradients, and gradients into a translator, with every line of the step in sight.
#
# - **What you'll do:** Build what the decoder reads, write the smoothed loss's backward, a step of Adam and a whole
#   training step; take the package's step apart on a translator; train it; find a bug.
# - **What you'll learn:** Why the true words are fed, why the truth is smoothed, what warm-up is for, and why a loss
#   that falls proves little.
# - **What you'll need:** Lessons 07 and 08.
# - **On your own:** Three open questions at the end. What the model has learnt is lesson 09b.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import (
    check,
    debug_session,
    diagram,
    hint,
    predict,
    predictions,
    show_solution,
    show_source,
    versions,
)
from minitransformer.data import EnglishFrench, LanguageVocabulary, PairBatches, sequence_to_sequence_batch
from minitransformer.decoding import Translator
from minitransformer.experiments.coreference import forced_scores, id_pairs
from minitransformer.layers import CrossEntropy, Softmax
from minitransformer.models import PreNormTransformer, TransformerConfig
from minitransformer.plotting import OKABE_ITO, schedule_curve, training_figure
from minitransformer.training import Adam, Every, Noam, ProgressBar, Trainer, WarmupCosine, clip_by_global_norm
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · Teacher forcing
#
# The decoder learns to predict every word from the *true* words before it, not from its own guesses:
#
# ```text
# source     I     see   the   cat   <eos>
# target_in  <bos> je    vois  le    chat
# targets    je    vois  le    chat  <eos>
# ```
#
# Under each word that is read stands the word to predict. All positions are trained in one pass, which the causal mask
# allows.
#
# **By hand.** The sentence is `[5, 8]`, start is 1, eos is 2. The decoder reads `[1, 5, 8]` and must answer
# `[5, 8, 2]`.
#
# ### Exercise: what is read and what is predicted

# %% exercise="teacher_forcing"

# %% [markdown]
# The package does it for sentences of different lengths, and pads:

# %%
batch = sequence_to_sequence_batch([([5, 6, 7], [8, 9]), ([5], [8, 9, 10, 11])], pad=0, start=1, eos=2)
print("source     ", *batch.inputs[0].tolist())
print("target_in  ", *batch.inputs[1].tolist())
print("targets    ", *batch.targets.tolist(), f"   {batch.n_tokens} tokens count, padding does not")

# %% [markdown]
# ## 2 · The loss, smoothed
#
# Let $p = \mathrm{softmax}(\mathrm{logits})$ be the model's distribution. The truth is not one word alone: a share $e$
# of it is spread over all V ids of the vocabulary. That includes padding and `<bos>`, which no target ever is; it is a
# small waste, and usual.
#
# $$ q = (1 - e)\, \mathrm{onehot}(\text{target}) + \frac{e}{V}, \qquad
#    \mathcal{L} = -\frac{1}{N} \sum_{\text{tokens}} \sum_{v} q_v \log p_v $$
#
# N is the number of tokens that are not padding.
#
# **By hand.** V = 3, $e = 0.3$, two tokens with targets 0 and 1. All logits of the first are 0, so
# $p = (1/3, 1/3, 1/3)$. The logits of the second are such that $p = (0.1, 0.8, 0.1)$. What is q for each? What is the
# loss?

# %%
p = np.array([[1 / 3, 1 / 3, 1 / 3], [0.1, 0.8, 0.1]])
q = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
print("q sums to", q.sum(axis=1), "  loss of each token:", -(q * np.log(p)).sum(axis=1).round(3))
loss = CrossEntropy(pad=-1, label_smoothing=0.3)
print("the package's mean:", loss(np.log(p), np.array([0, 1])).round(3))

# %% tags=["assert"]
assert np.isclose(loss(np.log(p), np.array([0, 1])), -(q * np.log(p)).sum() / 2)

# %% [markdown]
# The second token has $p = q$, and its loss is still not 0: it is the entropy of q, the least that it can be.
#
# **Predict before you run.** V = 10, $e = 0.1$. The model gets surer and surer of the right word. Does the loss always
# fall? Which sign has the derivative of the loss with respect to the right word's logit?

# %%
predict("surer and surer", "")

# %%
loss = CrossEntropy(pad=0, label_smoothing=0.1)
target, h = np.array([3]), 1e-20
for margin in (0.0, 2.0, 4.5, 9.0, 20.0):
    logits = np.zeros((1, 10), complex)
    logits[0, 3] = margin + 1j * h
    value = loss(logits, target)  # the complex step of lesson 00
    p_right = np.exp(margin) / (np.exp(margin) + 9)
    print(
        f"right logit {margin:4.1f} above the others: p = {p_right:.4f}   loss {value.real:.3f}   slope {value.imag / h:+.3f}"
    )

# %% tags=["assert"]
smoothed = np.full(10, 0.01) + 0.9 * np.eye(10)[3]
assert abs(-(smoothed * np.log(smoothed)).sum() - 0.500) < 5e-4

# %% [markdown]
# From p = 0.91 on ($1 - e + e/V$) the slope is positive: being surer makes the loss *worse*. So smoothing keeps logits
# from growing for ever. The smallest loss here is the entropy of q, 0.500 nats.
#
# **The derivation's first line.** For one token $\mathcal{L} = -\sum_v q_v z_v + \log \sum_u \exp z_u$, since the $q_v$
# sum to 1 (z are the logits). Differentiate by $z_v$, and remember which rows count.
#
# ### Exercise: the smoothed loss, backward

# %% exercise="smoothed_loss_backward"

# %% [markdown]
# <details><summary>The closed formula</summary>
#
# $\partial \mathcal{L} / \partial\, \mathrm{logits} = (p - q) / N$, and 0 in rows of padding: *model minus truth*.
#
# </details>

# %%
ax = diagram(
    {
        "z": (0.0, 0.0, "logits\n(0, 0, 0)"),
        "p": (3.5, 0.0, "p\n(1/3, 1/3, 1/3)"),
        "l": (7.0, 0.0, "loss\n1.099"),
        "q": (3.5, 1.2, "q\n(0.8, 0.1, 0.1)"),
    },
    [("z", "p", "softmax", "p - q = (-0.47, 0.23, 0.23)"), ("p", "l", "- Σ q log p", "1"), ("q", "l", "truth", "")],
    title="The first token by hand: the gradient of its logits is model minus truth",
    size=(9.0, 2.6),
)

# %%
show_source(CrossEntropy.backward)

# %% [markdown]
# ## 3 · Adam and its warm-up
#
# Adam keeps two running averages, of the gradient g and of its square. Both begin at 0, so after t steps they are too
# small by the factor $1 - \beta^t$; Adam divides by it.
#
# $$ m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
#    w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \epsilon}, \qquad \hat m = \frac{m}{1 - \beta_1^t}, \quad \hat v = \frac{v}{1 - \beta_2^t}, $$
#
# with the rate $\eta$ (`rate`) and a small $\epsilon$ (`eps`) against a division by 0.
#
# **By hand.** The first step, $t = 1$, $g = 4$, $\beta_1 = 0.9$, $\beta_2 = 0.98$: $m = 0.4$ and $v = 0.32$. Corrected:
# $\hat m = 0.4 / 0.1 = 4$ and $\hat v = 0.32 / 0.02 = 16$. The step is $\eta \cdot 4 / 4 = \eta$.
#
# ### Exercise: one step of Adam

# %% exercise="adam_step"

# %% [markdown]
# **Predict before you run.** Two weights, one with a gradient of 1000, the other of 0.001. How far does the first step,
# with $\eta = 0.1$, move each?

# %%
predict("the first step", "")

# %%
value, grad = np.zeros(2), np.array([1000.0, 0.001])
Adam().step(value, grad, 0.1)
print("after one step:", value)
show_source(Adam.update)

# %% tags=["assert"]
assert np.allclose(value, -0.1, rtol=1e-4)

# %% [markdown]
# The gradient's scale cancels: at the first step $\hat m / \sqrt{\hat v} = \pm 1$. So a loss with a wrong factor,
# divided by the batch size twice for example, trains as if nothing were wrong. (Not always: clipping, weight decay and
# a large $\epsilon$ do see the scale.)
#
# **Warm-up** makes the first steps short. There are two accounts of why it helps. One is Adam's: $\hat v$ is an average
# over very few gradients at first, so the steps are badly scaled (Liu et al. 2020). The other is the model's: in a
# post-norm Transformer the gradients near the output are large at the start, and in a pre-norm one they are not, so
# that it can do without (Xiong et al. 2020). The translator below is pre-norm. The rule of 2017, called Noam,
# rises in proportion to the step and then falls as $1/\sqrt{t}$. The one used below rises, and then falls as half a cosine:

# %%
schedules = {
    "Noam, factor 0.5": Noam(d_model=64, warmup=50, factor=0.5),
    "warm-up, then half a cosine": WarmupCosine(3e-3, steps=400, warmup=50),
}
ax = schedule_curve(schedules, 400)

# %% [markdown]
# ## 4 · A whole step
#
# A step of training has five parts: **forward, loss, backward, clip, step.** *Clip* scales the whole gradient down
# where its norm is above a limit, so that one odd batch cannot throw the weights far away:
#
# $$ g \leftarrow g \cdot \min\Big(1, \frac{\mathrm{clip}}{\lVert g \rVert}\Big), \qquad \lVert g \rVert^2 = \sum_{\text{all numbers}} g_i^2 $$
#
# **By hand.** $g = (3, 4)$ has the norm 5. With clip = 1 it becomes $(0.6, 0.8)$; with clip = 10 it stays.
#
# ### Exercise: a step of training
#
# The model is as small as can be: logits = x w. All the rest is as in the real one.

# %% exercise="train_step"

# %% [markdown]
# Now the same on a translator. The course's grammar makes English sentences with their one right French translation. We
# take four of its constructions, in which *it* may stand for either of two nouns, and only the adjective tells for
# which:
#
# > I got my **car** straight from the showroom, it was *new*. → *J'ai eu ma voiture directement du salon, **elle** était neuve.*
# >
# > I got my car straight from the **showroom**, it was *crowded*. → *..., **il** était bondé.*

# %%
grammar, rng = EnglishFrench(), np.random.default_rng(0)


def draw(n, split):
    both = grammar.sample_hard(rng, n, split), grammar.sample_easy(rng, n, split)
    return [[e for e in half if e.template.startswith(("bought from", "goods at"))] for half in both]


examples = [e for half in draw(30_000, "train") for e in half]
hard, easy = (half[:200] for half in draw(2_000, "test"))
english = LanguageVocabulary(grammar.source_tokens, "english")
french = LanguageVocabulary(grammar.target_tokens, "french")


def new_translator(seed):
    config = TransformerConfig(
        len(english), len(french), d_model=64, n_heads=4, d_ff=128, n_encoder_blocks=1, n_decoder_blocks=1, dropout=0.0
    )
    model = PreNormTransformer(config, np.random.default_rng(seed))
    return Translator("pre-norm", model, english, french, start=french.bos)


translator = new_translator(seed=0)
batches = PairBatches(id_pairs(translator, examples), 32, seed=0, start=french.bos, eos=french.eos)
print(f"{len(examples):,} sentences, {translator.model.n_parameters():,} parameters")
print(examples[0].english_text, "->", examples[0].french_text)

# %% [markdown]
# One step, line by line. Every line is a layer that you know:

# %%
schedule = WarmupCosine(3e-3, steps=400, warmup=50)
trainer = Trainer(translator.model, Adam(0.9, 0.98), schedule, CrossEntropy(), clip=1.0, seed=0)
batch = batches.batch(0)

trainer.grad[...] = 0  # one long vector: every parameter's gradient is a view of it
logits, cache = translator.model.forward(*batch.inputs)
print("1 forward   logits", logits.shape)
value, loss_cache = CrossEntropy().forward(logits, batch.targets)
print(f"2 loss      {value:.3f} nats; a model that knows nothing has log V = {np.log(len(french)):.3f}")
translator.model.backward(CrossEntropy().backward(1.0, loss_cache), cache)
print(f"3 backward  {np.count_nonzero(trainer.grad):,} of {len(trainer.grad):,} numbers of the gradient are not 0")
norm = clip_by_global_norm(trainer.grad, 1.0)
print(f"4 clip      the norm was {norm:.3f}, it is {np.linalg.norm(trainer.grad):.3f}")
before = trainer.value.copy()
trainer.optimizer.step(trainer.value, trainer.grad, schedule(1))
print(
    f"5 step      the weights moved by at most {np.abs(trainer.value - before).max():.2e}; the rate is {schedule(1):.2e}"
)

# %% [markdown]
# Some numbers of the gradient are 0: those of embedding rows that the batch does not touch. And no weight moves by more than the rate: in the
# first step of Adam $\hat m / \sqrt{\hat v}$ is $g / |g|$, the sign.
#
# The trainer's own step is these lines, and a check that loss and gradient are finite:

# %%
again = Trainer(new_translator(seed=0).model, Adam(0.9, 0.98), schedule, CrossEntropy(), clip=1.0, seed=0)
record = again.train_step(batch)
print("the same weights afterwards:", np.array_equal(again.value, trainer.value), "  loss", round(record["loss"], 3))
show_source(Trainer.train_step, Trainer.compute_gradient)

# %% tags=["assert"]
assert np.array_equal(again.value, trainer.value)

# %% [markdown]
# ## 5 · A translator in seconds
#
# Tested are sentences about *pairs of nouns that training never shows*. *Hard*: the other noun stands nearer to *it*.
#
# **Predict before you run.** Which is learned first: word order and nouns, or the pronoun? What share of right pronouns
# has a model that always writes *il*? And one that always takes the nearer noun, on hard sentences, on easy ones?

# %%
predict("learned first", "")

# %%


def scores(trainer):
    exact, pronoun = forced_scores(translator, hard)
    return {"exact_match": exact, "pronoun_hard": pronoun, "pronoun_easy": forced_scores(translator, easy)[1]}


translator = new_translator(seed=0)
trainer = Trainer(translator.model, Adam(0.9, 0.98), schedule, CrossEntropy(), seed=0)
history = trainer.fit(batches, 400, [ProgressBar(), Every(50, scores)])
figure = training_figure(history)

# %%
for text in (
    "I got my car straight from the showroom, it was new.",
    "I got my car straight from the showroom, it was crowded.",
):
    print(text, "\n   ", translator.translate([text])[0])

# %% tags=["assert"]
assert history.validations[-1]["exact_match"] > 0.9
assert history.validations[-1]["pronoun_hard"] > 0.98
assert history.validations[1]["pronoun_hard"] < 0.6


# %% [markdown]
# First come the words and their order, and the pronoun is a coin toss; then it is settled. (Who always writes *il* has about half
# of the pronouns right; who takes the nearer noun, none on hard sentences and all on easy ones.)
# Whether the model has found the *noun* is another question: lesson 09b.
#
# ## 6 · Find the bug
#
# A batch too large for the memory is cut into shares; each gives the gradient of the mean loss over its own tokens, and
# they are put together to that of the whole batch. Somebody wrote this. Here is a training in two shares, the twelve
# shorter and the four longer sentences of each batch, beside a training with whole batches: the loss of held-out
# sentences.

# %%
broken, right = versions("accumulated_gradient")
noisy = [e for e in grammar.sample(np.random.default_rng(1), 6_000) if len(e.french) < 10 or len(e.french) > 13]
pairs = id_pairs(translator, noisy)


def train_in_shares(combine, steps=150):
    model = new_translator(seed=0).model
    trainer = Trainer(model, Adam(0.9, 0.98), 3e-3, CrossEntropy(), clip=None)
    draw, curve = np.random.default_rng(2), []
    for step in range(steps):
        chosen = sorted((pairs[i] for i in draw.integers(0, len(pairs) - 200, 16)), key=lambda pair: len(pair[1]))
        shares = [chosen[:12], chosen[12:]] if combine else [chosen]
        gradients, counts = [], []
        for share in shares:
            part = sequence_to_sequence_batch(share, pad=0, start=french.bos, eos=french.eos)
            trainer.compute_gradient(part)
            gradients.append(trainer.grad.copy())
            counts.append(part.n_tokens)
        whole = combine(np.array(gradients), np.array(counts)) if combine else gradients[0]
        trainer.optimizer.step(trainer.value, whole, 3e-3)
        if step % 10 == 9:
            part = sequence_to_sequence_batch(pairs[-200:], pad=0, start=french.bos, eos=french.eos)
            curve.append(float(CrossEntropy()(model(*part.inputs), part.targets)))
    return curve


figure, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
curves = {"whole batches": train_in_shares(None), "in shares, this code": train_in_shares(broken)}
for (name, curve), colour in zip(curves.items(), ("black", "vermillion")):
    ax.plot(np.arange(10, 151, 10), curve, color=OKABE_ITO[colour], label=f"{name}: {curve[-1]:.3f}")
ax.set(xlabel="step", ylabel="loss of held-out sentences", ylim=(0, None))
legend = ax.legend(frameon=False)

# %% [markdown]
# Both learn. Find the line, and mend it:

# %% exercise="accumulated_gradient"

# %% [markdown]
# **What tells them apart?** Not a curve. The test is one line: the gradient of the shares must be the gradient of the
# whole.

# %%
model = new_translator(seed=3).model
probe = Trainer(model, Adam(), 1e-3, CrossEntropy())
by_length = sorted(id_pairs(translator, noisy), key=lambda pair: len(pair[1]))
whole_batch = sequence_to_sequence_batch(by_length[:8] + by_length[-8:], pad=0, start=french.bos, eos=french.eos)


def gradient(batch):
    probe.compute_gradient(batch)
    return probe.grad.copy()


shares, wanted = whole_batch.shares(2), gradient(whole_batch)
gradients, counts = np.array([gradient(share) for share in shares]), np.array([share.n_tokens for share in shares])
off = {}
for name, combine in (("this code", broken), ("mended", right)):
    off[name] = np.linalg.norm(combine(gradients, counts) - wanted) / np.linalg.norm(wanted)
    print(f"shares of {counts[0]} and {counts[1]} tokens, {name:10s}: off by {off[name]:.1e} of the gradient's length")

# %% tags=["assert"]
assert off["this code"] > 0.02
assert off["mended"] < 1e-5
assert max(curve[-1] for curve in curves.values()) < curves["whole batches"][0]

# %% [markdown]
# A mean of means is the mean only where all shares have as many tokens. The Trainer of Hugging Face had it in gradient
# accumulation (transformers #24725), and so had the training of mlx-lm (mlx-lm PR #1413). Here `CrossEntropy.forward`
# takes a `normalizer`: every share divides by the *whole* batch's tokens, and then gradients simply add.
#
# ## 7 · Stepping through
#
# Three ways to look inside a backward while it runs, all of which work in a notebook: write `breakpoint()` into a
# function of yours; after an error run `%debug` in the next cell; or `pdb.runcall(layer.backward, dy, cache)`. `n` runs
# a line, `s` steps into a call, `p x` prints, `c` goes on. Here is such a session in softmax's backward; its commands
# are typed for you:

# %%
softmax = Softmax()
_, kept = softmax.forward(np.array([[1.0, 2.0, -np.inf], [0.0, 0.0, 0.0]]))
commands = "n\nn\np y\np dy\np (dy * y).sum(axis=-1)"
dx = debug_session(commands, softmax.backward, np.ones((2, 3)) * [3, 1, 5], kept)
print(dx)

# %% [markdown]
# The last `p` is the sum that is taken away. Each row of the result then sums to zero: adding the same number to all
# scores changes no weight, so the gradient has no part in that direction. And the masked score gets none at all.
#
# When a backward of your own is wrong, `check_gradients` says where:

# %%


class Forgetful(Softmax):
    def backward(self, dy, cache):
        return dy * cache["y"]  # the sum is missing


check_gradients(Forgetful(), np.random.default_rng(0).standard_normal((2, 3)))

# %%
predictions(
    {
        "surer and surer": "No: above p = 0.91 the slope is positive.",
        "the first step": "Both by 0.1.",
        "learned first": "Words and order first, then the pronoun.",
    }
)

# %% [markdown]
# ## Summary
#
# - Teacher forcing: the decoder reads the target shifted by one, so all positions train at once.
# - The loss's gradient is model minus truth, divided once by the number of tokens.
# - Adam's step hardly depends on the gradient's scale, so a wrong factor does not show in the loss.
# - A step is forward, loss, backward, clip, step. Shares of a batch are weighted by their tokens.
#
# ## On your own
#
# 1. Train with the targets shifted wrongly, `target_in` = `targets`. What does the loss do, and what does the
#    translator write?
# 2. Take the bias correction out of Adam, with $\beta_2 = 0.98$. How long is the first step, and the tenth?
# 3. The model never sees its own mistakes in training (*exposure bias*). Change the third French word of a sentence to
#    a wrong one in `target_in` and see what it does to the words after it.

# %% tags=["assert"]
from minitransformer.course.exercises import find  # the numbers worked by hand

read, answer = find("teacher_forcing").solution(np.array([[5, 8]]), 1, 2)
assert (read.tolist(), answer.tolist()) == ([[1, 5, 8]], [[5, 8, 2]])
zero = np.zeros(1)
w, m, v = find("adam_step").solution(zero, np.array([4.0]), zero, zero, 1, 0.1, 0.9, 0.98, 0.0)
assert np.allclose([w[0], m[0], v[0]], [-0.1, 0.4, 0.32])
g = np.array([3.0, 4.0])
assert clip_by_global_norm(g, 1.0) == 5.0
assert np.allclose(g, [0.6, 0.8])

# %% [markdown] tags=["teacher"]
# **Answers.** 1. The loss falls to nearly 0 at once, since each position only copies what it reads; alone, the
# translator reads `<bos>` and writes it again and again, or nonsense: it has never had to predict. 2. The step is
# $(1 - \beta_1^t) / \sqrt{1 - \beta_2^t}$ times as long where the gradient stays the same: 0.1 / 0.141 = 0.71 at t = 1,
# and 0.651 / 0.428 = 1.52 at t = 10. So without correction steps first are too short and then too long. 3. Mostly the
# next words stay right, since the source tells them; what depends on the changed word (an article, an ending that
# agrees with it) changes. For every seed it is a little different; the point is to measure it.

# %% tags=["assert"]
assert [round((1 - 0.9**t) / (1 - 0.98**t) ** 0.5, 2) for t in (1, 10)] == [0.71, 1.52]
