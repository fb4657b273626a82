"""How far a layer may leave its kernel: the ridge of `target_kernel`, chosen on crops that it has not seen.

    minimise over ridge of E[eᵀ M e],   e = t - W' p - b',   the mean over the crops that are set aside
                                        W', b' the closest to t on the others, with this ridge

A layer has up to C d² unknowns for each output, and neighbouring pixels are alike: where the compressed network so far
has lost much, what a small ridge gains on the crops that it is fitted to is noise elsewhere. A metric of zeros is taken
for the identity.
"""

import numpy as np

from lowrank_sr.compression.patch_statistics import Moments
from lowrank_sr.compression.serial_blas import serial_blas
from lowrank_sr.layers import Dense
from lowrank_sr.lowrank.data_norm import MOMENT_RIDGE, target_kernel

RIDGES = (MOMENT_RIDGE, 10 * MOMENT_RIDGE, 100 * MOMENT_RIDGE)


def least_ridge(layer: Dense, seen: Moments, apart: Moments, metric: np.ndarray) -> float:
    """That of RIDGES by which the dense layer fitted to what is `seen` errs least, in `metric`, on what is apart."""

    metric = metric if metric.any() else np.eye(len(metric))

    def error(ridge: float) -> float:
        weight = target_kernel(layer.weight, seen.covariance, seen.cross, ridge).reshape(len(metric), -1)
        mean = apart.output_mean - seen.output_mean - weight @ (apart.mean - seen.mean)
        # E[eᵀ M e] but for that of the outputs alone
        fitted = weight @ apart.covariance - 2 * apart.cross
        return float(np.vdot(metric @ weight, fitted) + mean @ metric @ mean)

    with serial_blas(layer.shape):
        return min(RIDGES, key=error)
