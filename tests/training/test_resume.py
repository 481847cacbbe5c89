"""A run that stopped and went on is bit for bit the run that never did, and what does not fit is named."""

import contextlib
import os
import signal
import threading

import numpy as np
import pytest

from minitransformer.data import PairBatches, ToyTask
from minitransformer.models import PreNormTransformer, TransformerConfig
from minitransformer.training import (
    SGD,
    Adam,
    AdamW,
    Constant,
    Every,
    Interrupted,
    Noam,
    Saving,
    WarmupCosine,
    load_checkpoint,
    restore_trainer,
    save_checkpoint,
    trainer_state,
)
from minitransformer.training.parallel import ParallelTrainer

STEPS = 7
TASK = ToyTask("reverse", 7, 2, 5)
PAIRS = TASK.sample(np.random.default_rng(2), 11)
SETTINGS = {
    "adam, cosine, one worker": (Adam, lambda: WarmupCosine(1e-2, STEPS, 2), 1),
    "adamw, noam, two workers": (AdamW, lambda: Noam(6, 3), 2),
    "sgd, constant, three workers": (lambda: SGD(0.9), lambda: Constant(0.1), 3),
}


def new_trainer(setting, weights=0, **changes):
    optimizer, schedule, workers = SETTINGS[setting]
    config = TransformerConfig(len(TASK.vocabulary), None, 6, 3, 5, 1, 1, dropout=0.2)
    model = PreNormTransformer(config, np.random.default_rng(weights))
    return ParallelTrainer(
        model, **{"optimizer": optimizer(), "schedule": schedule(), "seed": 5, "workers": workers} | changes
    )


class Data(PairBatches):
    """Three batches an epoch, and a list of all that were asked for."""

    def __init__(self):
        super().__init__(PAIRS, 4, seed=1)
        self.seen = []

    def batch(self, step):
        batch = super().batch(step)
        self.seen.append((step, batch.targets.tobytes()))
        return batch


def validation():
    return Every(2, lambda trainer: {"sum": float(trainer.value.sum(dtype=np.float64))})


def state_of(trainer):
    """All that must be the same, but for the time that it took."""
    arrays, description = trainer_state(trainer)
    arrays = {name: array.tobytes() for name, array in arrays.items() if name != "history.seconds"}
    validations = [{**v, "seconds": 0} for v in description["validations"]]
    return {"value": trainer.value.tobytes(), **arrays, **description, "validations": validations}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("stop", range(STEPS + 1))
def test_a_stop_at_any_step_changes_no_bit(tmp_path, setting, stop):
    whole, data = new_trainer(setting), Data()
    whole.fit(data, STEPS, [validation()])

    first, before = new_trainer(setting), Data()
    if stop:
        with contextlib.suppress(Interrupted):  # the last step has nothing behind it to leave out
            first.fit(before, STEPS, [interrupt_at(stop), validation(), Saving(100, lambda trainer: None)])
    arrays, description = trainer_state(first)
    save_checkpoint(tmp_path / "run", {**arrays, "value": first.value}, description)
    arrays, description = load_checkpoint(tmp_path / "run")
    second, after = new_trainer(setting, weights=99), Data()  # other weights, which the checkpoint's replace
    second.value[...] = arrays["value"]
    restore_trainer(second, arrays, description)
    second.fit(after, STEPS, [validation()])

    assert state_of(second) == state_of(whole)
    assert before.seen + after.seen == data.seen


def test_the_history_comes_back_as_it_was(tmp_path):
    trainer = new_trainer("adam, cosine, one worker")
    trainer.fit(Data(), 3, [validation()])
    other = new_trainer("adam, cosine, one worker")
    restore_trainer(other, *trainer_state(trainer))
    assert other.history == trainer.history
    assert {type(value) for record in other.history.steps for value in record.values()} == {int, float}


