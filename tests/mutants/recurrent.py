"""The list of bugs in the recurrent layers and their attention."""

from __future__ import annotations

from minitransformer.layers import (
    AdditiveScore,
    AttentionalHidden,
    Bidirectional,
    CrossAttention,
    DotScore,
    GRULayer,
    InputFeedingDecoder,
    LSTMLayer,
    LuongDecoder,
    RecurrentEncoder,
    RecurrentStack,
    Tanh,
)
from minitransformer.layers.recurrent import lstm

from .injection import bug, bugs

# fmt: off

# ---- one layer

EQUATIONS = "an LSTM is what its equations say, step by step and unit by unit"
PADDED = "a padded step leaves an LSTM's state alone, bit for bit, and what stands there is never read"
FROM_STATE = "LSTMLayer from a given state, with padding"
SATURATED = "an LSTM's gates of +-1e4 are exactly open or closed in float32"
OPEN = "an LSTM's forget gates begin open, and its other biases at zero"

bugs("input and forget gates exchanged",
     [(LSTMLayer, "forward", "g, i, f, o = split_gates", "g, f, i, o = split_gates"),
      (LSTMLayer, "backward", "g, i, f, o = split_gates", "g, f, i, o = split_gates")], EQUATIONS)
bug("input and forget gates exchanged in backward", LSTMLayer, "backward",
    "g, i, f, o = split_gates(gates)", "g, f, i, o = split_gates(gates)", "LSTMLayer")
bug("gates in PyTorch's order", lstm, "split_gates",
    "for k in range(4)", "for k in (2, 0, 1, 3)", EQUATIONS)
bugs("candidate through a sigmoid, output gate through a tanh",
     [(LSTMLayer, "forward", "np.tanh(gates[t, :, :H], out=gates[t, :, :H])",
       "np.tanh(gates[t, :, 3 * H :], out=gates[t, :, 3 * H :])"),
      (LSTMLayer, "forward", "gates[t, :, H:]", "gates[t, :, : 3 * H]")], EQUATIONS)
bug("sigmoid twice as steep", lstm, "sigmoid_in_place", "x *= 0.5\nnp.tanh", "np.tanh", EQUATIONS)
bug("sigmoid by an exponential", lstm, "sigmoid_in_place",
    "x *= 0.5\nnp.tanh(x, out=x)\nx += 1.0\nx *= 0.5", "x[...] = 1.0 / (1.0 + np.exp(-x))", SATURATED)
bug("h is not the cell's tanh", LSTMLayer, "forward",
    "np.multiply(o, tanh_c[t], out=h[t + 1])", "np.multiply(o, c[t + 1], out=h[t + 1])", EQUATIONS)
bug("cell forgets nothing", LSTMLayer, "forward", "np.multiply(f, c[t], out", "np.multiply(1.0, c[t], out", EQUATIONS)
bug("the gates do not see h", LSTMLayer, "forward", "gates[t] += h[t] @ U", "pass", EQUATIONS)
bug("h of the first step at all steps", LSTMLayer, "forward", "gates[t] += h[t] @ U", "gates[t] += h[0] @ U", EQUATIONS)
bug("given state ignored", LSTMLayer, "forward",
    "h[0], c[0] = h_first, c_first", "h[0], c[0] = 0.0, 0.0", EQUATIONS)
bug("given h taken for c", LSTMLayer, "forward",
    "h[0], c[0] = h_first, c_first", "h[0], c[0] = c_first, h_first", EQUATIONS)
bug("forget gate begins half closed", LSTMLayer, "__init__",
    "bias[2 * d_hidden : 3 * d_hidden] = 1.0", "pass", OPEN)
bug("input gate begins open in the forget gate's place", LSTMLayer, "__init__",
    "bias[2 * d_hidden : 3 * d_hidden]", "bias[d_hidden : 2 * d_hidden]", OPEN)

bug("gradient through c dropped", LSTMLayer, "backward", "dc = dc + dh * dh_dc[t]", "dc = dh * dh_dc[t]", "LSTMLayer")
bug("gradient through c not scaled by the forget gate", LSTMLayer, "backward", "dc = dc * f[t]", "pass", "LSTMLayer")
bug("gradient through h dropped", LSTMLayer, "backward",
    "dh = d_gates[t] @ U.T", "dh = 0.0 * (d_gates[t] @ U.T)", "LSTMLayer")
bug("gradient of the outputs but the last dropped", LSTMLayer, "backward",
    "dh = dh + dy[:, t]", "dh = dh + dy[:, t] * (t == T - 1)", "LSTMLayer")
bug("gradient of the outputs replaces that of the steps after", LSTMLayer, "backward",
    "dh = dh + dy[:, t]", "dh = dy[:, t]", "LSTMLayer")
