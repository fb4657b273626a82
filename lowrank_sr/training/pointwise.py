"""The derivatives of what stands between convolutions: LeakyReLU, nearest-neighbour enlargement, a bias.

    y = LeakyReLU(s)               ds = dy where y > 0, slope dy elsewhere: the output's sign is that of s
    y[i, j] = x[i // 2, j // 2]    dx[i, j] = sum of dy over the 2 x 2 pixels that x[i, j] was copied to
    y[i, j] = s[i, j] + bias       dbias = sum of dy over all pixels

Extra memory: none.
"""

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import prange
from numba.core import cgutils
from numba.core.types import float32, intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.epilogue import add_scaled
from lowrank_sr.conv.feature_map import VALUES_A_THREAD, FeatureMap, address, records
from lowrank_sr.conv.simd import Vector, copy_values
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import LANES
from lowrank_sr.machine.threads import parallel_region, thread_count


def leaky_relu_backward(y: FeatureMap, d_y: FeatureMap, d_s: FeatureMap, slope: float) -> None:
    """d_s = d_y where y > 0, slope d_y elsewhere; `d_s` may be `d_y` itself."""
    threads = _threads(y)
    with parallel_region(threads):
        _leaky_relu_rows(records([y, d_y, d_s]), np.float32(slope), threads)


def upsample_backward(d_y: FeatureMap, d_x: FeatureMap) -> None:
    """d_x[i, j] = sum of d_y over rows 2 i, 2 i + 1 and columns 2 j, 2 j + 1."""
    threads = _threads(d_y)
    with parallel_region(threads):
        _upsample_backward_rows(records([d_y, d_x]), threads)


def bias_gradient(d_y: FeatureMap) -> np.ndarray:
    """The sum of `d_y` over all pixels of its buffer, of which it has all channels: (N,) float32."""
    pixels = d_y.buffer.reshape(-1, d_y.channels)
    total: np.ndarray = np.ones(len(pixels), np.float32) @ pixels
    return total


def _threads(x: FeatureMap) -> int:
    return min(thread_count(), 1 + x.height * x.width * x.channels // VALUES_A_THREAD)


@compiled(parallel=True)
def _leaky_relu_rows(maps: np.ndarray, slope: np.float32, workers: int) -> None:
    for worker in prange(workers):
        y, d_y, d_s = maps[0], maps[1], maps[2]
        for row in range(worker, y.height, workers):
            for column in range(y.width):
                _scale_where_negative(
                    address(y, row, column),
                    address(d_y, row, column),
                    slope,
                    address(d_s, row, column),
                    y.channels,
                )


@compiled(parallel=True)
def _upsample_backward_rows(maps: np.ndarray, workers: int) -> None:
    one = np.float32(1)
    for worker in prange(workers):
        d_y, d_x = maps[0], maps[1]
        for row in range(worker, d_x.height, workers):
            for column in range(d_x.width):
                target = address(d_x, row, column)
                copy_values(address(d_y, 2 * row, 2 * column), target, d_x.channels)
                for quarter in range(1, 4):
                    source = address(d_y, 2 * row + quarter // 2, 2 * column + quarter % 2)
                    add_scaled(source, 0, one, target, 0, 1, d_x.channels)


@simd.instructions(intp, intp, float32, intp, intp)
def _scale_where_negative(
    builder: IRBuilder, y: Value, source: Value, slope: Value, target: Value, count: Value
) -> None:
    """target = source where y > 0, slope source elsewhere, for `count` channels."""
    lanes = count.type(LANES)
    slopes = simd.splat(builder, slope)

    def emit(offset: Value, part: Value | None) -> None:
        signs = simd.load(builder, builder.add(y, offset), count=part)
        values = simd.load(builder, builder.add(source, offset), count=part)
        positive = builder.fcmp_ordered(">", signs.value, simd.constant(0))
        chosen = Vector(builder, builder.select(positive, values.value, (values * slopes).value))
        simd.store(builder, chosen, builder.add(target, offset), count=part)

    whole = builder.sdiv(count, lanes)
    with cgutils.for_range(builder, whole) as loop:
        emit(builder.mul(loop.index, count.type(4 * LANES)), None)
    remainder = builder.srem(count, lanes)
    with builder.if_then(builder.icmp_signed(">", remainder, count.type(0))):
        emit(builder.mul(whole, count.type(4 * LANES)), remainder)
