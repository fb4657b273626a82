"""kn2row: a convolution as GEMMs over the image itself, without a patch matrix (Vasudevan et al. 2017).

    products[y, x, j, :] = sum over i of in[y + i - d//2, x, :] @ kernel[i, :, j, :]
    out[y, x, :]         = sum over j of products[y, x + j - d//2, j, :]

A kernel of d rows is d GEMMs, each reading the image in place, a row further down, through a leading dimension that
skips the channels the layer does not use. The d columns of the kernel lie side by side in one matrix, d N wide, and
their products are shifted and added afterwards. One GEMM a tap, the accumulating form, needs no such addition; but BLAS
copies its operands into an order of its own, and copying the pixels d times instead of d^2 times is worth more.

The image is taken in strips of rows, as many as keep a strip and its products in the second-level cache, and one where
a single row is larger; BLAS runs on one thread, one strip a thread.

Extra memory: the products of one strip, d times its output, a thread.
"""

import numpy as np
from llvmlite import binding
from numba import njit, prange, types
from numba.extending import get_cython_function_address

from lowrank_sr.conv.epilogue import add, finish
from lowrank_sr.conv.feature_map import address
from lowrank_sr.conv.simd import take
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import PANEL, ROWS
from lowrank_sr.machine.threads import blas_threads

# SciPy's BLAS under a name that compiled code refers to, so that Numba can cache it: a captured address would change.
_SGEMM = "lowrank_sr_sgemm"
_sgemm = types.ExternalFunction(_SGEMM, types.void(*[types.intp] * 13))


def prepare(kernel: np.ndarray) -> np.ndarray:
    """Order a (N, C, d, d) kernel as one matrix for each of its rows: float32 (d, C, d N)."""
    if binding.address_of_symbol(_SGEMM) is None:
        binding.add_symbol(_SGEMM, get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))
    n, c, d, _ = kernel.shape
    return np.ascontiguousarray(kernel.transpose(2, 1, 3, 0).reshape(d, c, d * n), np.float32)


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
    row_bytes = 4 * int(x["row"]) // int(x["pixel"]) * (kernel.shape[1] + kernel.shape[2])
    wanted = min(l2_bytes() // row_bytes, -(-int(out["height"]) // (4 * workers)))
    with blas_threads(1):
        _convolve(operands, kernel, max(1, wanted), workers)


@compiled(parallel=True)
def _convolve(operands, kernel, strip, workers):
    """`strip` rows at a time."""
    d, channels, width = kernel.shape
    turn, one = np.zeros(1, np.int64), np.float32(1)
    for _ in prange(workers):
        operand = operands[0]
        x, out = operand.x, operand.out
        n = out.channels
        across = x.row // x.pixel  # pixels from one row to the next
        products = np.empty((strip * across, width), np.float32)
        first = strip * take(turn.ctypes.data)
        while first < out.height:
            rows = min(strip, out.height - first)
            pixels = (rows - 1) * across + out.width + d - 1
            for i in range(d):
                lower = address(x, first + i - d // 2, -(d // 2))
                beta = 0.0 if i == 0 else 1.0
                weights, result = kernel[i].ctypes.data, products.ctypes.data
                gemm(pixels, width, channels, lower, x.pixel // 4, weights, beta, result, width)
            for row in range(rows):
                for column in range(0, out.width, ROWS):  # few enough for the first-level cache
                    at, count = products[row * across + column].ctypes.data, min(ROWS, out.width - column)
                    for j in range(1, d):
                        add(at + 4 * j * (width + n), 4 * width, one, at, 4 * width, count, n)
                    for channel in range(0, n, PANEL):
                        finish(at + 4 * channel, 4 * width, operand, first + row, column, count, channel)
            first = strip * take(turn.ctypes.data)
