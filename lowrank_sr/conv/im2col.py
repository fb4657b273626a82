"""im2col: copy every pixel's patch into a row of a matrix, and the convolution is one GEMM.

    patches[y W + x, (i, j, c)] = in[y + i - d//2, x + j - d//2, c]
    out = patches @ kernel

BLAS runs at its peak, but the patch matrix is d^2 = 9 times the input: 9 C H W floats, 6.9 KB a pixel for a layer
with 192 input channels, written once and read once through a cache that it does not fit. That is the cost the paper
reports.

Extra memory: the patch matrix and the (H W, N) product, for as long as the call takes.
"""

import numpy as np
from numba import prange

from lowrank_sr.conv.epilogue import finish
from lowrank_sr.conv.feature_map import DTYPE, address
from lowrank_sr.conv.simd import copy
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import PANEL
from lowrank_sr.machine.threads import blas_threads


def prepare(kernel: np.ndarray) -> np.ndarray:
    """Order a (N, C, d, d) kernel as the patches are: (N, d d C) float32, in Fortran order as BLAS reads it."""
    return np.asfortranarray(kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1), dtype=DTYPE)


@compiled(parallel=True)
def _gather(operands, patches, d, workers):
    """Fill `patches`, (H W, d d C)."""
    for worker in prange(workers):
        x = operands[0].x
        for row in range(worker, x.height, workers):
            for column in range(x.width):
                patch = patches[row * x.width + column].ctypes.data
                for i in range(d):
                    for j in range(d):
                        pixel = address(x, row + i - d // 2, column + j - d // 2)
                        copy(pixel, patch, x.channels)
                        patch += 4 * x.channels


@compiled(parallel=True)
def _finish(operands, sums, workers):
    """Write the (H W, N) sums through the epilogue."""
    for worker in prange(workers):
        operand = operands[0]
        width = operand.out.width
        for row in range(worker, operand.out.height, workers):
            for n in range(0, operand.out.channels, PANEL):
                finish(sums[row * width, n:].ctypes.data, sums.strides[0], operand, row, 0, width, n)


def convolve(operands, kernel, workers):
    """Convolve `operands` (see `epilogue.py`) with a prepared kernel on `workers` threads."""
    from scipy.linalg.blas import sgemm

    x = operands["x"][0]
    d = round((kernel.shape[1] // x["channels"]) ** 0.5)
    patches = np.empty((x["height"] * x["width"], kernel.shape[1]), DTYPE)
    _gather(operands, patches, d, workers)
    with blas_threads(workers):
        # BLAS counts columns first: a C-ordered (rows, columns) array is, uncopied, its Fortran-ordered transpose.
        sums = sgemm(1.0, kernel, patches.T).T
    _finish(operands, sums, workers)
