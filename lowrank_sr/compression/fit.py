"""Every layer's factors: those of its kernel alone, or fitted in turn to what the layer sees and should give.

    minimise E‖t - W' p - b'‖²,   p  a patch of the layer's input in the network compressed so far
                                  t  the layer's output there in the dense network

so that errors of earlier layers are corrected by later ones instead of piling up (Zhang et al. 2015, section 3.3).
Or the bias alone is fitted, b' = E[t] - W' E[p], to factors W' of the kernel.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from lowrank_sr.compression import factorise
from lowrank_sr.compression.patch_statistics import LayerMoments
from lowrank_sr.compression.serial_blas import serial_blas
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.layers import Layer
from lowrank_sr.network.esrgan import forward
from lowrank_sr.network.rrdbnet import RRDBNet

FACTORS, BIAS = "factors", "bias"  # what is fitted: factors and bias, or the bias alone, to factors of the kernel
FIT_PATCHES = 32768  # a layer: 19 for each of the 1728 numbers in a patch of 192 channels


def factorised(
    net: RRDBNet,
    form: str,
    ranks: Mapping[str, int],
    low: np.ndarray | None,
    seed: int,
    report: Callable[[], object],
    part: str = FACTORS,
) -> tuple[RRDBNet, dict[str, float]]:
    """`net` with layers of these `ranks` in `form`, and their errors by name.

    They, or the biases alone as `part` says, are fitted to crops `low`, (B, h, h, 3) float32, where there are some;
    `report` is called after each layer.
    """
    dense = factorise.dense_layers(net)
    fitted: Mapping[str, tuple[Layer, float]]
    if low is not None and part == FACTORS:
        fitted = _fit(net, form, ranks, low, seed, report)
    else:
        fitted = factorise.from_kernels(dense, form, ranks, seed, report)
    layers = {name: fitted[name][0] if name in fitted else layer for name, layer in dense.items()}
    small = RRDBNet(layers, net.method, net.meta)
    if low is not None and part == BIAS:
        small = refit_biases(net, small, low)
    return small, {name: error for name, (_, error) in fitted.items()}


def _fit(
    net: RRDBNet, form: str, ranks: Mapping[str, int], low: np.ndarray, seed: int, report: Callable[[], object]
) -> dict[str, tuple[Layer, float]]:
    """Fit the layers in turn, the dense network and the compressed one walking side by side: maps (2, B, H, W, C)."""
    dense = factorise.dense_layers(net)
    fitted: dict[str, tuple[Layer, float]] = {}
    moments = LayerMoments(FIT_PATCHES, seed)

    def convolve(name: str, maps: np.ndarray) -> np.ndarray:
        layer = dense[name]
        run = on_stacks(layer, net.method)
        out = np.empty((*maps.shape[:-1], layer.shape[0]), maps.dtype)
        out[0] = run(maps[0])
        if name in ranks:
            with serial_blas(layer.shape):
                seen = moments.measure(name, maps[1], out[0])
            fitted[name] = factorise.to_outputs(layer, form, ranks[name], seen, seed)
            run = on_stacks(fitted[name][0], net.method)
            report()
        out[1] = run(maps[1])
        return out

    forward(net.architecture, np.stack([low, low]), convolve)
    return fitted


def refit_biases(net: RRDBNet, small: RRDBNet, low: np.ndarray) -> RRDBNet:
    """`small` with biases b' = E[t] - W' E[p] where its layers are not those of the dense `net`; kernels stay.

    Each output channel of a factorised layer gets the mean that it has in `net` on the crops `low` (B, h, h, 3).
    """
    layers: dict[str, Layer] = dict(small.layers)

    def convolve(name: str, maps: np.ndarray) -> np.ndarray:
        out = np.stack(
            [on_stacks(each.layers[name], each.method)(x) for each, x in zip((net, small), maps, strict=True)]
        )
        if small.layers[name].rank is not None:
            difference = (out[0] - out[1]).mean(axis=tuple(range(out.ndim - 2)), dtype=np.float64).astype(np.float32)
            layers[name] = replace(small.layers[name], bias=small.layers[name].bias + difference)
            out[1] += difference
        return out

    forward(net.architecture, np.stack([low, low]), convolve)
    return RRDBNet(layers, small.method, small.meta)