bug("gradient of the last c dropped", LSTMLayer, "backward",
    "dy, dh, dc = d_output", "dy, dh, dc = d_output\ndc = 0.0 * dc", "LSTMLayer")
bug("gradient of the last h dropped", LSTMLayer, "backward",
    "dy, dh, dc = d_output", "dy, dh, dc = d_output\ndh = 0.0 * dh", "LSTMLayer")
bug("gradients of h and c exchanged", LSTMLayer, "backward",
    "return (dx, dh, dc) if", "return (dx, dc, dh) if", FROM_STATE)
bug("forget gate's slope with the cell behind the step", LSTMLayer, "backward", "= c[:-1] * (f", "= c[1:] * (f",
    "LSTMLayer")
bug("tanh's slope at c forgotten", LSTMLayer, "backward", "dh_dc = o * (1.0 - tanh_c * tanh_c)", "dh_dc = 1.0 * o",
    "LSTMLayer")
bug("candidate with a sigmoid's slope", LSTMLayer, "backward", "i * (1.0 - g * g)", "i * (g * (1.0 - g))", "LSTMLayer")
bug("output gate's slope forgotten", LSTMLayer, "backward", "tanh_c * (o * (1.0 - o))", "tanh_c * o", "LSTMLayer")
bug("output gate moved by c's gradient", LSTMLayer, "backward",
    "by_gate[:, 3] *= dh", "by_gate[:, 3] *= dc", "LSTMLayer")
bug("recurrent weights' gradient with the h behind each step", LSTMLayer, "backward",
    "h[:-1].reshape", "h[1:].reshape", "LSTMLayer")
bug("recurrent weights' gradient assigned", LSTMLayer, "backward",
    "self.hidden_projection.weight.grad += h", "self.hidden_projection.weight.grad = h", "LSTMLayer", "assigned")
bug("cell's states overwritten by backward", LSTMLayer, "backward",
    "d_gates = np.empty_like(gates)", "d_gates = gates", "LSTMLayer")
bug("gradient of x left in the order of time", LSTMLayer, "backward",
    'cache["input_projection"]).swapaxes(0, 1)', 'cache["input_projection"]).reshape(B, T, -1)', "LSTMLayer")
bug("tanh's slope at x", Tanh, "backward", "1.0 - y * y", "1.0 - np.tanh(y) ** 2", "Tanh")

# ---- padding

bug("padding ignored", lstm, "padded_steps", "None if mask.all() else ~mask.T[:, :, None]", "None", PADDED)
bug("recurrent padding mask inverted", lstm, "padded_steps", "else ~mask.T", "else mask.T", PADDED)
bug("first sentence's padding for all", lstm, "padded_steps", "~mask.T[:, :, None]",
    "~mask[[0] * len(mask)].T[:, :, None]", PADDED)
bug("padding moves h", LSTMLayer, "forward", "np.copyto(h[t + 1], h[t], where=padded[t])", "pass", PADDED)
bug("padding moves c", LSTMLayer, "forward", "np.copyto(c[t + 1], c[t], where=padded[t])", "pass", PADDED)
bug("padding sets the state to zero", LSTMLayer, "forward",
    "np.copyto(h[t + 1], h[t], where=padded[t])", "np.copyto(h[t + 1], 0.0, where=padded[t])", PADDED)
bug("last state taken at padding's own step", LSTMLayer, "forward",
    "np.copyto(c[t + 1], c[t], where=padded[t])", "c[t + 1] *= ~padded[t]", PADDED)
bug("gates get a gradient at padding", LSTMLayer, "backward", "d_gates *= ~padded", "pass", FROM_STATE)
bug("c gets h's gradient at padding", LSTMLayer, "backward", "dh_dc *= ~padded", "pass", FROM_STATE)
bug("c's gradient is forgotten at padding", LSTMLayer, "backward",
    "f = np.where(padded, f.dtype.type(1), f)", "pass", FROM_STATE)
bug("h's gradient is lost at padding", LSTMLayer, "backward",
    "if carried is not None:\n    dh += carried", "pass", FROM_STATE)

# ---- directions and stacks

BOTH = "in both directions padding is invisible, and the last states are those behind the last token and the first"
STACKED = "a stack of LSTMs gives each layer its own state, and drops between layers only"
THREE = "LSTM of three layers"
TWICE = "RecurrentStack with one layer used twice"

bugs("reversed direction not reversed back",
     [(Bidirectional, "forward", "[y_forward, y_backward[:, ::-1]]", "[y_forward, y_backward]"),
      (Bidirectional, "backward", "dy[:, ::-1, H:]", "dy[:, :, H:]")], BOTH)
bug("reversed direction not reversed back in backward", Bidirectional, "backward",
    "dy[:, ::-1, H:]", "dy[:, :, H:]", "Bidirectional")
