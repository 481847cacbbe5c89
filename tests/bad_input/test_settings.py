"""Settings of every kind: configurations, optimizers, schedules, stored descriptions."""

import dataclasses
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minitransformer.data import FreshBatches, ToyTask, WordVocabulary
from minitransformer.decoding import Translator
from minitransformer.layers import CrossEntropy, Dropout, Unallocated
from minitransformer.models import LANGUAGE_MODELS, MODELS, MinimalConfig, MinimalTransformer, build_model
from minitransformer.training import (
    SGD,
    Adam,
    AdamW,
    Constant,
    History,
    Noam,
    Trainer,
    WarmupCosine,
    restore_trainer,
    save_checkpoint,
    trainer_state,
)
from minitransformer.training.parallel import ParallelTrainer

from .harness import JSON, NUMBER, WHOLE, generated, holds

ALL = MODELS | LANGUAGE_MODELS
ANY = st.one_of(WHOLE, NUMBER, st.sampled_from([None, True, "4", (), 2.0]))


@st.composite
def stored_configs(draw):
    """(name of a model, a stored configuration): a good one, in which some things are wrong."""
    name = draw(st.sampled_from(sorted(ALL)))
    names = [field.name for field in dataclasses.fields(ALL[name][1])]
    sizes = {"d_model": 4, "n_heads": 2, "dropout": 0.1, "pad": 0, "eps": 1e-5, "base": 1e4, "n_kv_heads": 2}
    values = {field: sizes.get(field, 6) for field in names} | {field: 1 for field in names if field.endswith("blocks")}
    for field in draw(st.lists(st.sampled_from(names), max_size=2)):
        if draw(st.booleans()):
            values.pop(field, None)
        else:
            values[field] = draw(ANY)
    if draw(st.integers(0, 5)) == 0:
        values[draw(st.text(max_size=4))] = 1
    return name, values


@given(stored_configs())
@generated(8)
def test_configurations(stored):
    name, values = stored
    config = holds(lambda values: ALL[name][1].from_dict(values), values)
    if config is None:
        return
    assert config.to_dict() == config.to_dict() | values or any(isinstance(v, float) for v in values.values())
    sizes = [value for value in config.to_dict().values() if isinstance(value, int)]
    if max(sizes) < 100:  # a model of a million blocks is one, too
        model = holds(lambda: build_model(name, config, Unallocated()))
        if model is not None:
            assert model.n_parameters() > 0


@given(JSON)
@generated()
def test_configurations_of_anything(values):
    for _, config in ALL.values():
        holds(lambda values, config=config: config.from_dict(values), values)


@given(NUMBER, NUMBER, NUMBER, NUMBER)
@generated(4)
def test_optimizers_and_dropout(a, b, c, d):
    for build in (
        lambda: SGD(a),
        lambda: Adam(a, b, c),
        lambda: AdamW(a, b, c, d),
        lambda: Dropout(a),
        lambda: CrossEntropy(0, a),
    ):
        holds(build)


@given(NUMBER, WHOLE, WHOLE, NUMBER, st.integers(1, 10**6))
@generated(4)
def test_schedules(rate, steps, warmup, final, step):
    for build in (
        lambda: Constant(rate),
        lambda: Noam(steps, warmup, rate),
        lambda: WarmupCosine(rate, steps, warmup, final),
    ):
        schedule = holds(build)
        if schedule is not None:
            value = schedule(step)
            assert value >= 0
            assert math.isfinite(value)


@given(
    st.sampled_from(["copy", "sort", "x", ""]), st.integers(-2, 6), st.integers(-2, 5), st.integers(-2, 5), WHOLE, WHOLE
)
@generated(2)
def test_tasks(name, symbols, shortest, longest, size, seed):
    task = holds(lambda: ToyTask(name, symbols, shortest, longest))
    if task is not None and size < 100:
        holds(lambda: FreshBatches(task.sample, size, seed=seed).batch(0))


def trainer():
    return Trainer(MinimalTransformer(MinimalConfig(7, 7, 4), np.random.default_rng(0)))


@given(st.one_of(st.none(), NUMBER), WHOLE, WHOLE)
@generated()
def test_trainers(clip, workers, steps):
    model = MinimalTransformer(MinimalConfig(7, 7, 4), np.random.default_rng(0))
    made = holds(lambda: ParallelTrainer(model, clip=clip, workers=min(workers, 4)))
    if made is not None and steps < 1:
        holds(lambda: made.fit(None, steps))


@given(
    JSON, st.sampled_from(["step", "optimizer_step", "validations", "seed", "optimizer", "schedule", "loss", "clip"])
)
@generated(4)
def test_states_of_trainers(value, name):
    arrays, description = trainer_state(trainer())
    holds(lambda d: restore_trainer(trainer(), arrays, d), description | {name: value})


@given(JSON, st.sampled_from(["steps", "validations"]))
@generated()
def test_histories(value, name):
    holds(lambda d: History.from_dict(d), {"steps": [], "validations": []} | {name: value})


@given(JSON, st.sampled_from(["model", "config", "source_vocabulary", "target_vocabulary", "start", "all"]))
@generated(4)
def test_descriptions_of_translators(tmp_path_factory, value, name):
    vocabulary = WordVocabulary(["a", "b", "c"])
    saved = Translator("minimal", trainer().model, vocabulary, vocabulary, 1)
    description = saved.description() | {name: value}
    path = tmp_path_factory.getbasetemp() / "description.npz"

    def load(description):
        save_checkpoint(path, saved.arrays(), description)
        return Translator.load(path)

    loaded = holds(load, value if name == "all" and isinstance(value, dict) else description)
    if loaded is not None:
        assert isinstance(loaded.translate(["a b"]), list)


@given(st.integers(-10, 30))
@generated(0.2)
def test_mismatched_vocabularies(tmp_path_factory, n):
    vocabulary, other = WordVocabulary(["a", "b", "c"]), WordVocabulary(f"w{i}" for i in range(n))
    saved = Translator("minimal", trainer().model, vocabulary, vocabulary, 1)
    path = tmp_path_factory.getbasetemp() / "mismatched.npz"
    save_checkpoint(path, saved.arrays(), saved.description() | {"source_vocabulary": other.to_dict()})
    loaded = holds(lambda: Translator.load(path))
    assert (loaded is not None) == (len(other) == 7)
