"""The SVD pair fitted to data: V and H that minimise E‖W p - Σ_j H_j Vᵀ p_j‖² over real patches p.

Alternating least squares in the norm of G = E[p pᵀ]. Given V, H is a small linear solve. Given H, V is linear
least squares too, but large: a few steps of conjugate gradients, preconditioned by the solution for a
Kronecker G.

In the comments V is (i c) k, H is j k n, and p_j is one column of the patch, (i c).

References
----------
Kalle et al., "Distribution-Aware Tensor Decomposition for Compression of Convolutional Neural Networks",
arXiv 2511.04494, 2025 (alternating least squares in the norm of the covariance).
Van Loan, "The ubiquitous Kronecker product", J. Comput. Appl. Math. 123, 2000 (Kronecker preconditioners).
"""

import numpy as np

from lowrank_sr.lowrank import svd
from lowrank_sr.lowrank.normal_equations import conjugate_gradients, kronecker_inverse, normal_equations, solve


def refit(kernel, rank, second_moment, rounds=8):
    """Return the SVD pair of rank K that best reproduces a layer's output.

    argmin over V, H of E‖W p - Σ_j H_j Vᵀ p_j‖²,   p_j the j-th column of the patch

    The start is optimal for a Kronecker G = G_ic ⊗ G_j: the truncated SVD of the kernel whitened on both
    sides.

    Parameters
    ----------
    kernel : (N, C, d, d) array
    rank : int
        K, from 1 to min(C d, d N).
    second_moment : (C d², C d²) array
        G = E[p pᵀ] of patches in the order (c, i, j), or their covariance.
    rounds : int
        Times that both halves are improved; each lowers the error, the first three most.

    Returns
    -------
    vertical : (K, C, d) float64 array
    horizontal : (N, K, d) float64 array

    Raises
    ------
    InputError
        If the rank is outside 1 .. min(C d, d N), or the second moment is of another size.
    """
    N, C, d, _ = kernel.shape
    svd.check_rank(kernel, rank)
    W, G, GW = normal_equations(kernel, second_moment)
    G = G.reshape(d, d * C, d, d * C)  # j (ic) j (ic)
    GW = GW.reshape(d, d * C, N)
    inverse, V = _whitened_start(W.reshape(d, d * C, N), G, rank)

    for _ in range(rounds):
        GV = _times_vertical(G, V)
        H = _solve_horizontal(V, GV, GW)
        normal, adjoint, precondition = _vertical_equations(H, G, inverse)
        V = conjugate_gradients(normal, precondition, V, adjoint(GW) - normal(V), steps=2)

    H = _solve_horizontal(V, _times_vertical(G, V), GW)
    share = _balance(V, H)
    vertical = (V * share).reshape(d, C, rank).transpose(2, 1, 0)
    horizontal = H.transpose(2, 1, 0) / share[:, None]
    return np.ascontiguousarray(vertical), np.ascontiguousarray(horizontal)


def error_curve(kernel, second_moment):
    """Estimate the relative error that `refit` leaves, for every rank at once.

    √(Σ_{k > K} σ_k² / Σ_k σ_k²), with σ the singular values of the kernel whitened on both sides: the error,
    were G a Kronecker product. On five layers of the bundled network, at theoretical speed-ups of 2 and 4,
    `refit` leaves 0.4 to 1.3 of it, within a third the same fraction at both; CP at the same FLOPs leaves 0.6
    to 0.9 of what the pair does. So the curve serves both methods where only its shape matters.

    Parameters
    ----------
    kernel : (N, C, d, d) array
    second_moment : (C d², C d²) array

    Returns
    -------
    errors : (min(C d, d N) + 1,) float64 array
        Indexed by K: 1 at K = 0, 0 at full rank.
    """
    N, C, d, _ = kernel.shape
    W, G, _ = normal_equations(kernel, second_moment)
    white, _ = _whiten(W.reshape(d, d * C, N), G.reshape(d, d * C, d, d * C))
    energy = np.linalg.svd(white, compute_uv=False) ** 2
    tail = np.append(np.cumsum(energy[::-1])[::-1], 0)
    return np.sqrt(tail / max(tail[0], np.finfo(np.float64).tiny))  # of a kernel of zeros


def _whiten(W, G):
    """Return the matrix L_icᵀ W L_j, whose norm is that of W in G_j ⊗ G_ic ≈ G, and L_ic.

    G_ic = Σ_j G_jj and G_j are partial traces, L_ic and L_j their Cholesky factors.
    """
    G_ic = np.einsum("jajb->ab", G)
    G_j = np.einsum("jala->jl", G) / np.trace(G_ic)
    L_ic, L_j = np.linalg.cholesky(G_ic), np.linalg.cholesky(G_j)
    white = np.einsum("ba,jbn,jl->aln", L_ic, W, L_j, optimize=True)
    return white.reshape(len(L_ic), -1), L_ic


def _whitened_start(W, G, K):
    """Return G_ic⁻¹ and the V of the pair that is optimal for G_j ⊗ G_ic."""
    white, L = _whiten(W, G)
    U = np.linalg.svd(white, full_matrices=False)[0]
    inverse = np.linalg.inv(L)
    return inverse.T @ inverse, inverse.T @ U[:, :K]


def _times_vertical(G, V):
    """Return G V for every column of the patch: j (ic) (jk)."""
    d, m, _, _ = G.shape
    return (G.reshape(-1, m) @ V).reshape(d, m, -1)


def _solve_horizontal(V, GV, GW):
    """Return the H that is optimal for this V."""
    d, _, N = GW.shape
    A = (V.T @ GV).reshape(GV.shape[2], -1)
    return solve(A, (V.T @ GW).reshape(-1, N)).reshape(d, -1, N)


def _vertical_equations(H, G, inverse):
    """Return what conjugate gradients need for V: normal operator, adjoint and preconditioner.

    X -> Σ_jl G_jl X H_l H_jᵀ;  Y -> Σ_j Y_j H_jᵀ;  and the inverse of the former, were the patch's columns
    independent and alike.
    """
    HH = np.einsum("lmn,jkn->jlmk", H, H, optimize=True)
    d, K, _ = H.shape

    def normal(X):
        return (_times_vertical(G, X) @ HH.reshape(d, d * K, K)).sum(axis=0)

    def adjoint(Y):
        return (Y @ H.transpose(0, 2, 1)).sum(axis=0)

    return normal, adjoint, kronecker_inverse(inverse, np.einsum("jjmk->mk", HH))


def _balance(V, H):
    """Return the factors of V's columns, and divisors of H's, that give both the same norm."""
    tiny = np.finfo(np.float64).tiny  # of terms that are zero
    return np.sqrt(np.maximum(np.linalg.norm(H, axis=(0, 2)), tiny) / np.linalg.norm(V, axis=0))
