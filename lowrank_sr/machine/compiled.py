"""Numba's compiler, with a cache that knows every source file its machine code is made from."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any, NoReturn

from numba import config, njit
from numba.core.caching import FunctionCache

from lowrank_sr.errors import InputError

_PACKAGE = Path(__file__).parents[1]
_KERNEL_FOLDERS = ("conv", "machine")


@cache
def kernels_digest() -> str:
    """A digest of the source files that the compiled kernels are made from: 16 hexadecimal digits.

    Whatever depends on the kernels' machine code is remembered under it: the code itself, the timings that `auto`
    chooses by, the study's results.
    """
    digest = hashlib.sha256()
    for folder in _KERNEL_FOLDERS:
        for path in sorted((_PACKAGE / folder).glob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _KernelCache(FunctionCache):
    """Numba's cache of one function, out of date after a change in any kernel's file.

    Numba looks only at the file that a function stands in, not at those of the functions that are inlined into it.
    """

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, kernels_digest())


def compiled(**options: Any) -> Callable:
    """Decorate a function as `numba.njit(cache=True, **options)` does, with a cache that knows all kernel files.

    Without a cache where none can be kept. Where Numba is told not to compile, the function raises InputError: the
    loops are made of vector instructions, which Python does not have.
    """

    def decorate(function: Callable) -> Callable:
        if config.DISABLE_JIT:  # type: ignore[attr-defined]
            return _refusing(function)
        dispatcher = njit(**options)(function)
        with suppress(RuntimeError):  # "no locator available": a read-only installation and a user without a home
            dispatcher._cache = _KernelCache(function)
        return dispatcher

    return decorate


def _refusing(function: Callable) -> Callable:
    @wraps(function)
    def refuse(*arguments: object) -> NoReturn:
        raise InputError("NUMBA_DISABLE_JIT is set, and the loops here run compiled only: expected it unset, or 0")

    return refuse
