"""Numba's compiler with its cache, and without where there is no folder to keep one in."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

from numba import njit


def compiled(**options) -> Callable:
    """Decorate a function as `numba.njit(cache=True, **options)` does; uncached where no cache can be kept."""

    def decorate(function):
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # "no locator available": a read-only installation and a user without a home
            return njit(**options)(function)

    return decorate


@functools.cache
def kernels_digest() -> str:
    """16 hexadecimal digits that change with any source file of the compiled code."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for folder in ("conv", "machine"):
        for path in sorted((package / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
