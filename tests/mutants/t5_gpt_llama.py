"""The list of bugs in the recipes of T5, GPT and Llama."""

from __future__ import annotations

from minitransformer.layers import EncoderBlock
from minitransformer.models import GPT, T5, DecoderOnly, EncoderDecoder, Llama, T5v11, TiedLlama, llama, t5

from .injection import bug

# fmt: off

OF_T5 = "T5 is what its paper says, sentence by sentence"
OF_T5_V1_1 = "T5 v1.1 is what its paper says, sentence by sentence"
OF_GPT = "GPT-2 is what its paper says, text by text"
OF_LLAMA = "Llama is what its paper says, text by text"
COUNTED = "T5, GPT and Llama have as many parameters as by hand"
STEPPED = "T5, GPT and Llama decode with a state what their forward gives"

bug("T5's scores scaled by sqrt(d)", t5, "attention", "scale=1.0, ", "", OF_T5)
bug("T5's decoder with the encoder's buckets", t5, "decoder", "causal_bucket", "bidirectional_bucket", OF_T5)
bug("T5's encoder with the decoder's buckets", t5, "encoder", "bidirectional_bucket", "causal_bucket", OF_T5)
bug("T5 with a bias for every block", t5, "encoder",
    "attention(SelfAttention, c, init, bias)",
    "attention(SelfAttention, c, init, RelativePositionBias(c.n_heads, init, c.n_buckets, c.max_distance))", COUNTED)
bug("T5's bias on its attention to the memory", t5, "decoder",
    "attention(MultiHeadAttention, c, init, None)", "attention(MultiHeadAttention, c, init, bias)", OF_T5)
bug("T5's self-attention without its bias", t5, "encoder",
    "attention(SelfAttention, c, init, bias)", "attention(SelfAttention, c, init, None)", COUNTED)
bug("T5's head not rescaled", T5, "__init__", "scale=D**-0.5", "scale=1.0", OF_T5)
bug("T5's head divided by D", T5, "__init__", "scale=D**-0.5", "scale=D**-1.0", OF_T5)
bug("T5 v1.1's head rescaled and tied", T5v11, "__init__",
    "head=UNTIED", "head=None", COUNTED)
bug("T5's gated layer with SiLU", t5, "gated_gelu_feed_forward", ", activation=GELU()", "", OF_T5_V1_1)
bug("T5 with gates in v1.0", t5, "relu_feed_forward",
    "FeedForward(config.d_model, config.d_ff, init, config.dropout, projection=Linear)",
    "GatedFeedForward(config.d_model, config.d_ff, init)", COUNTED)
bug("T5 with biases", t5, "relu_feed_forward", ", projection=Linear", "", COUNTED)
bug("T5's last norm left out", t5, "last_norm",
    "scale=RMSNorm(config.d_model, init, config.eps), ", "", COUNTED)
bug("T5's eps ignored", t5, "norm_and_add", ", config.eps", "", OF_T5)
bug("T5's heads as wide as D / H", t5, "attention", "d_head=c.d_kv", "d_head=c.d_model // c.n_heads", COUNTED)
bug("T5's tables of both sides apart", T5, "__init__", ", weight=tokens.weight", "", COUNTED)
bug("T5's embeddings scaled by sqrt(D)", T5, "__init__",
    "init, weight", "init, D**0.5, weight", OF_T5)
bug("GPT without its last norm", GPT, "__init__", "norm=LayerNorm(D, init, c.eps)", "norm=None", COUNTED)
bug("GPT with ReLU", GPT, "__init__", "activation=GELU(), ", "", OF_GPT)
bug("GPT without positions", GPT, "__init__",
    ", LearnedPositions(c.max_length, D, init), c.dropout)", ", dropout=c.dropout)", COUNTED)
bug("GPT's head apart from its table", GPT, "__init__",
    "c.head.build(tokens, init)", "Dense(D, c.vocab, init)", COUNTED)
bug("GPT with one head", GPT, "__init__", "SelfAttention(D, c.n_heads,", "SelfAttention(D, 1,", OF_GPT)
bug("Llama without positions", llama, "decoder", ", rotary=rotary", "", OF_LLAMA)
bug("Llama's rotary base ignored", llama, "decoder",
    "Rotary(D // c.n_heads, c.base)", "Rotary(D // c.n_heads)", OF_LLAMA)
bug("Llama's eps ignored", llama, "decoder", "PreNorm(sublayer, RMSNorm(D, init, c.eps))",
    "PreNorm(sublayer, RMSNorm(D, init))", OF_LLAMA)
bug("Llama with a key head for every query head", llama, "decoder",
    "c.n_kv_heads or c.n_heads", "c.n_heads", COUNTED)
bug("Llama without gates", llama, "decoder",
    "GatedFeedForward(D, c.d_ff, init, output=output)",
    "Linear(D, D, init)", COUNTED)
bug("Llama without its last norm", llama, "decoder", "norm=RMSNorm(D, init, c.eps)", "norm=None", COUNTED)
bug("Llama's tied head apart from its table", TiedLlama, "__init__", "head=TIED", "head=UNTIED", COUNTED)
bug("Llama's head not its own", Llama, "__init__", "Untied | Tied = UNTIED", "Untied | Tied = TIED", COUNTED)
bug("a language model sees what it is to predict", DecoderOnly, "forward",
    "causal_mask(start + T, T) if T > 1 else None", "None", OF_GPT)
bug("a language model's embedding gets no gradient", DecoderOnly, "backward",
    'self.embedding.backward(dx, cache["embedding"])', "pass",
    "the gradients of T5, GPT and Llama are their derivatives")
bug("decoding keeps nothing of the texts before", DecoderOnly, "forward",
    'state=substate(state, "decoder")', "state=None", STEPPED)
bug("a language model forgets its state", DecoderOnly, "next_logits", "(ids, state=state)", "(ids)", STEPPED)
bug("a language model's attention gets no state", EncoderBlock, "forward",
    'state=substate(state, "attention")', "state=None", STEPPED)
bug("a language model counts positions from 0 at every call", DecoderOnly, "forward",
    ", start=start)", ")", STEPPED)
bug("decoding keeps nothing of the target before", EncoderDecoder, "decode",
    'state=substate(state, "decoder")', "state=None", STEPPED)
