"""A small case for every model, registered beside those of the layers.

H = 2 heads of d = 3 features (D = 6; once D = 4 with one head), B = 3 sentences, S = 4 source and T = 5 target tokens,
F = 5, V = 7 source and 11 target ids. Sentences are padded, one of them to all but a token; ids repeat; dropout is on.
"""

import numpy as np

from minitransformer.layers import (
    Decoder,
    DecoderBlock,
    Embedding,
    Encoder,
    EncoderBlock,
    Glorot,
    Identity,
    InputEmbedding,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    Residual,
    SelfAttention,
    SinusoidalPositions,
    Unembedding,
)
from minitransformer.models import (
    GPT,
    T5,
    BahdanauLSTM,
    DecoderOnly,
    EncoderDecoder,
    GPTConfig,
    InputFeedingLSTM,
    Llama,
    LlamaConfig,
    LSTMConfig,
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    Seq2SeqLSTM,
    T5Config,
    T5v11,
    TiedLlama,
    Transformer,
    TransformerConfig,
)

from .registry import case

# As narrow as a norm can be without its gradient vanishing, since every one of its numbers is perturbed.
SIZES = {"d_model": 4, "n_heads": 1, "d_ff": 3, "n_encoder_blocks": 1, "n_decoder_blocks": 1, "dropout": 0.3}


def sentences(rng, B=3, S=4, T=5, source_vocab=7, target_vocab=11):
    """Padded source and target ids."""
    source, target = rng.integers(1, source_vocab, (B, S)), rng.integers(1, target_vocab, (B, T))
    source[0, 1:] = 0
    source[1, 3:] = 0
    target[0, 2:] = 0
    return source, target


@case(MinimalTransformer)
def _minimal(rng):
    config = MinimalConfig(7, 11, d_model=6, n_heads=2, n_encoder_blocks=1, n_decoder_blocks=1)
    return MinimalTransformer(config, Glorot(rng, np.float64)), *sentences(rng)


@case(Transformer, "with one vocabulary")
def _shared(rng):
    return Transformer(TransformerConfig(7, **SIZES), Glorot(rng, np.float64)), *sentences(rng, target_vocab=7)


@case(Transformer, "with two vocabularies")
def _separate(rng):
    config = TransformerConfig(7, 11, **SIZES)
    return Transformer(config, Glorot(rng, np.float64)), *sentences(rng)


@case(PreNormTransformer)
def _pre_norm(rng):
    return PreNormTransformer(TransformerConfig(7, **SIZES), Glorot(rng, np.float64)), *sentences(rng, target_vocab=7)


@case(DecoderOnly, "assembled by hand")
def _decoder_only(rng):
    init = Glorot(rng, np.float64)
    tokens = Embedding(11, 6, init)
    block = EncoderBlock(Residual(SelfAttention(6, 2, init, 0.3)), Residual(Linear(6, 6, init)))
    with_positions = InputEmbedding(tokens, LearnedPositions(7, 6, init))
    model = DecoderOnly(with_positions, Encoder([block]), Unembedding(tokens.weight, 0.5))
    return model, rng.integers(0, 11, (3, 5))


@case(EncoderDecoder, "assembled by hand")
def _by_hand(rng):
    init = Glorot(rng, np.float64)
    source, target = Embedding(7, 6, init), Embedding(11, 6, init)
    encoder = Encoder([EncoderBlock(Residual(SelfAttention(6, 3, init)), Residual(Linear(6, 6, init)))])
    cross = Residual(MultiHeadAttention(6, 2, init))
    decoder = Decoder([DecoderBlock(Residual(SelfAttention(6, 1, init)), cross, Identity())])
    with_positions = InputEmbedding(source, SinusoidalPositions(6))
    model = EncoderDecoder(with_positions, InputEmbedding(target), encoder, decoder, Unembedding(target.weight, 0.5))
    return model, *sentences(rng)


# One table is shared by the blocks of a stack: two in the encoder of one, in the decoder of the other.
T5_SIZES = {"d_ff": 3, "n_buckets": 4, "max_distance": 3, "dropout": 0.3}


@case(T5)
def _t5(rng):
    config = T5Config(7, 4, 3, 2, n_encoder_blocks=2, n_decoder_blocks=1, **T5_SIZES)
    return T5(config, Glorot(rng, np.float64)), *sentences(rng, target_vocab=7)


@case(T5v11)
def _t5_v1_1(rng):
    config = T5Config(7, 4, 3, 2, n_encoder_blocks=1, n_decoder_blocks=2, **T5_SIZES)
    return T5v11(config, Glorot(rng, np.float64)), *sentences(rng, target_vocab=7)


@case(GPT)
def _gpt(rng):
    return GPT(GPTConfig(7, 6, 6, 2, 2, 5, dropout=0.3), Glorot(rng, np.float64)), rng.integers(0, 6, (3, 5))


@case(Llama)
def _llama(rng):
    return Llama(LlamaConfig(7, 6, 8, 4, 2, 5, 2, base=10.0), Glorot(rng, np.float64)), rng.integers(0, 6, (3, 5))


@case(TiedLlama)
def _tied_llama(rng):
    return TiedLlama(LlamaConfig(7, 6, 6, 3, None, 5, 1), Glorot(rng, np.float64)), rng.integers(0, 6, (3, 5))


# D = 3 units, embeddings of 2: two layers in the encoder of one, in the decoder of the others.


@case(Seq2SeqLSTM, "with one vocabulary")
def _lstm(rng):
    config = LSTMConfig(7, None, 3, 2, n_encoder_layers=2, dropout=0.3)
    return Seq2SeqLSTM(config, Glorot(rng, np.float64)), *sentences(rng, target_vocab=7)


@case(BahdanauLSTM)
def _lstm_bahdanau(rng):
    config = LSTMConfig(7, 11, 3, 2, n_decoder_layers=2, dropout=0.3)
    return BahdanauLSTM(config, Glorot(rng, np.float64)), *sentences(rng)


@case(InputFeedingLSTM)
def _lstm_input_feeding(rng):
    config = LSTMConfig(7, 11, 3, n_decoder_layers=2, dropout=0.3)
    return InputFeedingLSTM(config, Glorot(rng, np.float64)), *sentences(rng)
