"""The trainer takes data and settings whose meaning is plain, and refuses the rest; training that blows up says so."""

import numpy as np
import pytest

from minitransformer.data import Batch
from minitransformer.layers import CrossEntropy
from minitransformer.models import GPT, GPTConfig
from minitransformer.training import SGD, Adam, AdamW, BlownUp, Constant, NotFinite, Trainer


def model():
    return GPT(
        GPTConfig(vocab=7, max_length=5, d_model=6, n_heads=2, n_blocks=1, dropout=0.0), np.random.default_rng(0)
    )


IDS = np.random.default_rng(1).integers(1, 7, (4, 6))
BATCHES = [Batch((IDS[i : i + 2, :-1],), IDS[i : i + 2, 1:]) for i in (0, 2)]


class Source:
    def batch(self, step):
        return BATCHES[step % 2]


def weights_after(data, steps=5):
    trainer = Trainer(model(), schedule=1e-2)
    trainer.fit(data, steps)
    return trainer.value


@pytest.mark.parametrize(
    "data",
    [
        BATCHES,
        tuple(BATCHES),
        (BATCHES[i % 2] for i in range(9)),
        [(batch.inputs[0], batch.targets) for batch in BATCHES],
        [[batch.inputs[0], batch.targets] for batch in BATCHES],
    ],
    ids=["list", "tuple", "generator", "tuples of arrays", "lists of arrays"],
)
def test_any_iterable_of_batches_trains_as_a_source_does(data):
    assert np.array_equal(weights_after(data), weights_after(Source()))


def test_a_generator_that_ends_says_so():
    trainer = Trainer(model())
    with pytest.warns(UserWarning, match="the data ended after step 2 of 5"):
        history = trainer.fit(iter(BATCHES), 5)
    assert trainer.step == len(history.steps) == 2


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ([], ValueError, "data is empty"),
        ("batches.tsv", TypeError, "data is of type str"),
        (None, TypeError, "data is of type NoneType"),
        (BATCHES[0], TypeError, "data is of type Batch"),
        (IDS, TypeError, "data is of type ndarray"),
        ([IDS], TypeError, "a batch is of type ndarray"),
        ([(IDS,)], TypeError, "a batch is of type tuple"),
        ([([1], [2])], TypeError, "a batch is of type tuple"),
    ],
    ids=str,
)
def test_what_is_no_data_is_refused(data, error, words):
    with pytest.raises(error, match=words):
        Trainer(model()).fit(data, 2)


@pytest.mark.parametrize("given", ["adamw", "AdamW", AdamW, AdamW()], ids=["name", "Name", "class", "instance"])
def test_an_optimizer_by_its_name_or_class(given):
    assert type(Trainer(model(), given).optimizer) is AdamW


def test_the_defaults_are_adam_and_one_rate():
    trainer = Trainer(model())
    assert type(trainer.optimizer) is Adam
    assert trainer.schedule == Constant(1e-3)
    assert Trainer(model(), SGD, 0.5).schedule(7) == 0.5


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"optimizer": "adm"}, ValueError, "optimizer='adm': must be one of sgd, adam, adamw"),
        ({"optimizer": 1e-3}, TypeError, "optimizer=0.001: must be an Optimizer or a subclass"),
        ({"optimizer": CrossEntropy}, TypeError, "must be an Optimizer or a subclass"),
        ({"schedule": "cosine"}, TypeError, "schedule='cosine': must be a function or a number"),
        ({"schedule": 0.0}, ValueError, "rate=0.0"),
        ({"schedule": None}, TypeError, "schedule=None: must be a function or a number"),
        ({"loss": "cross-entropy"}, TypeError, "loss='cross-entropy': must be a Layer or None"),
        ({"clip": 0.0}, ValueError, "clip=0.0: must be above 0"),
        ({"seed": -1}, ValueError, "seed=-1: must be at least 0"),
        ({"seed": "one"}, (TypeError, ValueError), "one|int"),
    ],
    ids=str,
)
def test_what_is_no_setting_is_refused_when_the_trainer_is_built(settings, error, words):
    with pytest.raises(error, match=words):
        Trainer(model(), **settings)


def test_a_model_that_is_no_layer_is_refused():
    with pytest.raises(TypeError, match=r"model=.*: must be a Layer"):
        Trainer(model)


@pytest.mark.parametrize("steps", [0, -1, 2.5, "10"])
def test_steps_are_a_whole_number(steps):
    with pytest.raises(ValueError, match="steps="):
        Trainer(model()).fit(BATCHES, steps)


def test_a_batch_of_padding_only_says_that():
    padding = np.zeros((2, 3), int)
    with pytest.raises(ValueError, match="step 1: the batch's targets hold nothing but padding"):
        Trainer(model()).fit([(padding, padding)], 1)


def test_training_that_blows_up_stops_before_the_step_and_says_what_to_try():
    trainer = Trainer(model(), "sgd", 1e4, clip=None)
    with pytest.raises((BlownUp, NotFinite), match=r"step \d+: ") as caught:
        trainer.fit(BATCHES, 200)
    assert np.isfinite(trainer.value).all()
    assert len(trainer.history.steps) == trainer.step < 200
    if caught.type is BlownUp:
        assert "Try a learning rate below 1e+04" in str(caught.value)


def test_a_loss_twenty_times_the_first_is_blown_up_and_one_below_is_not():
    trainer = Trainer(model())
    trainer.fit(BATCHES, 1)
    first = trainer.history.steps[0]["loss"]
    trainer._check_loss(BATCHES[0], 19.9 * first)
    with pytest.raises(BlownUp, match="training has blown up"):
        trainer._check_loss(BATCHES[0], 20.1 * first)


def test_a_gradient_that_is_not_finite_names_the_parameter_and_changes_nothing():
    class Broken(GPT):
        def backward(self, d_logits, cache):
            super().backward(d_logits, cache)
            self.embedding.tokens.weight.grad[2, 1] = np.inf

    config = GPTConfig(vocab=7, max_length=5, d_model=6, n_heads=2, n_blocks=1)
    trainer = Trainer(Broken(config, np.random.default_rng(0)))
    before = trainer.value.copy()
    with pytest.raises(NotFinite, match=r"step 1: the gradient is not finite, first that of embedding\.tokens\.weight"):
        trainer.fit(BATCHES, 1)
    assert np.array_equal(trainer.value, before)
