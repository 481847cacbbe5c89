"""The same weights in PyTorch's LSTM give the same outputs, last states and gradients, in float64 to 1e-10."""

import numpy as np
import pytest

from minitransformer.layers import GRU, LSTM, BidirectionalGRU, BidirectionalLSTM, LSTMCell

from .wiring import agree, init, randomize, tensor, torch

B, T, D, H = 4, 7, 5, 3
LENGTHS = np.array([7, 1, 4, 2])
MASK = np.arange(T) < LENGTHS[:, None]


def in_their_order(ours):
    """Our gates (g, i, f, o) on the last axis, in PyTorch's order (i, f, g, o)."""
    g, i, f, o = np.split(ours, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


def directions(stack):
    """(PyTorch's suffix, our layer of one direction), layer by layer."""
    for n, layer in enumerate(stack.layers):
        if hasattr(layer, "forward_layer"):
            yield f"_l{n}", layer.forward_layer
            yield f"_l{n}_reverse", layer.backward_layer
        else:
            yield f"_l{n}", layer


def fill(theirs, suffix, ours):
    """Their second bias is for another library's sake: the two are only ever added."""
    for name, value in (
        ("weight_ih", in_their_order(ours.input_projection.weight.value).T),
        ("weight_hh", in_their_order(ours.hidden_projection.weight.value).T),
        ("bias_ih", in_their_order(ours.input_projection.bias.value)),
        ("bias_hh", np.zeros(len(ours.input_projection.bias.value))),
    ):
        getattr(theirs, name + suffix).data = tensor(value)


def compare(theirs, suffix, ours):
    agree(
        in_their_order(ours.input_projection.weight.grad).T,
        getattr(theirs, f"weight_ih{suffix}").grad,
        f"input{suffix}",
    )
    agree(
        in_their_order(ours.hidden_projection.weight.grad).T,
        getattr(theirs, f"weight_hh{suffix}").grad,
        f"states{suffix}",
    )
    agree(in_their_order(ours.input_projection.bias.grad), getattr(theirs, f"bias_ih{suffix}").grad, f"bias{suffix}")


def by_layer(states, n_layers):
    """Ours (B, N, directions H) as theirs (N directions, B, H)."""
    return states.reshape(B, n_layers, -1, H).transpose(1, 2, 0, 3).reshape(-1, B, H)


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("kind", [LSTM, BidirectionalLSTM])
def test_lstm_with_padding_layers_directions_and_first_states(kind, n_layers, packed):
    rng = np.random.default_rng(0)
    ours, both = kind(D, H, init(), n_layers), kind is BidirectionalLSTM
    randomize(ours)
    theirs = torch.nn.LSTM(D, H, n_layers, batch_first=True, bidirectional=both, dtype=torch.float64)
    for suffix, layer in directions(ours):
        fill(theirs, suffix, layer)
    x = rng.standard_normal((B, T, D))
    h, c, dh, dc = rng.standard_normal((4, B, n_layers, (1 + both) * H))
    counted = MASK if packed else np.ones_like(MASK)
    dy = rng.standard_normal((B, T, (1 + both) * H)) * counted[:, :, None]

    (y, h_last, c_last), cache = ours.forward(x, MASK if packed else None, h, c)
    dx, dh_first, dc_first = ours.backward((dy, dh, dc), cache)

    their_x, their_h, their_c = (tensor(a, grad=True) for a in (x, by_layer(h, n_layers), by_layer(c, n_layers)))
    given = their_x
    if packed:
        given = torch.nn.utils.rnn.pack_padded_sequence(
            their_x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
        )
    their_y, (their_h_last, their_c_last) = theirs(given, (their_h, their_c))
    if packed:
        their_y, _ = torch.nn.utils.rnn.pad_packed_sequence(their_y, batch_first=True)
    their_loss = (their_y * tensor(dy)).sum() + (their_h_last * tensor(by_layer(dh, n_layers))).sum()
    (their_loss + (their_c_last * tensor(by_layer(dc, n_layers))).sum()).backward()

    agree(y * counted[:, :, None], their_y, "y")
    agree(by_layer(h_last, n_layers), their_h_last, "last h")
    agree(by_layer(c_last, n_layers), their_c_last, "last c")
    agree(dx, their_x.grad, "dx")
    agree(by_layer(dh_first, n_layers), their_h.grad, "first h")
    agree(by_layer(dc_first, n_layers), their_c.grad, "first c")
    for suffix, layer in directions(ours):
        compare(theirs, suffix, layer)


def test_one_step():
    rng = np.random.default_rng(1)
    ours, theirs = LSTMCell(D, H, init()), torch.nn.LSTMCell(D, H, dtype=torch.float64)
    randomize(ours)
    fill(theirs, "", ours)
    x, (h, c, dh, dc) = rng.standard_normal((B, D)), rng.standard_normal((4, B, H))
    (h_next, c_next), cache = ours.forward(x, h, c)
    gradients = ours.backward((dh, dc), cache)
    inputs = [tensor(a, grad=True) for a in (x, h, c)]
    their_h, their_c = theirs(inputs[0], tuple(inputs[1:]))
    ((their_h * tensor(dh)).sum() + (their_c * tensor(dc)).sum()).backward()
    agree(h_next, their_h, "h")
    agree(c_next, their_c, "c")
    for what, mine, their in zip("xhc", gradients, inputs):
        agree(mine, their.grad, f"d{what}")
    compare(theirs, "", ours)


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
@pytest.mark.parametrize(("kind", "n_layers"), [(GRU, 3), (BidirectionalGRU, 2)])
def test_gru_with_padding_layers_directions_and_first_states(kind, n_layers, packed):
    rng = np.random.default_rng(0)
    ours, both = kind(D, H, init(), n_layers), kind is BidirectionalGRU
    randomize(ours)
    theirs = torch.nn.GRU(D, H, n_layers, batch_first=True, bidirectional=both, dtype=torch.float64)
    for suffix, layer in directions(ours):
        for name, part in (("ih", layer.input_projection), ("hh", layer.hidden_projection)):
            getattr(theirs, f"weight_{name}{suffix}").data = tensor(part.weight.value.T)
            getattr(theirs, f"bias_{name}{suffix}").data = tensor(part.bias.value)
    x = rng.standard_normal((B, T, D))
    h, dh = rng.standard_normal((2, B, n_layers, (1 + both) * H))
    counted = MASK if packed else np.ones_like(MASK)
    dy = rng.standard_normal((B, T, (1 + both) * H)) * counted[:, :, None]

    (y, h_last), cache = ours.forward(x, MASK if packed else None, h)
    dx, dh_first = ours.backward((dy, dh), cache)

    their_x, their_h = tensor(x, grad=True), tensor(by_layer(h, n_layers), grad=True)
    given = their_x
    if packed:
        given = torch.nn.utils.rnn.pack_padded_sequence(
            their_x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
        )
    their_y, their_h_last = theirs(given, their_h)
    if packed:
        their_y, _ = torch.nn.utils.rnn.pad_packed_sequence(their_y, batch_first=True)
    ((their_y * tensor(dy)).sum() + (their_h_last * tensor(by_layer(dh, n_layers))).sum()).backward()

    agree(y * counted[:, :, None], their_y, "y")
    agree(by_layer(h_last, n_layers), their_h_last, "last h")
    agree(dx, their_x.grad, "dx")
    agree(by_layer(dh_first, n_layers), their_h.grad, "first h")
    for suffix, layer in directions(ours):
        for name, part in (("ih", layer.input_projection), ("hh", layer.hidden_projection)):
            agree(part.weight.grad.T, getattr(theirs, f"weight_{name}{suffix}").grad, f"weight_{name}{suffix}")
            agree(part.bias.grad, getattr(theirs, f"bias_{name}{suffix}").grad, f"bias_{name}{suffix}")
