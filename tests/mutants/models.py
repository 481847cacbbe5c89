"""The list of bugs in the Transformers of lecture notes, of 2017 and with pre-norm."""

from __future__ import annotations

from minitransformer.layers import Encoder, Layer, PreNorm, Residual
from minitransformer.models import EncoderDecoder, MinimalTransformer, PreNormTransformer, Transformer, transformer
from minitransformer.models.parts import Tied

from .injection import bug

# fmt: off

MINIMAL = "the minimal Transformer is what its diagram says, sentence by sentence"
OF_2017 = "the Transformer of 2017 is what its paper says, sentence by sentence"
PRE_NORM = "the pre-norm Transformer is what its paper says, sentence by sentence"
GRADIENTS = "the gradient of a whole model is its derivative"
TIED_ONCE = "a tied table is one matrix, counted once"

bug("source padding seen by the encoder", EncoderDecoder, "encode",
    "padding_mask(source, self.pad)", "None", MINIMAL)
bug("source padding seen by the decoder", EncoderDecoder, "forward",
    "padding_mask(source, self.pad)", "padding_mask(source, -1)", MINIMAL)
bug("decoder sees the tokens that it is to predict", EncoderDecoder, "decode",
    "causal_mask(start + T, T) if T > 1 else None", "None", MINIMAL)
bug("attention to the source's embeddings, not to the encoder's output", EncoderDecoder, "forward",
    "self.decode(target, memory,", "self.decode(target, self.source_embedding(source),", MINIMAL)
bug("decoder embeds its input with the source's table", EncoderDecoder, "decode",
    "self.target_embedding.forward(target,", "self.source_embedding.forward(target % 7,", MINIMAL)
bug("memory of the sentence before", EncoderDecoder, "decode",
    "self.decoder.forward(x, memory,", "self.decoder.forward(x, np.roll(memory, 1, axis=0),", OF_2017)
bug("encoder gets no gradient", EncoderDecoder, "backward",
    "self.backward_encode(d_memory, cache)", "pass", GRADIENTS)
bug("target's embedding gets no gradient from the decoder", EncoderDecoder, "backward_decode",
    'self.target_embedding.backward(dx, cache["target_embedding"])', "pass", GRADIENTS)
bug("source's embedding gets no gradient", EncoderDecoder, "backward_encode",
    'self.source_embedding.backward(dx, cache["source_embedding"])', "pass", GRADIENTS)
bug("positions forgotten", MinimalTransformer, "__init__",
    ", SinusoidalPositions(D))", ")", MINIMAL)
bug("embeddings not scaled by sqrt(D)", MinimalTransformer, "__init__",
    "scale=D**0.5", "scale=1.0", MINIMAL)
bug("one head in place of many", MinimalTransformer, "__init__",
    "MultiHeadAttention(D, c.n_heads,", "MultiHeadAttention(D, 1,", MINIMAL)
bug("one decoder block in place of many", MinimalTransformer, "__init__",
    "range(c.n_decoder_blocks)", "range(1)", MINIMAL)
bug("embeddings not scaled by sqrt(D), with a shared table", transformer, "token_embeddings",
    "d_model**0.5", "1.0", OF_2017)
bug("positions forgotten, with a shared table", Transformer, "__init__",
    "(target_tokens, c.positions.build(D, init), c.dropout)", "(target_tokens, dropout=c.dropout)", OF_2017)
bug("positions of the source forgotten", Transformer, "__init__",
    "(source_tokens, c.positions.build(D, init), c.dropout)", "(source_tokens, dropout=c.dropout)", OF_2017)
bug("pre-norm where post-norm is said", Transformer, "__init__",
    "residual(sublayer", "PreNorm(sublayer", OF_2017)
bug("post-norm where pre-norm is said", PreNormTransformer, "__init__",
    "residual=PreNorm", "", PRE_NORM)
bug("a last norm behind post-norm", Transformer, "__init__",
    "decoder_blocks(c, init, wrap), norm=residual.last_norm(LayerNorm(D, init))",
    "decoder_blocks(c, init, wrap), norm=LayerNorm(D, init)", OF_2017)
bug("pre-norm's last norms left out", Encoder, "__init__",
    "norm or Identity()", "Identity()", PRE_NORM)
bug("pre-norm says that it needs no last norm", PreNorm, "last_norm", "return norm", "return None", PRE_NORM)
bug("post-norm says that it needs a last norm", Residual, "last_norm", "return None", "return norm", TIED_ONCE)
bug("head tied to the source's table", Transformer, "__init__",
    "TIED.build(target_tokens", "TIED.build(source_tokens", PRE_NORM)
bug("shared table copied", transformer, "token_embeddings",
    "weight=source.weight", "weight=type(source.weight)(source.weight.value.copy())", TIED_ONCE)
bug("head's tied table copied", Tied, "build",
    "Unembedding(tokens.weight,", "Unembedding(type(tokens.weight)(tokens.weight.value.copy()),", TIED_ONCE)
bug("tied parameter listed once for every use", Layer, "named_parameters",
    "and id(child) not in seen", "and True", TIED_ONCE)
