# %% [markdown]
# # 11 · T5, GPT, Llama, and counting to 70 billion
#
# **Goal.** See how little the models of today differ from the one of 2017, write the backward of what is new, and count
# their parameters to the last digit.
#
# - **What you'll do:** Lay recipes side by side, train a tiny GPT on text and let it write, turn keys until only
#   distances matter, find a bug in a conversion of weights, and build a Llama-2-70B without its memory.
# - **What you'll learn:** What an encoder-decoder and a decoder-only model are for; relative bias, rotary positions,
#   SwiGLU, grouped queries; where 70 billion parameters are, and which round numbers about them are not quite right.
# - **What you'll need:** Lessons 04 to 08, and 10 for writing.
# - **On your own:** Three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, diagram, hint, predict, predictions, show_solution, show_source, versions
from minitransformer.data import CharacterVocabulary, TextBatches, corrupt_spans, documentation, sentinels
from minitransformer.decoding import LanguageModel
from minitransformer.layers import (
    GELU,
    Array,
    CrossEntropy,
    Dense,
    FeedForward,
    GatedFeedForward,
    GroupedQueryAttention,
    LayerNorm,
    Linear,
    RelativePositionBias,
    ReLU,
    RMSNorm,
    Rotary,
    SelfAttention,
    SiLU,
    Unallocated,
)
from minitransformer.layers.rotary import pairs_from_halves
from minitransformer.models import (
    GPT,
    PRESETS,
    T5,
    GPTConfig,
    Llama,
    LlamaConfig,
    T5Config,
    Transformer,
    TransformerConfig,
    summary,
)
from minitransformer.plotting import OKABE_ITO, attention_map, draw, loss_curves, parameter_parts, parameter_shares
from minitransformer.training import Adam, ProgressBar, Trainer, WarmupCosine
from minitransformer.verify import check_gradients

# %% [markdown]
# ## 1 · Recipes, side by side
#
# A model is a list of choices. Here are four, read from the very classes, each built with two blocks:

# %%
rng = np.random.default_rng(0)
models = {
    "Transformer": Transformer(
        TransformerConfig(50, d_model=16, n_heads=4, d_ff=64, n_encoder_blocks=2, n_decoder_blocks=2), rng
    ),
    "T5": T5(T5Config(50, d_model=16, d_kv=4, n_heads=4, d_ff=64, n_encoder_blocks=2, n_decoder_blocks=2), rng),
    "GPT": GPT(GPTConfig(50, max_length=32, d_model=16, n_heads=4, n_blocks=2), rng),
    "Llama": Llama(LlamaConfig(50, d_model=16, n_heads=4, n_kv_heads=2, d_ff=40, n_blocks=2), rng),
}
kinds = {
    "norm": (LayerNorm, RMSNorm),
    "attention": (GroupedQueryAttention, SelfAttention),
    "positions": (RelativePositionBias, Rotary),
    "feed-forward": (GatedFeedForward, FeedForward),
    "activation": (ReLU, GELU, SiLU),
    "projections": (Dense, Linear),
}
print(f"{'':12s} wrapper  ", *(text.ljust(21) for text in kinds))
for name, model in models.items():
    layers = [layer for _, layer in model.named_layers()]
    found = [next((k.__name__ for k in kind if any(type(x) is k for x in layers)), "added") for kind in kinds.values()]
    wrapper = type(model.decoder.blocks[0].attention).__name__
    print(f"{name:12s}", wrapper.ljust(9), *(text.ljust(21) for text in found))


# %% [markdown]
# | | reads | writes | made for |
# |---|---|---|---|
# | encoder-decoder (2017, T5) | the source, both ways | the target, causally | translation, summaries: text to text |
# | decoder-only (GPT, Llama) | its own text, causally | the next word of it | going on with *any* text: a question is a text whose continuation is the answer |
#
# **ChatGPT-like models are decoders of the second kind.** They are trained first on going on with text, then on
# dialogues, then on what people prefer among their answers (lesson 10, section 5). Those are three trainings with two
# losses (going on with a dialogue is going on with text), and one architecture.

# %%
ax = draw(models["Llama"])

