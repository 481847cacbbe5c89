"""Greedy decoding: the most probable token each time, until the end, whatever else is in the batch."""

import numpy as np
import pytest

from minitransformer.decoding import greedy
from minitransformer.layers import Glorot
from minitransformer.models import MinimalConfig, MinimalTransformer, PreNormTransformer, TransformerConfig

BOS, EOS = 1, 2


def random_model(seed, pre_norm=False):
    rng = np.random.default_rng(seed)
    if pre_norm:
        config = TransformerConfig(11, 7, d_model=6, n_heads=3, d_ff=5, n_encoder_blocks=1, n_decoder_blocks=1)
        model = PreNormTransformer(config, Glorot(rng, np.float64))
    else:
        model = MinimalTransformer(MinimalConfig(11, 7, 6, 3), Glorot(rng, np.float64))
    for parameter in model.parameters():
        parameter.value += 0.5 * rng.standard_normal(parameter.shape)
    return model, rng


def by_definition(model, source, start, most):
    """One sentence at a time, the whole prefix through the whole model for every token."""
    prefix = [start]
    while len(prefix) <= most:
        token = int(model(source[None], np.array([prefix]))[0, -1].argmax())
        if token == EOS:
            break
        prefix.append(token)
    return prefix[1:]


@pytest.mark.parametrize("start", [BOS, EOS])
@pytest.mark.parametrize("pre_norm", [False, True])
def test_a_batch_gives_what_each_sentence_gives_alone(start, pre_norm):
    lengths = set()
    for seed in range(20):
        model, rng = random_model(seed, pre_norm)
        source = rng.integers(3, 11, (5, 7))
        source[1, 4:] = source[3, 2:] = 0
        got = [h.ids for h in greedy(model, source, start=start, eos=EOS, max_new_tokens=9)]
        alone = [by_definition(model, row[row != 0], start, 9) for row in source]
        assert got == alone
        lengths |= {len(ids) for ids in got}
    assert len(lengths) > 3  # some ended by themselves, and at different times


def test_at_most_max_new_tokens():
    model, rng = random_model(0)
    source = rng.integers(3, 11, (4, 5))
    found = greedy(model, source, start=BOS, eos=-1, max_new_tokens=3)
    assert [len(h.ids) for h in found] == [3] * 4
    assert not any(h.finished for h in found)
    limits = np.array([2, 1, 3, 1])
    assert [h.ids for h in greedy(model, source, start=BOS, eos=-1, max_new_tokens=limits)] == [
        h.ids[:limit] for h, limit in zip(found, limits)
    ]
    with pytest.raises(ValueError, match="max_new_tokens=0"):
        greedy(model, source, start=BOS, eos=EOS, max_new_tokens=0)
    with pytest.raises(ValueError, match="one for each of 4 sentences"):
        greedy(model, source, start=BOS, eos=EOS, max_new_tokens=np.array([2, 3]))


@pytest.mark.parametrize("start", [BOS, EOS])
def test_the_score_is_the_log_probability_of_the_tokens_and_of_the_end(start):
    endings = set()
    for seed in range(10):
        model, rng = random_model(seed)
        source = rng.integers(3, 11, (3, 5))
        for row, h in zip(source, greedy(model, source, start=start, eos=EOS, max_new_tokens=4)):
            tokens = [*h.ids, EOS] if h.finished else h.ids
            logits = model(row[None], np.array([[start, *tokens[:-1]]]))[0]
            wanted = sum(z[token] - np.log(np.exp(z).sum()) for z, token in zip(logits, tokens))
            assert h.log_probability == pytest.approx(wanted, rel=1e-12)
            assert h.score == h.log_probability
            assert h.length == len(tokens)
            endings.add(h.finished)
    assert endings == {True, False}
