"""Interventions: the output is that of a model changed by hand, decoding agrees, backward is right, nothing remains."""

import copy

import numpy as np
import pytest

from minitransformer.interventions import NoHead, Patch, TakeWeight, attention_paths, intervene, recorded
from minitransformer.layers import GroupedQueryAttention, SelfAttention, forward_hooks
from minitransformer.models import GPTConfig, LlamaConfig, MinimalConfig, T5Config, TransformerConfig, build_model
from minitransformer.verify import check_gradients

B, S, T, V, H = 2, 7, 5, 11, 4
SOURCE = np.random.default_rng(1).integers(3, V, (B, S))
TARGET = np.random.default_rng(2).integers(3, V, (B, T))
PAIR = TransformerConfig(V, V, 16, H, 6, n_encoder_blocks=2, n_decoder_blocks=2, dropout=0.0)
CONFIGS = {
    "minimal": MinimalConfig(V, V, 16),
    "pre-norm": PAIR,
    "transformer": PAIR,
    "t5": T5Config(V, 16, 3, H, 6, n_encoder_blocks=2, n_decoder_blocks=2, n_buckets=8, dropout=0.0),
    "gpt": GPTConfig(V, 9, 16, H, n_blocks=2, dropout=0.0),
    "llama": LlamaConfig(V, 9, 16, H, n_kv_heads=2, d_ff=6, n_blocks=2),
}


def model_of(name):
    """A model in float64 with weights large enough that attention is far from even."""
    model = build_model(name, CONFIGS[name], np.random.default_rng(3))
    draw = np.random.default_rng(4)
    for parameter in model.parameters():
        parameter.value = parameter.value + 0.3 * draw.standard_normal(parameter.shape)
        parameter.grad = np.zeros(parameter.shape)
    return model


def inputs_of(name):
    return (TARGET,) if name in ("gpt", "llama") else (SOURCE, TARGET)


def places():
    """Every attention with a projection of its heads, which those of lecture notes have not."""
    return [
        pytest.param(name, path, id=f"{name}-{path}")
        for name in CONFIGS
        if name != "minimal"
        for path in attention_paths(model_of(name))
    ]


def attention_of(model, where):
    return next(layer for path, layer in model.named_layers() if path == where and hasattr(layer, "n_heads"))


@pytest.mark.parametrize(("name", "where"), places())
def test_without_a_head_the_output_is_that_of_a_model_in_which_its_rows_of_w_o_are_zero(name, where):
    model, inputs = model_of(name), inputs_of(name)
    before = model(*inputs)
    head = attention_of(model, where).n_heads - 1
    by_hand = copy.deepcopy(model)
    attention = attention_of(by_hand, where)
    weight = attention.output.weight.value
    weight[head * attention.d_head : (head + 1) * attention.d_head] = 0
    with intervene(model, NoHead(where, head)):
        after = model(*inputs)
    np.testing.assert_allclose(after, by_hand(*inputs), rtol=0, atol=1e-12)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_array_equal(model(*inputs), before)


def attention_layers():
    rng = np.random.default_rng(5)
    return [SelfAttention(8, 4, rng), GroupedQueryAttention(8, 4, 2, rng)]


def constant(array):
    """Nothing that a gradient check has to ask about."""
    array.flags.writeable = False
    return array


CHANGES = [
    {},
    {"head": 3},
    {"to": 0, "head": 1},
    {"amount": 0.07},
    {"amount": constant(np.array([0.9, 0.01])), "to": np.array([3, 1])},
    {"renormalize": True},
    {"renormalize": True, "amount": 0.05, "head": 2},
]


