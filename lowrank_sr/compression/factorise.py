"""A dense layer as an SVD pair or a CP layer of a given rank, from its kernel alone or fitted to what it sees."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.patch_statistics import Moments
from lowrank_sr.layers import CP, Dense, Separable
from lowrank_sr.lowrank import cp_als, ranks, refit_cp, refit_svd, svd
from lowrank_sr.lowrank.moments import target_kernel
from lowrank_sr.machine.threads import blas_threads, thread_count

LARGE_PATCH = 512  # values in a patch, C d²: a solve of this size takes a millisecond or two

METHODS = ("svd", "cp")
ROUNDS = {"svd": 4, "cp": 8}
FLOPS = {"svd": flops.separable, "cp": flops.cp}
BREAK_EVEN = {"svd": ranks.svd_break_even, "cp": ranks.cp_break_even}


@contextmanager
def solving(shape: tuple[int, int, int]) -> Iterator[None]:
    """Give BLAS all threads for the matrices of a layer of `shape` (N, C, d), or one where they are small.

    A fit is hundreds of products and solves of C d² x C d² matrices. Below LARGE_PATCH each takes less than what two
    threads spend on meeting, and much less where cores are shared.
    """
    _, c, d = shape
    with blas_threads(thread_count() if c * d * d >= LARGE_PATCH else 1):
        yield


def from_kernel(layer: Dense, method: str, rank: int, seed: int = 0) -> tuple[Separable | CP, float]:
    """The factors closest to the kernel, W' ≈ W, and the error ‖W - W'‖ / ‖W‖; `seed` is that of CP's start.

    Raises InputError where the kernel has no pair of this rank.
    """
    factors = svd.truncate(layer.weight, rank) if method == "svd" else _cp(layer.weight, rank, seed)
    found = _layer(method, factors, layer.bias)
    weight = layer.weight.astype(np.float64)
    norm = max(np.linalg.norm(weight), np.finfo(np.float64).tiny)  # of a kernel of zeros, which is met exactly
    return found, float(np.linalg.norm(weight - found.kernel()) / norm)


def _cp(kernel: np.ndarray, rank: int, seed: int) -> tuple[np.ndarray, ...]:
    return cp_als.decompose(kernel, rank, seed=seed)[0]


def to_outputs(layer: Dense, method: str, rank: int, seen: Moments, seed: int = 0) -> tuple[Separable | CP, float]:
    """The factors that come closest to given outputs on given inputs, and the error relative to the outputs.

    minimise E‖t - W' p - b'‖²:  W' fits the dense kernel that does so best, in the norm of G; b' = E[t] - W' E[p].
    The error is √(E‖t - W' p - b'‖² / Σ Var[t]).

    Raises InputError where the kernel has no pair of this rank.
    """
    target = target_kernel(layer.weight, seen.covariance, seen.cross)
    factors = kernel_factors(target, method, rank, seen.covariance, ROUNDS[method], seed)
    found = _layer(method, factors, layer.bias)
    weight = found.kernel().reshape(len(layer.bias), -1).astype(np.float64)
    bias = seen.output_mean - weight @ seen.mean
    left = seen.output_variance.sum() - 2 * np.vdot(seen.cross, weight) + np.vdot(weight @ seen.covariance, weight)
    error = np.sqrt(max(left, 0) / max(seen.output_variance.sum(), np.finfo(float).tiny))
    return _layer(method, factors, bias), float(error)


def kernel_factors(kernel: np.ndarray, method: str, rank: int, covariance: np.ndarray, rounds: int, seed: int = 0):
    """The refit of `method`, called alike for both."""
    if method == "svd":
        return refit_svd.refit(kernel, rank, covariance, rounds=rounds)
    return refit_cp.refit(kernel, rank, covariance, rounds=rounds, seed=seed)


def _layer(method: str, factors: tuple[np.ndarray, ...], bias: np.ndarray) -> Separable | CP:
    kind = Separable if method == "svd" else CP
    return kind(*(np.ascontiguousarray(array, np.float32) for array in (*factors, bias)))
