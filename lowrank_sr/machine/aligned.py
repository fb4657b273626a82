"""Arrays that begin where a cache line does: a vector never lies in two lines."""

import math
from collections.abc import Callable

import numpy as np

CACHE_LINE = 64  # bytes


def empty(shape: tuple[int, ...]) -> np.ndarray:
    """A C-contiguous float32 array of `shape` with any values."""
    return _aligned(np.empty, shape)


def zeros(shape: tuple[int, ...]) -> np.ndarray:
    """A C-contiguous float32 array of zeros of `shape`."""
    return _aligned(np.zeros, shape)


def _aligned(allocate: Callable[..., np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    size = math.prod(shape)
    room = allocate(size + CACHE_LINE // 4, np.float32)
    first = -room.ctypes.data % CACHE_LINE // 4
    return room[first : first + size].reshape(shape)