# %% [markdown]
# T5 and Llama have linear layers only (lesson 00): no biases at all.
#
# ## 2 · T5: distance instead of position
#
# T5 has no positional vectors. It adds one learned number to every **score**, by how far the key is from the query:
#
# $$ \mathrm{score}_{h,t,s} = q_{h,t} \cdot k_{h,s} + \mathrm{table}\,[\mathrm{bucket}(s - t),\, h] $$
#
# with a bucket for each near distance, and ever wider ones for far distances. One table serves all blocks of a stack.
# (And T5 does not divide by $\sqrt{d}$: its first weights are smaller by this factor.)

# %%
layer = RelativePositionBias(1, rng, n_buckets=16, max_distance=24)
_, cache = layer.forward(14, 14)
places = [str(t) for t in range(14)]
ax = attention_map(cache["buckets"], places, places, title="Bucket of each pair", annotate=False)
ax.images[0].colorbar.set_label("bucket")

# %% [markdown]
# Along a diagonal there is one bucket, so one number of the table is used many times: by every pair on its diagonals,
# in every sentence, in every block.
#
# **By hand.** One sentence, one head, T = 2, three buckets: itself 0, the next word 1, the word before 2. The table of
# buckets is [[0, 1], [2, 0]]. If the gradient of the scores is [[1, 2], [3, 4]], the table's is (1 + 4, 2, 3) = (5, 2,
# 3).
#
# ### Exercise: T5's positions, backward

# %% exercise="relative_bias_backward"

# %% [markdown]
# T5 is trained on text without labels: spans are taken out, and it gives them back (here words are their own ids):

# %%
text = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week"]
taken = np.isin(text, ["for", "inviting", "last"])
marks = sentinels(len(text) + 2, 3)
names = {**dict(enumerate(text)), **dict(zip(marks, ["<X>", "<Y>", "<Z>"]))}
for side, ids in zip(("source", "target"), corrupt_spans(range(len(text)), taken, marks)):
    print(f"{side}:", *(names[i] for i in ids))

# %% [markdown]
# ## 3 · GPT: going on
#
# A decoder without an encoder, so without cross-attention: two sublayers a block. Its training data is any text; each
# position's target is the next character. We train a small one on the documentation that every Python carries.
#
# **Predict before you run.** There are a little over 100 different characters, so guessing costs about $\ln 100 = 4.6$
# nats. Where will 500 steps bring the loss? What will it have learned first: letters, spaces, words, sentences?

# %%
predict("500 steps", "")

# %%
text = documentation()
vocabulary = CharacterVocabulary(sorted(set(text)))
config = GPTConfig(len(vocabulary), max_length=48, d_model=64, n_heads=4, n_blocks=2, dropout=0.0)
gpt = GPT(config, np.random.default_rng(0))
batches = TextBatches(vocabulary.encode(text), 48, 24, seed=0)
trainer = Trainer(gpt, Adam(0.9, 0.99), WarmupCosine(6e-3, steps=500, warmup=50), CrossEntropy(pad=gpt.pad), seed=0)
writer = LanguageModel("gpt", gpt, vocabulary)
for steps in (20, 150, 500):
    history = trainer.fit(batches, steps, [ProgressBar()])
    print(f"--- after {steps} steps, loss {np.mean([r['loss'] for r in history.steps[-10:]]):.2f}")
    print(writer.generate("The function", max_new_tokens=150, temperature=0.8, seed=1))

# %%
ax = loss_curves(history)

# %% tags=["assert"]
assert 100 < len(vocabulary) < 150
assert np.mean([r["loss"] for r in history.steps[-10:]]) < 2.5

# %% [markdown]
# ## 4 · Llama: three more changes
#
# **Rotary positions.** Every pair of features of a query and a key is *turned* by an angle that grows with the
# position:
#
# $$ \begin{pmatrix} y_{2i} \\ y_{2i+1} \end{pmatrix} = \begin{pmatrix} \cos t\omega_i & -\sin t\omega_i \\ \sin t\omega_i & \cos
#    t\omega_i \end{pmatrix} \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix}, \qquad
#    (R_t q) \cdot (R_s k) = q \cdot (R_{s - t}\, k) . $$
#
# d features are d/2 such pairs, d/2 frequencies.
#
# **Predict before you run.** The same query vector and the same key vector stand at all positions. What does the matrix
# of their scores look like?

# %%
predict("the matrix of scores", "")

