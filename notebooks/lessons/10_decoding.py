# %% [markdown]
# # 10 · Decoding: from probabilities to a sentence
#
# **Goal.** A trained model gives a probability to *every* sentence. Choose one: greedily, with a beam, by lot, or by
# the least risk.
#
# - **What you'll do:** Decode from `<bos>` to `<eos>` with a state that grows, draw the tree of a beam search, cut
#   distributions by temperature, top-k and top-p, choose among whole sentences by minimum Bayes risk, and find a bug.
# - **What you'll learn:** Why the most probable word need not begin the most probable sentence; why length matters;
#   what minimum Bayes risk chooses among (sentences, not words); how a risk is differentiated.
# - **What you'll need:** Lesson 09.
# - **On your own:** Three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np

from minitransformer.course import check, diagram, hint, predict, predictions, show_solution, show_source, versions
from minitransformer.data import EnglishFrench, LanguageVocabulary, PairBatches, pad_sequences
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
from minitransformer.plotting import OKABE_ITO, beam_tree, next_word
from minitransformer.training import Adam, ProgressBar, Trainer, WarmupCosine

# %% [markdown]
# ## 0 · A translator that hesitates
#
# A model that is always sure makes every way of decoding look the same. So we train one as in lesson 09, and stop far
# too early.

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
history = trainer.fit(batches, 200, [ProgressBar()])
print(f"loss {history.steps[0]['loss']:.2f} -> {np.mean([r['loss'] for r in history.steps[-20:]]):.2f} nats a word")

# %% [markdown]
# ## 1 · One word at a time
#
# $$ P(y \mid x) = \prod_{t=1}^{T} P(y_t \mid y_{<t}, x), \qquad y_1, \dots, y_{T-1} \text{ words},\; y_T = \texttt{<eos>} $$
#
# The decoder begins with `<bos>` (some notes: with `<eos>`), reads what it has written, gives logits for the next word,
# and goes on until it writes `<eos>` itself. Nothing is computed twice: a **state** keeps the keys and values of all
# words before, and the encoder runs once.

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
# **Predict before you run.** Can a sentence that begins with the *second* most probable word be more probable than the
# greedy one?
#
# Greedy cannot turn back. **Beam search** keeps the K best beginnings and weighs all their K V continuations together:
#
# $$ \log P(y_{\le t}) = \log P(y_{<t}) + \log P(y_t \mid y_{<t}) . $$
#
# **By hand.** V = 3 words a, b, c, two steps, K = 2. The first step gives a 0.5, b 0.4, c 0.1. After a: 0.4, 0.3, 0.3.
# After b: 0.9, 0.05, 0.05. Greedy writes *a a*, with 0.5 · 0.4 = 0.20. The beam keeps a and b and weighs six
# continuations. Which two does it keep?

# %%
predict("the second word", "")

# %%
ax = diagram(
    {
        "start": (0.0, 1.0, "<bos>"),
        "a": (2.5, 2.0, "a\n0.5"),
        "b": (2.5, 0.0, "b\n0.4"),
        "aa": (5.5, 2.6, "a a: 0.20"),
        "ab": (5.5, 1.7, "a b: 0.15"),
        "ba": (5.5, 0.5, "b a: 0.36"),
        "bb": (5.5, -0.4, "b b: 0.02"),
    },
    [
        ("start", "a", "0.5", ""),
        ("start", "b", "0.4", ""),
        ("a", "aa", "0.4", ""),
        ("a", "ab", "0.3", ""),
        ("b", "ba", "0.9", ""),
        ("b", "bb", "0.05", ""),
    ],
    title="The best second step is not behind the best first one",
)

# %% [markdown]
# ### Exercise: one step of beam search

# %% exercise="beam_step"

# %% [markdown]
# How often does a wider beam find a sentence that the model itself holds to be more probable, and does that make it
# right? Sixty sentences would be no evidence: a share of 50 % then has a standard error of 6 points. Here are 1,000.

