# %% [markdown]
# # 09 · Training: the word "it" finds its noun
#
# **Goal.** Turn sentence pairs into gradients and gradients into a translator, watch it learn which noun *it* stands for, and
# stop inside a backward to see what is there.
#
# - **What you'll do:** Build what the decoder reads, write the loss's backward and one step of Adam, train a translator in
#   seconds, exchange nouns under its eyes, work out how many machines can share its batch, and step through a backward with the
#   debugger.
# - **What you'll learn:** Why the true words are fed, why the truth is smoothed, what warm-up is for; how a
#   right answer may have a wrong reason, and how to find out; why shares of a batch must be weighted by their tokens, and how
#   far that scales.
# - **What you'll need:** Lessons 07 and 08.
# - **On your own:** Three open questions at the end.

# %%
import io
import pdb
import re
import time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

from minitransformer.course import check, hint, show_solution, show_source
from minitransformer.data import EnglishFrench, LanguageVocabulary, PairBatches, sequence_to_sequence_batch
from minitransformer.data.english_french.pronouns import noun_pair_held_out
from minitransformer.decoding import Translator
from minitransformer.experiments.coreference import forced_scores, id_pairs, intervene, measure_heads
from minitransformer.layers import Array, CrossEntropy, Softmax, Unallocated
from minitransformer.models import PRESETS, PreNormTransformer, TransformerConfig, summary
from minitransformer.plotting import OKABE_ITO, attention_map, schedule_curve, training_figure
from minitransformer.training import Adam, Every, Noam, Trainer, WarmupCosine
from minitransformer.training.parallel import blas_threads
from minitransformer.verify import check_gradients, trace

# %% [markdown]
# ## 1 · Teacher forcing
#
# The decoder learns to predict every word from the *true* words before it, not from its own guesses. So what it reads is the
# target shifted right by one, and what it must answer is the target with its end:
#
# ```text
# source     I   see   the  cat  <eos>
# target_in  <bos>  je   vois  le    chat
# targets    je     vois le    chat  <eos>
# ```
#
# All positions are trained in one pass, which the causal mask allows. (Some notes begin with `<eos>` instead of `<bos>`: it is
# the same idea with one special word less.)
#
# ### Exercise: what is read and what is predicted

# %% exercise="teacher_forcing"

# %% [markdown]
# The package pads at the same time:

# %%
batch = sequence_to_sequence_batch([([5, 6, 7], [8, 9]), ([5], [8, 9, 10, 11])], pad=0, start=1, eos=2)
print("source     ", *batch.inputs[0].tolist())
print("target_in  ", *batch.inputs[1].tolist())
print("targets    ", *batch.targets.tolist(), f"   {batch.n_tokens} tokens count, padding does not")

# %% [markdown]
# ## 2 · The loss, smoothed
#
# $$ q = (1 - e)\, \mathrm{onehot}(\text{target}) + \frac{e}{V}, \qquad
#    \mathcal{L} = -\frac{1}{N} \sum_{\text{tokens}} \sum_{v} q_v \log p_v, \qquad
#    \frac{\partial \mathcal{L}}{\partial\, \mathrm{logits}} = \frac{1}{N}(p - q) $$
#
# with $p = \mathrm{softmax}(\mathrm{logits})$ and N the number of tokens that are not padding. The gradient is *model minus truth*.
#
# **Predict before you run.** V = 10 words, $e = 0.1$. The model is absolutely sure of the right word. Is the loss 0? Which sign
# has the gradient of the right word's logit?

# %%
loss = CrossEntropy(pad=0, label_smoothing=0.1)
target = np.array([3])
for margin in (0.0, 2.0, 4.5, 9.0, 20.0):
    logits = np.zeros((1, 10))
    logits[0, 3] = margin
    value, cache = loss.forward(logits, target)
    p, gradient = np.exp(margin) / (np.exp(margin) + 9), loss.backward(1.0, cache)[0, 3]
    print(f"right logit {margin:4.1f} above the others: p = {p:.4f}   loss {value:.3f}   its gradient {gradient:+.3f}")

