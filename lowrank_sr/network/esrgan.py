"""ESRGAN's generator on one page: figures 3 and 4 of Wang et al. 2018, its numbers and layers named as in BasicSR.

    RRDBNet   features = conv_first(image)
              features = features + trunk_conv(RRDB_n(... RRDB_1(features)))      the trunk, at low resolution
              features = LeakyReLU(upconv(nearest x2(features)))                  the tail, twice for x4
              result   = conv_last(LeakyReLU(HRconv(features)))

    RRDB(x)   = x + 0.2 D3(D2(D1(x)))         D(x) = x + 0.2 conv5(x, g1, g2, g3, g4): a dense block
    g_k       = LeakyReLU(conv_k(x, g1, ..., g_{k-1}))

`generator` says which layer reads what; what a layer does is a parameter. On arrays (`OnArrays`) these equations are
NumPy, and compression looks at each layer or replaces it. In training each operation has its derivative beside it
(`training/tape.py`). `rrdbnet.py` computes the same in little memory, and is tested against this page.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from lowrank_sr.network.architecture import CONVOLUTIONS, Architecture
from lowrank_sr.network.unshuffle import pixel_unshuffle

SLOPE = 0.2  # of LeakyReLU below zero
BETA = 0.2  # of the residuals, as the paper calls it

M = TypeVar("M")  # what a walk carries from layer to layer

Compute = Callable[[str, np.ndarray], np.ndarray]
"""compute(name, x): the output of layer `name`, before the activation, for input (..., H, W, C)."""


def generator(design: Architecture, image: M, net: "Operations[M]") -> M:
    """The network: h x w pixels of an image that is unshuffled already, enlarged 2^U times by U upsamplings."""
    features = net.conv("conv_first", image)  # (h, w, in_channels) -> (h, w, num_feat)
    x = features
    for i in range(design.num_block):
        x = rrdb(f"RRDB_trunk.{i}", x, net)  # (h, w, num_feat)
    return after_blocks(design, x, features, net)


def after_blocks(design: Architecture, x: M, features: M, net: "Operations[M]") -> M:
    """The picture, from what the last block gives and what conv_first gives."""
    features = net.conv("trunk_conv", x, skip=features)  # (h, w, num_feat)
    for i in range(1, design.upsamplings + 1):
        features = net.conv(f"upconv{i}", features, factor=2, slope=SLOPE)  # (2^i h, 2^i w, num_feat)
    features = net.conv("HRconv", features, slope=SLOPE)  # (2^U h, 2^U w, num_feat)
    return net.conv("conv_last", features)  # (2^U h, 2^U w, out_channels)


def rrdb(name: str, x: M, net: "Operations[M]") -> M:
    """x + 0.2 D3(D2(D1(x))): a residual in residual dense block."""
    y = net.dense_block(f"{name}.RDB1", x)  # (h, w, num_feat)
    y = net.dense_block(f"{name}.RDB2", y)  # (h, w, num_feat)
    return net.dense_block(f"{name}.RDB3", y, outer=x)  # (h, w, num_feat)


class Operations(Protocol[M]):
    """What the network is made of. `conv` is never given both a slope and a skip."""

    def conv(self, name: str, x: M, *, factor: int = 1, slope: float = 1, skip: M | None = None) -> M:
        """skip + LeakyReLU(layer(x)), x enlarged by `factor`, nearest neighbour."""

    def dense_block(self, name: str, x: M, *, outer: M | None = None) -> M:
        """D(x), or outer + 0.2 D(x)."""


class OnArrays(NamedTuple):
    """The operations on arrays (..., H, W, C), where a layer is what `compute` says."""

    compute: Compute

    def conv(
        self, name: str, x: np.ndarray, *, factor: int = 1, slope: float = 1, skip: np.ndarray | None = None
    ) -> np.ndarray:
        """skip + LeakyReLU(layer(x))."""
        if factor > 1:
            x = x.repeat(factor, axis=-3).repeat(factor, axis=-2)  # (..., factor H, factor W, C)
        y = leaky_relu(self.compute(name, x), slope)  # (..., factor H, factor W, N)
        return y if skip is None else skip + y

    def dense_block(self, name: str, x: np.ndarray, *, outer: np.ndarray | None = None) -> np.ndarray:
        """D(x) = x + 0.2 conv5(x, g1, g2, g3, g4)."""
        maps = [x]  # (..., H, W, num_feat), then g1 to g4, (..., H, W, num_grow_ch) each
        for k in range(1, CONVOLUTIONS):
            maps.append(leaky_relu(self.compute(f"{name}.conv{k}", np.concatenate(maps, axis=-1)), SLOPE))
        y = x + BETA * self.compute(f"{name}.conv{CONVOLUTIONS}", np.concatenate(maps, axis=-1))
        return y if outer is None else outer + BETA * y  # (..., H, W, num_feat)


def leaky_relu(x: np.ndarray, slope: float) -> np.ndarray:
    """x where it is above zero, slope x below."""
    return x if slope == 1 else np.maximum(x, slope * x)


def forward(design: Architecture, images: np.ndarray, compute: Compute) -> np.ndarray:
    """Enlarge images, (..., H, W, C), with `compute` in the place of the layers: (..., scale H, scale W, C).

    The leading axes may be the crops of a batch, and in front of them two networks that walk side by side.
    """
    height, width = (design.scale * side for side in images.shape[-3:-1])
    result = generator(design, pixel_unshuffle(images, design.unshuffle), OnArrays(compute))
    return result[..., :height, :width, :]  # without what was reflected
