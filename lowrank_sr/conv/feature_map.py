"""Feature maps: channel ranges of padded, channels-last buffers. Layout and dtype are decided here, nowhere else."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from lowrank_sr.conv.simd import copy_values
from lowrank_sr.machine import aligned
from lowrank_sr.machine.compiled import compiled
from lowrank_sr.machine.cpu import MR
from lowrank_sr.machine.rounding import ceil_div, round_up
from lowrank_sr.machine.threads import parallel_region, thread_count

DTYPE = np.float32
VALUES_A_THREAD = 2**18  # a tenth of a millisecond or more: for less, waking another thread does not pay
OUTPUT_TILE = 6  # pixels along each side of Winograd's output tile; buffers are padded to whole tiles


class FeatureMap(NamedTuple):
    """`height` x `width` pixels of `channels` channels, somewhere in a buffer.

    Pixel (y, x), channel c, is `buffer[first_row + step y, first_column + step x, first_channel + c]`; the buffer is
    C-contiguous float32. A map with a step of 2 is to be written, not to be convolved.
    """

    buffer: np.ndarray
    first_row: int
    first_column: int
    first_channel: int
    height: int
    width: int
    channels: int
    step: int = 1

    def slice(self, start: int, channels: int) -> "FeatureMap":
        """The `channels` channels that start at channel `start` of this map, without a copy."""
        return self._replace(first_channel=self.first_channel + start, channels=channels)

    def rows(self, start: int, stop: int) -> "FeatureMap":
        """Rows `start` to `stop` of this map, without a copy; rows outside it are the zeros of its border.

        To be read by `winograd` they must start a multiple of OUTPUT_TILE down: it reads whole tiles, and `allocate`
        leaves room for those only.
        """
        return self._replace(first_row=self.first_row + self.step * start, height=stop - start)

    def every_second(self, row: int, column: int) -> "FeatureMap":
        """Every second pixel of every second row, from (row, column), each 0 or 1, without a copy."""
        return self._replace(
            first_row=self.first_row + self.step * row,
            first_column=self.first_column + self.step * column,
            height=self.height // 2,
            width=self.width // 2,
            step=2 * self.step,
        )

    @property
    def array(self) -> np.ndarray:
        """The pixels as a (height, width, channels) view."""
        rows = slice(self.first_row, self.first_row + self.step * self.height, self.step)
        columns = slice(self.first_column, self.first_column + self.step * self.width, self.step)
        return self.buffer[rows, columns, self.first_channel : self.first_channel + self.channels]


def allocate(height: int, width: int, channels: int) -> FeatureMap:
    """A feature map of zeros whose border of zeros is as wide as any 3 x 3 method reads.

    The border is one pixel on each side of whole output tiles of 6 x 6 pixels, for `winograd`. Below it there is room
    for MR pixels from the last one on, for `direct`; what is computed from beyond the picture is never written.
    """
    buffer = aligned.zeros((*_padded(height, width), channels))
    return FeatureMap(buffer, 1, 1, 0, height, width, channels)


def allocated_bytes(height: int, width: int, channels: int) -> int:
    """What `allocate` takes, border included."""
    return math.prod(_padded(height, width)) * channels * np.dtype(DTYPE).itemsize


def padded_width(width: int) -> int:
    """Pixels from a row of a map to the next, border included."""
    return round_up(width, OUTPUT_TILE) + 2


def _padded(height: int, width: int) -> tuple[int, int]:
    buffer_width = padded_width(width)
    return round_up(height, OUTPUT_TILE) + 2 + ceil_div(MR, buffer_width), buffer_width


def from_array(array: np.ndarray) -> FeatureMap:
    """A padded float32 copy of an (H, W, C) array of any real dtype, order and strides."""
    feature_map = allocate(*array.shape)
    feature_map.array[:] = array
    return feature_map


def unpadded(array: np.ndarray) -> FeatureMap:
    """The map to write a C-contiguous (H, W, C) float32 array through; it has no border to read."""
    return FeatureMap(array, 0, 0, 0, *array.shape)


# What a compiled loop needs to know of a map: the address of its first value, its strides in bytes and its size.
# Numba's parallel loops take arrays, not tuples that hold arrays; and an address fits every layout, so that a new
# layout does not have to be compiled.
RECORD = np.dtype([(name, np.int64) for name in ("start", "row_stride", "pixel_stride", "height", "width", "channels")])


def record(x: FeatureMap) -> tuple[int, ...]:
    """The fields of RECORD for `x`, which must outlive their use."""
    row_stride, pixel_stride, channel_stride = x.buffer.strides
    offset = x.first_row * row_stride + x.first_column * pixel_stride + x.first_channel * channel_stride
    return x.buffer.ctypes.data + offset, x.step * row_stride, x.step * pixel_stride, x.height, x.width, x.channels


def records(maps: Sequence[FeatureMap]) -> np.ndarray:
    """(maps,) RECORD for compiled loops; the maps must outlive their use."""
    return np.array([record(each) for each in maps], RECORD)


@njit(inline="always")
def address(x: np.record, row: int, column: int) -> int:
    """The address, in bytes, of channel 0 of pixel (row, column) of the map recorded in `x`."""
    first_value: int = x.start + row * x.row_stride + column * x.pixel_stride
    return first_value


def upsample(x: FeatureMap, out: FeatureMap) -> None:
    """Enlarge `x` into `out` by nearest-neighbour interpolation; a copy where the two are of one size.

    out[y, x] = in[y // factor, x // factor], with the whole number factor = height of `out` / height of `x`.
    """
    threads = min(thread_count(), 1 + out.height * out.width * out.channels // VALUES_A_THREAD)
    with parallel_region(threads):
        _upsample_rows(records([x, out]), threads)


@compiled(parallel=True)
def _upsample_rows(maps: np.ndarray, workers: int) -> None:
    for worker in prange(workers):
        x, out = maps[0], maps[1]
        factor = out.width // x.width
        for row in range(worker, out.height, workers):
            for column in range(out.width):
                copy_values(address(x, row // factor, column // factor), address(out, row, column), x.channels)
