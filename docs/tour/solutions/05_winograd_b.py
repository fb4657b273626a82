"""The rounding error of F(6, 3) in float32 for different points, in one dimension."""

from fractions import Fraction

import numpy as np

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)


def polynomial(roots):
    """The coefficients of 1, x, x^2, ... of the product of (x - root)."""
    coefficients = np.array([Fraction(1)])
    for root in roots:
        coefficients = np.append(Fraction(0), coefficients) - root * np.append(coefficients, Fraction(0))
    return coefficients


def toom_cook(points):
    """A^T (6, 8), G (8, 3), B^T (8, 8) of F(6, 3) for seven finite points, and infinity."""
    points = [Fraction(p) for p in points]
    A_T, G, B_T = (np.full(shape, Fraction(0)) for shape in [(6, 8), (8, 3), (8, 8)])
    for row, p in enumerate(points):
        others = [q for q in points if q != p]
        A_T[:, row] = [p**power for power in range(6)]
        G[row] = [p**power / np.prod([p - q for q in others]) for power in range(3)]
        B_T[row, :7] = polynomial(others)
    A_T[5, 7] = G[7, 2] = Fraction(1)
    B_T[7] = polynomial(points)
    return A_T, G, B_T


rng = np.random.default_rng(7)
d = rng.standard_normal((4000, 8)).astype(np.float32)  # inputs, 4000 tiles
g = rng.standard_normal((4000, 3)).astype(np.float32)  # a filter for each
exact = np.stack([(d[:, j : j + 3].astype(float) * g).sum(axis=1) for j in range(6)], axis=1)  # (4000, 6)

errors = {}
ours = (0, 1, -1, 2, -2, HALF, -HALF)
large, small = (0, 1, -1, 2, -2, 3, -3), (0, 1, -1, HALF, -HALF, QUARTER, -QUARTER)
upwards = (0, 1, 2, 3, 4, 5, 6)
for points in [ours, large, small, upwards]:
    A_T, G, B_T = toom_cook(points)
    in_fractions = A_T @ ((G @ [1, 2, 3]) * (B_T @ [1, 0, 2, 0, 0, 1, 0, 1]))
    assert list(in_fractions) == [7, 4, 2, 3, 2, 4]  # whatever the points: exact arithmetic gives the sum itself
    kernels = g @ G.T.astype(np.float32)
    result = ((d @ B_T.T.astype(np.float32)) * kernels) @ A_T.T.astype(np.float32)
    errors[points] = np.sqrt(((result - exact) ** 2).mean())
    print(*points, f": root mean square error {errors[points]:.1e}")

# 6^5 = 7776 stands in A^T of the last, and 3^5 = 243 in that of the second. Points below 1 make A^T small but G large:
# its denominators are differences of points. A number and its inverse, each with both signs, keep all three matrices
# small (Barabasz et al. 2020).
assert min(errors, key=errors.get) == ours
assert max(errors, key=errors.get) == upwards
assert min(errors[large], errors[small]) > 3 * errors[ours]
assert errors[upwards] > 1000 * errors[ours]
