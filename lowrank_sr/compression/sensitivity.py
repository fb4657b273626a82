"""What a rank does to the picture, estimated for every layer in one walk.

Let e_l be the error of layer l's output and J_l the Jacobian of the picture by that output. To first order the picture
changes by Σ_l J_l e_l, and its squared error is

    E‖Σ_l J_l e_l‖² = Σ_l E‖J_l e_l‖² + Σ_{l ≠ m} E[e_lᵀ J_lᵀ J_m e_m]

The cross terms vanish where the errors of two layers have mean 0, which the bias sees to, and are uncorrelated; so the
losses of layers add up, and ranks can be chosen by a budget. What a layer loses is E[eᵀ M e] in the metric M of its
output (`output_metric.py`), and of the best factors of each rank it is known without computing them
(`refit_svd.error_curve`).

These are approximations, good while errors are small. Ranks rest on them, the accuracy of the result does not:
"max_drop" measures what was really lost.

References
----------
Zhou, Moosavi-Dezfooli, Cheung and Frossard, "Adaptive Quantization for Deep Neural Network", AAAI 2018 (the effect of
small errors in single layers on the network's output is linear in their energy and adds up over layers).
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np

from lowrank_sr.compression.calibration import Calibration
from lowrank_sr.compression.factorise import dense_layers, roots
from lowrank_sr.compression.patch_statistics import LayerMoments, bordered
from lowrank_sr.compression.serial_blas import serial_blas
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.lowrank import refit_svd
from lowrank_sr.network.esrgan import forward
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.training.output_metric import middles


class Sensitivity(NamedTuple):
    """`curve`: the relative error of the layer's output by rank K of an SVD pair, 1 at rank 0;
    `weight`: the mean squared error of the picture for a relative error of 1. Their product estimates the loss:

        loss(K) = weight · curve[K]²

    Of the last layer of a dense block loss(0) is that of the block without its output, D(x) = x + 0.2 E[conv5].
    """

    curve: np.ndarray
    weight: float


def sensitivities(
    net: RRDBNet, seen: Calibration, names: Collection[str], report: Callable[[], object]
) -> dict[str, Sensitivity]:
    """The sensitivities of layers `names` of a dense network, by name, on the middles of the crops that are `seen`.

    `report` is called after each layer.
    """
    dense = dense_layers(net)
    measured: dict[str, Sensitivity] = {}
    moments = LayerMoments()

    def convolve(name: str, x: np.ndarray) -> np.ndarray:
        layer = dense[name]
        padded = bordered(x)
        out = on_stacks(layer, net.method)(padded)
        if name in names:
            with serial_blas(layer.shape):
                G = moments.measure(name, [padded], [out]).covariance
                weighted = np.tensordot(roots(seen.metrics[name])[0], layer.weight, axes=1)  # S W, (N, C, d, d)
                rows = weighted.reshape(len(weighted), -1)
                curve, weight = refit_svd.error_curve(weighted, G), float(np.vdot(rows @ G, rows))
            measured[name] = Sensitivity(curve, weight)
            report()
        return out[:, 1:-1, 1:-1]

    forward(net.architecture, middles(seen.low), convolve)
    return measured
