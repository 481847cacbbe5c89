# %% [markdown]
# # 10 · Decoding: from probabilities to a sentence
#
# **Goal.** A trained model gives a probability to *every* sentence. Choose one: greedily, with a beam, by lot, or by the least
# risk.
#
# - **What you'll do:** Decode from `<bos>` to `<eos>` with a state that grows, draw the tree of a beam search, cut distributions
#   by temperature, top-k and top-p, and choose among whole sentences by minimum Bayes risk.
# - **What you'll learn:** Why the most probable word need not begin the most probable sentence; why length matters; what
#   minimum Bayes risk chooses among (sentences, not words); how a risk is differentiated.
# - **What you'll need:** Lesson 09.
# - **On your own:** Three open questions at the end.

# %%
import numpy as np

from minitransformer.course import check, hint, show_solution, show_source
from minitransformer.data import EnglishFrench, LanguageVocabulary, PairBatches
from minitransformer.decoding import (
    Translator,
    beam_search,
    chrf,
    expected_utilities,
    greedy,
    minimum_bayes_risk,
    next_word_distribution,
    sample,
    search_tree,
)
from minitransformer.experiments.coreference import id_pairs
from minitransformer.layers import Array, CrossEntropy
from minitransformer.models import PreNormTransformer, TransformerConfig
from minitransformer.plotting import beam_tree, next_word
from minitransformer.training import Adam, Trainer, WarmupCosine

# %% [markdown]
# ## 0 · A translator that hesitates
#
# A model that is always sure makes every way of decoding look the same. So we train one as in lesson 09, and stop far too early.

# %%
grammar, rng = EnglishFrench(), np.random.default_rng(0)


def draw(n, split):
    both = grammar.sample_hard(rng, n, split) + grammar.sample_easy(rng, n, split)
    return [e for e in both if e.template.startswith(("bought from", "goods at"))]


examples = draw(15_000, "train")
english = LanguageVocabulary(grammar.source_tokens, "english")
french = LanguageVocabulary(grammar.target_tokens, "french")
config = TransformerConfig(
    len(english), len(french), d_model=64, n_heads=4, d_ff=128, n_encoder_blocks=1, n_decoder_blocks=1, dropout=0.0
)
model = PreNormTransformer(config, np.random.default_rng(0))
translator = Translator("pre-norm", model, english, french, start=french.bos)
batches = PairBatches(id_pairs(translator, examples), 32, seed=0, start=french.bos, eos=french.eos)
trainer = Trainer(model, Adam(0.9, 0.98), WarmupCosine(3e-3, steps=200, warmup=40), CrossEntropy(), seed=0)
history = trainer.fit(batches, 200)
print(f"loss {history.steps[0]['loss']:.2f} -> {np.mean([r['loss'] for r in history.steps[-20:]]):.2f} nats a word")

# %% [markdown]
# ## 1 · One word at a time
#
# $$ P(y \mid x) = \prod_{t=1}^{T} P(y_t \mid y_{<t}, x), \qquad y_1, \dots, y_{T-1} \text{ words},\; y_T = \texttt{<eos>} $$
#
# The decoder begins with `<bos>` (some notes: with `<eos>`), reads what it has written, gives logits for the next word, and goes on
# until it writes `<eos>` itself. Nothing is computed twice: a **state** keeps the keys and values of all words before, and the
# encoder runs once.

# %%
tests = [e for _, e in sorted(enumerate(draw(700, "test")), key=lambda pair: pair[0] % 7)][:60]
TEXT = tests[0]
source = np.array([[*english.encode_tokens(TEXT.english), english.eos]])
print(TEXT.english_text, "->", TEXT.french_text, "\n")

state, ids = model.start_decoding(source, french.bos)
written = []
while not written or (written[-1] != french.eos and len(written) < 30):
    logits = model.next_logits(ids, state)[:, -1]  # (1, V)
    chosen = int(logits[0].argmax())
    written.append(chosen)
    ids = np.array([[chosen]])
print(" ".join(french.labels(written)))

# %% [markdown]
# That loop is greedy decoding: always the most probable next word.

# %%
keywords = {"start": french.bos, "eos": french.eos, "max_new_tokens": 30}
best_words = greedy(model, source, **keywords)[0]
print("the same:", best_words.ids == written[:-1], f"  log P(y|x) = {best_words.log_probability:.3f}")

# %% [markdown]
# ## 2 · Beam search
#
# **Predict before you run.** Can a sentence that begins with the *second* most probable word be more probable than the greedy one?
#
# Greedy cannot turn back. **Beam search** keeps the K best beginnings and weighs all their K V continuations together:
#
# $$ \log P(y_{\le t}) = \log P(y_{<t}) + \log P(y_t \mid y_{<t}) . $$
#
# ### Exercise: one step of beam search

