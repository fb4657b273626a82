"""CP decomposition of a convolution kernel by alternating least squares.

T[c, i, j, n] ≈ Σ_r a[c, r] y[i, r] x[j, r] o[n, r]:  a 1x1, a d x 1 depthwise, a 1 x d depthwise and a 1x1
convolution.

The tour's chapter :doc:`/auto_tour/09_cp_als` computes it in plain NumPy.

References
----------
Lebedev et al., "Speeding-up convolutional neural networks using fine-tuned CP-decomposition", 2014.
Kolda and Bader, "Tensor Decompositions and Applications", SIAM Review 51, 2009, section 3.4.
"""

import numpy as np

from lowrank_sr.errors import InputError

TERM_RIDGE = 1e-3
"""λ, the price of the terms' squared norms.

CP of a convolution kernel has no best approximation to converge to: many columns nearly coincide, and terms that all
but cancel grow without bound (Phan et al. 2020). With the ridge the sum of their squared norms stays below ‖T‖² / λ, a
thousand times the kernel's, for all factors zero would cost ‖T‖². On the other side λ shrinks even an exact fit, by a
thousandth: far less than the error at any rank below break-even.
"""

SWEEPS = 50
"""At most: where the fit creeps through a plateau, further sweeps change it by less than another start would."""

FIT_TOLERANCE = 1e-5
"""A sweep that changes the fit by less is the last: an error of some tenths is then known to four digits."""


def decompose(
    kernel: np.ndarray, rank: int, sweeps: int = SWEEPS, tolerance: float = FIT_TOLERANCE, seed: int = 0
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], list[float]]:
    """Return the CP factors of rank R of a kernel, and the fit after each sweep.

    minimise ‖T - [[a, y, x, o]]‖² + λ Σ_r w_r²,   w_r = ‖a_r‖ ‖y_r‖ ‖x_r‖ ‖o_r‖

    Each factor F in turn is the solution of its normal equations, with Γ the elementwise product of the other
    factors' Gram matrices:

        F (Γ + λ diag Γ) = T_(m) (Khatri-Rao product of the other factors)

    Γ_rr is the squared norm of the other factors' r-th columns together, so the ridge charges column f_r with
    λ Γ_rr ‖f_r‖² = λ w_r². That depends on the term alone, neither on the scale of the kernel nor on how the norm
    of a term is shared among its columns; λ I would depend on both.

    Scaling the r-th column of another factor by t scales f_r by 1/t and nothing else. So a, y and x are scaled to
    columns of norm 1 as soon as they are solved for and those norms are dropped; o comes last in a sweep and takes
    up the norm of every term, w_r = ‖o_r‖.

    Parameters
    ----------
    kernel : (N, C, d, d) array
    rank : int
        R, from 1.
    sweeps : int
        At most so many times through the four factors.
    tolerance : float
        Stop when a sweep changes the fit by less.
    seed : int
        Of the noise that fills the start's columns beyond those of the HOSVD.

    Returns
    -------
    factors : tuple of cp_in, cp_y, cp_x, cp_out
        (C, R), (d, R), (d, R), (N, R) float64 arrays, a, y, x and o; the columns of the first three have norm 1.
    fits : list of float
        1 - ‖T - T'‖ / ‖T‖ after each sweep.

    Raises
    ------
    InputError
        If the rank is below 1.

    References
    ----------
    Kolda and Bader 2009, figure 3.3. Phan et al., "Stable Low-rank Tensor Decomposition for Compression of
    Convolutional Neural Network", ECCV 2020. Phan et al., "Fast alternating LS algorithms for high order
    CANDECOMP/PARAFAC tensor factorizations", IEEE Trans. Signal Processing 61, 2013 (the products shared by
    modes).
    """
    if rank < 1:
        raise InputError(f"a CP decomposition has a rank of at least 1, not {rank}")
    T = np.ascontiguousarray(np.asarray(kernel, dtype=np.float64).transpose(1, 2, 3, 0))
    C, d, _, N = T.shape
    square = np.vdot(T, T) or 1.0  # anything positive for a kernel of zeros
    a, y, x, o = start(T, rank, np.random.default_rng(seed))
    fits = []

    for _ in range(sweeps):
        # T times o serves a, y and x; that times a serves y and x
        To = (T.reshape(-1, N) @ o).reshape(C, d, d, rank)
        oo = o.T @ o
        a = unit(_solve(oo * (y.T @ y) * (x.T @ x), np.einsum("cijr,ir,jr->cr", To, y, x)))
        Toa = np.einsum("cijr,cr->ijr", To, a)
        y = unit(_solve(oo * (a.T @ a) * (x.T @ x), np.einsum("ijr,jr->ir", Toa, x)))
        x = unit(_solve(oo * (a.T @ a) * (y.T @ y), np.einsum("ijr,ir->jr", Toa, y)))
        ayx = np.einsum("cr,ir,jr->cijr", a, y, x).reshape(-1, rank)
        Tayx = T.reshape(-1, N).T @ ayx
        gram = (a.T @ a) * (y.T @ y) * (x.T @ x)
        o = _solve(gram, Tayx)

        residual = square - 2 * np.vdot(Tayx, o) + np.vdot(gram, o.T @ o)
        fits.append(1 - np.sqrt(max(residual, 0) / square))
        if len(fits) > 1 and abs(fits[-1] - fits[-2]) < tolerance:
            break

    return (a, y, x, o), fits


def start(T: np.ndarray, rank: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return unit factors to start from: each mode's leading singular vectors (HOSVD), then noise."""
    factors = []
    for mode, size in enumerate(T.shape):
        unfolding = np.moveaxis(T, mode, 0).reshape(size, -1)
        leading = np.linalg.eigh(unfolding @ unfolding.T)[1][:, ::-1][:, :rank]
        noise = unit(rng.standard_normal((size, rank - leading.shape[1])))
        factors.append(np.hstack([leading, noise]))
    return factors


def unit(factor: np.ndarray) -> np.ndarray:
    """Return a factor with columns of norm 1."""
    return np.asarray(factor / np.maximum(np.linalg.norm(factor, axis=0), np.finfo(np.float64).tiny))


def _solve(gram: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Solve F (Γ + λ diag Γ) = product for F."""
    ridge = TERM_RIDGE * np.diag(gram) + np.finfo(np.float64).tiny  # so that a kernel of zeros can be solved too
    return np.asarray(np.linalg.solve(gram + np.diag(ridge), product.T).T)
