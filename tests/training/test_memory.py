"""What the C library is told, constant by constant: <malloc.h> and <sys/mman.h> of Linux."""

import sys

import pytest

from minitransformer.training import memory

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
MMAP_THRESHOLD, TRIM_THRESHOLD, ARENA_MAX, HUGE = -3, -1, -8, 14


class Function:
    def __init__(self, call):
        self.call = call

    def __call__(self, *arguments):
        return self.call(*arguments)


class CLibrary:
    """Notes what it is told; `refused` is an option that it does not know, `start` what malloc returns."""

    def __init__(self, refused=None, start=5):
        self.set, self.advised, self.freed, self.asked = [], [], [], []
        self.mallopt = Function(lambda option, value: self.set.append((option, value)) or int(option != refused))
        self.malloc = Function(lambda n: self.asked.append(n) or start)
        self.free = Function(self.freed.append)
        self.madvise = Function(lambda *arguments: self.advised.append(arguments))


def kept_by(monkeypatch, library):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    return memory.keep_freed_memory.__wrapped__()


def test_freed_memory_is_kept_in_one_arena_with_huge_pages(monkeypatch):
    library = CLibrary()
    assert kept_by(monkeypatch, library) is True
    most = 2**31 - 1
    assert library.set == [(MMAP_THRESHOLD, most), (TRIM_THRESHOLD, most), (ARENA_MAX, 1)]
    assert library.asked == [2**30]
    # The first whole page of 2 MB, and all that are sure to lie within what malloc gave.
    assert library.advised == [(2**21, 2**30 - 2**21, HUGE)]
    assert library.freed == [5]


@pytest.mark.parametrize(("start", "aligned"), [(2**21, 2**21), (2**21 + 1, 2**22), (7 * 2**21 - 1, 7 * 2**21)])
def test_advice_begins_at_a_whole_page(monkeypatch, start, aligned):
    library = CLibrary(start=start)
    kept_by(monkeypatch, library)
    assert library.advised[0][0] == aligned


@pytest.mark.parametrize("refused", [MMAP_THRESHOLD, TRIM_THRESHOLD, ARENA_MAX])
def test_all_is_set_whatever_is_refused_and_pages_are_then_left_alone(monkeypatch, refused):
    library = CLibrary(refused)
    assert kept_by(monkeypatch, library) is False
    assert len(library.set) == 3
    assert not library.asked
