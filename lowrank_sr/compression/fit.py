"""Every layer's factors: those of its kernel alone, or fitted in turn to what the layer sees and should give.

    minimise E[eᵀ M e],   e = t - W' p - b',   p  a patch of the layer's input in the network compressed so far
                                               t  the layer's output there in the dense network
                                               M  what an error there does to the picture

so that errors of earlier layers are corrected by later ones instead of piling up (Zhang et al. 2015, section 3.3).
Layers that stay dense take part in that, from the first factorised one on: another kernel costs them nothing. How near
to its own kernel a layer stays is chosen on one stack of crops in four (`ridge.py`), where there are so many; then it
is fitted to all.
Or the bias alone is fitted, b' = E[t] - W' E[p], to factors W' of the kernel.

The crops go through the network in stacks, layer after layer, the dense network and the compressed one side by side:
a stack is (2, B, H, W, C). Memory: what conv5 of a dense block reads, for all crops and both networks, 8 (num_feat + 4
num_grow_ch) bytes for each of their pixels, half as much again with its border, and what the convolution of one stack
takes. Before each enlargement the middle of every crop is cut out, so that maps do not grow, and the tail is fitted to
as many pixels, of as many pictures, as the trunk.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np

from lowrank_sr.compression import factorise
from lowrank_sr.compression.calibration import Calibration
from lowrank_sr.compression.patch_statistics import LayerMoments, bordered, together
from lowrank_sr.compression.ridge import least_ridge
from lowrank_sr.compression.stacks import on_stacks
from lowrank_sr.layers import Dense, Layer
from lowrank_sr.lowrank.data_norm import MOMENT_RIDGE
from lowrank_sr.network.architecture import CONVOLUTIONS
from lowrank_sr.network.esrgan import BETA, SLOPE, generator, leaky_relu
from lowrank_sr.network.rrdbnet import RRDBNet
from lowrank_sr.network.unshuffle import pixel_unshuffle
from lowrank_sr.training.output_metric import ridged

FACTORS, BIAS = "factors", "bias"  # what is fitted: factors and bias, or the bias alone, to factors of the kernel
STACK_CROPS = 4
APART_SHARE = 4  # of the stacks, one in so many is set aside while the ridge is chosen

Maps = list[np.ndarray]
"""A feature map of all crops, in stacks (2, B, H, W, C)."""

FitLayer = Callable[[str, Dense, Maps, Maps], Layer]
"""fit(name, layer, inputs, targets): what takes the place of a dense layer in the compressed network.

