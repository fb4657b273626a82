"""CP factors fitted to data: those whose outputs come closest to the layer's, over the patches it sees.

Letters: j, i = 1 .. d is the place in a patch, horizontal and vertical, c = 1 .. C the input channel, n = 1 .. N the
output channel, r, s = 1 .. R the term; l, k, e are j, i, c a second time. The factors a [c, r], y [i, r], x [j, r]
and o [n, r] minimise

    E Σ_n (Σ_jic (W[jic, n] - Σ_r x[j, r] y[i, r] a[c, r] o[n, r]) p[jic])²

by alternating least squares in the norm of G[jic, lke] = E[p[jic] p[lke]]. With a fixed, all that the other three
need of G is contracted with a once,

    core[jir, lks] = Σ_ce a[c, r] G[jic, lke] a[e, s],        rhs[jir, n] = Σ_c a[c, r] (GW)[jic, n]

and the normal equations of each are small:

    o   Σ_s A[r, s] o[n, s] = Σ_ji x[j, r] y[i, r] rhs[jir, n]
        A[r, s] = Σ_jilk x[j, r] y[i, r] core[jir, lks] x[l, s] y[k, s]
    y   Σ_ks A[ir, ks] y[k, s] = Σ_jn x[j, r] o[n, r] rhs[jir, n]
        A[ir, ks] = Σ_jl x[j, r] x[l, s] (oᵀo)[r, s] core[jir, lks]
    x   as y, with i and k summed over in place of j and l, y for x

Those of a have C R unknowns,

    a   Σ_jin x[j, r] y[i, r] o[n, r] (G Z)[jic, n] = Σ_jin x[j, r] y[i, r] o[n, r] (GW)[jic, n]
        Z[jic, n] = Σ_s x[j, s] y[i, s] a[c, s] o[n, s]

and get a few steps of conjugate gradients, preconditioned by the solution for G = G_j ⊗ G_i ⊗ G_c, where the left side
is G_c a ((oᵀo) ∘ (yᵀ G_i y) ∘ (xᵀ G_j x)), ∘ element by element.

The columns of a, y and x are scaled to norm 1: a term is the same when one factor is doubled and another halved. Their
norms need not be kept, for o is solved for after every change of the others and takes up the scale of each term.

References
----------
Kalle et al., "Distribution-Aware Tensor Decomposition for Compression of Convolutional Neural Networks",
arXiv 2511.04494, 2025 (CP-ALS-Sigma).
Van Loan, "The ubiquitous Kronecker product", J. Comput. Appl. Math. 123, 2000 (Kronecker preconditioners).
"""

import numpy as np

from lowrank_sr.lowrank.cp_als import unit
from lowrank_sr.lowrank.data_norm import Operator, conjugate_gradients, kronecker_inverse, normal_equations, solve

INPUT_STEPS = 4
"""Of conjugate gradients for a in each round: y, x and o change after them, so an exact a would be exact for old ones.

More than the SVD pair takes for V: the columns of a nearly coincide, so its equations are worse conditioned.
"""


Factors = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""cp_in, cp_y, cp_x and cp_out."""


def refit(kernel: np.ndarray, start: Factors, second_moment: np.ndarray, rounds: int = 8) -> Factors:
    """Return the CP factors of rank R that best reproduce a layer's output.

    argmin over a, y, x, o of E Σ_n (Σ_jic (W[jic, n] - Σ_r x[j, r] y[i, r] a[c, r] o[n, r]) p[jic])²

    Parameters
    ----------
    kernel : (N, C, d, d) array
    start : tuple of (C, R), (d, R), (d, R), (N, R) arrays
        The factors to begin with: those of `cp_als.decompose`, the CP of the kernel itself.
    second_moment : (C d², C d²) array
        G = E[p pᵀ] of patches in the order (c, i, j), or their covariance.
    rounds : int
        Times that all four factors are improved. The error never grows, and the first rounds reduce it most.

    Returns
    -------
    cp_in, cp_y, cp_x, cp_out : (C, R), (d, R), (d, R), (N, R) float64 arrays
        a, y, x and o; the columns of the first three have norm 1.

    Raises
    ------
    InputError
        If the second moment is of another size.
    """
    C, d = kernel.shape[1:3]
    _, G, GW = normal_equations(kernel, second_moment)
    a, y, x, _ = start
    G_j, G_i, G_c = _partial_traces(G.reshape(d, d, C, d, d, C))
    G_c_inverse = np.linalg.inv(G_c)

    for _ in range(rounds):
        core, rhs = _contract_input(a, G, GW, d)
        o = _solve_output(y, x, core, rhs)
        y, x = _solve_spatial(y, x, o, core, rhs)
        o = _solve_output(y, x, core, rhs)

        precondition = kronecker_inverse(G_c_inverse, (o.T @ o) * (y.T @ G_i @ y) * (x.T @ G_j @ x))
        normal, adjoint = _input_equations(y, x, o, G)
        a = unit(conjugate_gradients(normal, precondition, a, adjoint(GW) - normal(a), INPUT_STEPS))

    return a, y, x, _solve_output(y, x, *_contract_input(a, G, GW, d))


def _partial_traces(G: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return partial traces of G, scaled so that G_j ⊗ G_i ⊗ G_c ≈ G."""
    G_c = np.einsum("jicjie->ce", G)
    trace = np.trace(G_c)
    return np.einsum("jiclic->jl", G) / trace, np.einsum("jicjkc->ik", G) / trace, G_c


