"""Generation strategies: the ways to choose the output, each with its settings.

A strategy searches for hypotheses as ids, and ranks them as texts.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..arguments import checked
from ..layers import Array
from .bayes_risk import expected_utilities
from .beam import BeamStep, beam_search, check_beam
from .greedy import greedy
from .hypothesis import Hypothesis
from .metrics import Metric, chrf
from .sampling import check_sampling, sample, sentence_seeds


@dataclass(frozen=True)
class Translation:
    """A hypothesis as text.

    Attributes
    ----------
    text : str
    ids : list of int
        Without special tokens.
    log_probability : float
        The model's own, in nats, of the whole.
    finished : bool
        It ended by itself.
    score : float
        What it was ranked by: for a beam log-probability over length, for minimum Bayes risk the expected utility.
    """

    text: str
    ids: list[int]
    log_probability: float
    finished: bool
    score: float

    def _repr_html_(self) -> str:
        end = "" if self.finished else ", cut off"
        about = f"log-probability {self.log_probability:.4g}, score {self.score:.4g}, {len(self.ids)} tokens{end}"
        return f"<p>{html.escape(self.text)}<br><small>{about}</small></p>"


class Strategy(Protocol):
    """A way to choose the output."""

    def search(
        self,
        model: Any,
        source: Array,
        sentences: Sequence[int],
        *,
        start: int | None,
        eos: int | None,
        max_new_tokens: int | Array,
    ) -> list[list[Hypothesis]]:
        """Hypotheses for each sentence of a batch; `sentences` are their numbers among all that are decoded."""
        ...

    def rank(self, translations: list[Translation]) -> list[Translation]:
        """Of one sentence's hypotheses those that are wanted, the best first."""
        ...


class _AsFound:
    """Keeps what was found, in its order."""

    def rank(self, translations: list[Translation]) -> list[Translation]:
        return translations


@checked
@dataclass(frozen=True)
class Greedy(_AsFound):
    """Always the most probable next token."""

    def search(self, model: Any, source: Array, sentences: Sequence[int], **settings: Any) -> list[list[Hypothesis]]:
        return [[hypothesis] for hypothesis in greedy(model, source, **settings)]


@checked
@dataclass(frozen=True)
class Beam(_AsFound):
    """Beam search; settings as in `beam_search`."""

    num_beams: int = 4
    length_penalty: float | None = None
    num_return_sequences: int = 1

    def __post_init__(self) -> None:
        check_beam(self.num_beams, self.length_penalty, self.num_return_sequences)

    def search(self, model: Any, source: Array, sentences: Sequence[int], **settings: Any) -> list[list[Hypothesis]]:
        return beam_search(model, source, **self.settings(), **settings)

    def search_with_steps(
        self, model: Any, source: Array, **settings: Any
    ) -> tuple[list[list[Hypothesis]], list[BeamStep]]:
        """What `search` finds, and every step of the way to it."""
        steps: list[BeamStep] = []
        return beam_search(model, source, **self.settings(), **settings, on_step=steps.append), steps

    def settings(self) -> dict[str, Any]:
        return vars(self).copy()


@checked
@dataclass(frozen=True)
class Sampling(_AsFound):
    """Draws from the model's distribution; settings as in `sample`."""

    seed: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    num_return_sequences: int = 1

    def __post_init__(self) -> None:
        check_sampling(self.temperature, self.top_k, self.top_p)
        if self.num_return_sequences < 1:
            raise ValueError(f"num_return_sequences={self.num_return_sequences}: must be at least 1")

    def search(self, model: Any, source: Array, sentences: Sequence[int], **settings: Any) -> list[list[Hypothesis]]:
        drawn = {**vars(self), "seed": sentence_seeds(self.seed, sentences)}
        return sample(model, source, **drawn, **settings)


@checked
@dataclass(frozen=True)
class MinimumBayesRisk:
    """Of many samples the one that is best on average if the others are the truth.

    Parameters
    ----------
    samples : Sampling
        How the candidates are drawn, and how many: its `num_return_sequences`.
    utility : callable
        (text, truth) -> float, greater is better: one of `METRICS`, or your own.
    num_return_sequences : int
        How many distinct candidates are wanted, at most.
    """

    samples: Sampling = field(default_factory=lambda: Sampling(0, num_return_sequences=32))
    utility: Metric = chrf
    num_return_sequences: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.num_return_sequences <= self.samples.num_return_sequences:
            raise ValueError(
                f"num_return_sequences={self.num_return_sequences}: must be at least 1 and at most the "
                f"{self.samples.num_return_sequences} samples"
            )

    def search(self, model: Any, source: Array, sentences: Sequence[int], **settings: Any) -> list[list[Hypothesis]]:
        return self.samples.search(model, source, sentences, **settings)

    def rank(self, translations: list[Translation]) -> list[Translation]:
        expected = expected_utilities([translation.text for translation in translations], self.utility)
        first = {translation.text: translation for translation in reversed(translations)}
        ranked = sorted(expected, key=lambda text: -expected[text])  # stable: of equal ones the earlier first
        return [replace(first[text], score=expected[text]) for text in ranked[: self.num_return_sequences]]
