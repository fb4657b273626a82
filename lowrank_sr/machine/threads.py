"""How many threads, in one place: Numba's loops and BLAS's pool take turns and never multiply."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numba
from threadpoolctl import ThreadpoolController

from lowrank_sr.errors import InputError

VARIABLE = "LOWRANK_SR_THREADS"
POOL = threading.Lock()  # Numba's pool takes one caller at a time


@cache
def _blas() -> ThreadpoolController:
    import scipy.linalg.blas  # noqa: F401 (the pool to control exists once SciPy's BLAS is loaded)

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Run BLAS calls on `count` threads, then restore the caller's setting."""
    with _blas().limit(limits=count):
        yield


@contextmanager
def limited(count: int | None) -> Iterator[int]:
    """Run this package's loops on `count` threads, by default LOWRANK_SR_THREADS or Numba's, then restore the setting.

    Yields the number in use. Raises InputError where it is not between 1 and the number of threads that Numba started
    with.
    """
    asked, source = count, "--threads"
    if asked is None and VARIABLE in os.environ:
        asked, source = os.environ[VARIABLE], VARIABLE
    before, most = numba.get_num_threads(), numba.config.NUMBA_NUM_THREADS
    try:
        threads = before if asked is None else int(asked)
        if not 1 <= threads <= most:
            raise ValueError
    except ValueError:
        raise InputError(f"{source} {asked}: expected a number of threads from 1 to {most}") from None
    numba.set_num_threads(threads)
    try:
        yield threads
    finally:
        numba.set_num_threads(before)
