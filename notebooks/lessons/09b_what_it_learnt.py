# %% [markdown]
# # 09b · What the model learnt: the word *it* finds the car
#
# **Goal.** Find out whether a model that is right is right for the right reason: look inside it, and then *change* what
# is there.
#
# > I got my **car** straight from the showroom, **it** was new. → *..., **elle** était neuve.*
#
# - **What you'll do:** Exchange nouns under a model's eyes, ask with a backward what a choice depends on, find the head
#   in which *it* looks at *car*, take that one weight away, and give it back.
# - **What you'll learn:** How a right answer may have a wrong reason; what an attention map is evidence for, and what
#   it is not; what an intervention adds.
# - **What you'll need:** Lesson 09.
# - **On your own:** Three open questions at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

from minitransformer.course import check, hint, predict, predictions, show_solution, show_source
from minitransformer.data import EnglishFrench, LanguageVocabulary, PairBatches
from minitransformer.decoding import Translator
from minitransformer.experiments.coreference import (
    SHOWROOM,
    exchange_nouns,
    forced_scores,
    id_pairs,
    like_the_showroom,
    measure_heads,
    stored_pronoun_translator,
    teacher_forced,
)
from minitransformer.interventions import TakeWeight, intervene
from minitransformer.layers import CrossEntropy
from minitransformer.models import PreNormTransformer, TransformerConfig
from minitransformer.plotting import OKABE_ITO, antecedent_figure
from minitransformer.training import Adam, ProgressBar, Trainer, WarmupCosine

# %% [markdown]
# ## 1 · A right answer for a wrong reason
#
# The model of lesson 09 learnt the pronouns of all held-out sentences. Has it found the noun that *it* stands for? Here
# it is again. We intervene: exchange **one** noun of a test sentence for one of the other gender, leave all else, and
# see whether the pronoun follows.
#
# **Predict before you run.** How often must the pronoun change when the noun is exchanged that *it* stands for? And how
# often when it is the other noun?

# %%
predict("two nouns", "")

# %%
grammar, rng = EnglishFrench(), np.random.default_rng(0)


def draw(n, split):
    both = grammar.sample_hard(rng, n, split), grammar.sample_easy(rng, n, split)
    return [[e for e in half if e.template.startswith(("bought from", "goods at"))] for half in both]


examples = [e for half in draw(30_000, "train") for e in half]
hard = draw(2_000, "test")[0][:200]
english = LanguageVocabulary(grammar.source_tokens, "english")
french = LanguageVocabulary(grammar.target_tokens, "french")
config = TransformerConfig(
    len(english), len(french), d_model=64, n_heads=4, d_ff=128, n_encoder_blocks=1, n_decoder_blocks=1, dropout=0.0
)
first = Translator("pre-norm", PreNormTransformer(config, np.random.default_rng(0)), english, french, start=french.bos)
batches = PairBatches(id_pairs(first, examples), 32, seed=0, start=french.bos, eos=french.eos)
trainer = Trainer(first.model, Adam(0.9, 0.98), WarmupCosine(3e-3, steps=400, warmup=50), CrossEntropy(), seed=0)
history = trainer.fit(batches, 400, [ProgressBar()])

changed = exchange_nouns(first, grammar, hard, np.random.default_rng(1))
print(f"pronouns right                                {forced_scores(first, hard)[1]:7.1%}")
print(f"the pronoun follows the noun it stands for    {changed.antecedent:7.1%}")
print(f"the pronoun follows the other noun            {changed.distractor:7.1%}")

# %% tags=["assert"]
assert forced_scores(first, hard)[1] > 0.98
assert changed.distractor > 0.3

# %% [markdown]
# All pronouns were right, and yet the pronoun often follows the *wrong* noun. Before you read on: how can both be true?
#
# In all of these training sentences the two nouns differ in gender. So *the gender that the other noun does not have*
# is always the right answer, and a model may learn that rule instead. No test made like the training data can tell; the
# intervention does. The remedy is in the data: sentences whose nouns have the *same* gender, in which the short cut
# fails.
#
# ## 2 · The model of this lesson
#
# It is trained on all constructions with such a pronoun, a third of them with two nouns of one gender. Its encoder has
# two blocks of **one** head: in block 0 *it* can read the adjective, and in block 1, knowing what is said, find the
# noun of which that may be said. (In a single block the query of *it* knows nothing but the word *it* and its place.)
#
# The model is stored with the package: another processor adds in another order, the rounding differs, and after 1,200 steps of
# training it would be another model.

