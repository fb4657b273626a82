"""The norm that judges a kernel by its output, E‖(W - W') p‖² over the patches p, and the equations solved in it.

‖E‖²_G = Σ_n e_nᵀ G e_n,   G = E[p pᵀ],   e_n the n-th row of E = W - W' as an (N, C d²) matrix

Two orders of the C d² elements of a patch occur. What callers pass is in the order (c, i, j) of the kernel, so that
the layer's output is W.reshape(N, C d²) @ p. `normal_equations` turns it to (j, i, c), horizontal offset first: then
the vertical half of an SVD pair acts on the trailing axes (i, c), the first CP factor on the trailing axis c, and
contracting either with G is one GEMM.
"""

from collections.abc import Callable

import numpy as np

from lowrank_sr.errors import InputError

MOMENT_RIDGE = 1e-3
"""Added to a second moment, in units of its mean eigenvalue, before anything is solved with it.

Neighbouring pixels are alike, so the eigenvalues of G span many orders of magnitude, and a small calibration set has
next to no energy in the last of them: there the data says nothing, and the ridge asks to stay near the kernel. Much
larger, and the norm becomes that of the kernel alone; much smaller, and factors are fitted to the sampling noise of
directions that hold less than a thousandth of the mean energy. `target_kernel` may be given a larger one, where a layer
is to be fitted to outputs that its inputs do not quite determine.
"""

SOLVE_RIDGE = 1e-9
"""Added to the matrix of a least-squares step, in units of its mean eigenvalue.

It lets a step be solved when two columns coincide. It lies halfway, in digits, between the rounding of float64 (1e-16)
and the errors of a fit that matter (1e-3), so it is seen by neither.
"""

Operator = Callable[[np.ndarray], np.ndarray]


def relative_error(kernel: np.ndarray, approximation: np.ndarray, second_moment: np.ndarray) -> float:
    """Return the error of a layer's output, relative to the output.

    √(E‖(W - W') p‖² / E‖W p‖²) = ‖W - W'‖_G / ‖W‖_G

    Parameters
    ----------
    kernel, approximation : (N, C, d, d) array
        W and W'.
    second_moment : (C d², C d²) array
        G = E[p pᵀ], or the covariance of the patches where the bias takes up the mean of the error.

    Returns
    -------
    error : float
        0 where the two outputs are equal, those of a kernel of zeros included.

    References
    ----------
    Kalle et al., "Distribution-Aware Tensor Decomposition for Compression of Convolutional Neural Networks",
    arXiv 2511.04494, 2025.
    """
    error = _energy(kernel - approximation, second_moment)
    return float(np.sqrt(error / _energy(kernel, second_moment))) if error > 0 else 0.0


def regularise(second_moment: np.ndarray) -> np.ndarray:
    """Return G + λ I, with λ = MOMENT_RIDGE tr(G) / (C d²).

    Parameters
    ----------
    second_moment : (C d², C d²) array

    Returns
    -------
    regularised : (C d², C d²) float64 array
    """
    return add_ridge(np.array(second_moment, dtype=np.float64), MOMENT_RIDGE)


def target_kernel(
    kernel: np.ndarray, second_moment: np.ndarray, cross_moment: np.ndarray, ridge: float = MOMENT_RIDGE
) -> np.ndarray:
    """Return the dense kernel that comes closest to given outputs on given inputs.

    argmin over W' of E‖t - W' p‖² + λ ‖W' - W‖² = (B + λ W)(G + λ I)⁻¹,   λ = ridge tr(G) / (C d²)

    In a network compressed from its first layer to its last, p are the patches that the compressed network
    produces and t the outputs of the dense one. Fitting factors to this kernel in the norm of G is fitting
    them to t.

    Parameters
    ----------
    kernel : (N, C, d, d) array
        W, near which the result stays where the data says nothing.
    second_moment : (C d², C d²) array
        G = E[p pᵀ].
    cross_moment : (N, C d²) array
        B = E[t pᵀ], with t without the bias.
    ridge : float
        In units of the mean eigenvalue of G.

    Returns
    -------
    target : (N, C, d, d) float64 array

    Raises
    ------
    InputError
        If the moments do not have the shapes above.

    References
    ----------
    Zhang et al., "Accelerating Very Deep Convolutional Networks for Classification and Detection", 2015,
    section 3.3 (asymmetric reconstruction).
    """
    check_moment(kernel, second_moment)
    W = np.asarray(kernel, dtype=np.float64).reshape(len(kernel), -1)
    if np.shape(cross_moment) != W.shape:
        raise InputError(f"the cross moment of this kernel is a {W.shape} array, not {np.shape(cross_moment)}")
    G = add_ridge(np.array(second_moment, dtype=np.float64), ridge)
    λ = ridge * np.trace(second_moment) / len(second_moment)
    return np.linalg.solve(G, (cross_moment + λ * W).T).T.reshape(kernel.shape)


def normal_equations(kernel: np.ndarray, second_moment: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Wᵀ, G with its ridge, and G Wᵀ, patches in the order (j, i, c).

    Parameters
    ----------
    kernel : (N, C, d, d) array
    second_moment : (C d², C d²) array
        Patches in the order (c, i, j).

    Returns
    -------
    Wt, G, GWt : (d² C, N), (d² C, d² C) and (d² C, N) float64 arrays

    Raises
    ------
    InputError
        If the second moment is of another size.
    """
    check_moment(kernel, second_moment)
    N, C, d, _ = kernel.shape
    Wt = np.asarray(kernel, dtype=np.float64).transpose(3, 2, 1, 0).reshape(-1, N)
    G = regularise(second_moment).reshape(C, d, d, C, d, d).transpose(2, 1, 0, 5, 4, 3).reshape(len(Wt), -1)
    return Wt, G, G @ Wt


def solve(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Solve A X = B for a symmetric positive A that may be all but singular; A is overwritten."""
    return np.linalg.solve(add_ridge(A, SOLVE_RIDGE), B)


def kronecker_inverse(left_inverse: np.ndarray, right: np.ndarray) -> Operator:
    """Return X -> left⁻¹ X right⁻¹, the inverse of X -> left X right; `right` is overwritten."""
    right_inverse = np.linalg.inv(add_ridge(right, SOLVE_RIDGE))
    return lambda X: left_inverse @ X @ right_inverse


def conjugate_gradients(
    normal: Operator, precondition: Operator, x: np.ndarray, residual: np.ndarray, steps: int
) -> np.ndarray:
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


def check_moment(kernel: np.ndarray, second_moment: np.ndarray) -> None:
    """Raise InputError unless a second moment has the size of this kernel's patches."""
    patch = kernel[0].size
    if np.shape(second_moment) != (patch, patch):
        raise InputError(
            f"the second moment of this kernel's patches is {patch} x {patch}, not {np.shape(second_moment)}"
        )


def add_ridge(matrix: np.ndarray, ridge: float) -> np.ndarray:
    """Add to a symmetric positive matrix, in place, a ridge given in units of its mean eigenvalue."""
    tiny = np.finfo(np.float64).tiny  # so that a matrix of zeros can be solved with too
    matrix[np.diag_indices_from(matrix)] += ridge * np.trace(matrix) / len(matrix) + tiny
    return matrix


def _energy(kernel: np.ndarray, second_moment: np.ndarray) -> float:
    """E‖W p‖² = tr(W G Wᵀ), which rounding may make less than 0 by a little."""
    W = kernel.reshape(len(kernel), -1)
    return float(np.vdot(W @ second_moment, W))
