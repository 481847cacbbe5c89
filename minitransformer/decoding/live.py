"""Questions of a page about a text, and their answers, all in plain data: what the live explorer asks Python for.

{text}              the words that the model reads and writes, and its attention, without gradients
{text, word}        the same, with the gradients of one output word; null: of the one of which a translator is
                    least sure, or of the one that comes next after a language model's text
{text, change}      the output under a change, as `intervention` reads it
"""

from __future__ import annotations

from typing import Any

from ..arguments import checked
from .inside import look_inside, outcome
from .language_model import LanguageModel
from .translator import Translator


@checked
def answer(model: Translator | LanguageModel, question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question. Where a text or a change is none for this model, its only entry `error` says why."""
    text = question["text"]
    try:
        if "change" in question:
            return outcome(model, text, question["change"])
        word = question.get("word")
        if word is None:
            data = look_inside(model, text, asked=[], bits=32)
            if "word" in question:
                probabilities = [choice["probability"] for choice in data["choices"]]
                word = probabilities.index(min(probabilities)) if data["source"] else len(probabilities) - 1
        if word is not None:
            data = look_inside(model, text, asked=[word], bits=32)
    except ValueError as error:
        return {"error": str(error)}
    unknown = model.unknown(text) if isinstance(model, Translator) else []
    return data | {"unknown": unknown}
