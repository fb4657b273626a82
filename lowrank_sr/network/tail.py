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
from collections.abc import Callable, Iterator

import numpy as np

from lowrank_sr.conv.feature_map import OUTPUT_TILE, FeatureMap, allocate, allocated_bytes, unpadded

BAND_PIXELS = 2**16  # output pixels in a band: 16 MB for a window of 64 channels, and what waits in it from before
_KEPT = OUTPUT_TILE + 1  # rows of a window that can be left over: a tile, whose last row needs one more


class Stage:
    """One convolution of the tail, whose output is `factor` times as high and wide as its input."""

    def __init__(self, convolution: Callable[[FeatureMap, FeatureMap], None], factor: int) -> None:
        """A stage that computes `convolution`(x, out) of what it receives, with `factor` rows of out for each of x."""
        self.convolution = convolution
        self.factor = factor

    def open(self, height: int, width: int, channels: int, rows: int) -> int:
        """Make room for `rows` rows at a time of an input of this size; return how many rows can come out at a time."""
        self.height = height  # of the whole input
        self.window = allocate(_rows_of_window(height, rows), width, channels)
        self.received = 0  # rows of the input so far
        self.done = 0  # rows of the input whose output is computed; this row of the input is row 0 of the window
        return self.factor * _ready_rows(height, rows)

    def arriving(self, count: int) -> FeatureMap:
        """Where the next `count` rows of the input belong; they count as received."""
        start = self.received - self.done
        self.received += count
        return self.window.rows(start, start + count)

    def ready(self) -> int:
        """For how many rows of the input the output can be computed now."""
        if self.received == self.height:
            return self.height - self.done
        # Row y needs row y + 1, and a whole tile needs the row after it.
        return max(0, (self.received - 1) // OUTPUT_TILE * OUTPUT_TILE - self.done)

    def convolve(self, rows: int, out: FeatureMap) -> None:
        """Compute the output for the next `rows` rows of the input and drop what nothing needs any more."""
        buffer = self.window.buffer
        top = self.window.first_row
        waiting = self.received - self.done  # rows in the window
        if self.received == self.height:
            buffer[top + waiting : top + waiting + OUTPUT_TILE] = 0  # below the picture
        self.convolution(self.window.rows(0, rows), out)
        kept = waiting - rows + 1  # with the row above the next one to be computed
        buffer[top - 1 : top - 1 + kept] = buffer[top - 1 + rows : top + waiting]
        self.done += rows


def run_tail(features: FeatureMap, stages: list[Stage], out: np.ndarray) -> None:
    """Pass `features` through `stages` into `out`, (H, W, channels) float32."""
    rows = _rows_of_band(features.height, *out.shape[:2])
    band, height, width = rows, features.height, features.width
    for stage in stages:
        band = stage.open(height, width, features.channels, band)
        height, width = stage.factor * height, stage.factor * width

    result = unpadded(out)
    for first in range(0, features.height, rows):
        count = min(rows, features.height - first)
        stages[0].arriving(count).array[:] = features.rows(first, first + count).array
        for stage, following in zip(stages, [*stages[1:], None], strict=True):
            ready = stage.ready()
            if ready == 0:
                break
            coming = stage.factor * ready
            written = stage.factor * stage.done
            stage.convolve(ready, following.arriving(coming) if following else result.rows(written, written + coming))


def _rows_of_band(height: int, out_height: int, out_width: int) -> int:
    """How many of `height` rows of features come in at a time."""
    return max(OUTPUT_TILE, BAND_PIXELS * height // (out_height * out_width) // OUTPUT_TILE * OUTPUT_TILE)


def _rows_of_window(height: int, rows: int) -> int:
    """Rows of a stage's window, where `rows` of `height` come in at a time."""
    return min(rows + _KEPT, height)


def _ready_rows(height: int, rows: int) -> int:
    """Rows of the input whose output can be computed at a time."""
    return min(rows + OUTPUT_TILE, height)


def tail_bytes(height: int, width: int, channels: int, factors: list[int]) -> int:
    """What `run_tail` allocates for features of this size, where its stages enlarge their inputs by `factors`."""
    return sum(allocated_bytes(rows, columns, channels) for rows, columns, _ in _windows(height, width, factors))


def band_sizes(height: int, width: int, factors: list[int]) -> list[tuple[int, int]]:
    """(rows, columns) of its input that each stage convolves at a time, at most, for features of this size."""
    return [(ready, columns) for _, columns, ready in _windows(height, width, factors)]


def _windows(height: int, width: int, factors: list[int]) -> Iterator[tuple[int, int, int]]:
    """Of each stage the rows and columns of its window, and how many of the rows are convolved at a time."""
    enlargement = math.prod(factors)
    band = _rows_of_band(height, enlargement * height, enlargement * width)
    for factor in factors:
        ready = _ready_rows(height, band)
        yield _rows_of_window(height, band), width, ready
        band, height, width = factor * ready, factor * height, factor * width
