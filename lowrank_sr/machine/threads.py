"""How many threads compute, in one place: Numba's loops and BLAS take turns and never multiply.

Threads that have nothing to do sleep. libgomp, which runs Numba's parallel loops on Linux, would let them spin for a
few milliseconds after each loop, to begin the next one sooner. On a core that another process wants too, that costs
both of them many times as long as the loop itself. A tenth of a millisecond is enough from one layer to the next.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import numba
from threadpoolctl import ThreadpoolController

from lowrank_sr.errors import InputError

VARIABLE = "LOWRANK_SR_THREADS"

WAITING = {
    "OMP_WAIT_POLICY": "PASSIVE",  # OpenMP 5.2, section 21.2.8
    "GOMP_SPINCOUNT": "10000",  # libgomp's own, which comes first there: a tenth of a millisecond, then sleep
}
"""How idle OpenMP threads wait, unless the environment has one of these variables; read when OpenMP is loaded."""

_limit: ContextVar[int | None] = ContextVar("_limit", default=None)

# Numba's workqueue layer aborts the process when two Python threads enter it, and a limit of BLAS's threads holds for
# the whole process. Re-entrant, because a region may limit BLAS inside itself.
_region = threading.RLock()

_threads_lost = False
"""Whether this process was forked from one whose OpenMP threads had started: they are not here, and are waited for."""

_log = logging.getLogger(__name__)


def thread_count() -> int:
    """The number of threads that this package's loops may use here and now.

    That is the innermost `limited`; without one, LOWRANK_SR_THREADS; without that, Numba's own setting.

    A variable that is empty or asks for more threads than Numba started with stands for all of those, and a warning is
    logged, once. Raises InputError where it is no number of threads, and where Numba cannot start any.
    """
    limit = _limit.get()
    if limit is not None:
        return limit
    if VARIABLE in os.environ:
        return _of_variable(os.environ[VARIABLE])
    _start_threads()
    return numba.get_num_threads()


@contextmanager
def limited(count: int | str | None) -> Iterator[int]:
    """Let this package's loops use `count` threads inside the block; None changes nothing. Yields the number in use.

    Raises InputError where `count` is not between 1 and the number of threads that Numba started with.
    """
    token = _limit.set(thread_count() if count is None else _checked(count, "--threads"))
    try:
        yield thread_count()
    finally:
        _limit.reset(token)


def _checked(count: int | str, source: str) -> int:
    try:
        threads = int(count)
    except ValueError:
        threads = 0
    if not 1 <= threads <= _most():
        raise InputError(f"{source} {count}: expected a number of threads from 1 to {_most()}")
    return threads


@cache
def _of_variable(value: str) -> int:
    """The threads that LOWRANK_SR_THREADS=`value` stands for: set once for many machines, it may be too high here."""
    if not value.strip():
        _log.warning("%s is empty: using %d threads", VARIABLE, _most())
        return _most()
    if value.strip().isdecimal() and int(value) > _most():
        _log.warning("%s=%s: using %d threads, all that there are", VARIABLE, value, _most())
        return _most()
    return _checked(value, VARIABLE)


def _most() -> int:
    """The number of threads that Numba starts, by default one a core."""
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    return most


@cache
def _start_threads() -> None:
    """Start Numba's threads, which soon sleep when they are idle unless the environment says how they are to wait.

    The variables are set for this moment only: they are meant for the OpenMP library that Numba loads here, not for
    those that the rest of the program loads. One that is loaded already keeps what it was loaded with.
    """
    with _region:
        waiting = {} if WAITING.keys() & os.environ.keys() else WAITING
        os.environ.update(waiting)
        try:
            _ask_numba()
        finally:
            for name in waiting:
                del os.environ[name]


def _ask_numba() -> None:
    """Ask for Numba's number of threads, with which it starts them; raises InputError where it cannot."""
    try:
        numba.get_num_threads()
    except ValueError as error:  # "No threading layer could be loaded", over several lines
        layer = numba.config.THREADING_LAYER  # type: ignore[attr-defined]
        raise InputError(
            f"NUMBA_THREADING_LAYER={layer}: Numba cannot load it; expected omp, workqueue, or an installed tbb"
        ) from error


@contextmanager
def parallel_region(threads: int) -> Iterator[None]:
    """Give a compiled parallel loop `threads` of Numba's threads, while no other Python thread runs one.

    Raises InputError where Numba cannot start threads, and in a process that was forked while GNU OpenMP's threads
    existed: they are not copied, and Numba would end the process.
    """
    if _threads_lost:
        raise InputError(
            "this process was forked from one that had computed already, which GNU OpenMP does not survive: expected"
            " multiprocessing's start method forkserver or spawn, or NUMBA_THREADING_LAYER=workqueue"
        )
    with _region:
        _start_threads()
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            yield
        finally:
            numba.set_num_threads(before)


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Run BLAS calls on `count` threads, at most one a core, then restore the caller's setting.

    OpenBLAS's threads spin while they wait for each other: more of them than cores, and a Cholesky factorisation that
    takes milliseconds takes minutes.
    """
    cores: int = numba.config.NUMBA_DEFAULT_NUM_THREADS  # type: ignore[attr-defined]  # that this process may use
    with _region, _blas().limit(limits=min(count, cores)):
        yield


@cache
def _blas() -> ThreadpoolController:
    import scipy.linalg.blas  # noqa: F401 (the pool to control exists once SciPy's BLAS is loaded)

    return ThreadpoolController().select(user_api="blas")


def _after_fork() -> None:
    """Forget, in the child, the lock that another thread of the parent may have held, and see what is missing."""
    global _region, _threads_lost
    _region = threading.RLock()
    try:
        _threads_lost = sys.platform == "linux" and numba.threading_layer() == "omp"  # type: ignore[attr-defined]
    except ValueError:  # none has been started
        _threads_lost = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
