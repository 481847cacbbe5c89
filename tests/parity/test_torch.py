"""The same weights in PyTorch give the same outputs, losses and gradients, in float64 to 1e-10.

Parity of optimizers, and of parameters after ten steps, belongs here too.
"""

import math

import numpy as np
import pytest

from minitransformer.layers import (
    GELU,
    CrossEntropy,
    Embedding,
    Glorot,
    LayerNorm,
    MultiHeadAttention,
    causal_mask,
    sinusoids,
)
from minitransformer.models import PreNormTransformer, Transformer, TransformerConfig

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `parity`): nothing to compare with")

RNG = np.random.default_rng(0)


def init():
    return Glorot(np.random.default_rng(1), np.float64)


def tensor(array, grad=False):
    t = torch.tensor(np.array(array))
    return t.requires_grad_() if grad else t


def randomize(layer, seed=2):
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.value = rng.standard_normal(parameter.shape) * 0.5 + (0.5 if parameter.value.ndim == 1 else 0.0)


def agree(got, wanted, what, tolerance=1e-10):
    wanted = wanted.detach().numpy() if isinstance(wanted, torch.Tensor) else np.asarray(wanted)
    assert got.shape == wanted.shape, what
    scale = max(np.abs(wanted).max(), 1e-4)  # a key's bias has a gradient of zero: rounding is compared with 1e-4
    assert np.abs(got - wanted).max() <= tolerance * scale, f"{what}: off by {np.abs(got - wanted).max() / scale:.2g}"


def test_layer_norm():
    layer, theirs = LayerNorm(7, init()), torch.nn.LayerNorm(7, dtype=torch.float64)
    randomize(layer)
    theirs.weight.data, theirs.bias.data = tensor(layer.gain.value), tensor(layer.shift.value)
    x, dy = RNG.standard_normal((3, 5, 7)), RNG.standard_normal((3, 5, 7))
    y, cache = layer.forward(x)
    dx, their_x = layer.backward(dy, cache), tensor(x, grad=True)
    their_y = theirs(their_x)
    their_y.backward(tensor(dy))
    agree(y, their_y, "y")
    agree(dx, their_x.grad, "dx")
    agree(layer.gain.grad, theirs.weight.grad, "gain")
    agree(layer.shift.grad, theirs.bias.grad, "shift")


def test_embedding():
    layer, ids, dy = Embedding(11, 5, init()), RNG.integers(0, 4, (3, 7)), RNG.standard_normal((3, 7, 5))
    theirs = torch.nn.Embedding(11, 5, _weight=tensor(layer.weight.value))
    y, cache = layer.forward(ids)
    layer.backward(dy, cache)
    their_y = theirs(tensor(ids))
    their_y.backward(tensor(dy))
    agree(y, their_y, "y")
    agree(layer.weight.grad, theirs.weight.grad, "weight")


def test_gelu_with_tanh():
    x, dy = RNG.standard_normal((5, 7)) * 3.0, RNG.standard_normal((5, 7))
    y, cache = GELU().forward(x)
    their_x = tensor(x, grad=True)
    their_y = torch.nn.GELU(approximate="tanh")(their_x)
    their_y.backward(tensor(dy))
    agree(y, their_y, "y")
    agree(GELU().backward(dy, cache), their_x.grad, "dx")


@pytest.mark.parametrize("e", [0.0, 0.1, 0.7])
def test_cross_entropy_with_label_smoothing_and_padding(e):
    logits, targets = RNG.standard_normal((3, 5, 11)), RNG.integers(0, 11, (3, 5))
    targets[0, 2:] = 4
    layer = CrossEntropy(pad=4, label_smoothing=e)
    loss, cache = layer.forward(logits, targets)
    their_logits = tensor(logits, grad=True)
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=e, ignore_index=4)
    their_loss = theirs(their_logits.reshape(-1, 11), tensor(targets).reshape(-1))
    their_loss.backward()
    agree(np.asarray(loss), their_loss, "loss")
    agree(layer.backward(1.0, cache), their_logits.grad, "d_logits")


