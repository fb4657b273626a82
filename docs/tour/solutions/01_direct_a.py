"""A network's convolution is a correlation: turn the kernel by 180 degrees, and it is a convolution."""

import numpy as np
from scipy.signal import convolve2d

from lowrank_sr.conv.methods import convolve
from lowrank_sr.layers import Dense

rng = np.random.default_rng(1)
x = rng.standard_normal((8, 9, 3)).astype(np.float32)  # (H, W, C)
layer = Dense(rng.standard_normal((2, 3, 3, 3)), rng.standard_normal(2))  # (N, C, 3, 3), (N,)

turned = layer.weight[:, :, ::-1, ::-1]  # (N, C, 3, 3), both axes of the kernel reversed
out = np.empty((8, 9, 2))  # (H, W, N)
for n in range(2):
    planes = [convolve2d(x[:, :, c], turned[n, c], mode="same") for c in range(3)]  # each (H, W), zeros beyond
    out[:, :, n] = sum(planes) + layer.bias[n]

# 27 float32 products a sum, magnitudes of a few ones: 29 terms x 6e-8 x about 20
np.testing.assert_allclose(convolve(x, layer, "direct"), out, rtol=0, atol=4e-5)

unturned = sum(convolve2d(x[:, :, c], layer.weight[0, c], mode="same") for c in range(3)) + layer.bias[0]
assert np.abs(unturned - out[:, :, 0]).max() > 1
print("the kernel turned by 180 degrees: equal; as it is: not")
