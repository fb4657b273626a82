"""What the gradients of all kernels and factors are made of: the correlation of a layer's input with a gradient.

    correlation[c, t, n] = sum over y, x of in[y + i_t, x + j_t, c] * gradient[y, x, n]      tap t = (i_t, j_t)

Read the other way round, pixel q of the input meets the gradients of those outputs that it went into,

    correlation[c, (t, n)] = sum over q of in[q, c] * patches[q, (t, n)],      patches[q, (t, n)] = gradient[q - t, n]

which is one product of matrices, (C, pixels) @ (pixels, T N). Patches are taken of the map that has fewer channels, in
a dense block the gradient, and of a strip of rows at a time, so that they stay in the second-level cache; the other map
is read where it lies. Each thread adds up its strips, and the threads' sums are added in order: on a given number of
threads the result is the same to the bit every time.

Extra memory: the patches of one strip and C T N sums, a thread.
"""

from collections.abc import Sequence

import numpy as np
from numba import prange

from lowrank_sr.conv.feature_map import FeatureMap, address, records
from lowrank_sr.conv.gemm import GEMM_ARGUMENTS, gemm_transposed, load_blas
from lowrank_sr.conv.simd import copy_values
from lowrank_sr.machine.caches import l2_bytes
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES
from lowrank_sr.machine.rounding import ceil_div, round_up
from lowrank_sr.machine.threads import parallel_region, thread_count

Tap = tuple[int, int]
"""Rows down and columns to the right of the middle of the kernel, each -1, 0 or 1."""

SQUARE: list[Tap] = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
COLUMN: list[Tap] = [(-1, 0), (0, 0), (1, 0)]
ROW: list[Tap] = [(0, -1), (0, 0), (0, 1)]
POINT: list[Tap] = [(0, 0)]


def correlation(x: FeatureMap, gradient: FeatureMap, taps: Sequence[Tap]) -> np.ndarray:
    """Correlate `x`, C channels, with `gradient`, N channels of the same pixels: (C, T, N) float32.

    Both have the border of zeros of `feature_map.allocate`. BLAS is called on every thread, so the caller holds it to
    one thread each (`machine.threads.blas_threads`).
    """
    if x.channels < gradient.channels:
        return correlation(gradient, x, [(-i, -j) for i, j in taps]).transpose(2, 1, 0)
    if (x.height, x.width) != (gradient.height, gradient.width):
        raise ValueError(f"input {x.height} x {x.width} and gradient {gradient.height} x {gradient.width} differ")
    load_blas()
    width = len(taps) * gradient.channels
    row_bytes = 4 * x.buffer.shape[1] * width
    workers = min(thread_count(), x.height)
    strip_rows = max(1, min(l2_bytes() // 2 // row_bytes, ceil_div(x.height, workers)))
    sums = np.zeros((workers, x.channels, width), np.float32)
    with parallel_region(workers):
        _correlation_loops(records([x, gradient]), np.array(taps), strip_rows, sums)
    return sums.sum(0).reshape(x.channels, len(taps), gradient.channels)


@compiled(parallel=True)
def _correlation_loops(maps: np.ndarray, taps: np.ndarray, strip_rows: int, sums: np.ndarray) -> None:
    """`strip_rows` rows at a time, each worker into its own (C, T N) of `sums`."""
    workers, channels, width = sums.shape
    for worker in prange(workers):
        x, gradient = maps[0], maps[1]
        row_pixels = x.row_stride // x.pixel_stride  # from a row to the next, the border included, where x is zero
        arguments = np.empty(1, GEMM_ARGUMENTS)
        n = gradient.channels
        if n > LANES:  # in whole vectors: what is too much of one tap is written over by the next, or by the next pixel
            n = round_up(n, LANES)
        patches = np.zeros((strip_rows * row_pixels + LANES, width), np.float32)
        for first_row in range(worker * strip_rows, x.height, workers * strip_rows):
            rows = min(strip_rows, x.height - first_row)
            for row in range(rows):
                for column in range(x.width):
                    target = patches[row * row_pixels + column].ctypes.data
                    for t in range(len(taps)):
                        source = address(gradient, first_row + row - taps[t, 0], column - taps[t, 1])
                        copy_values(source, target, n)
                        target += 4 * gradient.channels
            pixels = (rows - 1) * row_pixels + x.width
            gemm_transposed(
                arguments,
                channels,
                width,
                pixels,
                address(x, first_row, 0),
                x.pixel_stride // 4,
                patches.ctypes.data,
                1.0,
                sums[worker].ctypes.data,
                width,
            )