def stacked(*parameters):
    return tensor(np.concatenate([p.value.T if p.value.ndim == 2 else p.value for p in parameters]))


def fill_attention(theirs, ours):
    theirs.in_proj_weight.data = stacked(ours.query.weight, ours.key.weight, ours.value.weight)
    theirs.in_proj_bias.data = stacked(ours.query.bias, ours.key.bias, ours.value.bias)
    theirs.out_proj.weight.data = stacked(ours.output.weight)
    theirs.out_proj.bias.data = stacked(ours.output.bias)


def compare_attention(ours, theirs, what):
    parts = (ours.query, ours.key, ours.value)
    agree(np.concatenate([p.weight.grad.T for p in parts]), theirs.in_proj_weight.grad, f"{what} weights")
    for part, bias in zip(parts, theirs.in_proj_bias.grad.numpy().reshape(3, -1)):
        agree(part.bias.grad, bias, f"{what} biases")
    agree(ours.output.weight.grad.T, theirs.out_proj.weight.grad, f"{what} output weight")
    agree(ours.output.bias.grad, theirs.out_proj.bias.grad, f"{what} output bias")


def test_multi_head_attention():
    layer, theirs = (
        MultiHeadAttention(6, 2, init()),
        torch.nn.MultiheadAttention(6, 2, batch_first=True, dtype=torch.float64),
    )
    randomize(layer)
    fill_attention(theirs, layer)
    x, memory, dy = RNG.standard_normal((3, 5, 6)), RNG.standard_normal((3, 7, 6)), RNG.standard_normal((3, 5, 6))
    padding = np.arange(7) >= np.array([7, 4, 1])[:, None]  # (B, S), True where padded
    y, cache = layer.forward(x, memory, ~padding[:, None, None, :])
    dx, d_memory = layer.backward(dy, cache)
    their_x, their_memory = tensor(x, grad=True), tensor(memory, grad=True)
    their_y, weights = theirs(
        their_x, their_memory, their_memory, key_padding_mask=tensor(padding), average_attn_weights=False
    )
    their_y.backward(tensor(dy))
    agree(y, their_y, "y")
    agree(cache["weights"], weights, "weights")
    agree(dx, their_x.grad, "dx")
    agree(d_memory, their_memory.grad, "d_memory")
    compare_attention(layer, theirs, "attention")


def test_causal_attention():
    layer, theirs = (
        MultiHeadAttention(6, 3, init()),
        torch.nn.MultiheadAttention(6, 3, batch_first=True, dtype=torch.float64),
    )
    randomize(layer)
    fill_attention(theirs, layer)
    x = RNG.standard_normal((2, 5, 6))
    forbidden = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1)
    their_y, _ = theirs(tensor(x), tensor(x), tensor(x), attn_mask=forbidden)
    agree(layer(x, x, causal_mask(5)), their_y, "y")


# ---- the whole Transformer

V, D, H, F, N = 13, 6, 2, 10, 2


def parts(model):
    """(ours, theirs as attribute paths) of every sublayer with parameters, encoder then decoder."""
    for stack, blocks in (("encoder", model.encoder.blocks), ("decoder", model.decoder.blocks)):
        for i, block in enumerate(blocks):
            names = [("attention", "self_attn"), ("cross_attention", "multihead_attn")]
            wrapped = [(getattr(block, ours), theirs) for ours, theirs in names if hasattr(block, ours)]
            for k, (ours, theirs) in enumerate([*wrapped, (block.feed_forward, "")], start=1):
                yield ours, f"{stack}.layers.{i}", theirs, f"norm{k}"


def fill_dense(theirs, ours):
    theirs.weight.data, theirs.bias.data = tensor(ours.weight.value.T), tensor(ours.bias.value)


