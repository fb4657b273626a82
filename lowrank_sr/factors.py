"""The dense kernel that low-rank factors stand for, in the precision of the factors."""

import numpy as np


def pair_kernel(vertical: np.ndarray, horizontal: np.ndarray) -> np.ndarray:
    """Multiply an SVD pair, (K, C, d) and (N, K, d), out to its (N, C, d, d) kernel.

    W'[n, c, i, j] = Σ_k horizontal[n, k, j] vertical[k, c, i]
    """
    kernel: np.ndarray = np.einsum("nkj,kci->ncij", horizontal, vertical, optimize=True)
    return kernel


def cp_kernel(cp_in: np.ndarray, cp_y: np.ndarray, cp_x: np.ndarray, cp_out: np.ndarray) -> np.ndarray:
    """Multiply CP factors, (C, R), (d, R), (d, R) and (N, R), out to their (N, C, d, d) kernel.

    W'[n, c, i, j] = Σ_r out[n, r] y[i, r] x[j, r] in[c, r]
    """
    kernel: np.ndarray = np.einsum("nr,ir,jr,cr->ncij", cp_out, cp_y, cp_x, cp_in, optimize=True)
    return kernel