# %% [markdown]
# From p = 0.91 on (that is $1 - e + e/V$) the gradient is positive: being surer makes the loss *worse*. Smoothing keeps logits
# from growing for ever. The smallest loss is not 0 but the entropy of q, here 0.500 nats.

# %%
show_source(CrossEntropy.backward)

# %% [markdown]
# ### Exercise: the smoothed loss, backward

# %% exercise="smoothed_loss_backward"

# %% [markdown]
# ## 3 · Adam and its warm-up
#
# $$ m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
#    w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \epsilon}, \quad
#    \hat m = \frac{m}{1 - \beta_1^t},\ \hat v = \frac{v}{1 - \beta_2^t} $$
#
# **Predict before you run.** Two weights, one with a gradient of 1000, the other of 0.001. How far does the first step of Adam,
# with $\eta = 0.1$, move each?

# %%
value, grad = np.zeros(2), np.array([1000.0, 0.001])
Adam().step(value, grad, 0.1)
print("after one step:", value)

# %% [markdown]
# The gradient's scale cancels: at the first step $\hat m / \sqrt{\hat v} = \pm 1$. That is also why a loss with a wrong factor
# (divided by the batch size twice, say) trains as if nothing were wrong, and why this course checks gradients and not
# training curves.
#
# ### Exercise: one step of Adam

# %% exercise="adam_step"

# %% [markdown]
# At the first steps $\hat v$ is an average over very few gradients, so Adam's steps are long and badly aimed. **Warm-up** keeps
# them short until it knows better. The rule of 2017 and the one used below:

# %%
schedules = {
    "Noam, factor 0.5": Noam(d_model=64, warmup=50, factor=0.5),
    "warm-up, then half a cosine": WarmupCosine(3e-3, steps=600, warmup=50),
}
ax = schedule_curve(schedules, 600)

# %% [markdown]
# ## 4 · A translator in seconds
#
# The course's grammar makes English sentences with their one right French translation. We take four of its constructions, in
# which *it* may stand for either of two nouns, and only the adjective tells for which:
#
# > I got my **car** straight from the showroom, it was *new*. → *J'ai eu ma voiture directement du salon, **elle** était neuve.*
# >
# > I got my car straight from the **showroom**, it was *crowded*. → *..., **il** était bondé.*
#
# The two nouns always differ in gender. Tested are sentences about *pairs of nouns that training never shows*. *Hard*: the other
# noun stands nearer to *it*.

# %%
grammar, rng = EnglishFrench(), np.random.default_rng(0)


def draw(n, split):
    both = grammar.sample_hard(rng, n, split), grammar.sample_easy(rng, n, split)
    return [[e for e in half if e.template.startswith(("bought from", "goods at"))] for half in both]


training = [e for half in draw(30_000, "train") for e in half]
hard, easy = (half[:200] for half in draw(2_000, "test"))
english = LanguageVocabulary(grammar.source_tokens, "english")
french = LanguageVocabulary(grammar.target_tokens, "french")


def new_translator(seed):
    config = TransformerConfig(
        len(english), len(french), d_model=64, n_heads=4, d_ff=128, n_encoder_blocks=1, n_decoder_blocks=1, dropout=0.0
    )
    model = PreNormTransformer(config, np.random.default_rng(seed))
    return Translator("pre-norm", model, english, french, start=french.bos)


def train(translator, examples, steps, look):
    pairs = id_pairs(translator, examples)
    batches = PairBatches(pairs, 32, seed=0, start=french.bos, eos=french.eos)
    schedule = WarmupCosine(3e-3, steps=steps, warmup=50)
    trainer = Trainer(translator.model, Adam(0.9, 0.98), schedule, CrossEntropy(), seed=0)
    return trainer.fit(batches, steps, [Every(50, lambda trainer: look(translator, trainer.step))])


def scores(translator, step):
    exact, pronoun_hard = forced_scores(translator, hard)
    return {"exact_match": exact, "pronoun_hard": pronoun_hard, "pronoun_easy": forced_scores(translator, easy)[1]}


first = new_translator(seed=0)
print(f"{len(training):,} sentences, {first.model.n_parameters():,} parameters")
print("hard:", hard[0].english_text, "->", hard[0].french_text)
print("easy:", easy[0].english_text, "->", easy[0].french_text)

