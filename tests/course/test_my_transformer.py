"""The reference: a whole Transformer in one file of plain functions is the package's, number by number."""

import ast
import inspect

import numpy as np
import pytest

from minitransformer.course import my_transformer as my
from minitransformer.data import ToyTask, sequence_to_sequence_batch
from minitransformer.decoding import greedy
from minitransformer.layers import CrossEntropy, Glorot
from minitransformer.models import PreNormTransformer, TransformerConfig
from minitransformer.training import Adam, Trainer

H = 2


def small(seed=0, dtype=np.float64):
    """A model of the package, its weights as a dict, and a batch with padding on both sides."""
    rng = np.random.default_rng(seed)
    config = TransformerConfig(
        11, 13, d_model=6, n_heads=H, d_ff=7, n_encoder_blocks=2, n_decoder_blocks=2, dropout=0.0
    )
    model = PreNormTransformer(config, Glorot(rng, dtype))
    for parameter in model.parameters():
        parameter.value += (0.3 * rng.standard_normal(parameter.shape)).astype(dtype)
    source, target, targets = rng.integers(1, 11, (3, 5)), rng.integers(1, 13, (3, 4)), rng.integers(1, 13, (3, 4))
    source[0, 3:], target[1, 2:], targets[1, 2:] = 0, 0, 0
    return model, {name: p.value.copy() for name, p in model.named_parameters()}, source, target, targets


def test_it_is_one_file_of_at_most_350_lines_that_needs_numpy_alone():
    text = inspect.getsource(my)
    assert len(text.splitlines()) <= 350
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [ast.unparse(node) for node in imports] == ["import numpy as np"]
    assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(ast.parse(text)))


def test_its_logits_are_the_packages():
    model, p, source, target, _ = small()
    np.testing.assert_allclose(my.forward(p, source, target, H)[0], model(source, target), rtol=0, atol=1e-12)


def test_its_gradients_are_the_packages_for_every_parameter():
    model, p, source, target, targets = small(1)
    logits, cache = model.forward(source, target)
    loss = CrossEntropy(label_smoothing=0.1)
    model.backward(loss.backward(1.0, loss.forward(logits, targets)[1]), cache)
    mine, kept = my.forward(p, source, target, H)
    d_logits = my.smoothed_loss_backward(mine.reshape(-1, 13), targets.reshape(-1), 0, 0.1)
    g = my.backward(p, d_logits.reshape(mine.shape), kept)
    assert g.keys() == p.keys()
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(g[name], parameter.grad, rtol=0, atol=1e-12, err_msg=name)


def test_its_steps_are_those_of_the_packages_trainer():
    model, p, source, target, targets = small(2)
    history = Trainer(model, Adam(0.9, 0.98), 0.01, clip=None).fit([(source, target, targets)], 5)
    state = {}
    losses = [my.training_step(p, state, source, target, targets, H, 0.01) for _ in range(5)]
    np.testing.assert_allclose(losses, [record["loss"] for record in history.steps], rtol=1e-9)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(p[name], parameter.value, rtol=0, atol=1e-8, err_msg=name)


def test_its_first_weights_have_the_packages_names_shapes_and_spread():
    config = TransformerConfig(50, 60, d_model=32, n_heads=H, d_ff=64, n_encoder_blocks=2, n_decoder_blocks=2)
    model = PreNormTransformer(config, np.random.default_rng(0))
    p = my.new_parameters(np.random.default_rng(1), 50, 60, 32, 64, 2)
    assert list(p) == [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        assert p[name].shape == parameter.shape
        assert p[name].dtype == parameter.dtype
        assert np.std(p[name]) == pytest.approx(np.std(parameter.value), rel=0.1), name


def test_a_training_stays_in_float32():
    _, p, source, target, targets = small(3, np.float32)
    my.training_step(p, {}, source, target, targets, H, 0.01)
    assert {value.dtype for value in p.values()} == {np.dtype(np.float32)}


def test_it_decodes_as_the_package_does_and_shows_the_same_alignment():
    model, p, source, _, _ = small(4)
    mine = my.greedy(p, source, H, 1, 2, 9)
    assert mine == [h.ids for h in greedy(model, source, start=1, eos=2, max_new_tokens=9)]
    target = np.array([[1, 4, 5], [1, 3, 3], [1, 6, 7]])
    _, cache = model.forward(source, target)
    wanted = cache["decoder"]["blocks"][-1]["cross_attention"]["weights"]
    np.testing.assert_allclose(my.alignment(p, source, target, H), wanted, rtol=0, atol=1e-12)


def test_it_learns_to_reverse_sequences_that_it_has_never_seen():
    task, rng = ToyTask("reverse", n_symbols=8, min_length=3, max_length=6), np.random.default_rng(0)
    words = task.vocabulary
    p, state = my.new_parameters(rng, len(words), len(words), 32, 64, 1), {}
    for step in range(500):
        batch = sequence_to_sequence_batch(task.sample(rng, 32), pad=0, start=words.bos, eos=words.eos)
        rate = 5e-3 * min((step + 1) / 50, 1 - step / 500)
        my.training_step(p, state, *batch.inputs, batch.targets, H, rate)
    held_out = task.sample(rng, 200, "test")
    batch = sequence_to_sequence_batch(held_out, pad=0, start=words.bos, eos=words.eos)
    found = my.greedy(p, batch.inputs[0], H, words.bos, words.eos, 8)
    assert np.mean([mine == right for mine, (_, right) in zip(found, held_out)]) >= 0.95
