"""im2col with the columns in PyTorch's order (c, i, j): the same product, if the kernel's rows have it too."""

import numpy as np

from lowrank_sr.conv.methods import convolve
from lowrank_sr.layers import random_layer

rng = np.random.default_rng(2)
x = rng.standard_normal((9, 7, 12)).astype(np.float32)  # (H, W, C)
layer = random_layer((5, 12, 3))  # (N, C, d)

padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))  # (H + 2, W + 2, C)
windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))  # (H, W, C, 3, 3): c, i, j already
patches = windows.reshape(9 * 7, 12 * 9)
matrix = layer.weight.reshape(5, -1).T  # (9 C, N): (N, C, 3, 3) is stored as (n, c, i, j), so no transpose is needed
out = (patches @ matrix).reshape(9, 7, 5)

# 108 float32 products a sum; their magnitudes, about 0.013 each, add up to less than 3: 110 x 6e-8 x 3 for either sum
np.testing.assert_allclose(convolve(x, layer, "im2col"), out, rtol=0, atol=4e-5)


def run_length(axes):
    """How many numbers from the start of a patch lie side by side in the padded image, its axes in this order."""
    numbers = np.arange(padded.size).reshape(padded.shape)
    view = np.lib.stride_tricks.sliding_window_view(numbers, (3, 3), axis=(0, 1))  # (H, W, C, 3, 3)
    places = view[0, 0].transpose(axes).ravel()  # of the first patch's numbers in memory
    return 1 + int(np.argmax(np.diff(places) != 1))


assert run_length((1, 2, 0)) == 3 * 12  # (i, j, c): three pixels of a row with all channels, in one run
assert run_length((0, 1, 2)) == 1  # (c, i, j): the next number is C away
print("side by side: 3 C numbers in the order (i, j, c), one in the order (c, i, j)")