# %%
many = draw(6_000, "test")[:1000]
padded = pad_sequences([[*english.encode_tokens(e.english), english.eos] for e in many], english.pad)
references = [french.encode_tokens(e.french) for e in many]
first = greedy(model, padded, **keywords)
table = {}
for width in (1, 2, 4):
    found = first
    if width > 1:
        found = [h[0] for h in beam_search(model, padded, num_beams=width, length_penalty=0.0, **keywords)]
    more = np.mean([f.log_probability > g.log_probability + 1e-3 for f, g in zip(found, first)])
    exact = np.mean([f.ids == reference for f, reference in zip(found, references)])
    table[width] = (more, np.mean([f.log_probability for f in found]), exact)
    error = (exact * (1 - exact) / len(many)) ** 0.5
    print(f"beam {width}: more probable than greedy in {more:4.0%}   mean log P {table[width][1]:6.3f}   ", end="")
    print(f"exactly right {exact:5.1%}, standard error {error:.1%}")

# %% tags=["assert"]
assert len(many) == 1000
assert table[1][1] < table[2][1] <= table[4][1] + 1e-6

# %% [markdown]
# The log-probability rises with every width. Whether more sentences are right is another question. Compare the differences of the
# last column with the standard error: a difference of less than about two of them may be chance.

# %%
sources = [np.array([[*english.encode_tokens(e.english), english.eos]]) for e in tests]
greedy_found = [greedy(model, s, **keywords)[0] for s in sources]

# %% [markdown]
# Here are the first seven words of one such search as a tree, with the log-probability of the whole beginning behind
# the last word of a branch. What got no slot is pale.

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
# **Length.** Every further word multiplies by something below one, so long sentences are improbable, and a search that
# compares log-probabilities of different lengths prefers short ones. A hypothesis that has
# written `<eos>` is finished; it is put aside and ranked at the end, by $\log P / T^\alpha$ with the *length penalty* $\alpha$. Since $\log P$ is
# negative, dividing it by more makes it larger. **Predict before you run.** In which direction do the lengths move with
# $\alpha$?

# %%
predict("length penalty", "")

# %%
lengths = []
for alpha in (-2.0, 0.0, 1.0, 4.0):
    found = [beam_search(model, s, num_beams=8, length_penalty=alpha, **keywords)[0][0] for s in sources[:30]]
    lengths.append(np.mean([f.length for f in found]))
    print(f"length penalty {alpha:4.1f}: {lengths[-1]:.2f} words a sentence, <eos> counted")

# %% tags=["assert"]
assert lengths[0] <= lengths[1] <= lengths[-1]

# %% [markdown]
# ### Find the bug: how long is an answer?
#
# In a decoder-only model the prompt and the answer are one sequence. Somebody ranks finished answers by this function.
# Below are the candidates of thirty beam searches of width 8, as if each stood behind a prompt; the *same* candidates
# every time. Only the prompt's length changes.
#
# **Predict before you run.** How should the mean length of the chosen answers depend on the prompt's length?

# %%
predict("the prompt's length", "")

# %%
broken, right = versions("length_score")
candidates = [
    beam_search(model, s, num_beams=8, length_penalty=1.0, num_return_sequences=8, **keywords)[0] for s in sources[:30]
]
figure, ax = plt.subplots(figsize=(6.5, 3.0), layout="constrained")
prompts, chosen = np.arange(0, 101, 5), {}
for name, score, colour in (("this code", broken, "vermillion"), ("right", right, "black")):
    chosen[name] = [
        np.mean(
            [
                c[
                    score(
                        np.array([h.log_probability for h in c]), n + np.array([h.length for h in c]), n, 3.0
                    ).argmax()
                ].length
                for c in candidates
            ]
        )
        for n in prompts.tolist()
    ]
    ax.plot(prompts, chosen[name], color=OKABE_ITO[colour], label=name)
ax.set(xlabel="words of the prompt", ylabel="words of the chosen answer", title="The same candidates, length penalty 3")
legend = ax.legend(frameon=False)

# %% tags=["assert"]
assert len(set(chosen["right"])) == 1
assert chosen["this code"][0] == chosen["right"][0]
assert chosen["this code"][-1] < chosen["right"][-1]

# %% exercise="length_score"