def by_hand(attention, x, query, key, head=None, amount=None, to=None, renormalize=False):
    """y (B, T, D) with the weights changed one by one, as the definition says."""
    _, cache = attention.forward(x)
    weights, v = cache["weights"].copy(), cache["attention"]["v"]
    B, H, T, _ = weights.shape
    for b in range(B):
        for h in range(H) if head is None else [head]:
            row = weights[b, h, query[b]]
            taken = row[key[b]] if amount is None else min(row[key[b]], np.broadcast_to(amount, B)[b])
            row[key[b]] -= taken
            if to is not None:
                row[np.broadcast_to(to, B)[b]] += taken
            if renormalize:
                row /= row.sum()
    groups = H // v.shape[1]
    contexts = [[weights[b, h] @ v[b, h // groups] for h in range(H)] for b in range(B)]
    merged = np.array([[[n for h in range(H) for n in contexts[b][h][t]] for t in range(T)] for b in range(B)])
    return attention.output(merged)


@pytest.mark.parametrize("attention", attention_layers(), ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_weight_is_taken_as_the_definition_says(attention, change):
    x = np.random.default_rng(6).standard_normal((2, 5, 8))
    query, key = np.array([4, 1]), np.array([2, 0])
    wanted = by_hand(attention, x, query, key, **change)
    with intervene(attention, TakeWeight("", query, key, **change)):
        got = attention(x)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)
    assert np.abs(got - attention(x)).max() > 1e-3


@pytest.mark.parametrize("attention", attention_layers(), ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("change", [*CHANGES, "no head", "patch"], ids=str)
def test_backward_is_that_of_the_changed_model(attention, change):
    x = np.random.default_rng(6).standard_normal((2, 5, 8))
    if change == "no head":
        made = NoHead("", 1)
    elif change == "patch":
        made = Patch("", 3, constant(np.arange(8.0)))
    else:
        made = TakeWeight("", np.array([4, 1]), np.array([2, 0]), **change)
    with intervene(attention, made):
        check_gradients(attention, x).raise_if_failed()


@pytest.mark.parametrize("first", [1, 2, 4])
@pytest.mark.parametrize("name", CONFIGS)
def test_decoding_with_a_state_sees_the_same_changes(name, first):
    model, inputs = model_of(name), inputs_of(name)
    paths = attention_paths(model)
    last = "decoder.blocks.0" if name == "minimal" else "decoder.blocks.1"
    changes = [TakeWeight(path, 2, 1) for path in paths]
    changes += [NoHead(paths[0], 0), Patch(last, 3, np.linspace(-1, 1, 16))]
    with intervene(model, *changes):
        wanted = model(*inputs)
        state, _ = model.start_decoding(SOURCE, 1) if len(inputs) == 2 else model.start_decoding(TARGET)
        cuts = [0, *range(first, T + 1)]
        steps = [model.next_logits(TARGET[:, a:b], state) for a, b in zip(cuts, cuts[1:])]
    np.testing.assert_allclose(np.concatenate(steps, axis=1), wanted, rtol=0, atol=1e-12)
    assert np.abs(wanted - model(*inputs)).max() > 1e-3


@pytest.mark.parametrize("name", CONFIGS)
def test_a_stack_patched_everywhere_gives_the_other_sentences_output(name):
    model = model_of(name)
    where = "decoder" if name in ("gpt", "llama") else "encoder"
    ids = inputs_of(name)[0]
    other = np.random.default_rng(7).integers(3, V, ids.shape)
    rest = inputs_of(name)[1:]
    with recorded(model, where) as outputs:
        wanted = model(other, *rest)
    (there,) = outputs
    with intervene(model, *(Patch(where, t, there[:, t]) for t in range(there.shape[1]))):
        got = model(ids, *rest)
    np.testing.assert_array_equal(got, wanted)
    assert np.abs(got - model(ids, *rest)).max() > 1e-3


def everything_in(model):
    return [(path, sorted(vars(layer))) for path, layer in model.named_layers()]


def test_afterwards_also_after_an_error_the_model_is_what_it_was():
    model = model_of("pre-norm")
    before, logits = everything_in(model), model(SOURCE, TARGET)
    changes = [NoHead("encoder.blocks.0.attention", 1), Patch("encoder.blocks.0", 2, np.ones(16))]
    with pytest.raises(TypeError), intervene(model, *changes):
        model("no ids", TARGET)
    assert everything_in(model) == before
    with pytest.raises(ValueError, match="where='encoder'"), intervene(model, *changes, NoHead("encoder", 0)):
        pass
    assert everything_in(model) == before
    np.testing.assert_array_equal(model(SOURCE, TARGET), logits)


def test_blocks_within_blocks_undo_their_own_change_alone():
    model = model_of("pre-norm")
    one, two = NoHead("encoder.blocks.0.attention", 1), NoHead("encoder.blocks.0.attention", 2)
    with intervene(model, one):
        alone = model(SOURCE, TARGET)
        with intervene(model, two), forward_hooks(model, lambda *_: None):
            both = model(SOURCE, TARGET)
        np.testing.assert_array_equal(model(SOURCE, TARGET), alone)
    with intervene(model, two, one):
        np.testing.assert_array_equal(model(SOURCE, TARGET), both)
    assert np.abs(both - alone).max() > 1e-4


WRONG = [
    (NoHead("encoder.blocks.0.attention", 4), "head=4: must be at least 0 and below 4"),
    (NoHead("encoder.blocks.5.attention", 0), r"where='encoder.blocks.5.attention': must be an attention .*blocks.0"),
    (TakeWeight("encoder.blocks.0.attention", 1, 7), "key=7: must be at least 0 and below 7"),
    (TakeWeight("encoder.blocks.0.attention", 1, 2, to=9), "to=9: must be at least 0 and below 7"),
    (TakeWeight("encoder.blocks.0.attention", np.arange(3), 2), "query has 3 entries: give one, or one for each of 2"),
    (Patch("encoder.blocks.9", 1, np.ones(16)), r"where='encoder.blocks.9': must be a path"),
    (Patch("encoder.blocks.0", 1, np.ones(15)), r"activation has shape \(15,\): the layer's is \(16,\), or \(2, 16\)"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_what_is_not_there_is_refused(change, message):
    model = model_of("pre-norm")
    with pytest.raises(ValueError, match=message), intervene(model, change):
        model(SOURCE, TARGET)


def test_what_has_no_meaning_is_refused_at_once():
    with pytest.raises(ValueError, match="renormalize=True"):
        TakeWeight("a", 1, 2, to=3, renormalize=True)
    with pytest.raises(ValueError, match="query=-1: positions count from 0"):
        TakeWeight("a", -1, 2)
    with pytest.raises(ValueError, match=r"amount=-0\.5: must be at least 0"):
        TakeWeight("a", 1, 2, amount=-0.5)
