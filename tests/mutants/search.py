"""The list of bugs in beam search, sampling, Bayes risk and utilities."""

from __future__ import annotations

from minitransformer.decoding import MinimumBayesRisk, bayes_risk, beam, metrics, sampling

from .injection import bug

# fmt: off

BEAM = "beam search is its definition, sentence by sentence, at every width"
EXHAUSTIVE = "a beam as wide as the tree is exhaustive search"
TIES = "equal hypotheses are ranked by parent and token id, on every run"
DISTRIBUTION = "the distribution that is drawn from is by hand"
SAMPLES = "samples are drawn number by number from each sentence's own generator"
RISK = "minimum Bayes risk is the mean utility over all candidates, by hand"
METRICS = "chrF and BLEU of a sentence are by hand"

bug("what has ended is dropped from the beam", beam, "beam_search",
    "np.flatnonzero(kept & ~going_on)", "np.flatnonzero(kept & ~going_on & ~ended)", BEAM)
bug("what has ended gives its slot away", beam, "beam_search",
    "slots -= np.bincount(of[ended], minlength=len(slots))", "pass", BEAM)
bug("what has ended takes a slot of every sentence", beam, "beam_search",
    "slots -= np.bincount(of[ended], minlength=len(slots))", "slots -= ended.sum()", BEAM)
bug("what has ended goes on", beam, "beam_search",
    "going_on = kept & ~ended & (limits[of] > t)", "going_on = kept & (limits[of] > t)", EXHAUSTIVE)
bug("the length penalty's sign wrong", beam, "beam_search", "/ t**exponent", "* t**exponent", BEAM)
bug("the length penalty forgotten", beam, "beam_search", "/ t**exponent", "/ 1.0", BEAM)
bug("the start counted in the length", beam, "beam_search", "/ t**exponent", "/ (t + 1) ** exponent", EXHAUSTIVE)
bug("eos not counted in the length", beam, "beam_search",
    "/ t**exponent", "/ max(len(new), 1) ** exponent", EXHAUSTIVE)
bug("ranked by log-probability, whatever the penalty", beam, "beam_search",
    "-h.score", "-h.log_probability", EXHAUSTIVE)
bug("the worst score first", beam, "beam_search", "-h.score", "h.score", EXHAUSTIVE)
bug("log-probabilities of last tokens, not of sequences", beam, "beam_search", "so_far[row] + ", "", BEAM)
bug("logits added up, not log-probabilities", beam, "beam_search",
    "log_probability_of(logits, token, row)", "logits[row, token]", EXHAUSTIVE)
bug("normalizer of another row", beam, "log_probability_of", "np.log(total)[rows]", "np.log(total)[0]", BEAM)
bug("log-probability of another parent", beam, "beam_search", "so_far[row] + ", "so_far[row[::-1]] + ", BEAM)
bug("states not reordered as the beam is", beam, "beam_search",
    "state = state.select(row)", "state = state.select(np.sort(row))", BEAM)
bug("prefixes not reordered as the beam is", beam, "beam_search",
    "[tokens[row], ids]", "[tokens[np.sort(row)], ids]", BEAM)
bug("the least probable go on", beam, "beam_search", "np.lexsort((-total,", "np.lexsort((total,", BEAM)
bug("sentences compete with each other", beam, "beam_search",
    "np.arange(len(of)) - np.searchsorted(of, of)", "np.argsort(np.argsort(-total))", BEAM)
bug("hypotheses do not compete, each goes on with its best", beam, "beam_search",
    "_best_of_each_row(logits, num_beams)", "_best_of_each_row(logits, 1)", BEAM)
bug("one limit for all sentences of a beam search", beam, "beam_search",
    "limits[of] > t", "limits.max() > t", EXHAUSTIVE)
bug("a hypothesis that was cut is lost", beam, "beam_search",
    "np.flatnonzero(kept & ~going_on)", "np.flatnonzero(ended)", EXHAUSTIVE)
bug("fewer ways weighed than there are slots", beam, "_best_of_each_row",
    "k = min(k, V)", "k = min(k, V - 1)", EXHAUSTIVE)
bug("equal tokens from the largest id", beam, "_best_of_each_row",
    "np.lexsort((-logits[row, token], row))", "np.lexsort((-token, -logits[row, token], row))", TIES)
bug("equal hypotheses from the last parent", beam, "beam_search",
    "np.lexsort((-total, sentence[row]))", "np.lexsort((-row, -total, sentence[row]))", TIES)
