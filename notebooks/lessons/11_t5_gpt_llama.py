# %% [markdown]
# # 11 · T5, GPT, Llama, and counting to 70 billion
#
# **Goal.** See how little the models of today differ from the one of 2017, write the backward of what is new, and count their
# parameters to the last digit.
#
# - **What you'll do:** Lay recipes side by side, train a tiny GPT on text and let it write, turn keys until only distances matter,
#   and build a Llama-2-70B without its memory.
# - **What you'll learn:** What an encoder-decoder and a decoder-only model are for; relative bias, rotary positions, SwiGLU, grouped
#   queries; where 70 billion parameters are, and which round numbers about them are not quite right.
# - **What you'll need:** Lessons 04 to 08, and 10 for writing.
# - **On your own:** Three open questions at the end.

# %%
import numpy as np

from minitransformer.course import check, hint, show_solution, show_source
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
from minitransformer.plotting import attention_map, draw, loss_curves, parameter_parts, parameter_shares
from minitransformer.training import Adam, Trainer, WarmupCosine
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
# **ChatGPT-like models are decoders of the second kind.** They are trained first on going on with text, then on dialogues, then on
# what people prefer among their answers (lesson 10, section 5). Those are three losses, not three architectures.

# %%
ax = draw(models["Llama"])

# %% [markdown]
# ## 2 · Words for layers
#
# - a **linear** layer is $y = xW$: one matrix, nothing else;
# - a **dense** layer is $y = xW + b$ (many libraries call this one linear);
# - a **feed-forward** layer is two of either with an activation between them: $y = f(xW_1 + b_1)W_2 + b_2$.
#
# T5 and Llama have linear layers only: no biases at all.

# %%
show_source(Linear.forward, Dense.forward)

# %% [markdown]
# **Predict before you run.** Two linear layers in a row, D → 4D → D, with no activation between them. How many numbers do they hold, and what
# can they do that one D × D matrix cannot?

# %%
D = 16
up, down = Linear(D, 4 * D, rng), Linear(4 * D, D, rng)
x = rng.standard_normal((5, D))
one = up.weight.value.astype(float) @ down.weight.value.astype(float)
print("weights:", up.n_parameters() + down.n_parameters(), "and", one.size)
print("largest difference of the outputs:", np.abs(down(up(x)) - x @ one).max())

# %% [markdown]
# Nothing: a product of matrices is a matrix. The activation is what makes the wide layer worth its weights.
#
# ## 3 · T5: distance instead of position
#
# T5 has no positional vectors. It adds one learned number to every **score**, by how far the key is from the query:
#
# $$ \mathrm{score}_{h,t,s} = q_{h,t} \cdot k_{h,s} + \mathrm{table}\,[\mathrm{bucket}(s - t),\, h] $$
#
# with a bucket for each near distance, and ever wider ones for far distances. One table serves all blocks of a stack. (And T5 does not
# divide by $\sqrt{d}$: what others divide by is in its first weights.)

# %%
layer = RelativePositionBias(1, rng, n_buckets=16, max_distance=24)
_, cache = layer.forward(14, 14)
ax = attention_map(cache["buckets"], range(14), range(14), title="Bucket of each pair", annotate=False)
ax.images[0].colorbar.set_label("bucket")

# %% [markdown]
# Along a diagonal there is one bucket, so one number of the table is used many times: by every pair on its diagonals, in every
# sentence, in every block.
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
# ## 4 · GPT: going on
#
# A decoder without an encoder, so without cross-attention: two sublayers a block. Its training data is any text; each position's
# target is the next character. We train a small one on the documentation that every Python carries.
#
# **Predict before you run.** There are a little over 100 different characters, so guessing costs $\ln 100 = 4.6$ nats. Where will 700 steps
# bring the loss? What will it have learned first: letters, spaces, words, sentences?

# %%
text = documentation()
vocabulary = CharacterVocabulary(sorted(set(text)))
config = GPTConfig(len(vocabulary), max_length=48, d_model=64, n_heads=4, n_blocks=2, dropout=0.0)
gpt = GPT(config, np.random.default_rng(0))
batches = TextBatches(vocabulary.encode(text), 48, 24, seed=0)
trainer = Trainer(gpt, Adam(0.9, 0.99), WarmupCosine(6e-3, steps=700, warmup=50), CrossEntropy(pad=gpt.pad), seed=0)
writer = LanguageModel("gpt", gpt, vocabulary)
for steps in (20, 150, 700):
    history = trainer.fit(batches, steps)
    print(f"--- after {steps} steps, loss {np.mean([r['loss'] for r in history.steps[-10:]]):.2f}")
    print(writer.generate("The function", max_new_tokens=150, temperature=0.8, seed=1))

