"""What an error in one layer does to the picture: measured, with that layer alone compressed.

Let e_l be the error of layer l's output and J_l the Jacobian of the picture by that output. To first order the picture
changes by Σ_l J_l e_l, and its squared error is

    E‖Σ_l J_l e_l‖² = Σ_l E‖J_l e_l‖² + Σ_{l ≠ m} E[e_lᵀ J_lᵀ J_m e_m]

Quadratic: as the rank changes, the size of e_l changes much and its covariance little otherwise; so E‖J_l e_l‖² is
proportional to the squared relative error of the layer, and one probe gives the factor.
Additive: the cross terms vanish where the errors of two layers have mean 0, which the bias sees to, and are
uncorrelated; so the losses of layers add up, and ranks can be chosen by a budget.

Both are approximations, good while errors are small. Ranks rest on them, the accuracy of the result does not:
"max_drop" measures what was really lost.

References
----------
Zhou, Moosavi-Dezfooli, Cheung and Frossard, "Adaptive Quantization for Deep Neural Network", AAAI 2018 (the effect of
small errors in single layers on the network's output is linear in their energy and adds up over layers).
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.factorise import dense_layers
from lowrank_sr.compression.patch_statistics import LayerMoments, Moments
from lowrank_sr.compression.serial_blas import serial_blas
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.factors import pair_kernel
from lowrank_sr.layers import Dense, Layer, Separable
from lowrank_sr.lowrank import refit_svd
from lowrank_sr.lowrank.data_norm import relative_error
from lowrank_sr.network.esrgan import Compute, forward
from lowrank_sr.network.rrdbnet import RRDBNet

CURVE_CROPS = 8  # for the error curves
CURVE_PATCHES = 4096  # a layer: to choose ranks by, fewer will do than for a fit
PROBE_CROPS = 4  # that the network is run on once for each layer
PROBE_SIDE = 16  # of these crops, in pixels of low resolution
PROBE_SPEEDUP = 3  # theoretical, of the layer that is probed: in the middle of those a budget asks for
LEAST_ERROR = 1e-6  # of a probe: what float32 leaves of a layer that loses nothing


OnStacks = Callable[[np.ndarray], np.ndarray]


class Sensitivity(NamedTuple):
    """`curve`: the relative error of the layer's output by rank K of an SVD pair, from `refit_svd.error_curve`;
    `weight`: mean squared error of the picture for a relative error of 1. Their product estimates the loss:

        loss(K) = weight · curve[K]²

    `vanished`, of the last layer of a dense block: the mean squared error of the picture without the block, D(x) = x +
    0.2 E[conv5], where all its layers were asked for.
    """

    curve: np.ndarray
    weight: float
    vanished: float | None = None


class Probe(NamedTuple):
    """A layer compressed to PROBE_SPEEDUP, the relative error of its output, and a layer that gives its mean alone."""

    layer: Separable
    error: float
    mean: Separable


def sensitivities(
    net: RRDBNet, low: np.ndarray, names: Collection[str], seed: int, report: Callable[[], object]
) -> dict[str, Sensitivity]:
    """The sensitivities of layers `names` of a dense network, on crops `low` (B, h, h, 3), by name.

    One pass for the error curves, then one over a few small crops for each layer, and for each dense block; `report` is
    called after each layer.
    """
    curves, probes = _curves(net, low[:CURVE_CROPS], names, seed, report)
    picture_loss = _picture_loss(net, _centres(low))
    blocks = net.architecture.dense_blocks().values()
    last = {layers[-1] for layers in blocks if all(layer in probes for layer in layers)}
    measured = {}
    for name, probe in probes.items():
        weight = picture_loss(name, probe.layer) / max(probe.error, LEAST_ERROR) ** 2
        vanished = picture_loss(name, probe.mean) if name in last else None
        measured[name] = Sensitivity(curves[name], weight, vanished)
        report()
    return measured


def _curves(
    net: RRDBNet, low: np.ndarray, names: Collection[str], seed: int, report: Callable[[], object]
) -> tuple[dict[str, np.ndarray], dict[str, Probe]]:
    """Error curves and probes of the layers."""
    dense = dense_layers(net)
    curves: dict[str, np.ndarray] = {}
    probes: dict[str, Probe] = {}
    moments = LayerMoments(CURVE_PATCHES, seed)

    def convolve(name: str, x: np.ndarray) -> np.ndarray:
        layer = dense[name]
        out = on_stacks(layer, net.method)(x)
        if name in names:
            with serial_blas(layer.shape):
                seen = moments.measure(name, [x], [out])
                curves[name] = refit_svd.error_curve(layer.weight, seen.covariance)
                probes[name] = _probe(layer, seen)
            report()
        return out

    forward(net.architecture, low, convolve)
    return curves, probes


def _probe(layer: Dense, moments: Moments) -> Probe:
    n, c, d = layer.shape
    rank = max(1, round(flops.break_even("svd", n, c, d) / PROBE_SPEEDUP))
    factors = refit_svd.refit(layer.weight, rank, moments.covariance, rounds=0)
    kernel = pair_kernel(*factors)
    bias = layer.bias + (layer.weight - kernel).reshape(n, -1) @ moments.mean
    return Probe(
        Separable(*factors, bias),
        relative_error(layer.weight, kernel, moments.covariance),
        Separable(np.zeros((0, c, d)), np.zeros((n, 0, d)), moments.output_mean),
    )


def _centres(low: np.ndarray) -> np.ndarray:
    """The middle of the first crops: (PROBE_CROPS, PROBE_SIDE, PROBE_SIDE, 3)."""
    margin = max(0, low.shape[1] - PROBE_SIDE) // 2
    inner = slice(margin, margin + PROBE_SIDE)
    return low[:PROBE_CROPS, inner, inner]


def _picture_loss(net: RRDBNet, crops: np.ndarray) -> Callable[[str, Layer], float]:
    """loss(name, layer): the mean squared difference that `layer`, in the place of that name, makes to the picture."""
    run = {name: on_stacks(layer, net.method) for name, layer in net.layers.items()}
    outputs: dict[str, np.ndarray] = {}

    def remember(name: str, x: np.ndarray) -> np.ndarray:
        outputs[name] = run[name](x)
        return outputs[name]

    reference, order = forward(net.architecture, crops, remember), list(net.layers)

    def loss(name: str, layer: Layer) -> float:
        before = {each: outputs[each] for each in order[: order.index(name)]}
        changed = run | {name: on_stacks(layer, net.method)}
        difference = forward(net.architecture, crops, _knowing(before, changed)) - reference
        return float(np.square(difference, dtype=np.float64).mean())

    return loss


def _knowing(known: Mapping[str, np.ndarray], run: Mapping[str, OnStacks]) -> Compute:
    """The layers by `run`, but for those whose outputs are known."""
    return lambda name, x: known[name] if name in known else run[name](x)
