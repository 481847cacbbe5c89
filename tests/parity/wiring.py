"""PyTorch's layers filled with our weights, and what the two say compared."""

import importlib.util
import math
import os

import numpy as np
import pytest

from minitransformer.layers import Glorot, sinusoids

if importlib.util.find_spec("torch") is None and os.environ.get("MINITRANSFORMER_REQUIRE_PARITY") != "1":
    pytest.skip("PyTorch is not installed: there is nothing to compare with", allow_module_level=True)

import torch  # where parity is required and PyTorch is missing, this fails, as it must

torch.set_num_threads(1)  # arrays are tiny: more threads only wait for each other


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


def stacked(*arrays):
    return np.concatenate([a.T if a.ndim == 2 else a for a in arrays])


def fill_attention(theirs, ours):
    theirs.in_proj_weight.data = tensor(stacked(*(p.weight.value for p in (ours.query, ours.key, ours.value))))
    theirs.in_proj_bias.data = tensor(stacked(*(p.bias.value for p in (ours.query, ours.key, ours.value))))
    fill_dense(theirs.out_proj, ours.output)


def fill_dense(theirs, ours):
    theirs.weight.data, theirs.bias.data = tensor(ours.weight.value.T), tensor(ours.bias.value)


def fill_norm(theirs, ours):
    theirs.weight.data, theirs.bias.data = tensor(ours.gain.value), tensor(ours.bias.value)


# What is compared, part by part: `of` takes either side's array, its value or its gradient.


def value(p):
    return p.value if hasattr(p, "value") else p.detach().numpy()


def gradient(p):
    return p.grad.numpy() if isinstance(p.grad, torch.Tensor) else p.grad


def compare_attention(ours, theirs, what, of=gradient):
    """Compare; return how many of our parameters that were."""
    projections = (ours.query, ours.key, ours.value)
    agree(stacked(*(of(p.weight) for p in projections)), of(theirs.in_proj_weight), f"{what} weights")
    for projection, bias in zip(projections, of(theirs.in_proj_bias).reshape(3, -1)):
        agree(of(projection.bias), bias, f"{what} biases")
    return 6 + compare_dense(ours.output, theirs.out_proj, f"{what} output", of)


def compare_dense(ours, theirs, what, of=gradient):
    agree(of(ours.weight).T, of(theirs.weight), f"{what} weight")
    agree(of(ours.bias), of(theirs.bias), f"{what} bias")
    return 2


def compare_norm(ours, theirs, what, of=gradient):
    agree(of(ours.gain), of(theirs.weight), f"{what} gain")
    agree(of(ours.bias), of(theirs.bias), f"{what} shift")
    return 2


# ---- the whole Transformer


def sublayers(model):
    """(ours, theirs as attribute paths) of every sublayer with parameters, encoder then decoder."""
    for stack, blocks in (("encoder", model.encoder.blocks), ("decoder", model.decoder.blocks)):
        for i, block in enumerate(blocks):
            names = [("attention", "self_attn"), ("cross_attention", "multihead_attn")]
            wrapped = [(getattr(block, ours), theirs) for ours, theirs in names if hasattr(block, ours)]
            for k, (ours, theirs) in enumerate([*wrapped, (block.feed_forward, "")], start=1):
                yield ours, f"{stack}.layers.{i}", theirs, f"norm{k}"


class Theirs(torch.nn.Module):
    """torch.nn.Transformer with our weights, and around it the one embedding table and sinusoids that it lacks."""

    def __init__(self, model, norm_first):
        super().__init__()
        c = model.config
        self.table = torch.nn.Parameter(tensor(model.head.weight.value))
        self.core = torch.nn.Transformer(
            c.d_model,
            c.n_heads,
            c.n_encoder_blocks,
            c.n_decoder_blocks,
            c.d_ff,
            dropout=0.0,
            batch_first=True,
            norm_first=norm_first,
            dtype=torch.float64,
        )
        if not norm_first:  # PyTorch ends both stacks with a norm in either form; the paper's post-norm has none there
            self.core.encoder.norm = self.core.decoder.norm = None
        for ours, path, attention, norm in sublayers(model):
            layer = self.core.get_submodule(path)
            fill_norm(getattr(layer, norm), ours.norm)
            if attention:
                fill_attention(getattr(layer, attention), ours.sublayer)
            else:
                fill_dense(layer.linear1, ours.sublayer.up_proj)
                fill_dense(layer.linear2, ours.sublayer.down_proj)
        if norm_first:
            fill_norm(self.core.encoder.norm, model.encoder.norm)
            fill_norm(self.core.decoder.norm, model.decoder.norm)

    def forward(self, source, target):
        """Arrays of ids (B, S) and (B, T), 0 is padding -> logits (B, T, V)."""
        D, T = self.table.shape[1], target.shape[1]
        padding = tensor(source == 0)
        later = torch.triu(torch.ones(T, T, dtype=torch.bool), diagonal=1)
        x = self.table[tensor(source)] * math.sqrt(D) + tensor(sinusoids(source.shape[1], D))
        z = self.table[tensor(target)] * math.sqrt(D) + tensor(sinusoids(T, D))
        y = self.core(x, z, tgt_mask=later, src_key_padding_mask=padding, memory_key_padding_mask=padding)
        return y @ self.table.T

    def loss(self, logits, targets, label_smoothing):
        criterion = torch.nn.CrossEntropyLoss(label_smoothing=label_smoothing, ignore_index=0)
        return criterion(logits.reshape(-1, logits.shape[-1]), tensor(targets).reshape(-1))


def compare_models(model, theirs, of):
    """Compare every parameter's value or gradient; nothing is left out."""
    agree(of(model.head.weight), of(theirs.table), "embedding")
    compared = 1
    for ours, path, attention, norm in sublayers(model):
        layer = theirs.core.get_submodule(path)
        compared += compare_norm(ours.norm, getattr(layer, norm), f"{path}.{norm}", of)
        if attention:
            compared += compare_attention(ours.sublayer, getattr(layer, attention), f"{path}.{attention}", of)
        else:
            compared += compare_dense(ours.sublayer.up_proj, layer.linear1, f"{path}.linear1", of)
            compared += compare_dense(ours.sublayer.down_proj, layer.linear2, f"{path}.linear2", of)
    for stack in ("encoder", "decoder"):
        if (norm := getattr(theirs.core, stack).norm) is not None:
            compared += compare_norm(getattr(model, stack).norm, norm, f"{stack}.norm", of)
    assert compared == len(model.parameters())


# ---- Hugging Face


@pytest.fixture(autouse=True)
def float64_throughout(monkeypatch):
    """Their norms, softmax and rotary angles are computed in float32 whatever the weights are: not in here."""
    for name in ("float32", "float"):
        monkeypatch.setattr(torch, name, torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    monkeypatch.undo()
    torch.set_default_dtype(torch.float32)