# %% [markdown]
# The training step fits one screen; everything else hangs on callbacks:

# %%
show_source(Trainer.train_step)

# %% [markdown]
# **Predict before you run.** Which is learned first: word order and nouns, or the pronoun? What share of right pronouns does a
# model reach that always writes *il*? And one that always chooses the nearer noun, on hard sentences, on easy ones?

# %%
history = train(first, training, 400, scores)
figure = training_figure(history)

# %%
SHOWROOM = "I got my car straight from the showroom, it was new."
for text in (SHOWROOM, SHOWROOM.replace("new", "crowded")):
    print(text, "\n   ", first.translate([text])[0])

# %% [markdown]
# First come the words and their order, and the pronoun is a coin toss; then, in a few dozen steps, it is settled.
#
# ## 5 · A right answer for a wrong reason
#
# Has the model found the noun that *it* stands for? We intervene: exchange **one** noun of a test sentence for one of the other
# gender, leave all else, and see whether the pronoun follows.
#
# **Predict before you run.** How often must the pronoun change when the noun is exchanged that *it* stands for? And how often when
# it is the other noun?

# %%
changed = intervene(first, grammar, hard, np.random.default_rng(1))
print(f"pronouns right, hard sentences                {forced_scores(first, hard)[1]:7.1%}")
print(f"the pronoun follows the noun it stands for    {changed.antecedent:7.1%}")
print(f"the pronoun follows the other noun            {changed.distractor:7.1%}")

# %% [markdown]
# Nearly all pronouns were right, and yet the pronoun often follows the *wrong* noun. Before you read on: how can both be true?
#
# In all our training sentences the nouns differ in gender. So *the gender that the other noun does not have* is always the right
# answer, and a model may learn that rule instead. No test made like the training data can tell; the intervention does. The remedy
# is in the data: add sentences whose nouns have the *same* gender, in which the short cut fails.

# %%
same_gender = [grammar.swap_distractor(e, rng) for e in training[::2]]
same_gender = [e for e in same_gender if not noun_pair_held_out(e.derivation.x, e.derivation.y)]
print(f"{len(same_gender):,} more sentences, such as: {same_gender[0].english_text} -> {same_gender[0].french_text}")

reach = {}  # step -> how strongly each word of SHOWROOM decides between elle and il


def decides(translator, text, pronoun):
    """The norm of d(logit of elle - logit of il) / d(vector of each source word), as shares."""
    model, source = translator.model, [*english.encode(text), english.eos]
    target = french.encode_tokens(pronoun)
    logits, cache = model.forward(np.array([source]), np.array([[french.bos, *target]]))
    d_logits = np.zeros_like(logits)
    d_logits[0, -1, french.token_id["elle"]], d_logits[0, -1, french.token_id["il"]] = 1.0, -1.0
    dx = model.encoder.backward(model.backward_decode(d_logits, cache), cache["encoder"])
    norms = np.linalg.norm(dx[0], axis=-1)
    return norms / norms.sum()


BEFORE = ["j'", "ai", "eu", "ma", "voiture", "directement", "du", "salon", ","]  # then comes elle or il
flips = {}


def look(translator, step):
    reach[step] = decides(translator, SHOWROOM, BEFORE)
    if step % 100 == 0:
        flips[step] = intervene(translator, grammar, hard[:100], np.random.default_rng(1))
    return scores(translator, step)


second = new_translator(seed=0)
history = train(second, training + same_gender, 600, look)
figure = training_figure(history)

# %%
print("step   the pronoun follows its noun   the other noun")
for step, changed in flips.items():
    print(f"{step:4d} {changed.antecedent:28.0%} {changed.distractor:16.0%}")

# %% [markdown]
# **This** is *it* finding its noun: the pronoun turns with the noun that it stands for, and no longer with the other.
#
# Backward shows it for one sentence. At the place where the decoder must say *elle* or *il*, we ask for the gradient of the one logit
# minus the other with respect to the vector of every source word: how strongly would a change of that word change the choice?
# A row for each stage of
# training; compare the two nouns, and see what the adjective does:

# %%
shown = [50, 150, 250, 350, 450, 600]
words = [*english.labels(english.encode(SHOWROOM)), "<eos>"]
ax = attention_map(
    np.array([reach[step] for step in shown]), [str(step) for step in shown], words, title="What elle or il depends on"
)
ax.set(xlabel="source word", ylabel="step")
ax.images[0].colorbar.set_label("share of the gradient's norm")

# %% [markdown]
# And attention? A head's map is a *hint where to look* for the mechanism, not the mechanism. Which head, asked by which word, has
# more weight on the right noun than on the wrong one, over sentences of both kinds?

# %%
showrooms = [e for half in draw(8_000, "test") for e in half if "straight" in e.english]
heads = {kind: measure_heads(second, showrooms, kind)[0] for kind in ("it", "adjective")}
for kind, head in heads.items():
    print(
        f"asked by {kind:10s} {head}: {head.antecedent:.2f} on the right noun, {head.distractor:.2f} on the other; "
        f"more than twice as much in {head.links:.0%} of {len(showrooms)} sentences"
    )

# %%
seen = second.look(SHOWROOM)
asked = seen.cache["encoder"]["blocks"][0]["attention"]["weights"][0][:, seen.source.index("new")]  # (H, S)
ax = attention_map(asked, [f"head {h}" for h in range(len(asked))], seen.source, title="Where new looks, in each head")

# %% [markdown]
# **Can it be the word *it* that asks?** Not here. This encoder has a single block: there, the query of *it* is made
# of the word *it* and its position, and knows nothing of *new* or *crowded*. The query of the *adjective* can look for a noun of
# which it may be said. In a deeper encoder *it* can first read the adjective, in block 0, and find the noun in block 1.
#
# After so short a training the work is spread over heads, and one head's map says little. `minitransformer demo` trains two blocks on the whole grammar, for
# longer; there a single head links the two nearly always, asked by the adjective in some runs and by *it* in others (the table
# in the README).

# %% [markdown]
# ## 6 · One big batch, or its shares
#
# A batch may be cut into shares: for two workers, or because memory is short. Each share gives a gradient. Which combination
# is the gradient of the whole?
#
# The loss is a mean over N tokens, and the shares have $N_1$ and $N_2$ of them:
#
# $$ \nabla \mathcal{L} = \frac{1}{N} \sum_{\text{all tokens}} \nabla \ell
#    = \frac{N_1}{N}\, \nabla \mathcal{L}_1 + \frac{N_2}{N}\, \nabla \mathcal{L}_2 . $$
#
# The plain average of two means is right only where $N_1 = N_2$; sentences have different lengths, so it never is.
#
# ### Exercise: two shares, one gradient

# %% exercise="shares_backward"

# %% [markdown]
# Measured on the translator, a batch of a few long and many short sentences, cut in two:

# %%
by_length = sorted(id_pairs(second, training), key=lambda pair: len(pair[1]))
batch = sequence_to_sequence_batch(by_length[:8] + by_length[-8:], pad=0, start=french.bos, eos=french.eos)
fresh = new_translator(seed=3).model


def gradient(batch):
    fresh.zero_grad()
    logits, cache = fresh.forward(*batch.inputs)
    _, loss_cache = CrossEntropy().forward(logits, batch.targets)
    fresh.backward(CrossEntropy().backward(1.0, loss_cache), cache)
    return np.concatenate([p.grad.reshape(-1) for p in fresh.parameters()])


share1, share2 = batch.shares(2)
whole, g1, g2 = gradient(batch), gradient(share1), gradient(share2)
n1, n2 = share1.n_tokens, share2.n_tokens
for name, combined in (
    ("weighted by tokens", (n1 * g1 + n2 * g2) / (n1 + n2)),
    ("plain average", (g1 + g2) / 2),
):
    error = np.linalg.norm(combined - whole) / np.linalg.norm(whole)
    print(f"{n1} and {n2} tokens, {name:18s}: off by {error:.1e} of the gradient's length")

