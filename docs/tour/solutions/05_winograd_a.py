"""A row of B^T may be scaled, if the same row of G is scaled the other way."""

import numpy as np

A_T = np.array([[1, 1, 1, 0], [0, 1, -1, 1]], float)
G = np.array([[-1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
B_T = np.array([[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]], float)


def filtered(A_T, G, B_T, g, d):
    """F(2, 3): two outputs of the filter g from four inputs d."""
    return A_T @ ((G @ g) * (B_T @ d))


rng = np.random.default_rng(6)
g, d = rng.standard_normal(3), rng.standard_normal(4)
expected = [g @ d[:3], g @ d[1:]]
assert np.allclose(filtered(A_T, G, B_T, g, d), expected, rtol=0, atol=1e-14)

# (G g)_k (B^T d)_k is one product: a factor on one side and its inverse on the other cancel.
scales = rng.standard_normal(4)
scaled = filtered(A_T, G / scales[:, None], B_T * scales[:, None], g, d)
assert np.allclose(scaled, expected, rtol=0, atol=1e-12)

# Lavin and Gray: both rows by -1. They also have the last row of G as it was, and put the sign into A^T instead.
signs = np.array([-1, 1, 1, -1])
lavin_B_T = B_T * signs[:, None]
assert (lavin_B_T[0] == [1, 0, -1, 0]).all()
assert (lavin_B_T[3] == [0, 1, 0, -1]).all()
lavin_G = G * np.array([-1, 1, 1, 1])[:, None]
lavin_A_T = A_T * np.array([1, 1, 1, -1])
assert np.allclose(filtered(lavin_A_T, lavin_G, lavin_B_T, g, d), expected, rtol=0, atol=1e-14)
for name, matrix in {"A^T": lavin_A_T, "G": lavin_G, "B^T": lavin_B_T}.items():
    print(name, "of Lavin and Gray\n", matrix + 0.0)  # + 0.0 makes 0 of -0
