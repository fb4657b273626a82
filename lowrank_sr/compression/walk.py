"""The network once more, layer by layer on plain arrays, for whoever wants to see or to replace what a layer does.

`RRDBNet.__call__` computes an image in little memory; this is the same sequence of layers without its buffers and
bands, over stacks of small images: the leading axes, (..., H, W, C), may be the crops of a batch, and in front of them
a dense and a compressed network that walk side by side.
"""

from collections.abc import Callable

import numpy as np

from lowrank_sr.conv.epilogue import Epilogue
from lowrank_sr.conv.feature_map import DTYPE, from_array, unpadded
from lowrank_sr.conv.methods import convolution
from lowrank_sr.layers import Layer
from lowrank_sr.network.architecture import CONVOLUTIONS, DENSE_BLOCKS, Architecture
from lowrank_sr.network.auto import concrete
from lowrank_sr.network.rrdbnet import RESIDUAL_SCALE, SLOPE, pixel_unshuffle

Convolve = Callable[[str, np.ndarray], np.ndarray]
"""convolve(name, x): the output of layer `name`, before the activation, for input (..., H, W, C)."""


def forward(design: Architecture, images: np.ndarray, convolve: Convolve) -> np.ndarray:
    """Enlarge a stack of images, (..., H, W, 3) float32 with H and W whole multiples of the network's unshuffle.

    features = conv_first(images);  features += trunk_conv(RRDB_n(... RRDB_1(features)));  the tail
    """
    x = images
    if design.unshuffle > 1:
        flat = images.reshape(-1, *images.shape[-3:])
        x = np.stack([pixel_unshuffle(image, design.unshuffle) for image in flat])
        x = x.reshape(*images.shape[:-3], *x.shape[1:])
    features = trunk = convolve("conv_first", x)
    for block in range(design.num_block):
        entry = trunk
        for j in range(1, DENSE_BLOCKS + 1):
            trunk = _dense_block(f"RRDB_trunk.{block}.RDB{j}", trunk, design, convolve)
        trunk = entry + RESIDUAL_SCALE * trunk
    features = features + convolve("trunk_conv", trunk)
    for i in range(1, design.upsamplings + 1):
        features = _leaky_relu(convolve(f"upconv{i}", features.repeat(2, axis=-3).repeat(2, axis=-2)))
    return convolve("conv_last", _leaky_relu(convolve("HRconv", features)))


def _dense_block(name: str, x: np.ndarray, design: Architecture, convolve: Convolve) -> np.ndarray:
    """x + 0.2 conv5(x, g1, ..., g4),  g_k = LeakyReLU(conv_k(x, g1, ..., g_{k-1}))."""
    read = design.num_feat
    grown = np.empty((*x.shape[:-1], read + (CONVOLUTIONS - 1) * design.num_grow_ch), DTYPE)
    grown[..., :read] = x
    for k in range(1, CONVOLUTIONS):
        g = convolve(f"{name}.conv{k}", grown[..., :read])
        grown[..., read : read + design.num_grow_ch] = _leaky_relu(g)
        read += design.num_grow_ch
    return x + RESIDUAL_SCALE * convolve(f"{name}.conv{CONVOLUTIONS}", grown)


def _leaky_relu(y: np.ndarray) -> np.ndarray:
    return np.maximum(y, SLOPE * y)


def on_stacks(layer: Layer, method: str) -> Callable[[np.ndarray], np.ndarray]:
    """`layer` as a function of stacks of feature maps, (..., H, W, C) -> (..., H, W, N) float32, by `method`."""
    run, epilogue = convolution(layer, concrete(layer, method)), Epilogue(layer.bias)

    def convolve(maps: np.ndarray) -> np.ndarray:
        out = np.empty((*maps.shape[:-1], layer.shape[0]), DTYPE)
        for index in np.ndindex(maps.shape[:-3]):
            run(from_array(maps[index]), unpadded(out[index]), epilogue)
        return out

    return convolve
