"""What a worker runs: one task at a time, of the same build as the client's."""

import threading
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from lowrank_sr._version import __version__
from lowrank_sr.errors import InputError
from lowrank_sr.machine.compiled import kernels_digest

R = TypeVar("R")

_one_at_a_time = threading.Lock()  # a worker that was given several threads computes a task on all of them, not several


class Build(NamedTuple):
    """What two processes need to have in common to compute the same bytes."""

    version: str
    kernels: str

    def __str__(self) -> str:
        return f"lowrank_sr {self.version} (kernels {self.kernels})"


def build() -> Build:
    """This process's version of the package, and the digest of its kernels' sources."""
    return Build(__version__, kernels_digest())


def check_build(expected: Build, where: str) -> None:
    """Raise InputError, which says `where`, unless this process's build is the expected one."""
    if build() != expected:
        raise InputError(f"{where} has {build()}: expected {expected}, as here")


def perform(expected: Build, function: Callable[..., R], *arguments: object) -> R | InputError:
    """`function(*arguments)`, or the InputError that it raises; no other task runs in this process meanwhile.

    Raises InputError on a worker of another build, which is of no use to any task.
    """
    from distributed import get_worker

    check_build(expected, f"the worker {get_worker().address}")
    with _one_at_a_time:
        try:
            return function(*arguments)
        except InputError as error:  # the picture's fault: to Dask the task is done
            return error