# %%
T, d = 10, 8
rotary = Rotary(d)
q, k = (np.broadcast_to(rng.standard_normal(d), (1, 1, T, d)) for _ in range(2))
scores = (rotary(q) @ rotary(k).swapaxes(-1, -2))[0, 0]  # (T, T)
print("constant along every diagonal:", all(np.ptp(np.diagonal(scores, n)) < 1e-12 for n in range(1 - T, T)))
print("scores by distance 0, 1, 2, ... back:", np.round(scores[-1, ::-1][:6], 2))

# %% [markdown]
# The backward of a rotation is the rotation by the opposite angle: you wrote it in lesson 02. What is new is a question
# of *order*.
#
# **Which features make a pair?** The paper, Meta's Llama and this package turn *neighbours*: features 2i and 2i + 1.
# Hugging Face's code turns *halves*: feature i with feature i + d/2. Both are right, each with its own weights. Weights
# that move from one to the other must be reordered.
#
# **By hand.** d = 4, x = (1, 2, 3, 4), and both pairs are turned by 90 degrees, which makes (a, b) to (-b, a).
# Neighbours: (-2, 1, -4, 3). Halves: the pairs are (1, 3) and (2, 4), and the result is (-3, -4, 1, 2).

# %%
ax = diagram(
    {
        **{f"h{i}": (i, 1.6, f"{'ab'[i // 2]}{i % 2}") for i in range(4)},
        **{f"n{i}": (i, 0.0, f"{'ab'[i % 2]}{i // 2}") for i in range(4)},
    },
    [("h0", "n0", "", ""), ("h1", "n2", "", ""), ("h2", "n1", "", ""), ("h3", "n3", "", "")],
    title="A head of d = 4. Above: halves, the pairs are (a0, b0), (a1, b1). Below: the same pairs as neighbours",
    size=(7.0, 2.6),
)

# %% [markdown]
# ### Find the bug: halves against neighbours
#
# A small Llama was trained here; its weights were then saved in the order of halves, as one finds them on the net.
# Somebody wrote a function that reorders them. We load them with it, and train on.
#
# **Predict before you run.** With which loss should the loaded model begin?

# %%
predict("loaded model", "")

# %%
broken, right = versions("permute_rope")


def small_llama():
    sizes = LlamaConfig(len(vocabulary), d_model=32, n_heads=4, n_kv_heads=4, d_ff=64, n_blocks=1)
    return Llama(sizes, np.random.default_rng(0))


def train_llama(model, steps, rate):
    trainer = Trainer(model, Adam(0.9, 0.99), rate, CrossEntropy(pad=-1), seed=0)
    return [
        record["loss"]
        for record in trainer.fit(TextBatches(vocabulary.encode(text), 32, 16, seed=1), steps, [ProgressBar()]).steps
    ]


teacher = small_llama()
losses = train_llama(teacher, 250, 6e-3)
halves = {}  # the weights as other code has them
for name, parameter in teacher.named_parameters():
    value = parameter.value.copy()
    if ".query." in name or ".key." in name:
        D, columns = value.shape
        value = value.reshape(D, 4, 4, 2).swapaxes(2, 3).reshape(D, columns)  # d = 8: four neighbours to two halves
    halves[name] = value


def load(permute):
    model = small_llama()
    for name, parameter in model.named_parameters():
        turned = ".query." in name or ".key." in name
        parameter.assign(permute(halves[name], 8) if turned else halves[name])
    return model


figure, ax = plt.subplots(figsize=(6.5, 3.0), layout="constrained")
curves = {}
for name, permute, colour in (("this code", broken, "vermillion"), ("right", right, "black")):
    curves[name] = np.convolve(train_llama(load(permute), 120, 1e-3), np.ones(5) / 5, "valid")
    ax.plot(
        curves[name], color=OKABE_ITO[colour], label=f"{name}: from {curves[name][0]:.2f} to {curves[name][-1]:.2f}"
    )
ax.set(xlabel="step of training on", ylabel="loss")
legend = ax.legend(frameon=False)
print(f"loss at the end of the first training: {np.mean(losses[-20:]):.2f}")

# %% [markdown]
# It is a little worse at first, and training on mends most of it. So one may take it for bad luck. Find the line, and
# mend it:

# %% exercise="permute_rope"

# %% [markdown]
# **What tells them apart?** The logits. A model that was converted rightly gives the very numbers of the one that it
# came from:

