"""CP factors fitted to data: minimise E‖W p - Σ_r o_r (a_r ∘ y_r ∘ x_r)ᵀ p‖² over real patches p.

Alternating least squares in the norm of G = E[p pᵀ]. Once G is contracted with a, the three other factors are
small linear solves. Given them, a is linear least squares too, but large: a few steps of conjugate gradients,
preconditioned by the solution for a Kronecker G.

In the comments a is c r, y is i r, x is j r, o is n r; yx, the spatial part of the terms, is (j i) r.

References
----------
Kalle et al., "Distribution-Aware Tensor Decomposition for Compression of Convolutional Neural Networks",
arXiv 2511.04494, 2025 (CP-ALS-Sigma).
Van Loan, "The ubiquitous Kronecker product", J. Comput. Appl. Math. 123, 2000 (Kronecker preconditioners).
"""

import numpy as np

from lowrank_sr.lowrank import cp_als
from lowrank_sr.lowrank.cp_als import unit
from lowrank_sr.lowrank.normal_equations import conjugate_gradients, kronecker_inverse, normal_equations, solve


def refit(kernel, rank, second_moment, rounds=8, seed=0):
    """Return the CP factors of rank R that best reproduce a layer's output.

    argmin over a, y, x, o of E‖W p - Σ_r o_r (a_r ∘ y_r ∘ x_r)ᵀ p‖²

    The start is the CP of the kernel itself. (That of the whitened kernel, the counterpart of the start of
    `refit_svd.refit`, leads into a poorer local minimum.)

    Parameters
    ----------
    kernel : (N, C, d, d) array
    rank : int
        R, from 1.
    second_moment : (C d², C d²) array
        G = E[p pᵀ] of patches in the order (c, i, j), or their covariance.
    rounds : int
        Times that all four factors are improved.
    seed : int
        Of the noise in the start, as in `cp_als.decompose`.

    Returns
    -------
    cp_in, cp_y, cp_x, cp_out : (C, R), (d, R), (d, R), (N, R) float64 arrays

    Raises
    ------
    InputError
        If the rank is below 1, or the second moment is of another size.
    """
    C, d = kernel.shape[1:3]
    _, G, GW = normal_equations(kernel, second_moment)
    (a, y, x, _), _ = cp_als.decompose(kernel, rank, seed=seed)
    G_j, G_i, G_c = _marginals(G.reshape(d, d, C, d, d, C))
    inverse = np.linalg.inv(G_c)

    for _ in range(rounds):
        core, rhs = _contract_input(a, G, GW, d)
        o = _solve_out(y, x, core, rhs)
        y, x = _solve_spatial(y, x, o, core, rhs)
        o = _solve_out(y, x, core, rhs)

        precondition = kronecker_inverse(inverse, (o.T @ o) * (y.T @ G_i @ y) * (x.T @ G_j @ x))
        normal, adjoint = _input_equations(y, x, o, G)
        a = unit(conjugate_gradients(normal, precondition, a, adjoint(GW) - normal(a), steps=4))

    return a, y, x, _solve_out(y, x, *_contract_input(a, G, GW, d))


def _marginals(G):
    """Return partial traces of G, scaled so that G_j ⊗ G_i ⊗ G_c ≈ G."""
    G_c = np.einsum("jicjia->ca", G)
    trace = np.trace(G_c)
    return np.einsum("jiclic->jl", G) / trace, np.einsum("jicjkc->ik", G) / trace, G_c


def _contract_input(a, G, GW, d):
    """Return aᵀ G a, (j i r) (j i r), and aᵀ G Wᵀ, (j i r) n: all that the other factors need of G."""
    C, R = a.shape
    half = (G.reshape(-1, C) @ a).reshape(d * d, C, d * d * R)
    return (a.T @ half).reshape(d * d * R, -1), (a.T @ GW.reshape(d * d, C, -1)).reshape(d * d * R, -1)


def _solve_out(y, x, core, rhs):
    """Return the output factor that is optimal for these inputs."""
    d, R = y.shape
    yx = (x[:, None] * y).reshape(-1, 1)
    A = (yx * core * yx.T).reshape(d * d, R, d * d, R).sum(axis=(0, 2))
    B = (yx * rhs).reshape(d * d, R, -1).sum(axis=0)
    return solve(A, B).T


def _solve_spatial(y, x, o, core, rhs):
    """Return y, optimal for x, then x, optimal for that y."""
    d, R = y.shape
    core = core.reshape(d, d, R, d, d, R) * (o.T @ o)[:, None, None]  # j i r j i r
    rhs = np.einsum("jirn,nr->jir", rhs.reshape(d, d, R, -1), o)

    A = np.einsum("jr,jirlks,ls->irks", x, core, x, optimize=True).reshape(d * R, -1)
    b = np.einsum("jr,jir->ir", x, rhs).ravel()
    y = unit(solve(A, b).reshape(d, R))

    A = np.einsum("ir,jirlks,ks->jrls", y, core, y, optimize=True).reshape(d * R, -1)
    b = np.einsum("ir,jir->jr", y, rhs).ravel()
    x = unit(solve(A, b).reshape(d, R))
    return y, x


def _input_equations(y, x, o, G):
    """Return the normal operator of the input factor, X -> Aᵀ G A(X), and the adjoint, Y -> Aᵀ Y."""
    R = y.shape[1]
    yx = (x[:, None] * y).reshape(-1, 1, R)

    def adjoint(Y):
        return (yx * (Y @ o).reshape(len(yx), -1, R)).sum(axis=0)

    def normal(X):
        return adjoint(G @ ((yx * X).reshape(-1, R) @ o.T))

    return normal, adjoint
