"""kn2row: a convolution as GEMMs over the image itself, without a patch matrix (Vasudevan et al. 2017).

    products[y, x, j, n] = sum over i, c of in[y + i - d//2, x, c] * kernel[n, c, i, j]
    out[y, x, n]         = sum over j of products[y, x + j - d//2, j, n]

A kernel of d rows is d GEMMs, one for each i. Each reads the image in place, a row further down, through a leading
dimension that skips the channels the layer does not use, and adds to the sum of those before it. The d columns j of the
kernel lie side by side in one matrix, d N wide, and their products are shifted and added afterwards. One GEMM a tap
would need no such addition; but BLAS copies its operands into an order of its own, and copying the pixels d times
instead of d^2 times outweighs the addition.

The image is taken in strips of rows, as many as keep a strip and its products in the second-level cache, and one where
a single row is larger; BLAS runs on one thread, one strip a thread.

Extra memory: the products of one strip, d times its output, a thread.

The tour's chapter :doc:`/auto_tour/03_kn2row` computes it in plain NumPy.
"""

import numpy as np
from numba import prange

from lowrank_sr.conv.algorithm import Algorithm, Call, Scratch, each_number_once
from lowrank_sr.conv.epilogue import add_scaled, apply_epilogue
from lowrank_sr.conv.feature_map import address, padded_width
from lowrank_sr.conv.gemm import GEMM_ARGUMENTS, gemm, load_blas
from lowrank_sr.conv.turns import next_turn
from lowrank_sr.layers import Dense
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import MR, NR
from lowrank_sr.machine.rounding import ceil_div
from lowrank_sr.machine.threads import blas_threads

STRIPS_A_THREAD = 4  # at least, where the picture has the rows: threads then end at about the same time


def prepare(layer: Dense, keep_transformed: bool) -> np.ndarray:
    """Order the kernel as one matrix for each of its rows: float32 (d, C, d N)."""
    load_blas()
    n, c, d = layer.shape
    return np.ascontiguousarray(layer.weight.transpose(2, 1, 3, 0).reshape(d, c, d * n), np.float32)


def convolve(inputs: np.ndarray, operands: np.ndarray, kernel: np.ndarray, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with a prepared kernel on `workers` threads."""
    x, out = inputs[0], operands["out"][0]
    _, channels, product_width = kernel.shape
    row_pixels = int(x["row_stride"]) // int(x["pixel_stride"])
    if (inputs["row_stride"] // inputs["pixel_stride"] != row_pixels).any():
        raise ValueError("maps side by side whose rows have different lengths in memory")
    strip_rows = _strip_rows(row_pixels, channels, product_width, int(out["height"]), workers)
    with blas_threads(1):
        _kn2row_loops(inputs, operands, kernel, strip_rows, workers)


def _strip_rows(row_pixels: int, channels: int, product_width: int, height: int, workers: int) -> int:
    """How many rows a strip has, whose pixels and products have these widths."""
    row_bytes = 4 * row_pixels * (channels + product_width)
    return max(1, min(l2_bytes() // row_bytes, ceil_div(height, STRIPS_A_THREAD * workers)))


@compiled(parallel=True)
def _kn2row_loops(inputs: np.ndarray, operands: np.ndarray, kernel: np.ndarray, strip_rows: int, workers: int) -> None:
    """`strip_rows` rows of the picture at a time; all maps of `inputs` have rows of the same length in memory."""
    d, _, product_width = kernel.shape
    counter = np.zeros(1, np.int64)
    one = np.float32(1)
    for _ in prange(workers):
        operand = operands[0]
        out = operand.out
        n = out.channels
        row_pixels = inputs[0].row_stride // inputs[0].pixel_stride  # from a row to the next, the border included
        arguments = np.empty(1, GEMM_ARGUMENTS)
        products = np.empty((strip_rows * row_pixels, product_width), np.float32)
        first_row = strip_rows * next_turn(counter.ctypes.data)
        while first_row < out.height:
            rows = min(strip_rows, out.height - first_row)
            pixels = (rows - 1) * row_pixels + out.width + d - 1
            result = products.ctypes.data
            for i in range(d):
                first_channel = 0
                for m in range(len(inputs)):
                    x = inputs[m]
                    image, stride = address(x, first_row + i - d // 2, -(d // 2)), x.pixel_stride // 4  # floats
                    weights = kernel[i, first_channel:].ctypes.data
                    beta = 0.0 if i == 0 and m == 0 else 1.0
                    gemm(
                        arguments,
                        pixels,
                        product_width,
                        x.channels,
                        image,
                        stride,
                        weights,
                        beta,
                        result,
                        product_width,
                    )
                    first_channel += x.channels
            for row in range(rows):
                for column in range(0, out.width, MR):  # few enough pixels for the first-level cache
                    sums = products[row * row_pixels + column].ctypes.data
                    count = min(MR, out.width - column)
                    for j in range(1, d):
                        shifted = sums + 4 * j * (product_width + n)  # j pixels to the right, column j of the kernel
                        add_scaled(shifted, 4 * product_width, one, sums, 4 * product_width, count, n)
                    for channel in range(0, n, NR):
                        apply_epilogue(
                            sums + 4 * channel, 4 * product_width, operands, first_row + row, column, count, channel
                        )
            first_row = strip_rows * next_turn(counter.ctypes.data)


def _scratch(layer: Dense, call: Call, keep_transformed: bool) -> Scratch:
    n, c, d = layer.shape
    row_pixels = padded_width(call.width)
    rows = _strip_rows(row_pixels, c, d * n, call.height, call.workers)
    return Scratch(call.workers * 4 * rows * row_pixels * d * n)


ALGORITHM: Algorithm[Dense, np.ndarray] = Algorithm(
    name="kn2row",
    form=Dense,
    prepare=prepare,
    convolve=convolve,
    scratch=_scratch,
    multiplications=each_number_once,
)