CHANGES = {
    "seed": ({"seed": 6}, "seed is 6: the run has 5"),
    "clip": ({"clip": 2.0}, "clip is 2.0: the run has 1.0"),
    "workers": ({"workers": 2}, "workers is 2: the run has 1"),
    "optimizer": ({"optimizer": SGD()}, "optimizer is {'name': 'SGD'"),
    "a setting of the optimizer": ({"optimizer": Adam(0.8)}, "'beta1': 0.8"),
    "schedule": ({"schedule": WarmupCosine(1e-2, STEPS + 1, 2)}, "'steps': 8"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_trainer_of_other_settings_is_refused(change):
    trainer = new_trainer("adam, cosine, one worker")
    trainer.fit(Data(), 2)
    changes, message = CHANGES[change]
    with pytest.raises(ValueError, match=message):
        restore_trainer(new_trainer("adam, cosine, one worker", **changes), *trainer_state(trainer))


STATES = {
    "a moment is missing": lambda a, d: a.pop("optimizer.m"),
    "a moment of another length": lambda a, d: a.update({"optimizer.m": a["optimizer.m"][1:]}),
    "a moment of another dtype": lambda a, d: a.update({"optimizer.m": a["optimizer.m"].astype(float)}),
    "a history that is too short": lambda a, d: a.update({"history.loss": a["history.loss"][1:]}),
    "a history without losses": lambda a, d: a.pop("history.loss"),
    "a step before the first": lambda a, d: d.update(step=-1),
    "a step that is true": lambda a, d: d.update(step=True),
    "a step that is text": lambda a, d: d.update(step="2"),
    "no step of the optimizer": lambda a, d: d.pop("optimizer_step"),
    "validations that are none": lambda a, d: d.update(validations=3),
}


@pytest.mark.parametrize("change", STATES)
def test_a_state_that_is_none_is_refused_and_changes_nothing(change):
    trainer = new_trainer("adam, cosine, one worker")
    trainer.fit(Data(), 2)
    arrays, description = trainer_state(trainer)
    STATES[change](arrays, description)
    other = new_trainer("adam, cosine, one worker")
    with pytest.raises(ValueError, match=r"must be|history"):
        restore_trainer(other, arrays, description)
    assert (other.step, other.optimizer.t, other.optimizer.moments, other.history.steps) == (0, 0, {}, [])


def interrupt_at(*steps):
    return Every(1, lambda trainer: os.kill(os.getpid(), signal.SIGINT) if trainer.step in steps else None)


def test_saving_saves_first_regularly_and_last():
    saved = []
    new_trainer("adam, cosine, one worker").fit(Data(), 7, [Saving(3, lambda trainer: saved.append(trainer.step))])
    assert saved == [0, 3, 6, 7]


def test_an_interruption_finishes_the_step_saves_and_stops():
    saved = []
    trainer = new_trainer("adam, cosine, one worker")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="after step 4"):
        trainer.fit(Data(), 7, [interrupt_at(4), Saving(100, lambda trainer: saved.append(trainer.step))])
    assert saved == [0, 4]
    assert trainer.step == len(trainer.history.steps) == 4
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interruption_in_the_last_step_is_no_interruption():
    trainer = new_trainer("adam, cosine, one worker")
    trainer.fit(Data(), 2, [interrupt_at(2), Saving(100, lambda trainer: None)])
    assert trainer.step == 2


def test_a_second_interruption_stops_at_once():
    saved = []

    def slow(trainer):
        if trainer.step:
            os.kill(os.getpid(), signal.SIGINT)
        saved.append(trainer.step)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        new_trainer("adam, cosine, one worker").fit(Data(), 7, [interrupt_at(4), Saving(100, slow)])
    assert saved == [0]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.needs("threads")
def test_training_in_another_thread_leaves_signals_alone():
    saved = []
    trainer = new_trainer("adam, cosine, one worker")
    thread = threading.Thread(target=trainer.fit, args=(Data(), 2, [Saving(1, lambda t: saved.append(t.step))]))
    thread.start()
    thread.join()
    assert saved == [0, 1, 2]


def test_saving_every_no_steps_is_refused():
    with pytest.raises(ValueError, match="n=0"):
        Saving(0, print)
