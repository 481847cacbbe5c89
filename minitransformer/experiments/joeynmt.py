"""The reversal task of Joey NMT's tutorial, on its own pairs, beside the published BLEU: `compare --task joeynmt`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import PairBatches
from ..data.tasks.joeynmt import LONGEST, N_SYMBOLS, Pairs, Reversal, joeynmt_reversal
from ..data.vocabulary import SPECIALS
from ..decoding import Translator
from ..models import Config, LSTMConfig, T5Config, TransformerConfig, build_model
from ..training import Adam, Constant, Every, ProgressBar, Trainer, WarmupCosine
from ..training.parallel import ParallelTrainer
from .errors import ExperimentError

# Its tutorial: one epoch, greedy decoding (version 2, docs/source/tutorial.rst); and as it was in 2019, more epochs
# and a beam of ten.
PUBLISHED = {
    "Joey NMT 2, LSTM, 1 epoch, greedy": {"validation": 95.06, "test": 95.19},
    "Joey NMT 2019, LSTM, 6 epochs, beam of 10": {"validation": 98.81, "test": 98.49},
}
LOOKS = 6  # validations, evenly spread; the weights of the best one are tested
VOCAB = len(SPECIALS) + N_SYMBOLS


@dataclass(frozen=True)
class Setup:
    """A model and how it is trained. All settings were chosen on the validation set.

    Attributes
    ----------
    model : str
        What MODELS calls it.
    config : Config
    epochs, batch_size : int
    rate : float
        Highest learning rate of Adam.
    warmup : int or None
        Steps of warm-up before a cosine; None: the rate stays as it is.
    title : str
    """

    model: str
    config: Config
    epochs: int
    batch_size: int
    rate: float
    warmup: int | None
    title: str


LSTM_SIZES = LSTMConfig(VOCAB, VOCAB, d_model=64, d_embedding=16, dropout=0.1)
SETUPS = {
    "lstm-1-epoch": Setup(
        "lstm-input-feeding", LSTM_SIZES, 1, 10, 1e-3, None, "LSTM, 1 epoch in batches of 10, as Joey NMT 2"
    ),
    "lstm": Setup("lstm-input-feeding", LSTM_SIZES, 4, 32, 3e-3, 300, "LSTM, 4 epochs"),
    "relative": Setup(
        "t5-v1.1",
        T5Config(VOCAB, 64, 16, 4, 256, 2, 2, dropout=0.0),
        4,
        32,
        1e-3,
        500,
        "Transformer, relative positions (T5 v1.1), 4 epochs",
    ),
    "sinusoids": Setup(
        "pre-norm",
        TransformerConfig(VOCAB, None, 64, 4, 256, 2, 2, dropout=0.0),
        4,
        32,
        1e-3,
        500,
        "Transformer, sinusoids (pre-norm), 4 epochs",
    ),
}


def measure_all(names: Sequence[str], seed: int = 0, workers: int | None = None) -> list[dict[str, Any]]:
    """Train and test these setups; a row of numbers for each."""
    bleu_metric()  # before minutes are spent
    task = joeynmt_reversal()
    return [{"recipe": name, **measure(SETUPS[name], task, seed, workers)} for name in names]


def measure(setup: Setup, task: Reversal, seed: int = 0, workers: int | None = None) -> dict[str, Any]:
    """Train, validate now and then, and test the weights that were best in validation."""
    model = build_model(setup.model, setup.config, np.random.default_rng(seed))
    vocabulary = task.vocabulary
    translator = Translator(setup.model, model, vocabulary, vocabulary, vocabulary.bos)
    batches = PairBatches(task.training, setup.batch_size, seed=seed)
    steps = setup.epochs * batches.steps_per_epoch
    constant = setup.warmup is None
    schedule = Constant(setup.rate) if constant else WarmupCosine(setup.rate, steps, min(setup.warmup or 0, steps))
    trainer = ParallelTrainer(model, Adam(beta2=0.98), schedule, seed=seed, workers=workers)
    best = {"bleu": -1.0, "step": 0}
    weights = trainer.value.copy()

    def look(trainer: Trainer) -> dict[str, Any]:
        numbers = score(translator, task.validation)
        if numbers["bleu"] > best["bleu"]:
            best.update(bleu=numbers["bleu"], step=trainer.step)
            weights[...] = trainer.value
        return numbers

    every = max(steps // LOOKS, 1)
    trainer.fit(batches, steps, [ProgressBar(setup.title), Every(every, look)])
    trainer.close()
    trainer.value[...] = weights
    tested = score(translator, task.test)
    return {
        "model": setup.model,
        "title": setup.title,
        "parameters": model.n_parameters(),
        "steps": steps,
        "best_step": best["step"],
        "seconds": round(trainer.history.seconds, 1),
        "validation_bleu": best["bleu"],
        **{f"test_{name}": value for name, value in tested.items()},
        "bleu_signature": str(bleu_metric().get_signature()),
    }


def score(translator: Translator, pairs: Pairs) -> dict[str, Any]:
    """BLEU of greedy answers, and the share of whole sentences that are right, by length."""
    answers = translator.translate_ids([source for source, _ in pairs])
    decode = translator.target_vocabulary.decode
    texts = [decode(ids) for ids in answers], [[decode(target) for _, target in pairs]]
    right = np.array([answer == list(target) for answer, (_, target) in zip(answers, pairs)])
    unseen = np.array([len(source) > LONGEST["training"] for source, _ in pairs])
    return {
        "bleu": float(bleu_metric().corpus_score(*texts).score),
        "exact_match": float(right.mean()),
        "exact_match_seen_lengths": _mean(right[~unseen]),
        "exact_match_unseen_lengths": _mean(right[unseen]),
    }


def bleu_metric() -> Any:
    """sacrebleu's BLEU; CommandError where it is not installed."""
    try:
        from sacrebleu.metrics import BLEU
    except ImportError:
        raise ExperimentError('--task joeynmt: needs sacrebleu: pip install "minitransformer[evaluate]"') from None
    metric = BLEU()
    metric.corpus_score(["a"], [["a"]])  # its signature is known once it was used
    return metric


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for every model, and one for every published number."""
    short, long = LONGEST["training"], LONGEST["test"]
    head = ("", "parameters", "validation", "test BLEU", f"right to {short}", f"{short + 1} to {long}", "seconds")
    lines = [head]
    for title, published in PUBLISHED.items():
        lines.append((title, "", f"{published['validation']:.2f}", f"{published['test']:.2f}", "", "", ""))
    for row in rows:
        shares = (row["test_exact_match_seen_lengths"], row["test_exact_match_unseen_lengths"])
        exact = ("-" if share is None else f"{share:.1%}" for share in shares)
        bleu = (f"{row['validation_bleu']:.2f}", f"{row['test_bleu']:.2f}")
        lines.append((row["title"], f"{row['parameters']:,}", *bleu, *exact, f"{row['seconds']:.0f}"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    aligned = ([f"{line[0]:{widths[0]}}", *map(str.rjust, line[1:], widths[1:])] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in aligned)


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """Who is best, and who is above what was published."""
    best = max(rows, key=lambda row: row["test_bleu"])
    text = [f"Best on the test set: {best['title']}, BLEU {best['test_bleu']:.2f} ({best['bleu_signature']})."]
    for title, published in PUBLISHED.items():
        above = [row["title"] for row in rows if row["test_bleu"] >= published["test"]]
        text.append(f"At or above {title} ({published['test']:.2f}): {'; '.join(above) or 'none'}.")
    return "\n".join(text)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