# %% [markdown]
# **What tells them apart?** With the prompt of length 0, as every encoder-decoder has it, nothing: that is why tests on
# translators passed. A test with two prompts does: **the score of an answer must not depend on how long the question
# was.** The generation of Hugging Face's transformers counted the prompt (transformers #26624, mended in its PR
# #27351), and so did vLLM's beam search (vllm #2606).
#
# ## 3 · Sampling
#
# To *draw* the next word is right where many answers are good: stories, dialogue. Three knobs, applied in this order:
#
# $$ p \propto \exp(\mathrm{logits} / \tau), \qquad \text{top-}k: \text{ the } k \text{ most probable}, \qquad
#    \text{top-}p: \text{ the fewest that reach } p . $$
#
# **By hand.** p = (0.5, 0.3, 0.2) and top-p = 0.6. The first word alone has 0.5, not enough; with the second it is 0.8,
# so two words stay: p = (0.625, 0.375, 0).
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
# **Predict before you run.** Temperature towards 0: which method that you know is it? And at $\tau = 3$, will the
# sentences still be French?

# %%
predict("temperature", "")

# %%
for temperature in (0.1, 1.0, 3.0):
    for drawn in sample(model, source, seed=1, temperature=temperature, num_return_sequences=2, **keywords)[0]:
        print(f"temperature {temperature}: {french.decode(drawn.ids)}")

# %% [markdown]
# ## 4 · Minimum Bayes risk
#
# The most probable sentence can be an outlier: one sentence has 10 %, while nine others, which hardly differ from one
# another, have 9 % each. **Minimum Bayes risk** chooses another way. Each candidate may be the truth, with its
# probability. Take the sentence whose utility is best on average over these truths:
#
# $$ y^* = \arg\max_{h} \sum_{y} P(y \mid x)\; \mathrm{utility}(h, y) \;\approx\; \arg\max_h \frac{1}{n} \sum_{i=1}^{n}
#    \mathrm{utility}(h, y_i), \quad y_i \sim P(\cdot \mid x) . $$
#
# Its negative is the risk. Mind what is being chosen: h runs over **whole sentences**, here samples of the model. (Some
# notes describe it as a way of choosing the next *word*; it cannot be, since the utility compares complete
# translations.)
#
# **By hand.** Three candidates with p = (0.4, 0.3, 0.3). The second and third are alike: the utility of one where the
# other is the truth is 0.9; with the first both have 0.1; with itself each has 1. Expected utilities: 0.4 + 0.06 = 0.46
# for the first, 0.04 + 0.3 + 0.27 = 0.61 for the second. The most probable one loses.
#
# ### Exercise: minimum Bayes risk

# %% exercise="minimum_risk"

# %%
show_source(expected_utilities)

# %% [markdown]
# **Predict before you run.** Below are samples of one sentence, each with how often it was drawn and its expected
# utility (chrF, the overlap of letters). Must the most frequent one win?

# %%
predict("minimum risk", "")

# %%
drawn = sample(model, sources[i], seed=5, num_return_sequences=40, **keywords)[0]
texts = [french.decode(d.ids) for d in drawn]
utilities = expected_utilities(texts, chrf)
for text in sorted(utilities, key=utilities.get, reverse=True)[:6]:
    print(f"{utilities[text]:6.1f}  {texts.count(text):3d} times  {text}")
often = max(set(texts), key=lambda text: (texts.count(text), text))
print(f"...\nmost often drawn: {often} ({texts.count(often)} times, utility {utilities[often]:.1f})")
print("chosen:", minimum_bayes_risk(texts, chrf))
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
quality = {name: np.mean([chrf(a, t) for a, t in zip(answers, truth)]) for name, answers in ways.items()}
for name, value in quality.items():
    print(f"{name:20s} chrF {value:5.1f}")

# %% tags=["assert"]
assert quality["one sample"] + 3 < quality["minimum Bayes risk"]

