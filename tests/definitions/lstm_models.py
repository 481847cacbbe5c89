"""What the recurrent translators must do, by their diagrams."""

from __future__ import annotations

from typing import Any

import numpy as np

from minitransformer.layers import Array
from minitransformer.models import BahdanauLSTM, InputFeedingLSTM, LSTMConfig, Seq2SeqLSTM
from minitransformer.verify.directions import check_directions

from .recurrent import both_by_definition, cell_by_definition, random_weights
from .registry import _equal, _float64, holds

SOURCE = np.array([[4, 2, 5, 0], [3, 1, 6, 2]])
TARGET = np.array([[1, 8, 3, 3, 5], [1, 2, 2, 7, 0]])
RECIPES: dict[str, type[Seq2SeqLSTM]] = {
    "Luong": Seq2SeqLSTM,
    "Bahdanau": BahdanauLSTM,
    "input feeding": InputFeedingLSTM,
}


def small(name: str, target_vocab: int | None = 9) -> Seq2SeqLSTM:
    """A model of each kind: two layers on either side, 3 units, embeddings of 2."""
    config = LSTMConfig(9, target_vocab, 3, 2, n_encoder_layers=2, n_decoder_layers=2, dropout=0.0)
    model: Seq2SeqLSTM = random_weights(RECIPES[name](config, _float64()))
    return model


def recurrent_by_definition(model: Seq2SeqLSTM, source: Array, target: Array) -> Array:
    """Logits (T, V) of one sentence without padding: source (S,), target (T,)."""
    weights: dict[str, Any] = {name: parameter.value for name, parameter in model.named_parameters()}
    D, E = model.config.d_model, model.config.width
    memory = weights["source_embedding.tokens.weight"][source] * E**0.5
    last_h: Any
    last_c: Any
    for layer in model.encoder.lstm.layers:  # type: ignore[attr-defined]
        memory, last_h, last_c = both_by_definition(layer, memory)
    bridged = [
        np.tanh(np.array(last) @ weights[f"encoder.{name}.dense.weight"] + weights[f"encoder.{name}.dense.bias"])
        for name, last in (("bridge_h", last_h), ("bridge_c", last_c))
    ]
    h, c = ([[float(z) for z in first[n * D : (n + 1) * D]] for n in range(2)] for first in bridged)
    table = weights.get("target_embedding.tokens.weight", weights["source_embedding.tokens.weight"])
    attentional, logits = np.zeros(D), []
    for token in target:
        x = table[token] * E**0.5
        if isinstance(model, InputFeedingLSTM):
            x = np.concatenate([x, attentional])
        for n, layer in enumerate(model.decoder.lstm.layers):  # type: ignore[attr-defined]
            h[n], c[n] = cell_by_definition(layer, x, h[n], c[n])
            x = np.array(h[n])
        keys = memory @ weights["decoder.cross_attention.key.weight"]
        if isinstance(model, BahdanauLSTM):
            v = weights["decoder.cross_attention.score.vector.weight"][:, 0]
            scores = [v @ np.tanh(x @ weights["decoder.cross_attention.query.weight"] + key) for key in keys]
        else:
            scores = [x @ key for key in keys]
        shares = np.exp(scores) / np.exp(scores).sum()
        context = sum(share * vector for share, vector in zip(shares, memory))
        attentional = np.tanh(np.concatenate([context, x]) @ weights["decoder.combine.mix.weight"])
        logits.append(attentional @ weights["head.weight"] + weights["head.bias"])
    return np.array(logits)


@holds("recurrent translators are what their diagram says, sentence by sentence")
def recurrent_translators_are_their_diagram() -> None:
    for name in RECIPES:
        for target_vocab in (9, None):
            model = small(name, target_vocab)
            logits = model(SOURCE, TARGET)
            for b, n in enumerate((3, 4)):
                wanted = recurrent_by_definition(model, SOURCE[b, :n], TARGET[b])
                _equal(logits[b], wanted, f"{name}, sentence {b}", 1e-11)


@holds("the gradients of recurrent translators are their derivatives")
def recurrent_gradients_are_derivatives() -> None:
    for name in RECIPES:
        check_directions(small(name), SOURCE, TARGET, n=3).raise_if_failed()


@holds("recurrent translators decode with a state what their forward gives")
def recurrent_translators_step_as_they_run() -> None:
    for name in RECIPES:
        model = small(name)
        wanted, (state, _) = model(SOURCE, TARGET), model.start_decoding(SOURCE, 0)
        logits = [model.next_logits(part, state) for part in np.split(TARGET, [2, 3], axis=1)]
        tolerance = 1e-13 * float(np.abs(wanted).max())
        _equal(np.concatenate(logits, axis=1), wanted, f"logits of {name}", tolerance)
        state, _ = model.start_decoding(SOURCE, 0)
        model.next_logits(TARGET[:, :2], state)
        rows = np.array([1, 0, 1])
        logits_of_rows = model.next_logits(TARGET[rows, 2:], state.select(rows))
        _equal(logits_of_rows, wanted[rows, 2:], f"logits of chosen rows of {name}", tolerance)


@holds("recurrent translators have as many parameters as by hand")
def recurrent_translators_are_counted_by_hand() -> None:
    V, D, E = 9, 3, 2

    def layer(width: int) -> int:
        return 4 * D * (width + D + 1)

    encoder = 2 * layer(E) + 2 * layer(2 * D) + 2 * (2 * D * 2 * D + 2 * D)
    rest = layer(D) + 3 * D * D + (D * V + V) + 2 * V * E
    wanted = {"Luong": encoder + rest + layer(E) + 2 * D * D}
    wanted["input feeding"] = wanted["Luong"] + 4 * D * D
    wanted["Bahdanau"] = wanted["Luong"] + D * D + D
    for name, by_hand in wanted.items():
        assert small(name).n_parameters() == by_hand, f"{name} has {small(name).n_parameters()}, by hand {by_hand}"
        shared = small(name, None).n_parameters()
        assert shared == by_hand - V * E, f"{name} with one vocabulary has {shared}, by hand {by_hand - V * E}"
