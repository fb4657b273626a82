"""A dense layer as an SVD pair or a CP layer of a given rank, from its kernel alone or fitted to what it sees."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np

from lowrank_sr.compression.patch_statistics import Moments
from lowrank_sr.compression.serial_blas import serial_blas
from lowrank_sr.errors import InputError
from lowrank_sr.layers import CP, Dense, Separable, random_layer
from lowrank_sr.lowrank import cp_als, refit_cp, refit_svd, svd
from lowrank_sr.lowrank.data_norm import MOMENT_RIDGE, target_kernel
from lowrank_sr.machine.threads import blas_threads, thread_count
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.training.output_metric import ridged

FORMS = ("svd", "cp")
FIT_ROUNDS = {"svd": 4, "cp": 8}  # the pair starts near its optimum, CP from the kernel alone


def dense_layers(net: RRDBNet) -> dict[str, Dense]:
    """The layers of a dense network, by name. Raises InputError for one that is factorised already."""
    layers = {}
    for name, layer in net.layers.items():
        if not isinstance(layer, Dense):
            raise InputError(f"layer {name} is compressed already: expected a dense network")
        layers[name] = layer
    return layers


def from_kernel(layer: Dense, form: str, rank: int, seed: int = 0) -> tuple[Separable | CP, float]:
    """The factors closest to the kernel, W' ≈ W, and the error ‖W - W'‖ / ‖W‖, 0 for a kernel of zeros.

    `seed` is that of CP's start. Raises InputError where the kernel has no pair of this rank.
    """
    with blas_threads(1):  # a matrix of (C d, d N) is small whatever the layer
        return _from_kernel(layer, form, rank, seed)


def from_kernels(
    layers: Mapping[str, Dense], form: str, ranks: Mapping[str, int], seed: int, report: Callable[[], object]
) -> dict[str, tuple[Separable | CP, float]]:
    """`from_kernel` of every layer in `ranks`, by name, a layer a thread; `report` is called after each."""
    with blas_threads(1), ThreadPoolExecutor(thread_count()) as pool:
        each = {name: pool.submit(_from_kernel, layers[name], form, rank, seed) for name, rank in ranks.items()}
        try:
            for future in as_completed(each.values()):
                future.result()
                report()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {name: future.result() for name, future in each.items()}


def _from_kernel(layer: Dense, form: str, rank: int, seed: int) -> tuple[Separable | CP, float]:
    factorised = _layer(form, _of_kernel(layer.weight, form, rank, seed), layer.bias)
    weight = layer.weight.astype(np.float64)
    error = np.linalg.norm(weight - factorised.kernel())
    return factorised, float(error / np.linalg.norm(weight)) if error > 0 else 0.0


def _of_kernel(kernel: np.ndarray, form: str, rank: int, seed: int) -> tuple[np.ndarray, ...]:
    if rank == 0:
        return _no_factors(form, kernel)
    return svd.truncate(kernel, rank) if form == "svd" else _cp(kernel, rank, seed)


def _no_factors(form: str, kernel: np.ndarray) -> tuple[np.ndarray, ...]:
    """Factors of rank 0."""
    n, c, d, _ = kernel.shape
    *factors, _ = random_layer((n, c, d), form, 0).arrays().values()
    return tuple(factors)


def _cp(kernel: np.ndarray, rank: int, seed: int) -> refit_cp.Factors:
    return cp_als.decompose(kernel, rank, seed=seed)[0]


def to_outputs(
    layer: Dense,
    form: str,
    rank: int,
    moments: Moments,
    metric: np.ndarray,
    seed: int = 0,
    ridge: float = MOMENT_RIDGE,
) -> tuple[Separable | CP, float]:
    """The factors that come closest to given outputs on given inputs, and the error relative to the outputs.

    minimise E[eᵀ M e], e = t - W' p - b', M the `metric` (N, N) of `output_metric.py`. With M = S² that is E‖S e‖²: the
    factors of S W', W' the dense kernel that comes closest, in the norm of G, and S⁻¹ times those of the output's side.
    b' = E[t] - W' E[p]. `ridge` is that of `target_kernel`. Factors come near to that kernel in the norm of G with a
    small ridge of its own: with this one they lose a little more of Real-ESRGAN's picture, 0.1 dB.
    The error is √(E‖t - W' p - b'‖² / V), V = Σ_n Var[t_n], with E‖t - W' p - b'‖² = V - 2 tr(B W'ᵀ) + tr(W' G W'ᵀ).
    Of rank 0 b' = E[t] is all, and the error is 1.

    Raises InputError where the kernel has no pair of this rank.
    """
    with serial_blas(layer.shape):
        scale = np.trace(metric) / len(metric)
        S, S_inverse = roots(metric / scale if scale > 0 else np.eye(len(metric)))
        target = np.tensordot(S, target_kernel(layer.weight, moments.covariance, moments.cross, ridge), axes=1)
        *inner, outer = _refit(target, form, rank, moments.covariance, seed)
        factors = (*inner, np.tensordot(S_inverse, outer, axes=1))
        weight = _layer(form, factors, layer.bias).kernel().reshape(len(layer.bias), -1).astype(np.float64)
        bias = moments.output_mean - weight @ moments.mean
        variance = moments.output_variance.sum()
        explained = 2 * np.vdot(moments.cross, weight) - np.vdot(weight @ moments.covariance, weight)
    error = np.sqrt(max(variance - explained, 0) / max(variance, np.finfo(float).tiny))
    return _layer(form, factors, bias), float(error)


def dense_to_outputs(layer: Dense, moments: Moments, ridge: float = MOMENT_RIDGE) -> Dense:
    """The dense layer that comes closest to given outputs on given inputs: W' of `target_kernel`, b' = E[t] - W' E[p].

    A layer that stays dense costs the same with any kernel, so it may correct what the layers before it have lost. No
    metric: without a bound on the rank the minimum is the same in each.
    """
    with serial_blas(layer.shape):
        weight = target_kernel(layer.weight, moments.covariance, moments.cross, ridge)
        bias = moments.output_mean - weight.reshape(len(weight), -1) @ moments.mean
    return Dense(np.ascontiguousarray(weight, np.float32), bias.astype(np.float32))


def roots(metric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S and S⁻¹, symmetric, of S² = M with its ridge; S is 0 and S⁻¹ 0 for a metric of zeros."""
    values, vectors = np.linalg.eigh(ridged(metric))
    root = np.sqrt(values)
    inverse = np.divide(1, root, out=np.zeros_like(root), where=root > 0)
    return vectors * root @ vectors.T, vectors * inverse @ vectors.T


def _refit(kernel: np.ndarray, form: str, rank: int, covariance: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    if rank == 0:
        return _no_factors(form, kernel)
    if form == "svd":
        return refit_svd.refit(kernel, rank, covariance, FIT_ROUNDS[form])
    with blas_threads(1):  # dozens of sweeps, each of products too small for threads
        start = _cp(kernel, rank, seed)
    return refit_cp.refit(kernel, start, covariance, FIT_ROUNDS[form])


def _layer(form: str, factors: tuple[np.ndarray, ...], bias: np.ndarray) -> Separable | CP:
    kind = Separable if form == "svd" else CP
    return kind(*(np.ascontiguousarray(array, np.float32) for array in (*factors, bias)))
