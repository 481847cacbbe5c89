"""Encoder and decoders of the recurrent translator: what is read ends in a state, with which the decoder begins.

RecurrentEncoder        memory, h, c = lstm(x)          h, c -> tanh(W h + b), tanh(W c + b): the decoder's first
AttentionalHidden      y = tanh([context; h] W)
LuongDecoder    h = lstm(x), context = attention(h, memory), y = attentional state of both
InputFeedingDecoder   the same step by step, since the LSTM also reads the y before: lstm([x_t; y_{t-1}])
"""

from __future__ import annotations

import numpy as np

from ...arguments import checked
from ..activations import Tanh
from ..base import Array, Cache, Layer
from ..checks import check_axes, check_gradient, check_gradients
from ..containers import Chain
from ..decoding_state import DecodingState, substate
from ..dropout import Dropout
from ..initializers import Init, as_initializer
from ..linear import Dense, Linear
from .attention import CrossAttention
from .stack import RecurrentStack


@checked
class RecurrentEncoder(Layer):
    """A recurrent encoder, and the bridge from its last state to the decoder's first.

    Parameters
    ----------
    lstm : RecurrentStack
        Such as `BidirectionalLSTM`; the last state of its last layer crosses the bridge.
    n_layers, d_hidden : int
        Of the decoder: N layers of H units.
    init : Initializer or np.random.Generator

    Shapes: x (B, S, D), mask (B, 1, 1, S) boolean, True = a token -> memory (B, S, M), h and c (B, N, H).

    Source: Bahdanau et al. 2015, appendix A.2.2 (s_0 = tanh(W h)), here for c as for h and for every layer.
    """

    def __init__(self, lstm: RecurrentStack, n_layers: int, d_hidden: int, init: Init) -> None:
        init = as_initializer(init)
        self.n_layers, self.d_hidden = n_layers, d_hidden
        self.lstm = lstm
        self.bridge_h = Chain(dense=Dense(lstm.d_hidden, n_layers * d_hidden, init), activation=Tanh())
        self.bridge_c = Chain(dense=Dense(lstm.d_hidden, n_layers * d_hidden, init), activation=Tanh())

    def forward(
        self, x: Array, mask: Array | None = None, rng: np.random.Generator | None = None
    ) -> tuple[tuple[Array, ...], Cache]:
        check_axes("x", x, "B T D")
        if mask is not None:
            check_axes("mask", mask, "B 1 1 S")
        shape = (len(x), self.n_layers, self.d_hidden)
        tokens = None if mask is None else mask[:, 0, 0]  # (B, 1, 1, S) -> (B, S)
        (memory, h_last, c_last), lstm_cache = self.lstm.forward(x, tokens, rng=rng)
        h, h_cache = self.bridge_h.forward(h_last[:, -1])
        c, c_cache = self.bridge_c.forward(c_last[:, -1])
        shapes = [memory.shape, shape, shape]
        cache = Cache(lstm=lstm_cache, bridge_h=h_cache, bridge_c=c_cache, shapes=shapes)
        return (memory, h.reshape(shape), c.reshape(shape)), cache  # (B, N H) -> (B, N, H)

    def backward(self, d_output: tuple[Array, ...], cache: Cache) -> Array:
        check_gradients(self, d_output, cache["shapes"])
        d_memory, dh, dc = d_output
        B, N = len(dh), len(self.lstm.layers)
        d_last = np.zeros((2, B, N, self.lstm.d_hidden), dh.dtype)  # only the last layer's states are used
        d_last[0, :, -1] = self.bridge_h.backward(dh.reshape(B, -1), cache["bridge_h"])
        d_last[1, :, -1] = self.bridge_c.backward(dc.reshape(B, -1), cache["bridge_c"])
        return self.lstm.backward((d_memory, *d_last), cache["lstm"])


@checked
class AttentionalHidden(Layer):
    """y = tanh([context; h] W).

    Parameters
    ----------
    d_context, d_hidden : int
        Features M of the context and H of h and y.
    init : Initializer or np.random.Generator

    Shapes: context (B, T, M), h (B, T, H) -> y (B, T, H).

    Source: Luong et al. 2015, eq. 5.
    """

    def __init__(self, d_context: int, d_hidden: int, init: Init) -> None:
        self.d_context = d_context
        self.mix = Linear(d_context + d_hidden, d_hidden, init)
        self.activation = Tanh()

    def forward(self, context: Array, h: Array, rng: np.random.Generator | None = None) -> tuple[Array, Cache]:
        check_axes("context", context, "B T M")
        check_axes("h", h, "B T H")
        if context.shape[:2] != h.shape[:2]:
            raise ValueError(f"h has shape {h.shape}: it must have the B and T of a context of shape {context.shape}")
        mixed, mix_cache = self.mix.forward(np.concatenate([context, h], axis=-1))  # (B, T, M + H) -> (B, T, H)
        y, activation_cache = self.activation.forward(mixed)
        return y, Cache(mix=mix_cache, activation=activation_cache)

    def backward(self, dy: Array, cache: Cache) -> tuple[Array, Array]:
        d_mixed = self.activation.backward(dy, cache["activation"])
        d_both = self.mix.backward(d_mixed, cache["mix"])
        return d_both[..., : self.d_context], d_both[..., self.d_context :]