bug("x's gradient not reversed back", Bidirectional, "backward",
    "dx_forward + dx_backward[:, ::-1]", "dx_forward + dx_backward", "Bidirectional")
bug("x's gradient of one direction only", Bidirectional, "backward",
    "dx_forward + dx_backward[:, ::-1]", "dx_forward", "Bidirectional")
bugs("both directions read from the start",
     [(Bidirectional, "forward", "x[:, ::-1], reversed_mask,", "x, mask,"),
      (Bidirectional, "forward", "[y_forward, y_backward[:, ::-1]]", "[y_forward, y_backward]")], BOTH)
bug("mask not reversed with its sentence", Bidirectional, "forward",
    "x[:, ::-1], reversed_mask,", "x[:, ::-1], mask,", BOTH)
bug("reversed direction without its mask", Bidirectional, "forward",
    "x[:, ::-1], reversed_mask,", "x[:, ::-1], None,", BOTH)
bug("one direction's weights for both", Bidirectional, "forward",
    "self.backward_layer.forward(", "self.forward_layer.forward(", BOTH)
bug("directions' first states exchanged in backward", Bidirectional, "backward",
    "zip(d_state_forward, d_state_backward)", "zip(d_state_backward, d_state_forward)", "Bidirectional")
bug("every layer begins with the first layer's state", RecurrentStack, "forward",
    "*(s[:, n] for s in state))", "*(s[:, 0] for s in state))", STACKED)
bug("every layer's last state gets the last layer's gradient", RecurrentStack, "backward",
    "*(d[:, n] for d in d_last)", "*(d[:, -1] for d in d_last)", THREE)
bug("layers' states in reverse order", RecurrentStack, "backward",
    "d_states.insert(0, d_state_of_layer)", "d_states.append(d_state_of_layer)", TWICE)
bug("upper layers without the mask", RecurrentStack, "forward",
    "layer.forward(x, mask,", "layer.forward(x, None if n else mask,", BOTH)
bug("dropout between layers forgotten in backward", RecurrentStack, "backward",
    'self.dropout.backward(dx, cache["dropouts"][n - 1])', "dx", THREE, "right without dropout")
bug("dropout of the layer above taken in backward", RecurrentStack, "backward",
    'cache["dropouts"][n - 1]', 'cache["dropouts"][-1]', THREE)
bug("the input is dropped from too", RecurrentStack, "forward", "if n:", "if True:", STACKED)

# ---- attention

ATTENTIONS = "the attentions of Luong and Bahdanau are what their formulas say, query by query"
COMBINED = "the attentional hidden state is tanh of context and state, in this order"

bug("dot score scaled", DotScore, "forward", "np.matmul(q, ", "np.matmul(q * q.shape[-1] ** -0.5, ", ATTENTIONS)
bug("dot score's queries get the keys of another sentence", DotScore, "backward",
    "d_scores, k)", "d_scores, k[::-1])", "DotScore")
bug("dot score's keys get the queries of another sentence", DotScore, "backward",
    "swapaxes(-1, -2), q)", "swapaxes(-1, -2), q[::-1])", "DotScore")
bug("additive score without its tanh", AdditiveScore, "forward", "np.tanh(", "(", ATTENTIONS)
bug("additive score's slope forgotten", AdditiveScore, "backward",
    "d_sum *= 1.0 - activated * activated", "pass", "AdditiveScore")
bug("additive score's gradient averaged over keys", AdditiveScore, "backward",
    "d_sum.sum(axis=2)", "d_sum.mean(axis=2)", "AdditiveScore", "1/")
bug("recurrent attention without its mask", CrossAttention, "read", "if mask is not None:", "if False:", ATTENTIONS)
bug("context of the keys, not of the memory", CrossAttention, "forward",
    "self.read(x, k, memory, mask)", "self.read(x, k, k, mask)", ATTENTIONS)
bug("memory's gradient as keys forgotten", CrossAttention, "backward",
    'd_memory + self.key.backward(dk, cache["key"])', "d_memory", "DotAttention")
bug("memory's gradient as values forgotten", CrossAttention, "backward",
    "return dx, d_memory + self", "return dx, self", "DotAttention")
bug("recurrent attention's softmax skipped in backward", CrossAttention, "backward_read",
    'self.softmax.backward(d_weights[:, None], cache["softmax"])[:, 0]', "d_weights", "DotAttention")
bug("recurrent attention's query projection skipped in backward", CrossAttention, "backward_read",
    'self.query.backward(dq, cache["query"])', "dq @ self.query.weight.value.T", "AdditiveAttention", "never adds")
bug("the state keeps the memory in place of its keys", CrossAttention, "keys",
    'state["k"] = k', 'state["k"] = memory', ATTENTIONS)