# %% exercise="beam_step"

# %% [markdown]
# Over held-out sentences: how often does a wider beam find a sentence that the model itself holds to be more probable?

# %%
sources = [np.array([[*english.encode_tokens(e.english), english.eos]]) for e in tests]
greedy_found = [greedy(model, s, **keywords)[0] for s in sources]
for width in (1, 2, 4, 8):
    found = [
        beam_search(model, s, num_beams=width, length_penalty=0.0, **keywords)[0][0] if width > 1 else g
        for s, g in zip(sources, greedy_found)
    ]
    more = np.mean([f.log_probability > g.log_probability + 1e-3 for f, g in zip(found, greedy_found)])
    mean = np.mean([f.log_probability for f in found])
    exact = np.mean([f.ids == french.encode_tokens(e.french) for f, e in zip(found, tests)])
    print(
        f"beam {width}: more probable than greedy in {more:4.0%}   mean log P {mean:6.3f}   exactly right {exact:4.0%}"
    )

# %% [markdown]
# Here are the first seven words of one such search as a tree, with the log-probability of the whole beginning behind the
# last word of a branch. What got no slot is pale.

# %%
differs = [
    i
    for i, (s, g) in enumerate(zip(sources, greedy_found))
    if beam_search(model, s, num_beams=3, length_penalty=0.0, **keywords)[0][0].log_probability
    > g.log_probability + 1e-3
]
i = min(differs, key=lambda i: len(greedy_found[i].ids))  # a short one, to fit the page
steps = []
winner = beam_search(model, sources[i], num_beams=3, length_penalty=0.0, on_step=steps.append, **keywords)[0][0]
print("source ", tests[i].english_text)
print(f"greedy  {french.decode(greedy_found[i].ids)}   {greedy_found[i].log_probability:.2f}")
print(f"beam 3  {french.decode(winner.ids)}   {winner.log_probability:.2f}")
tree = search_tree(steps, [*winner.ids, french.eos], lambda token: french.labels([token])[0], root="<bos>", dropped=1)
depth = [0]
for node in tree[1:]:
    depth.append(depth[node.parent] + 1)
ax = beam_tree([node for node, words in zip(tree, depth) if words <= 7])

# %% [markdown]
# **Length.** Every further word multiplies by something below one, so long sentences are improbable, and a search that compares
# log-probabilities of different lengths prefers short ones. The *length penalty* $\alpha$ divides by $T^\alpha$ when finished
# sentences are ranked. **Predict before you run.** In which direction do the lengths move with $\alpha$?

# %%
for alpha in (-2.0, 0.0, 1.0, 4.0):
    found = [beam_search(model, s, num_beams=8, length_penalty=alpha, **keywords)[0][0] for s in sources[:30]]
    print(f"length penalty {alpha:4.1f}: {np.mean([f.length for f in found]):.2f} words a sentence, <eos> counted")

# %% [markdown]
# ## 3 · Sampling
#
# To *draw* the next word is right where many answers are good: stories, dialogue. Three knobs, applied in this order:
#
# $$ p \propto \exp(\mathrm{logits} / \tau), \qquad \text{top-}k: \text{ the } k \text{ most probable}, \qquad
#    \text{top-}p: \text{ the fewest that reach } p . $$
#
# ### Exercise: the nucleus

# %% exercise="nucleus"

# %% [markdown]
# Where does this model hesitate most? We look for the word of the greedy translations with the flattest distribution:

# %%
hesitation = (0.0, None, None)
for s, found in zip(sources, greedy_found):
    logits, _ = model.forward(s, np.array([[french.bos, *found.ids]]))
    p = next_word_distribution(logits[0])
    entropy = -(p * np.log(p + 1e-30)).sum(axis=-1)
    if entropy.max() > hesitation[0]:
        hesitation = (entropy.max(), logits[0, entropy.argmax()], french.decode(found.ids[: entropy.argmax()]))
entropy, logits, so_far = hesitation
print(f"after {so_far!r}: {entropy:.2f} nats, as many as {np.exp(entropy):.0f} equally probable words")
names = french.labels(range(len(french)))
for temperature, top_p in ((1.0, None), (0.5, None), (1.0, 0.8)):
    ax = next_word(logits, names, temperature=temperature, top_p=top_p, shown=8)

# %% [markdown]
# **Predict before you run.** Temperature towards 0: which method that you know is it? And at $\tau = 3$, will the sentences still be
# French?