# %%
ax = loss_curves(history)

# %% [markdown]
# ## 5 · Llama: three more changes
#
# **Rotary positions.** Every pair of features of a query and a key is *turned* by an angle that grows with the position:
#
# $$ \begin{pmatrix} y_{2i} \\ y_{2i+1} \end{pmatrix} = \begin{pmatrix} \cos t\omega_i & -\sin t\omega_i \\ \sin t\omega_i & \cos
#    t\omega_i \end{pmatrix} \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix}, \qquad
#    (R_t q) \cdot (R_s k) = q \cdot (R_{s - t}\, k) . $$
#
# d features are d/2 such pairs, d/2 frequencies.
#
# **Predict before you run.** The same query vector and the same key vector stand at all positions. What does the matrix of their scores
# look like?

# %%
T, d = 10, 8
rotary = Rotary(d)
q, k = (np.broadcast_to(rng.standard_normal(d), (1, 1, T, d)) for _ in range(2))
scores = (rotary(q) @ rotary(k).swapaxes(-1, -2))[0, 0]  # (T, T)
print("constant along every diagonal:", all(np.ptp(np.diagonal(scores, n)) < 1e-12 for n in range(1 - T, T)))
print("scores by distance 0, 1, 2, ... back:", np.round(scores[-1, ::-1][:6], 2))

# %% [markdown]
# ### Exercise: rotary positions, backward

# %% exercise="rotary_backward"

# %% [markdown]
# **SwiGLU.** The feed-forward layer gets a third matrix: what goes through the activation becomes a *gate* for what does not,
#
# $$ y = \big(\mathrm{silu}(xW_g) \odot xW_1\big) W_2, \qquad \mathrm{silu}(z) = z\,\sigma(z) . $$

# %%
show_source(GatedFeedForward.backward)

# %% [markdown]
# ### Exercise: SwiGLU, backward

# %% exercise="swiglu_backward"

# %% [markdown]
# **Grouped queries.** Decoding keeps the keys and values of every word. In Llama-2-70B, 64 query heads share 8 heads of keys and values:
# what is kept is eight times smaller. Forward repeats each key head for its group; so backward *sums* over the group. All
# together, against the complex step:

# %%
show_source(GroupedQueryAttention.backward)

# %%
check_gradients(GroupedQueryAttention(12, 6, 2, rng, rotary=Rotary(2)), rng.standard_normal((2, 5, 12)))

# %% [markdown]
# ## 6 · Counting to 70 billion
#
# ### Exercise: count a Llama

# %% exercise="llama_parameters"

# %% [markdown]
# The package's classes build a Llama-2-70B too, from arrays that promise a shape and have no memory. Every line is a weight of the model
# that would run:

# %%
big = Llama(LlamaConfig.llama2_70b(), Unallocated())
summary(big)

# %% [markdown]
# Lecture notes give round numbers. **Predict before you run.** Which of these two is right, and which is off, and why?
#
# - "there are 200 million parameters in one attention layer"
# - "the embedding has 260 million"

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
# $3 D^2 = 201{,}326{,}592$, and that formula is wrong twice: it leaves out the output projection, and it gives every query head keys and
# values of its own. The true number is **150,994,944**.
#
# Where are the parameters of the others? Each bar is one model, built from its class and counted:

# %%
shown = ("transformer-base", "t5-small", "gpt2", "llama-2-7b", "llama-2-70b", "llama-3-8b")
counted = {name: parameter_parts(PRESETS[name][0](PRESETS[name][1], Unallocated())) for name in shown}
ax = parameter_shares(counted, title="What the parameters are for")

# %% [markdown]
# As models grow, the vocabulary's share shrinks and the feed-forward layers, not attention, become the bulk: 81.7 % of Llama-2-70B.
#
# **What does a word cost?** A multiply-add for every weight, roughly: 69 billion for each word written. And what must be kept of every
# word read, with grouped queries and without:

# %%
for heads in (64, 8):
    print(
        f"{heads:2d} key heads: {2 * 80 * heads * 128 * 2 / 1e6:.2f} MB a word in 16 bits, {2 * 80 * heads * 128 * 2 * 4096 / 1e9:.1f} GB for 4,096 words"
    )

# %% [markdown]
# ## On your own
#
# 1. Derive Llama-2-7B's number of parameters by hand from its sizes (`LlamaConfig.llama2_7b()`), then check it with your function. What
#    changes for Llama-3-8B, and which single choice explains most of the difference?
# 2. Train the GPT of section 4 with the rotary Llama in its place, at about the same number of parameters. Which loss is lower?
# 3. A rotation leaves the length of a vector as it is. Why is it applied to queries and keys, but not to values?
