"""How many threads the matrix products of this process use, read and set through OpenBLAS's own functions.

Workers need one each: two workers whose products each spread over two cores would be in each other's way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

# Names under which builds export them: NumPy's wheels prefix scipy_, 64-bit integer builds append 64_.
PREFIXES, SUFFIXES = ("scipy_", ""), ("64_", "", "64")


@lru_cache(maxsize=1)
def _functions() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """(get, set) of the OpenBLAS that NumPy's wheel brought along; None where there is no such library."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                library = ctypes.CDLL(str(path))  # loaded already: this only finds it again
            except OSError:
                continue
            for prefix in PREFIXES:
                for suffix in SUFFIXES:
                    get = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
                    set_ = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
                    if get and set_:
                        return get, set_
    return None


def can_set_threads() -> bool:
    """Whether `blas_threads` has any effect here."""
    return _functions() is not None


@contextmanager
def blas_threads(n: int) -> Iterator[None]:
    """Within the `with` block matrix products use n threads; afterwards as many as before."""
    functions = _functions()
    if functions is None:
        yield
        return
    get, set_ = functions
    before = get()
    set_(n)
    try:
        yield
    finally:
        set_(before)