# %% [markdown]
# Minimum Bayes risk is much better than a single sample, though it chooses among samples. Compare it with the beam, and
# mind that thirty sentences are few. This task has exactly *one* right translation, which favours the search for the
# most probable one.
#
# ## 5 · A risk has a gradient
#
# If a model is judged by a risk, why not train on it? With candidates $y_1 \dots y_N$ and
# $p = \mathrm{softmax}(\mathrm{logits})$ over them, and the risk $r_i$ of candidate i (such as 1 minus its utility), the expected risk is
#
# $$ R = \sum_i p_i\, r_i . $$
#
# **By hand.** Two candidates, p = (0.5, 0.5), risks (1, 0), so R = 0.5. Raise the first logit by a little h: $p_1$
# rises by $p_1 (1 - p_1) h = h / 4$, $p_2$ falls as much, and R rises by h / 4. The second logit: the same with a
# minus.
#
# **The derivation's first line.** $\partial R / \partial p_i = r_i$; then softmax's backward.
#
# ### Exercise: the gradient of a risk

# %% exercise="expected_risk_backward"

# %% [markdown]
# <details><summary>The closed formula</summary>
#
# $\partial R / \partial\, \mathrm{logits}_i = p_i\,(r_i - R)$.
#
# </details>
#
# A candidate that is riskier than the average becomes less probable, one that is less risky more (Shen et al. 2016,
# *Minimum Risk Training*). With samples in place of all candidates it is the policy gradient, with which chat models
# are trained on people's preferences.
#
# Does stepping against it work? Five candidates, all equally probable at first:

# %%
risk, logits = np.array([0.9, 0.4, 0.5, 0.1, 0.6]), np.zeros(5)
for step in range(61):
    p = np.exp(logits) / np.exp(logits).sum()
    expected = p @ risk
    if step % 20 == 0:
        print(f"step {step:2d}: risk {expected:.3f}   p = {np.round(p, 2)}")
    logits = logits - 1.0 * p * (risk - expected)

# %%
predictions(
    {
        "the second word": "Yes: b a has 0.36, a a only 0.20.",
        "length penalty": "The larger it is, the longer the sentences.",
        "the prompt's length": "Not at all. With the bug the answers get shorter.",
        "temperature": "Greedy. At 3 it is no French any more.",
        "minimum risk": "No: the one with the best expected utility wins, and it may be drawn less often than others.",
    }
)

# %% [markdown]
# ## Summary
#
# - Greedy takes the best next word; a beam keeps K beginnings and finds more probable sentences. More probable is not
#   the same as right.
# - Scores of different lengths are compared by a length penalty; the length is that of the answer alone.
# - Temperature, top-k and top-p shape the distribution that one draws from.
# - Minimum Bayes risk chooses among whole sentences, and a risk can be trained on.
#
# ## On your own
#
# 1. Let the beam grow to 32 and 128. The log-probabilities can only grow; does the share of exactly right translations?
#    (In large models it falls: the *beam search curse*.)
# 2. Use `exact_match` as the utility of minimum Bayes risk. Which well-known rule does it become?
# 3. Write a sentence whose greedy translation never ends. Which word does it repeat, and which of the knobs helps?

# %% tags=["assert"]
from minitransformer.course.exercises import find  # the numbers worked by hand

log_p = np.log([[0.4, 0.3, 0.3], [0.9, 0.05, 0.05]])
parents, chosen_words, totals = find("beam_step").solution(np.log([0.5, 0.4]), log_p)
assert (parents.tolist(), chosen_words.tolist(), np.exp(totals).round(2).tolist()) == ([1, 0], [0, 0], [0.36, 0.2])
assert np.allclose(find("nucleus").solution(np.log([0.5, 0.3, 0.2]), 1.0, 0.6), [0.625, 0.375, 0])
alike = np.array([[1, 0.1, 0.1], [0.1, 1, 0.9], [0.1, 0.9, 1]])
assert np.allclose(alike @ [0.4, 0.3, 0.3], [0.46, 0.61, 0.61])
assert np.allclose(find("expected_risk_backward").solution(np.zeros((1, 2)), np.array([[1.0, 0.0]])), [[0.25, -0.25]])

# %% [markdown] tags=["teacher"]
# **Answers.** 1. The mean log P rises a little; the share that is right stays the same within its error, or falls. 2.
# The most frequent sample wins: a vote, the mode of the samples. 3. It depends on the seed; early in training many
# sentences repeat a noun or an article. Sampling at temperature 1 ends the loop sooner or later; a length penalty does
# not, since it only ranks what has ended; `max_new_tokens` cuts.
