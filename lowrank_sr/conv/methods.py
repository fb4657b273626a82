"""The algorithm behind each layer: a dense layer's by name, those of factorised layers by their form."""

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from lowrank_sr import flops
from lowrank_sr.conv import cp, direct, im2col, kn2row, separable, separable_winograd, winograd
from lowrank_sr.conv.epilogue import Epilogue, operands
from lowrank_sr.conv.feature_map import DTYPE, FeatureMap, from_array, records, unpadded
from lowrank_sr.errors import InputError
from lowrank_sr.layers import CP, Layer, Separable
from lowrank_sr.machine.threads import parallel_region, thread_count

METHODS: dict[str, ModuleType] = {"direct": direct, "im2col": im2col, "kn2row": kn2row, "winograd": winograd}

FLOPS_A_THREAD = 10_000_000  # a tenth of a millisecond or more: for less, waking another thread does not pay

Convolution = Callable[[FeatureMap | Sequence[FeatureMap], FeatureMap, Epilogue], None]
"""convolution(x, out, epilogue): `same` convolution of the feature map x into the feature map out.

Several maps in the place of x stand for their concatenation along the channels, which is never computed.
"""


def convolution(layer: Layer, method: str) -> Convolution:
    """The convolution of `layer` by `method`, its arrays in the order that the loops read.

    A dense layer is computed by any of METHODS; an SVD pair by F(4, 3) where `method` is "winograd" and directly
    otherwise; CP in one way. Raises InputError for an unknown method and for a kernel that is not 3 x 3.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    d = layer.shape[2]
    if d != 3:  # feature maps have a border of one pixel
        raise InputError(f"kernel of {d} x {d}: expected 3 x 3")
    factors: tuple[np.ndarray, ...]
    if isinstance(layer, CP):
        algorithm = cp
        factors = (layer.cp_in, layer.cp_y, layer.cp_x, layer.cp_out)
    elif isinstance(layer, Separable):
        algorithm = separable_winograd if method == "winograd" else separable
        factors = (layer.vertical, layer.horizontal)
    else:
        algorithm = METHODS[method]
        factors = (layer.weight,)
    return partial(_run, algorithm.convolve, algorithm.prepare(*factors), layer.shape[1], flops.per_pixel(layer))


def direct_convolution(kernel: np.ndarray) -> Convolution:
    """Direct convolution by a (N, C, d, d) kernel or one factor of it: (N, C, d, 1), (N, C, 1, d) or (N, C, 1, 1)."""
    return partial(_run, direct.convolve, direct.prepare(kernel), kernel.shape[1], 2 * kernel.size)


def _run(
    convolve: Callable[..., None],
    prepared: Any,
    channels: int,
    flops_per_pixel: int,
    x: FeatureMap | Sequence[FeatureMap],
    out: FeatureMap,
    epilogue: Epilogue,
) -> None:
    inputs = [x] if isinstance(x, FeatureMap) else x
    if sum(each.channels for each in inputs) != channels:
        raise ValueError(f"input of {sum(each.channels for each in inputs)} channels: the layer reads {channels}")
    for each in inputs:
        if (each.height, each.width) != (out.height, out.width):
            raise ValueError(f"input {each.height} x {each.width} does not fit output {out.height} x {out.width}")
    work = flops_per_pixel * out.height * out.width
    threads = min(thread_count(), 1 + work // FLOPS_A_THREAD)
    with parallel_region(threads):
        convolve(records(inputs), operands(out, epilogue), prepared, threads)


def convolve(array: np.ndarray, layer: Layer, method: str) -> np.ndarray:
    """Convolve an (H, W, C) array with `layer`, zeros beyond its edges: (H, W, N) float32. For one layer by itself."""
    out = np.empty((*array.shape[:2], layer.shape[0]), DTYPE)
    convolution(layer, method)(from_array(array), unpadded(out), Epilogue(layer.bias))
    return out
