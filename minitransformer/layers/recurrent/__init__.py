"""Recurrent layers: LSTM and GRU, in stacks, in one direction or two; and a translator's encoder and decoders."""

from .attention import AdditiveAttention, AdditiveScore, CrossAttention, DotAttention, DotScore
from .gru import GRU, BidirectionalGRU, GRULayer
from .lstm import LSTM, BidirectionalLSTM, LSTMCell, LSTMLayer
from .seq2seq import AttentionalHidden, InputFeedingDecoder, LuongDecoder, RecurrentEncoder
from .stack import Bidirectional, RecurrentStack

__all__ = [
    "GRU",
    "LSTM",
    "AdditiveAttention",
    "AdditiveScore",
    "AttentionalHidden",
    "Bidirectional",
    "BidirectionalGRU",
    "BidirectionalLSTM",
    "CrossAttention",
    "DotAttention",
    "DotScore",
    "GRULayer",
    "InputFeedingDecoder",
    "LSTMCell",
    "LSTMLayer",
    "LuongDecoder",
    "RecurrentEncoder",
    "RecurrentStack",
]
