"""Numba's compiler with its cache, and without where there is no folder to keep one in."""

from collections.abc import Callable

from numba import njit


def compiled(**options) -> Callable:
    """Decorate a function as `numba.njit(cache=True, **options)` does; uncached where no cache can be kept."""

    def decorate(function):
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # "no locator available": a read-only installation and a user without a home
            return njit(**options)(function)

    return decorate
