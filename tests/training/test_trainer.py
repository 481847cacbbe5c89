"""The trainer: right sums, right order, the same run for the same seed, and errors that name their cause."""

import inspect
import io
import sys
import types

import numpy as np
import pytest

from minitransformer.data import Batch, FreshBatches, ToyTask
from minitransformer.layers import CrossEntropy, Glorot
from minitransformer.models import (
    GPT,
    GPTConfig,
    MinimalConfig,
    MinimalTransformer,
    PreNormTransformer,
    TransformerConfig,
)
from minitransformer.training import (
    SGD,
    Adam,
    Callback,
    Constant,
    Every,
    History,
    NotFinite,
    ProgressBar,
    Trainer,
    WarmupCosine,
    callbacks,
    evaluate,
)
from minitransformer.training.parallel import ParallelTrainer, replica


def model(seed=0, dtype=np.float64, dropout=0.0):
    config = TransformerConfig(
        11, 13, d_model=6, n_heads=3, d_ff=5, n_encoder_blocks=2, n_decoder_blocks=1, dropout=dropout
    )
    return PreNormTransformer(config, Glorot(np.random.default_rng(seed), dtype))


def ragged_batch(seed=0, n=5):
    """Sentences of several lengths, so that shares have different numbers of tokens."""
    rng = np.random.default_rng(seed)
    source, target_in, targets = (rng.integers(3, 11, (n, 7)) for _ in range(3))
    for row in range(n):
        source[row, 3 + row % 4 :] = 0
        targets[row, 2 + row :] = 0
        target_in[row, 2 + row :] = 0
    return Batch((source, target_in), targets)


class Fixed:
    def __init__(self, batch):
        self.the_batch = batch

    def batch(self, step):
        return self.the_batch


def test_a_plain_step_is_the_weights_minus_rate_times_gradient():
    subject, reference = model(), model()
    batch = ragged_batch()
    loss = CrossEntropy(label_smoothing=0.1)
    logits, cache = reference.forward(*batch.inputs)
    value, loss_cache = loss.forward(logits, batch.targets)
    reference.backward(loss.backward(1.0, loss_cache), cache)
    record = Trainer(subject, SGD(), Constant(0.1), loss, clip=None).train_step(batch)
    assert record["loss"] == pytest.approx(float(value), rel=1e-14)
    for (name, moved), (_, p) in zip(subject.named_parameters(), reference.named_parameters()):
        np.testing.assert_allclose(moved.value, p.value - 0.1 * p.grad, rtol=1e-13, atol=1e-16, err_msg=name)


def test_one_worker_takes_the_plain_trainers_steps_bit_for_bit():
    plain, alone = Trainer(model(dropout=0.3), seed=5), ParallelTrainer(model(dropout=0.3), seed=5, workers=1)
    batch = ragged_batch().shares(1)[0]  # without columns of padding alone, which workers do not see
    losses = [[made.train_step(batch)["loss"] for _ in range(3)] for made in (plain, alone)]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(plain.value, alone.value)