# %% [markdown]
# This is why `CrossEntropy.forward` takes a `normalizer`: every worker divides by the *whole* batch's tokens, and the shares'
# gradients simply add.
#
# ## 7 · From one core to many machines
#
# The shares may as well lie on different machines. Every *rank* holds the whole model and computes the gradient of its share, an
# **all-reduce** leaves the sum of all gradients with all of them, and each takes the same step of Adam:
#
# ```sh
# mpiexec -n 4 minitransformer train PAIRS.tsv --out runs/mine
# ```
#
# How much must be sent for that? Put the n ranks in a *ring* and cut the gradient into n pieces. In each of n - 1 turns every rank
# sends one piece to the next, which adds it to its own; then each rank has one piece that is complete. In n - 1 further turns the
# complete pieces go round. Each turn sends 1/n of the gradient, so through every rank's link go
#
# $$ \frac{2\,(n - 1)}{n} \cdot \text{bytes of the gradient}, $$
#
# less than twice its size, whatever the number of ranks, and no other way sends less (Patarasuk and Yuan 2009). Four ranks, played in
# one process with the batch of section 6:


# %%
def ring_all_reduce(vectors):
    """Put the sum of the ranks' vectors into each of them. Returns how many bytes each rank sent."""
    n = len(vectors)
    pieces = [np.array_split(vector, n) for vector in vectors]  # views: rank -> its n pieces
    sent = [0] * n
    for turn in range(2 * (n - 1)):
        for rank in range(n):
            after, i = (rank + 1) % n, (rank - turn) % n
            if turn < n - 1:
                pieces[after][i] += pieces[rank][i]
            else:
                pieces[after][i][...] = pieces[rank][i]
            sent[rank] += pieces[rank][i].nbytes
    return sent


gradients = [share.n_tokens / batch.n_tokens * gradient(share) for share in batch.shares(4)]
sent = ring_all_reduce(gradients)
for rank, g in enumerate(gradients):
    error = np.linalg.norm(g - whole) / np.linalg.norm(whole)
    print(f"rank {rank} sent {sent[rank] / g.nbytes:.3f} of the gradient's bytes; its sum is off by {error:.1e}")

# %% [markdown]
# **What share of the time computes?** A token costs about 2 operations for each of the P weights on the way forward and 4 on the way back
# (attention's scores come on top, and looking up an embedding is free). With T tokens in the whole batch and 4 bytes a number:
#
# $$ \text{efficiency} = \frac{\text{compute}}{\text{compute} + \text{sending}}, \qquad
#    \text{compute} = \frac{6 P\, T / n}{\text{operations a second}}, \qquad
#    \text{sending} = \frac{2\,(n - 1)}{n} \cdot \frac{4 P}{\text{bytes a second}} . $$
#
# **Predict before you run.** Llama-2-70B has ten times as many weights as Llama-2-7B, so ten times as much to send. Both are trained with
# batches of 4 million tokens (Touvron et al. 2023). Which of them spends the larger share of its time on sending? And how does the
# Transformer of 2017 do on 512 accelerators?
#
# Two numbers are measured here: what one core computes, and how fast a vector is added to another in memory. Two processes have a
# slower link than that; `mpiexec -n 2 python -m benchmarks.scaling`, in a checkout, measures it.


