"""The list of bugs in batches, splits and vocabularies."""

from __future__ import annotations

from minitransformer.data import FreshBatches, PairBatches, Vocabulary, batches, pairs

from .injection import bug

# fmt: off

FORCING = "the decoder reads the start and the target, and predicts the target and eos"
EPOCHS = "every pair comes exactly once an epoch, whole, and in another order each epoch"
FRESH = "fresh batches differ from step to step, and a step's is the same whenever it is asked for"
SPLITS = "no source sentence stands in two parts of a split, and no pair is lost"
TEXT = "ids become the text that they were, every letter of it, up to the end of the sentence"

bug("decoder's input not shifted", batches, "sequence_to_sequence_batch",
    "target_in[:, 0] = start\ntarget_in[:, 1:] = ids", "target_in[...] = targets", FORCING)
bug("decoder's input shifted twice", batches, "sequence_to_sequence_batch",
    "target_in[:, 1:] = ids", "target_in[:, 1] = start\ntarget_in[:, 2:] = ids[:, :-1]", FORCING)
bug("decoder starts with eos, whatever was asked", batches, "sequence_to_sequence_batch",
    "target_in[:, 0] = start", "target_in[:, 0] = eos", FORCING)
bug("no eos", batches, "_closed", "closed[np.arange(B), lengths] = eos", "pass", FORCING)
bug("eos behind the padding", batches, "_closed", "closed[np.arange(B), lengths] = eos", "closed[:, -1] = eos", FORCING)
bug("padding on the left", batches, "_filled",
    "np.arange(T) < lengths[:, None]", "np.arange(T) >= T - lengths[:, None]", FORCING)
bug("source and target exchanged", batches, "sequence_to_sequence_batch",
    "Batch((source, target_in), targets, pad)", "Batch((target_in, source), targets, pad)", FORCING)
bug("the last batch of an epoch dropped", batches, "_cut",
    "range(0, len(order), size)", "range(0, len(order) - size + 1, size)", EPOCHS)
bug("a pair lost between two batches", batches, "_cut",
    "order[i : i + size]", "order[i : i + size - 1]", EPOCHS)
bug("a target from the pair before", PairBatches, "batch",
    "self.pairs[i] for i", "(self.pairs[i][0], self.pairs[i - 1][1]) for i", EPOCHS)
bug("every epoch in the same order", PairBatches, "_batches", "[self.seed, epoch]", "[self.seed, 0]", EPOCHS)
bug("every seed the same order", PairBatches, "_batches", "[self.seed, epoch]", "[0, epoch]", EPOCHS)
bug("the first epoch's batches for ever", PairBatches, "_batches", "if known != epoch:", "if known < 0:", EPOCHS)
bug("the same fresh examples again and again", FreshBatches, "_batches", "[self.seed, window]", "[self.seed, 0]", FRESH)
bug("every seed the same examples", FreshBatches, "_batches", "[self.seed, window]", "[0, window]", FRESH)
bug("the first examples kept for ever", FreshBatches, "_batches", "if known != window:", "if known < 0:", FRESH)
bug("split by pair, not by source", pairs, "split_by_source",
    "groups.setdefault(\" \".join(source.casefold().split()), [])",
    "groups.setdefault(source + \"\\t\" + target, [])", SPLITS)
bug("split by the letters, capital or not", pairs, "split_by_source",
    "source.casefold().split()", "source.split()", SPLITS)
bug("pairs of one source lost but the first", pairs, "split_by_source",
    "part += group", "part += group[:1]", SPLITS)
bug("a source taken twice", pairs, "split_by_source",
    "start += 1", "start += 0 if len(part) == 8 else 1", SPLITS)
bug("text stripped of '<s>', and so of every s", Vocabulary, "decode",
    "self.join(pieces)", "self.join(pieces).strip(\"<s>\")", TEXT)
bug("text stripped of its spaces", Vocabulary, "decode", "self.join(pieces)", "self.join(pieces).strip()", TEXT)
bug("text goes on behind eos", Vocabulary, "decode", "break", "continue", TEXT)
bug("bos in the text", Vocabulary, "decode", "(PAD, BOS)", "(PAD,)", TEXT)
bug("unknown pieces become padding", Vocabulary, "encode_tokens", "UNK", "PAD", TEXT)
