"""Runs that version 0.1 saved: they load under today's names, give the logits that they gave then, and go on."""

from pathlib import Path

import numpy as np
import pytest

import minitransformer
from minitransformer.decoding import LanguageModel, Translator
from minitransformer.training.sizes import load_run

FOLDER = Path(__file__).parent.parent / "old_checkpoints"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz") if path.stem != "logits")
SOURCE, TARGET = np.array([[4, 5, 6, 2, 0], [5, 4, 6, 4, 2]]), np.array([[1, 4, 5, 6], [1, 6, 5, 5]])
TEXT = np.array([[4, 5, 6, 4, 5], [7, 4, 4, 6, 5]])


def test_there_is_one_of_each_family():
    assert (
        sorted(
            ["transformer", "pre-norm", "minimal", "t5", "t5-v1.1", "lstm", "lstm-bahdanau", "lstm-input-feeding"]
            + ["gpt", "llama", "llama-tied"]
        )
        == NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_old_run_loads_and_gives_the_logits_that_it_gave(name):
    loaded = minitransformer.load(FOLDER / f"{name}.npz")
    assert loaded.name == name
    language_model = isinstance(loaded, LanguageModel)
    assert language_model or isinstance(loaded, Translator)
    logits = loaded.model(TEXT) if language_model else loaded.model(SOURCE, TARGET)
    with np.load(FOLDER / "logits.npz") as wanted:
        assert logits.dtype == wanted[name].dtype
        np.testing.assert_allclose(logits, wanted[name], rtol=0, atol=2e-6 * np.abs(wanted[name]).max())


@pytest.mark.parametrize("name", NAMES)
def test_an_old_run_has_every_parameter_under_its_name_of_today_in_the_order_of_the_moments(name):
    arrays, _ = load_run(FOLDER / f"{name}.npz")
    parameters = dict(minitransformer.load(FOLDER / f"{name}.npz").model.named_parameters())
    stored = [key.removeprefix("model.") for key in arrays if key.startswith("model.")]
    assert stored == list(parameters)
    assert arrays["optimizer.m"].shape == (sum(p.size for p in parameters.values()),)