# %%
ids = np.array([vocabulary.encode(text[:32])])
gap = {
    name: np.abs(load(permute)(ids) - teacher(ids)).max() for name, permute in (("this code", broken), ("right", right))
}
print({name: f"{value:.1e}" for name, value in gap.items()})

# %% tags=["assert"]
assert gap["right"] == 0
assert gap["this code"] > 0.1
assert curves["this code"][0] > curves["right"][0] + 0.01

# %% [markdown]
# With a single head both functions are the same, so a test on one head passes. The two conventions have confused many
# readers (transformers #25199). A converter of llama.cpp cut the keys of models with grouped queries into the wrong
# number of heads: TinyLlama wrote gibberish (TinyLlama #24, mended in llama.cpp PR #3364). The test is always the same:
# **the converted model must give the same logits.**

# %%
show_source(pairs_from_halves)

# %% [markdown]
# **SwiGLU.** The feed-forward layer has two projections up. One of them goes through the activation; the result, the
# *gate*, is multiplied with the other, number by number:
#
# $$ y = \big(\mathrm{silu}(xW_g) \odot xW_1\big) W_2, \qquad \mathrm{silu}(z) = z\,\sigma(z) . $$
#
# **By hand.** Everything is a number: x = 1, $W_g = 1$, $W_1 = 2$, $W_2 = 3$. The gate is silu(1) = 0.731, so
# y = 0.731 · 2 · 3 = 4.386. Backward with dy = 1: the product gets 3. By the gate x gets 3 · 2 · silu'(1) · 1 with silu'(1) = 0.928, and by
# the other way 3 · 0.731 · 2: it is used twice, so the two are added, 5.566 + 4.386 = 9.952.
#
# ### Exercise: SwiGLU, backward

# %% exercise="swiglu_backward"

# %%
show_source(GatedFeedForward.backward)

# %% [markdown]
# **Grouped queries.** While it decodes, a model keeps the keys and values of every word. In Llama-2-70B, 64 query heads
# share 8 heads of keys and values, so what is kept is eight times smaller. Query heads 0 to 7 read key head 0, the next
# eight key head 1, and so on.
#
# **By hand.** Four query heads, two key heads. From the four heads the gradients 1, 2, 3, 4 arrive at their keys. Key
# head 0 was used by the heads 0 and 1, so it gets 3; key head 1 gets 7.
#
# ### Exercise: one key head for a group, backward

# %% exercise="grouped_backward"

# %% [markdown]
# In the package the queries of a group stand one below the other, (B, H_kv, G T, d), in front of their key head, so that the matrix
# product itself adds. All together, against the complex step:

# %%
show_source(GroupedQueryAttention.backward)

# %%
check_gradients(GroupedQueryAttention(12, 6, 2, rng, rotary=Rotary(2)), rng.standard_normal((2, 5, 12)))

# %% [markdown]
# ## 5 · Counting to 70 billion
#
# **By hand.** A Llama with 3 words, D = 2, one head, $d_{ff} = 1$ and one block. Embedding and head: 3 · 2 each.
# Attention: four matrices of 2 · 2. SwiGLU: three of 2. Norms: 2 and 2 in the block, 2 behind it. Together 12 + 16 + 6
# + 4 + 2 = 40.
#
# ### Exercise: count a Llama

# %% exercise="llama_parameters"

# %% [markdown]
# The package's classes build a Llama-2-70B too, from arrays that promise a shape and have no memory. Every line is a
# weight of the model that would run:

# %%
big = Llama(LlamaConfig.llama2_70b(), Unallocated())
summary(big)

# %% [markdown]
# Lecture notes give round numbers. **Predict before you run.** Which of these two is right, and which is off, and why?
#
# - "there are 200 million parameters in one attention layer"
# - "the embedding has 260 million"

# %%
predict("two numbers", "")

# %%
D, V, kept = 8192, 32000, 8 * 128  # width, vocabulary, 8 key heads of 128
attention = big.decoder.blocks[0].attention
print(f"3 D^2, as the notes count            {3 * D * D:15,}")
print(f"4 D^2, with the output projection    {4 * D * D:15,}")
print(f"2 D^2 + 2 D (8 x 128), what it has   {2 * D * D + 2 * D * kept:15,}")
print(
    f"counted in the model                 {sum(getattr(attention.sublayer, n).n_parameters() for n in ('query', 'key', 'value', 'output')):15,}"
)
print(f"the embedding, V D                   {V * D:15,}   counted: {big.embedding.n_parameters():,}")
print(f"the whole                            {big.n_parameters():15,}")
print(f"in 16 bits                           {2 * big.n_parameters() / 1e9:15.0f} GB")