# %%
for temperature in (0.1, 1.0, 3.0):
    for drawn in sample(model, source, seed=1, temperature=temperature, num_return_sequences=2, **keywords)[0]:
        print(f"temperature {temperature}: {french.decode(drawn.ids)}")

# %% [markdown]
# ## 4 · Minimum Bayes risk
#
# The most probable sentence can be an outlier: one sentence with 10 %, while nine that hardly differ from one another have 9 %
# each. Ask instead which sentence is *best on average if each candidate might be the truth*:
#
# $$ y^* = \arg\max_{h} \sum_{y} P(y \mid x)\; \mathrm{utility}(h, y) \;\approx\; \arg\max_h \frac{1}{n} \sum_{i=1}^{n}
#    \mathrm{utility}(h, y_i), \quad y_i \sim P(\cdot \mid x) . $$
#
# Its negative is the risk. Mind what is being chosen: h runs over **whole sentences**, here samples of the model. (Some notes
# describe it as a way of choosing the next *word*; it cannot be, since the utility compares complete translations.)

# %%
show_source(expected_utilities)

# %% [markdown]
# ### Exercise: minimum Bayes risk

# %% exercise="minimum_risk"

# %% [markdown]
# **Predict before you run.** Below are samples of one sentence, each with how often it was drawn and its expected utility (chrF, the
# overlap of letters). Will the most frequent one win?

# %%
drawn = sample(model, sources[i], seed=5, num_return_sequences=40, **keywords)[0]
texts = [french.decode(d.ids) for d in drawn]
utilities = expected_utilities(texts, chrf)
for text in sorted(utilities, key=utilities.get, reverse=True)[:6]:
    print(f"{utilities[text]:6.1f}  {texts.count(text):3d} times  {text}")
print("...\nchosen:", minimum_bayes_risk(texts, chrf))
print("truth: ", tests[i].french_text)

# %% [markdown]
# How good are the ways to decode, by chrF against the one right translation?

# %%
few = range(30)
truth = [tests[j].french_text for j in few]
samples = [sample(model, sources[j], seed=7, num_return_sequences=20, **keywords)[0] for j in few]
ways = {
    "one sample": [french.decode(s[0].ids) for s in samples],
    "greedy": [french.decode(greedy_found[j].ids) for j in few],
    "beam 4": [french.decode(beam_search(model, sources[j], num_beams=4, **keywords)[0][0].ids) for j in few],
    "minimum Bayes risk": [minimum_bayes_risk([french.decode(d.ids) for d in s], chrf) for s in samples],
}
for name, answers in ways.items():
    print(f"{name:20s} chrF {np.mean([chrf(a, t) for a, t in zip(answers, truth)]):5.1f}")

# %% [markdown]
# Out of twenty poor samples minimum Bayes risk makes a far better sentence than one of them is. It does not beat the beam here: this
# task has exactly *one* right translation, and the samples of a half-trained model are noisy. Draw more of them, or at temperature
# 0.5, and look again.
#
# ## 5 · A risk has a gradient
#
# If a model is judged by a risk, why not train on it? With candidates $y_1 \dots y_N$ and $p = \mathrm{softmax}(\mathrm{logits})$
# over them,
#
# $$ R = \sum_i p_i\, r_i, \qquad \frac{\partial R}{\partial\, \mathrm{logits}_i} = p_i\,(r_i - R) : $$
#
# a candidate that is riskier than the average becomes less probable, one that is less risky more. It is softmax's backward with
# $dp = r$ (Shen et al. 2016, *Minimum Risk Training*; with samples in place of all candidates it is the policy gradient that
# trains chat models from people's preferences).
#
# ### Exercise: the gradient of a risk

# %% exercise="expected_risk_backward"

# %% [markdown]
# Does stepping against it work? Five candidates, all equally probable at first:

# %%
risk, logits = np.array([0.9, 0.4, 0.5, 0.1, 0.6]), np.zeros(5)
for step in range(61):
    p = np.exp(logits) / np.exp(logits).sum()
    expected = p @ risk
    if step % 20 == 0:
        print(f"step {step:2d}: risk {expected:.3f}   p = {np.round(p, 2)}")
    logits = logits - 1.0 * p * (risk - expected)

# %% [markdown]
# ## On your own
#
# 1. Let the beam grow to 32 and 128. The log-probabilities can only grow; does the share of exactly right translations? (In large
#    models it falls: the *beam search curse*.)
# 2. Use `exact_match` as the utility of minimum Bayes risk. Which well-known rule does it become?
# 3. Write a sentence whose greedy translation never ends. Which word does it repeat, and which of the knobs helps?
