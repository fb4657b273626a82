"""Feature maps: channel ranges of padded, channels-last buffers. Layout and dtype are decided here, nowhere else."""

from typing import NamedTuple

import numpy as np
from numba import njit

from lowrank_sr.machine.cpu import ROWS

DTYPE = np.float32
TILE = 4  # rows and columns are padded to whole Winograd output tiles


class FeatureMap(NamedTuple):
    """`height` x `width` pixels of `channels` channels, somewhere in a buffer.

    Pixel (y, x), channel c, is `buffer[top + y, left + x, first + c]`; the buffer is C-contiguous float32.
    """

    buffer: np.ndarray
    top: int
    left: int
    first: int
    height: int
    width: int
    channels: int

    def slice(self, first: int, channels: int) -> "FeatureMap":
        """The `channels` channels that start at channel `first` of this map, without a copy."""
        return self._replace(first=self.first + first, channels=channels)

    def rows(self, start: int, stop: int) -> "FeatureMap":
        """Rows `start` to `stop` of this map, without a copy; rows outside it are the zeros of its border."""
        return self._replace(top=self.top + start, height=stop - start)

    @property
    def array(self) -> np.ndarray:
        """The pixels as a (height, width, channels) view."""
        rows = slice(self.top, self.top + self.height)
        columns = slice(self.left, self.left + self.width)
        return self.buffer[rows, columns, self.first : self.first + self.channels]


def allocate(height: int, width: int, channels: int) -> FeatureMap:
    """A feature map of zeros whose border of zeros is as wide as any 3 x 3 method reads.

    One pixel on each side, whole tiles of 4 x 4 pixels (`winograd`), and below them room for a register tile of ROWS
    pixels that starts at the last one (`direct`): what is computed from beyond the picture is never written.
    """
    tiled = width + -width % TILE + 2
    rows = height + -height % TILE + 2 + -(-ROWS // tiled)
    return FeatureMap(np.zeros((rows, tiled, channels), DTYPE), 1, 1, 0, height, width, channels)


def from_array(array: np.ndarray) -> FeatureMap:
    """A padded copy of an (H, W, C) array of any real dtype, order and strides."""
    copy = allocate(*array.shape)
    copy.array[:] = array
    return copy


def unpadded(array: np.ndarray) -> FeatureMap:
    """The map to write a C-contiguous (H, W, C) float32 array through; it has no border to read."""
    return FeatureMap(array, 0, 0, 0, *array.shape)


# What a compiled loop needs of a map: where its first value lies, strides in bytes, its size. Numba's parallel loops
# take arrays, not tuples that hold arrays, and an address fits every layout, so that no new layout compiles anew.
RECORD = np.dtype([(name, np.int64) for name in ("start", "row", "pixel", "height", "width", "channels")])


def record(x: FeatureMap) -> tuple[int, ...]:
    """The fields of RECORD for `x`, which must outlive their use."""
    row, pixel, channel = x.buffer.strides
    start = x.buffer.ctypes.data + x.top * row + x.left * pixel + x.first * channel
    return start, row, pixel, x.height, x.width, x.channels


@njit(inline="always")
def address(x, row, column):
    """Where channel 0 of pixel (row, column) of the map recorded in `x` lies in memory, in bytes."""
    return x.start + row * x.row + column * x.pixel
