"""What happens to a convolution's sums as they are written: one mechanism for every method.

    y = scale * LeakyReLU(sum + bias) + skip_scale * skip + outer

With it the bias, the activation and both residual connections of ESRGAN (Wang et al. 2018, figure 4) need no pass over
memory of their own.

Extra memory: none.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite.ir import IRBuilder, Value
from numba import njit, types
from numba.core import cgutils
from numba.core.types import float32, intp

from lowrank_sr.conv import simd
from lowrank_sr.conv.feature_map import DTYPE, RECORD, FeatureMap, record
from lowrank_sr.conv.simd import Vector, strided
from lowrank_sr.machine.cpu import LANES, NR

NOTHING = FeatureMap(np.zeros((1, 1, 1), DTYPE), 0, 0, 0, 0, 0, 0)  # in the place of a map that is not added
_NOTHING_RECORD = record(NOTHING)


class Epilogue(NamedTuple):
    """The terms of the equation above.

    `bias` is (N,) float32. `slope` is that of LeakyReLU below zero, 1 for no activation; above 0 and at most 1, so that
    LeakyReLU(x) = max(x, slope x). `skip` and `outer` are feature maps with the result's height, width and channels, or
    NOTHING.
    """

    bias: np.ndarray
    slope: float = 1.0
    scale: float = 1.0
    skip: FeatureMap = NOTHING
    skip_scale: float = 1.0
    outer: FeatureMap = NOTHING


# Where a convolution's sums go: a record for each map, the address of the bias, three factors.
OPERANDS = np.dtype(
    [(name, RECORD) for name in ("out", "skip", "outer")]
    + [("bias", np.int64)]
    + [(name, np.float32) for name in ("slope", "scale", "skip_scale")]
)


def operands(outs: Sequence[FeatureMap], epilogues: Sequence[Epilogue]) -> np.ndarray:
    """What compiled loops need beside an input and kernels: an OPERANDS for each of `outs`; the arrays must outlive it.

    Raises ValueError where sizes do not fit: compiled loops do not check them.
    """
    return np.array([_operand(*each) for each in zip(outs, epilogues, strict=True)], OPERANDS)


def _operand(out: FeatureMap, epilogue: Epilogue) -> tuple[Any, ...]:
    size = (out.height, out.width, out.channels)
    bias = epilogue.bias
    if bias.shape != size[2:] or bias.dtype != DTYPE or not bias.flags.c_contiguous:
        raise ValueError(f"bias {bias.shape} of {bias.dtype} does not fit output {size}, in float32 and contiguous")
    if not 0 < epilogue.slope <= 1:
        raise ValueError(f"slope {epilogue.slope}: expected above 0 and at most 1")
    for addend in (epilogue.skip, epilogue.outer):
        if addend is not NOTHING and (addend.height, addend.width, addend.channels) != size:
            raise ValueError(f"a map to be added must be {size}")
    skip, outer = (
        _NOTHING_RECORD if addend is NOTHING else record(addend) for addend in (epilogue.skip, epilogue.outer)
    )
    return record(out), skip, outer, bias.ctypes.data, epilogue.slope, epilogue.scale, epilogue.skip_scale


def _offset(record_type: np.dtype, field: str) -> int:
    assert record_type.fields is not None
    return record_type.fields[field][1]


class Writer:
    """Emits the equation for LANES channels, or the first `count`, of pixels around (row, column).

    Its terms are loaded once and stay in registers. `operand` is the address of an OPERANDS, `channel` the first of the
    channels.
    """

    def __init__(
        self,
        builder: IRBuilder,
        operand: Value,
        row: Value,
        column: Value,
        channel: Value,
        count: Value | None = None,
    ) -> None:
        self.builder = builder
        self.operand = operand
        self.origin = (row, column)
        self.channel_bytes = builder.mul(channel, channel.type(4))
        self.count = count
        bias = self._field("bias", intp)
        self.biases = simd.load(builder, builder.add(bias, self.channel_bytes), count=count)
        factors = (self._field(name, float32) for name in ("slope", "scale", "skip_scale"))
        self.slopes, self.scales, self.skip_scales = (simd.splat(builder, factor) for factor in factors)
        self.strides = {name: self._strides(name) for name in ("out", "skip", "outer")}
        self.starts = {name: self._start(name) for name in ("out", "skip", "outer")}

    def write(self, sums: Sequence[Vector], places: Sequence[tuple[int, Value]]) -> None:
        """Write each of `sums` to the pixel at its place: rows down, a number, and columns to the right, a value."""
        totals = [each + self.biases for each in sums]
        totals = [each.maximum(each * self.slopes) * self.scales for each in totals]

        def with_skip() -> list[Vector]:
            skips = (simd.load(self.builder, self._pixel("skip", place), count=self.count) for place in places)
            return [skip * self.skip_scales + total for skip, total in zip(skips, totals, strict=True)]

        def with_outer() -> list[Vector]:
            outers = (simd.load(self.builder, self._pixel("outer", place), count=self.count) for place in places)
            return [total + outer for outer, total in zip(outers, totals, strict=True)]

        totals = simd.emit_if(self.builder, self._present("skip"), with_skip, totals)
        totals = simd.emit_if(self.builder, self._present("outer"), with_outer, totals)
        for total, place in zip(totals, places, strict=True):
            simd.store(self.builder, total, self._pixel("out", place), count=self.count)

    def _pixel(self, name: str, place: tuple[int, Value]) -> Value:
        i, j = place
        row_stride, pixel_stride = self.strides[name]
        return strided(
            self.builder, self.builder.add(self.starts[name], self.builder.mul(pixel_stride, j)), row_stride, i
        )

    def _present(self, name: str) -> Value:
        channels = self._field(name, intp, "channels")
        return self.builder.icmp_signed("!=", channels, channels.type(0))

    def _strides(self, name: str) -> tuple[Value, Value]:
        return self._field(name, intp, "row_stride"), self._field(name, intp, "pixel_stride")

    def _start(self, name: str) -> Value:
        row, column = self.origin
        row_stride, pixel_stride = self.strides[name]
        down = self.builder.add(self._field(name, intp, "start"), self.builder.mul(row, row_stride))
        return self.builder.add(self.builder.add(down, self.builder.mul(column, pixel_stride)), self.channel_bytes)

    def _field(self, name: str, kind: types.Type, inner: str | None = None) -> Value:
        offset = _offset(OPERANDS, name) + (_offset(RECORD, inner) if inner else 0)
        return simd.load_scalar(self.builder, self.builder.add(self.operand, self.operand.type(offset)), kind)


def _emit_epilogue(
    builder: IRBuilder,
    sums: Value,
    stride: Value,
    operand: Value,
    row: Value,
    column: Value,
    pixels: Value,
    channel: Value,
    count: Value | None = None,
) -> None:
    """The equation for LANES channels of `pixels` pixels of a row, or the first `count` of the channels."""
    writer = Writer(builder, operand, row, column, channel, count)
    with cgutils.for_range(builder, pixels) as pixel:
        total = simd.load(builder, builder.add(sums, builder.mul(pixel.index, stride)), count=count)
        writer.write([total], [(0, pixel.index)])


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
_epilogue_vector = simd.instructions(*[intp] * 7)(_emit_epilogue)
_epilogue_part = simd.instructions(*[intp] * 8)(_emit_epilogue)
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
    sums: int, stride: int, operands: np.ndarray, row: int, column: int, pixels: int, first_channel: int
) -> None:
    """Write channels `first_channel` to `first_channel` + NR of `pixels` pixels of the one operand's `out`.

    The pixels lie side by side, from (row, column) to the right. Their sums begin at the address `sums`, `stride`
    bytes from a pixel to the next; those past the last channel are not read. `skip` and `outer` are read before `out`
    is written, so that it may be one of them.
    """
    operand = operands.ctypes.data
    out_channels = operands[0].out.channels
    for channel in range(first_channel, min(first_channel + NR, out_channels), LANES):
        source = sums + 4 * (channel - first_channel)
        remaining_channels = out_channels - channel
        if remaining_channels >= LANES:
            _epilogue_vector(source, stride, operand, row, column, pixels, channel)
        else:
            _epilogue_part(source, stride, operand, row, column, pixels, channel, remaining_channels)
