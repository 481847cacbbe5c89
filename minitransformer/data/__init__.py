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
from .english_french.task import EnglishFrench, Example
from .english_french.vocabulary import LanguageVocabulary
from .errors import DataError
from .pairs import normalize, read_aligned, read_pairs, split_by_source
from .tasks.joeynmt import Reversal, joeynmt_reversal
from .tasks.sorting import SortingTask
from .tasks.span_corruption import SpanCorruption, corrupt_spans, random_spans, restore_spans, sentinels
from .tasks.symbols import ToyTask
from .tasks.written import TASKS
from .texts import TextBatches, documentation, read_text, text_windows
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
    "TASKS",
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
    "Reversal",
    "SortingTask",
    "SpanCorruption",
    "TextBatches",
    "ToyTask",
    "Vocabulary",
    "WordVocabulary",
    "corrupt_spans",
    "documentation",
    "evaluation_batches",
    "joeynmt_reversal",
    "normalize",
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
