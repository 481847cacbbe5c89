"""The pictures of the main job: positions, training, and what a translator attends to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from ..decoding import Translator
from ..experiments.coreference import SHOWROOM, Head, attention_maps
from ..layers import sinusoids
from ..plotting import (
    antecedent_figure,
    attention_grid,
    encoding_curves,
    encoding_heatmap,
    save,
    training_figure,
)
from ..training import History

ASKING = {"it": "it", "adjective": "new"}
PRONOUNS = ("il", "elle", "ils", "elles")
ANTECEDENT, DISTRACTOR = "car", "showroom"


def draw_figures(folder: Path, translator: Translator, history: History, heads: Sequence[Head], n: int) -> list[Path]:
    """Draw all pictures into `folder`; `heads` were measured over `n` sentences. Returns the paths."""
    matplotlib.use("Agg")  # a command opens no windows
    folder.mkdir(parents=True, exist_ok=True)
    pictures = demo_pictures(translator, history, heads, n)
    return [save(figure, folder / f"{name}.png") for name, figure in pictures.items()]


def demo_pictures(translator: Translator, history: History, heads: Sequence[Head], n: int) -> dict[str, Any]:
    """The pictures themselves, by name."""
    look = translator.look(SHOWROOM)
    pronoun = next((t for t, word in enumerate(look.target) if word in PRONOUNS), None)
    figures = {
        "positions_heatmap": encoding_heatmap(sinusoids(60, 64)).figure,
        "positions_curves": encoding_curves(
            sinusoids(len(look.source) - 1, 16), position=3, words=look.source[:-1]
        ).figure,
        "training": training_figure(history),
        "cross_attention": attention_grid(
            np.concatenate([weights[0] for weights in attention_maps(look.cache, "cross")]),
            look.target,
            look.source,
            title="Where the decoder looks in the source to write each word, head by head"
            + ("" if pronoun is None else f"; framed: \u201c{look.target[pronoun]}\u201d"),
            highlight=pronoun,
            query_name="the word that is written next",
        )
        .flat[0]
        .figure,
    }
    for head in heads:
        if head.kind in ASKING:
            figures["antecedent"] = antecedent_figure(
                look.source,
                head.weights(look.cache),
                pronoun=look.source.index(ASKING[head.kind]),
                antecedent=look.source.index(ANTECEDENT),
                distractor=look.source.index(DISTRACTOR),
                averages={"antecedent": head.antecedent, "distractor": head.distractor, "sentences": n},
                where=str(head),
            )
    return figures
