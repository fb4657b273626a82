"""kn2row in strips of rows: the products of a strip are used at once, so only one strip of them exists."""

import numpy as np

from lowrank_sr.conv.methods import convolve
from lowrank_sr.layers import random_layer

MR = 4
rng = np.random.default_rng(5)
x = rng.standard_normal((30, 13, 6)).astype(np.float32)  # (H, W, C)
layer = random_layer((4, 6, 3))  # (N, C, d)
n = 4

height, width, channels = x.shape
across = width + 2
pixels = np.pad(x, ((1, 1), (1, 1), (0, 0))).reshape(-1, channels)  # ((H + 2) (W + 2), C)
matrices = layer.weight.transpose(2, 1, 3, 0).reshape(3, channels, 3 * n)  # (3, C, 3 N)
out = np.zeros((height, width, n), np.float32)
largest = 0
for first in range(0, height, MR):
    rows = min(MR, height - first)
    # rows first - 1 to first + rows of the image are read: one above and one below those that are written
    starts = [(first + i) * across for i in range(3)]
    products = sum(pixels[s : s + rows * across] @ matrices[i] for i, s in enumerate(starts))  # (rows (W + 2), 3 N)
    largest = max(largest, products.size)
    shifted = products.reshape(rows, across, 3, n)
    for j in range(3):
        out[first : first + rows] += shifted[:, j : j + width, j]

# 54 float32 products a sum; their magnitudes, about 0.013 each, add up to less than 2: 56 x 6e-8 x 2 for either sum
np.testing.assert_allclose(convolve(x, layer, "kn2row"), out, rtol=0, atol=2e-5)
assert largest * height == 3 * n * height * across * MR
print(f"the products shrink by a factor of {height / MR:g}, the number of rows over those of a strip")
