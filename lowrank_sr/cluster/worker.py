"""What a worker runs: one task at a time, of the same build as the client's."""

import threading
from collections.abc import Callable
from typing import TypeVar

from lowrank_sr._version import __version__
from lowrank_sr.errors import InputError
from lowrank_sr.machine.compiled import kernels_digest

R = TypeVar("R")

_one_at_a_time = threading.Lock()  # a worker that was given several threads computes a task on all of them, not several


def build() -> str:
    """What two processes need to have in common to compute the same bytes: the version, and the kernels' sources."""
    return f"lowrank_sr {__version__}, kernels {kernels_digest()}"


def perform(expected: str, function: Callable[..., R], *arguments: object) -> R | InputError:
    """`function(*arguments)`, or the InputError that it raises; no other task runs in this process meanwhile.

    Raises InputError on a worker whose `build()` is not the `expected` one: it is of no use to any task.
    """
    from distributed import get_worker

    address = get_worker().address
    if build() != expected:
        raise InputError(f"{address}: the worker has {build()}: expected {expected}, as here")
    with _one_at_a_time:
        try:
            return function(*arguments)
        except InputError as error:  # the picture's fault: to Dask the task is done
            return error
        except OSError as error:
            return InputError(f"{address}: the worker's system refuses: {error}")
        except MemoryError:
            return InputError(f"{address}: the worker has too little memory: expected more, or a smaller picture")