# %% [markdown]
# The embedding's 260 million are right (262,144,000; the head has as many again). The attention layer's 200 million are
# $3 D^2 = 201{,}326{,}592$, and that formula is wrong twice: it leaves out the output projection, and it gives every
# query head keys and values of its own. The true number is **150,994,944**.
#
# Where are the parameters of the others? Each bar is one model, built from its class and counted:

# %%
shown = ("transformer-base", "t5-small", "gpt2", "llama-2-7b", "llama-2-70b", "llama-3-8b")
counted = {name: parameter_parts(PRESETS[name][0](PRESETS[name][1], Unallocated())) for name in shown}
ax = parameter_shares(counted, title="What the parameters are for")

# %% [markdown]
# As models grow, the vocabulary's share shrinks and the feed-forward layers, not attention, become the bulk: 81.7 % of
# Llama-2-70B.
#
# **What does a word cost?** A multiply-add for every weight, roughly: 69 billion for each word written. And what must
# be kept of every word read, with grouped queries and without:

# %%
for heads in (64, 8):
    print(
        f"{heads:2d} key heads: {2 * 80 * heads * 128 * 2 / 1e6:.2f} MB a word in 16 bits, {2 * 80 * heads * 128 * 2 * 4096 / 1e9:.1f} GB for 4,096 words"
    )

# %%
predictions(
    {
        "500 steps": "To about 1.9. Letters and spaces first, then short words.",
        "the matrix of scores": "Constant along every diagonal: only the distance counts.",
        "loaded model": "With the one that the first training ended with.",
        "two numbers": "260 million are right. 200 million are wrong twice: it is 150,994,944.",
    }
)

# %% [markdown]
# ## Summary
#
# - The models of today are the one of 2017 with other norms, positions, feed-forward layers and fewer key heads.
# - Rotary positions: scores depend on distances. Halves or neighbours is a convention that weights carry with them;
#   compare logits after a conversion.
# - What is shared gets the sum of gradients: T5's table, a key head of a group.
# - Count parameters from the classes, not from round numbers.
#
# ## On your own
#
# 1. Derive Llama-2-7B's number of parameters by hand from its sizes (`LlamaConfig.llama2_7b()`), then check it with
#    your function. What changes for Llama-3-8B, and which single choice explains most of the difference?
# 2. Train the GPT of section 3 with the rotary Llama in its place, at about the same number of parameters. Which loss
#    is lower?
# 3. A rotation leaves the length of a vector as it is. Why is it applied to queries and keys, but not to values?

# %% tags=["assert"]
from minitransformer.course.exercises import find  # the numbers worked by hand

d_table = find("relative_bias_backward").solution(np.array([[[[1.0, 2], [3, 4]]]]), np.array([[0, 1], [2, 0]]), 3)
assert d_table.ravel().tolist() == [5, 2, 3]
one = np.ones((1, 1))
_, dWg, dW1, _ = find("swiglu_backward").solution(one, one, 0 * one, 2 * one, 3 * one)
assert (dWg.item(), dW1.item()) == (3.0, 0.0)
assert find("grouped_backward").solution(np.arange(1.0, 5).reshape(1, 4, 1, 1), 2).ravel().tolist() == [3, 7]
assert find("llama_parameters").solution(3, 2, 1, 1, 1, 1) == 40
columns = find("permute_rope").solution(np.arange(8.0)[None], 4)
assert columns.ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]

# %% [markdown] tags=["teacher"]
# **Answers.** 1. 6,738,415,616 for Llama-2-7B. Llama-3-8B has a vocabulary of 128,256 in place of 32,000, and that
# explains most of the difference: twice 96,256 · 4,096 are 0.79 billion; its feed-forward layers are wider, its grouped
# keys smaller. 2. At this size the two are close, and the seed matters; rotary positions and SwiGLU mostly win a
# little. 3. Scores need relative positions, and only queries and keys make scores. Turned values would have to be
# turned back before they are added, since each comes from another position.

# %% tags=["assert"]
assert Llama(LlamaConfig.llama2_7b(), Unallocated()).n_parameters() == 6_738_415_616
