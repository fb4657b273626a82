"""The tail of the network, upconv1 to conv_last, in bands of rows, in memory that does not grow with the picture.

At the output's resolution a whole feature map needs 4 KB for each pixel of the input. But a row of a 3 x 3
convolution needs only three rows of its input, so each stage keeps a window of its input: rows come in from the stage
before, those that are complete are convolved and passed on, and the last few stay for the next band. Nothing is
computed twice. The upconvs write two rows for each row of their window (`conv/upsampled.py`).

Rows are convolved in whole tiles of 6, so that Winograd's tiles lie as they would without bands: the result is the
same to the bit; that of `im2col` and `kn2row` to the rounding of BLAS, which sums in an order that depends on how many
rows it is given.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lowrank_sr.conv.feature_map import OUTPUT_TILE, FeatureMap, allocate, allocated_bytes, unpadded

BAND_PIXELS = 2**16  # output pixels in a band: 16 MB for a window of 64 channels, and what waits in it from before
_KEPT = OUTPUT_TILE + 1  # rows of a window that can be left over: a tile, whose last row needs one more


class Stage(NamedTuple):
    """One convolution of the tail, convolution(x, out): `out` has `factor` times the height and width of `x`."""

    convolution: Callable[[FeatureMap, FeatureMap], None]
    factor: int


class Size(NamedTuple):
    """Of a stage's input, height and width; of its window, the rows; and how many of them are convolved at a time."""

    height: int
    width: int
    rows: int
    ready: int


class Window:
    """The rows of a stage's input that have come and are still needed."""

    def __init__(self, stage: Stage, size: Size, channels: int) -> None:
        self.stage = stage
        self.height = size.height
        self.map = allocate(size.rows, size.width, channels)
        self.received = 0  # rows of the input so far
        self.done = 0  # rows of the input whose output is computed; this row of the input is row 0 of the map

    def arriving(self, count: int) -> FeatureMap:
        """Where the next `count` rows of the input belong; they count as received."""
        start = self.received - self.done
        self.received += count
        return self.map.rows(start, start + count)

    def ready(self) -> int:
        """For how many rows of the input the output can be computed now."""
        if self.received == self.height:
            return self.height - self.done
        # Row y needs row y + 1, and a whole tile needs the row after it.
        return max(0, (self.received - 1) // OUTPUT_TILE * OUTPUT_TILE - self.done)

    def convolve(self, rows: int, out: FeatureMap) -> None:
        """Compute the output for the next `rows` rows of the input and drop what nothing needs any more."""
        buffer = self.map.buffer
        top = self.map.first_row
        waiting = self.received - self.done  # rows in the map
        if self.received == self.height:
            buffer[top + waiting : top + waiting + OUTPUT_TILE] = 0  # below the picture
        self.stage.convolution(self.map.rows(0, rows), out)
        kept = waiting - rows + 1  # with the row above the next one to be computed
        buffer[top - 1 : top - 1 + kept] = buffer[top - 1 + rows : top + waiting]
        self.done += rows


def run_tail(features: FeatureMap, stages: Sequence[Stage], out: np.ndarray) -> None:
    """Pass `features` through `stages` into `out`, (H, W, channels) float32."""
    factors = [stage.factor for stage in stages]
    sizes = _sizes(features.height, features.width, factors)
    windows = [Window(stage, size, features.channels) for stage, size in zip(stages, sizes, strict=True)]
    result = unpadded(out)
    rows = _rows_of_band(features.height, features.width, math.prod(factors))
    for first in range(0, features.height, rows):
        count = min(rows, features.height - first)
        windows[0].arriving(count).array[:] = features.rows(first, first + count).array
        for window, following in zip(windows, [*windows[1:], None], strict=True):
            ready = window.ready()
            if ready == 0:
                break
            factor = window.stage.factor
            written, coming = factor * window.done, factor * ready
            window.convolve(ready, following.arriving(coming) if following else result.rows(written, written + coming))


def tail_bytes(height: int, width: int, channels: int, factors: Sequence[int]) -> int:
    """What `run_tail` allocates for features of this size, where its stages enlarge their inputs by `factors`."""
    return sum(allocated_bytes(size.rows, size.width, channels) for size in _sizes(height, width, factors))


def band_sizes(height: int, width: int, factors: Sequence[int]) -> list[tuple[int, int]]:
    """(rows, columns) of its input that each stage convolves at a time, at most, for features of this size."""
    return [(size.ready, size.width) for size in _sizes(height, width, factors)]


def _sizes(height: int, width: int, factors: Sequence[int]) -> Iterator[Size]:
    """Of each stage, where the features have this size."""
    band = _rows_of_band(height, width, math.prod(factors))
    for factor in factors:
        ready = min(band + OUTPUT_TILE, height)
        yield Size(height, width, min(band + _KEPT, height), ready)
        band, height, width = factor * ready, factor * height, factor * width


def _rows_of_band(height: int, width: int, enlargement: int) -> int:
    """How many rows of features, `height` x `width` pixels, come in at a time."""
    pixels = enlargement**2 * height * width
    return max(OUTPUT_TILE, BAND_PIXELS * height // pixels // OUTPUT_TILE * OUTPUT_TILE)