`inputs` are what it reads there, with a border of zeros; `targets` what the layer gives in the dense network, border
included.
"""


def factorised(
    net: RRDBNet,
    form: str,
    ranks: Mapping[str, int],
    seen: Calibration | None,
    seed: int,
    report: Callable[[], object],
    part: str = FACTORS,
) -> tuple[RRDBNet, dict[str, float]]:
    """`net` with layers of these `ranks` in `form`, and their errors by name.

    They and the dense layers after the first of them, or the biases of the former alone as `part` says, are fitted to
    what is `seen`, where that is something; `report` is called after each layer, without pictures after each of these.
    """
    dense = factorise.dense_layers(net)
    fitted: Mapping[str, Layer]
    if seen is not None and part == FACTORS:
        fitted, errors = _fit(net, form, ranks, seen, seed, report)
    else:
        of_kernels = factorise.from_kernels(dense, form, ranks, seed, report)
        fitted = {name: layer for name, (layer, _) in of_kernels.items()}
        errors = {name: error for name, (_, error) in of_kernels.items()}
    small = RRDBNet({**dense, **fitted}, net.method, net.meta)
    if seen is not None and part == BIAS:
        small = refit_biases(net, small, seen.low)
    return small, errors


def _fit(
    net: RRDBNet,
    form: str,
    ranks: Mapping[str, int],
    seen: Calibration,
    seed: int,
    report: Callable[[], object],
) -> tuple[dict[str, Layer], dict[str, float]]:
    """All layers, and the errors of those with a rank, by name."""
    on_most, on_others = LayerMoments(), LayerMoments()
    errors: dict[str, float] = {}

    def fit(name: str, layer: Dense, inputs: Maps, targets: Maps) -> Layer:
        report()
        if name not in ranks and not errors:
            return layer  # before the first: nothing is lost yet
        apart = len(inputs) // APART_SHARE
        measured = on_most.measure(name, inputs[apart:], targets[apart:])
        ridge = MOMENT_RIDGE
        if apart:
            others = on_others.measure(name, inputs[:apart], targets[:apart])
            ridge = least_ridge(layer, measured, others, ridged(seen.metrics[name]))
            measured = together(measured, others)
        if name not in ranks:
            return factorise.dense_to_outputs(layer, measured, ridge)
        fitted, errors[name] = factorise.to_outputs(layer, form, ranks[name], measured, seen.metrics[name], seed, ridge)
        return fitted

    return _fitted(net, net.layers, seen.low, fit), errors


def refit_biases(net: RRDBNet, small: RRDBNet, low: np.ndarray) -> RRDBNet:
    """`small` with biases b' = E[t] - W' E[p] where its layers are not those of the dense `net`; kernels stay.

    `small` has the dense layers of `net`. Each output channel of a factorised layer gets the mean that it has in `net`
    on the crops `low` (B, h, h, 3).
    """
    low_rank = {name: layer for name, layer in small.layers.items() if layer.rank is not None}

    def fit(name: str, layer: Dense, inputs: Maps, targets: Maps) -> Layer:
        run = on_stacks(low_rank[name], net.method)
        errors = (t - run(x) for x, t in zip(inputs, targets, strict=True))
        differences = [e[:, 1:-1, 1:-1].mean(axis=(0, 1, 2), dtype=np.float64) for e in errors]  # no border
        difference = np.average(differences, axis=0, weights=[len(x) for x in inputs]).astype(np.float32)
        return replace(low_rank[name], bias=low_rank[name].bias + difference)

    return RRDBNet({**small.layers, **_fitted(net, low_rank, low, fit)}, small.method, small.meta)


def _fitted(net: RRDBNet, names: Collection[str], low: np.ndarray, fit: FitLayer) -> dict[str, Layer]:
    """The layers `names` by `fit`, in turn, each on the inputs that those before it make of the crops `low`."""
    walk = _InStacks(net, names, fit)
    image = pixel_unshuffle(low, net.architecture.unshuffle)
    stacks = [image[first : first + STACK_CROPS] for first in range(0, len(image), STACK_CROPS)]
    generator(net.architecture, [np.stack([x, x]) for x in stacks], walk)
    return walk.fitted


class _InStacks:
    """The operations of `network/esrgan.py` on maps of both networks, fitting each layer before it is used."""

    def __init__(self, net: RRDBNet, names: Collection[str], fit: FitLayer) -> None:
        self.dense = factorise.dense_layers(net)
        self.method = net.method
        self.names = names
        self.fit = fit
        self.fitted: dict[str, Layer] = {}

    def conv(self, name: str, x: Maps, *, factor: int = 1, slope: float = 1, skip: Maps | None = None) -> Maps:
        """skip + LeakyReLU(layer(x)); where x is enlarged by `factor`, its middle, as large as x when that is done."""
        if factor > 1:
            x = [_middle(maps, factor).repeat(factor, axis=-3).repeat(factor, axis=-2) for maps in x]
        y = [leaky_relu(maps, slope) for maps in self._convolve(name, x)]  # (2, B, H, W, N)
        return y if skip is None else [a + b for a, b in zip(skip, y, strict=True)]

    def dense_block(self, name: str, x: Maps, *, outer: Maps | None = None) -> Maps:
        """D(x) = x + 0.2 conv5(x, g1, g2, g3, g4)."""
        maps = x  # (2, B, H, W, num_feat), and num_grow_ch more channels after each layer
        for k in range(1, CONVOLUTIONS):
            g = self._convolve(f"{name}.conv{k}", maps)
            maps = [np.concatenate([m, leaky_relu(h, SLOPE)], axis=-1) for m, h in zip(maps, g, strict=True)]
        y = self._convolve(f"{name}.conv{CONVOLUTIONS}", maps)
        y = [a + BETA * b for a, b in zip(x, y, strict=True)]
        return y if outer is None else [a + BETA * b for a, b in zip(outer, y, strict=True)]

    def _convolve(self, name: str, maps: Maps) -> Maps:
        layer = self.dense[name]
        dense = on_stacks(layer, self.method)
        if name not in self.names:
            return [dense(x) for x in maps]
        targets = [dense(bordered(x[0])) for x in maps]  # (B, H + 2, W + 2, N)
        self.fitted[name] = self.fit(name, layer, [bordered(x[1]) for x in maps], targets)
        small = on_stacks(self.fitted[name], self.method)
        return [np.stack([t[:, 1:-1, 1:-1], small(x[1])]) for x, t in zip(maps, targets, strict=True)]


def _middle(maps: np.ndarray, factor: int) -> np.ndarray:
    """The middle 1 / factor of the height and of the width of maps (..., H, W, C)."""
    height, width = maps.shape[-3:-1]
    top, left = ((side - side // factor) // 2 for side in (height, width))
    return maps[..., top : top + height // factor, left : left + width // factor, :]
