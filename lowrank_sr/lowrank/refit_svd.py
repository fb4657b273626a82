"""The SVD pair fitted to data: the pair whose outputs come closest to the layer's, over the patches it sees.

Letters: j, l = 1 .. d number the columns of a patch, and p_j, m = d C numbers in the order (i, c), is one of them;
k = 1 .. K is the channel between the halves, n = 1 .. N the output channel. With

    W_j (m, N)   the kernel's part for column j, so that the output is Σ_j W_jᵀ p_j
    V   (m, K)   the vertical half
    H_j (K, N)   the horizontal half's part for column j
    G_jl (m, m)  E[p_j p_lᵀ], the blocks of G

the pair gives Σ_j H_jᵀ Vᵀ p_j, and V and H minimise

    E‖Σ_j (W_j - V H_j)ᵀ p_j‖² = Σ_jl tr((W_j - V H_j)ᵀ G_jl (W_l - V H_l))

in alternation. Setting the derivative by either half to zero gives its normal equations:

    for H, V fixed:   Σ_l (Vᵀ G_jl V) H_l = Vᵀ (GW)_j  for every j,       (GW)_j = Σ_l G_jl W_l
    for V, H fixed:   Σ_jl G_jl V (H_l H_jᵀ) = Σ_j (GW)_j H_jᵀ

The first are d K equations, solved directly. The second are m K coupled ones, too many for that: conjugate gradients
take a few steps, preconditioned by what the left side would be if the columns of a patch were uncorrelated and alike.

Arrays: W, GW [j, (i c), n]; G [j, (i c), l, (i c)]; V [(i c), k]; H [j, k, n].

The tour's chapter :doc:`/auto_tour/11_fitting` computes it in plain NumPy.

References
----------
Kalle et al., "Distribution-Aware Tensor Decomposition for Compression of Convolutional Neural Networks",
arXiv 2511.04494, 2025 (alternating least squares in the norm of the covariance).
Van Loan, "The ubiquitous Kronecker product", J. Comput. Appl. Math. 123, 2000 (Kronecker preconditioners).
"""

import numpy as np

from lowrank_sr.lowrank import svd
from lowrank_sr.lowrank.data_norm import Operator, conjugate_gradients, kronecker_inverse, normal_equations, solve

VERTICAL_STEPS = 2
"""Of conjugate gradients for V in each round: H changes after them, so an exact V would be exact for an old H."""


