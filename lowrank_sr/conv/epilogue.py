"""What happens to a convolution's sums as they are written: one mechanism for every method.

    y = scale * LeakyReLU(sum + bias) + skip_scale * skip + outer

With it the bias, the activation and both residual connections of ESRGAN (Wang et al. 2018, figure 4) need no pass over
memory of their own.

Extra memory: none.
"""

from typing import NamedTuple

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit
from numba.core import cgutils
from numba.core.types import float32, intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.feature_map import DTYPE, RECORD, FeatureMap, address, record
from lowrank_sr.machine.cpu import LANES, PANEL

NOTHING = FeatureMap(np.zeros((1, 1, 1), DTYPE), 0, 0, 0, 0, 0, 0)  # in the place of a map that is not added


class Epilogue(NamedTuple):
    """The terms of the equation above.

    `bias` is (N,) float32. `slope` is that of LeakyReLU below zero, 1 for no activation. `skip` and `outer` are
    feature maps with the result's height, width and channels, or NOTHING.
    """

    bias: np.ndarray
    slope: float = 1.0
    scale: float = 1.0
    skip: FeatureMap = NOTHING
    skip_scale: float = 1.0
    outer: FeatureMap = NOTHING


# One convolution's arguments but for its kernel: a record for each map, the address of the bias, three factors.
OPERANDS = np.dtype(
    [(name, RECORD) for name in ("x", "out", "skip", "outer")]
    + [("bias", np.int64)]
    + [(name, np.float32) for name in ("slope", "scale", "skip_scale")]
)


def operands(x: FeatureMap, out: FeatureMap, epilogue: Epilogue) -> np.ndarray:
    """Everything but the kernel that a compiled convolution needs: (1,) OPERANDS; the arrays must outlive it.

    Raises ValueError where sizes do not fit: compiled loops do not check them.
    """
    size = (out.height, out.width, out.channels)
    if (x.height, x.width) != size[:2] or epilogue.bias.shape != size[2:]:
        raise ValueError(f"input {x.height} x {x.width} and bias {epilogue.bias.shape} do not fit output {size}")
    for addend in (epilogue.skip, epilogue.outer):
        if addend is not NOTHING and (addend.height, addend.width, addend.channels) != size:
            raise ValueError(f"a map to be added must be {size}")
    maps = [record(feature_map) for feature_map in (x, out, epilogue.skip, epilogue.outer)]
    factors = (epilogue.slope, epilogue.scale, epilogue.skip_scale)
    return np.array([(*maps, epilogue.bias.ctypes.data, *factors)], OPERANDS)


def _emit_activate(
    builder: IRBuilder,
    sums: Value,
    sums_stride: Value,
    bias: Value,
    slope: Value,
    scale: Value,
    target: Value,
    target_stride: Value,
    pixels: Value,
    channels: Value | None = None,
) -> None:
    """target = scale * LeakyReLU(sums + bias), for LANES channels or the first `channels` of them."""
    biases = simd.load(builder, bias, count=channels)
    slopes = simd.splat(builder, slope)
    scales = simd.splat(builder, scale)
    with cgutils.for_range(builder, pixels) as pixel:
        source = builder.add(sums, builder.mul(pixel.index, sums_stride))
        destination = builder.add(target, builder.mul(pixel.index, target_stride))
        total = simd.load(builder, source, count=channels) + biases
        simd.store(builder, total.where_positive(total * slopes) * scales, destination, count=channels)


def _emit_add(
    builder: IRBuilder,
    source: Value,
    source_stride: Value,
    factor: Value,
    target: Value,
    target_stride: Value,
    pixels: Value,
    channels: Value | None = None,
) -> None:
    """target += factor * source, for LANES channels or the first `channels` of them."""
    factors = simd.splat(builder, factor)
    with cgutils.for_range(builder, pixels) as pixel:
        addend = builder.add(source, builder.mul(pixel.index, source_stride))
        destination = builder.add(target, builder.mul(pixel.index, target_stride))
        scaled = simd.load(builder, addend, count=channels) * factors
        total = scaled + simd.load(builder, destination, count=channels)
        simd.store(builder, total, destination, count=channels)


# Whole vectors of LANES channels, and what remains after them; addresses and strides in bytes.
_activate_vector = simd.instructions(intp, intp, intp, float32, float32, intp, intp, intp)(_emit_activate)
_activate_part = simd.instructions(intp, intp, intp, float32, float32, intp, intp, intp, intp)(_emit_activate)
_add_vector = simd.instructions(intp, intp, float32, intp, intp, intp)(_emit_add)
_add_part = simd.instructions(intp, intp, float32, intp, intp, intp, intp)(_emit_add)


@njit(inline="always")
def add_scaled(
    source: int,
    source_stride: int,
    factor: float | np.float32,
    target: int,
    target_stride: int,
    pixels: int,
    channels: int,
) -> None:
    """target += factor * source for `channels` channels of `pixels` pixels.

    `source` and `target` are addresses; their pixels lie `source_stride` and `target_stride` bytes apart.
    """
    for channel in range(0, channels, LANES):
        addend = source + 4 * channel
        destination = target + 4 * channel
        remaining_channels = channels - channel
        if remaining_channels >= LANES:
            _add_vector(addend, source_stride, factor, destination, target_stride, pixels)
        else:
            _add_part(addend, source_stride, factor, destination, target_stride, pixels, remaining_channels)


@njit(inline="always")
def apply_epilogue(
    sums: int, stride: int, operand: np.record, row: int, column: int, pixels: int, first_channel: int
) -> None:
    """Write channels `first_channel` to `first_channel` + PANEL of `pixels` pixels of `operand.out`.

    The pixels lie side by side, from (row, column) to the right. Their sums begin at the address `sums`, `stride`
    bytes from a pixel to the next; those past the last channel are not read.
    """
    out, skip, outer = operand.out, operand.skip, operand.outer
    channels = min(PANEL, out.channels - first_channel)
    target = address(out, row, column) + 4 * first_channel
    bias = operand.bias + 4 * first_channel
    slope, scale = operand.slope, operand.scale
    for channel in range(0, channels, LANES):
        source = sums + 4 * channel
        biases = bias + 4 * channel
        destination = target + 4 * channel
        remaining_channels = channels - channel
        if remaining_channels >= LANES:
            _activate_vector(source, stride, biases, slope, scale, destination, out.pixel_stride, pixels)
        else:
            _activate_part(
                source, stride, biases, slope, scale, destination, out.pixel_stride, pixels, remaining_channels
            )
    if skip.channels:
        addend = address(skip, row, column) + 4 * first_channel
        add_scaled(addend, skip.pixel_stride, operand.skip_scale, target, out.pixel_stride, pixels, channels)
    if outer.channels:
        addend = address(outer, row, column) + 4 * first_channel
        add_scaled(addend, outer.pixel_stride, np.float32(1), target, out.pixel_stride, pixels, channels)