def _contract_input(a: np.ndarray, G: np.ndarray, GW: np.ndarray, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return core, (j i r) (l k s), and rhs, (j i r) n: all that the other factors need of G."""
    C, R = a.shape
    half = (G.reshape(-1, C) @ a).reshape(d * d, C, d * d * R)  # (j i) c (l k s)
    return (a.T @ half).reshape(d * d * R, -1), (a.T @ GW.reshape(d * d, C, -1)).reshape(d * d * R, -1)


def _solve_output(y: np.ndarray, x: np.ndarray, core: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Return the o that is optimal for these a, y and x."""
    d, R = y.shape
    xy = (x[:, None] * y).reshape(d * d, R)  # (j i) r
    A = np.einsum("pr,prqs,qs->rs", xy, core.reshape(d * d, R, d * d, R), xy)
    B = np.einsum("pr,prn->rn", xy, rhs.reshape(d * d, R, -1))
    return solve(A, B).T


def _solve_spatial(
    y: np.ndarray, x: np.ndarray, o: np.ndarray, core: np.ndarray, rhs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return y, optimal for x, then x, optimal for that y."""
    d, R = y.shape
    core, oo = core.reshape(d, d, R, d, d, R), o.T @ o  # j i r l k s
    rhs = np.einsum("jirn,nr->jir", rhs.reshape(d, d, R, -1), o)

    A = np.einsum("jirlks,jrls->irks", core, _products(x, oo)).reshape(d * R, -1)
    b = np.einsum("jr,jir->ir", x, rhs).ravel()
    y = unit(solve(A, b).reshape(d, R))

    A = np.einsum("jirlks,irks->jrls", core, _products(y, oo)).reshape(d * R, -1)
    b = np.einsum("ir,jir->jr", y, rhs).ravel()
    x = unit(solve(A, b).reshape(d, R))
    return y, x


def _products(x: np.ndarray, oo: np.ndarray) -> np.ndarray:
    """Return x[j, r] x[l, s] (oᵀo)[r, s], j r l s; one pass over `core` is then enough."""
    return np.asarray(x[:, :, None, None] * x * oo[:, None])


def _input_equations(y: np.ndarray, x: np.ndarray, o: np.ndarray, G: np.ndarray) -> tuple[Operator, Operator]:
    """Return both sides of the normal equations of a.

    adjoint  Y -> Σ_jin x[j, r] y[i, r] o[n, r] Y[jic, n]
    normal   X -> adjoint(G Z),  Z[jic, n] = Σ_s x[j, s] y[i, s] X[c, s] o[n, s]
    """
    R = y.shape[1]
    xy = (x[:, None] * y).reshape(-1, 1, R)  # (j i) 1 r

    def adjoint(Y: np.ndarray) -> np.ndarray:
        return np.asarray((xy * (Y @ o).reshape(len(xy), -1, R)).sum(axis=0))

    def normal(X: np.ndarray) -> np.ndarray:
        return adjoint(G @ ((xy * X).reshape(-1, R) @ o.T))

    return normal, adjoint
