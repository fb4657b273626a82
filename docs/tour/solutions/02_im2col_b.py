"""col2im, the transpose of im2col: every number of the patch matrix is added to the pixel that it was copied from."""

import numpy as np

HEIGHT, WIDTH, CHANNELS = 6, 8, 3


def im2col(x):
    """(H, W, C) -> (H W, 9 C)."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))  # (H, W, C, 3, 3)
    return windows.transpose(0, 1, 3, 4, 2).reshape(len(x) * x.shape[1], -1)


def col2im(matrix):
    """(H W, 9 C) -> (H, W, C)."""
    taps = matrix.reshape(HEIGHT, WIDTH, 3, 3, CHANNELS)
    padded = np.zeros((HEIGHT + 2, WIDTH + 2, CHANNELS))
    for i in range(3):
        for j in range(3):
            padded[i : i + HEIGHT, j : j + WIDTH] += taps[:, :, i, j]
    return padded[1:-1, 1:-1]  # what was copied from beyond the border belongs to no pixel


rng = np.random.default_rng(3)
x = rng.standard_normal((HEIGHT, WIDTH, CHANNELS))
q = rng.standard_normal((HEIGHT * WIDTH, 9 * CHANNELS))
assert np.isclose((im2col(x) * q).sum(), (x * col2im(q)).sum(), rtol=1e-12)  # float64, 1296 products

# Each pixel comes back as often as it was copied: nine times, six times at an edge, four in a corner.
times = col2im(im2col(np.ones_like(x)))
assert np.allclose(col2im(im2col(x)), times * x)
assert times[2, 2, 0] == 9
assert times[0, 2, 0] == 6
assert times[0, 0, 0] == 4
print("the transpose fits; col2im(im2col(x)) is x times", np.unique(times))
