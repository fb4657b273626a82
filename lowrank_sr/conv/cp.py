"""CP, all four steps fused: 1 x 1, 3 x 1 and 1 x 3 on each channel by itself, 1 x 1 (Lebedev et al. 2014, section 3.2).

    a[y, x, r]   = sum over c of cp_in[c, r] * in[y, x, c]
    b[y, x, r]   = sum over i of cp_y[i, r] * a[y + i - 1, x, r]
    e[y, x, r]   = sum over j of cp_x[j, r] * b[y, x + j - 1, r]
    out[y, x, n] = sum over r of cp_out[n, r] * e[y, x, r]

Run as four layers it moves R channels of the whole image through memory six times, for two steps that do next to no
arithmetic: why CP networks run slower elsewhere than their FLOPs promise. Here each thread walks down its part of the
image with the last three rows of `a` in cache; one pass over them yields a row of `e`, while `b` exists in registers
only.

The two 1 x 1 steps are products of matrices, (pixels, C) @ (C, R) and (pixels, R) @ (R, N). MR pixels at a time are
packed for them once, in pieces (`micro_kernel.py`), and multiplied by all panels of the first factor. `a` and `e` are
kept in the same order, a vector of LANES ranks after the other: the depthwise steps walk along a row of it, and the
pixels of `e` are pieces as they lie.

The rank is computed in whole vectors: a multiple of LANES wastes nothing.

Extra memory: four rows of R channels a thread, three of `a` and one of `e`, and MR C floats. Each thread computes the
two rows of `a` beside its part of the picture too.
"""

from typing import NamedTuple

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit, prange
from numba.core.types import intp
from numba.extending import register_jitable

from lowrank_sr.conv import simd
from lowrank_sr.conv.algorithm import Algorithm, Call, Scratch, each_number_once
from lowrank_sr.conv.epilogue import apply_epilogue
from lowrank_sr.conv.feature_map import address
from lowrank_sr.conv.micro_kernel import PIECE_BYTES, Product, list_pieces, multiply_pieces, pack_panels
from lowrank_sr.conv.simd import Vector, copy_values, strided
from lowrank_sr.layers import CP
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES, MR, NR
from lowrank_sr.machine.rounding import round_up

TAPS = 3  # of the two depthwise steps, and so the rows of `a` that one row of `e` is computed from


class Factors(NamedTuple):
    """The factors as the loops read them, C and R rounded up to whole vectors with zeros, float32.

    `cp_in` (panels of R, C, NR), `cp_y`, `cp_x` (3, R), `cp_out` (panels of N, R, NR).
    """

    cp_in: np.ndarray
    cp_y: np.ndarray
    cp_x: np.ndarray
    cp_out: np.ndarray


