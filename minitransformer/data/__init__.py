"""Text -> ids -> batches: vocabularies, built-in tasks, files of sentence pairs."""

from .batches import (
    Batch,
    FreshBatches,
    PairBatches,
    evaluation_batches,
    pad_sequences,
    sequence_to_sequence_batch,
)
from .bpe import BytePairVocabulary
from .errors import DataError
from .grammar import EnglishFrench, Example
from .language import LanguageVocabulary
from .pairs import read_aligned, read_pairs, split_by_source
from .toy import ToyTask
from .vocabulary import (
    BOS,
    EOS,
    PAD,
    UNK,
    CharacterVocabulary,
    Vocabulary,
    WordVocabulary,
    vocabulary_from_dict,
)

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "UNK",
    "Batch",
    "BytePairVocabulary",
    "CharacterVocabulary",
    "DataError",
    "EnglishFrench",
    "Example",
    "FreshBatches",
    "LanguageVocabulary",
    "PairBatches",
    "ToyTask",
    "Vocabulary",
    "WordVocabulary",
    "evaluation_batches",
    "pad_sequences",
    "read_aligned",
    "read_pairs",
    "sequence_to_sequence_batch",
    "split_by_source",
    "vocabulary_from_dict",
]