# %%
translator = stored_pronoun_translator()  # pronoun_translator(seed=1) trains one in half a minute
hard = like_the_showroom(grammar, np.random.default_rng(1), 200, "test")
changed = exchange_nouns(translator, grammar, hard, np.random.default_rng(1))
print(hard[0].english_text, "->", hard[0].french_text)
print(f"pronouns right in {len(hard)} such held-out sentences      {forced_scores(translator, hard)[1]:7.1%}")
print(f"the pronoun follows the noun it stands for    {changed.antecedent:7.1%}")
print(f"the pronoun follows the other noun            {changed.distractor:7.1%}")
print(translator.translate([SHOWROOM, SHOWROOM.replace("new", "crowded")]))

# %% tags=["assert"]
assert forced_scores(translator, hard)[1] == 1.0
assert (changed.antecedent, changed.distractor) == (1.0, 0.0)

# %% [markdown]
# **This** is *it* finding its noun: the pronoun turns with the noun that it stands for, and never with the other.
#
# ## 3 · What does the choice depend on?
#
# A backward can ask. Let the output be one number, the logit of *elle* minus the logit of *il*, at the place where the
# decoder must choose. Its gradient with respect to the vector of each source word says how strongly a small change of
# that word would change the choice. All that is needed is where this backward begins.
#
# **By hand.** One sentence, two positions, V = 3. The choice is between the words 2 and 0, at position 1. The output is
# the number logits[0, 1, 2] - logits[0, 1, 0]. So its gradient is 1 at one place, -1 at another, and 0 at the four
# others.
#
# ### Exercise: where the question begins

# %% exercise="choice_gradient"

# %%
BEFORE = ["j'", "ai", "eu", "ma", "voiture", "directement", "du", "salon", ","]  # then comes elle or il
source = np.array([[*english.encode(SHOWROOM), english.eos]])
target = np.array([[french.bos, *french.encode_tokens(BEFORE)]])
words = [*english.labels(source[0][:-1]), "<eos>"]


def decides(translator):
    """The norm of d(logit of elle - logit of il) / d(vector of each source word), as shares."""
    model = translator.model
    logits, cache = model.forward(source, target)
    d_logits = np.zeros_like(logits)
    d_logits[0, -1, french.token_id["elle"]], d_logits[0, -1, french.token_id["il"]] = 1.0, -1.0
    dx = model.encoder.backward(model.backward_decode(d_logits, cache), cache["encoder"])
    norms = np.linalg.norm(dx[0], axis=-1)
    return norms / norms.sum()


shares = decides(translator)
figure, ax = plt.subplots(figsize=(7.0, 2.8), layout="constrained")
ax.bar(range(len(words)), shares, color=[OKABE_ITO["blue"] if w in ("it", "car", "new") else "#bbbbbb" for w in words])
ax.set_xticks(range(len(words)), words, rotation=45, ha="right")
ax.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
title = ax.set_title("What elle or il depends on: share of the gradient", fontsize=10, loc="left")

# %% [markdown]
# The noun and *it* have large shares, but so have other words. A gradient speaks of *small* changes. For a large one, such as another noun, it is a hint; the exchange of nouns above
# is evidence.
#
# ## 4 · Who looks at the car?
#
# **Predict before you run.** Two blocks of one head. Who will look at *car* more than at *showroom*: the word *it*, or
# the adjective?

# %%
predict("who looks", "")

# %%
for kind in ("it", "adjective"):
    for head in measure_heads(translator, hard, kind):
        print(
            f"asked by {kind:10s} {head}: {head.antecedent:.2f} on the right noun, {head.distractor:.2f} on the other; "
            f"more than twice as much in {head.links:.0%} of {len(hard)} sentences"
        )

# %%
head, look = measure_heads(translator, hard, "it")[0], translator.look(SHOWROOM)
it, car, showroom = (look.source.index(word) for word in ("it", "car", "showroom"))
averages = {"antecedent": head.antecedent, "distractor": head.distractor, "sentences": len(hard)}
figure = antecedent_figure(look.source, head.weights(look.cache), it, car, showroom, averages=averages, where=str(head))

# %% tags=["assert"]
assert head.block == 1
assert head.antecedent > 0.9
assert head.weights(look.cache)[it, car] > 0.9

