"""What happens to a convolution's sums as they are written: one mechanism for every method.

    y = scale * LeakyReLU(sum + bias) + skip_scale * skip + outer

With it the bias, the activation and both residual connections of ESRGAN cost no pass over memory of their own.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numba.core import cgutils
from numba.types import float32, intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.feature_map import DTYPE, RECORD, FeatureMap, address, record
from lowrank_sr.machine.cpu import LANES, PANEL

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


def _activate(builder, sums, sums_stride, bias, slope, scale, target, target_stride, pixels, channels=None):
    """target = scale * LeakyReLU(sums + bias)"""
    biases = simd.load(builder, bias, count=channels)
    slope, scale = simd.splat(builder, slope), simd.splat(builder, scale)
    with cgutils.for_range(builder, pixels) as pixel:
        source = builder.add(sums, builder.mul(pixel.index, sums_stride))
        place = builder.add(target, builder.mul(pixel.index, target_stride))
        total = simd.load(builder, source, count=channels) + biases
        simd.store(builder, total.where_positive(total * slope) * scale, place, count=channels)


def _add(builder, source, source_stride, factor, target, target_stride, pixels, channels=None):
    """target += factor * source"""
    factor = simd.splat(builder, factor)
    with cgutils.for_range(builder, pixels) as pixel:
        addend = builder.add(source, builder.mul(pixel.index, source_stride))
        place = builder.add(target, builder.mul(pixel.index, target_stride))
        total = simd.load(builder, addend, count=channels) * factor + simd.load(builder, place, count=channels)
        simd.store(builder, total, place, count=channels)


# LANES channels, or fewer, of `pixels` pixels; addresses and strides in bytes.
_activate_vectors = simd.instructions(intp, intp, intp, float32, float32, intp, intp, intp)(_activate)
_activate_part = simd.instructions(intp, intp, intp, float32, float32, intp, intp, intp, intp)(_activate)
_add_vectors = simd.instructions(intp, intp, float32, intp, intp, intp)(_add)
_add_part = simd.instructions(intp, intp, float32, intp, intp, intp, intp)(_add)


@njit(inline="always")
def add(source, source_stride, factor, target, target_stride, pixels, channels):
    """target += factor * source for `channels` channels of `pixels` pixels, `source_stride`, `target_stride` apart."""
    for n in range(0, channels, LANES):
        start, place, left = source + 4 * n, target + 4 * n, channels - n
        if left >= LANES:
            _add_vectors(start, source_stride, factor, place, target_stride, pixels)
        else:
            _add_part(start, source_stride, factor, place, target_stride, pixels, left)


@njit(inline="always")
def finish(sums, stride, operand, row, column, pixels, first):
    """Write channels `first` to `first` + PANEL of `pixels` neighbours in a row, from (row, column) to the right.

    Their sums are `stride` bytes apart and begin at the address `sums`.
    """
    out, skip, outer = operand.out, operand.skip, operand.outer
    channels = min(PANEL, out.channels - first)
    target, bias = address(out, row, column) + 4 * first, operand.bias + 4 * first
    slope, scale = operand.slope, operand.scale
    for n in range(0, channels, LANES):
        source, offset, place, left = sums + 4 * n, bias + 4 * n, target + 4 * n, channels - n
        if left >= LANES:
            _activate_vectors(source, stride, offset, slope, scale, place, out.pixel, pixels)
        else:
            _activate_part(source, stride, offset, slope, scale, place, out.pixel, pixels, left)
    if skip.channels:
        source = address(skip, row, column) + 4 * first
        add(source, skip.pixel, operand.skip_scale, target, out.pixel, pixels, channels)
    if outer.channels:
        source = address(outer, row, column) + 4 * first
        add(source, outer.pixel, np.float32(1), target, out.pixel, pixels, channels)