def prepare(layer: CP, keep_transformed: bool) -> Factors:
    """Order the factors for `convolve`."""
    padding = ((0, 0), (0, -layer.rank % LANES))
    y, x, out = (np.pad(factor, padding) for factor in (layer.cp_y, layer.cp_x, layer.cp_out))
    whole_vectors = np.pad(layer.cp_in, ((0, -len(layer.cp_in) % LANES), (0, 0)))
    return Factors(pack_panels(whole_vectors), y, x, pack_panels(out.T))


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
    rank_panels, depth, _ = cp_in.shape
    out_panels, rank, _ = cp_out.shape
    width = operands[0].out.width
    row_room = _row_room(width)
    plane = 4 * LANES * row_room  # bytes from a vector of ranks to the next
    for worker in prange(workers):
        out = operands[0].out
        pixels = np.zeros((depth // LANES, MR, LANES), np.float32)  # pieces; channels beyond the last stay zeros
        a = np.zeros((TAPS, rank // LANES, row_room, LANES), np.float32)  # row y at y modulo 3, column x at x + 1
        e = np.zeros((rank // LANES, row_room, LANES), np.float32)
        sums = np.empty((MR, NR), np.float32)
        pixel_pieces = np.empty(depth // LANES, np.intp)
        list_pieces(pixel_pieces, pixels.ctypes.data, PIECE_BYTES)
        e_pieces = np.empty(rank // LANES, np.intp)
        list_pieces(e_pieces, e.ctypes.data, plane)
        top, bottom = out.height * worker // workers, out.height * (worker + 1) // workers
        for a_row in range(top - 1, bottom + 1):  # beyond the picture it is computed from zeros
            for column in range(-1, width + 1, MR):
                _gather(inputs, a_row, column, pixels)
                for panel in range(rank_panels):
                    target = a[a_row % TAPS, panel * NR // LANES, column + 1].ctypes.data
                    source, weights = pixel_pieces.ctypes.data, cp_in[panel].ctypes.data
                    remaining_rank = rank - panel * NR
                    product = Product(
                        sums=target,
                        row_stride=4 * LANES,
                        vector_stride=plane,
                        pieces=source,
                        offset=0,
                        panel=weights,
                        depth=depth,
                        columns=remaining_rank,
                        next_pieces=source,
                        next_offset=0,
                    )
                    multiply_pieces(product)
            if a_row <= top:  # the first row of `e` takes one more
                continue
            row = a_row - 1
            for r in range(rank // LANES):
                depthwise(
                    a[(row - 1) % TAPS, r].ctypes.data,
                    a[row % TAPS, r].ctypes.data,
                    a[(row + 1) % TAPS, r].ctypes.data,
                    cp_y[0, r * LANES :].ctypes.data,
                    cp_x[0, r * LANES :].ctypes.data,
                    4 * rank,
                    e[r].ctypes.data,
                    width,
                )
            for column in range(0, width, MR):
                source, offset = e_pieces.ctypes.data, 4 * LANES * column
                for panel in range(out_panels):
                    weights = cp_out[panel].ctypes.data
                    remaining_channels = out.channels - panel * NR
                    target = sums.ctypes.data
                    product = Product(
                        sums=target,
                        row_stride=4 * NR,
                        vector_stride=4 * LANES,
                        pieces=source,
                        offset=offset,
                        panel=weights,
                        depth=rank,
                        columns=remaining_channels,
                        next_pieces=source,
                        next_offset=offset,
                    )
                    multiply_pieces(product)
                    count = min(MR, width - column)
                    apply_epilogue(target, 4 * NR, operands, row, column, count, panel * NR)


@register_jitable
def _row_room(width: int) -> int:
    """Pixels for which a row of `a` or `e` has room: products write MR pixels at a time."""
    return width + 2 + MR


@njit(inline="always")
def _gather(inputs: np.ndarray, row: int, column: int, pixels: np.ndarray) -> None:
    """Put MR pixels side by side, from (row, column), into `pixels`, (C // LANES, MR, LANES)."""
    first_channel = 0
    for m in range(len(inputs)):
        x = inputs[m]
        for p in range(MR):
            source = address(x, row, column + p)
            if first_channel % LANES == 0:
                for c in range(0, x.channels, LANES):
                    target = pixels[(first_channel + c) // LANES, p].ctypes.data
                    copy_values(source + 4 * c, target, min(LANES, x.channels - c))
            else:  # a vector of this map would cross two pieces
                for c in range(x.channels):
                    target = pixels[(first_channel + c) // LANES, p, (first_channel + c) % LANES :].ctypes.data
                    copy_values(source + 4 * c, target, 1)
        first_channel += x.channels


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

    Pixels follow each other. `cp_y` and `cp_x` are addresses of the factors' first rows; `stride`, in bytes, leads to a
    factor's next row. The loop keeps the columns x - 1 and x of b in registers and computes column x + 1.
    """
    index = count.type

    def after(start: Value, pixels: int | Value) -> Value:
        return builder.add(start, builder.mul(index(4 * LANES), index(pixels) if isinstance(pixels, int) else pixels))

    weights_y, weights_x = (
        [simd.load(builder, strided(builder, factor, stride, tap)) for tap in range(TAPS)] for factor in (cp_y, cp_x)
    )

    def b(column: int | Value) -> Vector:
        a = [simd.load(builder, after(row, column)) for row in (above, here, below)]
        return a[0] * weights_y[0] + a[1] * weights_y[1] + a[2] * weights_y[2]

    def pixel(x: Value, columns: list[Vector]) -> list[Vector]:
        before_x, at_x = columns
        after_x = b(builder.add(x, index(2)))
        simd.store(builder, before_x * weights_x[0] + at_x * weights_x[1] + after_x * weights_x[2], after(target, x))
        return [at_x, after_x]

    simd.loop(builder, count, 1, [b(0), b(1)], pixel)


def _scratch(layer: CP, call: Call, keep_transformed: bool) -> Scratch:
    ranks, channels = round_up(layer.rank, LANES), round_up(layer.shape[1], LANES)
    return Scratch(call.workers * 4 * ((TAPS + 1) * ranks * _row_room(call.width) + MR * channels + MR * NR))


ALGORITHM: Algorithm[CP, Factors] = Algorithm(
    name="direct",
    form=CP,
    prepare=prepare,
    convolve=convolve,
    scratch=_scratch,
    multiplications=each_number_once,
)
