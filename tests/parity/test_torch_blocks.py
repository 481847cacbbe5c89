"""One block of either stack against torch.nn.TransformerEncoderLayer and TransformerDecoderLayer."""

import numpy as np
import pytest

from minitransformer.layers import (
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    SelfAttention,
    causal_mask,
)

from .wiring import (
    agree,
    compare_attention,
    compare_dense,
    compare_norm,
    fill_attention,
    fill_dense,
    fill_norm,
    init,
    randomize,
    tensor,
    torch,
)

D, H, F = 6, 3, 5
RNG = np.random.default_rng(0)
both_norms = pytest.mark.parametrize("wrap", [PostNorm, PreNorm], ids=["post-norm", "pre-norm"])


def wrapped(wrap, sublayer):
    return wrap(sublayer, LayerNorm(D, init()))


def parts(block, theirs):
    """(our wrapped sublayer, their attention or None for the feed-forward layer, their norm)."""
    attentions = [(block.attention, theirs.self_attn)]
    if isinstance(block, DecoderBlock):
        attentions.append((block.cross_attention, theirs.multihead_attn))
    for k, (ours, attention) in enumerate([*attentions, (block.feed_forward, None)], start=1):
        yield ours, attention, getattr(theirs, f"norm{k}")


def fill(block, theirs):
    for ours, attention, norm in parts(block, theirs):
        fill_norm(norm, ours.norm)
        if attention is not None:
            fill_attention(attention, ours.sublayer)
        else:
            fill_dense(theirs.linear1, ours.sublayer.up_proj)
            fill_dense(theirs.linear2, ours.sublayer.down_proj)


def compare_gradients(block, theirs):
    compared = 0
    for ours, attention, norm in parts(block, theirs):
        compared += compare_norm(ours.norm, norm, "norm")
        if attention is not None:
            compared += compare_attention(ours.sublayer, attention, "attention")
        else:
            compared += compare_dense(ours.sublayer.up_proj, theirs.linear1, "up_proj")
            compared += compare_dense(ours.sublayer.down_proj, theirs.linear2, "down_proj")
    assert compared == len(block.parameters())


@both_norms
def test_an_encoder_block(wrap):
    block = EncoderBlock(wrapped(wrap, SelfAttention(D, H, init())), wrapped(wrap, FeedForward(D, F, init())))
    randomize(block)
    theirs = torch.nn.TransformerEncoderLayer(
        D, H, F, dropout=0.0, batch_first=True, norm_first=wrap is PreNorm, dtype=torch.float64
    )
    fill(block, theirs)
    x, dy = RNG.standard_normal((2, 7, D)), RNG.standard_normal((2, 7, D))
    padding = np.arange(7) >= np.array([7, 4])[:, None]  # (B, S), True where padded
    y, cache = block.forward(x, ~padding[:, None, None, :])
    their_x = tensor(x, grad=True)
    their_y = theirs(their_x, src_key_padding_mask=tensor(padding))
    their_y.backward(tensor(dy))
    agree(y, their_y, "y")
    agree(block.backward(dy, cache), their_x.grad, "dx")
    compare_gradients(block, theirs)


@both_norms
def test_a_decoder_block(wrap):
    block = DecoderBlock(
        wrapped(wrap, SelfAttention(D, H, init())),
        wrapped(wrap, MultiHeadAttention(D, H, init())),
        wrapped(wrap, FeedForward(D, F, init())),
    )
    randomize(block)
    theirs = torch.nn.TransformerDecoderLayer(
        D, H, F, dropout=0.0, batch_first=True, norm_first=wrap is PreNorm, dtype=torch.float64
    )
    fill(block, theirs)
    x, memory, dy = (RNG.standard_normal((2, n, D)) for n in (5, 7, 5))
    padding = np.arange(7) >= np.array([7, 4])[:, None]
    y, cache = block.forward(x, memory, causal_mask(5), ~padding[:, None, None, :])
    dx, d_memory = block.backward(dy, cache)
    their_x, their_memory = tensor(x, grad=True), tensor(memory, grad=True)
    later = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1)
    their_y = theirs(their_x, their_memory, tgt_mask=later, memory_key_padding_mask=tensor(padding))
    their_y.backward(tensor(dy))
    agree(y, their_y, "y")
    agree(dx, their_x.grad, "dx")
    agree(d_memory, their_memory.grad, "d_memory")
    compare_gradients(block, theirs)
