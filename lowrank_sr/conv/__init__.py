"""Convolutions of feature maps, one algorithm a file; this one puts the right algorithm behind each layer.

Read `feature_map.py`, then `im2col.py`, the plainest, then `kn2row.py`, which does without its matrix. `tile.py` is the
inner loop of all others: `direct.py`, `winograd.py`, the SVD pair in `separable.py` and, with Winograd's algorithm, in
`separable_winograd.py`, and `cp.py`. `epilogue.py` is what happens to a result as it is written, `simd.py` how
vectors get into Numba. `auto.py` chooses.
"""

from collections.abc import Callable
from functools import partial

import numba
import numpy as np

from lowrank_sr.conv import auto, cp, direct, im2col, kn2row, separable, separable_winograd, winograd
from lowrank_sr.conv.epilogue import Epilogue, operands
from lowrank_sr.conv.feature_map import DTYPE, FeatureMap, from_array, unpadded
from lowrank_sr.errors import InputError
from lowrank_sr.layers import CP, Dense, Layer, Separable

METHODS = {"direct": direct, "im2col": im2col, "kn2row": kn2row, "winograd": winograd}
AUTO = "auto"

Convolution = Callable[[FeatureMap, FeatureMap, Epilogue], None]
"""convolution(x, out, epilogue): `same` convolution of the feature map x into the feature map out."""


def check_method(method: str) -> None:
    """Raise InputError for a method that does not exist."""
    if method not in (AUTO, *METHODS):
        raise InputError(f"method {method!r}: expected one of {', '.join((AUTO, *METHODS))}")


def chosen(layer: Dense | Separable, method: str) -> str:
    """The method by which `layer` is computed where `method` is asked for.

    For a dense layer "auto" is the fastest of all on this machine. For an SVD pair, which goes either directly or by
    F(4, 3), it is always the latter: faster at every shape of ESRGAN.
    """
    if isinstance(layer, Separable):
        return "winograd" if method in (AUTO, "winograd") else "direct"
    return auto.fastest(layer.shape) if method == AUTO else method


def convolution(layer: Layer, method: str) -> Convolution:
    """The convolution of `layer` by `method`, its arrays in the order that the loops read.

    Raises InputError for an unknown method and for a kernel that is not 3 x 3.
    """
    check_method(method)
    _, channels, d = layer.shape
    if d != 3:  # feature maps have a border of one pixel
        raise InputError(f"kernel of {d} x {d}: expected 3 x 3")
    if isinstance(layer, CP):
        return partial(_run, channels, cp.convolve, cp.prepare(layer.cp_in, layer.cp_y, layer.cp_x, layer.cp_out))
    name = chosen(layer, method)
    if isinstance(layer, Separable):
        module = separable_winograd if name == "winograd" else separable
        return partial(_run, channels, module.convolve, module.prepare(layer.vertical, layer.horizontal))
    module = METHODS[name]
    return partial(_run, channels, module.convolve, module.prepare(layer.weight))


def _run(channels, convolve, kernel, x: FeatureMap, out: FeatureMap, epilogue: Epilogue) -> None:
    if x.channels != channels:
        raise ValueError(f"input of {x.channels} channels: the layer reads {channels}")
    convolve(operands(x, out, epilogue), kernel, numba.get_num_threads())


def convolve(array: np.ndarray, layer: Layer, method: str) -> np.ndarray:
    """Convolve an (H, W, C) array with `layer`, zeros beyond its edges: (H, W, N) float32. For one layer by itself."""
    out = np.empty((*array.shape[:2], layer.shape[0]), DTYPE)
    convolution(layer, method)(from_array(array), unpadded(out), Epilogue(layer.bias))
    return out