def refit(kernel: np.ndarray, rank: int, second_moment: np.ndarray, rounds: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return the SVD pair of rank K that best reproduces a layer's output.

    argmin over V, H of E‖Σ_j (W_j - V H_j)ᵀ p_j‖²,   p_j the j-th column of the patch

    It starts from the pair that is optimal where G is a Kronecker product; see `error_curve`.

    Parameters
    ----------
    kernel : (N, C, d, d) array
    rank : int
        K, from 1 to min(C d, d N).
    second_moment : (C d², C d²) array
        G = E[p pᵀ] of patches in the order (c, i, j), or their covariance.
    rounds : int
        Times that both halves are improved. The error never grows, and the first rounds reduce it most.

    Returns
    -------
    vertical : (K, C, d) float64 array
    horizontal : (N, K, d) float64 array
        Term by term of the same norm as `vertical`.

    Raises
    ------
    InputError
        If the rank is outside 1 .. min(C d, d N), or the second moment is of another size.
    """
    N, C, d, _ = kernel.shape
    svd.check_rank(kernel, rank)
    W, G, GW = normal_equations(kernel, second_moment)
    W, GW = (array.reshape(d, d * C, N) for array in (W, GW))
    G = G.reshape(d, d * C, d, d * C)
    V, G_ic_inverse = _whitened_start(W, G, rank)

    for _ in range(rounds):
        H = _solve_horizontal(V, G, GW)
        normal, adjoint, precondition = _vertical_equations(H, G, G_ic_inverse)
        V = conjugate_gradients(normal, precondition, V, adjoint(GW) - normal(V), VERTICAL_STEPS)

    H = _solve_horizontal(V, G, GW)
    scale = _balance(V, H)  # (K,)
    vertical = (V * scale).reshape(d, C, rank).transpose(2, 1, 0)
    horizontal = H.transpose(2, 1, 0) / scale[:, None]
    return np.ascontiguousarray(vertical), np.ascontiguousarray(horizontal)


def error_curve(kernel: np.ndarray, second_moment: np.ndarray) -> np.ndarray:
    """Estimate the relative error that `refit` leaves, for every rank at once.

    √(Σ_{k > K} σ_k² / Σ_k σ_k²),   σ the singular values of the kernel whitened on both sides

    Let G be a Kronecker product, G_jl = (G_j)_jl G_ic, with Cholesky factors G_j = L_j L_jᵀ and G_ic = L_ic L_icᵀ.
    Then the error of a pair is a Frobenius norm:

        Σ_jl (G_j)_jl tr((W_j - V H_j)ᵀ G_ic (W_l - V H_l)) = Σ_s ‖W̃_s - Ṽ H̃_s‖²
        W̃_s = Σ_j (L_j)_js L_icᵀ W_j,   Ṽ = L_icᵀ V,   H̃_s = Σ_j (L_j)_js H_j

    Side by side, the W̃_s are one (m, d N) matrix W̃, and Ṽ H̃ can be any matrix of rank K, for L_ic and L_j are
    invertible. So by Eckart and Young the truncated SVD of W̃ is the best there is, Ṽ = U_K, and its squared error is
    Σ_{k > K} σ_k².

    The G of photographs is not a Kronecker product. G_ic and G_j are then its partial traces and the curve is an
    estimate: it measures errors in G_j ⊗ G_ic, and `refit` goes on from that optimum in the norm of G itself. CP is
    charged the same curve at equal FLOPs, so only its shape counts.

    Parameters
    ----------
    kernel : (N, C, d, d) array
    second_moment : (C d², C d²) array

    Returns
    -------
    errors : (min(C d, d N) + 1,) float64 array
        Indexed by K: 1 at K = 0, 0 at full rank; 0 throughout for a kernel of zeros.

    Raises
    ------
    InputError
        If the second moment is of another size.
    """
    N, C, d, _ = kernel.shape
    W, G, _ = normal_equations(kernel, second_moment)
    white, _ = _whiten(W.reshape(d, d * C, N), G.reshape(d, d * C, d, d * C))
    energy = np.linalg.svd(white, compute_uv=False) ** 2
    tails = np.append(np.cumsum(energy[::-1])[::-1], 0)  # [K]: Σ_{k > K} σ_k²
    errors: np.ndarray = np.sqrt(tails / (tails[0] or 1.0))
    return errors


def _whiten(W: np.ndarray, G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return W̃, (m, d N), and L_ic; G_ic = Σ_j G_jj and (G_j)_jl = tr G_jl / tr G_ic are the partial traces of G."""
    G_ic = np.einsum("jajb->ab", G)
    G_j = np.einsum("jala->jl", G) / np.trace(G_ic)
    L_ic = np.linalg.cholesky(G_ic)
    L_j = np.linalg.cholesky(G_j)
    white = np.einsum("ba,jbn,js->asn", L_ic, W, L_j, optimize=True)
    return white.reshape(len(L_ic), -1), L_ic


def _whitened_start(W: np.ndarray, G: np.ndarray, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Return V = L_ic⁻ᵀ U_K, of the pair that is optimal in G_j ⊗ G_ic, and G_ic⁻¹ = L_ic⁻ᵀ L_ic⁻¹."""
    white, L_ic = _whiten(W, G)
    U = np.linalg.svd(white, full_matrices=False)[0]
    L_inverse = np.linalg.inv(L_ic)
    return L_inverse.T @ U[:, :K], L_inverse.T @ L_inverse


def _times_vertical(G: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return G_jl V for all j and l: [j, (i c), (l k)]."""
    d, m, _, _ = G.shape
    products: np.ndarray = G.reshape(-1, m) @ V  # (j (i c) l) k
    return products.reshape(d, m, -1)


def _solve_horizontal(V: np.ndarray, G: np.ndarray, GW: np.ndarray) -> np.ndarray:
    """Return the H that is optimal for this V:  Σ_l (Vᵀ G_jl V) H_l = Vᵀ (GW)_j."""
    d, _, N = GW.shape
    K = V.shape[1]
    A = (V.T @ _times_vertical(G, V)).reshape(d * K, d * K)  # (j k) (l k)
    B = (V.T @ GW).reshape(d * K, N)  # (j k) n
    return solve(A, B).reshape(d, K, N)


def _vertical_equations(H: np.ndarray, G: np.ndarray, G_ic_inverse: np.ndarray) -> tuple[Operator, Operator, Operator]:
    """Return what conjugate gradients need for V: both sides of its normal equations, and a preconditioner.

    normal        X -> Σ_jl G_jl X (H_l H_jᵀ)
    adjoint       Y -> Σ_j Y_j H_jᵀ
    precondition  the inverse of X -> G_ic X (Σ_j H_j H_jᵀ), which `normal` is but for a factor where
                  G_jl = 0 for j ≠ l and all G_jj are equal
    """
    d, K, _ = H.shape
    HH = np.einsum("lkn,jqn->jlkq", H, H, optimize=True)  # [j, l]: H_l H_jᵀ

    def normal(X: np.ndarray) -> np.ndarray:
        products = _times_vertical(G, X) @ HH.reshape(d, d * K, K)  # [j]: Σ_l G_jl X (H_l H_jᵀ)
        return np.asarray(products.sum(axis=0))

    def adjoint(Y: np.ndarray) -> np.ndarray:
        return np.asarray((Y @ H.transpose(0, 2, 1)).sum(axis=0))

    return normal, adjoint, kronecker_inverse(G_ic_inverse, np.einsum("jjkq->kq", HH))


def _balance(V: np.ndarray, H: np.ndarray) -> np.ndarray:
    """Return the factors of V's columns, and divisors of H's, that give both the same norm."""
    tiny = np.finfo(np.float64).tiny  # of terms that are zero
    scale: np.ndarray = np.sqrt(np.maximum(np.linalg.norm(H, axis=(0, 2)), tiny) / np.linalg.norm(V, axis=0))
    return scale
