"""CP decomposition of a convolution kernel by alternating least squares.

T[c, i, j, n] ≈ Σ_r a[c, r] y[i, r] x[j, r] o[n, r]:  a 1x1, a d x 1 depthwise, a 1 x d depthwise and a 1x1
convolution.

References
----------
Lebedev et al., "Speeding-up convolutional neural networks using fine-tuned CP-decomposition", 2014.
Kolda and Bader, "Tensor Decompositions and Applications", SIAM Review 51, 2009, section 3.4.
"""

import numpy as np

from lowrank_sr.errors import InputError

RIDGE = 1e-3
"""λ, a fraction of the diagonal of Γ: the same at every scale of the kernel and of the factors' columns.

When CP meets a convolution kernel many columns nearly coincide, and rank-one terms that all but cancel grow
without bound (Phan et al. 2020). With this ridge every step of ALS lowers ‖T - T'‖² + λ Σ_r w_r², which keeps
the norms w_r of the terms down. It also leads ALS around the plateaus where such terms build up: after 50
sweeps real kernels are at a lower error than with none. An exact fit it shrinks by λ.
"""


def decompose(kernel, rank, sweeps=50, tolerance=1e-5, seed=0):
    """Return the CP factors of rank R of a kernel, and the fit after each sweep.

    minimise ‖T - [[a, y, x, o]]‖² + λ Σ_r w_r²,   w_r = ‖a_r‖ ‖y_r‖ ‖x_r‖ ‖o_r‖

    Each factor in turn is the solution of its normal equations, with Γ the elementwise product of the other
    factors' Gram matrices:  F (Γ + λ diag Γ) = T_(m) (Khatri-Rao product of the other factors).

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
        (C, R), (d, R), (d, R), (N, R) float64 arrays; the columns of the first three have norm 1.
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


def start(T, rank, rng):
    """Return unit factors to start from: each mode's leading singular vectors (HOSVD), then noise."""
    factors = []
    for mode, size in enumerate(T.shape):
        unfolding = np.moveaxis(T, mode, 0).reshape(size, -1)
        leading = np.linalg.eigh(unfolding @ unfolding.T)[1][:, ::-1][:, :rank]
        noise = unit(rng.standard_normal((size, rank - leading.shape[1])))
        factors.append(np.hstack([leading, noise]))
    return factors


def reconstruct(cp_in, cp_y, cp_x, cp_out):
    """Multiply CP factors out to the dense kernel that they stand for.

    W'[n, c, i, j] = Σ_r out[n, r] in[c, r] y[i, r] x[j, r]

    Parameters
    ----------
    cp_in, cp_y, cp_x, cp_out : (C, R), (d, R), (d, R), (N, R) arrays

    Returns
    -------
    kernel : (N, C, d, d) array
    """
    return np.einsum("cr,ir,jr,nr->ncij", cp_in, cp_y, cp_x, cp_out, optimize=True)


def unit(factor):
    """Return a factor with columns of norm 1."""
    return factor / np.maximum(np.linalg.norm(factor, axis=0), np.finfo(np.float64).tiny)


def _solve(gram, product):
    """Solve F (Γ + λ diag Γ) = product for F."""
    ridge = RIDGE * np.diag(gram) + np.finfo(np.float64).tiny  # so that a kernel of zeros can be solved too
    return np.linalg.solve(gram + np.diag(ridge), product.T).T
