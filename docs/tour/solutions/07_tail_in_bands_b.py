"""Row by row with a kernel of any odd size: d rows in the window."""

from collections import deque
from itertools import chain

import numpy as np
from scipy.signal import correlate


def convolved(rows, weight):
    """Rows (W, C) in, rows (W, N) out, for a kernel (N, C, d, d)."""
    d = weight.shape[2]
    rows = iter(rows)
    first = next(rows)
    border = [0 * first] * (d // 2)  # rows of zeros above the picture, and below it
    window = deque(maxlen=d)  # when it is full, a new row pushes the oldest one out
    for row in chain(border, [first], rows, border):
        window.append(row)
        if len(window) == d:
            yield row_of_output(window, weight)


def row_of_output(window, weight):
    d = weight.shape[2]
    padded = np.pad(np.stack(list(window)), ((0, 0), (d // 2, d // 2), (0, 0)))  # (d, W + d - 1, C)
    width = padded.shape[1] - d + 1
    return sum(padded[i, j : j + width] @ weight[:, :, i, j].T for i in range(d) for j in range(d))


rng = np.random.default_rng(0)
x = rng.standard_normal((12, 9, 4))  # (H, W, C)
for d in (1, 3, 5, 7):
    weight = rng.standard_normal((3, 4, d, d))  # (N, C, d, d)
    by_rows = np.stack(list(convolved(x, weight)))  # (12, 9, 3)
    whole = np.stack(
        [sum(correlate(x[:, :, c], weight[n, c], mode="same") for c in range(4)) for n in range(3)], axis=2
    )
    assert by_rows.shape == whole.shape
    # float64: a few hundred products of size 1
    assert np.abs(by_rows - whole).max() < 1e-11
    print(f"{d} x {d}: {d} rows in the window, largest difference {np.abs(by_rows - whole).max():.0e}")