def fill_norm(theirs, ours):
    theirs.weight.data, theirs.bias.data = tensor(ours.gain.value), tensor(ours.shift.value)


def compare_norm(ours, theirs, what):
    agree(ours.gain.grad, theirs.weight.grad, f"{what} gain")
    agree(ours.shift.grad, theirs.bias.grad, f"{what} shift")


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # a fast path of PyTorch's that pre-norm does not have
@pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
def test_the_whole_transformer_logits_loss_and_every_gradient(norm_first):
    config = TransformerConfig(V, None, D, H, F, N, N, dropout=0.0)
    model = (PreNormTransformer if norm_first else Transformer)(config, init())
    randomize(model)
    theirs = torch.nn.Transformer(
        D, H, N, N, F, dropout=0.0, batch_first=True, norm_first=norm_first, dtype=torch.float64
    )
    if not norm_first:  # PyTorch ends both stacks with a norm in either form; the paper's post-norm has none there
        theirs.encoder.norm = theirs.decoder.norm = None
    for ours, path, attention, norm in parts(model):
        layer = theirs.get_submodule(path)
        fill_norm(getattr(layer, norm), ours.norm)
        if attention:
            fill_attention(getattr(layer, attention), ours.sublayer)
        else:
            fill_dense(layer.linear1, ours.sublayer.widen)
            fill_dense(layer.linear2, ours.sublayer.narrow)
    if norm_first:
        fill_norm(theirs.encoder.norm, model.encoder.norm)
        fill_norm(theirs.decoder.norm, model.decoder.norm)

    source, target = RNG.integers(1, V, (3, 7)), RNG.integers(1, V, (3, 5))
    source[0, 4:], source[1, 1:], target[1, 3:] = 0, 0, 0
    labels = np.concatenate([target[:, 1:], np.zeros((3, 1), int)], axis=1)

    logits, cache = model.forward(source, target, rng=np.random.default_rng(0))
    criterion = CrossEntropy(pad=0, label_smoothing=0.1)
    loss, loss_cache = criterion.forward(logits, labels)
    model.backward(criterion.backward(1.0, loss_cache), cache)

    table = tensor(model.head.weight.value, grad=True)
    padding = tensor(source == 0)
    later = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1)
    x = table[tensor(source)] * math.sqrt(D) + tensor(sinusoids(7, D))
    z = table[tensor(target)] * math.sqrt(D) + tensor(sinusoids(5, D))
    y = theirs(x, z, tgt_mask=later, src_key_padding_mask=padding, memory_key_padding_mask=padding)
    their_logits = y @ table.T
    theirs_criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=0)
    their_loss = theirs_criterion(their_logits.reshape(-1, V), tensor(labels).reshape(-1))
    their_loss.backward()

    agree(logits, their_logits, "logits")
    agree(np.asarray(loss), their_loss, "loss")
    agree(model.head.weight.grad, table.grad, "embedding")
    compared = 1
    for ours, path, attention, norm in parts(model):
        layer = theirs.get_submodule(path)
        compare_norm(ours.norm, getattr(layer, norm), f"{path}.{norm}")
        compared += 2
        if attention:
            compare_attention(ours.sublayer, getattr(layer, attention), f"{path}.{attention}")
            compared += 8
        else:
            for mine, name in ((ours.sublayer.widen, "linear1"), (ours.sublayer.narrow, "linear2")):
                agree(mine.weight.grad.T, getattr(layer, name).weight.grad, f"{path}.{name} weight")
                agree(mine.bias.grad, getattr(layer, name).bias.grad, f"{path}.{name} bias")
            compared += 4
    if norm_first:
        compare_norm(model.encoder.norm, theirs.encoder.norm, "encoder.norm")
        compare_norm(model.decoder.norm, theirs.decoder.norm, "decoder.norm")
        compared += 4
    assert compared == len(model.parameters())  # nothing was left out