@checked
class LuongDecoder(Layer):
    """The LSTM runs first, then all its states attend to the memory in one product.

    Parameters
    ----------
    lstm : RecurrentStack
    attention : CrossAttention
    combine : Layer
        (context, h) -> y, such as `AttentionalHidden`.
    dropout : float
        Of y.

    Shapes: x (B, T, D), memory (B, S, M), h and c (B, N, H), mask broadcast to (B, 1, T, S) -> y (B, T, H). Backward
    returns the gradients of x, memory, h and c. The attention map is
    `cache["blocks"][0]["cross_attention"]["weights"]`, where it is for a decoder of the Transformer too.

    Source: Luong et al. 2015, section 3.
    """

    @staticmethod
    def d_fed(d_hidden: int) -> int:
        """Features that the LSTM reads beside x: none."""
        return 0

    def __init__(self, lstm: RecurrentStack, attention: CrossAttention, combine: Layer, dropout: float = 0.0) -> None:
        self.lstm = lstm
        self.cross_attention = attention
        self.combine = combine
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Array,
        memory: Array,
        h: Array,
        c: Array,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        if state is not None:
            h, c = state.get("h", h), state.get("c", c)  # those of the last call, or the encoder's
        (states, h, c), lstm_cache = self.lstm.forward(x, None, h, c, rng=rng)
        if state is not None:
            state.update(h=h, c=c)
        context, attention_cache = self.cross_attention.forward(
            states, memory, mask, state=substate(state, "cross_attention")
        )
        combined, combine_cache = self.combine.forward(context, states)
        y, dropout_cache = self.dropout.forward(combined, rng=rng)
        block = Cache(lstm=lstm_cache, cross_attention=attention_cache, combine=combine_cache, dropout=dropout_cache)
        return y, Cache(blocks=[block], shape=h.shape)

    def backward(self, dy: Array, cache: Cache) -> tuple[Array, Array, Array, Array]:
        (block,) = cache["blocks"]
        d_combined = self.dropout.backward(dy, block["dropout"])
        d_context, d_states = self.combine.backward(d_combined, block["combine"])
        d_query, d_memory = self.cross_attention.backward(d_context, block["cross_attention"])
        d_last = np.zeros(cache["shape"], dy.dtype)  # nobody reads the decoder's last state
        dx, dh, dc = self.lstm.backward((d_states + d_query, d_last, d_last), block["lstm"])
        return dx, d_memory, dh, dc


class InputFeedingDecoder(LuongDecoder):
    """Each step also reads the attentional state before it, so that it knows where was looked already.

    Parameters
    ----------
    lstm : RecurrentStack
        Of D + H features of input.
    attention, combine, dropout
        As for `LuongDecoder`; what is fed is what was dropped from.

    Shapes: as `LuongDecoder`. No step can begin before the one before it has ended, attention included.

    Source: Luong et al. 2015, section 3.3.
    """

    @staticmethod
    def d_fed(d_hidden: int) -> int:
        """Features that the LSTM reads beside x: the attentional hidden state of the step before."""
        return d_hidden

    def forward(
        self,
        x: Array,
        memory: Array,
        h: Array,
        c: Array,
        mask: Array | None = None,
        rng: np.random.Generator | None = None,
        state: DecodingState | None = None,
    ) -> tuple[Array, Cache]:
        check_axes("x", x, "B T D")
        B, T, _ = x.shape
        fed = np.zeros((B, 1, self.lstm.d_hidden), x.dtype)
        if state is not None:  # what the last call left, or the encoder's h and c
            h, c, fed = state.get("h", h), state.get("c", c), state.get("fed", fed)
        k, key_cache = self.cross_attention.keys(memory, substate(state, "cross_attention"))
        ys, steps = [], []
        for t in range(T):
            both = np.concatenate([x[:, t : t + 1], fed], axis=-1)  # (B, 1, D), (B, 1, H) -> (B, 1, D + H)
            (states, h, c), lstm_cache = self.lstm.forward(both, None, h, c, rng=rng)
            context, attention_cache = self.cross_attention.read(states, k, memory, mask)
            combined, combine_cache = self.combine.forward(context, states)
            fed, dropout_cache = self.dropout.forward(combined, rng=rng)
            ys.append(fed)
            steps.append(
                Cache(lstm=lstm_cache, cross_attention=attention_cache, combine=combine_cache, dropout=dropout_cache)
            )
        if state is not None:
            state.update(h=h, c=c, fed=fed)
        weights = np.concatenate([step["cross_attention"]["weights"] for step in steps], axis=2)
        block = Cache(cross_attention=Cache(weights=weights, key=key_cache), steps=steps)
        y = np.concatenate(ys, axis=1)
        return y, Cache(blocks=[block], shape=h.shape, key_shape=k.shape, memory=memory, output_shape=y.shape)

    def backward(self, dy: Array, cache: Cache) -> tuple[Array, Array, Array, Array]:
        (block,) = cache["blocks"]
        check_gradient(self, dy, cache["output_shape"])
        T, H = dy.shape[1:]
        dh, dc = np.zeros((2, *cache["shape"]), dy.dtype)  # nobody reads the decoder's last state
        d_fed = np.zeros_like(dy[:, :1])
        dk, d_memory = np.zeros(cache["key_shape"], dy.dtype), np.zeros_like(cache["memory"])
        dxs = []
        for t in reversed(range(T)):
            step = block["steps"][t]
            d_combined = self.dropout.backward(dy[:, t : t + 1] + d_fed, step["dropout"])
            d_context, d_states = self.combine.backward(d_combined, step["combine"])
            d_query, dk_of_step, d_memory_of_step = self.cross_attention.backward_read(
                d_context, step["cross_attention"]
            )
            dk += dk_of_step  # every step read the same keys and the same memory
            d_memory += d_memory_of_step
            d_both, dh, dc = self.lstm.backward((d_states + d_query, dh, dc), step["lstm"])
            dxs.append(d_both[..., :-H])
            d_fed = d_both[..., -H:]
        d_memory += self.cross_attention.key.backward(dk, block["cross_attention"]["key"])
        return np.concatenate(dxs[::-1], axis=1), d_memory, dh, dc
