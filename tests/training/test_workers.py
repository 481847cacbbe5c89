"""Workers, threads and memory: settings are restored, and what a platform lacks is no error."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minitransformer.layers import CrossEntropy
from minitransformer.training import memory
from minitransformer.training.parallel import (
    ForkedWorker,
    ParallelTrainer,
    ThreadWorker,
    WorkerDied,
    blas,
    default_workers,
)
from minitransformer.training.parallel.workers import WaitingWorker, default_kind
from tests.training.test_trainer import Fixed, model, ragged_batch

needs_fork = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux")


def trainer(kind, n=2, **settings):
    return ParallelTrainer(model(dropout=0.2), workers=n, kind=kind, **settings)


@needs_fork
@pytest.mark.parametrize("n", [2, 3])
def test_processes_and_threads_take_the_same_steps_bit_for_bit(n):
    forked, threaded = trainer(ForkedWorker, n), trainer(ThreadWorker, n)
    batch = ragged_batch()
    losses = [made.fit(Fixed(batch), 5).steps[-1]["loss"] for made in (forked, threaded)]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(forked.value, threaded.value)


@pytest.mark.needs("threads")
@pytest.mark.parametrize("n", [2, 3])
def test_without_threads_workers_take_turns_with_the_same_numbers_and_say_so(n, monkeypatch):
    threaded = trainer(ThreadWorker, n)
    for module in ("workers", "trainer"):
        monkeypatch.setattr(f"minitransformer.training.parallel.{module}.THREADS", False)
    with pytest.warns(UserWarning, match=f"workers={n}: a browser has no threads, so they compute one after another"):
        waiting = trainer(None, n)
    assert [type(worker) for worker in waiting.others] == [WaitingWorker] * (n - 1)
    batch = ragged_batch()
    losses = [[step["loss"] for step in made.fit(Fixed(batch), 5).steps] for made in (threaded, waiting)]
    assert losses[1] == losses[0]
    np.testing.assert_array_equal(waiting.value, threaded.value)
    assert trainer(None, 1).others == []


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(ForkedWorker, marks=needs_fork),
        pytest.param(ThreadWorker, marks=pytest.mark.needs("threads")),
        WaitingWorker,
    ],
)
def test_what_another_worker_raises_is_raised_here_and_the_next_step_is_right(kind):
    class Refuses(CrossEntropy):
        def forward(self, logits, targets, normalizer=None, rng=None):
            if len(targets) == 3:
                raise ValueError("three sentences are one too many")
            return super().forward(logits, targets, normalizer)

    bad, good = trainer(kind, loss=Refuses()), trainer(kind)
    assert [len(share.targets) for share in ragged_batch(n=5).shares(2)] == [2, 3]
    with pytest.raises(ValueError, match="one too many"):
        bad.train_step(ragged_batch(n=5))
    assert bad.train_step(ragged_batch(n=4))["loss"] == good.train_step(ragged_batch(n=4))["loss"]


@needs_fork
def test_a_step_that_was_interrupted_leaves_no_old_answer_behind(monkeypatch):
    stopped, steady = trainer(ForkedWorker), trainer(ForkedWorker)
    batch = ragged_batch()

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("minitransformer.training.parallel.trainer.compute_share", interrupt)
        with pytest.raises(KeyboardInterrupt):
            stopped.train_step(batch)
    assert [stopped.train_step(batch)["loss"] for _ in range(2)] == [steady.train_step(batch)["loss"] for _ in range(2)]


@needs_fork
def test_a_worker_that_is_killed_ends_the_step_with_an_error_and_the_next_has_a_new_one():
    killed, steady = trainer(ForkedWorker), trainer(ForkedWorker)
    batch = ragged_batch()
    for made in (killed, steady):
        made.train_step(batch)
    os.kill(killed.others[0].process.pid, signal.SIGKILL)
    value = killed.value.copy()
    with pytest.raises(WorkerDied, match="status -9"):
        killed.train_step(batch)
    np.testing.assert_array_equal(killed.value, value)
    assert killed.train_step(batch)["loss"] == steady.train_step(batch)["loss"]


@needs_fork
def test_a_trainer_takes_its_processes_with_it():
    made = trainer(ForkedWorker)
    made.train_step(ragged_batch())
    process = made.others[0].process
    assert process.is_alive()
    del made
    gc.collect()
    process.join(5)
    assert not process.is_alive()


@needs_fork
def test_no_worker_outlives_a_process_that_is_killed():
    program = (
        "import os, signal; from tests.training.test_workers import *\n"
        "made = trainer(ForkedWorker); made.train_step(ragged_batch())\n"
        "print(made.others[0].process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    worker = int(out.stdout)
    for _ in range(100):
        try:
            with open(f"/proc/{worker}/stat") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.1)
    pytest.fail(f"the worker {worker} is still there")


def _two_workers_kind(queue):
    queue.put(default_kind().__name__)


@needs_fork
def test_in_a_pools_process_which_may_not_have_its_own_the_second_worker_is_a_thread():
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=_two_workers_kind, args=(queue,), daemon=True)
    process.start()
    assert queue.get() == "ThreadWorker"
    process.join()
    assert default_kind() is ForkedWorker


def test_blas_threads_are_set_inside_and_restored_after_even_by_an_error():
    if not blas.can_set_threads():
        pytest.skip("this NumPy does not use OpenBLAS")
    get, _ = blas._functions()
    before = get()
    seen = []

    def fail_inside():
        with blas.blas_threads(1):
            seen.append(get())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_inside()
    assert (seen, get()) == ([1], before)


def test_without_openblas_nothing_is_set_and_one_worker_is_the_default(monkeypatch):
    monkeypatch.setattr(blas, "_functions", lambda: None)
    assert not blas.can_set_threads()
    assert default_workers() == 1
    with blas.blas_threads(1):
        pass


def test_memory_is_left_alone_where_the_c_library_is_another(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert memory.keep_freed_memory.__wrapped__() is False
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory.__wrapped__() is False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="huge pages are Linux's")
def test_where_addresses_are_short_memory_has_ordinary_pages():
    called = []

    class NoRoom:
        def __getattr__(self, name):
            def function(*arguments):
                called.append(name)

            self.__dict__[name] = function
            return function

    memory._prefer_huge_pages(NoRoom())
    assert called == ["malloc"]  # it gave nothing: nothing is advised or freed


def test_two_workers_are_the_default_where_two_processors_and_openblas_are(monkeypatch):
    monkeypatch.setattr("minitransformer.training.parallel.workers.can_set_threads", lambda: True)
    for processors, workers in ((1, 1), (2, 2), (64, 2)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, n=processors: set(range(n)), raising=False)
        assert default_workers() == workers


@pytest.mark.parametrize(("processors", "workers"), [(4, 2), (2, 2), (1, 1), (None, 1)])
def test_where_the_system_does_not_say_which_processors_are_free_all_count(monkeypatch, processors, workers):
    monkeypatch.setattr("minitransformer.training.parallel.workers.can_set_threads", lambda: True)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert default_workers() == workers


@pytest.mark.parametrize(
    ("platform", "daemon", "kind"),
    [("linux", False, ForkedWorker), ("linux", True, ThreadWorker), ("darwin", False, ThreadWorker)],
)
def test_processes_are_for_linux_and_not_within_a_pool(monkeypatch, platform, daemon, kind):
    monkeypatch.setattr("minitransformer.training.parallel.workers.THREADS", True)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {"daemon": daemon})
    assert default_kind() is kind


@pytest.mark.needs("threads")
def test_beside_ranks_the_other_workers_are_threads_whose_dropout_is_counted_over_all_ranks():
    class TwoRanks:
        rank, size = 1, 2

        def check_same(self, vector, step):
            self.checked = step

        def add(self, vector):
            self.mine = vector.copy()

        def total(self, value):
            return value

    ranks, batch = TwoRanks(), ragged_batch(n=6)
    beside = ParallelTrainer(model(dropout=0.2), workers=2, ranks=ranks, seed=4)
    assert [type(worker) for worker in beside.others] == [ThreadWorker]
    beside.compute_gradient(batch)
    assert ranks.checked == 0
    shares = batch.shares(2)[1].shares(2)  # of this rank, for workers 2 and 3 of all four
    alone = ParallelTrainer(model(dropout=0.2), workers=1, seed=4)
    total = 0
    for worker, share in enumerate(shares, start=2):
        alone.grad[...] = 0
        logits, cache = alone.model.forward(*share.inputs, rng=alone.dropout_rng(worker))
        _, loss_cache = alone.loss.forward(logits, share.targets, batch.n_tokens)
        alone.model.backward(alone.loss.backward(1.0, loss_cache), cache)
        total = total + alone.grad
    np.testing.assert_allclose(ranks.mine, total, rtol=1e-12, atol=1e-15)
    beside.close()


@pytest.mark.parametrize(("step", "checked"), [(0, True), (1, False), (99, False), (100, True), (200, True)])
def test_ranks_compare_their_weights_every_hundred_steps(step, checked):
    class OneRank:
        rank, size, asked = 0, 1, False

        def check_same(self, vector, step):
            self.asked = True

        def add(self, vector):
            pass

        def total(self, value):
            return value

    ranks = OneRank()
    subject = ParallelTrainer(model(), workers=1, ranks=ranks)
    subject.step = step
    subject.compute_gradient(ragged_batch())
    assert ranks.asked == checked


def test_a_rank_without_a_sentence_adds_nothing():
    class Third:
        rank, size = 2, 3

        def check_same(self, vector, step):
            pass

        def add(self, vector):
            self.added = vector.copy()

        def total(self, value):
            return value

    ranks = Third()
    subject = ParallelTrainer(model(), workers=1, ranks=ranks)
    subject.grad[...] = 1
    assert subject.compute_gradient(ragged_batch(n=2)) == 0.0
    assert not ranks.added.any()
