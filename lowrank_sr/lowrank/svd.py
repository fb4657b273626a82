"""The SVD pair of Tai et al.: a d x d convolution as a d x 1 convolution followed by a 1 x d one.

The tour's chapter :doc:`/auto_tour/08_svd` computes it in plain NumPy.
"""

import numpy as np

from lowrank_sr.errors import InputError


def matricise(kernel: np.ndarray) -> np.ndarray:
    """Arrange a kernel as the matrix whose rank is the rank of its SVD pair.

    M[(c, i), (j, n)] = W[n, c, i, j]: everything vertical in the rows, everything horizontal in the columns.

    Parameters
    ----------
    kernel : (N, C, d, d) array

    Returns
    -------
    matrix : (C d, d N) array, of the kernel's dtype

    References
    ----------
    Tai et al., "Convolutional neural networks with low-rank regularization", 2015, section 3.1.
    """
    N, C, d, _ = kernel.shape
    return kernel.transpose(1, 2, 3, 0).reshape(C * d, d * N)


def singular_values(kernel: np.ndarray) -> np.ndarray:
    """Return the singular values of the matricised kernel, largest first.

    Parameters
    ----------
    kernel : (N, C, d, d) array

    Returns
    -------
    sigma : (min(C d, d N),) float64 array
    """
    return np.linalg.svd(matricise(np.asarray(kernel, dtype=np.float64)), compute_uv=False)


def truncate(kernel: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the SVD pair of rank K closest to a kernel.

    M = U Σ Qᵀ;   vertical = U_K Σ_K^½,   horizontal = Σ_K^½ Q_Kᵀ   (the K leading columns, values and rows)

    No pair of this rank has a smaller error, and ‖W - W'‖² = Σ_{k > K} σ_k² (Eckart and Young). The singular values
    are shared between the halves so that both have entries of one size, well within the range of float16.

    Parameters
    ----------
    kernel : (N, C, d, d) array
    rank : int
        K, from 1 to min(C d, d N), where the pair is exact.

    Returns
    -------
    vertical : (K, C, d) float64 array
    horizontal : (N, K, d) float64 array

    Raises
    ------
    InputError
        If the rank is outside 1 .. min(C d, d N).

    References
    ----------
    Tai et al. 2015, theorem 1.
    """
    check_rank(kernel, rank)
    U, sigma, Qt = np.linalg.svd(matricise(np.asarray(kernel, dtype=np.float64)), full_matrices=False)
    share = np.sqrt(sigma[:rank])
    return split(U[:, :rank] * share, share[:, None] * Qt[:rank], d=kernel.shape[2])


def split(rows: np.ndarray, columns: np.ndarray, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Fold the factors of a matricised kernel, (C d, K) and (K, d N), into the two kernels of a pair."""
    K = len(columns)
    vertical = rows.T.reshape(K, -1, d)
    horizontal = columns.reshape(K, d, -1).transpose(2, 0, 1)
    return np.ascontiguousarray(vertical), np.ascontiguousarray(horizontal)


def check_rank(kernel: np.ndarray, rank: int) -> None:
    """Raise InputError unless a kernel has an SVD pair of this rank."""
    N, C, d, _ = kernel.shape
    full = d * min(C, N)
    if not 1 <= rank <= full:
        raise InputError(f"an SVD pair of a {N}x{C}x{d}x{d} kernel has a rank from 1 to {full}, not {rank}")
