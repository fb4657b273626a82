"""The rounding error of F(4, 3) in float32 for different points, in one dimension."""

from fractions import Fraction

import numpy as np

HALF = Fraction(1, 2)


def polynomial(roots):
    """The coefficients of 1, x, x^2, ... of the product of (x - root)."""
    coefficients = np.array([Fraction(1)])
    for root in roots:
        coefficients = np.append(Fraction(0), coefficients) - root * np.append(coefficients, Fraction(0))
    return coefficients


def toom_cook(points):
    """A^T (4, 6), G (6, 3), B^T (6, 6) of F(4, 3) for five finite points, and infinity."""
    points = [Fraction(p) for p in points]
    A_T, G, B_T = (np.full(shape, Fraction(0)) for shape in [(4, 6), (6, 3), (6, 6)])
    for row, p in enumerate(points):
        others = [q for q in points if q != p]
        A_T[:, row] = [p**power for power in range(4)]
        G[row] = [p**power / np.prod([p - q for q in others]) for power in range(3)]
        B_T[row, :5] = polynomial(others)
    A_T[3, 5] = G[5, 2] = Fraction(1)
    B_T[5] = polynomial(points)
    return A_T, G, B_T


rng = np.random.default_rng(7)
d = rng.standard_normal((4000, 6)).astype(np.float32)  # inputs, 4000 tiles
g = rng.standard_normal((4000, 3)).astype(np.float32)  # a filter for each
exact = np.stack([(d[:, j : j + 3].astype(float) * g).sum(axis=1) for j in range(4)], axis=1)  # (4000, 4)

errors = {}
for points in [(0, 1, -1, 2, -2), (0, 1, -1, HALF, -HALF), (0, 1, -1, HALF, -2), (0, 1, 2, 3, 4)]:
    A_T, G, B_T = toom_cook(points)
    in_fractions = A_T @ ((G @ [1, 2, 3]) * (B_T @ [1, 0, 2, 0, 0, 1]))
    assert list(in_fractions) == [7, 4, 2, 3]  # whatever the points: exact arithmetic gives the sum itself
    kernels = (g.astype(float) @ G.T.astype(float)).astype(np.float32)
    result = ((d @ B_T.T.astype(np.float32)) * kernels) @ A_T.T.astype(np.float32)
    errors[points] = np.sqrt(((result - exact) ** 2).mean())
    print(*points, f": root mean square error {errors[points]:.1e}")

# 4^3 = 64 stands in A^T of the last, and powers of 2 in the first. With 1/2 and -2, a number and its inverse of
# opposite sign, neither A^T nor B^T gets as large (Barabasz et al. 2020).
assert max(errors, key=errors.get) == (0, 1, 2, 3, 4)
assert min(errors, key=errors.get) == (0, 1, -1, HALF, -2)
assert errors[0, 1, 2, 3, 4] > 3 * errors[0, 1, -1, 2, -2]
