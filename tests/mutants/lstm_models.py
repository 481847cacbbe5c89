"""The list of bugs in the recurrent translators."""

from __future__ import annotations

from minitransformer.layers import (
    CrossAttention,
    InputFeedingDecoder,
    LuongDecoder,
    RecurrentEncoder,
    RecurrentStack,
)
from minitransformer.models import BahdanauLSTM, InputFeedingLSTM, Seq2SeqLSTM, lstm

from .injection import bug, bugs

# fmt: off

DIAGRAM = "recurrent translators are what their diagram says, sentence by sentence"
GRADIENTS = "the gradients of recurrent translators are their derivatives"
STEPPED = "the steps of recurrent translators give what their forward gives"
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
    "states, memory, mask)", "states, memory, None)", DIAGRAM)
bug("attention asks with the state of another step", LuongDecoder, "forward",
    "self.cross_attention.forward(states,", "self.cross_attention.forward(np.roll(states, 1, axis=1),", DIAGRAM)
bug("input feeding feeds zeros", InputFeedingDecoder, "forward",
    "[x[:, t : t + 1], fed]", "[x[:, t : t + 1], 0.0 * fed]", DIAGRAM)
bug("input feeding feeds the state", InputFeedingDecoder, "forward",
    "[x[:, t : t + 1], fed]", "[x[:, t : t + 1], states if t else fed]", DIAGRAM)
bug("input feeding with a padded memory", InputFeedingDecoder, "forward",
    "self.cross_attention.read(states, k, memory, mask)", "self.cross_attention.read(states, k, memory, None)", DIAGRAM)
bug("Bahdanau's model with Luong's score", BahdanauLSTM, "new_attention",
    "AdditiveAttention(D, 2 * D, D, init)", "DotAttention(Linear(2 * D, D, init))", COUNTED)
bugs("input feeding left out",
     [(InputFeedingLSTM, "new_decoder", "InputFeedingDecoder(", "LuongDecoder("),
      (InputFeedingLSTM, "new_decoder", "LSTM(c.width + D,", "LSTM(c.width,")], COUNTED)
bug("one layer in place of many in the encoder", Seq2SeqLSTM, "__init__",
    "init, c.n_encoder_layers,", "init, 1,", COUNTED)
bug("recurrent model's shared table copied", lstm, "token_embeddings",
    "weight=source.weight", "weight=type(source.weight)(source.weight.value.copy())", COUNTED)
bug("recurrent embeddings not scaled", lstm, "token_embeddings", "config.width**0.5", "1.0", DIAGRAM)
bug("recurrent model's target embedding gets no gradient", Seq2SeqLSTM, "backward_decode",
    'self.target_embedding.backward(dx, cache["target_embedding"])', "pass", GRADIENTS)
bug("encoder gets no gradient from the decoder's first state", Seq2SeqLSTM, "backward_decode",
    "return tuple(d_memory)", "return d_memory[0], 0.0 * d_memory[1], 0.0 * d_memory[2]", GRADIENTS)
bug("a step forgets the state", RecurrentStack, "step", "state.update(zip(self.states, last))", "pass", STEPPED)
bug("a step begins at zero", Seq2SeqLSTM, "begin", ".update(h=h, c=c)", ".update(h=0.0 * h, c=0.0 * c)", STEPPED)
bug("a step feeds zeros", InputFeedingDecoder, "step",
    "[x_t, fed]", "[x_t, 0.0 * fed]", STEPPED)
bug("a step attends to padding", LuongDecoder, "step",
    'state["cross_attention"], memory, mask)', 'state["cross_attention"], memory, None)', STEPPED)
bug("a step's keys are the memory", CrossAttention, "step",
    "self.key(memory)", "self.key(memory * 0.0)", STEPPED)
