"""kn2row: a convolution as d^2 GEMMs over the image itself, without a patch matrix (Vasudevan et al. 2017).

    out[y, x, :] = sum over i, j of in[y + i - d//2, x + j - d//2, :] @ kernel[i, j]

Seen as a list, the pixels of a padded image that a tap touches are the pixels of the output, shifted: every product
reads the image in place, through a leading dimension that skips the channels the layer does not use. It also computes
the d - 1 pixels between one row and the next, which are dropped. The image is taken in strips of rows, small enough
that a strip and its sums stay in the second-level cache for all d^2 products; BLAS runs on one thread, one strip a
thread.

Extra memory: the sums of one strip a thread.
"""

import numpy as np
from llvmlite import binding
from numba import njit, prange, types
from numba.extending import get_cython_function_address

from lowrank_sr.conv.cache import l2_bytes
from lowrank_sr.conv.epilogue import finish
from lowrank_sr.conv.feature_map import address
from lowrank_sr.conv.simd import PANEL
from lowrank_sr.threads import blas_threads

# SciPy's BLAS under a name that compiled code refers to, so that Numba can cache it: a captured address would change.
_SGEMM = "lowrank_sr_sgemm"
_sgemm = types.ExternalFunction(_SGEMM, types.void(*[types.intp] * 13))


def prepare(kernel: np.ndarray) -> np.ndarray:
    """Order a (N, C, d, d) kernel as one matrix for each tap: float32 (d, d, C, N)."""
    if binding.address_of_symbol(_SGEMM) is None:
        binding.add_symbol(_SGEMM, get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))
    return np.ascontiguousarray(kernel.transpose(2, 3, 1, 0), np.float32)


@njit(inline="always")
def gemm(m, n, k, a, lda, b, beta, c, ldc):
    """C = A B + beta C for row-major A (m, k), B (k, n), C (m, n); rows of A and C lie lda and ldc floats apart.

    BLAS counts columns first, for which the same memory is C' = B' A' + beta C'.
    """
    sizes = np.array([n, m, k, n, lda, ldc], np.int32)
    scalars = np.array([1.0, beta], np.float32)
    plain = np.array([ord("N")], np.uint8)
    size, scalar, no = sizes.ctypes.data, scalars.ctypes.data, plain.ctypes.data
    _sgemm(no, no, size, size + 4, size + 8, scalar, b, size + 12, a, size + 16, scalar + 4, c, size + 20)


def convolve(operands, kernel, workers):
    """Convolve `operands` (see `epilogue.py`) with a prepared kernel on `workers` threads."""
    x, out = operands["x"][0], operands["out"][0]
    row_bytes = int(x["row"]) // int(x["pixel"]) * 4 * (int(x["channels"]) + int(out["channels"]))
    wanted = min(l2_bytes() // 2 // row_bytes, -(-int(out["height"]) // workers))
    with blas_threads(1):
        _convolve(operands, kernel, max(1, wanted), workers)


@njit(parallel=True, cache=True)
def _convolve(operands, kernel, strip, workers):
    """`strip` rows at a time."""
    d, _, channels, n = kernel.shape
    for worker in prange(workers):
        operand = operands[0]
        x, out = operand.x, operand.out
        across = x.row // x.pixel  # pixels from one row to the next
        sums = np.empty((strip * across, n), np.float32)
        for first in range(worker * strip, out.height, workers * strip):
            rows = min(strip, out.height - first)
            pixels = (rows - 1) * across + out.width
            for i in range(d):
                for j in range(d):
                    beta = 0.0 if i == 0 and j == 0 else 1.0
                    shifted = address(x, first + i - d // 2, j - d // 2)
                    gemm(
                        pixels, n, channels, shifted, x.pixel // 4, kernel[i, j].ctypes.data, beta, sums.ctypes.data, n
                    )
            for row in range(rows):
                for column in range(out.width):
                    for channel in range(0, n, PANEL):
                        at = sums[row * across + column, channel:].ctypes.data
                        finish(at, operand, first + row, column, channel)
