"""How good a model is on sentences with known translations, without decoding a single one.

Under teacher forcing the model predicts every token from the true ones before it. All of them right is the same as
a right greedy translation: so exact match needs one forward pass and no search.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..arguments import checked
from ..data import Batch
from ..layers import CrossEntropy, Layer
from .history import Record


@checked
def evaluate(model: Layer, batches: Iterable[Batch], pad: int = 0) -> Record:
    """Measure a model on batches, with dropout off.

    Returns
    -------
    dict
        `loss` (nats a token, no label smoothing), `token_accuracy` (share of tokens whose most probable prediction
        is the true one), `exact_match` (share of sentences with all of them right).
    """
    loss_layer = CrossEntropy(pad)
    loss = 0.0
    n_tokens = n_right = n_sentences = n_exact = 0
    for batch in batches:
        logits, _ = model.forward(*batch.inputs)
        counted = batch.targets != pad
        right = (logits.argmax(axis=-1) == batch.targets) & counted
        loss += float(loss_layer.forward(logits, batch.targets)[0]) * batch.n_tokens
        n_tokens += batch.n_tokens
        n_right += int(right.sum())
        n_sentences += len(batch)
        n_exact += int((right == counted).all(axis=1).sum())
    if not n_tokens:
        raise ValueError("batches hold no sentence: there is nothing to measure")
    return {
        "loss": loss / n_tokens,
        "token_accuracy": n_right / n_tokens,
        "exact_match": n_exact / n_sentences,
    }