# %% [markdown]
# ***It* looks at the car.** But a map shows where a head looks, not what the model does with what it sees. The word may
# carry the noun's gender to the decoder, or it may be idle. So far we have a correlation.
#
# ## 5 · Take it away, and give it back
#
# Now the experiment: one weight, in one head, asked by one word, is set to 0. All else stays.
#
# **By hand.** One head, two queries, two keys: weights [[0.3, 0.7], [0.9, 0.1]]. The query is 1, the key is 0. What is
# left is [[0.3, 0.7], [0, 0.1]].
#
# ### Exercise: a weight is taken away

# %% exercise="take_away"

# %% [markdown]
# The package has this and more: `intervene` changes a model within a `with` block, and `TakeWeight` says what is changed,
# by the attention's path in the cache. An amount may be given, or another word that gets the weight.

# %%
HERE = "encoder.blocks.1.attention"


def translate(*changes):
    """The showroom's sentence, translated by the model with these changes."""
    with intervene(translator.model, *changes):
        return translator.translate([SHOWROOM])[0]


# %% [markdown]
# **Predict before you run.** What does the model write when *it* no longer sees the car? And when *it* looks at the
# showroom instead?

# %%
predict("without the weight", "")

# %%
written = {
    "as it is": translate(),
    "it -> car taken away": translate(TakeWeight(HERE, it, car)),
    "given back": translate(),
    "moved to the showroom": translate(TakeWeight(HERE, it, car, to=showroom)),
}
for name, text in written.items():
    print(f"{name:24s}{text}")

# %% tags=["assert"]
assert ["elle" in text for text in written.values()] == [True, False, True, False]
assert written["it -> car taken away"].endswith("il était neuf.")

# %% [markdown]
# *Elle* becomes *il*, and *neuve* becomes *neuf*: the adjective agrees with the pronoun that was written. Nothing else
# changes. Given back, *elle* returns.
#
# One sentence is an anecdote. Here are 200 held-out ones, and as a comparison **the same amount of weight taken from
# other places**: the largest weight in the rows of other words, and of *it* itself in block 0. (Where that weight is
# smaller than the amount, all of it is taken.)

# %%
every = np.array([(e.pronoun, len(e.english) - 2, e.antecedent, e.distractor) for e in hard])
its, adjectives, nouns, others = every.T
((_, batch),) = teacher_forced(translator, hard)
_, cache = translator.model.forward(*batch.inputs)
maps = [block["attention"]["weights"][:, 0] for block in cache["encoder"]["blocks"]]  # (sentences, queries, keys) each
n = np.arange(len(hard))
amount = maps[1][n, its, nouns]


def measure(block, query, key, most=1.0, to=None):
    """Pronouns right, and how much weight was taken from each sentence."""
    with intervene(translator.model, TakeWeight(f"encoder.blocks.{block}.attention", query, key, amount=most, to=to)):
        right = forced_scores(translator, hard)[1]
    return right, float(np.minimum(maps[block][n, query, key], most).mean())


def elsewhere(block, query):
    """The same amount from the largest weight of another row."""
    return measure(block, query, maps[block][n, query].argmax(axis=-1), amount)


results = {
    "it → its noun, moved to the other noun": measure(1, its, nouns, to=others),
    "it → its noun, taken away": measure(1, its, nouns),
    "the adjective → its largest": elsewhere(1, adjectives),
    "the noun → its largest": elsewhere(1, nouns),
    "the other noun → its largest": elsewhere(1, others),
    "was → its largest": elsewhere(1, its + 1),
    "the first word → its largest": elsewhere(1, 0 * its),
    "it → its largest, in block 0": elsewhere(0, its),
    "was → its largest, in block 0": elsewhere(0, its + 1),
}
for name, (right, taken) in results.items():
    print(f"{name:42s} taken {taken:.2f}   pronouns right {right:6.1%}")

# %%
figure, ax = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
names = list(results)[::-1]
colours = [OKABE_ITO["vermillion"] if name.startswith("it → its noun") else OKABE_ITO["sky blue"] for name in names]
ax.barh(names, [results[name][0] for name in names], color=colours)
ax.axvline(1.0, color="black", linewidth=1.0, linestyle=":")
ax.set(xlim=(0, 1.05), xlabel=f"right pronouns in {len(hard)} held-out sentences")
ax.xaxis.set_major_formatter(PercentFormatter(1.0))
title = ax.set_title("One weight decides; the largest weights elsewhere do not", fontsize=10, loc="left")

# %% tags=["assert"]
rates = [right for right, _ in results.values()]
assert rates[0] == 0.0
assert 0.30 < rates[1] < 0.36
assert min(rates[2:]) == 1.0

