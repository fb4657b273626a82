"""The tail of the network, upconv1 to conv_last, in bands of rows, in memory that does not grow with the picture.

At the output's resolution a whole feature map needs 4 KB for each pixel of the input. But a row of a 3 x 3
convolution needs only three rows of its input, so each stage keeps a window of its input: rows come in from the stage
before, those that are complete are convolved and passed on, and the last few stay for the next band. Nothing is
computed twice.

Rows are convolved in whole tiles of 4, so that Winograd's tiles lie as they would without bands: the result is the
same to the bit; that of `im2col` and `kn2row` to the rounding of BLAS, which sums in an order that depends on how many
rows it is given.
"""

import math
from collections.abc import Callable

import numpy as np

from lowrank_sr.conv.feature_map import OUTPUT_TILE, FeatureMap, allocate, allocated_bytes, unpadded, upsample

BAND_PIXELS = 2**15  # output pixels in a band: 8 MB for each window of 64 channels
_KEPT = OUTPUT_TILE + 1  # rows of a window that can be left over: less than a tile, and the row above it


class Stage:
    """One convolution of the tail, over its input enlarged by `factor`."""

    def __init__(self, convolution: Callable[[FeatureMap, FeatureMap], None], factor: int) -> None:
        """A stage that computes `convolution`(x, out) of what it receives, enlarged by `factor`."""
        self.convolution = convolution
        self.factor = factor

    def open(self, height: int, width: int, channels: int, rows: int) -> int:
        """Make room for `rows` rows at a time of an input of this size; return how many rows can come out at a time."""
        self.height = self.factor * height  # of the whole input, enlarged
        window_rows, ready_rows = _rows_of_window(self.factor, height, rows)
        self.window = allocate(window_rows, self.factor * width, channels)
        self.received = 0  # rows of the input so far
        self.done = 0  # rows of the output so far; row `done` of the input is row 0 of the window
        return ready_rows

    def receive(self, rows: FeatureMap) -> None:
        """Take the next rows of the input, still to be enlarged."""
        upsample(rows, self.arriving(self.factor * rows.height))
        self.received += self.factor * rows.height

    def arriving(self, count: int) -> FeatureMap:
        """Where the next `count` rows of the enlarged input belong."""
        start = self.received - self.done
        return self.window.rows(start, start + count)

    def ready(self) -> int:
        """How many rows of output can be computed now."""
        if self.received == self.height:
            return self.height - self.done
        # Row y needs row y + 1, and a whole tile needs the row after it.
        return max(0, (self.received - 1) // OUTPUT_TILE * OUTPUT_TILE - self.done)

    def convolve(self, out: FeatureMap) -> None:
        """Compute the next `out.height` rows and drop the input that nothing needs any more."""
        buffer = self.window.buffer
        top = self.window.first_row
        waiting = self.received - self.done  # rows in the window
        if self.received == self.height:
            buffer[top + waiting : top + waiting + OUTPUT_TILE] = 0  # below the picture
        self.convolution(self.window.rows(0, out.height), out)
        kept = waiting - out.height + 1  # with the row above the next one to be computed
        buffer[top - 1 : top - 1 + kept] = buffer[top - 1 + out.height : top + waiting]
        self.done += out.height


def run_tail(features: FeatureMap, stages: list[Stage], out: np.ndarray) -> None:
    """Pass `features` through `stages` into `out`, (H, W, channels) float32."""
    rows = _rows_of_band(features.height, *out.shape[:2])
    pairs = list(zip(stages, [*stages[1:], None], strict=True))  # each stage with the one that follows it

    height, width, channels = features.height, features.width, features.channels
    band = rows  # rows that come in at a time
    scratch: list[FeatureMap | None] = []  # what a stage writes where the following one enlarges it
    for stage, following in pairs:
        band = stage.open(height, width, channels, band)
        height = stage.height
        width = stage.factor * width
        enlarged = following is not None and following.factor > 1
        scratch.append(allocate(band, width, channels) if enlarged else None)

    result = unpadded(out)
    for first in range(0, features.height, rows):
        stages[0].receive(features.rows(first, min(first + rows, features.height)))
        for (stage, following), between in zip(pairs, scratch, strict=True):
            ready = stage.ready()
            if ready == 0:
                break
            if following is None:
                stage.convolve(result.rows(stage.done, stage.done + ready))
            elif between is None:
                stage.convolve(following.arriving(ready))
                following.received += ready
            else:
                stage.convolve(between.rows(0, ready))
                following.receive(between.rows(0, ready))


def _rows_of_band(height: int, out_height: int, out_width: int) -> int:
    """How many of `height` rows of features come in at a time."""
    return max(OUTPUT_TILE, BAND_PIXELS * height // (out_height * out_width) // OUTPUT_TILE * OUTPUT_TILE)


def _rows_of_window(factor: int, height: int, rows: int) -> tuple[int, int]:
    """Rows of a stage's window, and how many can come out at a time, where `rows` of `height` come in at a time."""
    arriving = min(factor * rows, factor * height)
    return min(arriving + _KEPT, factor * height), min(arriving + OUTPUT_TILE, factor * height)


def tail_bytes(height: int, width: int, channels: int, factors: list[int]) -> int:
    """What `run_tail` allocates for features of this size, where its stages enlarge their inputs by `factors`."""
    enlargement = math.prod(factors)
    band = _rows_of_band(height, enlargement * height, enlargement * width)
    size = 0
    for factor, following in zip(factors, [*factors[1:], 1], strict=True):
        window_rows, band = _rows_of_window(factor, height, band)
        height, width = factor * height, factor * width
        size += allocated_bytes(window_rows, width, channels)
        if following > 1:
            size += allocated_bytes(band, width, channels)
    return size
