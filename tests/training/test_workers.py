"""Threads and memory: settings are restored, and what a platform lacks is no error."""

import os
import sys

import pytest

from minitransformer.training import blas, default_workers, memory


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
    class NoRoom:
        def __getattr__(self, name):
            def function(*arguments):
                return None

            self.__dict__[name] = function
            return function

    assert memory._prefer_huge_pages(NoRoom()) is False


def test_two_workers_are_the_default_where_two_processors_and_openblas_are(monkeypatch):
    monkeypatch.setattr("minitransformer.training.workers.can_set_threads", lambda: True)
    for processors, workers in ((1, 1), (2, 2), (64, 2)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, n=processors: set(range(n)), raising=False)
        assert default_workers() == workers