# %% [markdown]
# Without that weight only a third of the pronouns are right, fewer than a coin would get. With the weight on the *other* noun it is wrong in every sentence: the pronoun says what *it* looks at. The
# largest weights of seven other places, two of them about as large (see "taken"), change no pronoun at all when they are taken away. This is more than a map can say: in this model that weight is
# the **cause**.
#
# ## 6 · How often does that happen?
#
# Not always. Here is the same training from ten seeds, `pronoun_translator(seed)`, on one machine: the weight on the right noun (in the
# block where it is largest, a mean over the 200 sentences), the right pronouns, and the right pronouns after the larger
# of the two weights was taken away.

# %%
SEEDS = {  # seed: (asked by it, asked by the adjective, pronouns right, and after taking away)
    0: (0.00, 0.81, 1.000, 1.000),
    1: (0.97, 0.01, 1.000, 0.330),
    2: (0.36, 0.48, 1.000, 0.510),
    3: (0.60, 0.25, 0.865, 0.715),
    4: (0.01, 0.69, 1.000, 0.305),
    5: (0.01, 0.56, 0.940, 0.555),
    6: (0.14, 0.11, 0.990, 0.990),
    7: (0.69, 0.04, 1.000, 0.630),
    8: (0.29, 0.08, 1.000, 1.000),
    9: (0.07, 0.20, 1.000, 1.000),
}
print("seed   asked by it   by the adjective   right   after taking away")
for seed, (by_it, by_adjective, right, after) in SEEDS.items():
    print(f"{seed:4d} {by_it:13.2f} {by_adjective:18.2f} {right:7.1%} {after:19.1%}")

# %% tags=["assert"]
assert [sum(row[i] > 0.5 for row in SEEDS.values()) for i in (0, 1)] == [3, 3]
assert abs(SEEDS[1][0] - head.antecedent) < 0.02
assert abs(SEEDS[1][3] - results["it → its noun, taken away"][0]) < 0.02

# %% [markdown]
# In three of ten it is *it* that looks at its noun (more than half of its weight), in three the adjective, and in four
# neither mainly. And a large weight need not be a needed one: with seed 0 the adjective has 0.81 on the noun, and
# without it no pronoun changes. The decoder has other ways to the noun.
#
# We chose seed 1 *because* it is the cleanest case. What we may say: a Transformer *can* do it in this way, and this
# one does. We may not say that Transformers do.

# %%
predictions(
    {
        "two nouns": "It should be always, and never. It was less than half, and nearly half.",
        "who looks": "In this model the word it, in block 1.",
        "without the weight": "il in place of elle, and neuf in place of neuve; both times.",
    }
)

# %% [markdown]
# ## Summary
#
# - A right answer can have a wrong reason; exchanging one noun tells.
# - A gradient or an attention map says where to look. Taking away and giving back says what is used.
# - A comparison belongs to it: the same taken from other places. And say how often, over seeds.
#
# ## On your own
#
# 1. In `pronoun_translator(seed=0)` the adjective looks, and taking its weight away changes nothing. Where else can the
#    decoder find the gender? Design an intervention that tells.
# 2. `TakeWeight` does not make the row sum to 1 again, unless it is told `renormalize=True`. Compare. Which of the two is
#    the fairer experiment?
# 3. In section 5 the adjective changes with the pronoun. Translate with *il* forced (teacher forcing) but without any
#    change in the encoder: which adjective comes? What decides its ending?

# %% tags=["assert"]
from minitransformer.course.exercises import find  # the numbers worked by hand

by_hand = find("choice_gradient").solution(np.zeros((1, 2, 3)), 2, 0, np.array([1]))
assert by_hand.tolist() == [[[0, 0, 0], [-1, 0, 1]]]
left = find("take_away").solution(np.array([[[[0.3, 0.7], [0.9, 0.1]]]]), 0, np.array([1]), np.array([0]))
assert left.tolist() == [[[[0.3, 0.7], [0.0, 0.1]]]]

# %% [markdown] tags=["teacher"]
# **Answers.** 1. At the noun itself, through its own cross-attention, if block 0 has already told the noun that it is
# the one. Take away cross-attention's weight on the noun as well, or the weights with which the noun reads the
# adjective in block 0. 2. With renormalization the rest of the row, mostly the comma and the word itself, gets scaled
# up by about 30 (1 / 0.03), which adds something that was never there; without it the context is only shorter, and
# LayerNorm of the next sublayer brings it back to length. Both are changes that training never showed: say which was
# made. 3. The decoder reads the pronoun that it has written, so the ending follows the pronoun; that is also why one
# wrong weight in the encoder changes two words.
