"""The gradients of an SVD pair's factors, from that of its kernel and without it.

By the chain rule, since W[n, c, i, j] = sum over k of h[n, k, j] v[k, c, i],

    dv[k, c, i] = sum over n, j of h[n, k, j] dW[n, c, i, j]
    dh[n, k, j] = sum over c, i of v[k, c, i] dW[n, c, i, j]
"""

import numpy as np

from lowrank_sr import flops
from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import allocate, from_array
from lowrank_sr.layers import Separable
from lowrank_sr.training.separable import SeparableBackward

rng = np.random.default_rng(0)
height, width, c, n, rank = 12, 12, 64, 32, 16
vertical = rng.standard_normal((rank, c, 3))
horizontal = rng.standard_normal((n, rank, 3))
x = rng.standard_normal((height, width, c))
dy = rng.standard_normal((height, width, n))

padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
dw = np.empty((n, c, 3, 3))
for i in range(3):
    for j in range(3):
        dw[:, :, i, j] = np.einsum("yxn,yxc->nc", dy, padded[i : i + height, j : j + width])
dv = np.einsum("nkj,ncij->kci", horizontal, dw)
dh = np.einsum("kci,ncij->nkj", vertical, dw)

pair = Separable(vertical, horizontal, np.zeros(n, np.float32))
gradients = SeparableBackward(pair)(
    from_array(x), from_array(dy), allocate(height, width, c), Epilogue(np.zeros(c, np.float32))
)
# float32 against float64: sums of 144 pixels over sums of 192 or 96 terms, errors of random sign
tolerance = np.finfo(np.float32).eps * np.sqrt(144 * 192)
for name, expected in (("vertical", dv), ("horizontal", dh)):
    error = np.abs(gradients[name] - expected).max() / np.abs(expected).max()
    print(f"{name}: largest difference {error:.1e} of the largest number")
    assert error <= tolerance

with_kernel = 9 * n * c
without = 3 * rank * (n + c)
print(f"multiplications a pixel: {with_kernel} for dW, {without} for the factors, {without / with_kernel:.2f} of it")
assert np.isclose(with_kernel / without, flops.break_even("svd", n, c, 3) / rank)  # the layer's own speed-up