# %%
def seconds(call, rounds=7):
    """The median, after a call to warm up."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return np.median(times)


a = np.random.default_rng(0).standard_normal((1024, 1024), np.float32)
u, v = np.ones(4_000_000, np.float32), np.ones(4_000_000, np.float32)
with blas_threads(1):
    flops = 2 * 1024**3 / seconds(lambda: a @ a)
bandwidth = u.nbytes / seconds(lambda: np.add(u, v, out=u))
machines = {"measured here": (flops, bandwidth), "assumed accelerator": (150e12, 25e9)}
for name, (flops, bandwidth) in machines.items():
    print(f"{name:20s}{flops / 1e9:9,.0f} GFLOPS {bandwidth / 1e9:6.1f} GB/s")

# %% [markdown]
# The parameters are counted in the classes that run, built without memory (lesson 11). Of the 50,000 tokens in a batch of 2017, 25,000 are
# English and 25,000 German, and a weight meets only one language: T = 25,000.

# %%
RANKS = (2, 8, 64, 512, 2048)
TOKENS = {"transformer-base": 25_000, "llama-2-7b": 4_000_000, "llama-2-70b": 4_000_000}
sizes = {name: PRESETS[name][0](PRESETS[name][1], Unallocated()).n_parameters() for name in TOKENS}


def efficiency(P, T, n, flops, bandwidth):
    compute = 6 * P * T / n / flops
    sending = 2 * (n - 1) / n * 4 * P / bandwidth
    return compute / (compute + sending)


for machine, speeds in machines.items():
    print(f"{machine:20s}{'P':>15s}{'T':>11s}   n =" + "".join(f"{n:8,}" for n in RANKS))
    for name, T in TOKENS.items():
        shares = "".join(f"{efficiency(sizes[name], T, n, *speeds):8.1%}" for n in RANKS)
        print(f"  {name:18s}{sizes[name]:15,}{T:11,}      {shares}")

# %% [markdown]
# 7B and 70B have the same line: **P cancels**. Compute and gradient both grow with the model, and what is left is
#
# $$ \text{efficiency} = \frac{1}{1 + \frac{n - 1}{n} \cdot \frac{t^*}{T / n}}, \qquad
#    t^* = \frac{4}{3} \cdot \frac{\text{operations a second}}{\text{bytes a second}} . $$
#
# What counts is T/n, the tokens that a rank has between two all-reduces. At $t^*$ of them about half of the time is lost, and $t^*$ belongs
# to the machine: 8,000 tokens for the accelerator assumed here. A *faster* processor on the same link is less efficient.

# %%
figure, ax = plt.subplots(figsize=(7.0, 3.8), layout="constrained")
n = np.geomspace(1, 2048, 200)
for (machine, speeds), line in zip(machines.items(), ("--", "-")):
    for name, colour in (("llama-2-7b", "blue"), ("transformer-base", "vermillion")):
        label = {"llama-2-7b": "Llama-2-7B and 70B", "transformer-base": "Transformer base"}[name]
        curve = efficiency(sizes[name], TOKENS[name], n, *speeds)
        ax.plot(n, curve, line, color=OKABE_ITO[colour], linewidth=1.8, label=f"{label}, {machine}")
ax.set_xscale("log", base=2)
ax.set_xticks([1, *RANKS], [f"{r:,}" for r in (1, *RANKS)])
ax.minorticks_off()
ax.yaxis.set_major_formatter(PercentFormatter(1.0))
ax.set(xlim=(1, 2048), ylim=(0, 1.03), xlabel="ranks that share one batch", ylabel="efficiency")
ax.spines[["top", "right"]].set_visible(False)
ax.set_title("Sending takes over when a rank has too few tokens", fontsize=10, loc="left")
legend = figure.legend(frameon=False, fontsize=8, ncols=2, loc="outside lower center")

# %% [markdown]
# **What is what.** *Measured*: this core's operations and this memory's bytes a second, and the ring's sum and bytes. *Assumed*: 150 TFLOPS, about
# half of an A100's peak in 16 bits, and a link of 25 GB/s, which is 200 Gbit/s. *Arithmetic*: all percentages and the figure; no
# row was run on that many ranks. Left out are what makes it worse (the time that a message takes however short it is, and waiting for the slowest
# rank) and what makes it better (sending the last layers' gradients while the first are still computed; gradients in 16 bits).
#
# And what must a rank hold? In float32 a weight, its gradient and Adam's two moments are 16 bytes. `Sharded(Adam(), ranks)` keeps the
# moments in parts, one a rank (ZeRO, stage 1): 8 + 8/n. **Predict before you run.** How many ranks does it take until Llama-2-70B fits into
# 80 GB each?

# %%
print(f"{'GB a rank':20s}{'16 bytes':>10s}   Sharded, n =" + "".join(f"{n:8,}" for n in RANKS))
for name, P in sizes.items():
    parts = "".join(f"{(8 + 8 / n) * P / 1e9:8,.1f}" for n in RANKS)
    print(f"{name:20s}{16 * P / 1e9:10,.1f}{'':15s}{parts}")

# %% [markdown]
# No number of ranks is enough: 1.1 TB on each, whatever n, and with the moments in parts always more than 551 GB, before the first
# activation is kept. This too is arithmetic, and no measurement would change it. So data parallelism alone stops being enough in two places:
#
# - **Memory.** It divides the tokens, not the model. 7B does not fit into 80 GB and does with its moments in parts, from three ranks on; 70B
#   never does. Then gradients and weights must be cut as well (ZeRO, stages 2 and 3), or the model itself: inside its matrices (tensor
#   parallelism) or between its blocks (pipeline). This package has none of these.
# - **Tokens.** At 512 accelerators Llama's batch leaves each some 7,800 tokens, and half of the time is lost. 4 million tokens are fewer than
#   a thousand sequences of 4,096: of 2,048 ranks more than half would have none, and the last column is a number on paper. The batch of
#   2017 is too small for eight such accelerators. A larger batch helps, until its gradient is so exact that more tokens save no steps (McCandlish et al. 2018).
#
# `Sharded` is not free: behind the all-reduce the ranks send each other the new weights, half as much again.
#
# ## 8 · Stepping through
#
# Everything that a backward needs travels in the **cache**, and it prints itself. What did the encoder keep?

# %%
model = second.model
source, target_in = batch.inputs
logits, cache = model.forward(source, target_in)
cache["encoder"]["blocks"][0]["attention"]

# %% [markdown]
# What is the model made of, and what shape is where? `trace` writes down one forward and one backward, layer by layer:

# %%
summary(model)

# %%
trace(model, source, target_in).to_depth(2)

# %% [markdown]
# **Stopping inside.** Three ways, all of which work in a notebook:
#
# - write `breakpoint()` as a line of a forward or backward of your own, and run the cell;
# - after an error, run `%debug` in the next cell: you stand where it happened (`u` up, `d` down, `p x.shape` print, `q` quit);
# - `pdb.runcall(layer.backward, dy, cache)` stops at the first line of a backward that you did not write.
#
# In the debugger `n` runs one line, `s` steps into a call, `p` prints, `c` goes on. Here is such a session inside softmax's
# backward; the commands after the prompt are typed for you, so that the notebook also runs by itself:


# %%
def typed(commands, function, *arguments):
    """A debugger session: `commands` are what you would type. Returns what the function returns."""
    screen = io.StringIO()

    class Keyboard(io.StringIO):
        def readline(self, *size):
            line = super().readline(*size)
            screen.write(line)
            return line

    debugger = pdb.Pdb(stdin=Keyboard("\n".join([*commands, "c", ""])), stdout=screen, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    result = debugger.runcall(function, *arguments)
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())  # no colours, and paths from the package on
    print(re.sub(r"> \S*minitransformer/", "> minitransformer/", text))
    return result


softmax = Softmax()
scores = np.array([[1.0, 2.0, -np.inf], [0.0, 0.0, 0.0]])
_, kept = softmax.forward(scores)
dx = typed(
    ["n", "p y", "n", "p dx.sum(axis=-1)", "n", "p dx.sum(axis=-1)"],
    softmax.backward,
    np.ones((2, 3)) * [3, 1, 5],
    kept,
)
print(dx)

# %% [markdown]
# In the second `p` the rows do not yet sum to zero; in the third, after the projection was taken away, they do: adding the same
# number to all scores changes no weight, so the gradient has no part in that direction. And the masked score has none at all.
#
# When a backward of your own is wrong, `check_gradients` says where. Here is one with a mistake:


# %%
class Forgetful(Softmax):
    def backward(self, dy, cache):
        return dy * cache["y"]  # the projection is missing


check_gradients(Forgetful(), np.random.default_rng(0).standard_normal((2, 3)))

# %% [markdown]
# ## On your own
#
# 1. Train with the targets shifted wrongly, `target_in` = `targets`. What does the loss do, and what does the translator write?
# 2. Give the encoder two blocks and look for the head again, with three seeds: who asks, the adjective or *it*?
# 3. The model never sees its own mistakes in training (*exposure bias*). Change the third French word of a sentence to a wrong one in
#    `target_in` and see what it does to the words after it.
