"""What both refits share: normal equations in the norm of G, and conjugate gradients for the large ones.

Patches are in the order (j, i, c) here, horizontal offset first: then the vertical half of an SVD pair acts
on the trailing axes (i, c), the first CP factor on the trailing axis c, and contracting either with G is one
GEMM.

numpy.linalg throughout, never scipy.linalg: the wheels of the two carry an OpenBLAS each, whose idle threads
spin against the other's, and the loops take several times as long.
"""

import numpy as np

from lowrank_sr.lowrank.moments import add_ridge, check_moment, regularise

RIDGE = 1e-9
"""Of the normal equations, in units of their mean eigenvalue: enough to solve with two equal columns."""


def normal_equations(kernel, second_moment):
    """Return Wᵀ, G with its ridge, and G Wᵀ, patches in the order (j, i, c).

    (d² C, N), (d² C, d² C) and (d² C, N) float64 arrays.
    """
    check_moment(kernel, second_moment)
    N, C, d, _ = kernel.shape
    W = np.asarray(kernel, dtype=np.float64).transpose(3, 2, 1, 0).reshape(-1, N)
    G = regularise(second_moment).reshape(C, d, d, C, d, d).transpose(2, 1, 0, 5, 4, 3).reshape(len(W), -1)
    return W, G, G @ W


def solve(A, B):
    """Solve A X = B for a symmetric positive A that may be all but singular; A is overwritten."""
    return np.linalg.solve(add_ridge(A, RIDGE), B)


def kronecker_inverse(inverse, right):
    """Return X -> left⁻¹ X right⁻¹: the inverse of X -> left X right, given left⁻¹."""
    right = np.linalg.inv(add_ridge(right, RIDGE))
    return lambda X: inverse @ X @ right


def conjugate_gradients(normal, precondition, x, residual, steps):
    """Improve x towards normal(x) = b, given residual = b - normal(x).

    References
    ----------
    Golub and Van Loan, "Matrix Computations", 4th edition, algorithm 11.5.1.
    """
    z = precondition(residual)
    direction, rz = z, np.vdot(residual, z)
    for _ in range(steps):
        if rz <= 0:  # solved to the last bit
            break
        q = normal(direction)
        alpha = rz / np.vdot(direction, q)
        x = x + alpha * direction
        residual = residual - alpha * q
        z = precondition(residual)
        beta = np.vdot(residual, z) / rz
        direction, rz = z + beta * direction, beta * rz
    return x
