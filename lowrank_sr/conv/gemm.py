"""SciPy's sgemm inside compiled loops: products of row-major matrices that lie anywhere in memory.

Extra memory: what BLAS packs its operands into.
"""

from typing import Any

import numpy as np
from llvmlite import binding
from numba import njit, types
from numba.extending import get_cython_function_address

# SciPy's BLAS under a name that compiled code refers to, so that Numba can cache it: a captured address would change.
_SGEMM = "lowrank_sr_sgemm"
_sgemm: Any = types.ExternalFunction(_SGEMM, types.void(*[types.intp] * 13))

# BLAS takes its arguments by address. They lie in a record of the caller's, because Numba frees an array after its last
# use, which for one made beside the call would be before BLAS reads it.
GEMM_ARGUMENTS = np.dtype(
    [(name, np.int32) for name in ("n", "m", "k", "ldb", "lda", "ldc")]
    + [(name, np.float32) for name in ("alpha", "beta")]
    + [(name, np.uint8) for name in ("b_transposed", "a_transposed")]
)


def load_blas() -> None:
    """Make `gemm` callable: before the first compiled loop that calls it is compiled or loaded."""
    if binding.address_of_symbol(_SGEMM) is None:
        binding.add_symbol(_SGEMM, get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))


@njit(inline="always")
def gemm(
    arguments: np.ndarray, m: int, n: int, k: int, a: int, lda: int, b: int, beta: float, c: int, ldc: int
) -> None:
    """C = A B + beta C for row-major A (m, k), B (k, n), C (m, n); rows of A and C lie lda and ldc floats apart.

    `a`, `b` and `c` are addresses; `arguments` is room for one GEMM_ARGUMENTS. BLAS counts columns first, for which
    the same memory is C' = B' A' + beta C'.
    """
    _call(arguments, m, n, k, a, lda, ord("N"), b, beta, c, ldc)


@njit(inline="always")
def gemm_transposed(
    arguments: np.ndarray, m: int, n: int, k: int, a: int, lda: int, b: int, beta: float, c: int, ldc: int
) -> None:
    """C = A' B + beta C for row-major A (k, m), B (k, n), C (m, n); otherwise as `gemm`."""
    _call(arguments, m, n, k, a, lda, ord("T"), b, beta, c, ldc)


@njit(inline="always")
def _call(
    arguments: np.ndarray,
    m: int,
    n: int,
    k: int,
    a: int,
    lda: int,
    a_transposed: int,
    b: int,
    beta: float,
    c: int,
    ldc: int,
) -> None:
    call = arguments[0]
    call.n, call.m, call.k = n, m, k
    call.ldb, call.lda, call.ldc = n, lda, ldc
    call.alpha, call.beta = 1.0, beta
    call.b_transposed, call.a_transposed = ord("N"), a_transposed
    at_n = arguments.ctypes.data
    at_m, at_k, at_ldb, at_lda, at_ldc = at_n + 4, at_n + 8, at_n + 12, at_n + 16, at_n + 20
    at_alpha, at_beta, at_b_transposed, at_a_transposed = at_n + 24, at_n + 28, at_n + 32, at_n + 33
    _sgemm(at_b_transposed, at_a_transposed, at_n, at_m, at_k, at_alpha, b, at_ldb, a, at_lda, at_beta, c, at_ldc)
