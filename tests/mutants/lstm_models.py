"""The list of bugs in the recurrent translators."""

from __future__ import annotations

from minitransformer.layers import (
    CrossAttention,
    InputFeedingDecoder,
    LuongDecoder,
    RecurrentEncoder,
    decoding_state,
)
from minitransformer.models import BahdanauLSTM, EncoderDecoder, InputFeedingLSTM, Seq2SeqLSTM, lstm

from .injection import bug

# fmt: off

DIAGRAM = "recurrent translators are what their diagram says, sentence by sentence"
GRADIENTS = "the gradients of recurrent translators are their derivatives"
STEPPED = "recurrent translators decode with a state what their forward gives"
COUNTED = "recurrent translators have as many parameters as by hand"

bug("source padding read by the LSTM", RecurrentEncoder, "forward",
    "None if mask is None else mask[:, 0, 0]", "None", DIAGRAM)
bug("decoder begins with the first layer's last state", RecurrentEncoder, "forward",
    "self.bridge_h.forward(h_last[:, -1])", "self.bridge_h.forward(h_last[:, 0])", DIAGRAM)
bug("decoder's first c made from h", RecurrentEncoder, "forward",
    "self.bridge_c.forward(c_last[:, -1])", "self.bridge_c.forward(h_last[:, -1])", DIAGRAM)
bug("decoder begins at the encoder's last position, padding or not", RecurrentEncoder, "forward",
    "self.bridge_h.forward(h_last[:, -1])", "self.bridge_h.forward(memory[:, -1])", DIAGRAM)
bug("decoder begins at zero", LuongDecoder, "forward",
    "self.lstm.forward(x, None, h, c, rng=rng)", "self.lstm.forward(x, None, 0.0 * h, 0.0 * c, rng=rng)", DIAGRAM)
bug("decoder's first h and c exchanged", LuongDecoder, "forward",
    "self.lstm.forward(x, None, h, c, rng=rng)", "self.lstm.forward(x, None, c, h, rng=rng)", DIAGRAM)
bug("attention to the source's padding", LuongDecoder, "forward",
    "states, memory, mask,", "states, memory, None,", DIAGRAM)
bug("attention queries with the state of another step", LuongDecoder, "forward",
    "states, memory, mask,", "np.roll(states, 1, axis=1), memory, mask,", DIAGRAM)
bug("input feeding feeds zeros", InputFeedingDecoder, "forward",
    "[x[:, t : t + 1], fed]", "[x[:, t : t + 1], 0.0 * fed]", DIAGRAM)
bug("input feeding feeds the state", InputFeedingDecoder, "forward",
    "[x[:, t : t + 1], fed]", "[x[:, t : t + 1], states if t else fed]", DIAGRAM)
bug("input feeding with a padded memory", InputFeedingDecoder, "forward",
    "self.cross_attention.read(states, k, memory, mask)", "self.cross_attention.read(states, k, memory, None)", DIAGRAM)
bug("Bahdanau's model with Luong's score", BahdanauLSTM, "__init__",
    "attention=bahdanau_attention", "attention=luong_attention", COUNTED)
bug("input feeding left out", InputFeedingLSTM, "__init__", "decoder=InputFeedingDecoder", "", COUNTED)
bug("one layer in place of many in the encoder", Seq2SeqLSTM, "__init__",
    "init, c.n_encoder_layers,", "init, 1,", COUNTED)
bug("recurrent model's shared table copied", lstm, "token_embeddings",
    "weight=source.weight", "weight=type(source.weight)(source.weight.value.copy())", COUNTED)
bug("recurrent embeddings not scaled", lstm, "token_embeddings", "d_model**0.5", "1.0", DIAGRAM)
bug("recurrent model's target embedding gets no gradient", Seq2SeqLSTM, "backward_decode",
    'self.target_embedding.backward(dx, cache["target_embedding"])', "pass", GRADIENTS)
bug("encoder gets no gradient from the decoder's first state", Seq2SeqLSTM, "backward_decode",
    "return tuple(d_memory)", "return d_memory[0], 0.0 * d_memory[1], 0.0 * d_memory[2]", GRADIENTS)
bug("decoding forgets the state", LuongDecoder, "forward", "state.update(h=h, c=c)", "pass", STEPPED)
bug("decoding forgets the cell, with input feeding", InputFeedingDecoder, "forward",
    "state.update(h=h, c=c, fed=fed)", "state.update(h=h, fed=fed)", STEPPED)
bug("the decoder gets no state", Seq2SeqLSTM, "decode", 'state=substate(state, "decoder")', "state=None", STEPPED)
bug("a memory of several arrays kept whole when rows are chosen", decoding_state, "_select",
    "tuple(_select(item, rows) for item in value)", "value", STEPPED)
bug("decoding begins at zero", LuongDecoder, "forward",
    'state.get("h", h), state.get("c", c)', 'state.get("h", 0.0 * h), state.get("c", 0.0 * c)', STEPPED)
bug("decoding feeds zeros", InputFeedingDecoder, "forward", 'state.get("fed", fed)', "fed", STEPPED)
bug("decoding attends to padding", EncoderDecoder, "next_logits", 'state["memory_mask"]', "None", STEPPED)
bug("decoding attends with other keys than the first ones", CrossAttention, "keys",
    'return state["k"]', 'return 0.0 * state["k"]', STEPPED)
