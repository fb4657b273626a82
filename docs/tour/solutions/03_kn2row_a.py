"""kn2row with a product for each tap: no shifts afterwards, but nine products read the image."""

import numpy as np

from lowrank_sr.conv.methods import convolve
from lowrank_sr.layers import random_layer

rng = np.random.default_rng(4)
x = rng.standard_normal((10, 13, 6)).astype(np.float32)  # (H, W, C)
layer = random_layer((4, 6, 3))  # (N, C, d)

height, width, channels = x.shape
across = width + 2
# one pixel more on each end: tap (0, 0) begins and tap (2, 2) ends beyond the bordered image
padded = np.pad(x, ((1, 1), (1, 1), (0, 0))).reshape(-1, channels)  # ((H + 2) (W + 2), C)
pixels = np.pad(padded, ((1, 1), (0, 0)))
sums = np.zeros((height * across, 4), np.float32)  # for every pixel of the bordered rows
read = 0
for i in range(3):
    for j in range(3):
        start = i * across + j  # the pixel that this tap sees from the first place of the first row
        moved = pixels[start : start + height * across]  # (H (W + 2), C), a view
        sums += moved @ layer.weight[:, :, i, j].T
        read += moved.size
out = sums.reshape(height, across, 4)[:, 1:-1]  # the border's own sums are of no use: they mix two rows

# 54 float32 products a sum; their magnitudes, about 0.013 each, add up to less than 2: 56 x 6e-8 x 2 for either sum
np.testing.assert_allclose(convolve(x, layer, "kn2row"), out, rtol=0, atol=2e-5)

assert read == 9 * height * across * channels  # with three products: 3 times H (W + 2) C
print("each number of the image is read by nine products instead of three")