bugs("state and context exchanged",
     [(AttentionalHidden, "forward", "[context, h]", "[h, context]")], COMBINED)
bug("attentional hidden state's gradients exchanged", AttentionalHidden, "backward",
    "return d_both[..., : self.d_context], d_both[..., self.d_context :]",
    "return d_both[..., self.d_context :], d_both[..., : self.d_context]", "AttentionalHidden", "shape")

# ---- encoder and decoders

bug("bridge gives h its gradient at the first layer", RecurrentEncoder, "backward",
    'd_last[0, :, -1] = self.bridge_h', 'd_last[0, :, 0] = self.bridge_h', "RecurrentEncoder")
bug("encoder's last c gets no gradient from the decoder", RecurrentEncoder, "backward",
    "d_last[1, :, -1] = self", "_ = self", "RecurrentEncoder")
bug("encoder's last h gets no gradient from the decoder", RecurrentEncoder, "backward",
    "d_last[0, :, -1] = self", "_ = self", "RecurrentEncoder")
bug("encoder gets no gradient through its memory", RecurrentEncoder, "backward",
    "(d_memory, *d_last)", "(0.0 * d_memory, *d_last)", "RecurrentEncoder")
bug("decoder's state gets no gradient as a query", LuongDecoder, "backward",
    "d_states + d_query", "d_states", "LuongDecoder")
bug("decoder's state gets a gradient as a query only", LuongDecoder, "backward",
    "d_states + d_query", "d_query", "LuongDecoder")
bug("decoder's first h and c exchanged in backward", LuongDecoder, "backward",
    "return dx, d_memory, dh, dc", "return dx, d_memory, dc, dh", "LuongDecoder")
bug("decoder's dropout forgotten in backward", LuongDecoder, "backward",
    'self.dropout.backward(dy, block["dropout"])', "dy", "LuongDecoder", "right without dropout")
bug("what is fed gets no gradient", InputFeedingDecoder, "backward",
    "dy[:, t : t + 1] + d_fed", "dy[:, t : t + 1]", "InputFeedingDecoder")
bug("what is fed gets its gradient behind dropout", InputFeedingDecoder, "backward",
    'self.dropout.backward(dy[:, t : t + 1] + d_fed, step["dropout"])',
    'd_fed + self.dropout.backward(dy[:, t : t + 1], step["dropout"])', "InputFeedingDecoder")
bug("keys' gradient of the first step only", InputFeedingDecoder, "backward",
    "dk += dk_of_step", "dk = dk_of_step", "InputFeedingDecoder")
bug("memory's gradient of the first step only", InputFeedingDecoder, "backward",
    "d_memory += d_memory_of_step", "d_memory = 1.0 * d_memory_of_step", "InputFeedingDecoder")
bug("x's gradients in reverse order", InputFeedingDecoder, "backward", "dxs[::-1]", "dxs", "InputFeedingDecoder")
bug("gradient of the state does not cross the steps", InputFeedingDecoder, "backward",
    "d_both, dh, dc = self", "d_both, *_ = self", "InputFeedingDecoder")

# ---- GRU

GRU_EQUATIONS = "a GRU is what its equations say, step by step and unit by unit, and padding leaves its state alone"

bug("GRU's reset gate forgotten", GRULayer, "forward", "n += r * seen[t]", "n += seen[t]", GRU_EQUATIONS)
bug("GRU keeps where it should move", GRULayer, "forward",
    "h[t + 1] *= z\n", "h[t + 1] *= 1.0 - z\n", GRU_EQUATIONS)
bug("GRU's state moved by padding", GRULayer, "forward",
    "np.copyto(h[t + 1], h[t], where=padded[t])", "pass", GRU_EQUATIONS)
bug("GRU's gradient does not pass the reset gate", GRULayer, "backward",
    "d_from_h[t, :, 2 * H :] = dn * r[t]", "d_from_h[t, :, 2 * H :] = dn", "GRULayer")
bug("GRU's gradient past the gates dropped", GRULayer, "backward",
    "dh = dh * z[t] + d_from_h[t] @ U.T", "dh = d_from_h[t] @ U.T", "GRULayer")
bug("GRU's gradient through the gates dropped", GRULayer, "backward",
    "dh = dh * z[t] + d_from_h[t] @ U.T", "dh = dh * z[t]", "GRULayer")
bug("GRU's update gate with the h behind the step", GRULayer, "backward", "(h[:-1] - n)", "(h[1:] - n)", "GRULayer")
bug("GRU's state loses its gradient at padding", GRULayer, "backward",
    "z = np.where(padded, z.dtype.type(1), z)", "pass", "GRULayer")
bug("GRU's second bias gets the first one's gradient", GRULayer, "backward",
    "column_sum(d_rows)", "column_sum(d_gates)", "GRULayer")
