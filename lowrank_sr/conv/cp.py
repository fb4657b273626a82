"""CP, all four steps fused: 1 x 1, 3 x 1 and 1 x 3 on each channel by itself, 1 x 1 (Lebedev et al. 2014, section 3.2).

    a[y, x, r]   = sum over c of cp_in[c, r] * in[y, x, c]
    b[y, x, r]   = sum over i of cp_y[i, r] * a[y + i - 1, x, r]
    e[y, x, r]   = sum over j of cp_x[j, r] * b[y, x + j - 1, r]
    out[y, x, n] = sum over r of cp_out[n, r] * e[y, x, r]

Run as four layers it moves R channels of the whole image through memory six times, for two steps that do next to no
arithmetic: why CP networks run slower elsewhere than their FLOPs promise. Here each thread walks down its part of the
image with the last three rows of `a` in cache; one pass over them yields a row of `e`, while `b` exists in registers
only.

The rank is computed in whole vectors: a multiple of LANES wastes nothing.

Extra memory: four rows of R channels a thread, three of `a` and one of `e`.
"""

from typing import NamedTuple

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import prange
from numba.core.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.epilogue import apply_epilogue
from lowrank_sr.conv.feature_map import address
from lowrank_sr.conv.simd import Vector
from lowrank_sr.conv.tile import accumulate, cut_panels, multiply
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

TAPS = 3  # of the two depthwise steps, and so the rows of `a` that one row of `e` is computed from


class Factors(NamedTuple):
    """The factors as the loops read them, R rounded up to whole vectors with zeros, float32.

    `cp_in` (panels of R, C, PANEL), `cp_y`, `cp_x` (3, R), `cp_out` (panels of N, R, PANEL).
    """

    cp_in: np.ndarray
    cp_y: np.ndarray
    cp_x: np.ndarray
    cp_out: np.ndarray


def prepare(cp_in: np.ndarray, cp_y: np.ndarray, cp_x: np.ndarray, cp_out: np.ndarray) -> Factors:
    """Order the factors of a `layers.CP` for `convolve`; raises ValueError where the kernel is not 3 x 3."""
    if len(cp_y) != TAPS or len(cp_x) != TAPS:
        raise ValueError(f"kernel of {len(cp_y)} x {len(cp_x)}: expected 3 x 3")
    padding = ((0, 0), (0, -cp_in.shape[1] % LANES))
    y, x, out = (np.pad(factor, padding).astype(np.float32) for factor in (cp_y, cp_x, cp_out))
    return Factors(cut_panels(cp_in), y, x, cut_panels(out.T))


def convolve(inputs: np.ndarray, operands: np.ndarray, factors: Factors, workers: int) -> None:
    """Convolve the maps recorded in `inputs`, one beside the other, with prepared factors on `workers` threads."""
    _cp_loops(inputs, operands, *factors, workers)


@compiled(parallel=True, error_model="numpy")
def _cp_loops(
    inputs: np.ndarray,
    operands: np.ndarray,
    cp_in: np.ndarray,
    cp_y: np.ndarray,
    cp_x: np.ndarray,
    cp_out: np.ndarray,
    workers: int,
) -> None:
    """Each worker walks down a part of the picture of its own."""
    rank_panels, _, _ = cp_in.shape
    out_panels, rank, _ = cp_out.shape
    stride = 4 * rank
    for worker in prange(workers):
        operand = operands[0]
        out = operand.out
        a = np.zeros((TAPS, out.width + 2 + ROWS, rank), np.float32)  # row y at y modulo 3, column x at x + 1
        e = np.zeros((out.width + ROWS, rank), np.float32)
        sums = np.empty((ROWS, PANEL), np.float32)
        top, bottom = out.height * worker // workers, out.height * (worker + 1) // workers
        for a_row in range(top - 1, bottom + 1):  # beyond the picture it is computed from zeros
            for panel in range(rank_panels):
                remaining_rank = rank - panel * PANEL
                for column in range(-1, out.width + 1, ROWS):
                    target = a[a_row % TAPS, column + 1, panel * PANEL :].ctypes.data
                    first_channel = 0
                    for m in range(len(inputs)):
                        x = inputs[m]
                        pixels = address(x, a_row, column)
                        weights = cp_in[panel, first_channel:].ctypes.data
                        if m == 0:
                            multiply(target, stride, pixels, x.pixel_stride, weights, x.channels, remaining_rank)
                        else:
                            accumulate(target, stride, pixels, x.pixel_stride, weights, x.channels, remaining_rank)
                        first_channel += x.channels
            if a_row <= top:  # the first row of `e` takes one more
                continue
            row = a_row - 1
            for r in range(0, rank, LANES):
                depthwise(
                    a[(row - 1) % TAPS, 0, r:].ctypes.data,
                    a[row % TAPS, 0, r:].ctypes.data,
                    a[(row + 1) % TAPS, 0, r:].ctypes.data,
                    cp_y[0, r:].ctypes.data,
                    cp_x[0, r:].ctypes.data,
                    stride,
                    e[0, r:].ctypes.data,
                    out.width,
                )
            for panel in range(out_panels):
                weights = cp_out[panel].ctypes.data
                remaining_channels = out.channels - panel * PANEL
                for column in range(0, out.width, ROWS):
                    pixels = e[column].ctypes.data
                    multiply(sums.ctypes.data, 4 * PANEL, pixels, stride, weights, rank, remaining_channels)
                    count = min(ROWS, out.width - column)
                    apply_epilogue(sums.ctypes.data, 4 * PANEL, operands, row, column, count, panel * PANEL)


@simd.instructions(intp, intp, intp, intp, intp, intp, intp, intp)
def depthwise(
    builder: IRBuilder,
    above: Value,
    here: Value,
    below: Value,
    cp_y: Value,
    cp_x: Value,
    stride: Value,
    target: Value,
    count: Value,
) -> None:
    """LANES channels of e for `count` >= 1 pixels of a row, from three rows of a that begin a pixel before it.

    `cp_y` and `cp_x` are addresses of the factors' first rows; `stride`, in bytes, leads to the next pixel and to the
    next row of a factor. The loop keeps the columns x - 1 and x of b in registers and computes column x + 1.
    """
    index = count.type

    def after(start: Value, steps: int | Value) -> Value:
        return builder.add(start, builder.mul(stride, steps if isinstance(steps, Value) else index(steps)))

    weights_y, weights_x = ([simd.load(builder, after(factor, tap)) for tap in range(TAPS)] for factor in (cp_y, cp_x))

    def b(column: int | Value) -> Vector:
        a = [simd.load(builder, after(row, column)) for row in (above, here, below)]
        return a[0] * weights_y[0] + a[1] * weights_y[1] + a[2] * weights_y[2]

    first, second = b(0), b(1)
    entry = builder.block
    loop = builder.append_basic_block("pixel")
    done = builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    x = builder.phi(index)
    before_x, at_x = (Vector(builder, builder.phi(first.value.type)) for _ in range(2))
    after_x = b(builder.add(x, index(2)))
    simd.store(builder, before_x * weights_x[0] + at_x * weights_x[1] + after_x * weights_x[2], after(target, x))
    next_x = builder.add(x, index(1))
    builder.cbranch(builder.icmp_signed("<", next_x, count), loop, done)

    x.add_incoming(index(0), entry)
    x.add_incoming(next_x, loop)
    before_x.value.add_incoming(first.value, entry)
    before_x.value.add_incoming(at_x.value, loop)
    at_x.value.add_incoming(second.value, entry)
    at_x.value.add_incoming(after_x.value, loop)
    builder.position_at_end(done)
