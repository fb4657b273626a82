"""im2col: copy every pixel's patch into a row of a matrix, and the convolution is one GEMM (Chellapilla et al. 2006).

    patches[y W + x, (i, j, c)] = in[y + i - d//2, x + j - d//2, c]
    out[y W + x, n]             = sum over (i, j, c) of patches[y W + x, (i, j, c)] * kernel[n, (i, j, c)]

BLAS runs at its peak, but the patch matrix is d^2 = 9 times the input: 9 C H W floats, 6.9 KB a pixel for a layer
with 192 input channels, written once and read once through a cache that it does not fit. That is the cost the paper
reports.

Extra memory: the patch matrix, d^2 C H W floats, and the product, N H W floats, for as long as the call takes.

The tour's chapter :doc:`/auto_tour/02_im2col` computes it in plain NumPy.
"""

import numpy as np
from numba import prange

from lowrank_sr.conv.algorithm import Algorithm, Call, Scratch, each_number_once
from lowrank_sr.conv.epilogue import apply_epilogue
from lowrank_sr.conv.feature_map import DTYPE, address
from lowrank_sr.conv.simd import copy_values
from lowrank_sr.layers import Dense
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import NR
from lowrank_sr.machine.threads import blas_threads


def prepare(layer: Dense, keep_transformed: bool) -> np.ndarray:
    """Order the kernel as the patches are: (N, d d C) float32, in Fortran order as BLAS reads it."""
    return np.asfortranarray(layer.weight.transpose(0, 2, 3, 1).reshape(len(layer.weight), -1), dtype=DTYPE)


def convolve(inputs: np.ndarray, operands: np.ndarray, kernel: np.ndarray, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with a prepared kernel on `workers` threads."""
    from scipy.linalg.blas import sgemm

    out = operands["out"][0]
    d = round((kernel.shape[1] // inputs["channels"].sum()) ** 0.5)
    patches = np.empty((out["height"] * out["width"], kernel.shape[1]), DTYPE)
    _copy_patches(inputs, patches, d, workers)
    with blas_threads(workers):
        # BLAS counts columns first: a C-ordered (rows, columns) array is, uncopied, its Fortran-ordered transpose.
        sums = sgemm(1.0, kernel, patches.T).T
    _write_sums(operands, sums, workers)


@compiled(parallel=True)
def _copy_patches(inputs: np.ndarray, patches: np.ndarray, d: int, workers: int) -> None:
    """Fill `patches`, (H W, d d C)."""
    for worker in prange(workers):
        height, width = inputs[0].height, inputs[0].width
        for row in range(worker, height, workers):
            for column in range(width):
                target = patches[row * width + column].ctypes.data
                for i in range(d):
                    for j in range(d):
                        for m in range(len(inputs)):
                            x = inputs[m]
                            copy_values(address(x, row + i - d // 2, column + j - d // 2), target, x.channels)
                            target += 4 * x.channels


@compiled(parallel=True)
def _write_sums(operands: np.ndarray, sums: np.ndarray, workers: int) -> None:
    """Write the (H W, N) sums through the epilogue."""
    for worker in prange(workers):
        operand = operands[0]
        width = operand.out.width
        for row in range(worker, operand.out.height, workers):
            for channel in range(0, operand.out.channels, NR):
                first_sum = sums[row * width, channel:].ctypes.data
                apply_epilogue(first_sum, sums.strides[0], operands, row, 0, width, channel)


def _scratch(layer: Dense, call: Call, keep_transformed: bool) -> Scratch:
    n, c, d = layer.shape
    return Scratch(4 * call.height * call.width * (d * d * c + n))


ALGORITHM: Algorithm[Dense, np.ndarray] = Algorithm(
    name="im2col",
    form=Dense,
    prepare=prepare,
    convolve=convolve,
    scratch=_scratch,
    multiplications=each_number_once,
)
