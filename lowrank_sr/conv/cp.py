"""CP, all four steps fused: 1 x 1, 3 x 1 and 1 x 3 on each channel by itself, 1 x 1 (Lebedev et al. 2014, section 3.2).

    a[y, x, r]   = sum over c of cp_in[c, r] * in[y, x, c]
    b[y, x, r]   = sum over i of cp_y[i, r] * a[y + i - 1, x, r]
    e[y, x, r]   = sum over j of cp_x[j, r] * b[y, x + j - 1, r]
    out[y, x, n] = sum over r of cp_out[n, r] * e[y, x, r]

Run as four layers it moves R channels of the whole image through memory six times, for two steps that do next to no
arithmetic: why CP networks run slower elsewhere than their FLOPs promise. Here each thread walks down its part of the
image with the last three rows of `a` in cache; one pass over them yields `e`, while `b` lives in registers only.

The rank is computed in whole vectors: a multiple of LANES wastes nothing.

Extra memory: four rows of R channels a thread.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import prange
from numba.types import intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.epilogue import finish
from lowrank_sr.conv.feature_map import address
from lowrank_sr.conv.tile import multiply, panels
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, PANEL, ROWS

D = 3


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
    if len(cp_y) != D or len(cp_x) != D:
        raise ValueError(f"kernel of {len(cp_y)} x {len(cp_x)}: expected 3 x 3")
    padding = ((0, 0), (0, -cp_in.shape[1] % LANES))
    y, x, out = (np.pad(factor, padding).astype(np.float32) for factor in (cp_y, cp_x, cp_out))
    return Factors(panels(cp_in), y, x, panels(out.T))


@simd.instructions(intp, intp, intp, intp, intp, intp, intp, intp)
def depthwise(builder, above, here, below, y, x, stride, target, count):
    """LANES channels of e for `count` >= 1 pixels of a row, from three rows of a that begin a pixel further left.

    `y` and `x` are addresses of the factors' first rows; `stride`, in bytes, leads to the next pixel and to the next
    row of a factor.
    """
    index = count.type

    def at(start, k):
        return builder.add(start, builder.mul(stride, k if isinstance(k, ir.Value) else index(k)))

    wy, wx = ([simd.load(builder, at(factor, i)) for i in range(D)] for factor in (y, x))

    def b(column):
        a = [simd.load(builder, at(row, column)) for row in (above, here, below)]
        return a[0] * wy[0] + a[1] * wy[1] + a[2] * wy[2]

    first, second = b(0), b(1)
    entry = builder.block
    loop, done = builder.append_basic_block("pixel"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    column = builder.phi(index)
    left, middle = (simd.Vector(builder, builder.phi(first.value.type)) for _ in range(2))
    right = b(builder.add(column, index(2)))
    simd.store(builder, left * wx[0] + middle * wx[1] + right * wx[2], at(target, column))
    following = builder.add(column, index(1))
    builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
    for phi, begin, then in ((column, index(0), following), (left.value, first.value, middle.value)):
        phi.add_incoming(begin, entry)
        phi.add_incoming(then, loop)
    middle.value.add_incoming(second.value, entry)
    middle.value.add_incoming(right.value, loop)
    builder.position_at_end(done)


def convolve(operands, factors, workers):
    """Convolve `operands` (see `epilogue.py`) with prepared factors on `workers` threads."""
    _convolve(operands, *factors, workers)


@compiled(parallel=True, error_model="numpy")
def _convolve(operands, cp_in, cp_y, cp_x, cp_out, workers):
    """Each worker walks down a part of the picture of its own."""
    rank_panels, channels, _ = cp_in.shape
    out_panels, rank, _ = cp_out.shape
    stride = 4 * rank
    for worker in prange(workers):
        operand = operands[0]
        out = operand.out
        a = np.zeros((D, out.width + 2 + ROWS, rank), np.float32)  # row y at y modulo 3, column x at x + 1
        e = np.zeros((out.width + ROWS, rank), np.float32)
        sums = np.empty((ROWS, PANEL), np.float32)
        top, bottom = out.height * worker // workers, out.height * (worker + 1) // workers
        for row in range(top - 1, bottom + 1):
            for panel in range(rank_panels):  # row is that of a; beyond the picture it is computed from zeros
                for column in range(-1, out.width + 1, ROWS):
                    target = a[row % D, column + 1, panel * PANEL :].ctypes.data
                    pixels = address(operand.x, row, column)
                    weights, left = cp_in[panel].ctypes.data, rank - panel * PANEL
                    multiply(target, stride, pixels, operand.x.pixel, weights, channels, left)
            if row <= top:
                continue
            y = row - 1
            for r in range(0, rank, LANES):
                depthwise(
                    a[(y - 1) % D, 0, r:].ctypes.data,
                    a[y % D, 0, r:].ctypes.data,
                    a[(y + 1) % D, 0, r:].ctypes.data,
                    cp_y[0, r:].ctypes.data,
                    cp_x[0, r:].ctypes.data,
                    stride,
                    e[0, r:].ctypes.data,
                    out.width,
                )
            for panel in range(out_panels):
                for column in range(0, out.width, ROWS):
                    pixels, weights = e[column].ctypes.data, cp_out[panel].ctypes.data
                    multiply(sums.ctypes.data, 4 * PANEL, pixels, stride, weights, rank, out.channels - panel * PANEL)
                    count = min(ROWS, out.width - column)
                    finish(sums.ctypes.data, 4 * PANEL, operand, y, column, count, panel * PANEL)
