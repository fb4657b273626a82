"""What happens to a convolution's sums as they are written: one mechanism for every method.

    y = scale * LeakyReLU(sum + bias) + skip_scale * skip + outer

With it the bias, the activation and both residual connections of ESRGAN cost no pass over memory of their own.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numba.types import float32, intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.feature_map import DTYPE, RECORD, FeatureMap, address, record
from lowrank_sr.conv.simd import LANES, PANEL

NOTHING = FeatureMap(np.zeros((1, 1, 1), DTYPE), 0, 0, 0, 0, 0, 0)


class Epilogue(NamedTuple):
    """The terms of the equation above.

    `bias` is (N,) float32; `slope`, that of LeakyReLU below zero, is 1 for none; `skip` and `outer` are feature maps
    with the result's height, width and channels, or NOTHING.
    """

    bias: np.ndarray
    slope: float = 1.0
    scale: float = 1.0
    skip: FeatureMap = NOTHING
    skip_scale: float = 1.0
    outer: FeatureMap = NOTHING


OPERANDS = np.dtype(
    [(name, RECORD) for name in ("x", "out", "skip", "outer")]
    + [("bias", np.int64)]
    + [(name, np.float32) for name in ("slope", "scale", "skip_scale")]
)


def operands(x: FeatureMap, out: FeatureMap, epilogue: Epilogue) -> np.ndarray:
    """Everything but the kernel that a compiled convolution needs: one OPERANDS record; the arrays must outlive it.

    Raises ValueError where sizes do not fit: compiled loops do not check them.
    """
    size = (out.height, out.width, out.channels)
    if (x.height, x.width) != size[:2] or epilogue.bias.shape != size[2:]:
        raise ValueError(f"input {x.height} x {x.width} and bias {epilogue.bias.shape} do not fit output {size}")
    for addend in (epilogue.skip, epilogue.outer):
        if addend is not NOTHING and (addend.height, addend.width, addend.channels) != size:
            raise ValueError(f"a map to be added must be {size}")
    maps = (record(each) for each in (x, out, epilogue.skip, epilogue.outer))
    scales = (epilogue.slope, epilogue.scale, epilogue.skip_scale)
    return np.array([(*maps, epilogue.bias.ctypes.data, *scales)], OPERANDS)


def _activate(builder, sums, bias, slope, scale, target, count=None):
    total = simd.load(builder, sums, count=count) + simd.load(builder, bias, count=count)
    leak = total * simd.splat(builder, slope)
    simd.store(builder, total.where_positive(leak) * simd.splat(builder, scale), target, count=count)


def _add(builder, source, factor, target, count=None):
    total = simd.load(builder, source, count=count) * simd.splat(builder, factor)
    simd.store(builder, total + simd.load(builder, target, count=count), target, count=count)


activate = simd.instructions(intp, intp, float32, float32, intp)(_activate)
activate_part = simd.instructions(intp, intp, float32, float32, intp, intp)(_activate)
add = simd.instructions(intp, float32, intp)(_add)
add_part = simd.instructions(intp, float32, intp, intp)(_add)


@njit(inline="always")
def add_row(source, factor, target, count):
    """target += factor * source for `count` values at these addresses."""
    for n in range(0, count, LANES):
        if count - n >= LANES:
            add(source + 4 * n, factor, target + 4 * n)
        else:
            add_part(source + 4 * n, factor, target + 4 * n, count - n)


@njit(inline="always")
def finish(sums, operand, row, column, first):
    """Write channels `first` to `first` + PANEL of one output pixel from PANEL sums at the address `sums`."""
    out, skip, outer = operand.out, operand.skip, operand.outer
    count = min(PANEL, out.channels - first)
    target, bias = address(out, row, column) + 4 * first, operand.bias + 4 * first
    for n in range(0, count, LANES):
        if count - n >= LANES:
            activate(sums + 4 * n, bias + 4 * n, operand.slope, operand.scale, target + 4 * n)
        else:
            activate_part(sums + 4 * n, bias + 4 * n, operand.slope, operand.scale, target + 4 * n, count - n)
    if skip.channels:
        add_row(address(skip, row, column) + 4 * first, operand.skip_scale, target, count)
    if outer.channels:
        add_row(address(outer, row, column) + 4 * first, 1.0, target, count)
