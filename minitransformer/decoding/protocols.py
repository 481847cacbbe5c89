"""What decoding asks of a model and of a vocabulary: any object with these methods will do."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class DecodingModel(Protocol):
    """A model that reads a source or prompt once, and then gives the logits of the next token."""

    def start_decoding(self, *args: Any, **kwargs: Any) -> Any:
        """(source, start) or (prompt) -> the state after it, and the first ids (B, T) to read."""

    def next_logits(self, *args: Any, **kwargs: Any) -> Any:
        """(ids (B, T), state) -> logits (B, T, V)."""


@runtime_checkable
class VocabularyLike(Protocol):
    """What turns text into ids and back, such as `data.Vocabulary` or the tokenizer of a pretrained model."""

    def encode(self, *args: Any, **kwargs: Any) -> Any: ...
    def decode(self, *args: Any, **kwargs: Any) -> Any: ...
