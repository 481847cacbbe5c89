"""What the steps of decoding, greedy decoding and the translator must do, by definition."""

from __future__ import annotations

import importlib
import math

import numpy as np

from minitransformer.data import EOS, UNK, CharacterVocabulary
from minitransformer.decoding import Translator
from minitransformer.layers import Array, DecodingState, Layer
from minitransformer.models import MinimalConfig, MinimalTransformer, PreNormTransformer, Transformer, TransformerConfig

from .registry import _equal, _float64, holds

greedy = importlib.import_module("minitransformer.decoding.greedy")  # the module: the package has its function


class Copyist(Layer):
    """A model that copies its source, if it is asked as a decoder must be: anything else gets `unk` for an answer.

    It predicts source token t after `start` and the source's first t tokens, and `eos` after all of them.
    """

    pad, start = 0, 9

    def start_decoding(self, source: Array, start: int) -> tuple[DecodingState, Array]:
        return DecodingState(source=source), np.full((len(source), 1), start)

    def next_logits(self, ids: Array, state: DecodingState) -> Array:
        read = state["read"] = np.concatenate([state.get("read", ids[:, :0]), ids], axis=1)
        logits = np.zeros((*ids.shape, 10))
        for b, row in enumerate(state["source"]):
            source = [int(i) for i in row if i not in (self.pad, EOS)]
            t = read.shape[1] - 1
            asked = read[b].tolist() == [self.start, *source[:t]]
            logits[b, -1, [*source, EOS][t] if asked and t <= len(source) else UNK] = 1.0
        return logits


@holds("decoding with a state gives the logits of the whole, from the first ids to the last, for the rows that go on")
def a_step_is_the_whole() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.integers(1, 13, (4, 7)), rng.integers(1, 11, (4, 9))
    source[1, 4:] = 0
    rows = np.array([3, 1, 1])
    for model in (
        MinimalTransformer(MinimalConfig(13, 11, 6, 2, 2, 2), _float64()),
        Transformer(TransformerConfig(13, 11, 6, 2, 10, 2, 2), _float64()),
        PreNormTransformer(TransformerConfig(13, 11, 6, 2, 10, 2, 2), _float64()),
    ):
        for parameter in model.parameters():  # biases begin at 0 and gains at 1, where nobody would miss them
            parameter.value += 0.3 * rng.standard_normal(parameter.shape)
        logits = model(source, target)
        state, first = model.start_decoding(source, 8)
        assert first.tolist() == [[8]] * 4, f"decoding begins with {first.tolist()}"
        _equal(model.next_logits(target[:, :3], state), logits[:, :3], "logits of the first three ids")
        _equal(model.next_logits(target[:, 3:4], state), logits[:, 3:4], "logits of the fourth")
        chosen = state.select(rows)
        _equal(model.next_logits(target[rows, 4:6], chosen), logits[rows, 4:6], "logits of chosen rows")
        _equal(model.next_logits(target[:, 4:], state), logits[:, 4:], "logits of all rows, of which some were chosen")
        for t in range(6, 9):
            _equal(model.next_logits(target[rows, t : t + 1], chosen), logits[rows, t : t + 1], f"logits of id {t}")


@holds("greedy decoding takes the most probable next token until the end of each sentence")
def greedy_copies() -> None:
    sentences = [[4, 5, 6], [7], [8, 4, 4, 5, 7], [5, 6]]
    source = np.array([row + [0] * (5 - len(row)) for row in sentences])
    found = greedy.greedy(Copyist(), source, start=Copyist.start, eos=EOS, max_new_tokens=9)
    got = [h.ids for h in found]
    assert got == sentences, f"decoded {got}, wanted {sentences}"
    assert all(h.finished for h in found), "a sentence that ended counts as cut"
    each = 1.0 - math.log(math.e + 9.0)  # of ten logits one is 1 and the others are 0, at each token and at eos
    _equal([h.log_probability for h in found], [each * (len(row) + 1) for row in sentences], "log-probability")
    limits = np.array([2, 2, 4, 1])
    found = greedy.greedy(Copyist(), source, start=Copyist.start, eos=EOS, max_new_tokens=limits)
    got = [h.ids for h in found]
    assert got == [row[:n] for row, n in zip(sentences, limits)], f"at most {limits} tokens: decoded {got}"
    assert [h.finished for h in found] == [False, True, False, False], "who ended is wrong"


@holds("translations come back one for each text, in order, and whole")
def translations_keep_their_order() -> None:
    vocabulary = CharacterVocabulary("abcde")  # ids 4 to 8
    translator = Translator("copyist", Copyist(), vocabulary, vocabulary, start=Copyist.start)  # type: ignore[arg-type]
    texts = ["edcab", "a", "", "bb", "cde", "d"]
    got = translator.translate(texts, batch_size=2)
    assert got == texts, f"copies of {texts} are {got}"
