"""The rounding of Winograd's algorithm: two dimensions at once, against one at a time in a pair.

The magnitudes in a row of B' add up to 15 at most and those in a row of A' to 67: what the algorithm computes with is
larger than the result by up to such factors, and so are its roundings. In two dimensions at once both are squared
before anything is summed; in the pair the middle is an ordinary number again.
"""

import numpy as np

from lowrank_sr.conv.methods import convolve
from lowrank_sr.layers import Dense, Separable

rng = np.random.default_rng(0)
n = c = 64
bias = np.zeros(n, np.float32)
x = rng.standard_normal((48, 48, c)).astype(np.float32)


def exact(kernel):
    """The convolution in float64: a sum over the nine taps."""
    padded = np.pad(x.astype(float), ((1, 1), (1, 1), (0, 0)))
    taps = (padded[i : i + 48, j : j + 48] @ kernel[:, :, i, j].T for i in range(3) for j in range(3))
    return sum(taps)


def relative(out, reference):
    """The root of the mean squared error over that of the result."""
    return np.sqrt(np.square(out - reference).mean() / np.square(reference).mean())


for rank in (8, 32):
    vertical = rng.standard_normal((rank, c, 3)).astype(np.float32)
    horizontal = rng.standard_normal((n, rank, 3)).astype(np.float32)
    pair = Separable(vertical, horizontal, bias)
    kernel = np.einsum("nkj,kci->ncij", horizontal.astype(float), vertical.astype(float))
    dense = Dense(kernel, bias)  # float32
    errors = {
        "pair, direct": relative(convolve(x, pair, "direct"), exact(kernel)),
        "pair, F(6, 3)": relative(convolve(x, pair, "winograd"), exact(kernel)),
        "dense, direct": relative(convolve(x, dense, "direct"), exact(dense.weight.astype(float))),
        "dense, F(6 x 6, 3 x 3)": relative(convolve(x, dense, "winograd"), exact(dense.weight.astype(float))),
    }
    for name, error in errors.items():
        print(f"rank {rank:2}, {name:24} {error:.1e}")
    assert errors["pair, F(6, 3)"] < errors["dense, F(6 x 6, 3 x 3)"]
    # Single precision has a unit of 6e-8: none of this is visible in a picture of 8 bits.
    assert max(errors.values()) < 1e-5