def test_the_models_forward_is_two_frames_below_a_training_step(monkeypatch):
    trained = model()
    forward, frames = trained.forward, []

    def seen(*inputs, **options):
        frames.extend(frame.function for frame in inspect.stack(0)[1:3])
        return forward(*inputs, **options)

    monkeypatch.setattr(trained, "forward", seen)
    Trainer(trained).train_step(ragged_batch())
    assert frames == ["compute_gradient", "train_step"]


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_workers_together_compute_the_gradient_of_the_whole_batch(workers):
    batch = ragged_batch()
    one = Trainer(model(), SGD(), clip=None)
    several = ParallelTrainer(model(), SGD(), clip=None, workers=workers)
    a, b = one.train_step(batch), several.train_step(batch)
    assert b["loss"] == pytest.approx(a["loss"], rel=1e-13)
    assert b["tokens"] == a["tokens"] == int((batch.targets != 0).sum())
    np.testing.assert_allclose(several.grad, one.grad, rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(several.value, one.value, rtol=1e-13, atol=1e-16)


def test_a_replica_shares_every_value_and_owns_its_gradients():
    original = model()
    copy = replica(original)
    for a, b in zip(original.parameters(), copy.parameters()):
        assert a.value is b.value
        assert not np.shares_memory(a.grad, b.grad)
    assert copy.n_parameters() == original.n_parameters()  # what was tied is tied


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_seed_gives_the_same_run_bit_for_bit(workers):
    task = ToyTask("reverse", 7, 2, 5)

    def run(seed):
        config = TransformerConfig(len(task.vocabulary), None, 6, 3, 5, 1, 1, dropout=0.2)
        trained = PreNormTransformer(config, np.random.default_rng(3))
        trainer = ParallelTrainer(trained, seed=seed, workers=workers)
        history = trainer.fit(FreshBatches(task.sample, 8, seed=1, pad=0, start=1, eos=2), 12)
        return trainer.value.copy(), [record["loss"] for record in history.steps]

    (a, losses_a), (b, losses_b), (_, losses_c) = run(5), run(5), run(6)
    np.testing.assert_array_equal(a, b)
    assert losses_a == losses_b
    assert losses_a != losses_c


def test_numpys_global_generator_is_never_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    ParallelTrainer(model(dropout=0.3), workers=2).fit(Fixed(ragged_batch()), 2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_float32_all_the_way(monkeypatch):
    """Every array that a step caches, every gradient and every moment is float32."""
    trained = model(dtype=np.float32, dropout=0.2)
    optimizer = Adam()
    trainer = Trainer(trained, optimizer)
    caches = []
    forward = trained.forward
    monkeypatch.setattr(trained, "forward", lambda *i, **o: caches.append(forward(*i, **o)) or caches[-1])
    trainer.train_step(ragged_batch())
    ((logits, cache),) = caches
    assert logits.dtype == np.float32
    floating = [(name, x) for name, x in cache.rows() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    assert len(floating) > 30
    assert {name: x.dtype for name, x in floating if x.dtype != np.float32} == {}
    assert {p.grad.dtype for p in trained.parameters()} == {np.dtype(np.float32)}
    assert {m.dtype for m in optimizer.moments.values()} == {np.dtype(np.float32)}
    assert trainer.value.dtype == np.float32


def test_fit_returns_a_history_and_goes_on_where_it_stopped():
    trainer = Trainer(model(), Adam(), WarmupCosine(1e-2, 6, 2))
    trainer.fit(Fixed(ragged_batch()), 2)
    history = trainer.fit(Fixed(ragged_batch()), 6)
    assert [record["step"] for record in history.steps] == [1, 2, 3, 4, 5, 6]
    assert history.steps[-1]["loss"] < history.steps[0]["loss"]
    seconds = [record["seconds"] for record in history.steps]
    assert seconds == sorted(seconds)
    assert History.from_dict(history.to_dict()).steps == history.steps


def test_a_loss_that_is_not_finite_stops_and_names_the_first_layer_at_fault():
    broken = model()
    trainer = Trainer(broken)
    # Finite itself, but too large for its output to be.
    dict(broken.named_parameters())["encoder.blocks.1.feed_forward.down_proj.weight"].value[...] = 1e308
    before = trainer.value.copy()
    with pytest.raises(NotFinite, match=r"step 1: .* encoder\.blocks\.1\.feed_forward\.down_proj \(Dense\)"):
        trainer.fit(Fixed(ragged_batch()), 3)
    np.testing.assert_array_equal(trainer.value, before)
    assert trainer.step == 0
    dict(broken.named_parameters())["target_embedding.tokens.weight"].value[4, 1] = np.nan
    with pytest.raises(NotFinite, match=r"parameter target_embedding\.tokens\.weight"):
        trainer.fit(Fixed(ragged_batch()), 3)


def test_callbacks_run_in_order_and_end_even_after_an_error():
    events = []

    class Noting(Callback):
        def on_start(self, trainer, steps):
            events.append(("start", steps))

        def on_step(self, trainer, record):
            events.append(("step", record["step"]))
            if record["step"] == 2:
                raise RuntimeError("stop here")

        def on_end(self, trainer):
            events.append(("end", trainer.step))

    with pytest.raises(RuntimeError, match="stop here"):
        Trainer(model()).fit(Fixed(ragged_batch()), 5, [Noting()])
    assert events == [("start", 5), ("step", 1), ("step", 2), ("end", 2)]


def test_every_acts_on_every_nth_step_and_on_the_last_and_fills_the_history():
    trainer = Trainer(model())
    history = trainer.fit(Fixed(ragged_batch()), 5, [Every(2, lambda t: {"loss": float(t.step)})])
    assert [(v["step"], v["loss"]) for v in history.validations] == [(2, 2.0), (4, 4.0), (5, 5.0)]


def test_the_progress_bar_shows_loss_rate_speed_and_time_left():
    out = io.StringIO()
    Trainer(model(), schedule=Constant(0.01)).fit(Fixed(ragged_batch()), 3, [ProgressBar(file=out, disable=False)])
    line = out.getvalue().split("\r")[-1]
    assert "3/3" in line
    assert "left, loss " in line
    assert "rate 1.0e-02" in line
    assert "tokens/s" in line


def test_the_bar_is_shown_in_a_notebook_and_a_terminal_and_not_in_a_log(monkeypatch):
    def shown(file, **kernel):
        shell = types.SimpleNamespace(**kernel)
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
        Trainer(model()).fit(Fixed(ragged_batch()), 2, [ProgressBar(file=file)])
        return bool(file.getvalue())

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert not shown(io.StringIO())  # IPython in a file or pipe
    assert shown(Terminal())
    assert shown(io.StringIO(), kernel="of Jupyter")
    monkeypatch.delitem(sys.modules, "IPython")
    Trainer(model()).fit(Fixed(ragged_batch()), 2, [ProgressBar(file=(log := io.StringIO()))])
    assert not log.getvalue()


def test_evaluate_counts_tokens_and_sentences_by_hand():
    class Says(MinimalTransformer):
        """Predicts ids 5, 6, 2 whatever it is given."""

        def forward(self, source, target, rng=None):
            logits = np.zeros((*target.shape, 8))
            logits[:, [0, 1, 2], [5, 6, 2]] = 3.0
            return logits, None

    says = Says(MinimalConfig(8, 8, 2), np.random.default_rng(0))
    targets = np.array([[5, 6, 2], [5, 2, 0], [4, 6, 2]])
    numbers = evaluate(says, [Batch((targets, targets), targets)])
    assert numbers["token_accuracy"] == pytest.approx(6 / 8)  # row 2 has one of its two right, row 3 two of three
    assert numbers["exact_match"] == pytest.approx(1 / 3)
    right, wrong = np.log(np.exp(3) + 7) - 3, np.log(np.exp(3) + 7)
    assert numbers["loss"] == pytest.approx((6 * right + 2 * wrong) / 8)
    with pytest.raises(ValueError, match="no sentence"):
        evaluate(says, [])


@pytest.mark.parametrize(("option", "message"), [({"workers": 0}, "workers=0"), ({"clip": -1.0}, "clip=-1.0")])
def test_settings_out_of_range_are_named(option, message):
    with pytest.raises(ValueError, match=message):
        ParallelTrainer(model(), **option)


def test_a_debugger_that_steps_into_a_training_step_is_in_the_model_s_forward_two_frames_later():
    batch = Batch((np.array([[1, 2, 3]]),), np.array([[2, 3, 4]]))
    config = GPTConfig(vocab=7, max_length=5, d_model=6, n_heads=2, n_blocks=1)
    trainer, depth = Trainer(GPT(config, np.random.default_rng(0))), []

    class Watched(GPT):
        def forward(self, *inputs, **options):
            frame = sys._getframe().f_back
            while frame.f_code is not Trainer.train_step.__code__:
                depth.append(frame.f_code.co_name)
                frame = frame.f_back
            return super().forward(*inputs, **options)

    trainer.model = Watched(config, np.random.default_rng(0))
    trainer.train_step(batch)
    assert depth == ["compute_gradient"]  # train_step, compute_gradient, forward


def test_the_progress_bar_shows_a_running_mean_and_the_speed_since_the_start(monkeypatch):
    clock = iter((10.0, 10.5, 12.0))
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(clock))
    bar, trainer = ProgressBar("learning", file=io.StringIO(), disable=False), Trainer(model())
    trainer.step = 3
    bar.on_start(trainer, 20)
    assert (bar.bar.total, bar.bar.n, bar.bar.unit, bar.bar.desc) == (20, 3, "step", "learning")
    assert (bar.bar.miniters, bar.bar.mininterval) == (1, 0.25)
    assert type(bar.bar).monitor_interval == 0
    bar.on_step(trainer, {"loss": 2.0, "tokens": 1000, "learning_rate": 0.012})
    assert bar.bar.postfix == "loss 2.000, rate 1.2e-02, 2,000 tokens/s"
    bar.on_step(trainer, {"loss": 4.0, "tokens": 3000, "learning_rate": 0.5})
    assert bar.bar.postfix == "loss 2.100, rate 5.0e-01, 2,000 tokens/s"  # 0.95 * 2 + 0.05 * 4; 4,000 in 2 s
    assert bar.bar.n == 5
    bar.on_end(trainer)


def test_the_dropout_of_a_worker_and_a_step_is_its_own_and_never_that_of_the_data():
    trainer = Trainer(model(), seed=5)
    trainer.step = 7
    for worker in (0, 1, 2):
        wanted = np.random.default_rng([5, 7, 1 + worker]).random(3)
        np.testing.assert_array_equal(trainer.dropout_rng(worker).random(3), wanted)
    np.testing.assert_array_equal(trainer.dropout_rng().random(3), np.random.default_rng([5, 7, 1]).random(3))


@pytest.mark.parametrize("n", [0, -1])
def test_every_no_steps_is_refused(n):
    with pytest.raises(ValueError, match=f"n={n}: must be at least 1"):
        Every(n, lambda trainer: None)
    assert Every(1, lambda trainer: None).n == 1
