"""What an error in one layer does to the picture: measured, with that layer alone compressed."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from lowrank_sr import flops
from lowrank_sr.compression.factorise import solving
from lowrank_sr.compression.patch_statistics import measure, positions
from lowrank_sr.compression.walk import forward, on_stacks
from lowrank_sr.layers import Separable
from lowrank_sr.lowrank import moments, refit_svd, svd
from lowrank_sr.network.rrdbnet import RRDBNet

PATCHES = 4096  # a layer: for ranks to be chosen by, fewer will do than for a fit
PROBE = (4, 16)  # crops and their side: of what the network is run on once for each layer
SPEEDUP = 3  # at which a layer is compressed to see what it does


class Sensitivity(NamedTuple):
    """`curve`: the relative error of the layer's output by rank K of an SVD pair, from `refit_svd.error_curve`;
    `weight`: mean squared error of the picture for a relative error of 1. Their product estimates the loss:

        loss(K) = weight · curve[K]²
    """

    curve: np.ndarray
    weight: float


def measure_all(
    net: RRDBNet, low: np.ndarray, names: Iterable[str], seed: int, report: Callable[[], object]
) -> dict[str, Sensitivity]:
    """The sensitivities of layers `names` of a dense network, on crops `low` (B, h, h, 3), by name.

    One pass for the error curves, then one over a few small crops for each layer; `report` is called after each layer.
    """
    curves, probes = _curves(net, low, set(names), seed, report)
    weights = _weights(net, _centres(low), probes, report)
    return {name: Sensitivity(curves[name], weights[name]) for name in curves}


def _curves(net, low, names, seed, report):
    """Each layer's error curve, and the layer compressed for a probe with its relative error."""
    curves, probes = {}, {}
    known = None

    def convolve(name, x):
        nonlocal known
        layer = net.layers[name]
        out = on_stacks(layer, net.method)(x)
        if not grows(name):
            known = None
        with solving(layer.shape):
            known = seen = measure(x, out, positions(x, PATCHES, seed), known)
            if name in names:
                curves[name] = refit_svd.error_curve(layer.weight, seen.covariance)
                probes[name] = _probe(layer, seen)
        if name in names:
            report()
        return out

    forward(net.architecture, low, convolve)
    return curves, probes


def grows(name: str) -> bool:
    """Whether layer `name` reads what the layer before it has read, and that one's output after it."""
    return name.startswith("RRDB_trunk") and not name.endswith("conv1")


def _probe(layer, seen):
    n, c, d = layer.shape
    rank = max(1, round(flops.dense(n, c, d) / SPEEDUP / flops.separable(n, c, d, 1)))
    factors = refit_svd.refit(layer.weight, rank, seen.covariance, rounds=0)
    kernel = svd.reconstruct(*factors)
    bias = layer.bias + (layer.weight - kernel).reshape(n, -1) @ seen.mean
    compressed = Separable(*(np.ascontiguousarray(array, np.float32) for array in (*factors, bias)))
    return compressed, moments.relative_error(layer.weight, kernel, seen.covariance)


def _centres(low):
    count, side = PROBE
    margin = max(0, low.shape[1] - side) // 2
    return low[:count, margin : margin + side, margin : margin + side]


def _weights(net, crops, probes, report):
    """Mean squared difference of the picture over the squared relative error of the layer."""
    place = {name: i for i, name in enumerate(net.layers)}
    run = {name: on_stacks(layer, net.method) for name, layer in net.layers.items()}
    outputs = {}

    def remember(name, x):
        outputs[name] = run[name](x)
        return outputs[name]

    reference = forward(net.architecture, crops, remember)
    weights = {}
    for probed, (layer, error) in probes.items():
        compressed = on_stacks(layer, net.method)

        def convolve(name, x, probed=probed, compressed=compressed):
            if place[name] < place[probed]:
                return outputs[name]  # nothing has changed yet
            return compressed(x) if name == probed else run[name](x)

        difference = forward(net.architecture, crops, convolve) - reference
        weights[probed] = float(np.square(difference, dtype=np.float64).mean()) / max(error, 1e-6) ** 2
        report()
    return weights