bug("log-probability without the normalizer", beam, "log_probability_of", " - np.log(total)[rows]", "", EXHAUSTIVE)

bug("logits multiplied by the temperature", sampling, "next_word_distribution",
    "/ temperature", "* temperature", DISTRIBUTION)
bug("one more than the k most probable", sampling, "next_word_distribution", "top_k:]", "top_k + 1 :]", DISTRIBUTION)
bug("the token that crosses top_p cut off", sampling, "next_word_distribution",
    "(before >= top_p)", "(before + ranked > top_p)", DISTRIBUTION)
bug("what top_p leaves does not sum to one", sampling, "next_word_distribution",
    "> 0)] = 0.0\nranked /= ranked.sum(axis=-1, keepdims=True)", "> 0)] = 0.0", DISTRIBUTION)
bug("the least probable tokens kept", sampling, "next_word_distribution",
    "np.argsort(-p,", "np.argsort(p,", DISTRIBUTION)
bug("a token of probability 0 drawn", sampling, "at", "running > np", "running >= np", DISTRIBUTION)
bug("scores of the tempered distribution, not the model's", sampling, "sample",
    "log_probability_of(logits, chosen)", "log_probability_of(logits / temperature, chosen)", SAMPLES)
bug("all sentences draw the same numbers", sampling, "sample", "rngs[b].random(N)", "rngs[0].random(N)", SAMPLES)
bug("all samples of a sentence are the same", sampling, "sample", "rngs[b].random(N)", "rngs[b].random(1)", SAMPLES)
bug("every sentence has the same seed", sampling, "sentence_seeds", "[seed, i]", "[seed, 0]", SAMPLES)
bug("numbers of other samples after some have ended", sampling, "sample",
    "u.reshape(-1)[unfinished]", "u.reshape(-1)[: len(unfinished)]", SAMPLES)
bug("states of other samples after some have ended", sampling, "sample",
    "state = state.select(going_on)", "state = state.select(np.arange(going_on.sum()))", SAMPLES)
bug("samples given to the wrong sentences", sampling, "sample",
    "np.repeat(np.arange(B), N)", "np.tile(np.arange(B), N)", SAMPLES)
bug("log-probability of a sample's last token alone", sampling, "sample",
    "log_probability[unfinished] +=", "log_probability[unfinished] =", SAMPLES)
bug("one limit for all samples", sampling, "sample", "limits[unfinished] > t", "limits.max() > t", SAMPLES)

bug("a candidate that was drawn twice counts once", bayes_risk, "expected_utilities",
    "count * utility", "utility", RISK)
bug("candidate and truth exchanged", bayes_risk, "expected_utilities",
    "utility(candidate, truth)", "utility(truth, candidate)", RISK)
bug("the greatest risk in place of the least", bayes_risk, "minimum_bayes_risk", "max(expected", "min(expected", RISK)
bug("of equal candidates the last", bayes_risk, "minimum_bayes_risk", "max(expected,", "max(reversed(expected),", RISK)
bug("candidates ranked from the worst", MinimumBayesRisk, "rank", "-expected[text]", "expected[text]", RISK)
bug("a candidate keeps the score of its drawing", MinimumBayesRisk, "rank", ", score=expected[text]", "", RISK)
bug("precision weighed for recall", metrics, "chrf",
    "BETA**2 * precision + recall", "precision + BETA**2 * recall", METRICS)
bug("a length that one text has not counts as a miss", metrics, "chrf",
    "if ours and theirs:", "if ours or theirs:", METRICS)
bug("spaces are letters too", metrics, "_character_ngrams", '"".join(text.split())', "text", METRICS)
bug("matches beyond those that the truth has", metrics, "_matches", "min(count, theirs[ngram])", "count", METRICS)
bug("the long text pays, not the short", metrics, "sentence_bleu", "min(0.0, 1.0 -", "max(0.0, 1.0 -", METRICS)
bug("every length without a match is half a match", metrics, "sentence_bleu",
    "smoothed *= 2.0", "smoothed = 2.0", METRICS)
bug("arithmetic, not geometric mean of precisions", metrics, "sentence_bleu",
    "math.exp(brevity + sum(logs) / len(logs))",
    "math.exp(brevity) * sum(map(math.exp, logs)) / len(logs)", METRICS)
bug("punctuation left on its word", metrics, "_words",
    "for pattern, apart in _APART", "for pattern, apart in ()", METRICS)
