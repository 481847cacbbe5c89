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
from .sorting import SortingTask
from .spans import SpanCorruption, corrupt_spans, random_spans, restore_spans, sentinels
from .texts import TextBatches, documentation, read_text, text_windows
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
    "SortingTask",
    "SpanCorruption",
    "TextBatches",
    "ToyTask",
    "Vocabulary",
    "WordVocabulary",
    "corrupt_spans",
    "documentation",
    "evaluation_batches",
    "pad_sequences",
    "random_spans",
    "read_aligned",
    "read_pairs",
    "read_text",
    "restore_spans",
    "sentinels",
    "sequence_to_sequence_batch",
    "split_by_source",
    "text_windows",
    "vocabulary_from_dict",
]
