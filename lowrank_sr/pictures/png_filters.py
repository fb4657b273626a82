"""PNG's filters, which turn bytes into differences from their neighbours before they are compressed, and back.

Specification: https://www.w3.org/TR/png-3/, section 9.
"""

import numpy as np

from lowrank_sr.machine.compiled import compiled


@compiled()
def _paeth(left: int, up: int, corner: int) -> int:
    """Whichever of the three neighbours is nearest to left + up - corner (section 9.4)."""
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


@compiled()
def unfilter(types: np.ndarray, filtered: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Undo the filter of each row (section 9.2); `above` is the row before the first, `step` the bytes of a pixel."""
    height, width = filtered.shape
    out = np.zeros((height + 1, step + width), np.uint8)  # a pixel of zeros before the first
    out[0, step:] = above
    for y in range(height):
        for x in range(width):
            left = np.int64(out[y + 1, x])
            up = np.int64(out[y, x + step])
            corner = np.int64(out[y, x])
            predicted = np.int64(0)
            if types[y] == 1:
                predicted = left
            elif types[y] == 2:
                predicted = up
            elif types[y] == 3:
                predicted = (left + up) // 2
            elif types[y] == 4:
                predicted = _paeth(left, up, corner)
            elif types[y] != 0:
                raise ValueError("unknown PNG filter type")
            out[y + 1, x + step] = (filtered[y, x] + predicted) & 255
    return out[1:, step:].copy()


@compiled()
def filter_rows(rows: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Filter each row by the type whose bytes, taken as signed, are smallest (section 12.7); the type comes first."""
    height, width = rows.shape
    out = np.empty((height, 1 + width), np.uint8)
    tried = np.empty((5, width), np.uint8)
    for y in range(height):
        row, up_row = rows[y], rows[y - 1] if y else above
        sums = np.zeros(5, np.int64)
        for x in range(width):
            up = np.int64(up_row[x])
            left = np.int64(row[x - step]) if x >= step else np.int64(0)
            corner = np.int64(up_row[x - step]) if x >= step else np.int64(0)
            for kind, predicted in enumerate((0, left, up, (left + up) // 2, _paeth(left, up, corner))):
                value = (row[x] - predicted) & 255
                tried[kind, x] = value
                sums[kind] += min(value, 256 - value)
        best = np.argmin(sums)
        out[y, 0] = best
        out[y, 1:] = tried[best]
    return out
