"""BLAS on one thread where a layer's matrices are small.

A fit makes thousands of products and solves in a row, each a few times 2 (C d²)² K FLOPs at most. At C d² = 576, the
64 channels of ESRGAN's trunk, that is half a millisecond on one core for K = 32: less than the few milliseconds that
the call waits for a second thread whose core another process has. At C d² = 1728 it is ten milliseconds, and threads
are worth the risk.
"""

from contextlib import AbstractContextManager, nullcontext

from lowrank_sr.machine.threads import blas_threads

SMALL_PATCH = 1024  # numbers in a patch, C d²: 8 MB for a second moment in float64


def serial_blas(shape: tuple[int, int, int]) -> AbstractContextManager[None]:
    """A context in which BLAS runs on one thread if a layer of `shape` (N, C, d) has small patches, else as before."""
    _, c, d = shape
    return blas_threads(1) if c * d * d <= SMALL_PATCH else nullcontext()
