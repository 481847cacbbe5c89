"""The same weights in PyTorch give the same outputs, losses and gradients, in float64 to 1e-10."""

import numpy as np
import pytest

from minitransformer.layers import GELU, CrossEntropy, Embedding, LayerNorm, MultiHeadAttention, causal_mask
from minitransformer.models import PreNormTransformer, Transformer, TransformerConfig

from .wiring import (
    Theirs,
    agree,
    compare_attention,
    compare_models,
    fill_attention,
    gradient,
    init,
    randomize,
    tensor,
    torch,
)

RNG = np.random.default_rng(0)


def test_layer_norm():
    layer, theirs = LayerNorm(7, init()), torch.nn.LayerNorm(7, dtype=torch.float64)
    randomize(layer)
    theirs.weight.data, theirs.bias.data = tensor(layer.gain.value), tensor(layer.bias.value)
    x, dy = RNG.standard_normal((3, 5, 7)), RNG.standard_normal((3, 5, 7))
    y, cache = layer.forward(x)
    dx, their_x = layer.backward(dy, cache), tensor(x, grad=True)
    their_y = theirs(their_x)
    their_y.backward(tensor(dy))
    agree(y, their_y, "y")
    agree(dx, their_x.grad, "dx")
    agree(layer.gain.grad, theirs.weight.grad, "gain")
    agree(layer.bias.grad, theirs.bias.grad, "bias")


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


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # a fast path of PyTorch's that pre-norm does not have
@pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
def test_the_whole_transformer_logits_loss_and_every_gradient(norm_first):
    V = 13
    config = TransformerConfig(V, None, 6, 2, 10, 2, 2, dropout=0.0)
    model = (PreNormTransformer if norm_first else Transformer)(config, init())
    randomize(model)
    theirs = Theirs(model, norm_first)

    source, target = RNG.integers(1, V, (3, 7)), RNG.integers(1, V, (3, 5))
    source[0, 4:], source[1, 1:], target[1, 3:] = 0, 0, 0
    labels = np.concatenate([target[:, 1:], np.zeros((3, 1), int)], axis=1)

    logits, cache = model.forward(source, target, rng=np.random.default_rng(0))
    criterion = CrossEntropy(pad=0, label_smoothing=0.1)
    loss, loss_cache = criterion.forward(logits, labels)
    model.backward(criterion.backward(1.0, loss_cache), cache)

    their_logits = theirs(source, target)
    their_loss = theirs.loss(their_logits, labels, 0.1)
    their_loss.backward()

    agree(logits, their_logits, "logits")
    agree(np.asarray(loss), their_loss, "loss")
    compare_models(model, theirs, gradient)
